//! Rollouts on a device: environments and actions to the bit, over many episodes, against the batched environments of
//! `coact-envs` stepped on the processor with actions of `act` on the processor.

use coact_core::{ActionBatch, BatchEnv, Purpose, StepBatch, Stream};
use coact_envs::LaneBatch;
use coact_envs::cartpole::batch::CartPoleBatch;
use coact_envs::cartpole::{CartPole, CartPoleOptions};
use coact_envs::particle::spread::{Scale, Spread, SpreadOptions};
use coact_kernels::{
    Act, ActScratch, Activation, Backend, CpuOptions, DeviceEnv, Error, Exploration, Policy, Precision,
    QShape, Rollout, RolloutOut, Rollouts, SpreadScale,
};

const SEED: u64 = 0x1234_5678_9abc_def0;
const RESET: u64 = 77;
/// Exploration goes on from here: the high word of the step changes on the way.
const FIRST: u64 = u32::MAX as u64 - 20;

fn gpu() -> Backend {
    Backend::cuda(0, CpuOptions::default()).unwrap()
}

/// One kind of environment on both sides.
struct World {
    device: DeviceEnv,
    host: Box<dyn BatchEnv>,
    n_agents: usize,
    limit: u32,
}

fn carts(n_agents: usize, limit: u32, n_envs: usize) -> World {
    let options = CartPoleOptions { n_agents, max_steps: limit, ..CartPoleOptions::default() };
    let host = Box::new(CartPoleBatch::new(CartPole::new(&options).unwrap(), n_envs).unwrap());
    World { device: DeviceEnv::CartPole, host, n_agents, limit }
}

fn spread(n_agents: usize, limit: u32, n_envs: usize, local_ratio: f64, scale: SpreadScale) -> World {
    let theirs = match scale {
        SpreadScale::Mpe2 => Scale::Mpe2,
        SpreadScale::PettingZoo => Scale::PettingZoo,
        SpreadScale::OpenAi => Scale::OpenAi,
        SpreadScale::Mappo => Scale::Mappo,
    };
    let options =
        SpreadOptions { n_agents, local_ratio, scale: theirs, max_cycles: limit, ..SpreadOptions::default() };
    let host = Box::new(LaneBatch::new(Spread::new(&options).unwrap(), n_envs).unwrap());
    World { device: DeviceEnv::Spread { local_ratio, scale }, host, n_agents, limit }
}

