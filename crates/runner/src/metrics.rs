//! Metrics of a run: `metrics.jsonl`, one line per record as the run goes, and `metrics.csv`, made from it.
//!
//! The JSON lines are the record of the run: appended, resumed by cutting what lies beyond the checkpoint, and
//! read for reports. The table is derived: it is written anew as a whole (its columns are the union of all
//! names, in order of first appearance), so that it never needs repair. JSON has no NaN and no infinity: they
//! are written as `null` and read back as NaN. Not here: what is measured.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::durable::{folder_of, sync_folder};
use crate::{Error, Result, write_atomic};

const ENV_STEPS: &str = "env_steps";
const WALL_S: &str = "wall_s";

/// What was measured at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Environment steps so far.
    pub env_steps: u64,
    /// Seconds of training so far.
    pub wall_s: f64,
    /// Names and values, in the order in which they are shown. No name twice, none of the two above.
    pub values: Vec<(String, f64)>,
}

impl Record {
    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(n, _)| n == name).map(|&(_, v)| v)
    }

    /// Appends the record as one line of JSON.
    ///
    /// # Errors
    /// When a name is used twice or is reserved.
    pub fn append_json(&self, out: &mut String) -> Result<()> {
        let quote = |name: &str| serde_json::Value::from(name).to_string();
        for (i, (name, _)) in self.values.iter().enumerate() {
            let again = self.values[..i].iter().any(|(n, _)| n == name);
            if again || name == ENV_STEPS || name == WALL_S {
                return Err(Error::invalid(format!("metric {name:?} is given twice; use each name once")));
            }
        }
        let _ = write!(out, "{{\"{ENV_STEPS}\":{},\"{WALL_S}\":{}", self.env_steps, json(self.wall_s));
        for (name, value) in &self.values {
            let _ = write!(out, ",{}:{}", quote(name), json(*value));
        }
        out.push_str("}\n");
        Ok(())
    }
}

/// Shortest text that reads back as the same number.
fn json(value: f64) -> String {
    serde_json::Number::from_f64(value).map_or_else(|| "null".to_string(), |n| n.to_string())
}

/// Appends records to a file of JSON lines. Every record reaches the file before the call returns.
#[derive(Debug)]
pub struct MetricsWriter {
    file: File,
    path: PathBuf,
    line: String,
}

impl MetricsWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// When the system refuses, or when the file exists.
    pub fn create(path: &Path) -> Result<Self> {
        let file =
            OpenOptions::new().write(true).create_new(true).open(path).map_err(Error::io("create", path))?;
        sync_folder(folder_of(path))?;
        Ok(Self { file, path: path.to_path_buf(), line: String::new() })
    }

    /// Continues a file behind its records up to `env_steps`, that step included. Later records and a torn
    /// line are cut off.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn resume(path: &Path, env_steps: u64) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let mut keep = 0;
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            match parse_line(line) {
                Ok(record) if line.ends_with(b"\n") && record.env_steps <= env_steps => keep += line.len(),
                _ => break,
            }
        }
        let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("open", path))?;
        file.set_len(keep as u64).map_err(Error::io("truncate", path))?;
        file.seek(SeekFrom::End(0)).map_err(Error::io("seek in", path))?;
        let writer = Self { file, path: path.to_path_buf(), line: String::new() };
        writer.sync()?;
        Ok(writer)
    }

    /// Appends one record.
    ///
    /// # Errors
    /// When the system refuses, or when a name is used twice or is reserved.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.line.clear();
        record.append_json(&mut self.line)?;
        self.file.write_all(self.line.as_bytes()).map_err(Error::io("write", &self.path))
    }

    /// Waits until everything written is on the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io("sync", &self.path))
    }
}

