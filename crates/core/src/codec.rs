//! A minimal binary codec for exact state: little-endian, length-prefixed, no self-description.
//!
//! Used where a resumed run must continue to the same bits (environments, normalizers, replay). It reads
//! untrusted bytes: lengths are checked before anything is allocated, and every fault is an error.

use crate::{Error, Result};

/// Appends values to a byte buffer.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends one unsigned 64-bit number.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends one unsigned 32-bit number.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends one f32 by its bits.
    pub fn f32(&mut self, value: f32) {
        self.u32(value.to_bits());
    }

    /// Appends one f64 by its bits.
    pub fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    /// Appends one bool as a byte.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// Appends a length and the bytes.
    pub fn bytes(&mut self, values: &[u8]) {
        self.u64(values.len() as u64);
        self.bytes.extend_from_slice(values);
    }

    /// Appends a length and the values.
    pub fn f32s(&mut self, values: &[f32]) {
        self.u64(values.len() as u64);
        self.bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    /// Appends a length and the values.
    pub fn f64s(&mut self, values: &[f64]) {
        self.u64(values.len() as u64);
        self.bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    /// Appends a length and the values.
    pub fn u32s(&mut self, values: &[u32]) {
        self.u64(values.len() as u64);
        self.bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    /// Appends a length and the values.
    pub fn u64s(&mut self, values: &[u64]) {
        self.u64(values.len() as u64);
        self.bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    /// Appends a length and the values, a byte each.
    pub fn bools(&mut self, values: &[bool]) {
        self.u64(values.len() as u64);
        self.bytes.extend(values.iter().map(|&v| u8::from(v)));
    }
}

/// Reads values in the order in which they were written.
#[derive(Debug)]
pub struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`; `what` names the state in errors.
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, bytes, at: 0 }
    }

    /// An error at the current position.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        Error::Decode { what: self.what, at: self.at, reason: reason.into() }
    }

    /// Fails unless every byte was read.
    pub fn finish(self) -> Result<()> {
        if self.at == self.bytes.len() {
            return Ok(());
        }
        Err(self.error(format!("{} bytes too many", self.bytes.len() - self.at)))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.len() < n {
            return Err(self.error(format!("needs {n} bytes, {} are left", rest.len())));
        }
        self.at += n;
        Ok(&rest[..n])
    }

    fn array<const K: usize>(&mut self) -> Result<[u8; K]> {
        let mut out = [0; K];
        out.copy_from_slice(self.take(K)?);
        Ok(out)
    }

    /// Reads a length and that many items of `size` bytes, checked against what is left.
    fn items(&mut self, size: usize) -> Result<&'a [u8]> {
        let n = self.u64()?;
        let total = usize::try_from(n).ok().and_then(|n| n.checked_mul(size));
        match total {
            Some(total) => self.take(total),
            None => Err(self.error(format!("length {n} is too large"))),
        }
    }

    /// Reads one unsigned 64-bit number.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads one unsigned 32-bit number.
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads one f32.
    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_bits(self.u32()?))
    }

    /// Reads one f64.
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.u64()?))
    }

    /// Reads one bool.
    pub fn bool(&mut self) -> Result<bool> {
        match self.array::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.error(format!("{other} is not a bool"))),
        }
    }

    /// Reads a length and the bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        self.items(1)
    }

    /// Reads exactly `out.len()` values.
    pub fn f32s(&mut self, out: &mut [f32]) -> Result<()> {
        self.fill(out, 4, |c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
    }

    /// Reads exactly `out.len()` values.
    pub fn f64s(&mut self, out: &mut [f64]) -> Result<()> {
        self.fill(out, 8, |c| f64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
    }

    /// Reads exactly `out.len()` values.
    pub fn u32s(&mut self, out: &mut [u32]) -> Result<()> {
        self.fill(out, 4, |c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
    }

    /// Reads exactly `out.len()` values.
    pub fn u64s(&mut self, out: &mut [u64]) -> Result<()> {
        self.fill(out, 8, |c| u64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]))
    }

    /// Reads exactly `out.len()` values.
    pub fn bools(&mut self, out: &mut [bool]) -> Result<()> {
        let start = self.at;
        let raw = self.items(1)?;
        if let Some(bad) = raw.iter().position(|&b| b > 1) {
            self.at = start + 8 + bad;
            return Err(self.error(format!("{} is not a bool", raw[bad])));
        }
        self.check_len(raw.len(), out.len())?;
        out.iter_mut().zip(raw).for_each(|(o, &b)| *o = b == 1);
        Ok(())
    }

    fn fill<T>(&mut self, out: &mut [T], size: usize, read: impl Fn(&[u8]) -> T) -> Result<()> {
        let raw = self.items(size)?;
        self.check_len(raw.len() / size, out.len())?;
        out.iter_mut().zip(raw.chunks_exact(size)).for_each(|(o, c)| *o = read(c));
        Ok(())
    }

    fn check_len(&self, found: usize, expected: usize) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(self.error(format!("{found} values where {expected} belong; was the configuration changed?")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_was_written_and_refuses_every_truncation() {
        let mut w = Writer::new();
        w.u64(u64::MAX);
        w.f32s(&[1.5, -0.0, f32::NAN]);
        w.bools(&[true, false]);
        w.bytes(b"abc");
        let bytes = w.into_bytes();
        let read = |bytes: &[u8]| -> Result<()> {
            let mut r = Reader::new("test", bytes);
            assert_eq!(r.u64()?, u64::MAX);
            let mut f = [0.0; 3];
            r.f32s(&mut f)?;
            assert_eq!(f[1].to_bits(), (-0.0_f32).to_bits());
            let mut b = [false; 2];
            r.bools(&mut b)?;
            assert_eq!(b, [true, false]);
            assert_eq!(r.bytes()?, b"abc");
            r.finish()
        };
        read(&bytes).unwrap();
        for n in 0..bytes.len() {
            assert!(read(&bytes[..n]).is_err(), "accepted {n} of {} bytes", bytes.len());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(read(&longer).is_err());
    }

    #[test]
    fn a_huge_length_is_an_error_and_not_an_allocation() {
        let mut w = Writer::new();
        w.u64(u64::MAX);
        let bytes = w.into_bytes();
        assert!(Reader::new("test", &bytes).f64s(&mut [0.0]).is_err());
    }
}
