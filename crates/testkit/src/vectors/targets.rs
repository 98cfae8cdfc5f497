//! `rl_dqn_targets`: TD targets, errors, losses and gradients, by the small functions and by a whole `update` of a
//! linear network whose weights are the Q-values.

use coact_kernels::{
    Activation, Backend, CpuOptions, GroupBatch, Loss, Mixer, QShape, Update, UpdateScratch, UpdateStats, td,
};

use super::case::{bools_of, indices, number, numbers_of, single, table, table_of};
use super::{Case, Fault};

const TOLERANCE: f64 = 1e-5;

/// The numbers of a case. B rows, N actions.
struct Rows {
    n_rows: usize,
    n_actions: usize,
    q: Vec<f32>,
    online: Vec<f32>,
    target: Vec<f32>,
    action: Vec<usize>,
    reward: Vec<f32>,
    /// 0 where the process ended.
    discount: Vec<f32>,
    weight: Vec<f32>,
}

pub(crate) fn check(case: &mut Case<'_>) -> Result<(), Fault> {
    let v = case.value;
    let (q, n_rows, n_actions) = table(v, "q_online_s")?;
    if n_rows == 0 || n_actions == 0 {
        return Err("field `q_online_s` is empty".into());
    }
    let terminated = bools_of(v, "terminated", n_rows)?;
    let mut discount = single(&numbers_of(v, "discounts", n_rows)?);
    discount.iter_mut().zip(&terminated).filter(|(_, t)| **t).for_each(|(d, _)| *d = 0.0);
    let rows = Rows {
        n_rows,
        n_actions,
        q: single(&q),
        online: single(&table_of(v, "q_online_next", n_rows, n_actions)?),
        target: single(&table_of(v, "q_target_next", n_rows, n_actions)?),
        action: indices(v, "actions", n_actions)?,
        reward: single(&numbers_of(v, "rewards", n_rows)?),
        discount,
        weight: single(&numbers_of(v, "is_weights", n_rows)?),
    };
    if rows.action.len() != n_rows {
        return Err(format!("field `actions` has {} entries, {n_rows} belong there", rows.action.len()));
    }
    targets(case, &rows)?;
    whole_updates(case, &rows)
}

fn targets(case: &mut Case<'_>, rows: &Rows) -> Result<(), Fault> {
    let v = case.value;
    let (mut plain, mut double, mut error) = (Vec::new(), Vec::new(), Vec::new());
    let n = rows.n_actions;
    for i in 0..rows.n_rows {
        let (online, target) = (&rows.online[i * n..][..n], &rows.target[i * n..][..n]);
        let (reward, discount) = (rows.reward[i], rows.discount[i]);
        let most = td::max_next(target, &[]).ok_or("no action")?;
        let chosen = td::double_q_next(online, target, &[]).ok_or("no action")?;
        plain.push(td::td_target(reward, discount, most));
        double.push(td::td_target(reward, discount, chosen));
        error.push(rows.q[i * n + rows.action[i]] - double[i]);
    }
    case.all_close("target_dqn", &plain, &numbers_of(v, "target_dqn", rows.n_rows)?, TOLERANCE);
    case.all_close(
        "target_double_dqn",
        &double,
        &numbers_of(v, "target_double_dqn", rows.n_rows)?,
        TOLERANCE,
    );
    case.all_close("td_error_double", &error, &numbers_of(v, "td_error_double", rows.n_rows)?, TOLERANCE);
    Ok(())
}

fn whole_updates(case: &mut Case<'_>, rows: &Rows) -> Result<(), Fault> {
    let v = case.value;
    let losses = [
        (Loss::Squared, "loss_mse_half_no", "grad_mse_half_no"),
        (Loss::Huber { delta: 1.0 }, "loss_huber1", "grad_huber1"),
    ];
    let td_abs: Vec<f64> = numbers_of(v, "td_error_double", rows.n_rows)?.iter().map(|e| e.abs()).collect();
    for (loss, loss_name, grad_name) in losses {
        let (stats, grads, priority) = update(rows, loss, true)?;
        case.close(
            &format!("{loss_name} of an update"),
            f64::from(stats.loss),
            number(v, loss_name)?,
            TOLERANCE,
        );
        let expected = table_of(v, grad_name, rows.n_rows, rows.n_actions)?;
        case.all_close(&format!("{grad_name} of an update"), &grads, &expected, TOLERANCE);
        case.all_close("|td| of an update", &priority, &td_abs, TOLERANCE);
    }
    let (stats, ..) = update(rows, Loss::Squared, false)?;
    let plain = numbers_of(v, "target_dqn", rows.n_rows)?;
    let mean = plain.iter().sum::<f64>() / rows.n_rows as f64;
    case.close("mean target of an update", f64::from(stats.target_mean), mean, TOLERANCE);
    Ok(())
}

/// Gradients `[B, N]` of the Q-values, and `|td|` `[B]`. Row `i` is an observation that is 1 in place `i`, the next one
/// in place `B + i`, so the weights of a linear network are the Q-values.
fn update(rows: &Rows, loss: Loss, double_q: bool) -> Result<(UpdateStats, Vec<f32>, Vec<f32>), Fault> {
    let (b, n) = (rows.n_rows, rows.n_actions);
    let shape = QShape::new(2 * b, vec![], n, Activation::Relu, false, false);
    let weights = |first: &[f32], second: &[f32]| [first, second, &vec![0.0; n]].concat();
    let (params, target_params) = (weights(&rows.q, &rows.online), weights(&rows.q, &rows.target));
    let one_hot = |offset: usize| {
        let mut obs = vec![0.0; b * 2 * b];
        (0..b).for_each(|i| obs[i * 2 * b + offset + i] = 1.0);
        obs
    };
    let (mut grads, mut priority) = (vec![0.0; params.len()], vec![0.0; b]);
    let action: Vec<u32> = rows.action.iter().map(|&a| a as u32).collect();
    let mut backend = Backend::cpu(CpuOptions::default()).map_err(|e| e.to_string())?;
    let mut groups = [GroupBatch {
        shape: &shape,
        n_agents: 1,
        n_sets: 1,
        n_critics: 1,
        params: &params,
        target_params: &target_params,
        grads: &mut grads,
        obs: &one_hot(0),
        next_obs: &one_hot(b),
        next_mask: &[],
        action: &action,
        reward: &rows.reward,
        discount: &rows.discount,
        valid: &vec![true; b],
    }];
    let call = Update {
        groups: &mut groups,
        batch: b,
        weight: &rows.weight,
        team_reward: &[],
        team_discount: &[],
        double_q,
        mixer: Mixer::Independent,
        loss,
        priority: &mut priority,
    };
    let stats = backend.update(&mut UpdateScratch::new(), call).map_err(|e| e.to_string())?;
    grads.truncate(b * n);
    Ok((stats, grads, priority))
}
