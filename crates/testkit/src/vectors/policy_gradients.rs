//! `rl_gae`, `rl_td_lambda`, `rl_ppo_loss`, `rl_distributions` and `rl_valuenorm`: every formula in `f64` to nine digits,
//! and again in the `f32` that learns.
//!
//! Of the two answers of `rl_gae` the learners implement the one that bootstraps at time limits; the other comes from the
//! same function, told that the process ended there.

use coact_algorithms::policy::loss::{surrogate, value_loss};
use coact_algorithms::returns::{Steps, explained_variance, gae, lambda_returns, normalize};
use coact_algorithms::value_norm::ValueNorm;
use coact_nets::Real;
use coact_nets::distribution::{Categorical, Gaussian, gumbel};
use serde_json::Value;

use super::case::{field, indices, number, numbers, numbers_of, single, table, table_of};
use super::{Case, Fault};

const EXACT: f64 = 1e-9;
const SINGLE: f64 = 2e-5;

fn cast<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&v| T::of(v)).collect()
}

/// A table of bools, or of numbers of which 0 is false, of this shape.
fn flags(value: &Value, name: &str, rows: usize, columns: usize) -> Result<Vec<bool>, Fault> {
    let fault = || format!("field `{name}` is not a table [{rows}, {columns}] of flags");
    let flag = |v: &Value| v.as_bool().or_else(|| v.as_f64().map(|v| v != 0.0));
    let row = |v: &Value| v.as_array().and_then(|r| r.iter().map(flag).collect::<Option<Vec<_>>>());
    let table: Option<Vec<Vec<bool>>> =
        field(value, name)?.as_array().and_then(|rows| rows.iter().map(row).collect());
    let fits = |t: &Vec<Vec<bool>>| t.len() == rows && t.iter().all(|row| row.len() == columns);
    table.filter(fits).map(|t| t.concat()).ok_or_else(fault)
}

/// `[R, T]` as `[T, R]`.
fn transposed<X: Copy>(values: &[X], rows: usize, columns: usize) -> Vec<X> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

pub(crate) fn check_gae(case: &mut Case<'_>) -> Result<(), Fault> {
    check_gae_in::<f64>(case, EXACT)?;
    check_gae_in::<f32>(case, SINGLE)
}

fn check_gae_in<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let v = case.value;
    let (reward, n_steps, n_rows) = table(v, "rewards")?;
    if n_steps == 0 || n_rows == 0 {
        return Err("field `rewards` is empty".into());
    }
    let value = table_of(v, "values", n_steps, n_rows)?;
    let last = numbers_of(v, "last_values", n_rows)?;
    let terminated = flags(v, "terminated", n_steps, n_rows)?;
    let truncated = flags(v, "truncated", n_steps, n_rows)?;
    let last_of_episode = table_of(v, "terminal_obs_values", n_steps, n_rows)?;
    let (gamma, lambda) = (number(v, "gamma")?, number(v, "lambda")?);
    let n = n_steps * n_rows;
    let following = |i: usize| if i + n_rows < n { value[i + n_rows] } else { last[i + n_rows - n] };
    let next: Vec<f64> =
        (0..n).map(|i| if truncated[i] { last_of_episode[i] } else { following(i) }).collect();
    let ended: Vec<bool> = (0..n).map(|i| terminated[i] || truncated[i]).collect();
    for (answer, stops) in [("truncation_as_terminal", &ended), ("truncation_bootstrapped", &terminated)] {
        let discount: Vec<f64> = stops.iter().map(|&s| if s { 0.0 } else { gamma }).collect();
        let steps = Steps {
            n_rows,
            reward: &cast::<T>(&reward),
            discount: &cast::<T>(&discount),
            next_value: &cast::<T>(&next),
            ended: &ended,
            valid: &vec![true; n],
        };
        let value = cast::<T>(&value);
        let mut advantage = vec![T::ZERO; n];
        gae(&steps, &value, T::of(lambda), &mut advantage);
        let returns: Vec<T> = advantage.iter().zip(&value).map(|(&a, &v)| a + v).collect();
        for (what, found) in [("advantages", &advantage), ("returns", &returns)] {
            let name = format!("{what}_{answer}");
            let expected = table_of(v, &name, n_steps, n_rows)?;
            case.all_close(&name, found, &expected, tolerance);
        }
    }
    Ok(())
}

