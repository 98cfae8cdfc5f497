//! `coact train`.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use coact_algorithms::Feed;
use coact_core::rng::{Purpose, derive_seed};
use coact_runner::metrics::{MetricsWriter, Record, read_metrics, write_csv};
use coact_runner::observer::{Observer, Progress};
use coact_runner::policy::{encode_agent, params_hash};
use coact_runner::settings::Keep;
use coact_runner::tensorboard::{EventWriter, newest_event_file};
use coact_runner::training::{EVAL_FINAL, StopReason};
use coact_runner::{Evaluation, Policy, Training, evaluate, feed, write_atomic};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::args::{BaseArgs, TrainArgs};
use crate::config::{Config, Layers};
use crate::console::{note, say};
use crate::environments::Yardstick;
use crate::run_folder::{RunFolder, build_eval_env, build_learner, build_run, choose_backend};
use crate::{Error, Result, list, play, presets, report_command};

/// Trains a team, evaluates it, and leaves a run folder with curves, agents, a picture and a report.
///
/// # Errors
/// Wrong usage, or a run that fails.
pub fn train(args: &TrainArgs) -> Result<()> {
    if let Some(key) = &args.explain {
        return list::explain(key);
    }
    let (config, name) = match &args.resume {
        Some(dir) => (resumed_config(args, dir)?, String::new()),
        None => new_config(args)?,
    };
    start_rayon(config.threads());
    tell_plan(&config, args.quiet)?;
    let run = build_run(&config)?;
    let (folder, resume) = match &args.resume {
        Some(dir) => (RunFolder::at(dir), true),
        None => (RunFolder::create(args.out.as_deref(), &name, &config)?, false),
    };
    match train_in(run, &folder, &config, resume, Screen::own(config.run.env_steps, args.quiet))? {
        Some(finished) => report(&finished, &folder, args),
        None => note(format!("stopped; go on with: coact train --resume {}", folder.dir.display())),
    }
    Ok(())
}

/// Trains `run`, which is at its start, in `folder` to the end, from the newest checkpoint there if `resume`. `None` if it
/// was stopped before.
///
/// # Errors
/// A folder in use, a checkpoint that does not fit, a run that fails.
pub(crate) fn train_in(
    mut run: Training,
    folder: &RunFolder,
    config: &Config,
    resume: bool,
    screen: Screen,
) -> Result<Option<Finished>> {
    let _lock = folder.lock()?;
    let store = folder.store()?;
    let resumed_at = if resume { restore(&mut run, folder, screen.quiet)? } else { None };
    let (quiet, pictures) = (screen.quiet, !screen.shared);
    let mut console = Console::new(folder, resumed_at, screen)?;
    let reason = coact_runner::train(&mut run, Some(&store), &mut console);
    console.finish();
    let reason = reason?;
    if reason == StopReason::Interrupt {
        return Ok(None);
    }
    hand_over(&mut run, folder, config, reason, quiet, pictures).map(Some)
}

impl BaseArgs {
    /// The layers, and a name for the folder of the run.
    ///
    /// # Errors
    /// Nothing to train, unknown names and keys, a file that cannot be read.
    pub(crate) fn layers(&self) -> Result<(Layers, String)> {
        let mut layers = Layers::default();
        if let Some(preset) = &self.preset {
            layers.toml(presets::find(preset)?.text, &format!("preset {preset}"))?;
        } else if self.config.is_none() && self.env.is_none() {
            let text = "say what to train: a preset (`coact list presets`), --config FILE or --env ENV";
            return Err(Error::usage(text));
        }
        if let Some(path) = &self.config {
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::usage(format!("cannot read --config {}: {e}", path.display())))?;
            layers.toml(&text, &path.display().to_string())?;
        }
        if let Some(env) = &self.env {
            layers.one("env", env.as_str())?;
        }
        if let Some(algorithm) = &self.algorithm {
            layers.one("algorithm", algorithm.as_str())?;
        }
        layers.set(&self.set)?;
        let name = match (&self.preset, &self.config) {
            (_, Some(path)) => path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default(),
            (Some(preset), None) => preset.replace('/', "-"),
            (None, None) => {
                let Config { team, .. } = layers.resolve()?;
                format!("{}-{}", team.env.replace('/', "-"), team.algorithm)
            }
        };
        Ok((layers, name))
    }
}

