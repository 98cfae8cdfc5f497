//! Traces of stable-baselines3 `VecNormalize` against the running statistics of the wrappers.

use coact_core::Result;
use serde::Deserialize;
use serde_json::Value;

use super::{Certificate, Comparison, Tally, read, torn};
use crate::wrappers::{ReturnNormalizer, RunningStats};

#[derive(Debug, Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    gamma: f64,
    clip_obs: f64,
    clip_reward: f64,
    obs: Vec<Vec<Vec<f64>>>,
    rewards: Vec<Vec<f64>>,
    dones: Vec<Vec<bool>>,
    norm_obs: Vec<Vec<Vec<f64>>>,
    norm_rewards: Vec<Vec<f64>>,
    #[serde(rename = "stats_after_each_reset_or_step")]
    stats: Vec<Stats>,
    frozen_probe: Vec<Vec<f64>>,
    frozen_probe_norm: Vec<Vec<f64>>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    obs_mean: Vec<f64>,
    obs_var: Vec<f64>,
    obs_count: f64,
    ret_mean: f64,
    ret_var: f64,
    ret_count: f64,
}

const NAME: &str = "rl_vecnormalize";

/// Replays the file. Statistics are compared to 1e-9; normalized numbers, which both sides hold in f32, to 1e-6.
pub(super) fn verify(value: &Value) -> Result<Certificate> {
    let file: File = read(value, NAME)?;
    let mut tally = Tally::new(value, NAME);
    for (index, case) in file.cases.iter().enumerate() {
        check(case).map_err(|what| torn(NAME, index, what))?;
        let (exact, single) = replay(case);
        tally.add(exact, single);
    }
    Ok(tally.certificate)
}

fn check(case: &Case) -> Result<(), &'static str> {
    let moments = case.obs.len();
    let (rows, width) = case.obs.first().map_or((0, 0), |o| (o.len(), o.first().map_or(0, Vec::len)));
    if rows == 0 || width == 0 {
        return Err("there are no observations");
    }
    let table = |t: &[Vec<f64>]| t.len() == rows && t.iter().all(|row| row.len() == width);
    if !case.obs.iter().chain(&case.norm_obs).all(|t| table(t)) {
        return Err("observations differ in shape");
    }
    let n_steps = moments - 1;
    let steps = [case.rewards.len(), case.dones.len(), case.norm_rewards.len()];
    if case.norm_obs.len() != moments || case.stats.len() != moments || steps != [n_steps; 3] {
        return Err("observations, rewards and statistics differ in number");
    }
    let columns = |t: &[Vec<f64>]| t.iter().all(|row| row.len() == rows);
    if !columns(&case.rewards) || !columns(&case.norm_rewards) || case.dones.iter().any(|d| d.len() != rows) {
        return Err("rewards differ in shape");
    }
    let probes = case.frozen_probe.iter().chain(&case.frozen_probe_norm).all(|row| row.len() == width);
    if !probes || case.frozen_probe.len() != case.frozen_probe_norm.len() {
        return Err("the frozen probe differs in shape");
    }
    Ok(())
}

fn replay(case: &Case) -> (Comparison, Comparison) {
    let (mut exact, mut single) = (Comparison::default(), Comparison::default());
    let (rows, width) = (case.obs[0].len(), case.obs[0][0].len());
    let (clip_obs, clip_reward) = (case.clip_obs as f32, case.clip_reward as f32);
    let mut stats = RunningStats::new(width);
    let mut returns = ReturnNormalizer::new(rows, case.gamma, clip_reward);
    for (t, table) in case.obs.iter().enumerate() {
        stats.update(&table.concat(), None);
        if t > 0 {
            returns.update(&case.rewards[t - 1], None);
            let paid: Vec<f64> =
                case.rewards[t - 1].iter().map(|r| f64::from(returns.normalize(*r))).collect();
            let place = || format!("normalized rewards of step {t}");
            single.close(place, &paid, &case.norm_rewards[t - 1], (1e-6, 1e-6));
            for (row, done) in case.dones[t - 1].iter().enumerate() {
                if *done {
                    returns.restart(row);
                }
            }
        }
        let said = &case.stats[t];
        let held = returns.stats();
        let ours = [stats.mean(), stats.variance(), &[stats.count()]].concat();
        let theirs = [&said.obs_mean[..], &said.obs_var, &[said.obs_count]].concat();
        exact.close(|| format!("observation statistics after step {t}"), &ours, &theirs, (1e-9, 1e-9));
        let ours = [held.mean()[0], held.variance()[0], held.count()];
        let theirs = [said.ret_mean, said.ret_var, said.ret_count];
        exact.close(|| format!("return statistics after step {t}"), &ours, &theirs, (1e-9, 1e-9));
        let place = || format!("normalized observations after step {t}");
        single.close(place, &normalized(&stats, table, clip_obs), &case.norm_obs[t].concat(), (1e-6, 1e-6));
        exact.steps += 1;
    }
    let probe = normalized(&stats, &case.frozen_probe, clip_obs);
    single.close(|| "frozen probe".into(), &probe, &case.frozen_probe_norm.concat(), (1e-6, 1e-6));
    (exact, single)
}

fn normalized(stats: &RunningStats, table: &[Vec<f64>], clip: f32) -> Vec<f64> {
    let mut flat: Vec<f32> = table.concat().iter().map(|x| *x as f32).collect();
    stats.normalize(&mut flat, clip);
    flat.into_iter().map(f64::from).collect()
}
