//! Named tensors as safetensors bytes: a header of JSON and raw little-endian data, readable from Python
//! (`safetensors.numpy.load_file`, `safetensors.torch.load_file`) and unable to carry code.
//!
//! The writer here is ours because the order of bytes must be a function of the content alone. The reader is
//! stricter than the format's own: duplicate names, leading blanks, gaps, overlaps and trailing bytes are
//! errors. Names are labels and never paths. Not here: files, networks.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use crate::{Error, Result};

/// Largest header that is read, as in the reference implementation.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// Values of a tensor to write.
#[derive(Debug, Clone, Copy)]
pub enum TensorData<'a> {
    /// 32-bit floats.
    F32(&'a [f32]),
    /// Raw bytes.
    U8(&'a [u8]),
}

/// A tensor to write.
#[derive(Debug, Clone, Copy)]
pub struct NamedTensor<'a> {
    /// Its label, unique in a file.
    pub name: &'a str,
    /// Its dimensions, row-major. Empty means one scalar.
    pub shape: &'a [usize],
    /// As many values as the shape says.
    pub data: TensorData<'a>,
}

impl TensorData<'_> {
    fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::U8(_) => "U8",
        }
    }

    fn n_values(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U8(values) => values.len(),
        }
    }

    fn n_bytes(&self) -> usize {
        match self {
            Self::F32(values) => values.len() * 4,
            Self::U8(values) => values.len(),
        }
    }
}

/// Encodes tensors and free-text metadata. The same content gives the same bytes, whatever its order: floats
/// come first (so that they stay aligned), then bytes, each by name.
///
/// # Errors
/// Names or metadata keys used twice, the reserved name `__metadata__`, a shape that does not fit its data.
pub fn encode(tensors: &[NamedTensor], metadata: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut ordered: Vec<&NamedTensor> = tensors.iter().collect();
    ordered.sort_by_key(|t| (matches!(t.data, TensorData::U8(_)), t.name));
    let mut entries = BTreeMap::new();
    let mut end = 0;
    for tensor in &ordered {
        check_shape(tensor)?;
        let start = end;
        end += tensor.data.n_bytes();
        let entry = serde_json::json!({
            "dtype": tensor.data.dtype(), "shape": tensor.shape, "data_offsets": [start, end],
        });
        if tensor.name == "__metadata__" || entries.insert(tensor.name, entry).is_some() {
            return Err(Error::invalid(format!(
                "tensor name {:?} is taken; give each tensor its own name",
                tensor.name
            )));
        }
    }
    let mut texts = serde_json::Map::new();
    for (key, text) in metadata {
        if texts.insert((*key).to_string(), (*text).into()).is_some() {
            return Err(Error::invalid(format!("metadata key {key:?} is given twice; give each key once")));
        }
    }
    if !texts.is_empty() {
        entries.insert("__metadata__", texts.into());
    }
    let mut header =
        serde_json::to_vec(&entries).map_err(|e| Error::invalid(format!("tensor header: {e}")))?;
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut out = Vec::with_capacity(8 + header.len() + end);
    out.extend_from_slice(&(header.len() as u64).to_le_bytes());
    out.extend_from_slice(&header);
    for tensor in &ordered {
        match tensor.data {
            TensorData::F32(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            TensorData::U8(values) => out.extend_from_slice(values),
        }
    }
    Ok(out)
}

fn check_shape(tensor: &NamedTensor) -> Result<()> {
    let n = tensor.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    if n == Some(tensor.data.n_values()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "tensor {:?} has shape {:?} and {} values; make them agree",
        tensor.name,
        tensor.shape,
        tensor.data.n_values()
    )))
}

/// A tensor in a [`TensorFile`], as it was described there.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Its label. Never use it as a path.
    pub name: String,
    /// Its element type in the format's spelling, for example `F32`.
    pub dtype: String,
    /// Its dimensions, row-major.
    pub shape: Vec<usize>,
    /// Size of its data.
    pub n_bytes: usize,
}

#[derive(Debug, Clone)]
enum Values {
    F32(Vec<f32>),
    Raw(Vec<u8>),
}

/// Tensors read from safetensors bytes, checked in full.
#[derive(Debug, Clone)]
pub struct TensorFile {
    tensors: Vec<(TensorInfo, Values)>,
    metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Reads a whole file. Takes time and memory in proportion to `bytes`, whatever they say.
    ///
    /// # Errors
    /// [`Error::Format`] for every file that is not exactly what its header describes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let (header, data) = split(bytes)?;
        let at_header = |reason: String| fault(8, reason);
        if header.first() != Some(&b'{') {
            return Err(at_header("the header does not begin with {".into()));
        }
        let text = std::str::from_utf8(header).map_err(|e| at_header(format!("header: {e}")))?;
        let header: Header =
            serde_json::from_str(text).map_err(|e| at_header(format!("header: {}", one_line(&e))))?;