/// Reads all records of a file of JSON lines. A last line without its end, as a killed writer leaves it, is
/// left out.
///
/// # Errors
/// When the file cannot be read, or when any other line is not a record.
pub fn read_metrics(path: &Path) -> Result<Vec<Record>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    parse_metrics(&bytes).map_err(|error| match error {
        Error::Format { at, reason, .. } => Error::Format { what: path.display().to_string(), at, reason },
        other => other,
    })
}

/// [`read_metrics`] on the bytes of a file.
///
/// # Errors
/// When a line, except a last one without its end, is not a record.
pub fn parse_metrics(bytes: &[u8]) -> Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut at = 0;
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let record = parse_line(line).map_err(|reason| Error::Format {
            what: "the metrics".to_string(),
            at,
            reason: format!("line {}: {reason}", i + 1),
        })?;
        records.push(record);
        at += line.len() as u64;
    }
    Ok(records)
}

fn parse_line(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|e| e.to_string().replace(char::is_control, " "))
}

/// Writes the records as a table, replacing the file as a whole.
///
/// # Errors
/// When the system refuses.
pub fn write_csv(path: &Path, records: &[Record]) -> Result<()> {
    write_atomic(path, csv(records).as_bytes())
}

/// The records as a table with a heading (RFC 4180, `\n` line ends). A missing value is an empty cell.
pub fn csv(records: &[Record]) -> String {
    let mut seen = BTreeSet::new();
    let names = records.iter().flat_map(|r| &r.values).map(|(name, _)| name.as_str());
    let columns: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    let mut out = format!("{ENV_STEPS},{WALL_S}");
    for column in &columns {
        out.push(',');
        out.push_str(&quoted(column));
    }
    out.push('\n');
    for record in records {
        let _ = write!(out, "{},{}", record.env_steps, record.wall_s);
        for column in &columns {
            out.push(',');
            if let Some(value) = record.get(column) {
                let _ = write!(out, "{value}");
            }
        }
        out.push('\n');
    }
    out
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RecordVisitor;
        impl<'de> Visitor<'de> for RecordVisitor {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Record, M::Error> {
                let (mut env_steps, mut wall_s) = (None, None);
                let mut values = Vec::new();
                let mut seen = BTreeSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    let again = match name.as_str() {
                        ENV_STEPS => env_steps.replace(map.next_value::<u64>()?).is_some(),
                        WALL_S => wall_s.replace(number(&mut map)?).is_some(),
                        _ => {
                            let again = !seen.insert(name.clone());
                            values.push((name, number(&mut map)?));
                            again
                        }
                    };
                    if again {
                        return Err(M::Error::custom("a name is used twice"));
                    }
                }
                let env_steps = env_steps.ok_or_else(|| M::Error::missing_field(ENV_STEPS))?;
                let wall_s = wall_s.ok_or_else(|| M::Error::missing_field(WALL_S))?;
                Ok(Record { env_steps, wall_s, values })
            }
        }
        deserializer.deserialize_map(RecordVisitor)
    }
}

