//! Problems as files: what is read, and how wrong files are answered.

#![allow(clippy::unwrap_used, reason = "a test may fail so")]

use coact_allocation::input::{Changes, Problem, read_problem};
use coact_allocation::methods::{self, Options, default_method, solve};
use coact_allocation::result::{to_json, verify};
use coact_allocation::{Error, FORBIDDEN, Goal, Objective};
use proptest::prelude::*;

/// The error of a text: line, column, and the words of what was found and expected.
fn refused(text: &str) -> (usize, usize, String) {
    match read_problem(text).unwrap_err() {
        Error::Parse { line, column, found, expected } => (line, column, format!("{found}; {expected}")),
        other => panic!("{text:?}: {other}"),
    }
}

fn costs(text: &str) -> (usize, usize, Vec<f64>) {
    match read_problem(text).unwrap() {
        Problem::Costs { costs, .. } => (costs.n_rows(), costs.n_cols(), costs.costs().to_vec()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn matrices_as_csv() {
    assert_eq!(costs("1,2\n3,4"), (2, 2, vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(
        costs("\u{feff}# costs\n\n 1 , -2e3 \r\ninf,\n"),
        (2, 2, vec![1.0, -2000.0, FORBIDDEN, FORBIDDEN])
    );
    assert_eq!(costs("robot,a,b\n\"r, 1\",5,\nr2,-,7\n"), (2, 2, vec![5.0, FORBIDDEN, FORBIDDEN, 7.0]));
    assert_eq!(costs("a,b\n1,2\n"), (1, 2, vec![1.0, 2.0]));
    assert_eq!(costs("7"), (1, 1, vec![7.0]));
    assert_eq!(costs("[[1, null], [2.5, -3]]"), (2, 2, vec![1.0, FORBIDDEN, 2.5, -3.0]));
    assert_eq!(costs("[]"), (0, 0, vec![]));
}

#[test]
fn wrong_csv_is_pointed_at() {
    let cases = [
        ("", 1, 1, "empty"),
        ("1,2\n3", 2, 1, "1 fields; 2"),
        ("1,2\n3,4,5", 2, 5, "3 fields; 2"),
        ("1,2\n3,four", 2, 3, "`four`; a cost"),
        ("1,2\n3,nan", 2, 3, "`nan`"),
        ("1,2\n3,-inf", 2, 3, "`-inf`"),
        ("1,1e101\n3,4", 1, 3, "1e100"),
        ("1,1e400\n3,4", 1, 3, "`1e400`"),
        ("1,2\n3,x", 2, 3, "`x`; a cost"),
        ("1,\"2\n3,4", 1, 3, "quote"),
        ("1,\"2\"3", 1, 6, "a comma"),
        ("kind,name,x,z\n", 1, 13, "`z`; one of"),
        ("kind,x,x\n", 1, 8, "once"),
        ("kind,x,y\nrobot,1\n", 2, 1, "column `y`"),
        ("kind,x,y\nrobot,1,far\n", 2, 9, "`far`"),
        ("kind,x,y\ndrone,1,2\n", 2, 1, "`robot` or `task`"),
        ("kind,x,y\nrobot,1,2,3\n", 2, 11, "one more field"),
        ("kind,x,y,capacity\nrobot,1,2,-1\n", 2, 11, "`-1`; a number of tasks"),
        ("kind,x,y,speed\nrobot,1,2,0\n", 2, 1, "speed"),
        ("kind,name,x,y,after\ntask,a,1,2,b\n", 2, 12, "`b`; the name of a task"),
        ("kind,x,y,earliest,latest\ntask,1,2,5,4\n", 2, 1, "latest"),
        ("kind,x,y,latest\ntask,1,2,1e999\n", 2, 10, "`1e999`"),
        (
            "kind,x,y,name\nrobot,1,2,a\ntask,1,2,a\nrobot,3,4,a\n",
            4,
            11,
            "`a` again; a name that no other robot",
        ),
        ("kind,x,y,name\ntask,1,2,a\ntask,3,4,a\n", 3, 10, "no other task"),
        // The first only waits for the circle.
        (
            "kind,name,x,y,after\ntask,a,1,2,b\ntask,b,1,2,c\ntask,c,1,2,b\n",
            3,
            6,
            "`b` after itself; tasks that do not wait",
        ),
    ];
    for (text, line, column, words) in cases {
        let (l, c, found) = refused(text);
        assert_eq!((l, c), (line, column), "{text:?}: {found}");
        assert!(found.contains(words), "{text:?}: {found}");
    }
}

#[test]
fn wrong_json_is_pointed_at() {
    let deep = "[".repeat(1000);
    let cases = [
        ("[[1, 2],\n [3]]", 2, 2, "a list of 1; a row of 2 costs"),
        ("[[1, \"a\"]]", 1, 6, "\"a\"; a cost"),
        ("[[1, 1e200]]", 1, 6, "1e100"),
        ("[[1, 1e999]]", 1, 6, "a number"),
        ("[[1,]]", 1, 5, "`]`; a value"),
        ("[[1] [2]]", 1, 6, "`[`; `,` or `]`"),
        ("[[1]] x", 1, 7, "end of the file"),
        ("[[1", 1, 4, "end of the file"),
        ("{\"costs\": [[1]], \"cost\": 1}", 1, 18, "\"cost\""),
        ("{\"costs\": [[1]], \"costs\": 1}", 1, 18, "once"),
        ("{\"costs\": [[1]], \"objective\": \"most\"}", 1, 31, "`min` or `max`"),
        ("{\"costs\": {}}", 1, 11, "an object; a list of rows"),
        ("{\"a\": tru}", 1, 7, "`tru`"),
        ("{\"a\" 1}", 1, 6, "`:`"),
        ("{\"a\": \"b", 1, 9, "closing quote"),
        ("{\"a\": \"\\q\"}", 1, 9, "escape"),
        ("{}", 1, 1, "an object; an object with `costs`"),
        ("{\"n_rows\": 2, \"n_cols\": 2, \"entries\": [[0, 2, 1]]}", 1, 44, "from 0 to 1"),
        ("{\"n_rows\": 1e15, \"n_cols\": 2, \"entries\": []}", 1, 12, "10000000"),
        ("{\"scores\": [[1]], \"capacity\": [1, 2]}", 1, 31, "1 capacities"),
        ("{\"robots\": [{\"x\": 1}], \"tasks\": []}", 1, 13, "`y`"),
        ("{\"robots\": [], \"tasks\": [{\"x\": 1, \"y\": 2, \"after\": [\"b\"]}]}", 1, 53, "name of a task"),
        ("{\"players\": [\"a\", \"a\"], \"values\": {}}", 1, 19, "no other player"),
        ("{\"players\": [\"a\"], \"values\": {\"b\": 1}}", 1, 31, "`b`"),
        ("{\"players\": [\"a\", \"b\"], \"values\": {\"a b\": 1, \"b a\": 2}}", 1, 46, "`b a` again"),
        (
            "{\"robots\": [], \"tasks\": [{\"name\": \"t\", \"x\": 1, \"y\": 2}, {\"name\": \"t\", \"x\": 1, \"y\": 2}]}",
            1,
            66,
            "no other task",
        ),
        (deep.as_str(), 1, 34, "32 values"),
    ];
    for (text, line, column, words) in cases {
        let (l, c, found) = refused(text);
        assert_eq!((l, c), (line, column), "{text:?}: {found}");
        assert!(found.contains(words), "{text:?}: {found}");
    }
}

#[test]
fn teams_read_alike_from_both_formats() {
    let csv = "kind,name,x,y,speed,capacity,skills,duration,earliest,latest,after,reward\n\
               robot,r,1,2,0.5,3,lift|scan,,,,,\ntask,a,3,4,,,lift,2,1,9,,7\ntask,b,5,6,,,,,,,a,\n";
    let json = r#"{"robots": [{"name": "r", "x": 1, "y": 2, "speed": 0.5, "capacity": 3, "skills": ["lift", "scan"]}],
        "tasks": [{"name": "a", "x": 3, "y": 4, "skills": ["lift"], "duration": 2, "earliest": 1, "latest": 9, "reward": 7},
                  {"name": "b", "x": 5, "y": 6, "after": ["a"]}]}"#;
    assert_eq!(read_problem(csv).unwrap(), read_problem(json).unwrap());
    let changes = Changes { discount: Some(0.5), ..Changes::default() };
    let Problem::Team(team) = changes.apply(read_problem(csv).unwrap()).unwrap() else { panic!() };
    assert_eq!(team.goal(), Goal::Reward { discount: 0.5 });
    assert_eq!(team.tasks()[1].after, [0]);
    assert!(changes.apply(read_problem("1").unwrap()).is_err());
    let most = Changes { objective: Some("max".into()), ..Changes::default() };
    let Problem::Costs { objective, .. } = most.apply(read_problem("1").unwrap()).unwrap() else { panic!() };
    assert_eq!(objective, Objective::Maximize);
    assert!(most.apply(read_problem(csv).unwrap()).is_err());
}

/// Sums over nothing are 0, not -0, in what is written.
#[test]
fn a_task_that_nobody_can_do_leaves_a_plan_of_zeros() {
    let problem = read_problem("kind,name,x,y,skills\nrobot,r,0,0,\ntask,t,1,1,weld\n").unwrap();
    for method in ["greedy", "cbba", "exact"] {
        let answer = solve(&problem, method, &Options::default()).unwrap();
        let result = to_json(&problem, &answer).unwrap().to_string();
        assert!(result.contains("\"unassigned\":[\"t\"]") && !result.contains("-0.0"), "{result}");
    }
}

/// Every method on every kind of problem: it solves and its result holds, or it says why not.
#[test]
fn every_method_solves_or_says_why_not() {
    let problems = [
        "[[4, 1, 3], [2, 0, 5]]",
        r#"{"n_rows": 2, "n_cols": 3, "entries": [[0, 1, 2], [1, 0, 3], [1, 2, 1]], "objective": "max"}"#,
        r#"{"scores": [[3, 9], [8, 1]], "capacity": [1, 2]}"#,
        r#"{"robots": [{"x": 0, "y": 0}, {"x": 9, "y": 9}], "tasks": [{"x": 1, "y": 1}, {"x": 8, "y": 8}], "discount": 0.9}"#,
        r#"{"robots": [{"x": 0, "y": 0}], "tasks": [{"name": "a", "x": 1, "y": 1}, {"x": 8, "y": 8, "after": ["a"]}]}"#,
        r#"{"costs": [[1, 5], [2, 2]], "loads": [[2, 2], [2, 2]], "capacities": [2, 4]}"#,
        r#"{"players": ["L", "R1", "R2"], "values": {"L R1": 1, "L R2": 1, "L R1 R2": 1}}"#,
    ];
    let mut n_solved = 0;
    for text in problems {
        let problem = read_problem(text).unwrap();
        solve(&problem, default_method(&problem), &Options::default()).unwrap();
        for entry in methods::ALL {
            let answer = match solve(&problem, entry.name, &Options::default()) {
                Ok(answer) => answer,
                Err(Error::Unsupported { .. }) => continue,
                Err(other) => panic!("{} on {text}: {other}", entry.name),
            };
            let mut result = to_json(&problem, &answer).unwrap();
            result["problem"] = serde_json::json!({ "text": text });
            verify(&result).unwrap();
            result["total_cost"] = (result["total_cost"].as_f64().unwrap() + 1.0).into();
            assert!(verify(&result).is_err(), "{} on {text}", entry.name);
            n_solved += 1;
        }
    }
    assert_eq!(n_solved, 10 + 2 + 6 + 6 + 4 + 1 + 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Parts of files in any order never break a reader.
    #[test]
    fn any_text_is_read_or_refused(parts in prop::collection::vec(prop::sample::select(vec![
        "[", "]", "{", "}", ",", ":", "\"", "1", "-", "e9", "null", "\n", " ", "kind", "robot", "task", "x", "y",
        "\"costs\":", "\"scores\":", "\"robots\":", "\"tasks\":", "\"players\":", "\"values\":", "\"a\"", "inf", "nan",
        "\"entries\":", "\"n_rows\":", "\"n_cols\":", "\\u00e9", "é",
    ]), 0..25)) {
        if let Err(error) = read_problem(&parts.concat()) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
