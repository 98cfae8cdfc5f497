//! Means that were measured on the original environments, or follow from their rules by arithmetic, and ours beside them.
//!
//! Particle world: random policies on mpe2 1.1.1 over 1000 episodes of 25 steps with discrete actions. Where the half width
//! of their 95 % interval is not known, it is that of 1000 of our episodes. IC3Net's environments: over 300 episodes.

#![allow(clippy::unwrap_used)]

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_envs::golden::random_actions;
use serde_json::{Value, json};

const E: usize = 256;

/// What is measured of an episode: one number a column.
struct Sample {
    mean: Vec<f64>,
    /// Standard deviation.
    spread: Vec<f64>,
    n: f64,
}

fn build(name: &str, options: &Value) -> Box<dyn BatchEnv> {
    coact_envs::find(name).unwrap().build(options, E).unwrap()
}

/// Plays at least `n_episodes` of a policy and adds up what `watch` sees of each step: it is called with the step and the
/// environment, and adds to the columns of the episode.
fn play(
    env: &mut dyn BatchEnv,
    n_episodes: usize,
    n_columns: usize,
    mut policy: impl FnMut(&dyn BatchEnv, &StepBatch, u64, &mut ActionBatch),
    mut watch: impl FnMut(&StepBatch, usize, &mut [f64]),
) -> Sample {
    let (mut step, mut actions) = (StepBatch::new(env.spec(), E), ActionBatch::new(env.spec(), E));
    env.reset(17, &mut step).unwrap();
    let mut running = vec![vec![0.0; n_columns]; E];
    // As many of every copy: short episodes are not favored.
    let mut left = vec![n_episodes.div_ceil(E); E];
    let (mut sum, mut squares, mut n, mut t) = (vec![0.0; n_columns], vec![0.0; n_columns], 0.0, 0);
    while left.iter().any(|l| *l > 0) {
        policy(env, &step, t, &mut actions);
        env.step(&actions, &mut step).unwrap();
        t += 1;
        for e in 0..E {
            if left[e] == 0 {
                continue;
            }
            watch(&step, e, &mut running[e]);
            if step.is_first[e] {
                left[e] -= 1;
                n += 1.0;
                for (c, x) in running[e].iter().enumerate() {
                    sum[c] += x;
                    squares[c] += x * x;
                }
                running[e].fill(0.0);
            }
        }
    }
    let mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
    let spread = mean.iter().zip(&squares).map(|(m, s)| (s / n - m * m).max(0.0).sqrt()).collect();
    Sample { mean, spread, n }
}

fn random(env: &dyn BatchEnv, step: &StepBatch, t: u64, actions: &mut ActionBatch) {
    random_actions(env, step, 23, t, actions);
}

/// Returns of all agents of a policy, over four times as many episodes as were measured on the originals.
fn returns(
    name: &str,
    options: &Value,
    policy: impl FnMut(&dyn BatchEnv, &StepBatch, u64, &mut ActionBatch),
) -> Sample {
    let mut env = build(name, options);
    let spec = env.spec().clone();
    let n = spec.n_agents();
    // The last column is the sum.
    play(&mut *env, 4000, n + 1, policy, |step, e, row| {
        for (agent, (g, a)) in spec.agents().enumerate() {
            let reward = f64::from(step.groups[g].reward[e * spec.groups[g].n_agents + a]);
            row[agent] += reward;
            row[n] += reward;
        }
    })
}

impl Sample {
    /// Whether the original's mean is as near as two means of one distribution are 95 times of 100, given the half width of
    /// the original's interval; without one, that of 1000 episodes.
    fn check(&self, what: &str, column: usize, anchor: f64, half: Option<f64>) {
        let (ours, spread) = (self.mean[column], self.spread[column]);
        let half = half.unwrap_or(1.96 * spread / 1000_f64.sqrt());
        let own = 1.96 * spread / self.n.sqrt();
        let off = (ours - anchor).abs();
        assert!(off <= half.hypot(own), "{what}: {ours} +- {own}, measured {anchor} +- {half}");
    }
}

#[test]
fn random_policies_fare_in_the_particle_world_as_in_the_original() {
    let all = |name: &str| returns(name, &Value::Null, random);
    all("simple").check("simple", 0, -39.73, Some(2.06));
    let spread = all("simple_spread");
    spread.check("simple_spread", 3, -78.36, Some(1.45));
    (0..3).for_each(|agent| spread.check("one of simple_spread", agent, -26.1, Some(1.45 / 3.0)));
    let common = returns("simple_spread", &json!({"local_ratio": 0.0}), random);
    (0..3).for_each(|agent| common.check("simple_spread without bumps", agent, -51.82, None));
    let original = returns("simple_spread", &json!({"scale": "openai"}), random);
    original.check("simple_spread of 2017", 0, -234.30, Some(3.0));
    let listener = all("simple_speaker_listener");
    (0..2).for_each(|agent| listener.check("simple_speaker_listener", agent, -41.3, Some(2.1)));
    let reference = all("simple_reference");
    (0..2).for_each(|agent| reference.check("simple_reference", agent, -28.3, None));
    let adversary = all("simple_adversary");
    adversary.check("adversary of simple_adversary", 0, -28.94, None);
    (1..3).for_each(|agent| adversary.check("agent of simple_adversary", agent, 8.04, None));
    let push = all("simple_push");
    push.check("adversary of simple_push", 0, 0.62, None);
    push.check("agent of simple_push", 1, -28.53, None);
    let tag = all("simple_tag");
    (0..3).for_each(|agent| tag.check("adversary of simple_tag", agent, 4.68, None));
    tag.check("agent of simple_tag", 3, -16.47, None);
}

