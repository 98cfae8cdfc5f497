//! The command line, as data. What each command does is in a module of its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use coact_tabular::schedule::Schedule;

/// Train, evaluate and watch teams of agents.
#[derive(Debug, Parser)]
#[command(
    name = "coact",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  coact train two-agent-cartpole      train two agents, then show them\n  coact list presets                  what can be trained out of the box\n  coact report runs/*                 one page about many runs"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List presets, environments or algorithms
    List(ListArgs),
    /// Show this machine: instruction sets, threads, devices
    Info(InfoArgs),
    /// Train a team
    Train(TrainArgs),
    /// Evaluate a trained team
    Evaluate(EvaluateArgs),
    /// Render an episode to an animated GIF and a PNG strip
    Play(PlayArgs),
    /// Allocate tasks to robots, or rows to columns, from a CSV or JSON file
    Allocate(AllocateArgs),
    /// Plan in a model, for a team, or in a Markov game
    Plan(PlanArgs),
    /// Check recorded traces and results of other commands by independent code
    Verify(VerifyArgs),
    /// Record a trace of an environment with random actions, to be verified elsewhere or later
    Record(RecordArgs),
    /// Find equilibria of a game, with a certificate
    Solve(SolveArgs),
    /// Rank strategies against each other: alpha-rank, Elo, Nash averaging, tournaments
    Rank(RankArgs),
    /// Train many teams: a grid or random search over settings, several seeds, all cores
    Sweep(SweepArgs),
    /// One self-contained HTML page about one or many runs
    Report(ReportArgs),
    /// Constraint problems, talks between parties, auctions and matchings, agreements on numbers
    Negotiate(NegotiateArgs),
}

/// `coact list`
#[derive(Debug, Args)]
#[command(after_help = "Example: coact list envs --json")]
pub struct ListArgs {
    /// presets, envs, algorithms, games, models, methods; all if left out
    #[arg(value_parser = ["presets", "envs", "algorithms", "games", "models", "methods"])]
    pub what: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `coact info`
#[derive(Debug, Args)]
#[command(after_help = "Example: coact info")]
pub struct InfoArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What a configuration is laid out from, before seeds and lengths.
#[derive(Debug, Args)]
pub struct BaseArgs {
    /// A preset (`coact list presets`); may be left out with --config or --env
    pub preset: Option<String>,
    /// TOML file laid over the preset
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Environment, instead of the preset's
    #[arg(long)]
    pub env: Option<String>,
    /// Algorithm, instead of the preset's
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<String>,
    /// Set one key; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// `coact train`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact train two-agent-cartpole\n  coact train spread-vdn --seed 3 --set learning_rate=1e-3\n  coact train --env simple_tag --algorithm iql --env-steps 500000\n  coact train --resume runs/spread-vdn-seed3\n  coact train --explain learning_rate"
)]
pub struct TrainArgs {
    /// What the configuration is laid out from
    #[command(flatten)]
    pub base: BaseArgs,
    /// Seed of everything random
    #[arg(long)]
    pub seed: Option<u64>,
    /// Environment steps to train
    #[arg(long, value_name = "N")]
    pub env_steps: Option<u64>,
    /// Worker threads; 0 for all cores
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Device: auto, cpu, cuda or cuda:N
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
    /// How exact kernels are: strict (the same bits on every device) or fast (matrix units of a GPU) [default: strict]
    #[arg(long, value_name = "P")]
    pub precision: Option<String>,
    /// Run folder; must not exist yet [default: runs/PRESET-seedN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a run that was stopped; its configuration is taken from its folder
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Say what a key does and stop; `all` lists every key
    #[arg(long, value_name = "KEY")]
    pub explain: Option<String>,
    /// No progress display
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact evaluate`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact evaluate runs/spread-vdn-seed0 --episodes 1000 --seed 7\n  coact evaluate simple_tag --policy scripted\n  coact evaluate simple_tag --policy adversary=chase,agent=uniform"
)]
pub struct EvaluateArgs {
    /// Run folder, or with --policy the name of an environment
    #[arg(value_name = "RUN|ENV")]
    pub what: String,
    /// Who plays in an environment: random, scripted (the best script of every group), a script, or group=script
    /// pairs between commas (`coact list envs`)
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Options of the environment, as name=value; may be repeated
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    pub set: Vec<String>,
    /// Episodes to play
    #[arg(long, default_value_t = 100)]
    pub episodes: usize,
    /// Seed of the episodes
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Worker threads; 0 for all cores
    #[arg(long, default_value_t = 0)]
    pub threads: usize,
    /// No progress display
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact play`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact play runs/spread-vdn-seed0 --gif team.gif --png strip.png\n  coact play simple_tag --policy random --terminal\n  coact play simple_tag --policy adversary=chase,agent=flee --gif tag.gif"
)]
pub struct PlayArgs {
    /// Run folder, or the name of an environment
    pub what: String,
    /// Who plays: greedy (of a run), random; in an environment also scripted (the best script of every group), a
    /// script, or group=script pairs between commas (`coact list envs`)
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<String>,
    /// Options of the environment, as name=value; may be repeated
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    pub set: Vec<String>,
    /// Animated GIF to write [default: play.gif in the run folder, or ENV.gif]
    #[arg(long, value_name = "FILE")]
    pub gif: Option<PathBuf>,
    /// PNG strip to write [default: play.png in the run folder, or ENV.png]
    #[arg(long, value_name = "FILE")]
    pub png: Option<PathBuf>,
    /// Show the episode in the terminal instead of writing files
    #[arg(long)]
    pub terminal: bool,
    /// Episodes to show
    #[arg(long, default_value_t = 1)]
    pub episodes: usize,
    /// Seed of the episodes
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact allocate`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact allocate examples/allocation/twelve-tasks.csv\n  coact allocate examples/allocation/twelve-tasks.csv --method cbba --loss 0.2 --topology ring --plot cbba.html\n  coact allocate costs.csv --method auction --json\n\nMethods: jonker-volgenant, hungarian, auction, sparse (costs); greedy, ssi, contract-net, cbaa, cbba, exact (teams, scores); exact (generalized assignment); shapley, least-core, structure (coalition games)"
)]
pub struct AllocateArgs {
    /// A matrix of costs (`inf`, `-` or nothing forbids a pair) or a team as CSV, or any allocation problem as JSON
    pub file: PathBuf,
    /// Method [default: one that suits the problem]
    #[arg(long, value_name = "M")]
    pub method: Option<String>,
    /// Goal of a team: travel, makespan or reward [default: as in the file, else travel]
    #[arg(long)]
    pub goal: Option<String>,
    /// Factor per time until a task starts, for rewards
    #[arg(long, value_name = "FACTOR")]
    pub discount: Option<f64>,
    /// min or max, for costs [default: as in the file, else min]
    #[arg(long, value_name = "O")]
    pub objective: Option<String>,
    /// Last raise of the auction; the total is within n times this of the best
    #[arg(long)]
    pub epsilon: Option<f64>,
    /// Probability that a message is lost
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub loss: f64,
    /// Ticks that a message travels: one number, or least and most as 1-4
    #[arg(long, value_name = "TICKS", default_value = "1")]
    pub latency: String,
    /// Who talks to whom: complete, line, ring, star or random
    #[arg(long, value_name = "T", default_value = "complete")]
    pub topology: String,
    /// An agent (by number) that fails at a round, and perhaps returns at another: 2@10 or 2@10-40; may be repeated
    #[arg(long, value_name = "AGENT@ROUND")]
    pub crash: Vec<String>,
    /// Rounds after which consensus gives up
    #[arg(long, value_name = "N")]
    pub max_rounds: Option<u64>,
    /// Seed of losses and delays
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Worker threads; 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Picture to write, .html or .svg: the allocation, and how agents came to agree
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Result to write, for `coact verify`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Log of all messages to write
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Print nothing but errors, and the result with --json
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact plan`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact plan frozenlake --method pi\n  coact plan model.toml --method mpi --json\n  coact plan dectiger --horizon 3\n  coact plan boxPushing.dpomdp --method jesp --horizon 3 --restarts 50\n  coact plan recycling --method bounds\n  coact plan soccer --method newton --plot soccer.svg\n  coact plan climbing --method table\n  coact plan cliff --method q-learning --episodes 500 --alpha 0.5 --plot curve.svg\n  coact plan frozenlake --method dyna-q --epsilon 1..0.05:log --json\n  coact plan crossing --method hysteretic-q --epsilon 0.5..0.01\n  coact plan grid-game-1 --method nash-q --steps 15000 --plot gains.svg\n  cat grid.txt | coact plan -\n\nMethods: vi, gs, prioritized, pi, mpi, lp (models, and teams that see the state); exhaustive, jesp, bounds (teams); newton, shapley (zero-sum Markov games); table (climbing: who learns to coordinate)\n\nLearners, which only see what happens to them: q-learning, sarsa, expected-sarsa, double-q, n-step-sarsa, sarsa-lambda, q-lambda, dyna-q, monte-carlo, monte-carlo-every, monte-carlo-es, monte-carlo-off-policy, reinforce (models); independent-q, joint-action-q, team-q, distributed-q, hysteretic-q, lenient-q (crossing, climbing, teams that see the state); minimax-q, nash-q, correlated-q (-egalitarian, -republican, -libertarian), friend-q, friend-or-foe-q, wolf-phc (Markov games)\n\nFiles: models as TOML or JSON (transitions, or tables P and R), grids as text, .dpomdp files, Markov games as JSON; the documentation of coact-tabular has the forms"
)]
pub struct PlanArgs {
    /// A file, `-` for standard input, or a built-in problem
    pub model: String,
    /// Method [default: mpi for a model, exhaustive for a team, newton for a Markov game]
    #[arg(long, value_name = "M")]
    pub method: Option<String>,
    /// Discount, instead of the problem's
    #[arg(long, value_name = "G")]
    pub gamma: Option<f64>,
    /// Decisions that a team makes
    #[arg(long, value_name = "N")]
    pub horizon: Option<usize>,
    /// Largest allowed error of values
    #[arg(long, value_name = "E")]
    pub tolerance: Option<f64>,
    /// Iterations after which a method gives up
    #[arg(long, value_name = "N")]
    pub max_iterations: Option<usize>,
    /// Sweeps of evaluation a policy (mpi)
    #[arg(long, value_name = "N")]
    pub sweeps: Option<usize>,
    /// Random joint policies to begin with (jesp)
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub restarts: u32,
    /// Which case of a file with several
    #[arg(long, value_name = "I", default_value_t = 0)]
    pub case: usize,
    /// Runs an entry (table)
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub runs: u32,
    /// How learners learn
    #[command(flatten)]
    pub learn: LearnArgs,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Convergence, or the learning curve, as an SVG file
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Result to write, for `coact verify`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// No progress display, and nothing but the last line
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// Settings of learners, for `coact plan` and `coact solve`
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Learning")]
pub struct LearnArgs {
    /// Episodes to learn from [default: 5000; for each run of the table 7500]
    #[arg(long, value_name = "N")]
    pub episodes: Option<u32>,
    /// Steps to learn from, in Markov games [default: 100000]
    #[arg(long, value_name = "N")]
    pub steps: Option<u64>,
    /// Steps after which an episode is cut; what follows then still counts
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub max_steps: u32,
    /// Learning rate: 0.1, falling as in 0.5..0.05, or by equal factors as in 1..0.01:log [default: 0.1; in Markov
    /// games 1..0.01:log]
    #[arg(long, value_name = "RATE", value_parser = schedule)]
    pub alpha: Option<Schedule>,
    /// Probability of a random action, written like --alpha [default: 0.1; in Markov games 0.2]
    #[arg(long, value_name = "RATE", value_parser = schedule)]
    pub epsilon: Option<Schedule>,
    /// First value of all entries
    #[arg(long, value_name = "Q", allow_negative_numbers = true)]
    pub initial: Option<f64>,
    /// Weight of traces (sarsa-lambda, q-lambda)
    #[arg(long, value_name = "L", default_value_t = 0.9)]
    pub lambda: f64,
    /// Rewards of a target (n-step-sarsa)
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub n_step: usize,
    /// Updates from memory after each step (dyna-q)
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub planned: usize,
    /// Rate at which values fall (hysteretic-q)
    #[arg(long, value_name = "B", default_value_t = 0.01)]
    pub beta: f64,
    /// Leniency (lenient-q)
    #[arg(long, value_name = "K", default_value_t = 1.0)]
    pub leniency: f64,
    /// Player, 1 or 2, who takes the other for a friend (friend-or-foe-q); may be repeated [default: none in zero-sum
    /// games, else both]
    #[arg(long, value_name = "PLAYER")]
    pub friend: Vec<usize>,
    /// Most that a policy moves in a step where it is winning (wolf-phc) [default: 0.002]
    #[arg(long, value_name = "D")]
    pub delta_win: Option<f64>,
    /// The same where it is losing [default: 0.008]
    #[arg(long, value_name = "D")]
    pub delta_lose: Option<f64>,
}

fn schedule(text: &str) -> Result<Schedule, String> {
    Schedule::parse(text).map_err(|e| e.to_string())
}

/// `coact verify`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact solve chicken --all --exact --json > answer.json; coact verify answer.json\n  coact verify testdata/vectors/cartpole.json testdata/vectors/mpe_*.json"
)]
pub struct VerifyArgs {
    /// Traces, or results of other commands
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON object a file
    #[arg(long)]
    pub json: bool,
}

/// `coact record`
#[derive(Debug, Args)]
#[command(after_help = "Example: coact record lbf/Foraging-8x8-2p-2f-coop-v3 --episodes 5 --out trace.json")]
pub struct RecordArgs {
    /// Environment: cartpole, a particle scenario, lbf/... or rware/...
    pub env: String,
    /// Options of the environment, as name=value; may be repeated
    #[arg(long = "set", value_name = "OPTION=VALUE")]
    pub set: Vec<String>,
    /// Episodes to record
    #[arg(long, default_value_t = 10)]
    pub episodes: u32,
    /// Seed of first moments and actions
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// File to write [default: ENV.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `coact report`
#[derive(Debug, Args)]
#[command(after_help = "Example: coact report runs/spread-vdn-seed* --out spread.html")]
pub struct ReportArgs {
    /// Run folders
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Page to write [default: report.html in the run folder, or ./report.html for several]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Also write all evaluations as JSON in the layout of marl-eval
    #[arg(long, value_name = "FILE")]
    pub marl_eval: Option<PathBuf>,
    /// Print one JSON object as the last line: final returns of groups, and how they compare
    #[arg(long)]
    pub json: bool,
}

/// `coact sweep`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact sweep climbing --seeds 5\n  coact sweep spread-vdn --grid learning_rate=1e-3,3e-3 --grid algorithm=iql,vdn --seeds 3\n  coact sweep spread-vdn --sample learning_rate=1e-4..1e-2:log --trials 8 --out runs/rates\n\nThe same command with the same --out goes on where it was stopped."
)]
pub struct SweepArgs {
    /// What the configuration is laid out from
    #[command(flatten)]
    pub base: BaseArgs,
    /// Try each of these values of a key (values that hold commas in brackets); may be repeated: all combinations
    #[arg(long, value_name = "KEY=V1,V2,..")]
    pub grid: Vec<String>,
    /// Draw a key uniformly from a range, or from the logarithms with `:log`; whole ends give whole numbers
    #[arg(long, value_name = "KEY=LOW..HIGH[:log]")]
    pub sample: Vec<String>,
    /// Draws of all --sample keys (for each point of the grid)
    #[arg(long, value_name = "N")]
    pub trials: Option<usize>,
    /// Seeds of each point: their number, from 0 on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seeds: u64,
    /// Seed of the draws of --sample
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sweep_seed: u64,
    /// Environment steps of each run
    #[arg(long, value_name = "N")]
    pub env_steps: Option<u64>,
    /// Runs at the same time, one thread each; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub jobs: usize,
    /// Folder of the run folders [default: runs/sweep-PRESET]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// No progress display
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact solve`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact solve von-stengel-6x6 --all --exact\n  coact solve game.nfg --method correlated --json > answer.json && coact verify answer.json\n  coact solve rock-paper-scissors --method hedge --plot hedge.svg\n  coact solve matching-pennies --method wolf-phc --plot wolf.svg\n  coact solve soccer --method minimax-q --steps 200000 --seed 1 --json\n  printf '2 -1\\n-1 1\\n' | coact solve -"
)]
pub struct SolveArgs {
    /// A built-in game (`coact list games`), a file, or `-` for standard input
    pub game: String,
    /// How (`coact list methods`); chosen by the kind of game if left out
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Exact rationals
    #[arg(long)]
    pub exact: bool,
    /// All equilibria that the method can find, not one
    #[arg(long)]
    pub all: bool,
    /// Iterations, for methods that iterate
    #[arg(long, value_name = "N")]
    pub iterations: Option<u64>,
    /// Label that Lemke-Howson drops first: a row, or the number of rows plus a column
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub label: usize,
    /// Temperature of logit choice, in units of payoff
    #[arg(long, value_name = "T", default_value_t = 0.1)]
    pub temperature: f64,
    /// Step of replicator and logit dynamics in time
    #[arg(long, value_name = "DT", default_value_t = 0.01)]
    pub dt: f64,
    /// Walks of an iteration, for methods that sample the tree
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub batch: usize,
    /// How learners learn
    #[command(flatten)]
    pub learn: LearnArgs,
    /// Seed, for methods that sample the tree and for learners
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Draw the convergence as an SVG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the result, for `coact verify`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// No progress display
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact rank`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  coact rank battle-of-the-sexes --alpha 1e6\n  coact rank rock-paper-scissors --symmetric --json\n  coact rank scores.txt --method elo\n  coact rank axelrod --random --seed 3 --plot scores.svg\n  coact rank rock-paper-scissors --alpha 1e3 --plot shares.svg"
)]
pub struct RankArgs {
    /// A game as for `coact solve` (rows against columns), or axelrod for the tournament of repeated dilemmas
    pub game: String,
    /// How
    #[arg(long, value_parser = ["alpha-rank", "elo", "nash-averaging"], default_value = "alpha-rank")]
    pub method: String,
    /// Strength of selection
    #[arg(long, default_value_t = 100.0)]
    pub alpha: f64,
    /// Members of a population
    #[arg(long, value_name = "M", default_value_t = 50)]
    pub population: usize,
    /// One population that plays both sides of a symmetric game
    #[arg(long)]
    pub symmetric: bool,
    /// Turns of a match of the tournament
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub turns: usize,
    /// Matches of pairs in which somebody draws random numbers
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub repetitions: usize,
    /// Probability that a move comes out as its opposite
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub noise: f64,
    /// Let strategies that draw random numbers take part
    #[arg(long)]
    pub random: bool,
    /// Seed of random strategies and noise
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Draw the ranking as an SVG; for alpha-rank over the strength of selection
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// `coact negotiate`
#[derive(Debug, Args)]
#[command(
    after_help = "Inputs: constraint problems in pyDCOP's YAML; GENIUS profiles (several XML files or their folder) or talks in JSON; auctions, matchings and agreements in YAML or JSON; or something built in: laptop, coloring, ising, meetings, sensors, with parameters as in coloring:n=50,colors=4\n\nMethods: dpop, maxsum, mgm, mgm2, dsa, syncbb, adopt, afb, brute-force for constraint problems; saop, nash, kalai-smorodinsky, egalitarian, utilitarian for talks; the rest have one that fits\n\nExamples:\n  coact negotiate laptop --agents boulware,linear --plot laptop.svg\n  coact negotiate problem.yaml --method dpop --json\n  coact negotiate coloring:n=50,colors=4 --method mgm --plot cost.svg"
)]
pub struct NegotiateArgs {
    /// A file, several XML files, a folder of them, or a name
    #[arg(required = true, value_name = "FILE")]
    pub inputs: Vec<PathBuf>,
    /// How to solve it [default: dpop, saop, or the one that fits]
    #[arg(long, value_name = "M")]
    pub method: Option<String>,
    /// Set a parameter of the method, as in variant=C or damping=0.3; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// Strategies of the parties of a talk, in turn: boulware, linear, conceder, tit-for-tat, modeling, micro,
    /// patient-combi, random [default: boulware,conceder]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub agents: Vec<String>,
    /// Rounds until the deadline of a talk
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub rounds: u64,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The cost that stands for a violation
    #[arg(long, default_value_t = f64::INFINITY, value_name = "COST")]
    pub infinity: f64,
    /// Add the noise that the file asks for to costs of variables, while solving
    #[arg(long)]
    pub noise: bool,
    /// Memory that dpop may take
    #[arg(long, default_value_t = 1024, value_name = "MIB")]
    pub memory_mib: u64,
    /// Stop after so many seconds with what there is
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<f64>,
    /// Worker threads; 0 for all cores
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Picture to write: the offers and the Pareto frontier, or the cost over cycles (.svg)
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Log of all messages to write
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Result to write, for `coact verify`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print nothing but errors, and the result with --json
    #[arg(long)]
    pub quiet: bool,
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
}

/// A length of time.
fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1e9).contains(value));
    value.ok_or_else(|| "expected seconds from 0 to 1e9".into())
}