fn number<'de, M: MapAccess<'de>>(map: &mut M) -> Result<f64, M::Error> {
    Ok(map.next_value::<Option<f64>>()?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(env_steps: u64, values: &[(&str, f64)]) -> Record {
        let values = values.iter().map(|&(n, v)| (n.to_string(), v)).collect();
        Record { env_steps, wall_s: env_steps as f64 * 0.1, values }
    }

    fn example(folder: &Path) -> PathBuf {
        let path = folder.join("metrics.jsonl");
        let mut writer = MetricsWriter::create(&path).unwrap();
        for r in [
            record(10, &[("z", 1.0 / 3.0), ("a", -0.0)]),
            record(20, &[("a", 5e-324), ("eval,return", 1e300)]),
            record(u64::MAX, &[]),
        ] {
            writer.append(&r).unwrap();
        }
        path
    }

    #[test]
    fn records_read_back_to_the_same_bits_and_order() {
        let folder = tempfile::tempdir().unwrap();
        let records = read_metrics(&example(folder.path())).unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0], record(10, &[("z", 1.0 / 3.0), ("a", -0.0)]));
        assert!(records[0].get("a").unwrap().is_sign_negative());
        assert_eq!(records[1].get("a"), Some(5e-324));
        assert_eq!(records[2].env_steps, u64::MAX);
        // Numbers that a careless parser gets wrong in the last bit.
        let mut stream = coact_core::Stream::new(5, coact_core::Purpose::Step, 0, 0);
        for _ in 0..1000 {
            let value = f64::from_bits(stream.next_u64());
            if value.is_finite() {
                let mut line = String::new();
                record(1, &[("x", value)]).append_json(&mut line).unwrap();
                let read = parse_metrics(line.as_bytes()).unwrap()[0].get("x").unwrap();
                assert_eq!(read.to_bits(), value.to_bits(), "{line}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_becomes_nan() {
        let mut line = String::new();
        record(1, &[("x", f64::INFINITY), ("y", f64::NAN)]).append_json(&mut line).unwrap();
        assert_eq!(line, "{\"env_steps\":1,\"wall_s\":0.1,\"x\":null,\"y\":null}\n");
        assert!(parse_metrics(line.as_bytes()).unwrap()[0].get("x").unwrap().is_nan());
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_other_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = example(folder.path());
        let bytes = fs::read(&path).unwrap();
        let lines = |n: usize| bytes[..n].iter().filter(|&&b| b == b'\n').count();
        for n in 0..=bytes.len() {
            assert_eq!(parse_metrics(&bytes[..n]).unwrap().len(), lines(n), "cut at {n}");
        }
        let damaged: String = String::from_utf8(bytes).unwrap().replacen("\"a\"", "\"z\"", 1);
        fs::write(&path, damaged).unwrap();
        let error = read_metrics(&path).unwrap_err().to_string();
        assert!(error.contains("metrics.jsonl") && error.contains("line 1"), "{error}");
        for line in ["{}\n", "{\"env_steps\":1}\n", "[]\n", "\n", "{\"env_steps\":-1,\"wall_s\":0}\n"] {
            assert!(parse_metrics(line.as_bytes()).is_err(), "{line:?}");
        }
    }

    #[test]
    fn resume_cuts_what_lies_beyond_and_goes_on() {
        for tail in ["", "{\"env_steps\":21,\"wall", "junk\n", "\u{0}\u{0}"] {
            let folder = tempfile::tempdir().unwrap();
            let path = example(folder.path());
            let mut bytes = fs::read(&path).unwrap();
            bytes.extend_from_slice(tail.as_bytes());
            fs::write(&path, &bytes).unwrap();
            let mut writer = MetricsWriter::resume(&path, 20).unwrap();
            writer.append(&record(30, &[("z", 2.0)])).unwrap();
            let steps: Vec<u64> = read_metrics(&path).unwrap().iter().map(|r| r.env_steps).collect();
            assert_eq!(steps, [10, 20, 30], "{tail:?}");
        }
    }

    #[test]
    fn the_table_has_the_union_of_columns() {
        let records = [record(1, &[("b", 0.5), ("a", 2.0)]), record(2, &[("c,\"d\"", f64::NAN), ("b", 1.0)])];
        assert_eq!(csv(&records), "env_steps,wall_s,b,a,\"c,\"\"d\"\"\"\n1,0.1,0.5,2,\n2,0.2,1,,NaN\n");
        assert_eq!(csv(&[]), "env_steps,wall_s\n");
    }

    #[test]
    fn a_name_given_twice_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        let mut writer = MetricsWriter::create(&path).unwrap();
        assert!(writer.append(&record(1, &[("x", 1.0), ("x", 2.0)])).is_err());
        assert!(writer.append(&record(1, &[("env_steps", 1.0)])).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(MetricsWriter::create(&path).is_err(), "an existing file is never overwritten");
    }
}
