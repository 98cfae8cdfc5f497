//! A small environment as a game, so that solvers can say how far a learned policy is from the truth.
//!
//! Agents that act at once become players who move one after the other without seeing each other's move. A player knows
//! its own observations and actions so far, and its legal actions now. An environment draws its randomness from streams,
//! which cannot be enumerated; chance therefore chooses one of `n_seeds` seeds at the start, each equally likely, and
//! all randomness follows. So the game is exact for a deterministic environment, and a sample of a random one
//! (where players who know the sample's size can learn the seed from what they see: take that into account).
//!
//! Only discrete actions. Episodes are cut after `horizon` steps.

use std::fmt::Write as _;
use std::sync::Arc;

use coact_core::codec::{Reader, Writer};
use coact_core::{Actions, EnvSpec, MultiAgentEnv, ObsField, Purpose, Stream};

use super::{Game, Turn};
use crate::{Error, Result};

type Make = dyn Fn() -> Box<dyn MultiAgentEnv> + Send + Sync;

/// An environment, played as a game.
#[derive(Clone)]
pub struct EnvGame {
    make: Arc<Make>,
    spec: EnvSpec,
    n_actions: usize,
    obs_width: usize,
    horizon: usize,
    n_seeds: u32,
}

/// A moment of an episode.
#[derive(Debug, Clone)]
pub struct Moment {
    /// What the environment saved; shared until the next step.
    saved: Arc<[u8]>,
    seed: Option<u32>,
    step: u32,
    is_over: bool,
    /// Actions of this step so far, one an agent; `None` for those still to come.
    actions: Vec<Option<u32>>,
    /// Legal actions of each agent in this step; empty for those who do not act.
    legal: Vec<Vec<u32>>,
    /// Last observation of each agent.
    obs: Vec<Vec<f32>>,
    /// Own observations and actions of each agent, as text.
    seen: Vec<String>,
    returns: Vec<f64>,
}

impl EnvGame {
    /// The game of the environments that `make` makes.
    ///
    /// # Errors
    /// Continuous actions, no agents, no step, or no seed.
    pub fn new(
        make: impl Fn() -> Box<dyn MultiAgentEnv> + Send + Sync + 'static,
        horizon: usize,
        n_seeds: u32,
    ) -> Result<Self> {
        let spec = make().spec().clone();
        let name = &spec.name;
        let n_actions = spec.groups.iter().map(|g| g.action.n_discrete()).max().unwrap_or(0);
        if spec.n_agents() == 0 || spec.groups.iter().any(|g| g.action.n_discrete() == 0) {
            let text =
                format!("{name} has continuous actions or no agents; only discrete actions make a game");
            return Err(Error::invalid(text));
        }
        if horizon == 0 || n_seeds == 0 {
            return Err(Error::invalid(format!("{name} as a game needs at least one step and one seed")));
        }
        let obs_width = spec.groups.iter().map(coact_core::GroupSpec::obs_width).max().unwrap_or(0);
        Ok(Self { make: Arc::new(make), n_actions, obs_width, spec, horizon, n_seeds })
    }

    /// Notes what everybody sees and may do now.
    fn look(&self, env: &dyn MultiAgentEnv, moment: &mut Moment) {
        let mut writer = Writer::new();
        env.save(&mut writer);
        moment.saved = writer.into_bytes().into();
        for (agent, (group, _)) in self.spec.agents().enumerate() {
            let group = &self.spec.groups[group];
            moment.actions[agent] = None;
            moment.legal[agent].clear();
            if !env.alive(agent) {
                continue;
            }
            env.observe(agent, &mut moment.obs[agent][..group.obs_width()]);
            // Writing to a string cannot fail.
            let _ = write!(moment.seen[agent], "{:?}", &moment.obs[agent][..group.obs_width()]);
            let mut mask = vec![u32::MAX; group.action.n_discrete().div_ceil(32)];
            if group.masked {
                env.legal(agent, &mut mask);
            }
            let is_legal = |a: &u32| mask[*a as usize / 32] >> (a % 32) & 1 == 1;
            moment.legal[agent].extend((0..group.action.n_discrete() as u32).filter(is_legal));
            // A single legal action is no choice.
            if let [only] = moment.legal[agent][..] {
                moment.actions[agent] = Some(only);
            }
        }
    }