        let mut entries = header.tensors;
        entries.sort_by(|(a, x), (b, y)| (x.data_offsets, a).cmp(&(y.data_offsets, b)));
        let base = (bytes.len() - data.len()) as u64;
        let mut end = 0;
        let mut tensors = Vec::with_capacity(entries.len());
        for (name, entry) in entries {
            let (from, to) = entry.data_offsets;
            let wrong = |reason: String| fault(base + from.min(data.len() as u64), reason);
            if from != end || to < from || to > data.len() as u64 {
                return Err(wrong(format!(
                    "tensor {name:?} covers {from}..{to}, the one before ends at {end}"
                )));
            }
            end = to;
            tensors.push(read_tensor(name, entry, &data[from as usize..to as usize]).map_err(wrong)?);
        }
        if end != data.len() as u64 {
            return Err(fault(base + end, format!("tensors end at {end}, the data at {}", data.len())));
        }
        tensors.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        Ok(Self { tensors, metadata: header.metadata })
    }

    /// Shape and values of a float tensor.
    ///
    /// # Errors
    /// When there is none of that name and type.
    pub fn get(&self, name: &str) -> Result<(&[usize], &[f32])> {
        match self.find(name) {
            Some((info, Values::F32(values))) => Ok((&info.shape, values)),
            _ => Err(self.missing(name, "F32")),
        }
    }

    /// Shape and values of a tensor of bytes.
    ///
    /// # Errors
    /// When there is none of that name and type.
    pub fn get_bytes(&self, name: &str) -> Result<(&[usize], &[u8])> {
        match self.find(name) {
            Some((info, Values::Raw(values))) if info.dtype == "U8" => Ok((&info.shape, values)),
            _ => Err(self.missing(name, "U8")),
        }
    }

    /// Every tensor, by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = &TensorInfo> {
        self.tensors.iter().map(|(info, _)| info)
    }

    /// A metadata text.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    fn find(&self, name: &str) -> Option<&(TensorInfo, Values)> {
        let i = self.tensors.binary_search_by(|(info, _)| info.name.as_str().cmp(name)).ok()?;
        self.tensors.get(i)
    }

    fn missing(&self, name: &str, dtype: &str) -> Error {
        let mut present: Vec<String> =
            self.tensors().take(8).map(|t| format!("{:?} ({})", t.name, t.dtype)).collect();
        if self.tensors.len() > present.len() {
            present.push(format!("and {} more", self.tensors.len() - present.len()));
        }
        let present = if present.is_empty() { "nothing".to_string() } else { present.join(", ") };
        Error::Missing { what: format!("the tensor file ({dtype})"), name: name.to_string(), present }
    }
}

fn fault(at: u64, reason: String) -> Error {
    Error::Format { what: "the tensor file".to_string(), at, reason }
}

/// The text of a JSON error without line breaks or a quoted flood.
fn one_line(error: &serde_json::Error) -> String {
    error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

fn split(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(fault(0, format!("{} bytes are too few for a header", bytes.len())));
    };
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES || length > rest.len() as u64 {
        return Err(fault(0, format!("a header of {length} bytes does not fit into {}", rest.len())));
    }
    Ok(rest.split_at(length as usize))
}

fn read_tensor(name: String, entry: Entry, data: &[u8]) -> Result<(TensorInfo, Values), String> {
    let Some(n_bits) = bits_of(&entry.dtype) else {
        return Err(format!("tensor {name:?} has the unknown type {:?}", entry.dtype));
    };
    let mut shape = Vec::with_capacity(entry.shape.len());
    let mut bits = Some(n_bits);
    for &dimension in &entry.shape {
        let dimension = usize::try_from(dimension).map_err(|_| format!("tensor {name:?} is too large"))?;
        bits = bits.and_then(|b| b.checked_mul(dimension));
        shape.push(dimension);
    }
    if bits != data.len().checked_mul(8) {
        return Err(format!(
            "tensor {name:?} of type {} and shape {shape:?} does not take {} bytes",
            entry.dtype,
            data.len()
        ));
    }
    let values = if entry.dtype == "F32" {
        let floats = data.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]));
        Values::F32(floats.collect())
    } else {
        Values::Raw(data.to_vec())
    };
    Ok((TensorInfo { name, dtype: entry.dtype, shape, n_bytes: data.len() }, values))
}

/// Bits of one element.
fn bits_of(dtype: &str) -> Option<usize> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The JSON object, its tensors in file order, every name at most once.
struct Header {
    tensors: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Header, M::Error> {
                let mut seen = std::collections::BTreeSet::new();
                let mut header = Header { tensors: Vec::new(), metadata: BTreeMap::new() };
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(M::Error::custom(format!("the name {name:?} is used twice")));
                    }
                    if name == "__metadata__" {
                        header.metadata = map.next_value::<Texts>()?.0;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

/// A JSON object of texts, every key at most once.
struct Texts(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextsVisitor;
        impl<'de> Visitor<'de> for TextsVisitor {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Texts, M::Error> {
                let mut texts = BTreeMap::new();
                while let Some((key, text)) = map.next_entry::<String, String>()? {
                    if texts.insert(key.clone(), text).is_some() {
                        return Err(M::Error::custom(format!("the metadata key {key:?} is used twice")));
                    }
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(TextsVisitor)
    }
}
