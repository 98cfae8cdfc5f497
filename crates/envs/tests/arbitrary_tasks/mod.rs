//! Names and options made of bytes: what users type, right and wrong. For property tests and for fuzzing.

use coact_envs::OptionInfo;
use serde_json::{Map, Value, json};

/// Words that options know, and one that none knows.
const WORDS: [&str; 26] = [
    "easy",
    "medium",
    "hard",
    "one",
    "two",
    "mixed",
    "cooperative",
    "competitive",
    "mpe2",
    "pettingzoo",
    "openai",
    "mappo",
    "none",
    "spring",
    "individual",
    "global",
    "two_stage",
    "flattened",
    "dict",
    "cramped_room",
    "forced_coordination",
    "WWWWW\nO1P2O\nW   W\nWBXWW\n",
    "..g.\n.xx.\n....",
    "",
    "sum",
    "nonsense",
];

/// Numbers that options may be given: small ones, and some that no environment has room for.
const NUMBERS: [f64; 20] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0, 12.0, 20.0, 60.0, 0.25, 0.5, 1.5, -1.0, 1e3, 1e9, 4e9, 1e300,
];

/// A task: a listed name or one of a family, and some of its options. The same bytes give the same task.
pub fn task(bytes: &mut impl Iterator<Item = u8>) -> (String, Value) {
    let mut next = || bytes.next().unwrap_or(0);
    let which = next();
    let all = coact_envs::ALL;
    let (name, known): (String, &[OptionInfo]) = match which % 8 {
        0 | 1 => (foraging(&mut next), coact_envs::lbf::FAMILY.options),
        2 => (warehouse(&mut next), coact_envs::rware::FAMILY.options),
        _ => {
            let entry = &all[next() as usize % all.len()];
            (entry.name.into(), entry.options)
        }
    };
    let mut options = Map::new();
    for option in known {
        if next() % 4 == 0 {
            options.insert(option.name.into(), value(&mut next, option.default));
        }
    }
    // Episodes are short, so that some end.
    for limit in ["max_cycles", "max_steps"] {
        if known.iter().any(|o| o.name == limit) && !options.contains_key(limit) {
            options.insert(limit.into(), json!(1 + next() % 12));
        }
    }
    (name, Value::Object(options))
}

fn foraging(next: &mut impl FnMut() -> u8) -> String {
    let mut number = |n: u8| next() % n;
    let (rows, cols, players, foods) = (3 + number(8), 3 + number(8), number(5), number(5));
    let sight = [String::new(), "-1s".into(), "-2s".into()][number(3) as usize].clone();
    let flags = number(16);
    let flag = |bit: u8, name: &'static str| if flags >> bit & 1 == 1 { name } else { "" };
    let (grid, coop, ind, pen) = (flag(0, "-grid"), flag(1, "-coop"), flag(2, "-ind"), flag(3, "-pen"));
    format!("lbf/Foraging{grid}{sight}-{rows}x{cols}-{players}p-{foods}f{coop}{ind}{pen}-v3")
}

fn warehouse(next: &mut impl FnMut() -> u8) -> String {
    let size = ["tiny", "small", "medium", "large", "custom", "1x3", "2x5"][next() as usize % 7];
    let level = ["", "-easy", "-hard"][next() as usize % 3];
    format!("rware/{size}-{}ag{level}-v2", next() % 21)
}

/// A value, mostly of the kind of the default.
fn value(next: &mut impl FnMut() -> u8, default: &str) -> Value {
    let kind = next();
    let number = NUMBERS[next() as usize % NUMBERS.len()];
    let number =
        if number.fract() == 0.0 && number.abs() < 1e10 { json!(number as i64) } else { json!(number) };
    let word = json!(WORDS[next() as usize % WORDS.len()]);
    match (kind % 16, default.chars().next()) {
        (0, _) => Value::Null,
        (1, _) => json!([1, 2]),
        (2, _) => json!(true),
        (3, _) => word,
        (_, Some('"')) => word,
        (_, Some('t' | 'f')) => json!(kind & 16 > 0),
        _ => number,
    }
}
