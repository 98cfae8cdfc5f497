//! Files as text: what is no text is pointed at, as any other fault in a file.

use std::path::Path;

use coact_core::{Error, Result};

/// The text of a file.
///
/// # Errors
/// A file that cannot be read; bytes that are not UTF-8, with their line and column.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes =
        std::fs::read(path).map_err(|e| Error::invalid(format!("cannot read {}: {e}", path.display())))?;
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let before = String::from_utf8_lossy(&bytes[..at]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let found = bytes[at];
        Error::invalid(format!(
            "{}: line {line}, column {column}: found the byte 0x{found:02x}, expected text in UTF-8",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_pointed_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.csv");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path).map_err(|e| e.to_string())
        };
        assert_eq!(read("1,\u{e9}\n".as_bytes()), Ok("1,\u{e9}\n".into()));
        for (bytes, place) in [
            (&b"\xff\xfe1"[..], "line 1, column 1: found the byte 0xff"),
            (b"1,2\n\xc3\xa9,\xe9\n", "line 2, column 3: found the byte 0xe9"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(place) && error.contains("UTF-8"), "{error}");
        }
        assert!(read_text(&dir.path().join("gone")).is_err_and(|e| e.to_string().contains("gone")));
    }
}
