//! Gambit's `.efg` format: what we write can be read, what others write too, and faults are named with their place.

#![allow(clippy::unwrap_used)]

use coact_games::efg;
use coact_games::extensive::games::{ALL, by_name};
use coact_games::extensive::{Cfr, CfrOptions, Profile, Tree, TreeBuilder, assess};
use coact_games::scalar::ratio;
use proptest::prelude::*;

/// Payoffs on the way, fractions, decimals, descriptions left out, commas, old `D`.
const SIGNALS: &str = r#"EFG 2 D "A \"game\"" { "Ann" "Bob" } "with
a comment"
c "" 7 "weather" { "sun" 0.25 "rain" 3/4 } 0
p "root" 1 3 "morning" { "go" "stay" } 9 "fee" { -1, 1/2 }
t "" 1 "good" { 4 0 }
p "" 2 1 "seen" { "yes" "no" } 0
t "" 2 "bad" { 1e0 2.50 }
t "" 1
p "" 1 3 9
t "" 2
p "" 2 1 0
t "" 0
t "" 1 "good" { 4.0 0 }
"#;

#[test]
fn all_that_the_format_allows_is_read() {
    let tree = efg::read(SIGNALS).unwrap();
    assert_eq!((tree.title(), tree.comment()), ("A \"game\"", "with\na comment"));
    assert_eq!((tree.n_nodes(), tree.n_decisions(), tree.n_infosets()), (11, 2, 3));
    assert_eq!(tree.infoset(0).probabilities, [ratio(1, 4), ratio(3, 4)]);
    // Uniform play: the fee is always paid. Sun: go 4 0 | yes 1 5/2 | no 4 0; rain: go 1 5/2 | yes 0 0 | no 4 0.
    let values: Vec<coact_games::Rational> = assess(&tree, &Profile::uniform(&tree)).unwrap().values;
    let sun = (ratio(4, 2) + ratio(5, 4), ratio(5, 8));
    let rain = (ratio(1, 2) + ratio(4, 4), ratio(5, 4));
    let mean = |s: &coact_games::Rational, r: &coact_games::Rational| s * ratio(1, 4) + r * ratio(3, 4);
    assert_eq!(values[0], mean(&sun.0, &rain.0) - ratio(1, 1));
    assert_eq!(values[1], mean(&sun.1, &rain.1) + ratio(1, 2));
}

#[test]
fn built_in_games_survive_writing_and_reading() {
    for entry in ALL.iter().filter(|e| e.name != "tic_tac_toe") {
        let name = if entry.name == "liars_dice" { "liars_dice(sides=3)" } else { entry.name };
        let tree = by_name(name).unwrap().tree(1_000_000).unwrap();
        assert_eq!(efg::read(&efg::write(&tree)).unwrap(), tree, "{name}");
    }
}

/// CFR+ on the file that we wrote of a game, and on the game.
#[test]
fn a_game_from_a_file_is_solved_like_the_built_in_one() {
    for (name, value) in [("kuhn_poker", -1.0 / 18.0), ("leduc_poker", -0.085606424078)] {
        let tree = by_name(name).unwrap().tree(100_000).unwrap();
        let average = |tree: &Tree| {
            let mut cfr = Cfr::new(tree, CfrOptions::PLUS).unwrap();
            (0..300).for_each(|_| cfr.step());
            assert!((cfr.assess().values[0] - value).abs() < 1e-3);
            cfr.average()
        };
        assert_eq!(average(&efg::read(&efg::write(&tree)).unwrap()), average(&tree));
    }
}

