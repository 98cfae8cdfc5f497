//! Rollouts and sequences against the steps they were made of.

#![allow(clippy::unwrap_used)]

use coact_core::codec::{Reader, Writer};
use coact_core::rng::{Purpose, Stream};
use coact_core::{ActionBatch, ActionSpace, EnvSpec, GroupSpec, ObsField, RewardKind, StepBatch};
use coact_replay::{Rollout, RolloutRecorder, SequenceConfig, SequenceReplay, SequenceStart};

const ENVS: usize = 3;
const GAMMA: f32 = 0.5;

fn spec() -> EnvSpec {
    let group = |name: &str, n_agents, masked| GroupSpec {
        name: name.into(),
        n_agents,
        obs: vec![ObsField::unbounded("clock", 2)],
        action: ActionSpace::Discrete { n: 5 },
        masked,
    };
    EnvSpec {
        name: "clock".into(),
        version: 1,
        groups: vec![group("team", 2, true), group("other", 1, false)],
        state_width: 1,
        episode_limit: None,
        reward: RewardKind::Common,
    }
}

/// Environment `e` has episodes of `4 + e` steps; odd episodes are truncated, even ones end by themselves. Every
/// observation holds (time, environment), so that a row says where it belongs; final observations hold minus that.
struct Clock {
    time: u64,
    since: [usize; ENVS],
    episode: [usize; ENVS],
}

impl Clock {
    fn new() -> Self {
        Self { time: 0, since: [0; ENVS], episode: [0; ENVS] }
    }

    fn see(&self, step: &mut StepBatch) {
        for (g, group) in step.groups.iter_mut().enumerate() {
            let agents = group.alive.len() / ENVS;
            for row in 0..group.alive.len() {
                group.obs[2 * row] = self.time as f32;
                group.obs[2 * row + 1] = (row / agents) as f32 + 10.0 * g as f32;
                group.mask.iter_mut().for_each(|m| *m = self.time as u32 | 1);
            }
        }
        for env in 0..ENVS {
            step.state[env] = self.time as f32 + 0.25 * env as f32;
        }
    }

    fn first(&self) -> StepBatch {
        let mut step = StepBatch::new(&spec(), ENVS);
        self.see(&mut step);
        step
    }

    fn actions(&self) -> ActionBatch {
        let mut actions = ActionBatch::new(&spec(), ENVS);
        actions.discrete.iter_mut().flatten().for_each(|a| *a = (self.time % 5) as u32);
        actions
    }

    fn step(&mut self, step: &mut StepBatch) {
        self.time += 1;
        for env in 0..ENVS {
            self.since[env] += 1;
            let ended = self.since[env] == 4 + env;
            let truncated = ended && self.episode[env] % 2 == 1;
            step.is_first[env] = ended;
            step.truncated[env] = truncated;
            step.final_state[env] = -(self.time as f32);
            for (g, group) in step.groups.iter_mut().enumerate() {
                let agents = group.alive.len() / ENVS;
                for row in env * agents..(env + 1) * agents {
                    group.reward[row] = self.time as f32 + 100.0 * g as f32;
                    group.terminated[row] = ended && !truncated;
                    group.final_obs[2 * row] = -(self.time as f32);
                    group.final_obs[2 * row + 1] = env as f32;
                }
            }
            if ended {
                self.since[env] = 0;
                self.episode[env] += 1;
            }
        }
        self.see(step);
    }
}

/// Whether environment `env` ended in the step at `time`, and whether it was truncated.
fn end_at(env: usize, time: u64) -> Option<bool> {
    let length = 4 + env as u64;
    (time + 1).is_multiple_of(length).then(|| ((time + 1) / length).is_multiple_of(2))
}

