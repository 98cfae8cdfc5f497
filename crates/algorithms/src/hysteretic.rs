//! Hysteretic Q-learning without observations: every agent learns a value an action.
//!
//! Update: `q += rate * (reward + discount * max q - q)`, where `rate` is `learning_rate` for good news and
//! `bad_news` times that for bad news, which others' exploration may have caused.
//!
//! Source: Matignon, Laurent and Le Fort-Piat 2007, "Hysteretic Q-learning". Deviation: no observations, so it suits games
//! of one state; one table an agent. Requires discrete actions, all legal. Tested by `climbing`, whose good cells are
//! surrounded by punishment, and by hand-computed updates. It is also the worked example of the contributing guide.

use coact_core::codec::{Reader, Writer};
use coact_core::{ActionBatch, EnvSpec, Purpose, StepBatch, Stream};
use coact_nets::NamedTensor;
use coact_replay::Batch;

use crate::learner::{
    ActMode, AgentPolicy, AlgorithmEntry, AnyLearner, BuildContext, Clock, Feed, Learner, Named,
    TransitionLearner, UpdateStats,
};
use crate::{Error, Result, settings};

/// `hysteretic` in the list of algorithms.
pub const HYSTERETIC: AlgorithmEntry = AlgorithmEntry {
    name: "hysteretic",
    summary: "a table of action values that forgives what others' exploration cost; for games of one state",
    source: "Matignon et al. 2007",
    requires: "discrete actions, all legal",
    feed: Feed::Transitions,
    fast: false,
    keys: HystereticSettings::KEYS,
    resolve: |map| settings::to_map("hysteretic", &parse(map)?),
    check,
    build: |context| Ok(AnyLearner::Transitions(Box::new(Hysteretic::new(context)?))),
};

coact_core::settings! {
    /// Settings of hysteretic Q-learning.
    pub struct HystereticSettings {
        /// Step size for news better than expected.
        learning_rate: f32 = 0.1,
        /// Share of `learning_rate` that is used for news worse than expected: 1 is Q-learning, 0 only ever hopes.
        bad_news: f32 = 0.1,
        /// Probability of a random action in training.
        exploration_eps: f32 = 0.2,
    }
}

fn parse(map: &serde_json::Value) -> Result<HystereticSettings> {
    let settings: HystereticSettings = settings::parse("hysteretic", map)?;
    for (key, value) in [
        ("learning_rate", settings.learning_rate),
        ("bad_news", settings.bad_news),
        ("exploration_eps", settings.exploration_eps),
    ] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::Setting { key, value: value.to_string(), rule: "it must be in [0, 1]" });
        }
    }
    Ok(settings)
}

fn check(spec: &EnvSpec) -> Result<()> {
    if spec.groups.iter().all(|g| g.action.n_discrete() > 0 && !g.masked) {
        return Ok(());
    }
    let reason = "it has continuous actions, or actions that are not always legal".into();
    Err(Error::Unsupported { algorithm: "hysteretic", env: spec.name.clone(), reason })
}

/// One table an agent, group after group: `[A, N]` each, flat.
struct Hysteretic {
    spec: EnvSpec,
    settings: HystereticSettings,
    seed: u64,
    q: Vec<f32>,
    grad_steps: u64,
}

/// The best action of a table. Ties go to the lowest, here as everywhere.
fn greedy(q: &[f32]) -> usize {
    (1..q.len()).fold(0, |best, a| if q[a] > q[best] { a } else { best })
}

impl Hysteretic {
    fn new(context: BuildContext<'_>) -> Result<Self> {
        check(context.spec)?;
        let n: usize = context.spec.groups.iter().map(|g| g.n_agents * g.action.n_discrete()).sum();
        let settings = parse(context.settings)?;
        Ok(Self { spec: context.spec.clone(), settings, seed: context.seed, q: vec![0.0; n], grad_steps: 0 })
    }