#[test]
fn faults_are_named_with_line_and_column() {
    let start = "EFG 2 R \"x\" { \"A\" \"B\" }\n";
    let with = |body: &str| format!("{start}{body}");
    for (text, expected) in [
        ("".into(), "line 1, column 1: expected `EFG`"),
        ("NFG 1 R".into(), "line 1, column 1: expected `EFG`"),
        ("EFG 3 R".into(), "line 1, column 5: only version 2"),
        ("EFG 2 R \"x\" { }".into(), "line 1, column 15: a game needs at least one player"),
        ("EFG 2 R \"x".into(), "line 1, column 9: expected a `\"`"),
        (with(""), "line 2, column 1: expected a node"),
        (with("q \"\" 0"), "line 2, column 1: expected a node"),
        (with("p \"\" 3 1 \"i\" { \"a\" } 0"), "line 2, column 6: player 3 does not exist"),
        (with("p \"\" 1 1 0"), "line 2, column 10: information set 1 appears first here"),
        (with("p \"\" 1 1 \"i\" { } 0"), "line 2, column 8: information set `i` has no actions"),
        (with("c \"\" 1 \"e\" { \"a\" 1/2 \"b\" 1/3 } 0"), "add up to 0.8333333333333334"),
        (with("c \"\" 1 \"e\" { \"a\" 3/2 \"b\" -1/2 } 0"), "probability -1/2 of `b`"),
        (with("c \"\" 1 \"e\" { \"a\" x } 0"), "line 2, column 18: expected a probability, found `x`"),
        (with("t \"\" 1 \"o\" { 1 }"), "outcome `o` has 1 payoffs; 2 players need 2"),
        (with("t \"\" 1 \"o\" { 1 2 3 }"), "line 2, column 18: outcome 1 has more than 2 payoffs"),
        (with("t \"\" 0 \"o\" { 1 2 }"), "line 2, column 6: outcome 0 means no payoffs"),
        (with("t \"\" 0\nt \"\" 0"), "line 3, column 1: expected the end of the file"),
        (
            with("p \"\" 1 1 \"i\" { \"a\" \"b\" } 0\nt \"\" 0\np \"\" 1 1 \"j\" { \"a\" \"b\" } 0"),
            "line 4, column 8: this information set (`j`) differs",
        ),
        (
            with("p \"\" 1 1 \"i\" { \"a\" \"b\" } 0\nt \"\" 1 \"o\" { 1 1 }\nt \"\" 1 \"o\" { 1 2 }"),
            "line 4, column 6: outcome 1 differs",
        ),
    ] {
        let text: String = text;
        let error = efg::read(&text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.starts_with("line "), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn rounded_decimals_are_scaled_and_coarse_ones_are_not() {
    let chance = |p: &str| {
        let body =
            format!("c \"\" 1 \"e\" {{ \"a\" {p} \"b\" {p} \"c\" {p} }} 0\nt \"\" 0\nt \"\" 0\nt \"\" 0\n");
        efg::read(&format!("EFG 2 R \"x\" {{ \"A\" }}\n{body}"))
    };
    assert_eq!(chance("0.333333").unwrap().infoset(0).probabilities, vec![ratio(1, 3); 3]);
    assert!(chance("0.33333333333333333").is_ok());
    assert!(chance("0.333").is_err());
    assert!(chance("0.33334").is_err());
}

/// A player who does not remember an own move; one who is twice at the same place.
#[test]
fn imperfect_recall_is_read_but_refused_by_methods_that_need_recall() {
    let forgets = "EFG 2 R \"x\" { \"A\" }\np \"\" 1 1 \"first\" { \"a\" \"b\" } 0\n\
        p \"\" 1 2 \"later\" { \"c\" \"d\" } 0\nt \"\" 0\nt \"\" 0\np \"\" 1 2 0\nt \"\" 0\nt \"\" 0\n";
    let absent_minded = "EFG 2 R \"x\" { \"A\" }\np \"\" 1 1 \"exit\" { \"go\" \"out\" } 0\n\
        p \"\" 1 1 0\nt \"\" 0\nt \"\" 0\nt \"\" 0\n";
    for (text, infoset) in [(forgets, "later"), (absent_minded, "exit")] {
        let tree = efg::read(text).unwrap();
        let error = Cfr::new(&tree, CfrOptions::CFR).unwrap_err().to_string();
        assert!(error.contains("imperfect recall") && error.contains(infoset), "{error}");
        assert!(assess::<f64>(&tree, &Profile::uniform(&tree)).is_err());
    }
}

/// A chain of moves so long that recursion would overflow the stack.
#[test]
fn deep_trees_are_read_and_written() {
    let n = 50_000;
    let mut builder = TreeBuilder::new("deep", "", vec!["A".into()]).unwrap();
    for i in 0..n {
        let infoset = builder.infoset(0, format!("{i}"), vec!["stop".into(), "on".into()]).unwrap();
        let outcome = builder.outcome("", vec![ratio(1, 1)]).unwrap();
        builder.branch("", infoset, outcome).unwrap();
        builder.leaf("", 0).unwrap();
    }
    builder.leaf("", 0).unwrap();
    let tree = builder.finish().unwrap();
    assert_eq!(efg::read(&efg::write(&tree)).unwrap(), tree);
    let last = assess(&tree, &Profile::<f64>::first_actions(&tree)).unwrap();
    assert_eq!((last.values[0], last.best_responses[0]), (1.0, f64::from(n)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn broken_files_never_panic(cut in 0usize..700, at in 0usize..700, with in "[cpt0-9 {}\"/.,x\\\\-]{0,3}") {
        let mut text: Vec<char> = SIGNALS.chars().collect();
        let at = at % text.len();
        text.splice(at..at, with.chars());
        text.truncate(cut % text.len() + 1);
        let text: String = text.into_iter().collect();
        if let Err(error) = efg::read(&text) {
            prop_assert!(error.to_string().starts_with("line "), "{}", error);
        }
    }
}
