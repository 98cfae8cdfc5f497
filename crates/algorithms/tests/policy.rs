//! The policy family in its own loop: probe environments, matrix games, continuous actions, and what must not change a bit.
//!
//! What training as a whole does with it is tested where the training loop is.

#![allow(clippy::unwrap_used)]

use coact_algorithms::policy::{PolicyLearner, Rule};
use coact_algorithms::{ActMode, BuildContext, Clock, Learner, SequenceLearner, UpdateStats};
use coact_core::codec::{Reader, Writer};
use coact_core::{
    ActionBatch, ActionSpace, Actions, BatchEnv, EnvSpec, GroupSpec, MultiAgentEnv, ObsField, RewardKind,
    StepBatch, Stream,
};
use coact_envs::Vectorized;
use coact_kernels::{Backend, CpuOptions};
use coact_replay::RolloutRecorder;
use serde_json::{Value, json};

const GAMMA: f32 = 0.8;
const ALL: [Rule; 7] =
    [Rule::Reinforce, Rule::Ia2c, Rule::Maa2c, Rule::Ippo, Rule::Mappo, Rule::Coma, Rule::Happo];
const WITH_VALUES: [Rule; 5] = [Rule::Ia2c, Rule::Maa2c, Rule::Ippo, Rule::Mappo, Rule::Happo];

/// An environment, a learner and what lies between them.
struct Loop {
    env: Box<dyn BatchEnv>,
    learner: PolicyLearner,
    recorder: RolloutRecorder,
    step: StepBatch,
    actions: ActionBatch,
    clock: Clock,
}

#[derive(Clone, Copy)]
struct Size {
    n_envs: usize,
    n_steps: usize,
    rollouts: u64,
    threads: usize,
}

const SMALL: Size = Size { n_envs: 8, n_steps: 16, rollouts: 100, threads: 1 };
const LONGER: Size = Size { rollouts: 150, ..SMALL };

