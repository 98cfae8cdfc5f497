//! Plain `f64`: one row.

/// Loss (with the entropy, times the weight) of a row, and its gradient by the logits.
#[allow(clippy::too_many_arguments)]
pub fn policy_row(
    logits: &[f64],
    legal: &[bool],
    action: usize,
    old_log_prob: f64,
    advantage: f64,
    weight: f64,
    clip: Option<f64>,
    ent_coef: f64,
) -> (f64, Vec<f64>) {
    let of = |a: usize| if legal[a] { logits[a].exp() } else { 0.0 };
    let total: f64 = (0..logits.len()).map(of).sum();
    let prob = |a: usize| of(a) / total;
    let surprise = |a: usize| if legal[a] { -prob(a).ln() } else { 0.0 };
    let entropy: f64 = (0..logits.len()).map(|a| prob(a) * surprise(a)).sum();
    let log_prob = -surprise(action);
    let (loss, slope) = match clip {
        None => (-advantage * log_prob, -advantage),
        Some(clip) => {
            let ratio = (log_prob - old_log_prob).exp();
            let (free, held) = (-advantage * ratio, -advantage * ratio.clamp(1.0 - clip, 1.0 + clip));
            (free.max(held), if free >= held { free } else { 0.0 })
        }
    };
    let d = |a: usize| {
        let of_action = f64::from(u8::from(a == action)) - prob(a);
        let of_entropy = prob(a) * (surprise(a) - entropy);
        weight * (slope * of_action - ent_coef * of_entropy)
    };
    let gradient = (0..logits.len()).map(|a| if legal[a] { d(a) } else { 0.0 }).collect();
    (weight * (loss - ent_coef * entropy), gradient)
}
