//! Recorded traces agree with our rules, and damage to a file is noticed: wrong numbers fail, wrong shapes are
//! errors.

#![allow(clippy::unwrap_used)]

use coact_envs::verify::verify_trace;
use serde_json::{Value, json};

const NAMES: [&str; 7] = [
    "cartpole",
    "mpe_simple",
    "mpe_simple_spread",
    "mpe_simple_speaker_listener",
    "mpe_simple_adversary",
    "mpe_simple_tag",
    "rl_vecnormalize",
];

fn trace(name: &str) -> Value {
    let path = format!("{}/../../testdata/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_case_of_every_trace_agrees() {
    for name in NAMES {
        let certificate = verify_trace(&trace(name)).unwrap();
        println!("{certificate:?}");
        assert_eq!(certificate.first_failure, None, "{name}");
        assert_eq!((certificate.passed, certificate.failed), (certificate.cases, 0), "{name}");
        assert!(certificate.cases >= 10 && certificate.steps >= 70, "{name} compares next to nothing");
    }
}

#[test]
fn a_wrong_number_fails_its_case() {
    let wrong: [(&str, &str, Value); 6] = [
        ("cartpole", "/cases/0/states/7/2", json!(0.5)),
        ("cartpole", "/cases/2/terminated_at", json!(26)),
        ("mpe_simple_spread", "/cases/0/rewards/3/1", json!(-1.0)),
        ("mpe_simple_tag", "/cases/1/obs/10/3/5", json!(9.0)),
        ("mpe_simple", "/cases/0/done_at", json!(24)),
        ("rl_vecnormalize", "/cases/3/norm_rewards/2/1", json!(0.25)),
    ];
    for (name, place, value) in wrong {
        let mut file = trace(name);
        *file.pointer_mut(place).unwrap() = value;
        let certificate = verify_trace(&file).unwrap();
        assert_eq!(certificate.failed, 1, "{name} {place}");
        assert!(certificate.first_failure.is_some());
    }
}

#[test]
fn a_damaged_file_is_an_error() {
    let damage: [(&str, &str, Value); 10] = [
        ("cartpole", "/format", json!("coact-vectors/2")),
        ("cartpole", "/name", json!("mpe_nothing")),
        ("cartpole", "/cases/0/states", json!([])),
        ("cartpole", "/cases/0/actions/0", json!(2)),
        ("cartpole", "/cases/0/integrator", json!("verlet")),
        ("mpe_simple_spread", "/cases/0/actions/0", json!([0])),
        ("mpe_simple_spread", "/cases/0/actions/0/0", json!(5)),
        ("mpe_simple_spread", "/agent_order", json!([])),
        ("mpe_simple_adversary", "/cases/0/init/goal_landmark", json!(2)),
        ("mpe_simple_speaker_listener", "/cases/0/init/agents_comm", json!([])),
    ];
    for (name, place, value) in damage {
        let mut file = trace(name);
        *file.pointer_mut(place).unwrap() = value;
        let text = verify_trace(&file).unwrap_err().to_string();
        assert!(!text.contains('\n'), "{text}");
    }
    for file in [Value::Null, json!([]), json!({"format": "coact-vectors/1"})] {
        assert!(verify_trace(&file).is_err());
    }
    // Every value replaced by a word, one at a time in the first case: never a panic.
    for name in NAMES {
        let file = trace(name);
        for key in file["cases"][0].as_object().unwrap().keys() {
            for value in [json!("word"), json!([]), json!(null), json!([[[]]]), json!({})] {
                let mut file = file.clone();
                file["cases"][0][key] = value;
                let _ = verify_trace(&file);
            }
        }
    }
}
