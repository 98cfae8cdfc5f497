//! Tensor files against recorded cases, the reference implementation, and damage.

use crate::support;
use coact_core::{Purpose, Stream};
use coact_runner::tensors::{NamedTensor, TensorData, TensorFile, encode};
use safetensors::SafeTensors;
use std::time::{Duration, Instant};

#[test]
fn recorded_files_are_accepted_and_refused_as_recorded() {
    let cases = support::cases("fmt_safetensors");
    assert_eq!(cases.len(), 117);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let bytes = support::base64(case["file_b64"].as_str().unwrap());
        let start = Instant::now();
        let read = TensorFile::decode(&bytes);
        assert!(start.elapsed() < Duration::from_millis(100), "{name} took {:?}", start.elapsed());
        let accept = case["accept"].as_bool().unwrap();
        match read {
            Ok(file) => {
                assert!(accept, "accepted {name}");
                let expected = case["tensors"].as_object().unwrap();
                assert_eq!(file.tensors().len(), expected.len(), "{name}");
                for tensor in file.tensors() {
                    let e = &expected[&tensor.name];
                    assert_eq!(e["dtype"], tensor.dtype.as_str(), "{name}");
                    assert_eq!(e["shape"], serde_json::json!(tensor.shape), "{name}");
                    assert_eq!(e["nbytes"], serde_json::json!(tensor.n_bytes), "{name}");
                }
            }
            Err(error) => {
                assert!(!accept || case["reject_also_ok"] == true, "refused {name}: {error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}

#[test]
fn duplicates_and_leading_blanks_are_refused() {
    for case in support::cases("fmt_safetensors") {
        if ["duplicate_key_same_bytes", "duplicate_key", "leading_space"]
            .contains(&case["name"].as_str().unwrap())
        {
            assert!(TensorFile::decode(&support::base64(case["file_b64"].as_str().unwrap())).is_err());
        }
    }
    let header = br#"{"__metadata__":{"a":"1","a":"2"}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    assert!(TensorFile::decode(&bytes).unwrap_err().to_string().contains("twice"));
}

fn example() -> Vec<u8> {
    let weights = [1.5_f32, -0.0, f32::NAN, f32::INFINITY, 3.0, f32::MIN_POSITIVE];
    encode(
        &[
            NamedTensor { name: "agent", shape: &[3], data: TensorData::U8(&[1, 2, 3]) },
            NamedTensor { name: "q.1.weight", shape: &[2, 3], data: TensorData::F32(&weights) },
            NamedTensor { name: "scalar", shape: &[], data: TensorData::F32(&[7.0]) },
            NamedTensor { name: "empty", shape: &[0, 4], data: TensorData::F32(&[]) },
        ],
        &[("algorithm", "double \"dqn\"\n"), ("env", "cartpole")],
    )
    .unwrap()
}

#[test]
fn the_reference_reader_reads_what_we_write() {
    let bytes = example();
    let theirs = SafeTensors::deserialize(&bytes).unwrap();
    let weight = theirs.tensor("q.1.weight").unwrap();
    assert_eq!(weight.shape(), [2, 3]);
    assert_eq!(weight.data()[..4], 1.5_f32.to_le_bytes());
    assert_eq!(weight.data()[8..12], f32::NAN.to_le_bytes());
    assert_eq!(theirs.tensor("agent").unwrap().data(), [1, 2, 3]);
    assert_eq!(theirs.len(), 4);

    let ours = TensorFile::decode(&bytes).unwrap();
    let (shape, values) = ours.get("q.1.weight").unwrap();
    assert_eq!(shape, [2, 3]);
    assert_eq!(values[1].to_bits(), (-0.0_f32).to_bits());
    assert_eq!(ours.get("scalar").unwrap(), (&[][..], &[7.0_f32][..]));
    assert_eq!(ours.get_bytes("agent").unwrap().1, [1, 2, 3]);
    assert_eq!(ours.metadata("algorithm"), Some("double \"dqn\"\n"));
    let missing = ours.get("q.2.weight").unwrap_err().to_string();
    assert!(missing.contains("q.2.weight") && missing.contains("scalar"), "{missing}");
    assert!(ours.get("agent").is_err(), "bytes are not floats");
}

#[test]
fn bytes_depend_on_the_content_alone() {
    let tensors = [
        NamedTensor { name: "b", shape: &[1], data: TensorData::F32(&[1.0]) },
        NamedTensor { name: "a", shape: &[2], data: TensorData::U8(&[1, 2]) },
    ];
    let forward = encode(&tensors, &[("x", "1"), ("y", "2")]).unwrap();
    let backward = encode(&[tensors[1], tensors[0]], &[("y", "2"), ("x", "1")]).unwrap();
    assert_eq!(forward, backward);
    let header = u64::from_le_bytes(forward[..8].try_into().unwrap());
    assert_eq!(header % 8, 0, "data stays aligned");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let one = NamedTensor { name: "w", shape: &[1], data: TensorData::F32(&[1.0]) };
    assert!(encode(&[one, one], &[]).is_err());
    assert!(encode(&[NamedTensor { name: "__metadata__", ..one }], &[]).is_err());
    assert!(encode(&[NamedTensor { shape: &[2], ..one }], &[]).is_err());
    assert!(encode(&[NamedTensor { shape: &[usize::MAX, 2], ..one }], &[]).is_err());
    assert!(encode(&[one], &[("k", "1"), ("k", "1")]).is_err());
}

#[test]
fn every_truncation_is_refused() {
    let bytes = example();
    for n in 0..bytes.len() {
        assert!(TensorFile::decode(&bytes[..n]).is_err(), "accepted {n} of {} bytes", bytes.len());
    }
}

/// Whatever we accept, the reference accepts too.
#[test]
fn flipped_bits_never_panic_and_never_widen_the_format() {
    let whole = example();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            if TensorFile::decode(&bytes).is_ok() {
                assert!(SafeTensors::deserialize(&bytes).is_ok(), "byte {at}, bit {bit}");
            }
        }
    }
}

/// Headers made of the format's own words in random order reach deep into the reader.
#[test]
fn arbitrary_headers_never_panic() {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"w\"",
        "\"dtype\"",
        "\"F32\"",
        "\"F4\"",
        "\"shape\"",
        "0",
        "-1",
        "1e9",
        "18446744073709551615",
        "\"data_offsets\"",
        "[0,4]",
        "[0,0]",
        "[]",
        "null",
        " ",
        "\"__metadata__\"",
        "{}",
        "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}",
    ];
    let mut stream = Stream::new(1, Purpose::Step, 0, 0);
    let mut n_accepted = 0;
    for _ in 0..50_000 {
        let n_words = stream.below(8);
        let middle: String = (0..n_words).map(|_| words[stream.below(words.len() as u32) as usize]).collect();
        let header = format!("{{{middle}}}");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + 4 * stream.below(2) as usize, 0);
        if TensorFile::decode(&bytes).is_ok() {
            n_accepted += 1;
            assert!(SafeTensors::deserialize(&bytes).is_ok(), "{header}");
        }
    }
    assert!(n_accepted > 10, "{n_accepted} headers were right by chance: too few to mean anything");
}
