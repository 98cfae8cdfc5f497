//! `probe_*`: tiny environments whose values are known, to find out what a learner gets wrong.
//!
//! | name | rules | values with discount g |
//! |---|---|---|
//! | `probe_one_value` | one step, reward 1, terminates | V = 1 |
//! | `probe_obs_value` | the observation is -1 or 1; one step, reward = observation, terminates | V(s) = s |
//! | `probe_two_step_discount` | observation 0, reward 0, then observation 1, reward 1, terminates | V(0) = g, V(1) = 1 |
//! | `probe_truncate_only` | reward 1 for ever; truncated after 10 steps | V = 1 / (1 - g) |
//! | `probe_terminate_only` | one step, reward 1, terminates in the step of its time limit | V = 1 |
//! | `probe_action_matters` | observation -1 or 1; action 1 pays the observation, action 0 its negative; terminates | V = 1 |
//! | `probe_masked` | observation 0: action 2 pays 10, others 0; then observation 1: action 2 illegal, action 1 pays 1, action 0 pays 0; terminates | Q(0, 2) = 10 + g, Q(0, 0) = Q(0, 1) = g, Q(1, 1) = 1, Q(1, 0) = 0 |
//! | `probe_memory` | observation -1 or 1, reward 0; then observation 0: action 1 pays the first observation, action 0 its negative; terminates | V = g, then 1; without memory 0 |
//! | `probe_two_agents_coordinate` | two agents; both are paid 1 if their actions are equal, else 0; terminates | V = 1 |
//! | `probe_quadratic` | two agents, one number `a`, `b` in -1..=1.5 each; observation `s` -1 or 1; both are paid 1 - (a + b - s)^2 - (a - b - 0.5)^2 / 4; terminates | V = 1 at a = (s + 0.5) / 2, b = (s - 0.5) / 2 |
//!
//! What each finds: a broken value head, a blind network, a wrong discount or bootstrap, a time limit taken for
//! an ending, an ending taken for a time limit, a policy that does not follow the value, illegal actions leaking
//! into targets, memory that does not last a step, agents that do not coordinate, slopes of continuous actions that do not
//! reach the actor.
//!
//! # Parameters, observation, ends
//! No parameters. One observation, `signal`, within -1..=1; the global state is the same number. Two actions,
//! three in `probe_masked`, numbers in `probe_quadratic`. Only `probe_truncate_only` is truncated.
//!
//! # Origin
//! The idea is folklore (A. Jones, "Debugging reinforcement learning without the agonizing pain", 2021); the
//! rules are this project's.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::{Color, Scene, Shape};
use coact_core::{
    ActionSpace, Actions, EnvSpec, Error, GroupSpec, MultiAgentEnv, ObsField, Result, RewardKind, Stream,
};
use serde_json::Value;

use crate::Vectorized;
use crate::registry::EnvEntry;
use crate::rules::check_actions;

/// Steps after which `probe_truncate_only` is truncated.
const TRUNCATE_AFTER: u32 = 10;

/// Which probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OneValue,
    ObsValue,
    TwoStepDiscount,
    TruncateOnly,
    TerminateOnly,
    ActionMatters,
    Masked,
    Memory,
    TwoAgentsCoordinate,
    Quadratic,
}

/// An entry whose builders make `$kind`.
macro_rules! entry {
    ($name:literal, $kind:ident, $random:literal, $best:literal, $summary:literal) => {
        EnvEntry {
            name: $name,
            summary: $summary,
            origin: "coact; the idea is folklore (Jones 2021)",
            options: &[],
            random_return: $random,
            best_known: Some($best),
            batch: |_: &Value, n| Ok(Box::new(Vectorized::new(n, || Ok(Probe::new($name, Kind::$kind)))?)),
            single: |_: &Value| Ok(Box::new(Probe::new($name, Kind::$kind))),
        }
    };
}

