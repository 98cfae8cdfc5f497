//! Recorded traces agree with our rules, and damage to a file is noticed: wrong numbers fail, wrong shapes are
//! errors.

#![allow(clippy::unwrap_used)]

use coact_envs::verify::{record_trace, verify_trace};
use serde_json::{Value, json};

const NAMES: [&str; 13] = [
    "rware",
    "mpe_simple_crypto",
    "mpe_simple_push",
    "mpe_simple_reference",
    "mpe_simple_world_comm",
    "cartpole",
    "lbf",
    "mpe_simple",
    "mpe_simple_spread",
    "mpe_simple_speaker_listener",
    "mpe_simple_adversary",
    "mpe_simple_tag",
    "rl_vecnormalize",
];

/// Scenarios and options that came with mpe2 1.1, eight cases each.
const LATER: [&str; 9] = [
    "mpe_collect_treasure",
    "mpe_simple_adversary_neighbors",
    "mpe_simple_formation",
    "mpe_simple_formation_ends",
    "mpe_simple_line",
    "mpe_simple_line_ends",
    "mpe_simple_spread_ends",
    "mpe_simple_spread_neighbors",
    "mpe_simple_tag_options",
];

fn trace(name: &str) -> Value {
    let path = format!("{}/../../testdata/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_case_of_every_trace_agrees() {
    for name in NAMES.into_iter().chain(LATER) {
        let certificate = verify_trace(&trace(name)).unwrap();
        println!("{certificate:?}");
        assert_eq!(certificate.first_failure, None, "{name}");
        assert_eq!((certificate.passed, certificate.failed), (certificate.cases, 0), "{name}");
        assert!(certificate.cases >= 8 && certificate.steps >= 70, "{name} compares next to nothing");
    }
}

#[test]
fn a_wrong_number_fails_its_case() {
    let wrong: [(&str, &str, Value); 31] = [
        ("mpe_simple_formation", "/cases/2/rewards/1/0", json!(-0.5)),
        ("mpe_simple_formation_ends", "/cases/1/terminated_at", json!(null)),
        ("mpe_simple_line_ends", "/cases/3/rewards/13/0", json!(0)),
        ("mpe_simple_line", "/cases/0/init/landmarks_pos/1/0", json!(0.4)),
        ("mpe_collect_treasure", "/cases/0/loads/3/1", json!(0)),
        ("mpe_collect_treasure", "/cases/1/rewards/2/7", json!(0.1)),
        ("mpe_collect_treasure", "/cases/1/obs/5/0/20", json!(0.123)),
        ("mpe_simple_spread_neighbors", "/cases/0/obs/5/0/6", json!(0.123)),
        ("mpe_simple_tag_options", "/cases/0/obs/5/0/6", json!(0.123)),
        ("mpe_simple_world_comm", "/cases/19/comm/19/3/2", json!(0.5)),
        ("lbf", "/cases/5/foods_after", json!({})),
        ("lbf", "/cases/3/overlap_steps", json!([2])),
        ("rware", "/cases/1/requests_after", json!({})),
        ("rware", "/cases/1/deliveries", json!(3)),
        ("mpe_simple_crypto", "/cases/0/rewards/1/0", json!(0)),
        ("mpe_simple_reference", "/cases/1/comm/3/1/2", json!(0.5)),
        ("mpe_simple_world_comm", "/cases/0/init/landmarks_pos/1/0", json!(0.4)),
        ("rware", "/cases/3/agents/7/1", json!([0, 0, 0, 0])),
        ("rware", "/cases/1/rewards/6", json!([1, 1])),
        ("rware", "/cases/1/request_draws/6", json!([28])),
        ("rware", "/conflicts/4/after/0", json!([0, 0, 3, 0])),
        ("lbf", "/cases/3/players/7/1", json!([0, 0])),
        ("lbf", "/cases/5/rewards/4/0", json!(0.25)),
        ("lbf", "/cases/2/obs/5/1/3", json!(7)),
        ("lbf", "/cases/7/done_step", json!(27)),
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
        let text = certificate.first_failure.unwrap();
        assert!(text.contains("case") && !text.contains("Some("), "{text}");
    }
    let mut file = trace("mpe_simple");
    file["cases"][3]["rewards"][6][0] = json!(0.5);
    let text = verify_trace(&file).unwrap().first_failure.unwrap();
    assert!(
        text.contains("case 3 in f64: rewards of step 7[0] is ") && text.ends_with("reference 0.5"),
        "{text}"
    );
}

#[test]
fn a_damaged_file_is_an_error() {
    let damage: [(&str, &str, Value); 23] = [
        ("mpe_simple_tag", "/cases/0/obs", json!({"26": []})),
        ("lbf", "/cases/0/foods_after", json!({"1000": []})),
        ("rware", "/cases/0/rewards", json!({"first": [1, 0]})),
        ("mpe_simple_crypto", "/cases/0/init/key_landmark", json!(2)),
        ("mpe_simple_reference", "/cases/0/init/goal_b_landmark_of_agent", json!([1])),
        ("mpe_simple_world_comm", "/cases/0/init/agents_comm", json!([])),
        ("rware", "/cases/0/actions/0/0", json!(5)),
        ("rware", "/cases/0/init/agents/0", json!([0, 7, 1, 0])),
        ("rware", "/cases/0/init/requests", json!([3])),
        ("rware", "/cases/0/config/shelf_columns", json!(2)),
        ("lbf", "/cases/0/actions/0/0", json!(6)),
        ("lbf", "/cases/0/init/player_levels", json!([1])),
        ("lbf", "/cases/0/config/field", json!([2, 8])),
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
    for name in NAMES {
        let mut file = trace(name);
        (file["cases"], file["conflicts"]) = (json!([]), json!([]));
        let text = verify_trace(&file).unwrap_err().to_string();
        assert!(text.contains("no cases") && !text.contains('\n'), "{name}: {text}");
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

#[test]
fn traces_of_ours_are_reproduced() {
    for (name, options) in [
        ("cartpole", json!({"n_agents": 5, "coupling": "spring"})),
        ("simple_crypto", json!({"max_cycles": 3})),
        ("simple_tag", json!({"n_adversaries": 1, "n_agents": 1, "n_obstacles": 0, "max_cycles": 60})),
        (
            "simple_world_comm",
            json!({"n_adversaries": 2, "n_obstacles": 2, "n_food": 4, "n_forests": 3, "max_cycles": 40}),
        ),
        (
            "simple_world_comm",
            json!({"n_adversaries": 1, "n_agents": 1, "n_obstacles": 0, "n_food": 1, "n_forests": 0}),
        ),
        (
            "lbf/Foraging-12x12-3p-4f-v3",
            json!({"max_player_level": [1, 3, 2], "min_food_level": 2, "max_food_level": 3}),
        ),
        (
            "lbf/Foraging-5x9-3p-2f-ind-v3",
            json!({"mask_actions": true, "normalize_reward": false, "max_steps": 20}),
        ),
        (
            "rware/tiny-6ag-easy-v2",
            json!({"column_height": 2, "sensor_range": 3, "normalised_coordinates": true}),
        ),
        ("rware/large-19ag-v2", json!({"max_steps": 90})),
        ("cartpole", json!({"max_steps": 60})),
        ("lbf/Foraging-2s-8x8-3p-3f-pen-v3", json!({"observe_agent_levels": false})),
        ("rware/tiny-3ag-easy-v2", json!({"max_steps": 80, "msg_bits": 2, "reward": "two_stage"})),
        ("rware/custom-4ag-v2", json!({"max_steps": 300, "layout": "....\n.xx.\n.xx.\n.gg."})),
        ("collect_treasure", json!({"n_deposits": 3, "continuous": true})),
        ("simple_formation", json!({"terminate_on_success": true, "n_agents": 2, "max_cycles": 60})),
        ("simple_line", json!({"continuous": true})),
        ("simple", json!({"max_cycles": 7})),
        ("simple_adversary", json!({"n_agents": 3})),
        ("simple_crypto", json!({"continuous": true})),
        ("simple_push", json!({})),
        ("simple_reference", json!({"local_ratio": 0.25})),
        ("simple_speaker_listener", json!({"continuous": true})),
        ("simple_spread", json!({"n_agents": 4, "max_cycles": 25, "n_agent_neighbors": 5})),
        ("simple_spread", json!({"scale": "openai"})),
        ("simple_tag", json!({"n_agents": 2, "n_obstacles": 1})),
        ("simple_world_comm", json!({"continuous": true})),
    ] {
        let trace = record_trace(name, &options, 5, 3).unwrap();
        let certificate = verify_trace(&trace).unwrap();
        assert_eq!(certificate.first_failure, None, "{name}");
        assert_eq!((certificate.cases, certificate.failed), (3, 0), "{name}");
        assert!(certificate.reference.starts_with("coact-envs "));
    }
    assert!(record_trace("overcooked", &json!({}), 0, 1).is_err());
}