pub(crate) fn check_td_lambda(case: &mut Case<'_>) -> Result<(), Fault> {
    check_td_lambda_in::<f64>(case, EXACT)?;
    check_td_lambda_in::<f32>(case, SINGLE)
}

fn check_td_lambda_in<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let v = case.value;
    let (reward, n_rows, n_steps) = table(v, "rewards")?;
    if n_steps == 0 || n_rows == 0 {
        return Err("field `rewards` is empty".into());
    }
    let terminated = flags(v, "terminated", n_rows, n_steps)?;
    let valid = flags(v, "mask", n_rows, n_steps)?;
    let value = table_of(v, "target_qs", n_rows, n_steps + 1)?;
    let (gamma, lambda) = (number(v, "gamma")?, number(v, "lambda")?);
    let (mut discount, mut next) = (vec![gamma; n_rows * n_steps], vec![0.0; n_rows * n_steps]);
    for row in 0..n_rows {
        let mut over = false;
        for i in row * n_steps..(row + 1) * n_steps {
            // Padding belongs to the process that ended before it.
            over |= terminated[i];
            discount[i] = if over { 0.0 } else { gamma };
            next[i] = value[i + row + 1];
        }
    }
    let turned = |values: &[f64]| cast::<T>(&transposed(values, n_rows, n_steps));
    let steps = Steps {
        n_rows,
        reward: &turned(&reward),
        discount: &turned(&discount),
        next_value: &turned(&next),
        ended: &vec![false; n_rows * n_steps],
        valid: &transposed(&valid, n_rows, n_steps),
    };
    let mut returns = vec![T::ZERO; n_rows * n_steps];
    lambda_returns(&steps, T::of(lambda), &mut returns);
    let expected = table_of(v, "targets", n_rows, n_steps)?;
    case.all_close("targets", &transposed(&returns, n_steps, n_rows), &expected, tolerance);
    Ok(())
}

pub(crate) fn check_ppo_loss(case: &mut Case<'_>) -> Result<(), Fault> {
    check_ppo_loss_in::<f64>(case, EXACT)?;
    check_ppo_loss_in::<f32>(case, SINGLE)
}

fn check_ppo_loss_in<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let v = case.value;
    let n = numbers(v, "old_logp")?.len();
    if n == 0 {
        return Err("field `old_logp` is empty".into());
    }
    let column = |name| numbers_of(v, name, n).map(|c| cast::<T>(&c));
    let (old_log_prob, log_prob) = (column("old_logp")?, column("new_logp")?);
    let (old_value, value, returns) = (column("old_values")?, column("new_values")?, column("returns")?);
    let entropy = column("entropy")?;
    let [clip, vf_coef, ent_coef] =
        [number(v, "clip")?, number(v, "vf_coef")?, number(v, "ent_coef")?].map(T::of);
    let mut advantage = column("advantages")?;
    normalize(&mut advantage, &vec![true; n]);
    let expected = numbers_of(v, "normalised_advantages_ddof1", n)?;
    case.all_close("normalised_advantages_ddof1", &advantage, &expected, tolerance);

    let share = T::ONE / T::of(n as f64);
    let mean = |of: &dyn Fn(usize) -> T| {
        let mut sum = T::ZERO;
        (0..n).for_each(|i| sum += of(i));
        sum * share
    };
    let policy: Vec<_> =
        (0..n).map(|i| surrogate(log_prob[i], old_log_prob[i], advantage[i], clip)).collect();
    let critic = |i: usize, clip| value_loss(value[i], old_value[i], returns[i], clip);
    let policy_loss = mean(&|i| policy[i].loss);
    let value_loss_clipped = mean(&|i| critic(i, Some(clip)).0);
    let loss = policy_loss - ent_coef * mean(&|i| entropy[i]) + vf_coef * value_loss_clipped;
    let clip_fraction = mean(&|i| if policy[i].clipped { T::ONE } else { T::ZERO });
    for (name, found) in [
        ("policy_loss", policy_loss),
        ("value_loss_clipped", value_loss_clipped),
        ("value_loss_unclipped", mean(&|i| critic(i, None).0)),
        ("loss", loss),
        ("approx_kl_k3", mean(&|i| policy[i].kl)),
        ("old_approx_kl_k1", mean(&|i| old_log_prob[i] - log_prob[i])),
        ("clip_fraction", clip_fraction),
        ("explained_variance", explained_variance(&old_value, &returns, &vec![true; n])),
    ] {
        case.close(name, found.into(), number(v, name)?, tolerance);
    }
    let d_log_prob: Vec<T> = policy.iter().map(|p| p.d_log_prob * share).collect();
    let d_value: Vec<T> = (0..n).map(|i| critic(i, Some(clip)).1 * vf_coef * share).collect();
    for (name, found) in [("grad_new_logp", d_log_prob), ("grad_new_values", d_value)] {
        case.all_close(name, &found, &numbers_of(v, name, n)?, tolerance);
    }
    Ok(())
}

