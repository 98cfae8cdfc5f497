//! Many copies of the warehouse, stepped together: the state as columns over copies, a step, its observations and its
//! state written before the next copy is touched. Equal, bit for bit, to [`crate::Vectorized`] copies of
//! [`super::WarehouseEnv`].

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Error, Purpose, Result, StepBatch, Stream};

use super::Warehouse;
use super::one::Floors;
use super::rules::Work;
use crate::columns::Columns;
use crate::vectorized::{check_copies, check_limit};

/// Numbers written per step above which a second thread is worth waking.
const PARALLEL_ABOVE: usize = 1 << 19;

/// `E` copies of one warehouse.
#[derive(Debug)]
pub struct WarehouseBatch {
    house: Warehouse,
    n_envs: usize,
    seed: u64,
    /// Steps since the last reset of the batch: names the streams of the next one.
    steps: u64,
    parts: Vec<Part>,
}

/// Consecutive copies and the memory to step them: what one thread works on.
#[derive(Debug, Clone)]
struct Part {
    first_env: usize,
    n_envs: usize,
    floors: Floors,
    elapsed: Vec<u32>,
    episode: Vec<u64>,
    work: Work,
}

/// What a step needs to know, the same for all parts; no actions for a reset.
#[derive(Clone, Copy)]
struct Call<'a> {
    house: &'a Warehouse,
    seed: u64,
    steps: u64,
    actions: Option<&'a [u32]>,
}

impl WarehouseBatch {
    /// `n_envs` copies.
    ///
    /// # Errors
    /// No copies, or too many.
    pub fn new(house: Warehouse, n_envs: usize) -> Result<Self> {
        check_copies(n_envs)?;
        let spec = house.spec();
        let numbers = spec.groups[0].n_agents * spec.groups[0].obs_width() + spec.state_width;
        let per_part = (PARALLEL_ABOVE / 2 / numbers).max(1);
        let part = |first_env: usize| {
            let n = per_part.min(n_envs - first_env);
            let work = Work::new(house.config.n_agents);
            let floors = Floors::new(&house, n);
            Part { first_env, n_envs: n, floors, elapsed: vec![0; n], episode: vec![0; n], work }
        };
        let parts = (0..n_envs).step_by(per_part).map(part).collect();
        Ok(Self { house, n_envs, seed: 0, steps: 0, parts })
    }

    fn run(&mut self, actions: Option<&[u32]>, out: &mut StepBatch) {
        let call = Call { house: &self.house, seed: self.seed, steps: self.steps, actions };
        run_parts(call, &mut self.parts, Columns::of(self.house.spec(), out));
    }
}

fn run_parts(call: Call<'_>, parts: &mut [Part], mut columns: Columns<'_>) {
    match parts {
        [] => {}
        [part] => match call.actions {
            None => part.reset(call, &mut columns),
            Some(actions) => part.step(call, actions, &mut columns),
        },
        _ => {
            let (left, right) = parts.split_at_mut(parts.len() / 2);
            let n_left = right[0].first_env - left[0].first_env;
            let (left_columns, right_columns) = columns.split_at(call.house.spec(), n_left);
            rayon::join(|| run_parts(call, left, left_columns), || run_parts(call, right, right_columns));
        }
    }
}

impl Part {
    fn reset(&mut self, call: Call<'_>, out: &mut Columns<'_>) {
        out.fill_flags(true);
        self.episode.fill(0);
        if let Some(group) = &mut out.groups[0] {
            group.reward.fill(0.0);
        }
        for env in 0..self.n_envs {
            self.begin(call, env);
            self.write(call.house, env, out, false);
        }
    }

