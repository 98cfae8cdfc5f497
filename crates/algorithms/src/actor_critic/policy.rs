//! From the outputs of actors to actions, and back from slopes of actions to slopes of outputs.
//!
//! Inside the family an action of an agent is a row `[W]`: components scaled to -1..=1 where actions are continuous, a
//! one-hot row where they are discrete. Not here: networks, critics, exploration noise from outside the policy.

use coact_core::rng::Stream;
use coact_core::{ActionSpace, Purpose};
use coact_nets::distribution::{Categorical, Gaussian, Squashed, gumbel};
use coact_nets::real::Real;

/// Bounds of the logarithm of standard deviations (Stable-Baselines3).
const LOG_STD_MIN: f32 = -20.0;
const LOG_STD_MAX: f32 = 2.0;

/// ln(sqrt(2 pi)).
const LN_SQRT_TAU: f32 = 0.918_938_5;

/// What an actor's outputs mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    /// `tanh` of `W` outputs.
    Tanh,
    /// Means and logarithms of standard deviations of a Gaussian, squashed: `2 W` outputs.
    Squashed,
    /// Logits of a Gumbel-softmax at a temperature, straight-through: the one-hot row forward, the softmax backward.
    Gumbel(f32),
    /// Logits, whose probabilities are used exactly.
    Categorical,
}

impl Head {
    /// Outputs of the network for actions of width `width`.
    pub(super) fn n_outputs(self, width: usize) -> usize {
        if self == Self::Squashed { 2 * width } else { width }
    }

    /// For people and files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tanh => "tanh",
            Self::Squashed => "squashed_gaussian",
            Self::Gumbel(_) => "gumbel_softmax",
            Self::Categorical => "categorical",
        }
    }

    /// Whether critics give a value to each own action instead of reading it.
    pub(super) fn values_each_action(self) -> bool {
        self == Self::Categorical
    }
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub(super) enum Draw {
    /// Nothing: the mode, or the mean squashed.
    Mode,
    /// As the policy says. The streams of rows are named by the seed, the group and a position.
    Sample { seed: u64, group: u32, position: u64 },
}

impl Draw {
    fn stream(self, row: usize) -> Option<Stream> {
        match self {
            Self::Mode => None,
            Self::Sample { seed, group, position } => {
                Some(Stream::new(seed, Purpose::Explore, (group << 24) | row as u32, position))
            }
        }
    }
}

/// Actions of rows, and what their slopes need.
#[derive(Debug, Default)]
pub(super) struct Actions {
    /// `[R, W]`.
    pub action: Vec<f32>,
    /// `[R, W]`: the noise of squashed Gaussians, the softmax of Gumbel-softmax, probabilities of categorical ones.
    pub inner: Vec<f32>,
    /// `[R]`: log-density of squashed Gaussians; mean log-probability (minus the entropy) of categorical ones; else 0.
    pub log_prob: Vec<f32>,
    noise: Vec<f32>,
}

/// The legality words of a row; empty if all is legal.
fn mask_of(mask: &[u32], words: usize, row: usize) -> &[u32] {
    &mask[row * words..(row + 1) * words]
}

/// Turns `raw` `[R, outputs]` into actions. `mask` is `[R, words]`. A row without any legal action, of an agent that does
/// not act, gets its first.
pub(super) fn choose(
    head: Head,
    width: usize,
    raw: &[f32],
    (mask, words): (&[u32], usize),
    draw: Draw,
    out: &mut Actions,
) {
    let rows = raw.len() / head.n_outputs(width);
    out.action.resize(rows * width, 0.0);
    out.inner.resize(rows * width, 0.0);
    out.log_prob.resize(rows, 0.0);
    out.noise.resize(width, 0.0);
    let noise = &mut out.noise[..];
    for (row, raw) in raw.chunks_exact(head.n_outputs(width)).enumerate() {
        let action = &mut out.action[row * width..(row + 1) * width];
        let inner = &mut out.inner[row * width..(row + 1) * width];
        let mask = mask_of(mask, words, row);
        let stream = draw.stream(row);
        match head {
            Head::Tanh => action.iter_mut().zip(raw).for_each(|(a, r)| *a = Real::tanh(*r)),
            Head::Squashed => {
                inner.fill(0.0);
                if let Some(mut stream) = stream {
                    normals(&mut stream, inner);
                }
                out.log_prob[row] = squash(raw, inner, action, noise);
            }
            Head::Gumbel(_) | Head::Categorical => {
                noise.fill(0.0);
                if let Some(mut stream) = stream {
                    gumbel::draw_noise(&mut stream, noise);
                }
                let temperature = if let Head::Gumbel(t) = head { t } else { 1.0 };
                let chosen = gumbel::sample(raw, mask, noise, temperature, inner);
                action.fill(0.0);
                action[chosen.unwrap_or(0)] = 1.0;
                if head == Head::Categorical {
                    out.log_prob[row] = probabilities(raw, mask, inner);
                }
            }
        }
    }
}

