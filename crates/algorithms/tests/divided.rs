//! Divided teams: parts learn as they would alone, stop when asked, and go on to the same bits.

#![allow(clippy::unwrap_used)]

use coact_algorithms::{ActMode, AnyLearner, BuildContext, Clock, TransitionLearner};
use coact_core::codec::{Reader, Writer};
use coact_core::rng::derive_seed;
use coact_core::{
    ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, Purpose, RewardKind, StepBatch, Stream,
};
use coact_kernels::{Backend, CpuOptions};
use coact_replay::Batch;
use serde_json::{Value, json};

const N_ENVS: usize = 2;
const SEED: u64 = 3;

fn spec() -> EnvSpec {
    let group = |name: &str, n_agents, width, action| GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("numbers", width)],
        masked: matches!(action, ActionSpace::Discrete { .. }),
        action,
    };
    EnvSpec {
        name: "by hand".into(),
        version: 1,
        groups: vec![
            group("hounds", 2, 3, ActionSpace::Discrete { n: 4 }),
            group("hare", 1, 2, ActionSpace::Continuous { width: 2, low: 0.0, high: 1.0 }),
            group("owls", 1, 3, ActionSpace::Discrete { n: 4 }),
        ],
        state_width: 0,
        episode_limit: None,
        reward: RewardKind::PerAgent,
    }
}

fn build(
    spec: &EnvSpec,
    algorithm: &str,
    seed: u64,
    settings: &Value,
) -> coact_algorithms::Result<Box<dyn TransitionLearner>> {
    let learner = (coact_algorithms::find(algorithm)?.build)(BuildContext {
        spec,
        n_envs: N_ENVS,
        seed,
        total_env_steps: 1_000,
        total_grad_steps: 40,
        rollout_steps: 1,
        gamma: 0.9,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings,
    })?;
    let AnyLearner::Transitions(learner) = learner else { panic!("{algorithm}") };
    Ok(learner)
}

fn divided(parts: Value) -> coact_algorithms::Result<Box<dyn TransitionLearner>> {
    build(&spec(), "divided", SEED, &json!({"parts": parts}))
}

/// The owls learn with the hounds, the hare otherwise.
fn sides(until: Value) -> Value {
    json!([
        {"groups": ["owls", "hounds"], "algorithm": "iql", "settings": {"hidden": [6]}},
        {"groups": ["hare"], "algorithm": "masac", "settings": {"hidden": [5], "random_env_steps": 0}, "learn_until": until},
    ])
}

fn batch(spec: &EnvSpec) -> Batch {
    let mut batch = Batch::new(spec, 8);
    for (columns, group) in batch.groups.iter_mut().zip(&spec.groups) {
        // Numbers by the group's name, so that a part alone sees the same.
        let mut rng = Stream::new(group.name.len() as u64, Purpose::Replay, group.n_agents as u32, 0);
        for values in [&mut columns.obs, &mut columns.next_obs, &mut columns.reward] {
            values.iter_mut().for_each(|v| *v = rng.normal() as f32);
        }
        columns.action.iter_mut().for_each(|a| *a = rng.below(4));
        columns.action_continuous.iter_mut().for_each(|a| *a = rng.uniform());
        columns.discount.fill(0.9);
        columns.valid.fill(true);
        columns.next_mask.fill(0b1111);
        columns.mask.fill(0b1111);
    }
    batch.weight.fill(1.0);
    batch.team_discount.fill(0.9);
    batch
}

fn step(spec: &EnvSpec) -> StepBatch {
    let mut step = StepBatch::new(spec, N_ENVS);
    for (columns, group) in step.groups.iter_mut().zip(&spec.groups) {
        let mut rng = Stream::new(group.name.len() as u64, Purpose::Step, group.n_agents as u32, 0);
        columns.obs.iter_mut().for_each(|v| *v = rng.normal() as f32);
        columns.mask.fill(0b1010);
    }
    step
}

