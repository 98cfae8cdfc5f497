//! The duplex dueling mixing network of QPLEX.

use coact_core::math::exp_f32;
use coact_kernels::Backend;
use coact_kernels::math::{sign, sum8};

use super::MixerInput;
use super::part::Part;

/// Widths of a duplex dueling mixing network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QplexWidths {
    /// Hidden units of every hypernetwork.
    pub hypernet: usize,
    /// Heads whose importance weights are summed, `K`.
    pub heads: usize,
}

/// Keeps weights that must be positive away from zero.
const POSITIVE: f32 = 1e-10;

/// ```text
/// w_a = |hyper_w_final(s)_a| + 1e-10                 advantage_a = w_a (q_a - best_q_a)
/// importance_a = sum_k (|key_k(s)| + 1e-10) sigmoid(agents_ka(s)) sigmoid(action_ka(s, u))
/// total = sum_a (w_a q_a + V(s)_a) + sum_a advantage_a (importance_a - 1)
/// ```
/// As in the authors' code no gradient passes through the advantages.
#[derive(Debug)]
pub(super) struct Qplex {
    n_agents: usize,
    heads: usize,
    w: Part,
    v: Part,
    key: Part,
    agents: Part,
    action: Part,
}

impl Qplex {
    pub(super) fn new(
        n_agents: usize,
        state: usize,
        joint: usize,
        widths: QplexWidths,
        offset: &mut usize,
    ) -> Self {
        let QplexWidths { hypernet, heads } = widths;
        let layers = || vec![hypernet];
        Self {
            n_agents,
            heads,
            w: Part::new("hyper_w_final", state, layers(), n_agents, offset),
            v: Part::new("V", state, layers(), n_agents, offset),
            key: Part::new("si_weight.key", state, layers(), heads, offset),
            agents: Part::new("si_weight.agents", state, layers(), heads * n_agents, offset),
            action: Part::new("si_weight.action", joint, layers(), heads * n_agents, offset),
        }
    }

    pub(super) fn parts(&self) -> [&Part; 5] {
        [&self.w, &self.v, &self.key, &self.agents, &self.action]
    }

    fn state_parts(&mut self) -> [&mut Part; 4] {
        [&mut self.w, &mut self.v, &mut self.key, &mut self.agents]
    }

    pub(super) fn forward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        total: &mut [f32],
    ) {
        for part in self.state_parts() {
            part.forward(backend, params, input.rows, input.state);
        }
        self.action.forward(backend, params, input.rows, input.joint);
        for part in [&mut self.agents, &mut self.action] {
            part.out.iter_mut().for_each(|x| *x = sigmoid(*x));
        }
        let n = self.n_agents;
        for (r, total) in total.iter_mut().enumerate() {
            let agent = |a: usize| {
                let at = r * n + a;
                let w = self.w.out[at].abs() + POSITIVE;
                let advantage = w * (input.q[at] - input.best_q[at]);
                w * input.q[at] + self.v.out[at] + advantage * (self.importance(r, a) - 1.0)
            };
            *total = sum8((0..n).map(agent));
        }
    }

    /// Weight of agent `a`'s advantage in row `r`.
    fn importance(&self, r: usize, a: usize) -> f32 {
        let head = |k: usize| {
            let at = (r * self.heads + k) * self.n_agents + a;
            (self.key.out[r * self.heads + k].abs() + POSITIVE) * self.agents.out[at] * self.action.out[at]
        };
        sum8((0..self.heads).map(head))
    }

    pub(super) fn backward(
        &mut self,
        backend: &mut Backend,
        params: &[f32],
        input: MixerInput<'_>,
        d_total: &[f32],
        grads: &mut [f32],
        d_q: &mut [f32],
    ) {
        let (n, heads) = (self.n_agents, self.heads);
        for (r, &d) in d_total.iter().enumerate() {
            self.key.d_out[r * heads..(r + 1) * heads].fill(0.0);
            for a in 0..n {
                let at = r * n + a;
                let (raw, q) = (self.w.out[at], input.q[at]);
                let w = raw.abs() + POSITIVE;
                d_q[at] = d * w;
                self.v.d_out[at] = d;
                self.w.d_out[at] = d * q * sign(raw);
                let d_importance = d * w * (q - input.best_q[at]);
                for k in 0..heads {
                    let (one, all) = (r * heads + k, (r * heads + k) * n + a);
                    let key = self.key.out[one].abs() + POSITIVE;
                    let (agent, action) = (self.agents.out[all], self.action.out[all]);
                    self.key.d_out[one] += d_importance * agent * action * sign(self.key.out[one]);
                    self.agents.d_out[all] = d_importance * key * action * agent * (1.0 - agent);
                    self.action.d_out[all] = d_importance * key * agent * action * (1.0 - action);
                }
            }
        }
        for part in self.state_parts() {
            part.backward(backend, params, input.rows, input.state, grads);
        }
        self.action.backward(backend, params, input.rows, input.joint, grads);
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp_f32(-x))
}