/// `probe_one_value` in the list of environments.
pub const ONE_VALUE: EnvEntry =
    entry!("probe_one_value", OneValue, 1.0, 1.0, "reward 1 and the end: the value is 1");
/// `probe_obs_value` in the list of environments.
pub const OBS_VALUE: EnvEntry =
    entry!("probe_obs_value", ObsValue, 0.0, 0.0, "the reward is the observation, and so is the value");
/// `probe_two_step_discount` in the list of environments.
pub const TWO_STEP_DISCOUNT: EnvEntry = entry!(
    "probe_two_step_discount",
    TwoStepDiscount,
    1.0,
    1.0,
    "a reward one step later: its value is the discount"
);
/// `probe_truncate_only` in the list of environments.
pub const TRUNCATE_ONLY: EnvEntry = entry!(
    "probe_truncate_only",
    TruncateOnly,
    10.0,
    10.0,
    "reward 1 for ever under a time limit: the value is 1 / (1 - gamma)"
);
/// `probe_terminate_only` in the list of environments.
pub const TERMINATE_ONLY: EnvEntry = entry!(
    "probe_terminate_only",
    TerminateOnly,
    1.0,
    1.0,
    "an ending in the step of the time limit: the value is 1"
);
/// `probe_action_matters` in the list of environments.
pub const ACTION_MATTERS: EnvEntry =
    entry!("probe_action_matters", ActionMatters, 0.0, 1.0, "the right action depends on the observation");
/// `probe_masked` in the list of environments.
pub const MASKED: EnvEntry = entry!(
    "probe_masked",
    Masked,
    3.8333,
    11.0,
    "the best action of the first step is illegal in the second"
);
/// `probe_memory` in the list of environments.
pub const MEMORY: EnvEntry =
    entry!("probe_memory", Memory, 0.0, 1.0, "the right action is that which the first observation told");
/// `probe_two_agents_coordinate` in the list of environments.
pub const TWO_AGENTS_COORDINATE: EnvEntry = entry!(
    "probe_two_agents_coordinate",
    TwoAgentsCoordinate,
    1.0,
    2.0,
    "two agents are paid for doing the same"
);
/// `probe_quadratic` in the list of environments.
pub const QUADRATIC: EnvEntry =
    entry!("probe_quadratic", Quadratic, -3.2292, 2.0, "two agents' numbers interact in a quadratic reward");

/// One copy of a probe.
#[derive(Debug, Clone)]
struct Probe {
    spec: EnvSpec,
    kind: Kind,
    signal: f32,
    /// The first observation of the episode.
    first: f32,
    elapsed: u32,
    ended: bool,
}

impl Probe {
    fn new(name: &str, kind: Kind) -> Self {
        let two = matches!(kind, Kind::TwoAgentsCoordinate | Kind::Quadratic);
        let group = GroupSpec {
            name: "agent".into(),
            n_agents: if two { 2 } else { 1 },
            obs: vec![ObsField::new("signal", 1, -1.0, 1.0)],
            action: match kind {
                Kind::Quadratic => ActionSpace::Continuous { width: 1, low: -1.0, high: 1.5 },
                Kind::Masked => ActionSpace::Discrete { n: 3 },
                _ => ActionSpace::Discrete { n: 2 },
            },
            masked: kind == Kind::Masked,
        };
        let spec = EnvSpec {
            name: name.into(),
            version: 1,
            groups: vec![group],
            state_width: 1,
            episode_limit: match kind {
                Kind::TruncateOnly => Some(TRUNCATE_AFTER),
                Kind::TerminateOnly => Some(1),
                _ => None,
            },
            reward: if two { RewardKind::Common } else { RewardKind::PerAgent },
        };
        Self { spec, kind, signal: 0.0, first: 0.0, elapsed: 0, ended: false }
    }

    /// Whether a first moment differs between episodes.
    fn drawn(&self) -> bool {
        matches!(self.kind, Kind::ObsValue | Kind::ActionMatters | Kind::Memory | Kind::Quadratic)
    }