pub(crate) fn check_distributions(case: &mut Case<'_>) -> Result<(), Fault> {
    check_categorical::<f64>(case, EXACT)?;
    check_gaussian::<f64>(case, EXACT)?;
    check_gumbel::<f64>(case, EXACT)?;
    // Differences of logits near 800 have four digits behind the point in f32.
    check_categorical::<f32>(case, 5e-4)?;
    check_gaussian::<f32>(case, SINGLE)?;
    check_gumbel::<f32>(case, SINGLE)
}

/// Rows of flags as words of a legality mask.
fn mask_words(flags: &[bool], n_actions: usize) -> Vec<Vec<u32>> {
    let words = |row: &[bool]| {
        let mut words = vec![0; n_actions.div_ceil(32)];
        row.iter().enumerate().filter(|(_, legal)| **legal).for_each(|(a, _)| words[a / 32] |= 1 << (a % 32));
        words
    };
    flags.chunks(n_actions).map(words).collect()
}

fn check_categorical<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let v = case.value;
    let (logits, n_rows, n) = table(v, "logits")?;
    if n_rows == 0 || n == 0 {
        return Err("field `logits` is empty".into());
    }
    let logits = cast::<T>(&logits);
    let others = cast::<T>(&table_of(v, "logits2", n_rows, n)?);
    let masks = mask_words(&flags(v, "mask", n_rows, n)?, n);
    let action = indices(v, "actions", n)?;
    if action.len() != n_rows {
        return Err(format!("field `actions` has {} entries, {n_rows} belong there", action.len()));
    }
    let mut tables: [Vec<T>; 4] = Default::default();
    let mut columns: [Vec<T>; 5] = Default::default();
    for row in 0..n_rows {
        let at = row * n..(row + 1) * n;
        let free = Categorical::new(&logits[at.clone()], &[]).ok_or("no action")?;
        let other = Categorical::new(&others[at.clone()], &[]).ok_or("no action")?;
        let masked =
            Categorical::new(&logits[at], &masks[row]).ok_or("a row of field `mask` allows nothing")?;
        tables[0].extend((0..n).map(|a| free.log_prob(a)));
        tables[1].extend((0..n).map(|a| masked.prob(a)));
        for (table, (d_log_prob, d_entropy)) in [(2, (T::ONE, T::ZERO)), (3, (T::ZERO, T::ONE))] {
            let mut gradient = vec![T::ZERO; n];
            free.backward(action[row], d_log_prob, d_entropy, &mut gradient);
            tables[table].extend(gradient);
        }
        let numbers = [
            free.log_prob(action[row]),
            free.entropy(),
            free.kl(&other),
            masked.log_prob(action[row]),
            masked.entropy(),
        ];
        columns.iter_mut().zip(numbers).for_each(|(column, x)| column.push(x));
    }
    let names = ["log_softmax", "masked_probs", "grad_logits_of_sum_log_prob", "grad_logits_of_sum_entropy"];
    for (name, found) in names.into_iter().zip(&tables) {
        case.all_close(name, found, &table_of(v, name, n_rows, n)?, tolerance);
    }
    let names = ["log_prob", "entropy", "kl_p_q", "masked_log_prob", "masked_entropy"];
    for (name, found) in names.into_iter().zip(&columns) {
        let expected = numbers_of(v, name, n_rows)?;
        if name == "masked_log_prob" {
            check_masked(case, found, &expected, tolerance);
        } else {
            case.all_close(name, found, &expected, tolerance);
        }
    }
    Ok(())
}