    fn step(&mut self, call: Call<'_>, actions: &[u32], out: &mut Columns<'_>) {
        let (house, n) = (call.house, call.house.config.n_agents);
        out.fill_flags(false);
        for env in 0..self.n_envs {
            let index = self.first_env + env;
            let given = &actions[index * n..(index + 1) * n];
            if let Some(group) = &mut out.groups[0] {
                let mut rng = None;
                let mut draw = |floor: &super::rules::Floor<'_>| {
                    let named = || Stream::new(call.seed, Purpose::Step, index as u32, call.steps);
                    Warehouse::draw_request(floor, rng.get_or_insert_with(named))
                };
                let reward = &mut group.reward[env * n..(env + 1) * n];
                self.floors.get(env).step(house, given, &mut self.work, &mut draw, reward);
            }
            self.elapsed[env] += 1;
            if house.is_late(self.elapsed[env], self.floors.idle(env)) {
                (out.truncated[env], out.is_first[env]) = (true, true);
                self.write(house, env, out, true);
                self.episode[env] += 1;
                self.begin(call, env);
            }
            self.write(house, env, out, false);
        }
    }

    /// Starts the current episode of one copy.
    #[inline(never)]
    fn begin(&mut self, call: Call<'_>, env: usize) {
        let index = (self.first_env + env) as u32;
        let mut rng = Stream::new(call.seed, Purpose::Reset, index, self.episode[env]);
        call.house.begin(&mut self.floors.get(env), &mut rng);
        self.elapsed[env] = 0;
    }

    /// Writes what one copy shows, as the last of its episode or as the next to act on.
    #[inline]
    fn write(&self, house: &Warehouse, env: usize, out: &mut Columns<'_>, last: bool) {
        let floor = self.floors.see(env);
        let spec = house.spec();
        let (n, d, s) = (house.config.n_agents, spec.groups[0].obs_width(), spec.state_width);
        if let Some(group) = &mut out.groups[0] {
            let rows = if last { &mut group.final_obs } else { &mut group.obs };
            let rows = rows[env * n * d..(env + 1) * n * d].chunks_exact_mut(d);
            rows.enumerate().for_each(|(robot, row)| house.observe(floor, robot, row));
        }
        let state = if last { &mut out.final_state } else { &mut out.state };
        house.state(floor, &mut state[env * s..(env + 1) * s]);
    }
}

impl BatchEnv for WarehouseBatch {
    fn spec(&self) -> &EnvSpec {
        self.house.spec()
    }

    fn n_envs(&self) -> usize {
        self.n_envs
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        (self.seed, self.steps) = (seed, 0);
        self.run(None, out);
        Ok(())
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        let group = &self.house.spec().groups[0];
        let (actions, n_actions) = (&actions.discrete[0], group.action.n_discrete());
        if let Some(row) = actions.iter().position(|a| *a as usize >= n_actions) {
            let (env, agent) = (row / group.n_agents, row % group.n_agents);
            return Err(Error::BadAction { env, agent, action: actions[row], n_actions });
        }
        self.run(Some(actions), out);
        self.steps += 1;
        Ok(())
    }

    fn limit_episodes(&mut self, max_steps: u32) -> Result<()> {
        self.house.spec.episode_limit = Some(check_limit(self.house.spec(), max_steps)?);
        Ok(())
    }

    fn scene(&self, env: usize) -> Scene {
        let part = &self.parts[env / self.parts[0].n_envs];
        let at = env - part.first_env;
        self.house.draw(part.floors.see(at), part.elapsed[at])
    }

    fn save(&self, out: &mut Writer) {
        out.u64(self.seed);
        out.u64(self.n_envs as u64);
        out.u64(self.steps);
        for part in &self.parts {
            out.u32s(&part.elapsed);
            out.u64s(&part.episode);
            (0..part.n_envs).for_each(|env| part.floors.save(env, out));
        }
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.seed = from.u64()?;
        let n = from.u64()?;
        if n != self.n_envs as u64 {
            return Err(from.error(format!("it holds {n} environments, this batch has {}", self.n_envs)));
        }
        self.steps = from.u64()?;
        for part in &mut self.parts {
            from.u32s(&mut part.elapsed)?;
            from.u64s(&mut part.episode)?;
            for env in 0..part.n_envs {
                part.floors.load(&self.house, env, from)?;
            }
        }
        Ok(())
    }
}