/// The Gaussian that `raw` `[2 W]` stands for, with its standard deviations within bounds, needs `log_std` `[W]`.
fn gaussian<'a>(raw: &'a [f32], log_std: &'a mut [f32]) -> Gaussian<'a, f32> {
    let (mean, free) = raw.split_at(raw.len() / 2);
    log_std.iter_mut().zip(free).for_each(|(l, r)| *l = r.clamp(LOG_STD_MIN, LOG_STD_MAX));
    Gaussian { mean, log_std }
}

/// Writes the action of `noise` and returns its log-density; `log_std` is room for `[W]`.
fn squash(raw: &[f32], noise: &[f32], action: &mut [f32], log_std: &mut [f32]) -> f32 {
    let base = gaussian(raw, log_std);
    // `action` holds the free value `u` for a moment.
    base.sample(noise, action);
    let mut log_prob = 0.0;
    for ((u, noise), log_std) in action.iter_mut().zip(noise).zip(base.log_std) {
        // By the noise, not by `u`, in which a small deviation drowns; less ln(1 - tanh(u)^2), without cancellation.
        log_prob -= 0.5 * noise * noise + log_std + LN_SQRT_TAU;
        log_prob -= 2.0 * (std::f32::consts::LN_2 - *u - Real::softplus(-2.0 * *u));
        *u = Real::tanh(*u);
    }
    log_prob
}

/// Writes probabilities `[N]` and returns minus their entropy; a row without a legal action gets zeros.
fn probabilities(logits: &[f32], mask: &[u32], probs: &mut [f32]) -> f32 {
    let Some(row) = Categorical::new(logits, mask) else {
        probs.fill(0.0);
        return 0.0;
    };
    let mut log_prob = 0.0;
    for (a, p) in probs.iter_mut().enumerate() {
        *p = row.prob(a);
        if *p > 0.0 {
            log_prob += *p * row.log_prob(a);
        }
    }
    log_prob
}

/// Standard normal numbers, in pairs (Box and Muller).
pub(super) fn normals(stream: &mut Stream, out: &mut [f32]) {
    for pair in out.chunks_mut(2) {
        let (u, v) = (1.0 - stream.uniform(), stream.uniform());
        let radius = (-2.0 * coact_core::math::ln_f32(u)).sqrt();
        let (sin, cos) = coact_core::math::sin_cos_f32(v * std::f32::consts::TAU);
        pair[0] = radius * cos;
        if let Some(second) = pair.get_mut(1) {
            *second = radius * sin;
        }
    }
}

/// Slopes of the outputs of rows whose loss has slope `d_action` `[R, W]` by the action and `d_log_prob` `[R]` by the
/// log-density: overwrites `d_raw` `[R, outputs]`. Not for [`Head::Categorical`], whose loss is a sum over actions.
pub(super) fn backward(
    head: Head,
    width: usize,
    raw: &[f32],
    chosen: &Actions,
    d_action: &[f32],
    d_log_prob: &[f32],
    d_raw: &mut Vec<f32>,
) {
    let outputs = head.n_outputs(width);
    d_raw.clear();
    d_raw.resize(raw.len(), 0.0);
    let rows = d_raw.chunks_exact_mut(outputs).zip(raw.chunks_exact(outputs)).enumerate();
    for (row, (d_raw, raw)) in rows {
        let span = row * width..(row + 1) * width;
        let (action, inner, d_action) =
            (&chosen.action[span.clone()], &chosen.inner[span.clone()], &d_action[span]);
        match head {
            Head::Tanh => {
                for ((d, a), slope) in d_raw.iter_mut().zip(action).zip(d_action) {
                    *d = slope * (1.0 - a * a);
                }
            }
            Head::Squashed => squashed_backward(raw, inner, d_action, d_log_prob[row], d_raw),
            Head::Gumbel(temperature) => gumbel::backward(inner, temperature, d_action, d_raw),
            Head::Categorical => unreachable!("its loss is a sum over actions, see `expected_backward`"),
        }
    }
}

