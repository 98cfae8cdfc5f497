//! Played groups: learners play on as if the others were part of the rules, to the same bits after a restore.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, BatchEnv, RewardKind, StepBatch};
use coact_envs::golden::random_actions;
use coact_envs::scripts::{Actor, Moment, ScriptedGroup};
use coact_envs::wrappers::{CommonReward, WrapperConfig, wrap};
use serde_json::{Value, json};

const E: usize = 6;

fn plain(options: &Value) -> Box<dyn BatchEnv> {
    coact_envs::find("simple_tag").unwrap().build(options, E).unwrap()
}

fn scripted(pairs: &[(&str, &str)]) -> WrapperConfig {
    let pair = |(group, script): &(&str, &str)| (group.to_string(), script.to_string());
    WrapperConfig { scripted: BTreeMap::from_iter(pairs.iter().map(pair)), ..Default::default() }
}

/// An environment with its prey scripted is the whole environment with the script's actions put in by hand.
#[test]
fn a_scripted_group_plays_inside_and_is_not_seen() {
    for options in [Value::Null, json!({"continuous": true}), json!({"n_agents": 2})] {
        let mut whole = plain(&options);
        let mut hunters = wrap(plain(&options), &scripted(&[("agent", "flee")])).unwrap();
        let spec = hunters.spec().clone();
        assert_eq!(spec.groups, whole.spec().groups[..1]);
        assert_eq!((spec.state_width, spec.reward), (whole.spec().state_width, RewardKind::PerAgent));
        assert_eq!(spec.agent_names(), ["adversary_0", "adversary_1", "adversary_2"]);
        let mut prey = ScriptedGroup::new(whole.spec(), "agent", "flee").unwrap();
        let (mut a, mut b) = (StepBatch::new(whole.spec(), E), StepBatch::new(&spec, E));
        let (mut all, mut own) = (ActionBatch::new(whole.spec(), E), ActionBatch::new(&spec, E));
        whole.reset(5, &mut a).unwrap();
        hunters.reset(5, &mut b).unwrap();
        let (mut ended, mut caught) = (0, 0.0);
        for step in 0..60 {
            assert_eq!((&a.state, &a.truncated, &a.is_first), (&b.state, &b.truncated, &b.is_first));
            assert_eq!(a.groups[0], b.groups[0], "step {step}");
            if a.is_first[0] && step > 0 {
                assert_eq!(a.final_state, b.final_state);
                ended += 1;
            }
            random_actions(&*hunters, &b, 8, step, &mut own);
            all.discrete[0].clone_from(&own.discrete[0]);
            all.continuous[0].clone_from(&own.continuous[0]);
            prey.act(&a, Moment { seed: 5, step }, &mut all).unwrap();
            whole.step(&all, &mut a).unwrap();
            hunters.step(&own, &mut b).unwrap();
            caught += b.groups[0].reward.iter().sum::<f32>();
        }
        assert!(ended == 2 && caught >= 0.0);
    }
}

#[test]
fn outer_wrappers_know_only_the_others() {
    let mut config = scripted(&[("adversary", "chase")]);
    config.common_reward = Some(CommonReward::Sum);
    config.agent_index = true;
    config.last_action = true;
    config.time_limit = Some(7);
    let mut env = wrap(plain(&json!({"n_agents": 2})), &config).unwrap();
    let spec = env.spec().clone();
    assert_eq!((spec.groups.len(), spec.groups[0].name.as_str(), spec.episode_limit), (1, "agent", Some(7)));
    let (mut step, actions) = (StepBatch::new(&spec, E), ActionBatch::new(&spec, E));
    env.reset(1, &mut step).unwrap();
    let mut paid = false;
    for t in 1..=28 {
        env.step(&actions, &mut step).unwrap();
        assert_eq!(step.truncated, [t % 7 == 0; E]);
        for pair in step.groups[0].reward.chunks_exact(2).zip(step.groups[0].raw_reward().chunks_exact(2)) {
            let sum: f32 = pair.1.iter().sum();
            assert_eq!(pair.0, [sum; 2], "hunters' rewards are not in the sum");
            paid |= sum <= -10.0;
        }
    }
    assert!(paid, "prey that stands still is caught");
}

#[test]
fn a_restored_environment_goes_on_to_the_same_bits() {
    for script in ["flee", "uniform"] {
        let config = scripted(&[("agent", script)]);
        let make = || wrap(plain(&Value::Null), &config).unwrap();
        let mut first = make();
        let spec = first.spec().clone();
        let (mut a, mut actions) = (StepBatch::new(&spec, E), ActionBatch::new(&spec, E));
        first.reset(3, &mut a).unwrap();
        let mut play = |env: &mut dyn BatchEnv, out: &mut StepBatch, t| {
            random_actions(env, out, 4, t, &mut actions);
            env.step(&actions, out).unwrap();
        };
        (0..10).for_each(|t| play(&mut *first, &mut a, t));
        let mut saved = Writer::new();
        first.save(&mut saved);
        let bytes = saved.into_bytes();
        let mut second = make();
        let mut b = a.clone();
        second.load(&mut Reader::new("environment", &bytes)).unwrap();
        for t in 10..40 {
            play(&mut *first, &mut a, t);
            play(&mut *second, &mut b, t);
            assert_eq!(a, b, "{script}, step {t}");
        }
        for n in (0..bytes.len()).step_by(7) {
            assert!(make().load(&mut Reader::new("environment", &bytes[..n])).is_err(), "{n} bytes");
        }
    }
}

#[test]
fn groups_that_cannot_be_played_are_refused_in_one_line() {
    for (pairs, words) in [
        (&[("agents", "flee")][..], ["`agents`", "did you mean `agent`?"]),
        (&[("agent", "flea")], ["`flea`", "did you mean `flee`?"]),
        (&[("agent", "flee"), ("adversary", "chase")], ["all groups", "leave one"]),
    ] {
        let error = wrap(plain(&Value::Null), &scripted(pairs)).err().unwrap().to_string();
        assert!(!error.contains('\n'), "{error}");
        words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in: {error}"));
    }
}
