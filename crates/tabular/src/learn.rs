//! All learners of one reward by name: play so many episodes of a model, and give values, a policy and the curve.
//!
//! [`METHODS`] is the list. Learners of teams need a [`JointModel`]; the others play any model. The discounted return of each
//! episode is kept, which a plan's value of the start can be compared with. Not here: learners of Markov games, whose players
//! have rewards of their own (`coact_games::markov::learn`).

use crate::gradient::{self, Groups, Reinforce};
use crate::joint::{Explore, JointModel, TeamLearner, TeamRule, play};
use crate::model::Model;
use crate::monte_carlo::{self, Exploration, Visits};
use crate::plan;
use crate::schedule::Schedule;
use crate::simulate::{Simulator, Step, World, greedy};
use crate::td::{self, Learner, Rule};
use crate::{Error, Result};

/// What learners are made with. Each takes what it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Episodes to play.
    pub episodes: u32,
    /// Steps after which an episode is truncated.
    pub max_steps: u32,
    /// Learning rate over the episodes.
    pub alpha: Schedule,
    /// Probability of a random action over the episodes.
    pub epsilon: Schedule,
    /// First value of all entries; where none is given 0, and for distributed Q-learning what no return can fall below.
    pub initial: Option<f64>,
    /// Weight of later errors, for traces.
    pub lambda: f64,
    /// Rewards of a target, for n-step SARSA.
    pub n_step: usize,
    /// Updates from memory after each step, for Dyna-Q.
    pub planned: usize,
    /// Rate at which values fall, for hysteretic Q-learning.
    pub beta: f64,
    /// Leniency of lenient Q-learning.
    pub leniency: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for Settings {
    /// 5,000 episodes of at most 1,000 steps; learning rate and exploration 0.1, as most examples of Sutton and Barto
    /// (2018) have; lambda 0.9, 4 steps, 10 planned updates; falling at a tenth of the learning rate (Matignon et al. 2007).
    fn default() -> Self {
        Self {
            episodes: 5_000,
            max_steps: 1_000,
            alpha: Schedule::constant(0.1),
            epsilon: Schedule::constant(0.1),
            initial: None,
            lambda: 0.9,
            n_step: 4,
            planned: 10,
            beta: 0.01,
            leniency: 1.0,
            seed: 0,
        }
    }
}

/// What a learner is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Td(fn(&Settings) -> Rule),
    MonteCarlo(Visits),
    ExploringStarts,
    OffPolicy,
    Reinforce,
    Team(fn(&Settings, f64) -> TeamRule),
}

/// A learner by name.
#[derive(Debug, Clone, Copy)]
pub struct MethodEntry {
    /// Name, as on the command line.
    pub name: &'static str,
    /// What it is.
    pub summary: &'static str,
    kind: Kind,
}

impl MethodEntry {
    /// Whether it is a team of learners, each with actions of its own.
    pub fn is_team(&self) -> bool {
        matches!(self.kind, Kind::Team(_))
    }

    /// Whether rates may change over the episodes.
    pub fn follows_schedules(&self) -> bool {
        matches!(self.kind, Kind::Td(_) | Kind::Team(_))
    }
}

const fn entry(name: &'static str, kind: Kind, summary: &'static str) -> MethodEntry {
    MethodEntry { name, summary, kind }
}

/// All learners.
pub const METHODS: &[MethodEntry] = &[
    entry("q-learning", Kind::Td(|_| Rule::Q), "Q-learning (Watkins 1989)"),
    entry("sarsa", Kind::Td(|_| Rule::Sarsa), "SARSA"),
    entry("expected-sarsa", Kind::Td(|_| Rule::ExpectedSarsa), "expected SARSA"),
    entry("double-q", Kind::Td(|_| Rule::DoubleQ), "double Q-learning (van Hasselt 2010)"),
    entry("n-step-sarsa", Kind::Td(|s| Rule::NStepSarsa(s.n_step)), "n-step SARSA"),
    entry("sarsa-lambda", Kind::Td(|s| Rule::SarsaLambda(s.lambda)), "SARSA(lambda), replacing traces"),
    entry("q-lambda", Kind::Td(|s| Rule::QLambda(s.lambda)), "Watkins's Q(lambda), replacing traces"),
    entry("dyna-q", Kind::Td(|s| Rule::DynaQ(s.planned)), "Dyna-Q (Sutton 1990)"),
    entry("monte-carlo", Kind::MonteCarlo(Visits::First), "Monte Carlo control, first visits, epsilon-soft"),
    entry("monte-carlo-every", Kind::MonteCarlo(Visits::Every), "Monte Carlo control, every visit"),
    entry("monte-carlo-es", Kind::ExploringStarts, "Monte Carlo control with exploring starts"),
    entry("monte-carlo-off-policy", Kind::OffPolicy, "Monte Carlo control by weighted importance sampling"),
    entry("reinforce", Kind::Reinforce, "REINFORCE with baseline (Williams 1992)"),
    entry("independent-q", Kind::Team(|_, _| TeamRule::Independent), "team: each as if alone (Tan 1993)"),
    entry(
        "joint-action-q",
        Kind::Team(|_, _| TeamRule::JointAction),
        "team: joint values and counts of the others",
    ),
    entry("team-q", Kind::Team(|_, _| TeamRule::Team), "team: one table of joint actions"),
    entry(
        "distributed-q",
        Kind::Team(|_, least| TeamRule::Distributed(least)),
        "team: values never fall (Lauer and Riedmiller 2000)",
    ),
    entry(
        "hysteretic-q",
        Kind::Team(|s, _| TeamRule::Hysteretic(s.beta)),
        "team: values fall slowly (Matignon et al. 2007)",
    ),
    entry(
        "lenient-q",
        Kind::Team(|s, _| TeamRule::Lenient(s.leniency)),
        "team: forgiving at first (Panait et al. 2006)",
    ),
];

