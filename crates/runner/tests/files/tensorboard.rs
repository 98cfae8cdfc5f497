//! Event files against recorded cases and damage.

use crate::support;
use coact_core::{Purpose, Stream};
use coact_runner::tensorboard::{
    EventReader, EventWriter, frame, masked_crc, newest_event_file, scalars_payload, version_payload,
};
use std::fs;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Recorded scalars are texts, because JSON has no infinity.
fn number(text: &serde_json::Value) -> f32 {
    text.as_str().unwrap().parse::<f64>().unwrap() as f32
}

#[test]
fn recorded_records_are_reproduced_and_read_back() {
    let cases = support::cases("fmt_tensorboard");
    assert_eq!(cases.len(), 10);
    for case in &cases {
        let mut file = Vec::new();
        let records = case["records"].as_array().unwrap();
        for record in records {
            let event = &record["event"];
            let wall_time_s = event["wall_time"].as_f64().unwrap();
            let mut payload = Vec::new();
            if event["file_version"] == "" {
                let scalars: Vec<(&str, f32)> = event["scalars"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|s| (s[0].as_str().unwrap(), number(&s[1])))
                    .collect();
                scalars_payload(wall_time_s, event["step"].as_u64().unwrap(), &scalars, &mut payload);
            } else {
                version_payload(wall_time_s, &mut payload);
            }
            assert_eq!(payload, hex(record["payload_hex"].as_str().unwrap()));
            assert_eq!(masked_crc(&payload), record["masked_crc_payload"].as_u64().unwrap() as u32);
            let start = file.len();
            frame(&payload, &mut file);
            assert_eq!(file[start..], hex(record["record_hex"].as_str().unwrap()));
        }
        let mut reader = EventReader::new(&file);
        for record in records {
            let (event, expected) = (reader.next().unwrap(), &record["event"]);
            assert_eq!(event.wall_time_s, expected["wall_time"].as_f64().unwrap());
            assert_eq!(event.step, expected["step"].as_i64().unwrap());
            assert_eq!(event.file_version.unwrap_or_default(), expected["file_version"].as_str().unwrap());
            let scalars = expected["scalars"].as_array().unwrap();
            assert_eq!(event.scalars.len(), scalars.len());
            for ((tag, value), s) in event.scalars.iter().zip(scalars) {
                assert_eq!(tag, s[0].as_str().unwrap());
                assert_eq!(value.to_bits(), number(&s[1]).to_bits());
            }
        }
        assert!(reader.next().is_none() && reader.fault().is_none());
    }
}

#[test]
fn the_checksum_is_the_known_one() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xE306_9283);
}

/// A file with events at steps 0, 10, 20, 30, and the byte offset behind each record.
fn example() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path(), 1_700_000_000.5).unwrap();
    let mut ends = vec![fs::metadata(writer.path()).unwrap().len() as usize];
    for step in [0, 10, 20, 30] {
        let values = [("train/loss", step as f64 * 0.5), ("a tag", f64::INFINITY)];
        writer.scalars(1_700_000_001.0, step, &values).unwrap();
        ends.push(fs::metadata(writer.path()).unwrap().len() as usize);
    }
    let bytes = fs::read(writer.path()).unwrap();
    (folder, bytes, ends)
}

#[test]
fn a_file_cut_anywhere_keeps_its_earlier_events() {
    let (_folder, bytes, ends) = example();
    let all: Vec<_> = EventReader::new(&bytes).collect();
    assert_eq!(all.len(), 5);
    for n in 0..bytes.len() {
        let whole = ends.iter().filter(|&&e| e <= n).count();
        let mut reader = EventReader::new(&bytes[..n]);
        assert_eq!(reader.by_ref().collect::<Vec<_>>(), all[..whole], "cut at {n}");
        assert_eq!(reader.fault().is_some(), n != 0 && !ends.contains(&n), "cut at {n}");
    }
}

#[test]
fn a_flipped_bit_loses_nothing_before_it_and_invents_nothing() {
    let (_folder, bytes, ends) = example();
    let all: Vec<_> = EventReader::new(&bytes).collect();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let whole = ends.iter().filter(|&&e| e <= at).count();
            let mut reader = EventReader::new(&damaged);
            assert_eq!(reader.by_ref().collect::<Vec<_>>(), all[..whole], "byte {at}, bit {bit}");
            assert!(reader.fault().is_some());
        }
    }
}

#[test]
fn resume_cuts_later_events_and_torn_ends_and_goes_on() {
    for torn in [0, 1, 7, 13, 30] {
        let (folder, mut bytes, _) = example();
        let path = newest_event_file(folder.path()).unwrap().unwrap();
        bytes.truncate(bytes.len() - torn);
        fs::write(&path, &bytes).unwrap();
        let mut writer = EventWriter::resume(&path, 10, 1_700_000_100.0).unwrap();
        writer.scalars(1_700_000_101.0, 20, &[("train/loss", 1.0)]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let mut reader = EventReader::new(&bytes);
        let steps: Vec<i64> = reader.by_ref().map(|e| e.step).collect();
        assert_eq!(steps, [0, 0, 10, 20], "torn by {torn}");
        assert!(reader.fault().is_none());
    }
}

#[test]
fn resume_of_a_file_without_its_first_event_starts_it_again() {
    for content in [&b""[..], b"junk", b"\x18\0\0\0\0\0\0\0"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.out.tfevents.1.coact");
        fs::write(&path, content).unwrap();
        EventWriter::resume(&path, 10, 1.0).unwrap().scalars(2.0, 20, &[("x", 1.0)]).unwrap();
        let bytes = fs::read(&path).unwrap();
        let events: Vec<_> = EventReader::new(&bytes).collect();
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(events[1].scalars, [("x".to_string(), 1.0)]);
    }
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let first = EventWriter::create(folder.path(), 5.0).unwrap();
    let error = EventWriter::create(folder.path(), 5.0).unwrap_err().to_string();
    assert!(error.contains("events.out.tfevents"), "{error}");
    assert!(first.path().exists());
}

#[test]
fn arbitrary_payloads_never_panic() {
    let mut stream = Stream::new(1, Purpose::Step, 0, 0);
    // Keys and lengths of the schema are more frequent than other bytes, so that parsing goes deep.
    let frequent = [0x09, 0x10, 0x1a, 0x2a, 0x0a, 0x15, 0x00, 0x02, 0x06, 0xff];
    let mut n_read = 0;
    for _ in 0..50_000 {
        let payload: Vec<u8> = (0..stream.below(40))
            .map(|_| match stream.below(16) as usize {
                i if i < frequent.len() => frequent[i],
                _ => stream.next_u32() as u8,
            })
            .collect();
        let mut file = Vec::new();
        frame(&payload, &mut file);
        let mut reader = EventReader::new(&file);
        let n = reader.by_ref().count();
        assert_eq!(n == 0, reader.fault().is_some());
        n_read += n;
        let _ = EventReader::new(&payload).count();
    }
    assert!(n_read > 1000, "{n_read} payloads were right by chance: too few to mean anything");
}