/// The configuration of a new run and the name of its folder.
fn new_config(args: &TrainArgs) -> Result<(Config, String)> {
    let (mut layers, name) = args.base.layers()?;
    if let Some(seed) = args.seed {
        layers.one("seed", seed)?;
    }
    if let Some(n) = args.env_steps {
        layers.one("env_steps", n)?;
    }
    if let Some(threads) = args.threads {
        layers.one("threads", threads)?;
    }
    if let Some(device) = &args.device {
        layers.one("device", device.as_str())?;
    }
    if let Some(precision) = &args.precision {
        layers.one("precision", precision.as_str())?;
    }
    Ok((layers.resolve()?, name))
}

/// The configuration of a run to go on with. Only what cannot change results may be given anew.
fn resumed_config(args: &TrainArgs, dir: &Path) -> Result<Config> {
    let changes = args.base.preset.is_some()
        || args.base.config.is_some()
        || args.base.env.is_some()
        || args.base.algorithm.is_some()
        || args.seed.is_some()
        || args.env_steps.is_some()
        || args.out.is_some()
        || args.precision.is_some()
        || args.base.set.iter().any(|pair| !pair.starts_with("isa=") && !pair.starts_with("specialize="));
    if changes {
        let text = "a resumed run keeps its configuration; only --threads, --device and --set isa=.. or specialize=.. may be given";
        return Err(Error::usage(text));
    }
    let mut config = RunFolder::at(dir).config()?;
    if let Some(threads) = args.threads {
        config.team.threads = threads;
    }
    if let Some(device) = &args.device {
        config.team.device.clone_from(device);
    }
    if let Some(isa) = args.base.set.iter().rev().find_map(|pair| pair.strip_prefix("isa=")) {
        config.team.isa = isa.into();
    }
    if let Some(given) = args.base.set.iter().rev().find_map(|pair| pair.strip_prefix("specialize=")) {
        config.team.specialize = given
            .parse()
            .map_err(|_| Error::usage(format!("specialize is {given:?}; it must be true or false")))?;
    }
    Ok(config)
}

/// Environments share rayon's pool; it can be set once a process, later calls keep the first.
fn start_rayon(threads: usize) {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

/// What is about to happen and what memory it takes, before it is taken.
fn tell_plan(config: &Config, quiet: bool) -> Result<()> {
    let env = build_eval_env(config, 1)?;
    let spec = env.spec();
    let algorithm = coact_algorithms::find(&config.team.algorithm)?;
    let run = config.run.clone().checked()?;
    let bytes = feed::memory_bytes(&run, spec, config.team.n_envs, algorithm.feed).map_err(Error::usage)?;
    // What cannot work is said before anything else is.
    build_learner(config, spec)?;
    if !quiet {
        let groups: Vec<String> =
            spec.groups.iter().map(|g| format!("{} x {}", g.n_agents, g.name)).collect();
        note(format!(
            "{} in {} ({}), seed {}, {} env steps, {} ({:.1} MiB)",
            config.team.algorithm,
            spec.name,
            groups.join(", "),
            config.team.seed,
            config.run.env_steps,
            match algorithm.feed {
                Feed::Transitions => format!("replay {} transitions", run.buffer_size),
                Feed::Sequences => format!("replay {} steps", run.buffer_size),
                Feed::OnPolicy => format!("rollouts of {} x {} steps", config.team.n_envs, run.rollout_steps),
            },
            bytes as f64 / (1024.0 * 1024.0)
        ));
        let (backend, why) = choose_backend(config)?;
        let (device, precision) = (&config.team.device, backend.precision());
        note(format!("on {} (device {device}: {why}), precision {precision}", backend.describe()));
    }
    Ok(())
}

/// Loads the newest whole checkpoint of a resumed run; returns its environment steps.
fn restore(run: &mut Training, folder: &RunFolder, quiet: bool) -> Result<Option<u64>> {
    let Some(loaded) = folder.store()?.load_newest()? else {
        if !quiet {
            note("no checkpoint was saved yet; starting again from the beginning");
        }
        return Ok(Some(0));
    };
    for (path, reason) in &loaded.skipped {
        note(format!("{} is damaged ({reason}); using the one before", path.display()));
    }
    run.restore(&loaded)?;
    if !quiet {
        note(format!("resuming at {} env steps", loaded.env_steps));
    }
    Ok(Some(loaded.env_steps))
}

/// Where progress is shown, and who may stop a run.
pub(crate) struct Screen {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    quiet: bool,
    /// Several runs move one bar.
    shared: bool,
    /// Standard error is no terminal, so a line an evaluation takes the place of the bar.
    plain: bool,
}

/// A bar over environment steps.
pub(crate) fn step_bar(env_steps: u64, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(4) };
    let bar = ProgressBar::with_draw_target(Some(env_steps), target);
    let template = "{bar:28} {pos}/{len} env steps  {msg}  eta {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A flag that an interrupt raises.
pub(crate) fn stop_flag() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    // A second handler in one process is refused; the run then merely cannot be stopped gently.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    stop
}

