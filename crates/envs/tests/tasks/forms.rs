//! The batched form of a task beside copies that are stepped one by one, over everything that a step writes.

use coact_core::{ActionBatch, Actions, EnvSpec, MultiAgentEnv, Purpose, StepBatch, Stream};
use coact_envs::golden::random_actions;
use serde_json::Value;

const SEED: u64 = 11;

/// One copy that follows the contract of batches by itself.
struct Copy {
    env: Box<dyn MultiAgentEnv>,
    index: u32,
    episode: u64,
}

impl Copy {
    fn begin(&mut self) {
        self.env.reset(&mut Stream::new(SEED, Purpose::Reset, self.index, self.episode));
    }

    /// Writes its rows of observations, masks and the state.
    fn show(&self, spec: &EnvSpec, out: &mut StepBatch, last: bool) {
        let e = self.index as usize;
        for (agent, (g, a)) in spec.agents().enumerate() {
            let group = &spec.groups[g];
            let (d, w, row) = (group.obs_width(), group.mask_words(), e * group.n_agents + a);
            let column = &mut out.groups[g];
            let (obs, mask) = match last {
                true => (&mut column.final_obs, &mut column.final_mask),
                false => (&mut column.obs, &mut column.mask),
            };
            self.env.observe(agent, &mut obs[row * d..(row + 1) * d]);
            if w > 0 {
                let mask = &mut mask[row * w..(row + 1) * w];
                mask.fill(0);
                self.env.legal(agent, mask);
            }
        }
        let s = spec.state_width;
        let state = if last { &mut out.final_state } else { &mut out.state };
        self.env.state(&mut state[e * s..(e + 1) * s]);
    }

    fn step(&mut self, spec: &EnvSpec, t: u64, actions: &ActionBatch, out: &mut StepBatch) {
        let (e, n) = (self.index as usize, spec.n_agents());
        let (mut discrete, mut continuous) = (Vec::new(), Vec::new());
        for (g, group) in spec.groups.iter().enumerate() {
            let (n, k) = (group.n_agents, group.action.n_continuous());
            match k {
                0 => discrete.extend_from_slice(&actions.discrete[g][e * n..(e + 1) * n]),
                _ => discrete.resize(discrete.len() + n, 0),
            }
            continuous.extend_from_slice(&actions.continuous[g][e * n * k..(e + 1) * n * k]);
        }
        let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
        let mut rng = Stream::new(SEED, Purpose::Step, self.index, t);
        let given = Actions { discrete: &discrete, continuous: &continuous };
        let truncated = self.env.step(given, &mut rng, &mut reward, &mut terminated).unwrap();
        let over = truncated || (0..n).all(|agent| !self.env.alive(agent));
        (out.truncated[e], out.is_first[e]) = (truncated, over);
        for (agent, (g, a)) in spec.agents().enumerate() {
            let row = e * spec.groups[g].n_agents + a;
            let column = &mut out.groups[g];
            column.reward[row] = reward[agent];
            column.terminated[row] = terminated[agent];
            column.alive[row] = over || self.env.alive(agent);
        }
        if over {
            self.show(spec, out, true);
            self.episode += 1;
            self.begin();
        }
        self.show(spec, out, false);
    }
}

/// Plays random actions for `n_steps` steps of `n_envs` copies; both forms must write the same bits. Returns how many
/// episodes ended.
pub fn compare((name, options): &(String, Value), n_envs: usize, n_steps: u64) -> usize {
    let task = coact_envs::find(name).unwrap();
    let mut batch = task.build(options, n_envs).unwrap();
    let spec = batch.spec().clone();
    let mut of_batch = StepBatch::new(&spec, n_envs);
    let mut of_copies = of_batch.clone();
    let mut actions = ActionBatch::new(&spec, n_envs);
    let copy = |index| Copy { env: task.build_one(options).unwrap(), index, episode: 0 };
    let mut copies: Vec<Copy> = (0..n_envs as u32).map(copy).collect();
    assert_eq!(&spec, copies[0].env.spec(), "{name}");
    batch.reset(SEED, &mut of_batch).unwrap();
    for copy in &mut copies {
        copy.begin();
        copy.show(&spec, &mut of_copies, false);
    }
    assert!(of_batch == of_copies, "{name} {options}: reset");
    let mut ended = 0;
    for t in 0..n_steps {
        random_actions(&*batch, &of_batch, 5, t, &mut actions);
        batch.step(&actions, &mut of_batch).unwrap();
        copies.iter_mut().for_each(|copy| copy.step(&spec, t, &actions, &mut of_copies));
        assert!(same(&of_batch, &of_copies), "{name} {options}: step {t}");
        ended += of_batch.is_first.iter().filter(|first| **first).count();
    }
    ended
}

/// Equal to the bit: zeros of either sign are told apart.
fn same(a: &StepBatch, b: &StepBatch) -> bool {
    let bits = |x: &[f32], y: &[f32]| x.iter().map(|x| x.to_bits()).eq(y.iter().map(|y| y.to_bits()));
    let columns = a.groups.iter().zip(&b.groups);
    a == b
        && bits(&a.state, &b.state)
        && columns.into_iter().all(|(a, b)| bits(&a.obs, &b.obs) && bits(&a.reward, &b.reward))
}
