//! Many copies stepped together, over columns that Python sees as arrays.

use std::sync::{Mutex, MutexGuard};

use coact_core::rng::derive_seed;
use coact_core::{ActionBatch, BatchEnv, EnvSpec, Error, Purpose, Result, StepBatch};
use coact_draw::{picture, terminal};
use numpy::{PyArray1, PyArray3, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::actions::{read_continuous, read_discrete};
use crate::describe::{parse_options, spec_dict};
use crate::fault::{guarded, refuse, try_lock};
use crate::lend::{Shelf, columns};

/// `E` copies of one environment. Wrapped by `coact.BatchEnv`.
#[pyclass(frozen, module = "coact._coact")]
pub struct Batch {
    spec: EnvSpec,
    n_envs: usize,
    inner: Mutex<Inner>,
}

/// What changes.
pub struct Inner {
    env: Box<dyn BatchEnv>,
    shelf: Shelf,
    actions: ActionBatch,
    threads: Threads,
    seed: u64,
    /// Resets since the seed was given.
    n_resets: u32,
    ready: bool,
}

/// Who does the work. Threads do not survive a fork, and a pool that lost them waits forever; so a process other than the
/// one that loaded the library gets a pool of its own.
struct Threads {
    /// The process that loaded the library, where rayon's own pool is.
    home: u32,
    wanted: Option<usize>,
    pool: Option<(u32, ThreadPool)>,
}

impl Threads {
    /// Runs `work` on the threads of this process.
    fn run(&mut self, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
        let here = std::process::id();
        if self.wanted.is_none() && here == self.home {
            return work();
        }
        if let Some((there, pool)) = self.pool.take() {
            if there == here {
                self.pool = Some((there, pool));
            } else {
                // Its threads are those of another process; to end them would be to wait for them.
                std::mem::forget(pool);
            }
        }
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => {
                let built = ThreadPoolBuilder::new().num_threads(self.wanted.unwrap_or(0)).build();
                let fault = |e| Error::invalid(format!("threads cannot be started: {e}; use fewer"));
                (here, built.map_err(fault)?)
            }
        };
        let result = pool.1.install(work);
        self.pool = Some(pool);
        result
    }
}

impl Inner {
    /// The columns.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    fn advance(&mut self, spec: &EnvSpec, reset: Option<u64>) -> Result<()> {
        let Self { env, shelf, actions, threads, .. } = self;
        self.ready = false;
        threads.run(|| {
            guarded(|| {
                shelf.fill(spec, |out| match reset {
                    Some(seed) => env.reset(seed, out),
                    None => env.step(actions, out),
                })
            })
        })?;
        self.ready = true;
        Ok(())
    }
}

impl Batch {
    /// What the environment promises.
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// Number of copies, `E`.
    pub fn n_envs(&self) -> usize {
        self.n_envs
    }

    /// What changes.
    ///
    /// # Errors
    /// Another thread steps the batch.
    pub fn lock(&self) -> PyResult<MutexGuard<'_, Inner>> {
        try_lock(&self.inner)
    }

    fn check_env(&self, env: usize) -> PyResult<()> {
        if env < self.n_envs {
            return Ok(());
        }
        Err(refuse(format!("there is no environment {env}; this batch has {}, from 0", self.n_envs)))
    }
}

#[pymethods]
impl Batch {
    #[new]
    #[pyo3(signature = (name, options, n_envs, seed, home, limit=None, threads=None))]
    fn new(
        name: &str,
        options: &str,
        n_envs: usize,
        seed: u64,
        home: u32,
        limit: Option<u32>,
        threads: Option<usize>,
    ) -> PyResult<Self> {
        let (found, options) = (coact_catalog::find(name).map_err(refuse)?, parse_options(options)?);
        coact_envs::vectorized::check_copies(n_envs).map_err(refuse)?;
        let built = guarded(|| {
            let one = found.build(&options, 1)?;
            check_memory(one.spec(), n_envs)?;
            let mut env = if n_envs == 1 { one } else { found.build(&options, n_envs)? };
            limit.map_or(Ok(()), |limit| env.limit_episodes(limit))?;
            Ok(env)
        });
        let env = built.map_err(refuse)?;
        let spec = env.spec().clone();
        let inner = Inner {
            shelf: Shelf::new(&spec, n_envs),
            actions: ActionBatch::new(&spec, n_envs),
            threads: Threads { home, wanted: threads, pool: None },
            env,
            seed,
            n_resets: 0,
            ready: false,
        };
        Ok(Self { spec, n_envs, inner: Mutex::new(inner) })
    }

