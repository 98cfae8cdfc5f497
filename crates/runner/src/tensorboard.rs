//! TensorBoard event files: scalars that TensorBoard shows, written as the run goes and resumed without
//! duplicates; and a bounded reader that survives arbitrary bytes.
//!
//! A file is a sequence of records: length (u64, little-endian), masked CRC-32C of the length, payload, masked
//! CRC-32C of the payload. A payload is one `Event` message of TensorFlow's protobuf schema. The first says
//! `brain.Event:2`, the rest hold scalars. Not here: images, graphs, plugins, projector configurations (which
//! name files to be read).

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::durable::{folder_of, sync_folder};
use crate::{Error, Result};

const FILE_VERSION: &str = "brain.Event:2";

/// CRC-32C as event files store it.
pub fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Appends one record holding `payload`.
pub fn frame(payload: &[u8], out: &mut Vec<u8>) {
    let length = (payload.len() as u64).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked_crc(&length).to_le_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(&masked_crc(payload).to_le_bytes());
}

/// Appends the payload of the event that opens a file. `wall_time_s` is Unix time.
pub fn version_payload(wall_time_s: f64, out: &mut Vec<u8>) {
    out.push(0x09);
    out.extend_from_slice(&wall_time_s.to_le_bytes());
    bytes_field(3, FILE_VERSION.as_bytes(), out);
}

/// Appends the payload of one event with scalars. `wall_time_s` is Unix time.
pub fn scalars_payload(wall_time_s: f64, step: u64, values: &[(&str, f32)], out: &mut Vec<u8>) {
    out.push(0x09);
    out.extend_from_slice(&wall_time_s.to_le_bytes());
    if step != 0 {
        out.push(0x10);
        varint(step, out);
    }
    // Value { tag = 1, simple_value = 2 } inside Summary { value = 1 } inside Event { summary = 5 }.
    let value_len = |tag: &str| 1 + varint_len(tag.len() as u64) + tag.len() + 5;
    let summary_len: usize = values
        .iter()
        .map(|(tag, _)| {
            let n = value_len(tag);
            1 + varint_len(n as u64) + n
        })
        .sum();
    out.push(0x2a);
    varint(summary_len as u64, out);
    for (tag, value) in values {
        out.push(0x0a);
        varint(value_len(tag) as u64, out);
        bytes_field(1, tag.as_bytes(), out);
        out.push(0x15);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn bytes_field(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - value.leading_zeros() as usize).max(1).div_ceil(7)
}

/// Writes an event file. Every call reaches the file before it returns; [`Self::sync`] waits for the disk.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    path: PathBuf,
    payload: Vec<u8>,
    records: Vec<u8>,
}

impl EventWriter {
    /// Creates `events.out.tfevents.<seconds>.coact` in `folder` and writes the version event.
    ///
    /// # Errors
    /// When the system refuses, or when that file exists.
    pub fn create(folder: &Path, wall_time_s: f64) -> Result<Self> {
        let path = folder.join(format!("events.out.tfevents.{:010}.coact", wall_time_s.max(0.0) as u64));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        let mut writer = Self { file, path, payload: Vec::new(), records: Vec::new() };
        writer.write_version(wall_time_s)?;
        sync_folder(folder_of(&writer.path))?;
        Ok(writer)
    }

    /// Continues the file at `path` behind its events up to `env_steps`, that step included. Later events and a
    /// torn end are cut off, so that a resumed run leaves no step twice.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(path: &Path, env_steps: u64, wall_time_s: f64) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let mut reader = EventReader::new(&bytes);
        let mut keep = 0;
        while let Some(event) = reader.next() {
            let starts = keep == 0;
            if starts != event.file_version.is_some() || (!starts && event.step > env_steps as i64) {
                break;
            }
            keep = reader.position();
        }
        let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
        file.set_len(keep).map_err(Error::io("truncate", path))?;
        file.seek(SeekFrom::Start(keep)).map_err(Error::io("seek in", path))?;
        let mut writer = Self { file, path: path.to_path_buf(), payload: Vec::new(), records: Vec::new() };
        if keep == 0 {
            writer.write_version(wall_time_s)?;
        }
        writer.sync()?;
        Ok(writer)
    }

    /// Where the events go.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one event with all `values`, as 32-bit floats. `wall_time_s` is Unix time.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn scalars(&mut self, wall_time_s: f64, env_steps: u64, values: &[(&str, f64)]) -> Result<()> {
        let values: Vec<(&str, f32)> = values.iter().map(|&(tag, v)| (tag, v as f32)).collect();
        self.payload.clear();
        scalars_payload(wall_time_s, env_steps, &values, &mut self.payload);
        self.flush()
    }

    /// Waits until everything written is on the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }

    fn write_version(&mut self, wall_time_s: f64) -> Result<()> {
        self.payload.clear();
        version_payload(wall_time_s, &mut self.payload);
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        self.records.clear();
        frame(&self.payload, &mut self.records);
        self.file.write_all(&self.records).map_err(Error::io("write", &self.path))
    }
}

