//! `fmt_tensorboard`: event files, written and read back. `fmt_safetensors`: which files the reader accepts.

use coact_runner::tensorboard::{EventReader, frame, masked_crc, scalars_payload, version_payload};
use coact_runner::tensors::TensorFile;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::case::{count, field, number, text};
use super::{Case, Fault};

pub(crate) fn check_tensorboard(case: &mut Case<'_>) -> Result<(), Fault> {
    let records = field(case.value, "records")?.as_array().ok_or("field `records` is not a list")?;
    let mut file = Vec::new();
    for (i, record) in records.iter().enumerate() {
        write_record(case, i, record, &mut file)?;
    }
    let mut reader = EventReader::new(&file);
    for (i, record) in records.iter().enumerate() {
        let expected = field(record, "event")?;
        let Some(event) = reader.next() else {
            let fault = reader.fault().unwrap_or("the file is over").to_string();
            return Err(format!("record {i} does not read back: {fault}"));
        };
        let scalars = scalars(expected)?;
        let same = event.wall_time_s == number(expected, "wall_time")?
            && event.step == field(expected, "step")?.as_i64().ok_or("a step is not a number")?
            && event.file_version.as_deref().unwrap_or("") == text(expected, "file_version")?
            && event.scalars.len() == scalars.len()
            && event.scalars.iter().zip(&scalars).all(|(a, b)| a.0 == b.0 && a.1.to_bits() == b.1.to_bits());
        case.check(same, || format!("record {i} reads back as {event:?}"));
    }
    case.check(reader.next().is_none() && reader.fault().is_none(), || "the reader finds more".into());
    if let Some(expected) = case.value.get("file_sha256").and_then(Value::as_str) {
        let found: String = Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
        case.check(found == expected, || format!("SHA-256 of the file is {found}, recorded {expected}"));
    }
    if let Some(probe) = case.value.get("crc32c_probe") {
        let masked = masked_crc(&hex(text(probe, "hex")?)?);
        case.check(u64::from(masked) == count(probe, "masked")? as u64, || "masked checksum".into());
        let plain = masked.wrapping_sub(0xa282_ead8).rotate_left(15);
        case.check(u64::from(plain) == count(probe, "crc32c")? as u64, || "checksum".into());
    }
    Ok(())
}

fn write_record(case: &mut Case<'_>, i: usize, record: &Value, file: &mut Vec<u8>) -> Result<(), Fault> {
    let event = field(record, "event")?;
    let recorded = hex(text(record, "payload_hex")?)?;
    let framed = hex(text(record, "record_hex")?)?;
    let start = file.len();
    frame(&recorded, file);
    case.check(file[start..] == framed, || format!("frame of record {i}"));
    let crc = count(record, "masked_crc_payload")? as u64;
    case.check(u64::from(masked_crc(&recorded)) == crc, || format!("checksum of record {i}"));
    let crc = count(record, "masked_crc_len")? as u64;
    let len = (recorded.len() as u64).to_le_bytes();
    case.check(u64::from(masked_crc(&len)) == crc, || format!("checksum of the length of record {i}"));
    let (wall_time, version) = (number(event, "wall_time")?, text(event, "file_version")?);
    let mut payload = Vec::new();
    if version.is_empty() {
        let scalars = scalars(event)?;
        let values: Vec<(&str, f32)> = scalars.iter().map(|(tag, v)| (tag.as_str(), *v)).collect();
        let step = field(event, "step")?.as_u64();
        scalars_payload(wall_time, step.ok_or("a step is not a count")?, &values, &mut payload);
    } else if version == "brain.Event:2" {
        version_payload(wall_time, &mut payload);
    } else {
        case.not_covered(format!("file version {version}"));
        return Ok(());
    }
    // The order of fields inside the message is free, so what is compared is what it says.
    let said = |payload: &[u8]| {
        let mut framed = Vec::new();
        frame(payload, &mut framed);
        EventReader::new(&framed).next().map(|e| format!("{e:?}"))
    };
    case.check(said(&payload) == said(&recorded), || format!("payload of record {i}"));
    Ok(())
}

/// Tags and values; values are texts, because JSON has no infinity.
fn scalars(event: &Value) -> Result<Vec<(String, f32)>, Fault> {
    let fault = || "field `scalars` is not a list of [tag, value]".to_string();
    let one = |pair: &Value| {
        let value = pair.get(1)?;
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        Some((pair.get(0)?.as_str()?.to_string(), number as f32))
    };
    let list = field(event, "scalars")?.as_array().ok_or_else(fault)?;
    list.iter().map(|pair| one(pair).ok_or_else(fault)).collect()
}

pub(crate) fn check_safetensors(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let bytes = base64(text(v, "file_b64")?)?;
    let accept = field(v, "accept")?.as_bool().ok_or("field `accept` is not a bool")?;
    let either = v.get("reject_also_ok").and_then(Value::as_bool).unwrap_or(false);
    let name = v.get("name").and_then(Value::as_str).unwrap_or("a file");
    let file = match TensorFile::decode(&bytes) {
        Err(_) if !accept || either => {
            case.check(true, String::new);
            return Ok(());
        }
        Err(error) => return Err(format!("{name} is refused: {error}")),
        Ok(_) if !accept => return Err(format!("{name} is accepted")),
        Ok(file) => file,
    };
    let tensors = field(v, "tensors")?.as_object().ok_or("field `tensors` is not an object")?;
    case.check(file.tensors().len() == tensors.len(), || format!("{name}: number of tensors"));
    for found in file.tensors() {
        let Some(expected) = tensors.get(&found.name) else {
            return Err(format!("{name}: tensor `{}` is not in the record", found.name));
        };
        let shape: Option<Vec<u64>> =
            field(expected, "shape")?.as_array().and_then(|s| s.iter().map(Value::as_u64).collect());
        let ours: Vec<u64> = found.shape.iter().map(|&n| n as u64).collect();
        let same = shape == Some(ours)
            && found.dtype == text(expected, "dtype")?
            && found.n_bytes == count(expected, "nbytes")?;
        case.check(same, || format!("{name}: tensor `{}` reads as {found:?}", found.name));
    }
    Ok(())
}

fn hex(text: &str) -> Result<Vec<u8>, Fault> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    let pairs = text.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs.map(|p| Some(digit(p[0])? << 4 | digit(*p.get(1)?)?)).collect();
    bytes.ok_or_else(|| "a text is not hexadecimal".into())
}

fn base64(text: &str) -> Result<Vec<u8>, Fault> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let v = value(c).ok_or("a text is not base64")?;
        bits = bits << 6 | u32::from(v);
        n += 6;
        if n >= 8 {
            n -= 8;
            out.push((bits >> n) as u8);
        }
    }
    Ok(out)
}
