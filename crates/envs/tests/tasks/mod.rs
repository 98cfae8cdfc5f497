//! Tasks to try everything on: each registered environment as it is, and members of families and options beyond the
//! defaults, so that every branch of every option is played.

use serde_json::{Value, json};

/// Names and options.
pub fn all() -> Vec<(String, Value)> {
    let listed = coact_envs::ALL.iter().map(|entry| (entry.name.to_owned(), Value::Null));
    let more = beyond_defaults().into_iter().map(|(name, options)| (name.to_owned(), options));
    listed.chain(more).collect()
}

fn beyond_defaults() -> Vec<(&'static str, Value)> {
    let mut tasks = particles();
    tasks.extend(fields_and_floors());
    tasks.extend(others());
    tasks
}

fn particles() -> Vec<(&'static str, Value)> {
    let crowd = json!({"n_adversaries": 6, "n_agents": 3, "n_obstacles": 5, "max_cycles": 60});
    let alone = json!({"n_adversaries": 1, "n_agents": 1, "n_obstacles": 0, "continuous": true});
    let camp = json!({"n_adversaries": 2, "n_agents": 3, "n_obstacles": 2, "n_food": 4, "n_forests": 3, "max_cycles": 50});
    let steppe = json!({"n_adversaries": 1, "n_agents": 1, "n_obstacles": 0, "n_food": 1, "n_forests": 0, "continuous": true});
    vec![
        ("simple", json!({"continuous": true, "max_cycles": 7})),
        ("simple_spread", json!({"n_agents": 1, "scale": "pettingzoo"})),
        ("simple_spread", json!({"n_agents": 6, "max_cycles": 200, "continuous": true})),
        ("simple_spread", json!({"n_agents": 2, "scale": "openai"})),
        ("simple_spread", json!({"n_agents": 4, "scale": "mappo", "continuous": true})),
        ("simple_spread", json!({"local_ratio": 0.0})),
        ("simple_adversary", json!({"n_agents": 1})),
        ("simple_adversary", json!({"n_agents": 5, "continuous": true})),
        ("simple_tag", crowd),
        ("simple_tag", alone),
        ("simple_push", json!({"continuous": true})),
        ("simple_crypto", json!({"continuous": true})),
        ("simple_speaker_listener", json!({"continuous": true})),
        ("simple_reference", json!({"local_ratio": 1.0, "max_cycles": 11})),
        ("simple_reference", json!({"continuous": true})),
        ("simple_world_comm", camp),
        ("simple_world_comm", steppe),
    ]
}

fn fields_and_floors() -> Vec<(&'static str, Value)> {
    let floor = "....\n.xx.\n.xx.\n.gg.";
    let crowd = json!({"layout": floor, "msg_bits": 2, "observation": "dict", "reward": "two_stage", "request_queue_size": 3,
        "max_inactivity_steps": 90, "max_steps": 120});
    let tall =
        json!({"column_height": 2, "sensor_range": 3, "max_steps": 100, "normalised_coordinates": true});
    let levels = json!({"min_player_level": [1, 2, 1], "max_player_level": [1, 3, 2], "min_food_level": 2, "max_food_level": 3});
    vec![
        ("lbf/Foraging-2s-6x5-4p-3f-pen-v3", Value::Null),
        ("lbf/Foraging-1s-5x9-3p-2f-ind-v3", json!({"normalize_reward": false, "max_steps": 20})),
        ("lbf/Foraging-grid-8x8-2p-2f-coop-v3", Value::Null),
        ("lbf/Foraging-grid-1s-7x7-3p-2f-v3", json!({"mask_actions": true})),
        ("lbf/Foraging-6x6-3p-2f-v3", json!({"mask_actions": true, "observe_agent_levels": false})),
        ("lbf/Foraging-12x12-3p-4f-v3", levels),
        ("lbf/Foraging-15x15-4p-5f-v3", Value::Null),
        ("Foraging-5x5-1p-1f-v3", json!({"penalty": 0.5})),
        ("rware/custom-5ag-v2", crowd),
        ("rware/tiny-6ag-easy-v2", tall),
        ("rware/small-4ag-hard-v2", json!({"reward": "global", "max_steps": 150, "msg_bits": 1})),
        ("rware/medium-1ag-v2", json!({"max_inactivity_steps": 40})),
        ("rware/large-19ag-v2", json!({"max_steps": 90, "observation": "dict"})),
        ("rware/3s-2x5-8h-4ag-6req-twostage-v2", json!({"max_steps": 200})),
    ]
}

fn others() -> Vec<(&'static str, Value)> {
    let table = json!({"payoffs": [[[1, 2], [0, 0], [3, -1]], [[0, 0], [2, 1], [1, 1]]], "per_player": true});
    let three = json!({"payoffs": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]});
    let plan = "WWWWWW\nO 1  P\nW W  W\nB 2  X\nWWWWWW";
    vec![
        ("cartpole", json!({"n_agents": 1, "max_steps": 30})),
        ("cartpole", json!({"n_agents": 5, "coupling": "spring", "stiffness": 10.0})),
        ("overcooked/asymmetric_advantages", json!({"max_steps": 60})),
        ("overcooked/coordination_ring", json!({"max_steps": 60, "shaping": 1.0})),
        ("overcooked/forced_coordination", json!({"max_steps": 60})),
        ("overcooked/counter_circuit", json!({"max_steps": 60, "shaping": 0.5})),
        ("overcooked", json!({"layout": plan, "max_steps": 60})),
        ("switch_riddle", json!({"n_agents": 2})),
        ("switch_riddle", json!({"n_agents": 6, "memory": true, "max_steps": 9})),
        ("levers", json!({"n_levers": 1, "n_pool": 1})),
        ("levers", json!({"n_levers": 7, "n_pool": 9})),
        ("predator_prey", json!({"difficulty": "medium"})),
        ("predator_prey", json!({"difficulty": "hard", "max_steps": 30, "mode": "competitive"})),
        ("predator_prey", json!({"n_predators": 2, "dim": 3, "vision": 2, "mode": "cooperative"})),
        ("predator_prey", json!({"n_predators": 1, "dim": 2})),
        ("traffic_junction", json!({"difficulty": "medium", "vision": 1})),
        ("traffic_junction", json!({"difficulty": "hard", "max_steps": 40, "add_rate": 0.5})),
        ("traffic_junction", json!({"n_agents": 1, "dim": 4, "add_rate": 1.0, "max_steps": 9})),
        ("coin_game", json!({"coins": "one", "size": 5, "max_steps": 40})),
        ("coin_game", json!({"size": 2, "max_steps": 10})),
        ("iterated_prisoners_dilemma", json!({"max_steps": 3})),
        ("iterated_matrix", json!({"table": table, "max_steps": 5})),
        ("matrix", json!({"table": three})),
        ("penalty", json!({"k": 100.0})),
    ]
}