/// Checks column `b` of a rollout: steps of environment `env` from `time` on.
fn check_column(rollout: &Rollout, b: usize, env: usize, time: u64) {
    let envs = rollout.n_envs;
    for t in 0..=rollout.n_steps {
        let at = t * envs + b;
        let now = time + t as u64;
        assert_eq!(rollout.state[at], now as f32 + 0.25 * env as f32);
        let first = now == 0 || end_at(env, now - 1).is_some();
        assert_eq!(rollout.is_first[at], first, "is_first at {t} of environment {env}");
        for (g, group) in rollout.groups.iter().enumerate() {
            let agents = 2 - g;
            for agent in 0..agents {
                let row = at * agents + agent;
                assert_eq!(group.obs[2 * row..2 * row + 2], [now as f32, env as f32 + 10.0 * g as f32]);
                if t < rollout.n_steps {
                    assert_eq!(group.action[row], (now % 5) as u32);
                    assert_eq!(group.reward[row], (now + 1) as f32 + 100.0 * g as f32);
                    let discount = if end_at(env, now) == Some(false) { 0.0 } else { GAMMA };
                    assert_eq!(group.discount[row], discount, "discount at {t} of environment {env}");
                }
            }
        }
        assert_eq!(rollout.groups[0].mask[2 * at], now as u32 | 1);
        if t < rollout.n_steps {
            assert_eq!(rollout.team_reward[at], (now + 1) as f32);
            assert_eq!(rollout.team_discount[at], if end_at(env, now) == Some(false) { 0.0 } else { GAMMA });
        }
    }
    let expected: Vec<u32> =
        (0..rollout.n_steps as u32).filter(|&t| end_at(env, time + u64::from(t)) == Some(true)).collect();
    let own = rollout.ends.iter().enumerate().filter(|(_, (_, e))| *e as usize == b);
    let mut found = Vec::new();
    for (f, &(t, _)) in own {
        found.push(t);
        let last = -((time + u64::from(t) + 1) as f32);
        assert_eq!(rollout.groups[0].final_obs[4 * f..4 * f + 4], [last, env as f32, last, env as f32]);
        assert_eq!(rollout.groups[1].final_obs[2 * f..2 * f + 2], [last, env as f32]);
        assert_eq!(rollout.final_state[f], last);
    }
    assert_eq!(found, expected, "truncated ends of environment {env} from {time}");
}

#[test]
fn rollouts_follow_each_other_without_a_gap() {
    let mut clock = Clock::new();
    let mut recorder = RolloutRecorder::new(&spec(), 7, ENVS, GAMMA).unwrap();
    let mut step = clock.first();
    recorder.begin(&step, &[]).unwrap();
    for turn in 0..4 {
        while !recorder.is_full() {
            let actions = clock.actions();
            clock.step(&mut step);
            recorder.push(&actions, &step).unwrap();
        }
        assert!(recorder.push(&clock.actions(), &step).unwrap_err().to_string().contains("full"));
        (0..ENVS).for_each(|env| check_column(recorder.rollout(), env, env, 7 * turn));
        recorder.restart(&[]);
    }
}

#[test]
fn a_recorder_saved_in_the_middle_goes_on_to_the_same_rollout() {
    let mut clock = Clock::new();
    let mut recorder = RolloutRecorder::new(&spec(), 9, ENVS, GAMMA).unwrap();
    let mut step = clock.first();
    recorder.begin(&step, &[0.5; 2 * ENVS]).unwrap();
    let mut copy = None;
    while !recorder.is_full() {
        let actions = clock.actions();
        clock.step(&mut step);
        if clock.time == 6 {
            let mut out = Writer::new();
            recorder.save(&mut out);
            let mut other = RolloutRecorder::new(&spec(), 9, ENVS, GAMMA).unwrap();
            other.begin(&Clock::new().first(), &[0.0; 2 * ENVS]).unwrap();
            let bytes = out.into_bytes();
            assert!(other.load(&mut Reader::new("rollout", &bytes[..bytes.len() - 1])).is_err());
            other.load(&mut Reader::new("rollout", &bytes)).unwrap();
            copy = Some(other);
        }
        recorder.push(&actions, &step).unwrap();
        if let Some(copy) = &mut copy {
            copy.push(&actions, &step).unwrap();
        }
    }
    assert_eq!(copy.unwrap().rollout(), recorder.rollout());
}

fn config(start: SequenceStart) -> SequenceConfig {
    SequenceConfig { capacity: 60, n_envs: ENVS, length: 9, burn_in: 2, start, gamma: GAMMA, memory_width: 1 }
}

fn filled(start: SequenceStart, steps: usize) -> SequenceReplay {
    let mut clock = Clock::new();
    let mut replay = SequenceReplay::new(&spec(), config(start)).unwrap();
    let mut step = clock.first();
    let memory = |time: u64| (0..ENVS).map(|e| time as f32 * 8.0 + e as f32).collect::<Vec<_>>();
    replay.begin(&step, &memory(0)).unwrap();
    for _ in 0..steps {
        let actions = clock.actions();
        clock.step(&mut step);
        replay.push(&actions, &step, &memory(clock.time)).unwrap();
    }
    replay
}