/// The learner of that name; long and short forms of the literature are understood (`hysteretic`, `q`, `mc`).
pub fn method(name: &str) -> Option<&'static MethodEntry> {
    let name = match name {
        "q" => "q-learning",
        "double-q-learning" => "double-q",
        "dyna" => "dyna-q",
        "mc" => "monte-carlo",
        "independent" | "joint-action" | "team" | "distributed" | "hysteretic" | "lenient" => {
            return METHODS.iter().find(|m| m.name.strip_suffix("-q") == Some(name));
        }
        other => other,
    };
    METHODS.iter().find(|m| m.name == name)
}

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// What the learner thinks each state is worth `[S]`; for REINFORCE what its policy is worth.
    pub values: Vec<f64>,
    /// Its greedy action in each state `[S]`; of a team, the joint action.
    pub policy: Vec<usize>,
    /// Discounted return of each episode, exploration included.
    pub returns: Vec<f64>,
}

/// Lets a learner play. `observe` hears the number of episodes played, after each.
///
/// # Errors
/// Settings out of range, a schedule for a method that takes none, or a team method for a model of one.
pub fn learn(
    model: &Model,
    method: &MethodEntry,
    settings: &Settings,
    observe: &mut dyn FnMut(u32),
) -> Result<Learned> {
    if method.is_team() {
        return Err(Error::NotApplicable {
            method: method.name,
            reason: "it needs several agents with actions of their own".into(),
        });
    }
    check(method, settings)?;
    let mut world = Recorder::new(model, settings, observe);
    let (q, policy) = match method.kind {
        Kind::Td(rule) => {
            let start = td::Settings {
                gamma: model.gamma(),
                alpha: settings.alpha.start,
                epsilon: settings.epsilon.start,
                initial: settings.initial.unwrap_or(0.0),
                seed: settings.seed,
            };
            let mut learner = Learner::new(&world, rule(settings), start)?;
            td::train(&mut world, &mut learner, settings.episodes, &mut |episode, learner| {
                let (alpha, epsilon) = rates(settings, episode);
                learner.set_rates(alpha, epsilon);
            });
            (learner.q().to_vec(), learner.policy(&world))
        }
        Kind::Reinforce => return by_gradient(model, world, settings),
        _ => {
            let with = |visits| monte_carlo::Settings {
                gamma: model.gamma(),
                episodes: settings.episodes,
                visits,
                seed: settings.seed,
            };
            let epsilon = settings.epsilon.start;
            let found = match method.kind {
                Kind::MonteCarlo(visits) => {
                    monte_carlo::control(&mut world, Exploration::EpsilonSoft(epsilon), &with(visits))?
                }
                Kind::ExploringStarts => {
                    monte_carlo::control(&mut world, Exploration::ExploringStarts, &with(Visits::First))?
                }
                _ => monte_carlo::control_off_policy(&mut world, epsilon, &with(Visits::Every))?,
            };
            (found.q, found.policy)
        }
    };
    let n = model.n_actions();
    let largest = |s: usize| q[s * n + greedy(&world, s, &q[s * n..][..n])];
    let values = (0..model.n_states()).map(|s| if model.is_terminal(s) { 0.0 } else { largest(s) }).collect();
    Ok(Learned { values, policy, returns: world.returns })
}