    /// The next agent with a choice to make in this step.
    fn mover(moment: &Moment) -> Option<usize> {
        (0..moment.actions.len()).find(|&a| moment.actions[a].is_none() && !moment.legal[a].is_empty())
    }

    /// Steps the environment while nobody has a choice.
    fn advance(&self, moment: &mut Moment) {
        while !moment.is_over && Self::mover(moment).is_none() {
            let mut env = (self.make)();
            let mut reader = Reader::new("game", &moment.saved);
            let n = moment.actions.len();
            let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
            let discrete: Vec<u32> = moment.actions.iter().map(|a| a.unwrap_or(0)).collect();
            let actions = Actions { discrete: &discrete, continuous: &[] };
            let seed = u64::from(moment.seed.unwrap_or(0));
            let mut rng = Stream::new(seed, Purpose::Step, 0, u64::from(moment.step));
            // An environment that cannot go on from its own saved state ends the game.
            let stepped = env
                .load(&mut reader)
                .and_then(|()| env.step(actions, &mut rng, &mut reward, &mut terminated));
            moment.step += 1;
            let nobody = !(0..n).any(|a| env.alive(a));
            moment.is_over = stepped.unwrap_or(true) || nobody || moment.step as usize >= self.horizon;
            moment.returns.iter_mut().zip(&reward).for_each(|(sum, r)| *sum += f64::from(*r));
            for (seen, action) in moment.seen.iter_mut().zip(&discrete) {
                let _ = write!(seen, " {action} ");
            }
            self.look(&*env, moment);
        }
    }

    fn begin(&self, seed: u32) -> Moment {
        let n = self.spec.n_agents();
        let mut moment = Moment {
            saved: Arc::from(Vec::new()),
            seed: Some(seed),
            step: 0,
            is_over: false,
            actions: vec![None; n],
            legal: vec![Vec::new(); n],
            obs: vec![vec![0.0; self.obs_width]; n],
            seen: vec![String::new(); n],
            returns: vec![0.0; n],
        };
        let mut env = (self.make)();
        env.reset(&mut Stream::new(u64::from(seed), Purpose::Reset, 0, 0));
        self.look(&*env, &mut moment);
        self.advance(&mut moment);
        moment
    }
}

impl Game for EnvGame {
    type State = Moment;

    fn name(&self) -> String {
        self.spec.name.clone()
    }

    fn n_players(&self) -> usize {
        self.spec.n_agents()
    }

    fn n_actions(&self) -> usize {
        self.n_actions.max(self.n_seeds as usize)
    }

    fn start(&self) -> Moment {
        let mut moment = self.begin(0);
        if self.n_seeds > 1 {
            moment.seed = None;
        }
        moment
    }

    fn turn(&self, moment: &Moment) -> Turn {
        match (moment.seed, moment.is_over) {
            (None, _) => Turn::Chance,
            (_, true) => Turn::Terminal,
            _ => Self::mover(moment).map_or(Turn::Terminal, Turn::Player),
        }
    }

    fn legal(&self, moment: &Moment, actions: &mut Vec<u32>) {
        if let Some(agent) = Self::mover(moment) {
            actions.extend_from_slice(&moment.legal[agent]);
        }
    }

    fn chance(&self, _: &Moment, outcomes: &mut Vec<(u32, u64)>) {
        outcomes.extend((0..self.n_seeds).map(|seed| (seed, 1)));
    }

    fn apply(&self, moment: &mut Moment, action: u32) {
        if moment.seed.is_none() {
            *moment = self.begin(action);
        } else if let Some(agent) = Self::mover(moment) {
            moment.actions[agent] = Some(action);
            self.advance(moment);
        }
    }

    fn returns(&self, moment: &Moment, returns: &mut [f64]) {
        returns.copy_from_slice(&moment.returns);
    }

    fn information(&self, moment: &Moment, player: usize, key: &mut String) {
        let _ = write!(key, "{player}: {}", moment.seen[player]);
    }

    fn action_name(&self, _: &Moment, action: u32, name: &mut String) {
        let _ = write!(name, "{action}");
    }

    fn layout(&self) -> Vec<ObsField> {
        vec![ObsField::unbounded("obs", self.obs_width)]
    }

    fn observe(&self, moment: &Moment, player: usize, obs: &mut [f32]) {
        obs.copy_from_slice(&moment.obs[player]);
    }
}