#[test]
fn sequences_are_the_steps_that_were_pushed_also_after_the_ring_went_round() {
    for steps in [9, 15, 20, 21, 97] {
        let mut replay = filled(SequenceStart::Any, steps);
        assert_eq!(replay.len(), steps.min(20) * ENVS);
        let mut out = Rollout::default();
        let mut seen = std::collections::BTreeSet::new();
        for draw in 0..40 {
            replay.sample(&mut Stream::new(1, Purpose::Replay, 0, draw), 5, &mut out).unwrap();
            assert_eq!((out.n_steps, out.n_envs, out.burn_in), (9, 5, 2));
            assert!(out.ends.is_sorted());
            for b in 0..5 {
                let (time, env) = (out.groups[0].obs[4 * b] as u64, out.groups[0].obs[4 * b + 1] as usize);
                check_column(&out, b, env, time);
                assert_eq!(out.memory[b], time as f32 * 8.0 + env as f32);
                assert!(out.groups.iter().all(|g| g.valid.iter().all(|&v| v)));
                seen.insert((time, env));
            }
        }
        // 200 draws reach every start that is whole in memory: at most 36.
        let oldest = steps.saturating_sub(20) as u64;
        let all = (oldest..=steps as u64 - 9).flat_map(|t| (0..ENVS).map(move |e| (t, e)));
        assert_eq!(seen, all.collect(), "{steps} steps");
    }
}

#[test]
fn whole_episodes_begin_at_their_first_observation_and_count_to_their_end() {
    let mut replay = filled(SequenceStart::Episode, 97);
    let mut out = Rollout::default();
    for draw in 0..40 {
        replay.sample(&mut Stream::new(2, Purpose::Replay, 0, draw), 4, &mut out).unwrap();
        for b in 0..4 {
            let env = out.groups[0].obs[4 * b + 1] as usize;
            check_column(&out, b, env, out.groups[0].obs[4 * b] as u64);
            assert!(out.is_first[b]);
            let counted: Vec<bool> = (0..9).map(|t| out.groups[1].valid[t * 4 + b]).collect();
            let expected: Vec<bool> = (0..9).map(|t| t < 4 + env).collect();
            assert_eq!(counted, expected);
        }
    }
}

#[test]
fn a_replay_of_sequences_restores_to_the_same_draws() {
    let replay = filled(SequenceStart::Any, 53);
    let mut out = Writer::new();
    replay.save(&mut out);
    let bytes = out.into_bytes();
    let mut other = SequenceReplay::new(&spec(), config(SequenceStart::Any)).unwrap();
    assert!(other.load(&mut Reader::new("replay", &bytes)).is_err(), "not begun");
    other.begin(&Clock::new().first(), &[0.0; ENVS]).unwrap();
    for cut in 0..bytes.len().min(400) {
        let mut torn = other.clone();
        assert!(torn.load(&mut Reader::new("replay", &bytes[..cut])).is_err());
    }
    other.load(&mut Reader::new("replay", &bytes)).unwrap();
    let mut replay = replay;
    let (mut a, mut b) = (Rollout::default(), Rollout::default());
    for draw in 0..10 {
        replay.sample(&mut Stream::new(3, Purpose::Replay, 0, draw), 6, &mut a).unwrap();
        other.sample(&mut Stream::new(3, Purpose::Replay, 0, draw), 6, &mut b).unwrap();
        assert_eq!(a, b);
    }
}

#[test]
fn what_makes_no_sense_is_one_line() {
    let fault = |config: SequenceConfig| SequenceReplay::new(&spec(), config).unwrap_err().to_string();
    let good = config(SequenceStart::Any);
    assert!(fault(SequenceConfig { burn_in: 9, ..good }).contains("burn_in"));
    assert!(fault(SequenceConfig { capacity: 29, ..good }).contains("capacity"));
    assert!(fault(SequenceConfig { n_envs: 0, ..good }).contains("n_envs"));
    assert!(fault(SequenceConfig { gamma: f32::NAN, ..good }).contains("gamma"));
    let mut replay = SequenceReplay::new(&spec(), good).unwrap();
    let step = Clock::new().first();
    assert!(replay.push(&Clock::new().actions(), &step, &[0.0; ENVS]).is_err(), "not begun");
    assert!(replay.begin(&step, &[0.0; 2]).unwrap_err().to_string().contains("memory"));
    let mut broken = step.clone();
    broken.groups[1].obs[0] = f32::NAN;
    assert!(replay.begin(&broken, &[0.0; ENVS]).is_err());
    replay.begin(&step, &[0.0; ENVS]).unwrap();
    let mut out = Rollout::default();
    assert!(
        replay.sample(&mut Stream::new(0, Purpose::Replay, 0, 0), 2, &mut out).is_err(),
        "nothing stored"
    );
    assert!(RolloutRecorder::new(&spec(), 0, 1, 0.9).is_err());
    assert!(RolloutRecorder::new(&spec(), 1, 1, 2.0).is_err());
}
