//! Standard output and error. A reader that goes away (`| head`) ends the program quietly, not with a panic.

use std::io::{self, Write};

/// One line to standard output.
pub fn say(text: impl std::fmt::Display) {
    write_line(io::stdout().lock(), text);
}

/// One line to standard error.
pub fn note(text: impl std::fmt::Display) {
    write_line(io::stderr().lock(), text);
}

fn write_line(mut to: impl Write, text: impl std::fmt::Display) {
    if writeln!(to, "{text}").and_then(|()| to.flush()).is_err() {
        std::process::exit(0);
    }
}