/// Lets a team learn; its policy is the joint action of all greedy choices.
///
/// # Errors
/// Settings out of range, or a method for one learner.
pub fn learn_team(
    team: &JointModel,
    method: &MethodEntry,
    settings: &Settings,
    observe: &mut dyn FnMut(u32),
) -> Result<Learned> {
    let Kind::Team(rule) = method.kind else { return learn(&team.model, method, settings, observe) };
    check(method, settings)?;
    let model = &team.model;
    let least = settings.initial.unwrap_or_else(|| least_return(model, settings.max_steps));
    let explore = Explore::Epsilon(settings.epsilon.start);
    let mut learner =
        TeamLearner::new(team, rule(settings, least), explore, settings.alpha.start, settings.seed)?;
    let mut world = Recorder::new(model, settings, observe);
    play(&mut world, &mut learner, settings.episodes, &mut |episode, learner| {
        let (alpha, epsilon) = rates(settings, episode);
        learner.set_rates(alpha, epsilon);
    });
    let value = |s: usize| if model.is_terminal(s) { 0.0 } else { learner.value(0, s) };
    let values = (0..model.n_states()).map(value).collect();
    let policy = (0..model.n_states()).map(|s| learner.greedy_joint(s)).collect();
    Ok(Learned { values, policy, returns: world.returns })
}

fn check(method: &MethodEntry, settings: &Settings) -> Result<()> {
    if settings.episodes == 0 || settings.max_steps == 0 {
        return Err(Error::invalid("0 episodes, or episodes of 0 steps; give at least one"));
    }
    let constant = settings.alpha.is_constant() && settings.epsilon.is_constant();
    if !constant && !method.follows_schedules() {
        return Err(Error::NotApplicable {
            method: method.name,
            reason: "its rates do not change over the episodes; give one number".into(),
        });
    }
    Ok(())
}

/// Learning rate and exploration of an episode.
fn rates(settings: &Settings, episode: u32) -> (f64, f64) {
    let share = f64::from(episode) / f64::from((settings.episodes - 1).max(1));
    (settings.alpha.at(share), settings.epsilon.at(share))
}

/// What no return of at most so many steps falls below.
fn least_return(model: &Model, max_steps: u32) -> f64 {
    let least = model.reward().iter().copied().fold(0.0_f64, f64::min);
    let n_steps = f64::from(max_steps);
    least * if model.gamma() < 1.0 { n_steps.min(1.0 / (1.0 - model.gamma())) } else { n_steps }
}

/// REINFORCE from uniform logits, with a row for each state.
fn by_gradient(model: &Model, mut world: Recorder<'_>, settings: &Settings) -> Result<Learned> {
    let groups = Groups::each(model.n_states());
    let mut logits = vec![0.0; model.n_states() * model.n_actions()];
    // Refuses models in which an action is illegal.
    gradient::policy(model, &groups, &logits)?;
    let reinforce = Reinforce {
        gamma: model.gamma(),
        alpha: settings.alpha.start,
        baseline_alpha: settings.alpha.start,
        episodes: settings.episodes,
        seed: settings.seed,
    };
    gradient::reinforce(&mut world, &groups, &mut logits, &reinforce)?;
    let values = plan::evaluate(model, &gradient::policy(model, &groups, &logits)?)?;
    let rows = logits.chunks_exact(model.n_actions()).enumerate();
    let policy = rows.map(|(s, row)| greedy(&world, s, row)).collect();
    Ok(Learned { values, policy, returns: world.returns })
}

/// A world that notes the discounted return of each episode.
struct Recorder<'a> {
    sim: Simulator<'a>,
    gamma: f64,
    discount: f64,
    return_: f64,
    returns: Vec<f64>,
    observe: &'a mut dyn FnMut(u32),
}

impl<'a> Recorder<'a> {
    fn new(model: &'a Model, settings: &Settings, observe: &'a mut dyn FnMut(u32)) -> Self {
        let sim = Simulator::new(model, settings.max_steps, settings.seed);
        Self { sim, gamma: model.gamma(), discount: 1.0, return_: 0.0, returns: Vec::new(), observe }
    }
}

impl World for Recorder<'_> {
    fn n_states(&self) -> usize {
        self.sim.n_states()
    }

    fn n_actions(&self) -> usize {
        self.sim.n_actions()
    }

    fn is_legal(&self, state: usize, action: usize) -> bool {
        self.sim.is_legal(state, action)
    }

    fn reset(&mut self) -> usize {
        (self.discount, self.return_) = (1.0, 0.0);
        self.sim.reset()
    }

    fn reset_to(&mut self, state: usize) {
        (self.discount, self.return_) = (1.0, 0.0);
        self.sim.reset_to(state);
    }

    fn step(&mut self, action: usize) -> Step {
        let step = self.sim.step(action);
        self.return_ += self.discount * step.reward;
        self.discount *= self.gamma;
        if step.ends_episode() {
            self.returns.push(self.return_);
            (self.observe)(self.returns.len() as u32);
        }
        step
    }
}
