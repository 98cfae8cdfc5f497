//! One copy, stepped by dictionaries of agents: what the forms of PettingZoo and Gymnasium stand on.
//!
//! It draws from the streams that copy 0 of a batch draws from, so both play the same episodes, bit for bit.

use std::sync::Mutex;

use coact_core::nearest::hint;
use coact_core::{Actions, EnvSpec, Error, MultiAgentEnv, Purpose, Result, Stream};
use coact_draw::terminal;
use coact_envs::vectorized::check_limit;
use numpy::{PyArray1, PyArray3};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::actions::{one_continuous, one_discrete};
use crate::batch::pixels;
use crate::describe::{agent_names, parse_options, spec_dict};
use crate::fault::{guarded, refuse, try_lock};

/// One copy of an environment.
#[pyclass(frozen, module = "coact._coact")]
pub struct One {
    spec: EnvSpec,
    agents: Vec<Agent>,
    mask_in_obs: bool,
    /// Whether the first legal action takes the place of an illegal one.
    replace_illegal: bool,
    inner: Mutex<Inner>,
}

/// An agent and where its things are.
struct Agent {
    name: String,
    /// The name as Python keeps it.
    key: Py<PyString>,
    group: usize,
    /// Where its components are among those of all agents.
    first_component: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Fresh,
    Running,
    Over,
}

struct Inner {
    env: Box<dyn MultiAgentEnv>,
    index: u32,
    limit: Option<u32>,
    seed: u64,
    episode: u64,
    steps: u64,
    elapsed: u32,
    phase: Phase,
    discrete: Vec<u32>,
    continuous: Vec<f32>,
    reward: Vec<f32>,
    terminated: Vec<bool>,
    alive: Vec<bool>,
    illegal: Vec<bool>,
}

impl Inner {
    fn begin(&mut self) {
        self.env.reset(&mut Stream::new(self.seed, Purpose::Reset, self.index, self.episode));
        self.elapsed = 0;
        let env = &self.env;
        self.alive.iter_mut().enumerate().for_each(|(a, alive)| *alive = env.alive(a));
        self.phase = Phase::Running;
    }

    /// Steps with the actions that were read. Returns whether the episode was truncated.
    fn step(&mut self) -> Result<bool> {
        let actions = Actions { discrete: &self.discrete, continuous: &self.continuous };
        let mut rng = Stream::new(self.seed, Purpose::Step, self.index, self.steps);
        let stopped = self.env.step(actions, &mut rng, &mut self.reward, &mut self.terminated)?;
        if let Some(agent) = self.reward.iter().position(|r| !r.is_finite()) {
            return Err(Error::NonFinite { what: "reward", env: 0, agent, value: self.reward[agent] });
        }
        self.steps += 1;
        self.elapsed += 1;
        let env = &self.env;
        self.alive.iter_mut().enumerate().for_each(|(a, alive)| *alive = env.alive(a));
        let acting = self.alive.contains(&true);
        let truncated = acting && (stopped || self.limit.is_some_and(|limit| self.elapsed >= limit));
        if truncated || !acting {
            self.phase = Phase::Over;
        }
        Ok(truncated)
    }
}

