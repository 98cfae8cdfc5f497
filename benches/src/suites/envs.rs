//! Environment steps a second, observations written, resets included, actions random. A call steps all copies once.

use coact_core::{ActionBatch, BatchEnv, StepBatch};
use coact_draw::plot::{Chart, Series};
use serde_json::{Value, json};

use super::{Session, on_threads};
use crate::contest::{Contest, PeerCall, Run, Unit, params};
use crate::data;
use crate::report::Measurement;

/// Batches of actions in rotation.
const POOL: usize = 16;

struct Case {
    env: &'static str,
    options: fn() -> Value,
    n_envs: usize,
    /// Steps a second on one thread.
    goal: Option<f64>,
    peers: &'static [Rival],
}

/// A peer's measurement of the same task, at its best number of copies.
struct Rival {
    peer: &'static str,
    measure: &'static str,
    n_envs: usize,
    /// Steps of all copies in one call.
    steps: usize,
    /// Ratio that ours is meant to reach.
    goal: Option<f64>,
}

const fn rival(peer: &'static str, measure: &'static str, n_envs: usize, steps: usize, goal: f64) -> Rival {
    Rival { peer, measure, n_envs, steps, goal: if goal > 0.0 { Some(goal) } else { None } }
}

const fn case(env: &'static str, n_envs: usize, goal: f64, peers: &'static [Rival]) -> Case {
    let goal = if goal > 0.0 { Some(goal) } else { None };
    Case { env, options: || Value::Null, n_envs, goal, peers }
}

/// One cart, as gymnasium has it.
const fn cart(n_envs: usize, goal: f64, peers: &'static [Rival]) -> Case {
    Case { options: || json!({"n_agents": 1}), ..case("cartpole", n_envs, goal, peers) }
}

const CASES: &[Case] = &[
    cart(1024, 500e6, &[rival("gymnasium", "cartpole", 1024, 1, 0.0)]),
    cart(16, 0.0, &[]),
    case(
        "simple_spread",
        256,
        60e6,
        &[
            rival("mpe2", "simple_spread", 1, 1, 5000.0),
            rival("jaxmarlenvs", "simple_spread", 1024, 25, 100.0),
            rival("vmas", "simple_spread", 32_768, 1, 100.0),
        ],
    ),
    case("simple_spread", 16, 0.0, &[]),
    case("simple_tag", 256, 0.0, &[]),
    case("lbf/Foraging-8x8-2p-2f-v3", 256, 20e6, &[rival("lbforaging", "foraging-8x8-2p-2f", 1, 1, 0.0)]),
    case("rware/tiny-2ag-v2", 256, 15e6, &[rival("rware", "tiny-2ag", 1, 1, 0.0)]),
    case("rware/small-4ag-v2", 256, 8e6, &[rival("rware", "small-4ag", 1, 1, 0.0)]),
    case("overcooked", 64, 0.0, &[rival("jaxmarlenvs", "overcooked", 1024, 25, 20.0)]),
    case("overcooked", 256, 0.0, &[]),
];

/// Environments whose speed is measured from one copy to many.
const GROWING: &[&str] =
    &["cartpole", "simple_spread", "lbf/Foraging-8x8-2p-2f-v3", "rware/tiny-2ag-v2", "overcooked"];
/// Numbers of copies.
const COPIES: [usize; 9] = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536];
/// Numbers of agents of `simple_spread`.
const AGENTS: [usize; 6] = [2, 3, 10, 25, 50, 100];
/// Copies at each number of agents.
const COPIES_OF_MANY: usize = 64;