/// The newest event file in `folder` by name, if there is one.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest_event_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let is_events = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("events.out.tfevents.") && path.is_file());
        if is_events && newest.as_ref().is_none_or(|n| *n < path) {
            newest = Some(path);
        }
    }
    Ok(newest)
}

/// One event. Summaries that are not scalars are left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// Unix time in seconds.
    pub wall_time_s: f64,
    /// The step, environment steps in our files.
    pub step: i64,
    /// Given by the first event of a file.
    pub file_version: Option<String>,
    /// Tags and values.
    pub scalars: Vec<(String, f32)>,
}

/// Reads events from bytes in order and stops at the first that is torn or damaged. Memory in use at a time
/// is bounded by a small multiple of one record.
#[derive(Debug)]
pub struct EventReader<'a> {
    bytes: &'a [u8],
    at: usize,
    fault: Option<String>,
}

impl<'a> EventReader<'a> {
    /// A reader at the start of a file's bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, fault: None }
    }

    /// Byte offset behind the last event that was read.
    pub fn position(&self) -> u64 {
        self.at as u64
    }

    /// Why reading stopped before the end of the bytes, if it did.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    fn record(&self) -> Result<(&'a [u8], usize), String> {
        let rest = &self.bytes[self.at..];
        let Some((head, rest)) = rest.split_first_chunk::<12>() else {
            return Err(format!("{} bytes are too few for a record", rest.len()));
        };
        let (length, crc) = head.split_at(8);
        if masked_crc(length) != read_u32(crc) {
            return Err("the checksum of the length does not match".to_string());
        }
        let length = read_u64(length);
        let Some(n) = usize::try_from(length).ok().filter(|&n| n <= rest.len().saturating_sub(4)) else {
            return Err(format!("a record of {length} bytes does not fit into {}", rest.len()));
        };
        let (payload, tail) = rest.split_at(n);
        if masked_crc(payload) != read_u32(&tail[..4]) {
            return Err("the checksum of the payload does not match".to_string());
        }
        Ok((payload, self.at + 12 + n + 4))
    }
}

impl Iterator for EventReader<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.fault.is_some() || self.at == self.bytes.len() {
            return None;
        }
        let read = self.record().and_then(|(payload, end)| {
            let event = parse_event(payload).ok_or("the payload is not an event")?;
            Ok((event, end))
        });
        match read {
            Ok((event, end)) => {
                self.at = end;
                Some(event)
            }
            Err(reason) => {
                self.fault = Some(reason);
                None
            }
        }
    }
}

fn read_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |n, &b| n << 8 | u32::from(b))
}

fn read_u64(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// A protobuf field as it is on the wire.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Takes the next field off `rest`; `None` where the bytes are malformed.
fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = take_varint(rest)?;
    let field = match key & 7 {
        0 => Field::Varint(take_varint(rest)?),
        1 => Field::Fixed64(read_u64(take(rest, 8)?)),
        2 => {
            let n = usize::try_from(take_varint(rest)?).ok()?;
            Field::Bytes(take(rest, n)?)
        }
        5 => Field::Fixed32(read_u32(take(rest, 4)?)),
        _ => return None,
    };
    Some((key >> 3, field))
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(n)?;
    *rest = tail;
    Some(head)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for i in 0..10 {
        let byte = *take(rest, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn parse_event(mut rest: &[u8]) -> Option<Event> {
    let mut event = Event::default();
    while !rest.is_empty() {
        match take_field(&mut rest)? {
            (1, Field::Fixed64(bits)) => event.wall_time_s = f64::from_bits(bits),
            (2, Field::Varint(step)) => event.step = step as i64,
            (3, Field::Bytes(text)) => event.file_version = Some(std::str::from_utf8(text).ok()?.to_string()),
            (5, Field::Bytes(summary)) => parse_summary(summary, &mut event.scalars)?,
            _ => {}
        }
    }
    Some(event)
}

fn parse_summary(mut rest: &[u8], scalars: &mut Vec<(String, f32)>) -> Option<()> {
    while !rest.is_empty() {
        let (1, Field::Bytes(mut value)) = take_field(&mut rest)? else { continue };
        let (mut tag, mut scalar) = ("", None);
        while !value.is_empty() {
            match take_field(&mut value)? {
                (1, Field::Bytes(text)) => tag = std::str::from_utf8(text).ok()?,
                (2, Field::Fixed32(bits)) => scalar = Some(f32::from_bits(bits)),
                _ => {}
            }
        }
        scalars.extend(scalar.map(|v| (tag.to_string(), v)));
    }
    Some(())
}
