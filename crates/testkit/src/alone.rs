//! A test program without a harness, for tests that watch the whole process: a harness has threads of its own, and
//! what they allocate would be counted.
//!
//! Included by path (`#[path = "../../testkit/src/alone.rs"]`) in tests declared with `harness = false`, so that they
//! need nothing built but the crate under test.

/// Runs `test`, or answers a runner that asks which tests there are.
pub fn run(name: &str, test: fn()) {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let asked = |flag: &str| args.iter().any(|arg| arg == flag);
    if asked("--list") {
        if !asked("--ignored") {
            println!("{name}: test");
        }
        return;
    }
    // Anything that is not an option is a filter, as a harness has it.
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    if asked("--ignored")
        || !(filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
    {
        return;
    }
    test();
}