/// Holds the contests: one for each number of threads, because the goals are for one; then one for each number of copies
/// and of agents, unless only a look was asked for.
///
/// # Errors
/// What an environment said.
pub fn run(session: &mut Session) -> Result<(), String> {
    for case in CASES {
        for threads in session.threads.clone() {
            let peers = case.peers.iter().filter(|_| threads == 1).map(|rival| {
                let params = params(&[("envs", rival.n_envs as f64), ("pool", POOL as f64)]);
                let items = (rival.n_envs * rival.steps) as f64;
                let Rival { peer, measure, goal, .. } = *rival;
                PeerCall { peer, measure, params, items, variant: "", goal }
            });
            session.hold(Contest {
                name: format!("envs/{}/e{}/t{threads}", case.env, case.n_envs),
                unit: Unit::PerSecond("steps/s"),
                items: case.n_envs as f64,
                goal: case.goal.filter(|_| threads == 1),
                ours: vec![(threads, stepping(case.env, &(case.options)(), case.n_envs, threads)?)],
                peers: peers.collect(),
                bound: None,
            })?;
        }
    }
    if session.quick && session.only.is_empty() {
        return Ok(());
    }
    for env in GROWING {
        for n_envs in COPIES {
            grow(session, &format!("{COPIES_GROW}{env}/e{n_envs}"), env, &Value::Null, n_envs)?;
        }
    }
    for n_agents in AGENTS {
        let options = json!({"n_agents": n_agents});
        let name = format!("{AGENTS_GROW}simple_spread/a{n_agents}");
        grow(session, &name, "simple_spread", &options, COPIES_OF_MANY)?;
    }
    Ok(())
}

const COPIES_GROW: &str = "growth/copies/";
const AGENTS_GROW: &str = "growth/agents/";

/// One point of a curve, on one thread.
fn grow(session: &mut Session, name: &str, env: &str, options: &Value, n_envs: usize) -> Result<(), String> {
    if !name.contains(&session.only) {
        return Ok(());
    }
    session.hold(Contest {
        name: name.to_owned(),
        unit: Unit::PerSecond("steps/s"),
        items: n_envs as f64,
        goal: None,
        ours: vec![(1, stepping(env, options, n_envs, 1)?)],
        peers: Vec::new(),
        bound: None,
    })
}

/// How speed grows with copies and with agents: a chart each, if they were measured.
pub fn charts(found: &[Measurement]) -> Vec<(&'static str, Chart)> {
    let curve = |prefix: &str, env: &str| {
        let points = found.iter().filter_map(|m| {
            let (name, n) = m.name.strip_prefix(prefix)?.rsplit_once('/')?;
            let n: f64 = n.get(1..)?.parse().ok()?;
            (name == env).then_some((n.log10(), m.value.log10()))
        });
        points.collect::<Vec<_>>()
    };
    let chart = |name, prefix, x_label: &str, envs: &[&str]| {
        let lines = envs.iter().enumerate().map(|(color, env)| Series {
            label: (*env).to_owned(),
            color,
            points: curve(prefix, env),
            band: Vec::new(),
        });
        let series: Vec<Series> = lines.filter(|s| s.points.len() > 1).collect();
        let chart = Chart {
            size: (640.0, 360.0),
            x_label: x_label.to_owned(),
            y_label: "environment steps a second, one thread".to_owned(),
            log: (true, true),
            description: format!("speed over the number of {x_label}"),
            series,
            level: None,
        };
        (name, chart)
    };
    let both = [
        chart("growth-copies.svg", COPIES_GROW, "copies", GROWING),
        chart("growth-agents.svg", AGENTS_GROW, "agents", &["simple_spread"]),
    ];
    both.into_iter().filter(|(_, chart)| !chart.series.is_empty()).collect()
}

/// Calls that step `n_envs` copies once.
///
/// # Errors
/// What the environment said.
pub fn stepping(env: &str, options: &Value, n_envs: usize, threads: usize) -> Result<Run<'static>, String> {
    let mut played = Played::new(env, options, n_envs)?;
    on_threads(threads, move |calls| {
        for _ in 0..calls {
            played.step()?;
        }
        Ok(())
    })
}

/// A batch of environments with random actions in rotation.
struct Played {
    envs: Box<dyn BatchEnv>,
    actions: Vec<ActionBatch>,
    step: StepBatch,
    turn: usize,
}

impl Played {
    fn new(env: &str, options: &Value, n_envs: usize) -> Result<Self, String> {
        let text = |e: coact_core::Error| e.to_string();
        let mut envs = coact_envs::find(env).and_then(|e| e.build(options, n_envs)).map_err(text)?;
        let mut step = StepBatch::new(envs.spec(), n_envs);
        envs.reset(1, &mut step).map_err(text)?;
        let actions = data::actions(&mut data::stream(9), envs.spec(), n_envs, POOL);
        Ok(Self { envs, actions, step, turn: 0 })
    }

    fn step(&mut self) -> Result<(), String> {
        let actions = &self.actions[self.turn % POOL];
        self.turn += 1;
        self.envs.step(actions, &mut self.step).map_err(|e| e.to_string())
    }
}