/// Observations, rewards, terminations, truncations, infos.
type Moment<'py> =
    (Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>, Bound<'py, PyDict>);

impl One {
    /// Reads the actions of all agents that act.
    fn read(&self, inner: &mut Inner, given: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = given.py();
        let mut n_known = 0;
        for (a, agent) in self.agents.iter().enumerate() {
            let (space, action) =
                (&self.spec.groups[agent.group].action, given.get_item(agent.key.bind(py))?);
            n_known += usize::from(action.is_some());
            inner.illegal[a] = false;
            inner.discrete[a] = 0;
            let width = space.n_continuous();
            let components = &mut inner.continuous[agent.first_component..][..width];
            if let coact_core::ActionSpace::Continuous { low, high, .. } = *space {
                components.fill(0.0_f32.clamp(low, high));
            }
            match action {
                _ if !inner.alive[a] => {}
                None => {
                    let text = format!("no action for {}; give one to each of env.agents", agent.name);
                    return Err(refuse(text));
                }
                Some(action) if width > 0 => one_continuous(&agent.name, space, &action, components)?,
                Some(action) => {
                    inner.discrete[a] = one_discrete(&agent.name, space.n_discrete(), &action)?;
                    self.check_legal(inner, a)?;
                }
            }
        }
        if n_known == given.len() {
            return Ok(());
        }
        let names = || self.agents.iter().map(|agent| agent.name.as_str());
        let unknown = given.keys().iter().map(|key| key.to_string());
        let unknown = unknown.into_iter().find(|key| names().all(|name| name != key)).unwrap_or_default();
        let known = names().collect::<Vec<_>>().join(", ");
        Err(refuse(format!("there is no agent `{unknown}`{}; agents: {known}", hint(&unknown, names()))))
    }

    fn check_legal(&self, inner: &mut Inner, a: usize) -> PyResult<()> {
        let agent = &self.agents[a];
        let Some(mask) = self.mask(&*inner.env, a) else { return Ok(()) };
        let action = inner.discrete[a] as usize;
        if mask[action] != 0 {
            return Ok(());
        }
        if !self.replace_illegal {
            let text = format!("action {action} of {} is illegal now; choose by action_mask", agent.name);
            return Err(refuse(text));
        }
        let Some(first) = mask.iter().position(|legal| *legal != 0) else {
            return Err(refuse(Error::NoLegalAction { env: 0, agent: a }));
        };
        (inner.discrete[a], inner.illegal[a]) = (first as u32, true);
        Ok(())
    }

    /// Legality of each action of an agent, none where all are legal.
    fn mask(&self, env: &dyn MultiAgentEnv, a: usize) -> Option<Vec<i8>> {
        let group = &self.spec.groups[self.agents[a].group];
        if !group.masked {
            return None;
        }
        let mut words = vec![0; group.mask_words()];
        env.legal(a, &mut words);
        Some((0..group.action.n_discrete()).map(|n| (words[n / 32] >> (n % 32) & 1) as i8).collect())
    }

    fn obs(&self, env: &dyn MultiAgentEnv, a: usize) -> Result<Vec<f32>> {
        let mut obs = vec![0.0; self.spec.groups[self.agents[a].group].obs_width()];
        env.observe(a, &mut obs);
        match obs.iter().find(|x| !x.is_finite()) {
            None => Ok(obs),
            Some(&value) => Err(Error::NonFinite { what: "observation", env: 0, agent: a, value }),
        }
    }

    /// Puts what agent `a` sees, and what is to be said of it, where Python looks.
    fn show(
        &self,
        inner: &Inner,
        a: usize,
        obs: &Bound<'_, PyDict>,
        infos: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let py = obs.py();
        let key = self.agents[a].key.bind(py);
        let row = PyArray1::from_vec(py, self.obs(&*inner.env, a).map_err(refuse)?);
        let info = PyDict::new(py);
        match self.mask(&*inner.env, a) {
            None => obs.set_item(key, row)?,
            Some(mask) => {
                info.set_item("action_mask", PyArray1::from_slice(py, &mask))?;
                if self.mask_in_obs {
                    let both = PyDict::new(py);
                    both.set_item("observation", row)?;
                    both.set_item("action_mask", PyArray1::from_vec(py, mask))?;
                    obs.set_item(key, both)?;
                } else {
                    obs.set_item(key, row)?;
                }
                info.set_item("illegal_action", inner.illegal[a])?;
            }
        }
        infos.set_item(key, info)
    }
}

#[pymethods]
impl One {
    #[new]
    #[pyo3(signature = (name, options, limit=None, index=0, mask_in_obs=false, replace_illegal=true))]
    fn new(
        py: Python<'_>,
        name: &str,
        options: &str,
        limit: Option<u32>,
        index: u32,
        mask_in_obs: bool,
        replace_illegal: bool,
    ) -> PyResult<Self> {
        let (found, options) = (coact_catalog::find(name).map_err(refuse)?, parse_options(options)?);
        let env = guarded(|| found.build_one(&options)).map_err(refuse)?;
        let mut spec = env.spec().clone();
        if let Some(limit) = limit {
            spec.episode_limit = Some(check_limit(&spec, limit).map_err(refuse)?);
        }
        let mut first_component = 0;
        let mut agents = Vec::new();
        for ((group, _), name) in spec.agents().zip(agent_names(&spec)) {
            let key = PyString::intern(py, &name).unbind();
            agents.push(Agent { name, key, group, first_component });
            first_component += spec.groups[group].action.n_continuous();
        }
        let n = agents.len();
        let inner = Inner {
            env,
            index,
            limit,
            seed: 0,
            episode: 0,
            steps: 0,
            elapsed: 0,
            phase: Phase::Fresh,
            discrete: vec![0; n],
            continuous: vec![0.0; first_component],
            reward: vec![0.0; n],
            terminated: vec![false; n],
            alive: vec![true; n],
            illegal: vec![false; n],
        };
        Ok(Self { spec, agents, mask_in_obs, replace_illegal, inner: Mutex::new(inner) })
    }

    /// What the environment promises.
    #[pyo3(name = "spec")]
    fn py_spec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        spec_dict(py, &self.spec)
    }

    /// Starts an episode: the first one of `seed`, or the one after the last. Returns observations and infos.
    #[pyo3(signature = (seed=None))]
    fn reset<'py>(
        &self,
        py: Python<'py>,
        seed: Option<u64>,
    ) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
        let mut inner = try_lock(&self.inner)?;
        match seed {
            Some(seed) => (inner.seed, inner.episode, inner.steps) = (seed, 0, 0),
            None => inner.episode += 1,
        }
        inner.phase = Phase::Fresh;
        guarded(|| {
            inner.begin();
            Ok(())
        })
        .map_err(refuse)?;
        inner.illegal.fill(false);
        let (obs, infos) = (PyDict::new(py), PyDict::new(py));
        for a in (0..self.agents.len()).filter(|a| inner.alive[*a]) {
            self.show(&inner, a, &obs, &infos)?;
        }
        Ok((obs, infos))
    }

    /// One step: observations, rewards, terminations, truncations and infos of the agents that acted.
    fn step<'py>(&self, py: Python<'py>, actions: &Bound<'py, PyDict>) -> PyResult<Moment<'py>> {
        let mut inner = try_lock(&self.inner)?;
        match inner.phase {
            Phase::Running => {}
            Phase::Fresh => return Err(refuse("there is no moment to step from; call reset() first")),
            Phase::Over => return Err(refuse("the episode is over; call reset()")),
        }
        self.read(&mut inner, actions)?;
        let acted = inner.alive.clone();
        let stepped = guarded(|| inner.step());
        if stepped.is_err() {
            inner.phase = Phase::Fresh;
        }
        let truncated = stepped.map_err(refuse)?;
        let dict = || PyDict::new(py);
        let (obs, rewards, ends, cuts, infos) = (dict(), dict(), dict(), dict(), dict());
        for a in (0..self.agents.len()).filter(|a| acted[*a]) {
            let key = self.agents[a].key.bind(py);
            self.show(&inner, a, &obs, &infos)?;
            rewards.set_item(key, f64::from(inner.reward[a]))?;
            ends.set_item(key, inner.terminated[a])?;
            cuts.set_item(key, truncated && !inner.terminated[a])?;
        }
        Ok((obs, rewards, ends, cuts, infos))
    }

    /// The global state; observations of all agents, one after the other, where the environment has none.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let inner = try_lock(&self.inner)?;
        if inner.phase == Phase::Fresh {
            return Err(refuse("there is no state yet; call reset() first"));
        }
        let mut state = vec![0.0; self.spec.state_width];
        inner.env.state(&mut state);
        if state.is_empty() {
            for a in 0..self.agents.len() {
                state.extend(self.obs(&*inner.env, a).map_err(refuse)?);
            }
        }
        Ok(PyArray1::from_vec(py, state))
    }

    /// The moment as pixels `[H, W, 3]`.
    fn render_rgb<'py>(&self, py: Python<'py>, width: u32) -> PyResult<Bound<'py, PyArray3<u8>>> {
        pixels(py, &self.scene()?, width)
    }

    /// The moment as characters.
    fn render_text(&self, columns: u32, color: bool) -> PyResult<String> {
        let draw = if color { terminal::colored } else { terminal::plain };
        draw(&self.scene()?, columns).map_err(refuse)
    }
}

impl One {
    fn scene(&self) -> PyResult<coact_core::scene::Scene> {
        let inner = try_lock(&self.inner)?;
        if inner.phase == Phase::Fresh {
            return Err(refuse("there is nothing to show yet; call reset() first"));
        }
        guarded(|| Ok(inner.env.scene())).map_err(refuse)
    }
}