impl Screen {
    /// A bar of its own for `env_steps` environment steps.
    fn own(env_steps: u64, quiet: bool) -> Self {
        let bar = step_bar(env_steps, quiet);
        bar.reset_eta();
        let plain = !quiet && !std::io::stderr().is_terminal();
        Self { bar, stop: stop_flag(), quiet, shared: false, plain }
    }

    /// A bar that several runs move.
    pub fn shared(bar: ProgressBar, stop: Arc<AtomicBool>) -> Self {
        Self { bar, stop, quiet: true, shared: true, plain: false }
    }
}

/// The observer behind the progress display and the metric files.
struct Console {
    screen: Screen,
    /// Environment steps by which the bar was moved.
    shown: u64,
    metrics: MetricsWriter,
    events: EventWriter,
}

fn unix_time_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl Console {
    fn new(folder: &RunFolder, resumed_at: Option<u64>, screen: Screen) -> Result<Self> {
        // A run killed at its very start may have left any of its files.
        let metrics_file = folder.metrics_file();
        let metrics = match resumed_at {
            Some(at) if metrics_file.exists() => MetricsWriter::resume(&metrics_file, at)?,
            _ => MetricsWriter::create(&metrics_file)?,
        };
        let events = match (resumed_at, newest_event_file(&folder.dir)?) {
            (Some(at), Some(path)) => EventWriter::resume(&path, at, unix_time_s())?,
            _ => EventWriter::create(&folder.dir, unix_time_s())?,
        };
        Ok(Self { screen, shown: 0, metrics, events })
    }

    fn finish(&self) {
        if !self.screen.shared {
            self.screen.bar.finish_and_clear();
        }
    }
}

impl Observer for Console {
    fn on_record(&mut self, record: &Record) -> coact_runner::Result<()> {
        self.metrics.append(record)?;
        if let (true, Some(greedy)) = (self.screen.plain, record.get("eval/return")) {
            let (steps, wall_s) = (record.env_steps, record.wall_s);
            note(format!("{steps:>10} env steps  {wall_s:>7.1} s  greedy return {greedy:.2}"));
        }
        let values: Vec<(&str, f64)> = record.values.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        self.events.scalars(unix_time_s(), record.env_steps, &values)
    }

    fn before_checkpoint(&mut self) -> coact_runner::Result<()> {
        self.metrics.sync()?;
        self.events.sync()
    }

    fn on_progress(&mut self, p: &Progress) {
        let shown =
            |label: &str, value: Option<f64>| value.map(|v| format!("  {label} {v:.1}")).unwrap_or_default();
        self.screen.bar.inc(p.env_steps - self.shown);
        self.shown = p.env_steps;
        if self.screen.shared {
            return;
        }
        self.screen.bar.set_message(format!(
            "{:.0} steps/s{}{}",
            p.env_steps_per_s,
            shown("return", p.recent_return),
            shown("greedy", p.eval_return)
        ));
    }

    fn stop_requested(&mut self) -> bool {
        self.screen.stop.load(Ordering::Relaxed)
    }
}

/// What a finished run has to say.
pub(crate) struct Finished {
    value: Value,
    agent_names: Vec<String>,
    greedy: Evaluation,
    random: Evaluation,
    reason: StopReason,
    wall_s: f64,
}

