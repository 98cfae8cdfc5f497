//! Rules on single files: names, module docs, length, words that the house does not use, paths of somebody's
//! machine.

use super::Fault;
use super::lexer::{code_of, words};

/// A file this long is two.
const MAX_LINES: usize = 800;
const BANNED_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc"];
const BANNED_ENDINGS: &[&str] = &["_v2", "_new", "_best", "_old"];
const BANNED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
/// The only homes of `unsafe`: kernels, and the file that lends memory to Python.
const UNSAFE_HOMES: &[&str] = &["crates/kernels/", "crates/python/src/lend.rs"];
/// Starts of absolute paths, in pieces so that this file does not contain them.
const MACHINE_PATHS: &[(&str, &str)] =
    &[("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Use", "rs/"), ("C:\\", "Users")];
/// Recorded by other programs, kept as they came.
const DATA: &str = "testdata/vectors/";

/// Rules on the path alone.
pub fn check_name(path: &str) -> Vec<Fault> {
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let bad = parts.filter(|part| is_banned_name(part));
    bad.map(|part| Fault::new(path, 0, format!("`{part}` says nothing; name it after what it holds")))
        .collect()
}

fn is_banned_name(name: &str) -> bool {
    BANNED_NAMES.contains(&name) || BANNED_ENDINGS.iter().any(|end| name.ends_with(end))
}

/// Rules on the text of one file.
pub fn check_text(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !path.starts_with(DATA) {
        check_paths(path, text, &mut faults);
    }
    if path.ends_with(".rs") {
        check_rust(path, text, &mut faults);
    }
    faults
}

fn check_paths(path: &str, text: &str, faults: &mut Vec<Fault>) {
    for (i, line) in text.lines().enumerate() {
        let start = MACHINE_PATHS.iter().map(|(a, b)| format!("{a}{b}")).find(|start| is_path(line, start));
        if let Some(start) = start {
            faults.push(Fault::new(
                path,
                i + 1,
                format!("`{start}...` is a path of one machine; make it relative"),
            ));
        }
    }
}

/// Whether `line` has an absolute path that begins with `start`: nothing that continues a longer path before it.
fn is_path(line: &str, start: &str) -> bool {
    line.match_indices(start).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~*}>)".contains(c)))
    })
}

fn check_rust(path: &str, text: &str, faults: &mut Vec<Fault>) {
    let opens = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    if !opens.is_some_and(|line| line.starts_with("//!")) {
        faults.push(Fault::new(path, 1, "opens without `//!`; say what the module is, and what it is not"));
    }
    let n_lines = text.lines().count();
    if n_lines > MAX_LINES {
        let what = format!("{n_lines} lines; past {MAX_LINES} it is two modules");
        faults.push(Fault::new(path, 0, what));
    }
    let code = code_of(text);
    let mut before = "";
    for (line, word, (left, right)) in words(&code) {
        if word == "done" && is_field_or_argument(left, right) {
            let what = "`done` hides what ended; say terminated, truncated or discount";
            faults.push(Fault::new(path, line, what));
        }
        if word == "unsafe" && !UNSAFE_HOMES.iter().any(|home| path.starts_with(home)) {
            let what = format!("`unsafe` belongs in {} only", UNSAFE_HOMES.join(" and "));
            faults.push(Fault::new(path, line, what));
        }
        if right.starts_with('!') && BANNED_MACROS.contains(&word) {
            faults.push(Fault::new(path, line, format!("`{word}!` is not finished work")));
        }
        if before == "mod" && is_banned_name(word) {
            faults.push(Fault::new(
                path,
                line,
                format!("module `{word}` says nothing; name it after what it holds"),
            ));
        }
        before = word;
    }
}

/// Whether the word between `left` and `right` names a field, an argument or a struct's column, and not a local.
fn is_field_or_argument(left: &str, right: &str) -> bool {
    let right = right.trim_start();
    left.ends_with('.') || (right.starts_with(':') && !right.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[(usize, &str)]) {
        let found = check_text(path, text);
        assert_eq!(found.len(), expected.len(), "{path}: {found:?}");
        for (fault, (line, part)) in found.iter().zip(expected) {
            assert!(fault.line == *line && fault.what.contains(part), "{fault} is not {line}: {part}");
        }
    }

    #[test]
    fn names() {
        for bad in ["crates/envs/src/utils.rs", "crates/common/Cargo.toml", "a/dqn_v2.rs", "a/helpers/mod.rs"]
        {
            assert_eq!(check_name(bad).len(), 1, "{bad}");
        }
        for good in ["crates/core/src/rng.rs", ".ci/run", "docs/commonplace.md"] {
            assert_eq!(check_name(good), [], "{good}");
        }
    }

    #[test]
    fn module_docs() {
        check("a.rs", "//! What.\nfn f() {}\n", &[]);
        check("a.rs", "#![no_main]\n//! What.\n", &[]);
        check("a.rs", "// Not a doc.\nfn f() {}\n", &[(1, "//!")]);
        check("a.rs", "", &[(1, "//!")]);
        check("a.md", "fn f() {}\n", &[]);
    }

    #[test]
    fn words_of_the_house() {
        check("a.rs", "//! done\nlet s = \"done\"; // done\n", &[]);
        check("a.rs", "//! A.\nstruct S { done: bool }\nlet d = s.done;\n", &[(2, "done"), (3, "done")]);
        check("a.rs", "//! A.\nlet is_done: bool = done::all();\n", &[]);
        check("a.rs", "//! A.\nfn f(done: bool) {}\n", &[(2, "done")]);
        check("a.rs", "//! A.\nfn f() { unsafe { g() } }\n", &[(2, "unsafe")]);
        check("crates/kernels/src/a.rs", "//! A.\nfn f() { unsafe { g() } }\n", &[]);
        check("crates/python/src/lend.rs", "//! A.\nfn f() { unsafe { g() } }\n", &[]);
        check("crates/python/src/one.rs", "//! A.\nfn f() { unsafe { g() } }\n", &[(2, "unsafe")]);
        check("a.rs", "//! A.\n#![forbid(unsafe_code)]\n", &[]);
        check("a.rs", "//! A.\nfn f() { todo!() }\nfn g() { dbg!(1) }\n", &[(2, "todo"), (3, "dbg")]);
        check("a.rs", "//! A.\nmod helpers;\n", &[(2, "helpers")]);
    }

    #[test]
    fn length() {
        let text = |n: usize| format!("//! A.\n{}", "fn f() {}\n".repeat(n - 1));
        check("a.rs", &text(800), &[]);
        check("a.rs", &text(801), &[(0, "801 lines")]);
    }

    #[test]
    fn machine_paths() {
        let home = format!("{}{}", MACHINE_PATHS[2].0, MACHINE_PATHS[2].1);
        check("a.md", &format!("see {home}me/notes"), &[(1, "relative")]);
        check("a.toml", &format!("dir = \"{home}me\""), &[(1, "relative")]);
        check("a.md", &format!("$HOME{home} and https://x.org{home}y and ~{home}"), &[]);
    }
}
