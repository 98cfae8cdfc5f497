//! The rules of temporal-difference targets on rows of Q-values: small pure functions, used inside `update`.
//!
//! A TD error is `q - target`. A discount of 0 means that the process ended: the next value is then not used at
//! all, not even if it is not a number.

/// How agents' values make the value that is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixer {
    /// Each agent learns its own value from its own reward (independent Q-learning).
    Independent,
    /// The team's value is the sum of its agents' (value decomposition network, VDN).
    Sum,
}

/// Loss of one TD error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// `td^2`, without 1/2.
    Squared,
    /// `td^2 / 2` for `|td| <= delta`, else `delta (|td| - delta / 2)`. `delta = 1` is PyTorch's `smooth_l1` with beta 1.
    Huber {
        /// Where the parabola becomes a line; above 0.
        delta: f32,
    },
}

impl Loss {
    /// The loss of `td` and its derivative.
    #[inline(always)]
    pub fn value_and_grad(self, td: f32) -> (f32, f32) {
        match self {
            Loss::Squared => (td * td, 2.0 * td),
            Loss::Huber { delta } => {
                let size = td.abs();
                if size <= delta {
                    (0.5 * td * td, td)
                } else {
                    (delta * (size - 0.5 * delta), delta.copysign(td))
                }
            }
        }
    }
}

/// Whether action `a` is legal; an empty mask allows all.
#[inline(always)]
pub fn is_legal(mask: &[u32], a: usize) -> bool {
    mask.is_empty() || mask[a / 32] >> (a % 32) & 1 == 1
}

/// The legal action with the highest value, the lowest index of equals; a NaN is lower than anything. `None` if no
/// action is legal.
#[inline(always)]
pub fn argmax_legal(q: &[f32], mask: &[u32]) -> Option<usize> {
    // Integers whose order is that of (value, lowest index), and a maximum instead of branches: which action is best
    // is as good as random to a branch predictor.
    let mut top = i64::MIN;
    for (a, &v) in q.iter().enumerate() {
        let place = i64::from(u32::MAX - a as u32);
        let key = i64::from(ordered(v)) << 32 | place;
        top = top.max(if is_legal(mask, a) { key } else { i64::MIN });
    }
    (top != i64::MIN).then_some((u32::MAX - top as u32) as usize)
}

/// An integer with the order of floats; zeros are equal, a NaN is lowest.
#[inline(always)]
fn ordered(v: f32) -> i32 {
    let bits = (v + 0.0).to_bits() as i32;
    let key = bits ^ ((bits >> 31) as u32 >> 1) as i32;
    if v.is_nan() { i32::MIN } else { key }
}

/// Value of the next state by double Q: `target[argmax online]` over legal actions.
#[inline(always)]
pub fn double_q_next(online: &[f32], target: &[f32], mask: &[u32]) -> Option<f32> {
    argmax_legal(online, mask).map(|a| target[a])
}

/// Value of the next state by plain Q-learning: the highest legal target value.
#[inline(always)]
pub fn max_next(target: &[f32], mask: &[u32]) -> Option<f32> {
    argmax_legal(target, mask).map(|a| target[a])
}

/// `reward + discount * next`, or `reward` alone where the discount is 0.
#[inline(always)]
pub fn td_target(reward: f32, discount: f32, next: f32) -> f32 {
    if discount == 0.0 { reward } else { discount.mul_add(next, reward) }
}

/// Dueling head in place: from `[A_0 .. A_N-1, V]` to `Q = V + A - mean(A)` in the first `n_actions` places.
#[inline(always)]
pub fn dueling_q(row: &mut [f32], n_actions: usize) {
    let shift = row[n_actions] - advantage_mean(&row[..n_actions]);
    for q in &mut row[..n_actions] {
        *q += shift;
    }
}

#[inline(always)]
fn advantage_mean(advantages: &[f32]) -> f32 {
    let mut sum = 0.0;
    for &a in advantages {
        sum += a;
    }
    sum / advantages.len() as f32
}

