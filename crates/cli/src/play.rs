//! `coact play`: an episode as an animated GIF and a PNG strip, or as characters in the terminal.

mod film;

use std::path::{Path, PathBuf};

use coact_core::rng::{Purpose, derive_seed};
use coact_core::scene::Scene;
use coact_core::{BatchEnv, Error as CoreError};
use coact_draw::{picture, terminal};
use coact_runner::{Evaluation, Policy, evaluate, write_atomic};
use serde_json::json;

use self::film::Film;
use crate::args::PlayArgs;
use crate::console::say;
use crate::run_folder::{RunFolder, load_team};
use crate::{Error, Result, environments, fixed_policy};

/// Longest side of a GIF frame and of one frame of the strip, in pixels.
const GIF_WIDTH: u32 = 360;
const STRIP_WIDTH: u32 = 240;
/// Frames of the strip.
const STRIP_FRAMES: usize = 6;
/// Frames beyond this are thinned, so that an episode of 500 steps stays a small file.
const MAX_FRAMES: usize = 250;
/// Time between frames.
const DELAY_MS: u32 = 80;

/// Renders an episode of a run or of an environment.
///
/// # Errors
/// Neither a run folder nor an environment, a policy that cannot be, files that cannot be written.
pub fn play(args: &PlayArgs) -> Result<()> {
    if args.episodes == 0 {
        return Err(Error::usage("--episodes is 0; it must be 1 or more"));
    }
    let seed = derive_seed(args.seed, Purpose::Eval, 3);
    let is_run = Path::new(&args.what).join("config.toml").is_file();
    let (scenes, evaluation, base) = if is_run {
        let random = match args.policy.as_deref() {
            Some("random") => true,
            None | Some("greedy") => false,
            Some(other) => {
                let text = format!(
                    "--policy {other}: a run plays `greedy` or `random`; name its environment to see scripts"
                );
                return Err(Error::usage(text));
            }
        };
        if !args.set.is_empty() {
            return Err(Error::usage("--set changes options of an environment; a run keeps its own"));
        }
        let folder = RunFolder::at(&args.what);
        let mut team = load_team(&folder, 1, 0)?;
        let policy = if random { Policy::Random { seed } } else { Policy::Greedy(&mut *team.learner) };
        let (scenes, evaluation) = film(&mut *team.env, policy, args.episodes, seed)?;
        (scenes, evaluation, folder.dir.join("play"))
    } else {
        let (scenes, evaluation) = film_env(args, seed)?;
        (scenes, evaluation, PathBuf::from(args.what.replace('/', "-")))
    };
    if args.terminal {
        for scene in &scenes {
            say(terminal::colored(scene, 78)?);
            std::thread::sleep(std::time::Duration::from_millis(u64::from(DELAY_MS)));
        }
        say(format!("return {:.2}", evaluation.return_mean));
        return Ok(());
    }
    let gif = args.gif.clone().unwrap_or_else(|| base.with_extension("gif"));
    let png = args.png.clone().unwrap_or_else(|| base.with_extension("png"));
    write_pictures(&scenes, &gif, &png)?;
    if args.json {
        say(json!({
            "gif": gif, "png": png, "frames": scenes.len(), "episodes": evaluation.episodes,
            "return_mean": evaluation.return_mean, "return_per_agent": evaluation.return_per_agent,
        }));
    } else {
        let text = format!("return {:.2} in {:.0} steps", evaluation.return_mean, evaluation.length_mean);
        say(format!("{text}: {} and {}", gif.display(), png.display()));
    }
    Ok(())
}

fn film_env(args: &PlayArgs, seed: u64) -> Result<(Vec<Scene>, Evaluation)> {
    if Path::new(&args.what).is_dir() {
        let text = format!(
            "{} is a folder without config.toml, so not a run; give a run or an environment",
            args.what
        );
        return Err(Error::usage(text));
    }
    if let Err(e) = environments::find(&args.what) {
        let text = format!("`{}` is neither a run folder nor an environment: {e}", args.what);
        return Err(Error::usage(text));
    }
    let (env, mut policy) = fixed_policy::build(&args.what, &args.set, args.policy.as_deref(), 1)?;
    let mut film = Film::new(env, fixed_policy::build_one(&args.what, &args.set)?);
    let evaluation = policy.evaluate(&mut film, args.episodes, seed, |_, _| {})?;
    Ok((thin(film.into_scenes())?, evaluation))
}

/// Plays `episodes` episodes in copy 0 of `env` and keeps every moment.
fn film(
    env: &mut dyn BatchEnv,
    policy: Policy<'_>,
    episodes: usize,
    seed: u64,
) -> Result<(Vec<Scene>, Evaluation)> {
    keep_scenes(episodes, |watch| Ok(evaluate(env, policy, episodes, seed, watch)?))
}

/// Every moment of `episodes` episodes that `play` plays in copy 0 before the eyes of the watcher it is given.
fn keep_scenes(
    episodes: usize,
    play: impl FnOnce(&mut dyn FnMut(&dyn BatchEnv, usize)) -> Result<Evaluation>,
) -> Result<(Vec<Scene>, Evaluation)> {
    let mut scenes = Vec::new();
    let evaluation = play(&mut |env, finished| {
        // After the last step the copy has reset itself; its new episode is not part of the film.
        if finished < episodes {
            scenes.push(env.scene(0));
        }
    })?;
    Ok((thin(scenes)?, evaluation))
}

/// As many moments as a film may have, evenly spaced; the first and the last stay.
fn thin(scenes: Vec<Scene>) -> Result<Vec<Scene>> {
    let Some(last) = scenes.len().checked_sub(1) else {
        return Err(CoreError::invalid("the episode has no moment to show").into());
    };
    let stride = scenes.len().div_ceil(MAX_FRAMES);
    let kept = scenes.into_iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
    Ok(kept.map(|(_, scene)| scene).collect())
}

fn write_pictures(scenes: &[Scene], gif: &Path, png: &Path) -> Result<()> {
    write_atomic(gif, &picture::gif(scenes, GIF_WIDTH, DELAY_MS)?)?;
    write_atomic(png, &picture::png(&picture::strip(scenes, STRIP_FRAMES, STRIP_WIDTH)?)?)?;
    Ok(())
}

/// Leaves `play.gif` and `play.png` in a run folder.
///
/// # Errors
/// An environment that refuses, files that cannot be written.
pub fn picture_run(folder: &RunFolder) -> Result<()> {
    let mut team = load_team(folder, 1, 1)?;
    let seed = derive_seed(team.config.team.seed, Purpose::Eval, 4);
    let (scenes, _) = film(&mut *team.env, Policy::Greedy(&mut *team.learner), 1, seed)?;
    write_pictures(&scenes, &folder.dir.join("play.gif"), &folder.dir.join("play.png"))
}