fn squashed_backward(raw: &[f32], noise: &[f32], d_action: &[f32], d_log_prob: f32, d_raw: &mut [f32]) {
    let (d_mean, d_log_std) = d_raw.split_at_mut(raw.len() / 2);
    let free = &raw[raw.len() / 2..];
    // One component at a time: room for its bounded deviation is on the stack.
    for (j, (d_mean, d_log_std)) in d_mean.iter_mut().zip(d_log_std).enumerate() {
        let log_std = free[j].clamp(LOG_STD_MIN, LOG_STD_MAX);
        let base = Gaussian { mean: &raw[j..j + 1], log_std: &[log_std] };
        let squashed = Squashed { base, low: -1.0, high: 1.0 };
        let (m, s) = (std::slice::from_mut(d_mean), std::slice::from_mut(d_log_std));
        squashed.backward_through(&noise[j..j + 1], &d_action[j..j + 1], d_log_prob, m, s);
        // Outside its bounds the deviation does not follow its output.
        if log_std != free[j] {
            *d_log_std = 0.0;
        }
    }
}

/// Slopes of logits `[N]` of the loss `weight * sum_u p(u) (alpha ln p(u) - q(u))`, overwriting `d_logits`; `probs` as
/// from [`choose`]. Returns the sum.
pub(super) fn expected_backward(
    probs: &[f32],
    q: &[f32],
    alpha: f32,
    weight: f32,
    d_logits: &mut [f32],
) -> f32 {
    let mut total = 0.0;
    for ((d, &p), &q) in d_logits.iter_mut().zip(probs).zip(q) {
        *d = if p > 0.0 { alpha * Real::ln(p) - q } else { 0.0 };
        total += p * *d;
    }
    // The slope of `alpha ln p` itself sums to nothing over a softmax.
    d_logits.iter_mut().zip(probs).for_each(|(d, &p)| *d = weight * p * (*d - total));
    total
}

/// Between an environment's components within `low..=high` and the family's within -1..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    low: f32,
    high: f32,
}

impl Bounds {
    /// Those of a space; -1..=1 for a discrete one.
    pub(super) fn of(space: &ActionSpace) -> Self {
        match *space {
            ActionSpace::Discrete { .. } => Self { low: -1.0, high: 1.0 },
            ActionSpace::Continuous { low, high, .. } => Self { low, high },
        }
    }

    pub(super) fn scale_in(self, component: f32) -> f32 {
        (component - 0.5 * (self.low + self.high)) / (0.5 * (self.high - self.low))
    }

    /// Clipped, as rounding must not leave the bounds.
    pub(super) fn scale_out(self, scaled: f32) -> f32 {
        let free = 0.5 * (self.low + self.high) + 0.5 * (self.high - self.low) * scaled;
        free.clamp(self.low, self.high)
    }
}

/// Adds noise of standard deviation `scale`, at most `clip` either way, to actions `[R, W]`, which stay within -1..=1.
pub(super) fn smooth(
    actions: &mut [f32],
    width: usize,
    draw: Draw,
    scale: f32,
    clip: f32,
    noise: &mut Vec<f32>,
) {
    noise.resize(width, 0.0);
    for (row, action) in actions.chunks_exact_mut(width).enumerate() {
        let Some(mut stream) = draw.stream(row) else { continue };
        normals(&mut stream, noise);
        let noisy = action.iter_mut().zip(&*noise);
        noisy.for_each(|(a, n)| *a = (*a + (scale * n).clamp(-clip, clip)).clamp(-1.0, 1.0));
    }
}