fn explore(vector_steps: u64) -> ActMode {
    ActMode::Explore(Clock { env_steps: vector_steps * 2, vector_steps, episodes: 0 })
}

fn act(learner: &mut dyn TransitionLearner, spec: &EnvSpec, mode: ActMode) -> ActionBatch {
    let mut actions = ActionBatch::new(spec, N_ENVS);
    learner.act(&step(spec), mode, &mut actions).unwrap();
    actions
}

fn updates(learner: &mut dyn TransitionLearner, spec: &EnvSpec, n: usize) {
    for _ in 0..n {
        learner.update(&batch(spec), &mut [0.0; 8]).unwrap();
    }
}

#[test]
fn every_part_learns_and_acts_as_it_would_alone() {
    let whole = spec();
    let mut team = divided(sides(Value::Null)).unwrap();
    updates(&mut *team, &whole, 5);
    let together = act(&mut *team, &whole, explore(7));
    let (mut params, mut policies) = (Vec::new(), Vec::new());
    for (index, (groups, algorithm, settings)) in [
        (&[0, 2][..], "iql", json!({"hidden": [6]})),
        (&[1][..], "masac", json!({"hidden": [5], "random_env_steps": 0})),
    ]
    .into_iter()
    .enumerate()
    {
        let own = EnvSpec { groups: groups.iter().map(|&g| whole.groups[g].clone()).collect(), ..spec() };
        let mut alone =
            build(&own, algorithm, derive_seed(SEED, Purpose::Agent, index as u32), &settings).unwrap();
        updates(&mut *alone, &own, 5);
        params.extend_from_slice(alone.params());
        policies.extend(alone.policies());
        let actions = act(&mut *alone, &own, explore(7));
        for (own, &g) in groups.iter().enumerate() {
            assert_eq!(actions.discrete[own], together.discrete[g], "group {g}");
            assert_eq!(actions.continuous[own], together.continuous[g], "group {g}");
        }
    }
    assert_eq!(team.params(), params);
    // In the environment's order: hounds, hare, owls.
    let names: Vec<String> = team.policies().into_iter().map(|p| p.agent).collect();
    assert_eq!(names, whole.agent_names());
    assert_eq!(team.policies()[3], policies[2]);
    assert_eq!(team.policies()[2], policies[3]);
}

/// A part that has stopped stays as it is while the other goes on.
#[test]
fn a_frozen_part_stays() {
    let mut team = divided(sides(json!(3))).unwrap();
    let hare = |team: &dyn TransitionLearner| team.policies()[2].clone();
    let hound = |team: &dyn TransitionLearner| team.policies()[0].clone();
    let start = hare(&*team);
    updates(&mut *team, &spec(), 3);
    let (frozen, before) = (hare(&*team), hound(&*team));
    assert!(start != frozen);
    updates(&mut *team, &spec(), 3);
    assert!(hare(&*team) == frozen && hound(&*team) != before);
    assert_eq!(team.grad_steps(), 6);
}

/// Hounds and owls that are paid together learn what they would from the mean of their rewards; the hare's is its own.
#[test]
fn a_part_may_be_paid_together() {
    let whole = spec();
    let parts = json!([
        {"groups": ["hounds", "owls"], "algorithm": "vdn", "settings": {"hidden": [6]}, "common_reward": true},
        {"groups": ["hare"], "algorithm": "masac", "settings": {"hidden": [5], "random_env_steps": 0}},
    ]);
    let mut team = divided(parts.clone()).unwrap();
    let mut alone = divided(parts).unwrap();
    updates(&mut *team, &whole, 3);
    let mut paid = batch(&whole);
    for row in 0..paid.size {
        let [hounds, _, owls] = &mut paid.groups[..] else { panic!("three groups") };
        let mean = (hounds.reward[2 * row] + hounds.reward[2 * row + 1] + owls.reward[row]) / 3.0;
        hounds.reward[2 * row..2 * row + 2].fill(mean);
        owls.reward[row] = mean;
    }
    for _ in 0..3 {
        alone.update(&paid, &mut [0.0; 8]).unwrap();
    }
    let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(team.params(), alone.params()));
    let mut unpaid = divided(json!([
        {"groups": ["hounds", "owls"], "algorithm": "iql", "settings": {"hidden": [6]}},
        {"groups": ["hare"], "algorithm": "masac", "settings": {"hidden": [5], "random_env_steps": 0}},
    ]))
    .unwrap();
    updates(&mut *unpaid, &whole, 3);
    assert!(!near(team.params(), unpaid.params()));
}

