//! What the contributing guide quotes stands in the sources, word for word. Its other examples are documentation
//! tests of the library.

use std::path::Path;

#[test]
fn quotes_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let mut n = 0;
    for part in guide.split("<!-- quoted from ").skip(1) {
        let (path, rest) = part.split_once(" -->\n```rust,ignore\n").unwrap();
        let (quote, _) = rest.split_once("```").unwrap();
        let source = std::fs::read_to_string(root.join(path)).unwrap();
        assert!(source.contains(quote), "{path} no longer contains:\n{quote}");
        n += 1;
    }
    assert_eq!(n, 4);
}