/// Everything that a rollout writes.
#[derive(Debug, Clone, PartialEq, Default)]
struct Record {
    obs: Vec<u32>,
    actions: Vec<u32>,
    reward: Vec<u32>,
    acted: Vec<bool>,
    terminated: Vec<bool>,
    truncated: Vec<bool>,
    over: Vec<bool>,
    final_obs: Vec<u32>,
    next_obs: Vec<u32>,
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// Who acts.
enum Actor {
    Network { shape: QShape, params: Vec<f32>, exploration: Exploration<'static> },
    Uniform,
    Given,
}

impl Actor {
    fn network(world: &World, hidden: Vec<usize>, dueling: bool, exploration: Exploration<'static>) -> Self {
        let group = &world.host.spec().groups[0];
        let n = group.action.n_discrete();
        let shape = QShape::new(group.obs_width(), hidden, n, Activation::Tanh, dueling, dueling);
        let mut s = Stream::new(5, Purpose::Init, 0, 0);
        let params = (0..shape.param_count()).map(|_| s.range(-0.5, 0.5)).collect();
        Actor::Network { shape, params, exploration }
    }
}

/// `steps` steps on the processor: `act` by `chooser`, then a step, again and again.
fn on_the_processor(
    chooser: &mut Backend,
    world: &mut World,
    actor: &Actor,
    steps: usize,
    given: &[u32],
) -> Record {
    let mut out = StepBatch::new(world.host.spec(), world.host.n_envs());
    let mut batch = ActionBatch::new(world.host.spec(), world.host.n_envs());
    let (mut scratch, mut record) = (ActScratch::default(), Record::default());
    world.host.reset(RESET, &mut out).unwrap();
    let n = world.host.spec().groups[0].action.n_discrete();
    let rows = world.host.n_envs() * world.n_agents;
    for t in 0..steps {
        let group = &out.groups[0];
        let actions = &mut batch.discrete[0];
        let one_layer = QShape::new(group.obs.len() / rows, vec![], n, Activation::Relu, false, false);
        let zeros = vec![0.0; one_layer.param_count()];
        let (shape, params, exploration) = match actor {
            Actor::Network { shape, params, exploration } => (shape, &params[..], *exploration),
            _ => (&one_layer, &zeros[..], Exploration::EpsilonGreedy { epsilon: 1.0 }),
        };
        let call = Act {
            shape,
            params,
            n_sets: 1,
            n_agents: world.n_agents,
            obs: &group.obs,
            mask: &[],
            alive: &group.alive,
            exploration,
            seed: SEED,
            step: FIRST + t as u64,
            first_row: 0,
            actions,
            q: None,
        };
        chooser.act(&mut scratch, call).unwrap();
        if let Actor::Given = actor {
            actions.copy_from_slice(&given[t * rows..(t + 1) * rows]);
        }
        record.obs.extend(bits(&group.obs));
        record.acted.extend(&group.alive);
        record.actions.extend(&*actions);
        world.host.step(&batch, &mut out).unwrap();
        let group = &out.groups[0];
        record.reward.extend(bits(&group.reward));
        record.terminated.extend(&group.terminated);
        record.truncated.extend(&out.truncated);
        record.over.extend(&out.is_first);
        let width = group.obs.len() / world.host.n_envs();
        for (env, over) in out.is_first.iter().enumerate() {
            let last = &group.final_obs[env * width..(env + 1) * width];
            record.final_obs.extend(if *over { bits(last) } else { vec![0; width] });
        }
    }
    record.next_obs = bits(&out.groups[0].obs);
    record
}

/// The same on the device, in launches of `each` steps.
fn on_the_device(
    backend: &mut Backend,
    world: &World,
    actor: &Actor,
    (steps, each): (usize, usize),
    given: &[u32],
) -> Record {
    let n_envs = world.host.n_envs();
    let mut envs = Rollouts::new(world.device, n_envs, world.n_agents, world.limit, RESET).unwrap();
    let (rows, d) = (n_envs * world.n_agents, envs.obs_width());
    let mut record = Record::default();
    for first in (0..steps).step_by(each) {
        let t = each.min(steps - first);
        let (mut obs, mut final_obs) = (vec![7.0; t * rows * d], vec![7.0; t * rows * d]);
        let (mut actions, mut reward, mut next_obs) =
            (vec![7; t * rows], vec![7.0; t * rows], vec![7.0; rows * d]);
        let (mut acted, mut terminated) = (vec![false; t * rows], vec![true; t * rows]);
        let (mut truncated, mut over) = (vec![true; t * n_envs], vec![true; t * n_envs]);
        let policy = match actor {
            Actor::Network { shape, params, exploration } => {
                Policy::Network { shape, params, exploration: *exploration }
            }
            Actor::Uniform => Policy::Uniform,
            Actor::Given => Policy::Given(&given[first * rows..(first + t) * rows]),
        };
        let out = RolloutOut {
            obs: &mut obs,
            actions: &mut actions,
            reward: &mut reward,
            acted: &mut acted,
            terminated: &mut terminated,
            truncated: &mut truncated,
            over: &mut over,
            final_obs: &mut final_obs,
            next_obs: &mut next_obs,
        };
        let call = Rollout { steps: t, policy, seed: SEED, step: FIRST + first as u64, out };
        backend.rollout(&mut envs, call).unwrap();
        record.obs.extend(bits(&obs));
        record.actions.extend(actions);
        record.reward.extend(bits(&reward));
        record.acted.extend(acted);
        record.terminated.extend(terminated);
        record.truncated.extend(truncated);
        for (row, over) in final_obs.chunks(rows * d / n_envs).zip(&over) {
            record.final_obs.extend(if *over { bits(row) } else { vec![0; row.len()] });
        }
        record.over.extend(over);
        record.next_obs = bits(&next_obs);
    }
    record
}

fn compare(gpu: &mut Backend, world: World, actor: &Actor, steps: usize, each: usize) {
    let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
    compare_with(&mut cpu, gpu, world, actor, (steps, each));
}

/// A rollout on `gpu` against steps on the processor with actions of `chooser`.
fn compare_with(
    chooser: &mut Backend,
    gpu: &mut Backend,
    mut world: World,
    actor: &Actor,
    (steps, each): (usize, usize),
) {
    let rows = world.host.n_envs() * world.n_agents;
    let n = world.host.spec().groups[0].action.n_discrete() as u32;
    let mut s = Stream::new(6, Purpose::Init, 0, 0);
    let given: Vec<u32> = match actor {
        Actor::Given => (0..steps * rows).map(|_| s.below(n)).collect(),
        _ => Vec::new(),
    };
    let want = on_the_processor(chooser, &mut world, actor, steps, &given);
    let got = on_the_device(gpu, &world, actor, (steps, each), &given);
    let what =
        format!("{:?}, {} environments of {} agents", world.device, world.host.n_envs(), world.n_agents);
    // One after the other, as a whole record says little.
    assert!(want.obs == got.obs, "{what}: obs");
    assert_eq!(want.actions, got.actions, "{what}: actions");
    assert!(want.reward == got.reward, "{what}: reward");
    assert!(want == got, "{what}: flags, last or next observations");
    assert!(
        want.over.iter().filter(|over| **over).count() > world.host.n_envs(),
        "{what}: too few episodes end"
    );
}

#[test]
#[ignore = "needs a GPU"]
fn carts_on_a_device() {
    let mut gpu = gpu();
    let epsilon = Exploration::EpsilonGreedy { epsilon: 0.3 };
    for (n_envs, n_agents, limit) in [(1, 1, 9), (33, 1, 500), (10, 3, 40), (5, 8, 17)] {
        let world = || carts(n_agents, limit, n_envs);
        compare(&mut gpu, world(), &Actor::Uniform, 150, 64);
        compare(&mut gpu, world(), &Actor::network(&world(), vec![9], false, epsilon), 150, 150);
    }
    compare(&mut gpu, carts(2, 500, 129), &Actor::Given, 300, 100);
}

#[test]
#[ignore = "needs a GPU"]
fn spread_on_a_device() {
    use SpreadScale::{Mappo, Mpe2, OpenAi, PettingZoo};
    let mut gpu = gpu();
    let boltzmann = Exploration::Boltzmann { temperature: 0.5 };
    let epsilon = Exploration::EpsilonGreedy { epsilon: 0.3 };
    for (n_envs, n_agents, ratio, scale, exploration) in [
        (1, 1, 0.5, Mpe2, Exploration::Greedy),
        (31, 3, 0.5, Mpe2, epsilon),
        (11, 2, 0.0, PettingZoo, boltzmann),
        (7, 4, 0.3, OpenAi, epsilon),
        (3, 10, 1.0, Mappo, boltzmann),
    ] {
        let world = || spread(n_agents, 25, n_envs, ratio, scale);
        compare(&mut gpu, world(), &Actor::network(&world(), vec![17, 8], true, exploration), 60, 23);
        compare(&mut gpu, world(), &Actor::Uniform, 80, 80);
    }
    compare(&mut gpu, spread(3, 25, 129, 0.5, Mpe2), &Actor::Given, 300, 150);
    // Enough rows for tiles of 32.
    let world = || spread(3, 5, 1409, 0.5, Mpe2);
    compare(&mut gpu, world(), &Actor::network(&world(), vec![16], false, epsilon), 12, 7);
}

/// In fast mode actions are those of `act` in fast mode: the same arithmetic for a row, whatever tile it lies in. Small
/// networks stay strict.
#[test]
#[ignore = "needs a GPU"]
fn fast_rollouts_on_a_device_are_steps_of_fast_act() {
    let fast = || gpu().with_precision(Precision::Fast).unwrap();
    let (mut chooser, mut device, mut cpu) = (fast(), fast(), Backend::cpu(CpuOptions::default()).unwrap());
    let epsilon = Exploration::EpsilonGreedy { epsilon: 0.3 };
    let team = || spread(3, 2, 1409, 0.5, SpreadScale::Mpe2);
    let actor = Actor::network(&team(), vec![35], true, epsilon);
    compare_with(&mut chooser, &mut device, team(), &actor, (5, 3));
    let cart = || carts(1, 2, 2117);
    compare_with(
        &mut chooser,
        &mut device,
        cart(),
        &Actor::network(&cart(), vec![32], false, epsilon),
        (5, 5),
    );
    compare_with(&mut cpu, &mut device, cart(), &Actor::network(&cart(), vec![31], false, epsilon), (5, 5));
    device.time_launches();
    on_the_device(&mut device, &team(), &actor, (1, 1), &[]);
    on_the_device(&mut device, &cart(), &Actor::network(&cart(), vec![32], false, epsilon), (1, 1), &[]);
    let kernels: Vec<_> = device.take_launches().unwrap().iter().map(|l| l.kernel).collect();
    assert_eq!(kernels, ["rollout_policy_fast_32", "rollout_policy_fast_16"]);
}

/// The state goes to the device and comes back, and what is wrong is said.
#[test]
#[ignore = "needs a GPU"]
fn states_and_errors_of_rollouts_on_a_device() {
    let mut gpu = gpu();
    let mut envs = Rollouts::new(DeviceEnv::CartPole, 5, 1, 500, RESET).unwrap();
    let call =
        |steps| Rollout { steps, policy: Policy::Uniform, seed: 1, step: 0, out: RolloutOut::default() };
    gpu.rollout(&mut envs, call(40)).unwrap();
    let middle = gpu.rollout_columns(&mut envs).unwrap().clone();
    assert!(middle.episode.iter().any(|e| *e > 0) && middle.elapsed.iter().all(|e| *e <= 40), "{middle:?}");
    gpu.rollout(&mut envs, call(40)).unwrap();
    let last = gpu.rollout_columns(&mut envs).unwrap().clone();
    assert_ne!(middle, last);
    envs.set(middle.clone()).unwrap();
    gpu.rollout(&mut envs, call(40)).unwrap();
    assert_eq!(gpu.rollout_columns(&mut envs).unwrap(), &last);

    let mut broken = middle;
    broken.vars[4 * 3 + 1] = f32::INFINITY;
    envs.set(broken).unwrap();
    assert_eq!(gpu.rollout(&mut envs, call(3)).unwrap_err(), Error::NonFiniteState { env: 3, step: 0 });
    let given = [0, 1, 0, 2, 0];
    let call = Rollout { policy: Policy::Given(&given), ..call(1) };
    let error = gpu.rollout(&mut envs, call).unwrap_err();
    assert_eq!(error, Error::BadAction { sample: 3, agent: 0, action: 2, n_actions: 2 });
}

/// On the processor a rollout is an error, and settings that make no environment are refused.
#[test]
fn rollouts_are_for_devices() {
    let mut cpu = Backend::cpu(CpuOptions::default()).unwrap();
    let mut envs = Rollouts::new(DeviceEnv::CartPole, 2, 1, 500, 0).unwrap();
    let call =
        |steps| Rollout { steps, policy: Policy::Uniform, seed: 1, step: 0, out: RolloutOut::default() };
    assert!(matches!(cpu.rollout(&mut envs, call(1)), Err(Error::NoGpu(_))));
    for (n_envs, n_agents, limit) in [(0, 1, 1), (1, 0, 1), (1, 33, 1), (1, 1, 0)] {
        assert!(Rollouts::new(DeviceEnv::CartPole, n_envs, n_agents, limit, 0).is_err());
    }
    let spread = DeviceEnv::Spread { local_ratio: 1.5, scale: SpreadScale::Mpe2 };
    assert!(Rollouts::new(spread, 1, 3, 25, 0).is_err());
    let mut short = [0.0; 7];
    let out = RolloutOut { obs: &mut short, ..RolloutOut::default() };
    assert!(matches!(cpu.rollout(&mut envs, Rollout { out, ..call(1) }), Err(Error::Length { .. })));
}