    /// What the environment promises.
    #[pyo3(name = "spec")]
    fn py_spec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        spec_dict(py, &self.spec)
    }

    /// Read-only arrays that share the memory of this batch.
    fn columns<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        columns(this)
    }

    /// Starts an episode in every copy: from `seed`, or from what follows the last one.
    #[pyo3(signature = (seed=None))]
    fn reset(&self, py: Python<'_>, seed: Option<u64>) -> PyResult<()> {
        let mut inner = self.lock()?;
        let inner = &mut *inner;
        if let Some(seed) = seed {
            (inner.seed, inner.n_resets) = (seed, 0);
        }
        let seed = match inner.n_resets {
            0 => inner.seed,
            n => derive_seed(inner.seed, Purpose::Reset, n),
        };
        inner.n_resets = inner.n_resets.wrapping_add(1).max(1);
        py.detach(|| inner.advance(&self.spec, Some(seed))).map_err(refuse)
    }

    /// Steps every copy once; `actions` has an array a group.
    fn step(&self, py: Python<'_>, actions: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
        let mut inner = self.lock()?;
        let inner = &mut *inner;
        if !inner.ready {
            return Err(refuse("this batch has no moment to step from; call reset() first"));
        }
        if actions.len() != self.spec.groups.len() {
            let names: Vec<&str> = self.spec.groups.iter().map(|g| g.name.as_str()).collect();
            let text = format!("{} arrays of actions; give one a group: {}", actions.len(), names.join(", "));
            return Err(refuse(text));
        }
        for (g, (group, given)) in self.spec.groups.iter().zip(&actions).enumerate() {
            if group.action.n_discrete() > 0 {
                read_discrete(group, self.n_envs, given, &mut inner.actions.discrete[g])?;
            } else {
                read_continuous(group, self.n_envs, given, &mut inner.actions.continuous[g])?;
            }
        }
        // Before anything is stepped, so that a refused step changes nothing.
        check_all(&self.spec, &inner.actions, inner.shelf.step()).map_err(refuse)?;
        py.detach(|| inner.advance(&self.spec, None)).map_err(refuse)
    }

    /// Copy `env` as pixels `[H, W, 3]`.
    fn render_rgb<'py>(&self, py: Python<'py>, env: usize, width: u32) -> PyResult<Bound<'py, PyArray3<u8>>> {
        self.check_env(env)?;
        let scene = self.lock()?.env.scene(env);
        pixels(py, &scene, width)
    }

    /// Copy `env` as characters.
    fn render_text(&self, env: usize, columns: u32, color: bool) -> PyResult<String> {
        self.check_env(env)?;
        let scene = self.lock()?.env.scene(env);
        let draw = if color { terminal::colored } else { terminal::plain };
        draw(&scene, columns).map_err(refuse)
    }
}

/// A scene as an array of pixels `[H, W, 3]`.
///
/// # Errors
/// A width that makes no picture.
pub fn pixels<'py>(
    py: Python<'py>,
    scene: &coact_core::scene::Scene,
    width: u32,
) -> PyResult<Bound<'py, PyArray3<u8>>> {
    let image = picture::render(scene, width).map_err(refuse)?;
    let rgb: Vec<u8> = image.rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    PyArray1::from_vec(py, rgb).reshape([image.height as usize, image.width as usize, 3])
}

/// Refuses batches whose columns this machine has no memory for, where the system says so beforehand.
fn check_memory(spec: &EnvSpec, n_envs: usize) -> Result<()> {
    let rows: usize = spec.groups.iter().map(|g| g.n_agents * (2 * g.obs_width() + 4)).sum();
    let bytes = 4 * n_envs * (rows + 4 * spec.state_width);
    let mut probe: Vec<u8> = Vec::new();
    probe.try_reserve_exact(bytes).map_err(|_| {
        let gib = bytes as f64 / f64::from(1 << 30);
        Error::invalid(format!(
            "num_envs is {n_envs}, which takes {gib:.1} GiB that are not there; use fewer"
        ))
    })
}

/// Refuses components outside their bounds and actions that masks exclude.
fn check_all(spec: &EnvSpec, actions: &ActionBatch, step: &StepBatch) -> Result<()> {
    for (g, group) in spec.groups.iter().enumerate() {
        let place = |row: usize| (row / group.n_agents, format!("{}_{}", group.name, row % group.n_agents));
        if let coact_core::ActionSpace::Continuous { width, low, high } = group.action {
            let bad = actions.continuous[g].iter().position(|x| !(low..=high).contains(x));
            if let Some(at) = bad {
                let ((env, agent), value) = (place(at / width.max(1)), actions.continuous[g][at]);
                return Err(Error::invalid(format!(
                    "action component {value} of environment {env}, {agent} is outside {low}..={high}; clip it"
                )));
            }
        }
        if !group.masked {
            continue;
        }
        let (columns, words) = (&step.groups[g], group.mask_words());
        for (row, &action) in actions.discrete[g].iter().enumerate() {
            let word = columns.mask[row * words + action as usize / 32];
            if columns.alive[row] && word >> (action % 32) & 1 == 0 {
                let (env, agent) = place(row);
                return Err(Error::invalid(format!(
                    "action {action} of environment {env}, {agent} is illegal now; choose by action_mask"
                )));
            }
        }
    }
    Ok(())
}