#[test]
fn a_saved_team_goes_on_to_the_same_bits() {
    let go = |team: &mut dyn TransitionLearner| {
        updates(team, &spec(), 3);
        act(team, &spec(), explore(9))
    };
    let mut one = divided(sides(json!(4))).unwrap();
    go(&mut *one);
    let mut saved = Writer::new();
    one.save(&mut saved);
    let bytes = saved.into_bytes();
    let mut two = divided(sides(json!(4))).unwrap();
    two.load(&mut Reader::new("learner", &bytes)).unwrap();
    assert!(go(&mut *one) == go(&mut *two) && one.params() == two.params());
    // Parameters go back to the parts that they came from.
    let mut three = divided(sides(json!(4))).unwrap();
    three.set_params(one.params());
    assert!(three.policies() == one.policies());
}

/// Settings that were filled in stay as they are when they are read back, with absent values written as a word.
#[test]
fn settings_are_filled_in_once() {
    let entry = coact_algorithms::find("divided").unwrap();
    let mut parts = sides(Value::Null);
    parts[1].as_object_mut().unwrap().remove("learn_until");
    let all = (entry.resolve)(&json!({"parts": parts})).unwrap();
    assert_eq!(all["parts"][0]["settings"]["hidden"], json!([6]));
    assert!(all["parts"][0]["settings"].as_object().unwrap().len() > 5, "{all}");
    let mut written = all.clone();
    for part in written["parts"].as_array_mut().unwrap() {
        for value in part["settings"].as_object_mut().unwrap().values_mut().filter(|v| v.is_null()) {
            *value = json!("none");
        }
    }
    assert_eq!((entry.resolve)(&written).unwrap(), all);
}

#[test]
fn parts_that_do_not_fit_are_refused_in_one_line() {
    let part = |groups: &[&str], algorithm: &str| json!({"groups": groups, "algorithm": algorithm});
    for (parts, words) in [
        (json!([part(&["hounds", "owls"], "iql")]), &["`hare`", "0 parts"][..]),
        (
            json!([part(&["hounds", "owls", "hare"], "masac"), part(&["hare"], "masac")]),
            &["`hare`", "2 parts"],
        ),
        (json!([part(&["hound"], "iql")]), &["`hound`", "did you mean `hounds`"]),
        (json!([part(&["hounds", "owls", "hare"], "ippo")]), &["ippo", "transitions"]),
        (json!([part(&["hounds", "owls", "hare"], "divided")]), &["divided", "transitions"]),
        (json!([part(&["hounds", "owls", "hare"], "iqll")]), &["iqll", "did you mean `iql`"]),
        (json!([part(&["hounds", "owls", "hare"], "iql")]), &["iql", "`hare`", "not discrete"]),
        (json!([part(&["hounds", "owls"], "vdn"), part(&["hare"], "masac")]), &["vdn", "common"]),
        (json!([part(&[], "iql")]), &["no groups", "iql"]),
        (json!([{"groups": [], "algorithm": "iql", "speed": 3}]), &["parts", "speed"]),
    ] {
        let error =
            divided(parts.clone()).err().unwrap_or_else(|| panic!("{parts} was accepted")).to_string();
        assert!(!error.contains('\n'), "{error}");
        for word in words {
            assert!(error.contains(word), "{parts}: `{word}` is not in: {error}");
        }
    }
}