/// An implementation that adds a large number to illegal logits records that number where we say minus infinity.
fn check_masked<T: Copy + Into<f64>>(case: &mut Case<'_>, found: &[T], expected: &[f64], tolerance: f64) {
    let floor = -1e6;
    let shown = |x: f64| x.max(floor);
    let found: Vec<f64> = found.iter().map(|&x| shown(x.into())).collect();
    let expected: Vec<f64> = expected.iter().map(|&x| shown(x)).collect();
    case.all_close("masked_log_prob", &found, &expected, tolerance);
}

fn check_gaussian<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let Some(v) = case.value.get("gaussian") else { return Ok(()) };
    let (mean, n_rows, width) = table(v, "mean")?;
    let (mean, log_std) = (cast::<T>(&mean), cast::<T>(&numbers_of(v, "log_std", width)?));
    let x = cast::<T>(&table_of(v, "x", n_rows, width)?);
    let rows = |values: &[T], row: usize| values[row * width..(row + 1) * width].to_vec();
    let (mut log_prob, mut entropy) = (Vec::new(), Vec::new());
    for row in 0..n_rows {
        let gaussian = Gaussian { mean: &rows(&mean, row), log_std: &log_std };
        log_prob.push(gaussian.log_prob(&rows(&x, row)));
        entropy.push(gaussian.entropy());
    }
    for (name, found) in [("log_prob_sum", log_prob), ("entropy_sum", entropy)] {
        case.all_close(&format!("gaussian {name}"), &found, &numbers_of(v, name, n_rows)?, tolerance);
    }
    Ok(())
}

fn check_gumbel<T: Real + Into<f64>>(case: &mut Case<'_>, tolerance: f64) -> Result<(), Fault> {
    let Some(v) = case.value.get("gumbel_softmax") else { return Ok(()) };
    let (logits, n_rows, n) = table(v, "logits_clipped_to_10")?;
    let (logits, noise) = (cast::<T>(&logits), cast::<T>(&table_of(v, "noise", n_rows, n)?));
    let tau = T::of(number(v, "tau")?);
    let mut y = vec![T::ZERO; n_rows * n];
    let mut best = Vec::new();
    for (row, y) in y.chunks_mut(n.max(1)).enumerate() {
        let at = row * n..(row + 1) * n;
        best.push(gumbel::sample(&logits[at.clone()], &[], &noise[at], tau, y).ok_or("no action")? as f64);
    }
    case.all_close("gumbel y_soft", &y, &table_of(v, "y_soft", n_rows, n)?, tolerance);
    case.all_close("gumbel argmax", &best, &numbers_of(v, "argmax", n_rows)?, 0.0);
    Ok(())
}

pub(crate) fn check_value_norm(case: &mut Case<'_>) -> Result<(), Fault> {
    // The reference is in single precision itself.
    let tolerance = 1e-5;
    let v = case.value;
    let [beta, epsilon, floor] = [number(v, "beta")?, number(v, "epsilon")?, number(v, "var_floor")?];
    let lists =
        |name: &str| field(v, name)?.as_array().ok_or_else(|| format!("field `{name}` is not a list"));
    let (batches, after) = (lists("batches")?, lists("after_each")?);
    if batches.len() != after.len() {
        return Err(format!("{} batches, but {} records of moments", batches.len(), after.len()));
    }
    let mut norm = ValueNorm::with_floors(beta, epsilon, floor);
    for (i, (batch, after)) in batches.iter().zip(after).enumerate() {
        let batch: Option<Vec<f64>> = batch.as_array().and_then(|b| b.iter().map(Value::as_f64).collect());
        let batch = batch.ok_or_else(|| format!("batch {i} is not a list of numbers"))?;
        let mut values = single(&batch);
        norm.update(&values, &vec![true; values.len()]);
        let (mean, variance) = norm.moments();
        case.close(&format!("mean after batch {i}"), mean, number(after, "mean")?, tolerance);
        case.close(&format!("variance after batch {i}"), variance, number(after, "var")?, tolerance);
        norm.normalize(&mut values);
        let expected = numbers_of(after, "normalized", values.len())?;
        case.all_close(&format!("normalized batch {i}"), &values, &expected, tolerance);
        let back = values.clone();
        norm.denormalize(&mut values);
        let recovered =
            values.iter().zip(&batch).all(|(a, b)| (f64::from(*a) - b).abs() <= 1e-4 * b.abs().max(1.0));
        case.check(recovered, || format!("batch {i} does not come back from {back:?}"));
    }
    Ok(())
}
