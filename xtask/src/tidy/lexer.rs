//! Rust source with comments, strings and characters blanked out, so that what is left is code. Not a parser: it
//! knows only where text ends and code begins.

/// `source` with the content of comments and literals replaced by spaces; lines stay where they are.
pub fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = text_end(bytes, at);
        if end > at {
            code.extend(bytes[at..end].iter().map(|&b| if b == b'\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            // Only ASCII matters to the rules; anything else outside of text is an identifier's letter.
            code.push(if bytes[at].is_ascii() { bytes[at] as char } else { 'x' });
            at += 1;
        }
    }
    code
}

/// Identifiers and keywords of `code`, each with its line (from 1) and what stands before and after it in the line.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str, (&str, &str))> {
    code.lines().enumerate().flat_map(|(i, line)| {
        let word = |w: &&str| !w.is_empty();
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(word);
        words.map(move |w| {
            let start = w.as_ptr() as usize - line.as_ptr() as usize;
            (i + 1, w, (&line[..start], &line[start + w.len()..]))
        })
    })
}

/// Where the comment or literal that starts at `at` ends, or `at` if none starts there.
fn text_end(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment_len(rest),
        [b'"', ..] => at + quoted_len(rest, b'"'),
        [b'\'', b'\\', ..] => at + quoted_len(rest, b'\''),
        [b'\'', ..] => at + char_len(rest),
        [b'r' | b'b' | b'c', ..] if at == 0 || !is_word(bytes[at - 1]) => at + prefixed_len(rest),
        _ => at,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut i) = (0_usize, 0);
    while i + 1 < rest.len() {
        match &rest[i..i + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                i += 1;
                continue;
            }
        }
        i += 2;
        if depth == 0 {
            return i;
        }
    }
    rest.len()
}

/// Length of a literal between two `quote`s, backslashes heeded.
fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut i = 1;
    while i < rest.len() {
        match rest[i] {
            b'\\' => i += 2,
            b if b == quote => return i + 1,
            _ => i += 1,
        }
    }
    rest.len()
}

/// Length of a character literal, 0 for a lifetime. A character has up to four bytes.
fn char_len(rest: &[u8]) -> usize {
    let character = std::str::from_utf8(&rest[1..rest.len().min(5)])
        .or_else(|e| std::str::from_utf8(&rest[1..1 + e.valid_up_to()]))
        .ok()
        .and_then(|text| text.chars().next());
    match character {
        Some(c) if rest.get(1 + c.len_utf8()) == Some(&b'\'') => 2 + c.len_utf8(),
        _ => 0,
    }
}

/// Length of a raw, byte or C string or a byte character; 0 for an ordinary word.
fn prefixed_len(rest: &[u8]) -> usize {
    let letters = rest.iter().take(2).take_while(|b| b"rbc".contains(b)).count();
    if rest[..letters].last() == Some(&b'r') {
        let hashes = rest[letters..].iter().take_while(|&&b| b == b'#').count();
        if rest.get(letters + hashes) != Some(&b'"') {
            return 0;
        }
        let mut close = vec![b'#'; hashes + 1];
        close[0] = b'"';
        let body = letters + hashes + 1;
        let found = rest[body..].windows(close.len()).position(|w| w == close);
        return found.map_or(rest.len(), |i| body + i + close.len());
    }
    match rest.get(letters) {
        Some(&quote @ b'"') => letters + quoted_len(&rest[letters..], quote),
        Some(&quote @ b'\'') if rest[..letters] == [b'b'] => letters + quoted_len(&rest[letters..], quote),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_code_and_blanks_text() {
        let check = |source: &str, expected: &[&str]| {
            let code = code_of(source);
            assert_eq!(code.lines().count(), source.lines().count());
            assert_eq!(words(&code).map(|(_, w, _)| w).collect::<Vec<_>>(), expected, "{source}");
        };
        check("let a = 1; // unsafe", &["let", "a", "1"]);
        check("/* a /* b */ c */ d", &["d"]);
        check(r#"f("a \" b", c)"#, &["f", "c"]);
        check("r#\"a \" b\"# c r#type", &["c", "r", "type"]);
        check("fn f<'a>(x: &'a str) -> char { 'b' }", &["fn", "f", "a", "x", "a", "str", "char"]);
        check(r"match c { '\'' => a, '\\' => b, 'é' => d, b'x' => e }", &["match", "c", "a", "b", "d", "e"]);
        check("br\"raw\" b\"bytes\" c\"c\" bar\"x\"", &["bar"]);
        check("\"two\nlines\" after", &["after"]);
    }

    #[test]
    fn words_know_their_line_and_what_is_around_them() {
        let all: Vec<_> = words("a b!\nc").collect();
        assert_eq!(all, [(1, "a", ("", " b!")), (1, "b", ("a ", "!")), (2, "c", ("", ""))]);
    }
}