#[test]
fn standing_still_in_spread_costs_what_it_cost_in_the_original() {
    let noop =
        |_: &dyn BatchEnv, _: &StepBatch, _: u64, actions: &mut ActionBatch| actions.discrete[0].fill(0);
    returns("simple_spread", &Value::Null, noop).check("simple_spread", 3, -73.33, Some(1.57));
}

/// Days 4 n - 6, everybody equally likely: chances that all have been there, by inclusion and exclusion.
#[test]
fn telling_on_the_last_day_pays_what_the_oracle_says() {
    for (n, chance) in [(2_u32, 0.5), (3, 0.740741), (4, 0.780602), (5, 0.787907)] {
        let days = 4 * n as i32 - 6;
        let all: f64 = (0..=n)
            .map(|absent| {
                let ways = (0..absent).fold(1.0, |c, k| c * f64::from(n - k) / f64::from(k + 1));
                (-1.0_f64).powi(absent as i32) * ways * (f64::from(n - absent) / f64::from(n)).powi(days)
            })
            .sum();
        assert!((all - chance).abs() < 1e-6, "{n}: {all}");
        let last = |env: &dyn BatchEnv, step: &StepBatch, t: u64, actions: &mut ActionBatch| {
            let (agents, words) = (env.spec().groups[0].n_agents, 1);
            for row in 0..E * agents {
                let inside = step.groups[0].mask[row * words] == 0b1111;
                let is_last = (t + 1).is_multiple_of(days as u64);
                actions.discrete[0][row] = if inside && is_last { 2 } else { 0 };
            }
        };
        let sample = returns("switch_riddle", &json!({"n_agents": n}), last);
        let (ours, error) = (sample.mean[0], sample.spread[0] / sample.n.sqrt());
        assert!((ours - (2.0 * chance - 1.0)).abs() < 3.5 * error, "{n}: {ours} +- {error}");
    }
}

#[test]
fn random_pulls_hit_as_many_levers_as_arithmetic_says() {
    let sample = returns("levers", &Value::Null, random);
    let (ours, error) = (sample.mean[0], sample.spread[0] / sample.n.sqrt());
    let right = 1.0 - 0.8_f64.powi(5);
    assert!((right - 0.67232).abs() < 1e-9 && (ours - right).abs() < 3.5 * error, "{ours} +- {error}");
}

/// Steps of an episode in predator-prey: the reward says nothing after a predator has arrived, ends do.
#[test]
fn predators_at_random_take_as_long_as_in_the_original() {
    for (difficulty, steps) in [("easy", 19.7), ("medium", 40.0), ("hard", 80.0)] {
        let mut env = build("predator_prey", &json!({"difficulty": difficulty}));
        let n = if difficulty == "hard" { 256 } else { 2048 };
        let sample = play(&mut *env, n, 1, random, |_, _, row| row[0] += 1.0);
        // The original's is given to one decimal.
        let off = (sample.mean[0] - steps).abs();
        assert!(off < 0.05 + 3.0 * sample.spread[0] / 300_f64.sqrt(), "{difficulty}: {}", sample.mean[0]);
    }
}

/// Share of episodes without a collision and return of the team.
#[test]
fn traffic_without_sense_crashes_as_in_the_original() {
    let gas =
        |_: &dyn BatchEnv, _: &StepBatch, _: u64, actions: &mut ActionBatch| actions.discrete[0].fill(0);
    let brake = |env: &dyn BatchEnv, step: &StepBatch, _: u64, actions: &mut ActionBatch| {
        let _ = env;
        let legal = step.groups[0].mask.iter().map(|m| u32::from(m & 2 > 0));
        actions.discrete[0].iter_mut().zip(legal).for_each(|(a, l)| *a = l);
    };
    let crashes = |difficulty: &str,
                   policy: &mut dyn FnMut(&dyn BatchEnv, &StepBatch, u64, &mut ActionBatch)|
     -> (f64, f64) {
        let mut env = build("traffic_junction", &json!({"difficulty": difficulty}));
        let n = env.spec().n_agents();
        let (mut free, mut crashed) = (0.0, vec![false; E]);
        let sample = play(&mut *env, 2048, 1, policy, |step, e, row| {
            let rewards = &step.groups[0].reward[e * n..(e + 1) * n];
            row[0] += rewards.iter().map(|r| f64::from(*r)).sum::<f64>();
            // A car that waits has paid at most 0.8.
            crashed[e] |= rewards.iter().any(|r| *r < -5.0);
            if step.is_first[e] {
                free += f64::from(u8::from(!crashed[e]));
                crashed[e] = false;
            }
        });
        (free / sample.n, sample.mean[0])
    };
    for (difficulty, success, team) in
        [("easy", 0.287, Some(-24.3)), ("medium", 0.023, Some(-219.0)), ("hard", 0.067, Some(-239.0))]
    {
        let (share, mean) = crashes(difficulty, &mut { gas });
        let error = (success * (1.0 - success) / 300.0_f64).sqrt();
        assert!((share - success).abs() < 3.0 * error, "gas, {difficulty}: {share}, measured {success}");
        assert!(team.is_none_or(|team| (mean / team - 1.0).abs() < 0.1), "gas, {difficulty}: {mean}");
    }
    for (difficulty, success) in [("easy", 0.013), ("medium", 0.0), ("hard", 0.0)] {
        let (share, _) = crashes(difficulty, &mut { random });
        // One of 300 is the least that could be seen.
        let error = (success * (1.0 - success) / 300.0_f64).sqrt().max(1.0 / 300.0);
        assert!((share - success).abs() < 3.0 * error, "random, {difficulty}: {share}, measured {success}");
        let (share, _) = crashes(difficulty, &mut { brake });
        assert!(share < 1.0 / 300.0, "brake, {difficulty}: {share}");
    }
}