/// Final evaluation, agents' files, result, pictures and report.
fn hand_over(
    run: &mut Training,
    folder: &RunFolder,
    config: &Config,
    reason: StopReason,
    quiet: bool,
    pictures: bool,
) -> Result<Finished> {
    let (wall_s, clock) = (run.wall_s(), run.clock());
    let hash = params_hash(run.learner().params());
    let grad_steps = run.learner().grad_steps();
    let policy_env_steps = match (config.run.keep, run.best()) {
        (Keep::Best, Some(best)) => best.env_steps,
        _ => clock.env_steps,
    };
    let seed = derive_seed(config.team.seed, Purpose::Eval, EVAL_FINAL);
    let episodes = config.run.final_eval_episodes;
    if !quiet {
        note(format!("evaluating {episodes} episodes"));
    }
    let (learner, env) = run.hand_over()?;
    let agent_names = env.spec().agent_names();
    let random = evaluate(env, Policy::Random { seed }, episodes, seed, |_, _| {})?;
    let greedy = evaluate(env, Policy::Greedy(learner), episodes, seed, |_, _| {})?;
    let agents_dir = folder.dir.join("agents");
    std::fs::create_dir_all(&agents_dir)
        .map_err(|e| Error::failed(format!("{}: {e}", agents_dir.display())))?;
    for policy in learner.policies() {
        write_atomic(&agents_dir.join(format!("{}.safetensors", policy.agent)), &encode_agent(&policy)?)?;
    }
    let value = json!({
        "run_dir": folder.dir, "algorithm": config.team.algorithm, "env": config.team.env,
        "seed": config.team.seed, "config_hash": config.hash(), "env_steps": clock.env_steps,
        "grad_steps": grad_steps, "episodes": clock.episodes, "wall_s": wall_s,
        "env_steps_per_s": clock.env_steps as f64 / wall_s.max(1e-9), "params_hash": hash,
        "policy_env_steps": policy_env_steps, "stopped_by": reason.describe(),
        "agents": agent_names,
        "evaluation": evaluation_json(&greedy, &random),
    });
    write_atomic(&folder.result_file(), format!("{value:#}\n").as_bytes())?;
    write_csv(&folder.dir.join("metrics.csv"), &read_metrics(&folder.metrics_file())?)?;
    if pictures {
        play::picture_run(folder)?;
    }
    report_command::write_run_report(folder)?;
    Ok(Finished { value, agent_names, greedy, random, reason, wall_s })
}

/// The evaluation object of `train` and `evaluate`.
pub fn evaluation_json(greedy: &Evaluation, random: &Evaluation) -> Value {
    json!({
        "episodes": greedy.episodes, "return_mean": greedy.return_mean, "return_std": greedy.return_std,
        "return_per_agent": greedy.return_per_agent, "episode_length_mean": greedy.length_mean,
        "random_return_mean": random.return_mean, "random_return_per_agent": random.return_per_agent,
    })
}

/// The table of the returns of `who` and of random actions, beside those of solvers.
pub fn say_returns(
    agent_names: &[String],
    who: &str,
    greedy: &Evaluation,
    random: &Evaluation,
    yardsticks: &[Yardstick],
) {
    let width = |y: &Yardstick| (y.name.len() + 3).max(12);
    let row = |name: &str, own: f64, by_chance: f64, of: &dyn Fn(&Yardstick) -> f64| {
        let others = yardsticks.iter().map(|y| format!(" {:>w$.2}", of(y), w = width(y)));
        say(format!("  {name:<19} {own:>12.2} {by_chance:>12.2}{}", others.collect::<String>()));
    };
    let others = yardsticks.iter().map(|y| format!(" {:>w$}", format!("by {}", y.name), w = width(y)));
    let title = format!("return of {} episodes", greedy.episodes);
    say(format!("{title:<21} {who:>12} {:>12}{}", "random", others.collect::<String>()));
    for (a, name) in agent_names.iter().enumerate() {
        row(name, greedy.return_per_agent[a], random.return_per_agent[a], &|y| y.return_per_agent[a]);
    }
    if agent_names.len() > 1 {
        row("team (sum)", greedy.return_mean, random.return_mean, &|y| y.return_mean);
    }
}

fn report(finished: &Finished, folder: &RunFolder, args: &TrainArgs) {
    if !args.quiet || !args.json {
        let Finished { value, reason, wall_s, .. } = finished;
        say(format!("{} after {:.1} s, {} env steps", reason.describe(), wall_s, value["env_steps"]));
        say_returns(&finished.agent_names, "greedy", &finished.greedy, &finished.random, &[]);
        let dir = folder.dir.display();
        say(format!(
            "run folder {dir}: report.html (curves), play.gif (the team), agents/ (one file an agent)"
        ));
    }
    if args.json {
        say(&finished.value);
    }
}