    fn legal_action(&self, action: u32) -> bool {
        self.kind != Kind::Masked || self.elapsed == 0 || action != 2
    }
}

impl MultiAgentEnv for Probe {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, rng: &mut Stream) {
        let sign = if rng.below(2) == 0 { -1.0 } else { 1.0 };
        self.signal = if self.drawn() { sign } else { 0.0 };
        self.first = self.signal;
        (self.elapsed, self.ended) = (0, false);
    }

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> Result<bool> {
        check_actions(&self.spec, actions)?;
        let action = actions.discrete[0];
        if !self.legal_action(action) {
            return Err(Error::invalid(format!(
                "action {action} of agent 0 is illegal now; choose by its mask"
            )));
        }
        let first = self.elapsed == 0;
        let (paid, ended) = match self.kind {
            Kind::OneValue | Kind::TerminateOnly => (1.0, true),
            Kind::ObsValue => (self.signal, true),
            Kind::TwoStepDiscount => (if first { 0.0 } else { 1.0 }, !first),
            Kind::TruncateOnly => (1.0, false),
            Kind::ActionMatters => (if action == 1 { self.signal } else { -self.signal }, true),
            Kind::Masked if first => (if action == 2 { 10.0 } else { 0.0 }, false),
            Kind::Masked => (action as f32, true),
            Kind::Memory if first => (0.0, false),
            Kind::Memory => (if action == 1 { self.first } else { -self.first }, true),
            Kind::Quadratic => {
                let (a, b) = (actions.continuous[0], actions.continuous[1]);
                let (sum, difference) = (a + b - self.signal, a - b - 0.5);
                (1.0 - sum * sum - 0.25 * difference * difference, true)
            }
            Kind::TwoAgentsCoordinate => (if actions.discrete[1] == action { 1.0 } else { 0.0 }, true),
        };
        reward.fill(paid);
        terminated.fill(ended);
        self.elapsed += 1;
        self.ended = ended;
        if matches!(self.kind, Kind::TwoStepDiscount | Kind::Masked) {
            self.signal = 1.0;
        }
        if self.kind == Kind::Memory {
            self.signal = 0.0;
        }
        Ok(self.kind == Kind::TruncateOnly && self.elapsed >= TRUNCATE_AFTER)
    }

    fn observe(&self, _agent: usize, obs: &mut [f32]) {
        obs[0] = self.signal;
    }

    fn state(&self, state: &mut [f32]) {
        state[0] = self.signal;
    }

    fn legal(&self, _agent: usize, mask: &mut [u32]) {
        mask[0] = (0..3).filter(|a| self.legal_action(*a)).map(|a| 1 << a).sum();
    }

    fn alive(&self, _agent: usize) -> bool {
        !self.ended
    }

    fn scene(&self) -> Scene {
        let ink = Color(20, 20, 20);
        let glow = (127.5 + 127.5 * self.signal) as u8;
        let lamp = Shape::Disc { x: 0.5, y: 0.6, radius: 0.25, color: Color(glow, glow, 255 - glow) };
        let text = format!("signal {}", self.signal);
        let label = Shape::Text { x: 0.2, y: 0.12, size: 0.1, color: ink, text };
        Scene {
            bounds: (0.0, 1.0, 0.0, 1.0),
            background: Color(255, 255, 255),
            shapes: vec![lamp, label],
            caption: format!("{}, step {}", self.spec.name, self.elapsed),
        }
    }

    fn save(&self, out: &mut Writer) {
        out.f32(self.signal);
        out.f32(self.first);
        out.u32(self.elapsed);
        out.bool(self.ended);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.signal = from.f32()?;
        self.first = from.f32()?;
        self.elapsed = from.u32()?;
        self.ended = from.bool()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rewards and whether the process ended, over one episode of given actions.
    fn play(kind: Kind, seed: u64, actions: &[&[u32]]) -> (Vec<f32>, Vec<f32>, Vec<bool>) {
        let mut probe = Probe::new("probe", kind);
        let mut rng = Stream::new(seed, coact_core::Purpose::Reset, 0, 0);
        probe.reset(&mut rng);
        let n = probe.spec.n_agents();
        let (mut seen, mut paid, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for discrete in actions {
            let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
            seen.push(probe.signal);
            let given = Actions { discrete, continuous: &[] };
            probe.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
            paid.push(reward[0]);
            ends.push(terminated[0]);
        }
        (seen, paid, ends)
    }

    #[test]
    fn rewards_are_those_of_the_table() {
        assert_eq!(play(Kind::OneValue, 0, &[&[1]]), (vec![0.0], vec![1.0], vec![true]));
        assert_eq!(
            play(Kind::TwoStepDiscount, 0, &[&[0], &[0]]),
            (vec![0.0, 1.0], vec![0.0, 1.0], vec![false, true])
        );
        assert_eq!(play(Kind::Masked, 0, &[&[2], &[1]]).1, vec![10.0, 1.0]);
        assert_eq!(play(Kind::Masked, 0, &[&[1], &[0]]).1, vec![0.0, 0.0]);
        assert_eq!(play(Kind::TwoAgentsCoordinate, 0, &[&[1, 1]]).1, vec![1.0]);
        assert_eq!(play(Kind::TwoAgentsCoordinate, 0, &[&[0, 1]]).1, vec![0.0]);
        let mut signs = [false; 2];
        for seed in 0..8 {
            let (seen, paid, _) = play(Kind::ObsValue, seed, &[&[0]]);
            assert_eq!(seen, paid);
            signs[usize::from(seen[0] > 0.0)] = true;
            let (seen, paid, _) = play(Kind::ActionMatters, seed, &[&[0]]);
            assert_eq!(seen[0], -paid[0]);
            let (seen, paid, ends) = play(Kind::Memory, seed, &[&[0], &[1]]);
            assert_eq!((seen[1], paid[0], paid[1], ends), (0.0, 0.0, seen[0], vec![false, true]));
        }
        assert_eq!(signs, [true; 2], "both observations occur");
    }

    #[test]
    fn the_quadratic_pays_most_at_its_optimum() {
        let mut probe = Probe::new("probe", Kind::Quadratic);
        let paid = |probe: &mut Probe, sign: f32, actions: [f32; 2]| {
            let mut rng = Stream::new(0, coact_core::Purpose::Reset, 0, 0);
            probe.reset(&mut rng);
            probe.signal = sign;
            let (mut reward, given) = ([0.0; 2], Actions { discrete: &[0; 2], continuous: &actions });
            probe.step(given, &mut rng, &mut reward, &mut [false; 2]).unwrap();
            assert_eq!(reward[0], reward[1]);
            reward[0]
        };
        assert_eq!(paid(&mut probe, 1.0, [0.75, 0.25]), 1.0);
        assert_eq!(paid(&mut probe, -1.0, [-0.25, -0.75]), 1.0);
        assert_eq!(paid(&mut probe, 1.0, [0.0, 0.0]), 1.0 - 1.0 - 0.0625);
        assert_eq!(paid(&mut probe, 1.0, [1.5, -1.0]), 1.0 - 0.25 - 1.0);
    }

    #[test]
    fn the_illegal_action_is_refused() {
        let mut probe = Probe::new("probe", Kind::Masked);
        let mut rng = Stream::new(0, coact_core::Purpose::Reset, 0, 0);
        probe.reset(&mut rng);
        let mut step = |probe: &mut Probe| {
            let given = Actions { discrete: &[2], continuous: &[] };
            probe.step(given, &mut rng, &mut [0.0], &mut [false])
        };
        step(&mut probe).unwrap();
        assert!(step(&mut probe).unwrap_err().to_string().contains("illegal"));
    }
}