    /// Where the tables of each group begin, its agents and their actions.
    fn tables(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let sizes: Vec<_> = self.spec.groups.iter().map(|g| (g.n_agents, g.action.n_discrete())).collect();
        let mut first = 0;
        sizes.into_iter().map(move |(n_agents, n_actions)| {
            let start = first;
            first += n_agents * n_actions;
            (start, n_agents, n_actions)
        })
    }
}

impl Learner for Hysteretic {
    fn act(&mut self, step: &StepBatch, mode: ActMode, actions: &mut ActionBatch) -> Result<()> {
        for (g, (start, n_agents, n_actions)) in self.tables().enumerate() {
            for (row, action) in actions.discrete[g][..step.n_envs * n_agents].iter_mut().enumerate() {
                *action = greedy(&self.q[start + row % n_agents * n_actions..][..n_actions]) as u32;
                if let ActMode::Explore(clock) = mode {
                    // A stream is a name: no state to save, the same draws at any number of threads.
                    let index = (g as u32) << 24 | row as u32;
                    let mut rng = Stream::new(self.seed, Purpose::Explore, index, clock.vector_steps);
                    if rng.uniform() < self.settings.exploration_eps {
                        *action = rng.below(n_actions as u32);
                    }
                }
            }
        }
        Ok(())
    }

    fn params(&self) -> &[f32] {
        &self.q
    }

    fn set_params(&mut self, params: &[f32]) {
        self.q.copy_from_slice(params);
    }

    fn grad_steps(&self) -> u64 {
        self.grad_steps
    }

    fn action_values(&mut self, step: &StepBatch, group: usize) -> Result<Vec<f32>> {
        let table = self.tables().nth(group);
        Ok(table.map(|(start, a, n)| self.q[start..start + a * n].repeat(step.n_envs)).unwrap_or_default())
    }

    fn gauges(&self, _clock: Clock) -> Vec<(&'static str, f64)> {
        vec![("epsilon", f64::from(self.settings.exploration_eps))]
    }

    fn policies(&self) -> Vec<AgentPolicy> {
        let own =
            self.tables().flat_map(|(start, a, n)| (0..a).map(move |i| start + i * n..start + (i + 1) * n));
        let table = |(agent, range): (String, std::ops::Range<usize>)| {
            let values = self.q[range].to_vec();
            let tensors = vec![NamedTensor { name: "q".into(), shape: vec![values.len()], values }];
            AgentPolicy { agent, tensors, architecture: vec![("kind", "table".into())] }
        };
        self.spec.agent_names().into_iter().zip(own).map(table).collect()
    }

    fn save(&self, out: &mut Writer) {
        out.f32s(&self.q);
        out.u64(self.grad_steps);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        from.f32s(&mut self.q)?;
        self.grad_steps = from.u64()?;
        Ok(())
    }
}