/// Gradient of the network's outputs from that of one action's value: writes the whole row.
#[inline(always)]
pub fn q_grad(row: &mut [f32], n_actions: usize, dueling: bool, action: usize, grad: f32) {
    if dueling {
        row[..n_actions].fill(-grad / n_actions as f32);
        row[action] += grad;
        row[n_actions] = grad;
    } else {
        row.fill(0.0);
        row[action] = grad;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn floats(v: &Value) -> Vec<f32> {
        v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
    }

    fn close(a: f32, b: f32) -> bool {
        (a - b).abs() <= 1e-5 * b.abs().max(1.0)
    }

    /// Targets, errors, losses and gradients recorded from PyTorch.
    #[test]
    fn recorded_targets_and_losses() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/rl_dqn_targets.json");
        let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            let rows = |name: &str| case[name].as_array().unwrap().iter().map(floats).collect::<Vec<_>>();
            let (q, online, target) = (rows("q_online_s"), rows("q_online_next"), rows("q_target_next"));
            let (reward, discount) = (floats(&case["rewards"]), floats(&case["discounts"]));
            let weight = floats(&case["is_weights"]);
            let (plain, double) = (floats(&case["target_dqn"]), floats(&case["target_double_dqn"]));
            let td_want = floats(&case["td_error_double"]);
            let n = q.len();
            let losses = [
                (Loss::Squared, "loss_mse_half_no", "grad_mse_half_no"),
                (Loss::Huber { delta: 1.0 }, "loss_huber1", "grad_huber1"),
            ];
            for (loss, loss_name, grad_name) in losses {
                let grad_want = rows(grad_name);
                let mut total = 0.0;
                for i in 0..n {
                    let gamma = if case["terminated"][i] == true { 0.0 } else { discount[i] };
                    let y = td_target(reward[i], gamma, max_next(&target[i], &[]).unwrap());
                    assert!(close(y, plain[i]), "plain target {i}: {y} or {}", plain[i]);
                    let y = td_target(reward[i], gamma, double_q_next(&online[i], &target[i], &[]).unwrap());
                    assert!(close(y, double[i]), "double target {i}: {y} or {}", double[i]);
                    let action = case["actions"][i].as_u64().unwrap() as usize;
                    let td = q[i][action] - y;
                    assert!(close(td, td_want[i]), "td error {i}: {td} or {}", td_want[i]);
                    let (value, slope) = loss.value_and_grad(td);
                    total += weight[i] * value / n as f32;
                    let mut row = vec![9.0; q[i].len()];
                    q_grad(&mut row, q[i].len(), false, action, weight[i] * slope / n as f32);
                    assert!(row.iter().zip(&grad_want[i]).all(|(&a, &b)| close(a, b)), "gradient {i}");
                }
                assert!(close(total, case[loss_name].as_f64().unwrap() as f32), "{loss_name}: {total}");
            }
        }
    }

    #[test]
    fn argmax_takes_the_lowest_of_equals_and_only_legal_ones() {
        assert_eq!(argmax_legal(&[1.0, 3.0, 3.0], &[]), Some(1));
        assert_eq!(argmax_legal(&[9.0, 1.0, 2.0], &[0b110]), Some(2));
        assert_eq!(argmax_legal(&[9.0, 1.0], &[0b100]), None);
        assert_eq!(argmax_legal(&[f32::NAN, -5.0, f32::NAN], &[]), Some(1));
        assert_eq!(argmax_legal(&[f32::NEG_INFINITY, f32::NEG_INFINITY], &[0b10]), Some(1));
        assert_eq!(argmax_legal(&[f32::NAN, f32::NEG_INFINITY], &[]), Some(1));
        assert_eq!(argmax_legal(&[f32::NAN, f32::NAN], &[0b10]), Some(1));
        assert_eq!(argmax_legal(&[-0.0, 0.0], &[]), Some(0));
        let mut q = vec![0.0; 40];
        q[33] = -1.0;
        assert_eq!(argmax_legal(&q, &[0, 0b10]), Some(33));
    }

    #[test]
    fn an_ended_process_never_uses_the_next_value() {
        assert_eq!(td_target(2.5, 0.0, f32::NAN), 2.5);
        assert_eq!(td_target(2.5, 0.5, 3.0), 4.0);
    }

    #[test]
    fn huber_has_its_corner_at_delta() {
        let loss = Loss::Huber { delta: 2.0 };
        assert_eq!(loss.value_and_grad(2.0), (2.0, 2.0));
        assert_eq!(loss.value_and_grad(-3.0), (4.0, -2.0));
        assert_eq!(loss.value_and_grad(0.5), (0.125, 0.5));
    }

    #[test]
    fn dueling_values_and_gradients() {
        let mut row = [1.0, 2.0, 6.0, 10.0];
        dueling_q(&mut row, 3);
        assert_eq!(&row[..3], &[8.0, 9.0, 13.0]);
        q_grad(&mut row, 3, true, 1, 3.0);
        assert_eq!(row, [-1.0, 2.0, -1.0, 3.0]);
    }
}