impl Loop {
    fn new(env: Box<dyn BatchEnv>, rule: Rule, size: Size, more: Value) -> Self {
        let Size { n_envs, n_steps, rollouts, threads } = size;
        let mut settings = json!({
            "hidden": [16], "cell_width": 8, "learning_rate": 1e-2, "learning_schedule": "linear",
            "learning_rate_min": 1e-5, "gradient_clipping_global_norm": 10.0,
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let context = BuildContext {
            spec: env.spec(),
            n_envs,
            seed: 4,
            total_env_steps: rollouts * (n_envs * n_steps) as u64,
            total_grad_steps: 1,
            rollout_steps: n_steps,
            gamma: GAMMA,
            backend: Backend::cpu(CpuOptions { threads, isa: None }).unwrap(),
            settings: &settings,
        };
        let learner = PolicyLearner::new(rule, context).unwrap();
        let recorder = RolloutRecorder::new(env.spec(), n_steps, n_envs, GAMMA).unwrap();
        let (step, actions) = (StepBatch::new(env.spec(), n_envs), ActionBatch::new(env.spec(), n_envs));
        let mut own = Self { env, learner, recorder, step, actions, clock: Clock::default() };
        own.env.reset(7, &mut own.step).unwrap();
        own.recorder.begin(&own.step, own.learner.memory()).unwrap();
        own
    }

    fn named(env: &str, rule: Rule, size: Size, more: Value) -> Self {
        let env = coact_envs::find(env).unwrap().build(&Value::Null, size.n_envs).unwrap();
        Self::new(env, rule, size, more)
    }

    /// One rollout, learned from.
    fn rollout(&mut self) -> UpdateStats {
        while !self.recorder.is_full() {
            self.learner.act(&self.step, ActMode::Explore(self.clock), &mut self.actions).unwrap();
            self.env.step(&self.actions, &mut self.step).unwrap();
            self.recorder.push(&self.actions, &self.step).unwrap();
            self.clock.vector_steps += 1;
            self.clock.env_steps += self.step.n_envs as u64;
        }
        let stats = self.learner.learn(self.recorder.rollout()).unwrap();
        self.recorder.restart(self.learner.memory());
        stats
    }

    fn train(mut self, size: Size) -> Self {
        for _ in 0..size.rollouts {
            self.rollout();
        }
        self
    }

    /// Mean reward an agent and step of 25 greedy steps.
    fn greedy_reward(&mut self) -> f32 {
        self.env.reset(11, &mut self.step).unwrap();
        let (mut total, mut n) = (0.0, 0);
        for _ in 0..25 {
            self.learner.act(&self.step, ActMode::Greedy, &mut self.actions).unwrap();
            self.env.step(&self.actions, &mut self.step).unwrap();
            for columns in &self.step.groups {
                total += columns.reward.iter().sum::<f32>();
                n += columns.reward.len();
            }
        }
        total / n as f32
    }

    /// Values of the agents of group 0 where everything that they see is `signal`.
    fn values_at(&mut self, signal: f32) -> Vec<f32> {
        let mut step = StepBatch::new(self.env.spec(), 1);
        step.groups[0].obs.fill(signal);
        step.state.fill(signal);
        self.learner.state_values(&step, 0).unwrap()
    }
}

/// Values that are known: `(signal, value)`.
fn expect_values(env: &str, table: &[(f32, f32)]) {
    for rule in WITH_VALUES {
        for more in [json!({}), json!({"cell": "gru", "minibatches": 2})] {
            let mut run = Loop::named(env, rule, LONGER, more.clone()).train(LONGER);
            for &(signal, expected) in table {
                for found in run.values_at(signal) {
                    // A probe's fault moves a value by 0.2 or more.
                    let near = (found - expected).abs() < 0.05 * expected.abs().max(1.0);
                    assert!(near, "{rule:?} {more}, {env}: V({signal}) is {found}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn one_value() {
    expect_values("probe_one_value", &[(0.0, 1.0)]);
}

#[test]
fn the_observation_is_seen() {
    expect_values("probe_obs_value", &[(-1.0, -1.0), (1.0, 1.0)]);
}

#[test]
fn a_reward_one_step_later_is_worth_the_discount() {
    expect_values("probe_two_step_discount", &[(0.0, GAMMA)]);
}

/// A learner that takes the time limit of 10 steps for an end finds 4.46 or less at its start.
#[test]
fn a_time_limit_bootstraps() {
    expect_values("probe_truncate_only", &[(0.0, 1.0 / (1.0 - GAMMA))]);
}

#[test]
fn an_end_in_the_step_of_the_time_limit_does_not_bootstrap() {
    expect_values("probe_terminate_only", &[(0.0, 1.0)]);
}

/// Every algorithm finds the best policy, feed-forward and recurrent, with shared and separate weights.
#[test]
fn the_best_actions_are_found() {
    for rule in ALL {
        for more in [
            json!({"ent_coef": 1e-3}),
            json!({"cell": "lstm", "minibatches": 1, "sharing": "separate", "ent_coef": 1e-3}),
        ] {
            for (env, best) in [("probe_action_matters", 1.0), ("probe_two_agents_coordinate", 1.0)] {
                let found = Loop::named(env, rule, SMALL, more.clone()).train(SMALL).greedy_reward();
                assert!((found - best).abs() < 1e-6, "{rule:?} {more}, {env}: {found}, not {best}");
            }
            // Ten in the first step, one in the second, where the action that paid ten is illegal.
            let found = Loop::named("probe_masked", rule, SMALL, more.clone()).train(SMALL).greedy_reward();
            assert!(found > 5.4, "{rule:?} {more}, probe_masked: {found} a step, not 5.5");
        }
    }
}

/// Two agents name numbers and are paid `-(x - 0.6)^2 - (y + 0.4)^2 - (x + y + 0.4)^2`, most at x = 0.4, y = -0.6. Each
/// alone, with the other at its own favorite, is 0.2 away.
#[derive(Clone)]
struct Numbers {
    spec: EnvSpec,
}

impl Numbers {
    fn new() -> Self {
        let group = |name: &str| GroupSpec {
            name: name.into(),
            n_agents: 1,
            obs: vec![ObsField::new("nothing", 1, 0.0, 0.0)],
            action: ActionSpace::Continuous { width: 1, low: -1.0, high: 1.0 },
            masked: false,
        };
        let spec = EnvSpec {
            name: "numbers".into(),
            version: 1,
            groups: vec![group("first"), group("second")],
            state_width: 0,
            episode_limit: None,
            reward: RewardKind::Common,
        };
        Self { spec }
    }
}

impl MultiAgentEnv for Numbers {
    fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    fn reset(&mut self, _rng: &mut Stream) {}

    fn step(
        &mut self,
        actions: Actions<'_>,
        _rng: &mut Stream,
        reward: &mut [f32],
        terminated: &mut [bool],
    ) -> coact_core::Result<bool> {
        let [x, y] = [actions.continuous[0], actions.continuous[1]];
        assert!(x.abs() <= 1.0 && y.abs() <= 1.0, "{x}, {y}");
        reward.fill(-(x - 0.6).powi(2) - (y + 0.4).powi(2) - (x + y + 0.4).powi(2));
        terminated.fill(true);
        Ok(false)
    }

    fn observe(&self, _agent: usize, obs: &mut [f32]) {
        obs.fill(0.0);
    }

    fn scene(&self) -> coact_core::scene::Scene {
        unreachable!("nobody looks")
    }

    fn save(&self, _out: &mut Writer) {}

    fn load(&mut self, _from: &mut Reader<'_>) -> coact_core::Result<()> {
        Ok(())
    }
}

#[test]
fn continuous_actions_find_the_best_numbers() {
    for rule in ALL.into_iter().filter(|&rule| rule != Rule::Coma) {
        for distribution in ["squashed", "gaussian"] {
            let more = json!({
                "continuous_distribution": distribution, "ent_coef": 0.0, "normalize_advantage": true,
                "log_std_init": -1.0,
            });
            let env = Vectorized::new(SMALL.n_envs, || Ok(Numbers::new())).unwrap();
            let mut run = Loop::new(Box::new(env), rule, SMALL, more).train(SMALL);
            run.learner.act(&run.step, ActMode::Greedy, &mut run.actions).unwrap();
            let found = [run.actions.continuous[0][0], run.actions.continuous[1][0]];
            let near = (found[0] - 0.4).abs() < 0.12 && (found[1] + 0.6).abs() < 0.12;
            assert!(near, "{rule:?}, {distribution}: {found:?}, not [0.4, -0.6]");
        }
    }
}

const SHORT: Size = Size { n_envs: 6, n_steps: 30, rollouts: 3, threads: 1 };

/// Everything on: several groups of unequal agents, memory, running moments.
fn unlike(rule: Rule, size: Size, more: Value) -> Loop {
    let env = if rule == Rule::Coma { "simple_speaker_listener" } else { "simple_tag" };
    let mut settings = json!({"hidden": [40, 40], "minibatches": 3, "epochs": 2});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Loop::named(env, rule, size, settings)
}

fn bits(learner: &PolicyLearner) -> Vec<u32> {
    learner.params().iter().map(|p| p.to_bits()).collect()
}

#[test]
fn threads_do_not_change_a_bit() {
    for rule in ALL {
        for more in [json!({}), json!({"cell": "gru"})] {
            let run =
                |threads| bits(&unlike(rule, Size { threads, ..SHORT }, more.clone()).train(SHORT).learner);
            assert_eq!(run(1), run(2), "{rule:?} {more}");
        }
    }
}

#[test]
fn a_saved_learner_goes_on_to_the_same_bits() {
    for rule in ALL {
        for more in [json!({}), json!({"cell": "lstm", "sharing": "separate"})] {
            let mut run = unlike(rule, SHORT, more.clone());
            run.rollout();
            let mut saved = Writer::new();
            run.learner.save(&mut saved);
            let saved = saved.into_bytes();
            let mut other = unlike(rule, SHORT, more.clone());
            let mut reader = Reader::new("learner", &saved);
            other.learner.load(&mut reader).unwrap();
            reader.finish().unwrap();
            // The environments and the recorder go on where they were.
            other.recorder = run.recorder.clone();
            std::mem::swap(&mut other.env, &mut run.env);
            (other.step, other.clock) = (run.step.clone(), run.clock);
            other.rollout();
            // One that never stopped.
            let mut again = unlike(rule, SHORT, more.clone());
            again.rollout();
            again.rollout();
            assert_eq!(bits(&other.learner), bits(&again.learner), "{rule:?} {more}");
            assert_ne!(bits(&again.learner), bits(&run.learner), "{rule:?} {more} learns nothing");
        }
    }
}

fn refusal(algorithm: &str, settings: Value, spec: &EnvSpec) -> String {
    let entry = coact_algorithms::find(algorithm).unwrap();
    let context = BuildContext {
        spec,
        n_envs: 2,
        seed: 0,
        total_env_steps: 100,
        total_grad_steps: 1,
        rollout_steps: 4,
        gamma: 0.9,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings: &settings,
    };
    let error = (entry.build)(context).err().map(|e| e.to_string());
    error.unwrap_or_else(|| panic!("{algorithm} takes {settings}"))
}

#[test]
fn refusals_are_one_line_that_names_the_key() {
    let spec = Numbers::new().spec;
    for (algorithm, settings, names) in [
        ("ippo", json!({"clip_eps": 0.0}), "clip_eps"),
        ("ippo", json!({"epochs": 0}), "epochs"),
        ("ippo", json!({"minibatches": 9}), "minibatches"),
        ("ippo", json!({"minibatches": 3, "cell": "gru"}), "minibatches"),
        ("ippo", json!({"gae_lambda": 1.5}), "gae_lambda"),
        ("ippo", json!({"hidden": [0]}), "hidden"),
        ("ippo", json!({"head": [0]}), "head"),
        ("ippo", json!({"cell": "elman"}), "cell"),
        ("ippo", json!({"ent_coef": -0.1}), "ent_coef"),
        ("ippo", json!({"learning_schedule": "exponential"}), "learning_schedule"),
        ("ippo", json!({"learning_schedule": "piecewise"}), "learning_rate_points"),
        ("ippo", json!({"learning_rate_min": 1.0}), "learning_rate_min"),
        ("ippo", json!({"momentum": 1.0, "optimizer": "sgd"}), "momentum"),
        ("ippo", json!({"tau": 0.1}), "tau"),
        ("ippo", json!({"value_norm_beta": 1.0}), "value_norm_beta"),
        ("ippo", json!({"return_steps": 0}), "return_steps"),
        ("ippo", json!({"log_std_init": 9.0}), "log_std_init"),
        ("happo", json!({"sharing": "shared"}), "sharing"),
        ("mappo", json!({"critic_input": "state"}), "critic_input"),
        ("coma", json!({}), "not discrete"),
    ] {
        let message = refusal(algorithm, settings.clone(), &spec);
        assert!(message.contains(names) && !message.contains('\n'), "{algorithm} {settings}: {message}");
    }
    let discrete = coact_envs::find("climbing").unwrap().build(&Value::Null, 1).unwrap();
    for (settings, names) in [
        (json!({"value_norm": true}), "value_norm"),
        (json!({"return_steps": 3}), "return_steps"),
        (json!({"value_clip_eps": 0.2}), "value_clip_eps"),
    ] {
        let message = refusal("coma", settings.clone(), discrete.spec());
        assert!(message.contains(names) && !message.contains('\n'), "{settings}: {message}");
    }
    let mut endless = spec;
    endless.groups[1].action = ActionSpace::Continuous { width: 1, low: f32::NEG_INFINITY, high: 1.0 };
    assert!(refusal("ippo", json!({}), &endless).contains("continuous_distribution"));
}

/// What `resolve` gives holds every key and resolves to itself.
#[test]
fn resolved_settings_are_whole_and_stay() {
    for rule in ALL {
        let entry = coact_algorithms::find(rule.name()).unwrap();
        let all = (entry.resolve)(&json!({})).unwrap();
        assert_eq!(all.as_object().unwrap().len(), entry.keys.len());
        assert_eq!((entry.resolve)(&all).unwrap(), all, "{rule:?}");
    }
}

/// Greedy reward a step of the payoff table after training with `rule`.
fn payoff(env: &str, rule: Rule) -> f32 {
    let more = json!({"sharing": "separate", "ent_coef": 0.01, "actor_output_gain": 1.0});
    Loop::named(env, rule, SMALL, more).train(SMALL).greedy_reward()
}

/// Learners on policy go where exploring at random is paid best: the safe middle of the penalty game, 2, and one of the
/// payoffs 5, 6 and 7 of the climbing game; never to its 11 among the punishments.
#[test]
fn matrix_games_end_where_policy_gradients_end() {
    for rule in ALL {
        assert_eq!(payoff("penalty", rule), 2.0, "{rule:?}");
        let climbed = payoff("climbing", rule);
        assert!([5.0, 6.0, 7.0].contains(&climbed), "{rule:?}: {climbed}");
    }
}

/// Convolutions of actors and critics learn, at any number of threads alike, and a grid that is not there is named.
#[test]
fn observations_that_are_grids_are_convolved() {
    let grid = json!({"channels": 4, "height": 3, "width": 3, "layers": [{"filters": 5, "kernel": 2}]});
    for rule in [Rule::Ippo, Rule::Mappo] {
        for cell in ["none", "gru"] {
            let more = json!({"grid": grid, "cell": cell, "minibatches": 2});
            let weights = |threads: usize, rollouts: usize| {
                let size = Size { threads, ..SMALL };
                let mut run = Loop::named("coin_game", rule, size, more.clone());
                for _ in 0..rollouts {
                    run.rollout();
                }
                let policy = run.learner.policies().remove(0);
                assert_eq!(
                    (policy.tensors[0].name.as_str(), &policy.tensors[0].shape[..]),
                    ("grid.0.weight", &[5, 4, 2, 2][..])
                );
                assert!(
                    policy
                        .architecture
                        .iter()
                        .any(|(name, value)| *name == "grid" && value.contains("filters"))
                );
                policy.tensors[0].values.clone()
            };
            let learned = weights(1, 2);
            assert_ne!(learned, weights(1, 0), "{rule:?} {cell}");
            assert_eq!(learned, weights(2, 2), "{rule:?} {cell}");
        }
    }
    let env = coact_envs::find("probe_one_value").unwrap().build(&Value::Null, 1).unwrap();
    let settings = json!({"grid": grid, "minibatches": 1});
    let context = BuildContext {
        spec: env.spec(),
        n_envs: 1,
        seed: 0,
        total_env_steps: 1,
        total_grad_steps: 1,
        rollout_steps: 1,
        gamma: GAMMA,
        backend: Backend::cpu(CpuOptions::default()).unwrap(),
        settings: &settings,
    };
    let error = PolicyLearner::new(Rule::Ippo, context).err().unwrap().to_string();
    assert!(error.contains("grid is [4, 3, 3] in observations of 1;"), "{error}");
}