impl TransitionLearner for Hysteretic {
    fn update(&mut self, batch: &Batch, priority: &mut [f32]) -> Result<UpdateStats> {
        let n_all = self.spec.n_agents() as f32;
        let (mut td_abs, mut n_rows) = (0.0, 0);
        priority.fill(0.0);
        for ((start, n_agents, n_actions), columns) in self.tables().zip(&batch.groups) {
            for row in (0..batch.size * n_agents).filter(|&row| columns.valid[row]) {
                let table = &mut self.q[start + row % n_agents * n_actions..][..n_actions];
                // Where the process ended, discount is 0 and the next value must not matter, not even if it is NaN.
                let next = if columns.discount[row] == 0.0 { 0.0 } else { table[greedy(table)] };
                let q = &mut table[columns.action[row] as usize];
                let td = columns.reward[row] + columns.discount[row] * next - *q;
                let rate = self.settings.learning_rate * if td > 0.0 { 1.0 } else { self.settings.bad_news };
                *q += rate * td;
                priority[row / n_agents] += td.abs() / n_all;
                (td_abs, n_rows) = (td_abs + td.abs(), n_rows + 1);
            }
        }
        self.grad_steps += 1;
        let td_abs = td_abs / n_rows.max(1) as f32;
        let learning_rate = f64::from(self.settings.learning_rate);
        Ok(UpdateStats {
            loss: td_abs,
            learning_rate,
            named: Named::new([("td_abs", td_abs)]),
            ..UpdateStats::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coact_core::{ActionSpace, GroupSpec, ObsField, RewardKind};
    use coact_kernels::{Backend, CpuOptions};

    fn spec() -> EnvSpec {
        let group = |name: &str, n_agents, n| GroupSpec {
            name: name.into(),
            n_agents,
            obs: vec![ObsField::unbounded("nothing", 1)],
            action: ActionSpace::Discrete { n },
            masked: false,
        };
        EnvSpec {
            name: "by hand".into(),
            version: 1,
            groups: vec![group("two", 2, 3), group("one", 1, 2)],
            state_width: 0,
            episode_limit: None,
            reward: RewardKind::Common,
        }
    }

    fn learner(settings: serde_json::Value) -> Result<Hysteretic> {
        Hysteretic::new(BuildContext {
            spec: &spec(),
            n_envs: 2,
            seed: 1,
            total_env_steps: 100,
            total_grad_steps: 10,
            rollout_steps: 8,
            gamma: 0.5,
            backend: Backend::cpu(CpuOptions::default()).unwrap(),
            settings: &settings,
        })
    }

    #[test]
    fn good_news_counts_in_full_and_bad_news_a_little() {
        let mut own = learner(serde_json::json!({"learning_rate": 0.5, "bad_news": 0.25})).unwrap();
        own.set_params(&[1.0, 2.0, 0.0, 0.0, 0.0, 4.0, 8.0, 0.0]);
        let mut batch = Batch::new(&spec(), 1);
        let [two, one] = &mut batch.groups[..] else { unreachable!() };
        two.action.copy_from_slice(&[0, 2]);
        two.reward.copy_from_slice(&[2.0, -3.0]);
        two.discount.copy_from_slice(&[0.5, 0.5]);
        two.valid.fill(true);
        one.action[0] = 1;
        one.reward[0] = 7.0;
        one.valid[0] = true;
        let mut priority = [f32::NAN];
        own.update(&batch, &mut priority).unwrap();
        // 2 + 0.5 * 2 - 1 = 2, half of it; -3 + 0.5 * 4 - 4 = -5, an eighth of it; 7 - 0, as the process ended.
        assert_eq!(own.params(), [2.0, 2.0, 0.0, 0.0, 0.0, 3.375, 8.0, 3.5]);
        assert_eq!(priority, [(2.0 + 5.0 + 7.0) / 3.0]);
    }

    #[test]
    fn greedy_play_takes_the_best_of_each_table_and_exploring_takes_others() {
        let mut own = learner(serde_json::json!({"exploration_eps": 1.0})).unwrap();
        own.set_params(&[1.0, 2.0, 0.0, 0.0, 0.0, 4.0, 0.0, 3.0]);
        let step = StepBatch::new(&spec(), 2);
        let mut actions = ActionBatch::new(&spec(), 2);
        own.act(&step, ActMode::Greedy, &mut actions).unwrap();
        assert_eq!(actions.discrete, [vec![1, 2, 1, 2], vec![1, 1]]);
        let mut seen = std::collections::BTreeSet::new();
        for t in 0..40 {
            own.act(&step, ActMode::Explore(Clock { vector_steps: t, ..Clock::default() }), &mut actions)
                .unwrap();
            seen.extend(actions.discrete[0].iter().copied());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn what_it_cannot_serve_is_one_line() {
        let fault = |settings| learner(settings).err().unwrap().to_string();
        assert!(fault(serde_json::json!({"bad_news": 1.5})).contains("bad_news"));
        assert!(fault(serde_json::json!({"learning_rate": "x"})).contains("learning_rate"));
        let mut masked = spec();
        masked.groups[0].masked = true;
        assert!(check(&masked).unwrap_err().to_string().contains("legal"));
    }
}
