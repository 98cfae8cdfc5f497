//! Films of environments: every moment of some episodes, the last ones included, with what was earned so far.
//!
//! A batch begins the next episode in the step that ends one and so never shows an end. A film therefore steps a single
//! copy beside the batch, with the same actions and random numbers, which gives the same bits. Not here: who plays, files.

use coact_core::codec::{Reader, Writer};
use coact_core::scene::Scene;
use coact_core::{
    ActionBatch, Actions, BatchEnv, EnvSpec, MultiAgentEnv, Purpose, Result, StepBatch, Stream,
};

/// A batch of one copy, and the same copy alone.
pub struct Film {
    batch: Box<dyn BatchEnv>,
    one: Box<dyn MultiAgentEnv>,
    seed: u64,
    episode: u64,
    n_steps: u64,
    /// Whether the first moment of an episode is still to be shown.
    begins: bool,
    earned: f64,
    scenes: Vec<Scene>,
}

impl Film {
    /// A film of `batch`, which has one copy, and of `one`, which is such a copy.
    pub fn new(batch: Box<dyn BatchEnv>, one: Box<dyn MultiAgentEnv>) -> Self {
        let (seed, episode, n_steps) = (0, 0, 0);
        Self { batch, one, seed, episode, n_steps, begins: true, earned: 0.0, scenes: Vec::new() }
    }

    /// All moments so far.
    pub fn into_scenes(self) -> Vec<Scene> {
        self.scenes
    }

    fn keep(&mut self, end: &str) {
        let scene = self.one.scene();
        // Rewards are short decimals or sums of distances: two places are enough, and no minus before a zero.
        let earned = if self.earned.abs() < 0.005 { 0.0 } else { self.earned };
        self.scenes.push(scene.with_line(format!("return {earned:.2}{end}")));
    }

    fn begin(&mut self) {
        self.one.reset(&mut Stream::new(self.seed, Purpose::Reset, 0, self.episode));
        (self.begins, self.earned) = (true, 0.0);
    }

    /// Steps the single copy.
    fn follow(&mut self, actions: &ActionBatch) -> Result<()> {
        let spec = self.batch.spec().clone();
        let n = spec.n_agents();
        let (mut discrete, mut continuous) = (Vec::with_capacity(n), Vec::new());
        for (g, group) in spec.groups.iter().enumerate() {
            match group.action.n_continuous() {
                0 => discrete.extend_from_slice(&actions.discrete[g]),
                _ => discrete.resize(discrete.len() + group.n_agents, 0),
            }
            continuous.extend_from_slice(&actions.continuous[g]);
        }
        let (mut reward, mut terminated) = (vec![0.0; n], vec![false; n]);
        let mut rng = Stream::new(self.seed, Purpose::Step, 0, self.n_steps);
        let given = Actions { discrete: &discrete, continuous: &continuous };
        let truncated = self.one.step(given, &mut rng, &mut reward, &mut terminated)?;
        self.earned += reward.iter().map(|r| f64::from(*r)).sum::<f64>();
        let over = (0..n).all(|agent| !self.one.alive(agent));
        match (over, truncated) {
            (true, _) => self.keep(", the end"),
            (false, true) => self.keep(", time is up"),
            (false, false) => self.keep(""),
        }
        if over || truncated {
            self.episode += 1;
            self.begin();
        }
        Ok(())
    }
}

impl BatchEnv for Film {
    fn spec(&self) -> &EnvSpec {
        self.batch.spec()
    }

    fn n_envs(&self) -> usize {
        self.batch.n_envs()
    }

    fn reset(&mut self, seed: u64, out: &mut StepBatch) -> Result<()> {
        (self.seed, self.episode, self.n_steps) = (seed, 0, 0);
        self.begin();
        self.batch.reset(seed, out)
    }

    fn step(&mut self, actions: &ActionBatch, out: &mut StepBatch) -> Result<()> {
        if std::mem::take(&mut self.begins) {
            self.keep("");
        }
        self.follow(actions)?;
        self.n_steps += 1;
        self.batch.step(actions, out)
    }

    fn scene(&self, env: usize) -> Scene {
        self.batch.scene(env)
    }

    fn save(&self, out: &mut Writer) {
        self.batch.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<()> {
        self.batch.load(from)
    }
}

#[cfg(test)]
mod tests {
    use coact_core::scene::Shape;
    use coact_envs::golden::random_actions;
    use serde_json::Value;

    use super::*;

    /// What the single copy earns is what the batch pays, and every episode ends with its last moment.
    #[test]
    fn films_show_ends_and_what_was_earned() {
        for (name, ends) in [
            ("levers", "levers, "),
            ("two_step", ", the end"),
            ("switch_riddle", ", the end"),
            ("simple_spread", "step 25: return "),
            ("traffic_junction", ", time is up"),
            ("cartpole", "0 of 2 poles up"),
            ("lbf/Foraging-2s-8x8-2p-2f-coop-v3", "step 50"),
        ] {
            let found = coact_envs::find(name).unwrap();
            let (batch, one) =
                (found.build(&Value::Null, 1).unwrap(), found.build_one(&Value::Null).unwrap());
            let mut film = Film::new(batch, one);
            let spec = film.spec().clone();
            let (mut step, mut actions) = (StepBatch::new(&spec, 1), ActionBatch::new(&spec, 1));
            film.reset(3, &mut step).unwrap();
            let (mut earned, mut episodes, mut n_steps) = (0.0, 0, 0);
            while episodes < 3 {
                random_actions(&film, &step, 1, n_steps, &mut actions);
                film.step(&actions, &mut step).unwrap();
                n_steps += 1;
                earned += step.groups.iter().flat_map(|g| &g.reward).map(|r| f64::from(*r)).sum::<f64>();
                if step.is_first[0] {
                    episodes += 1;
                    let last = &film.scenes[film.scenes.len() - 1];
                    let Some(Shape::Text { text, .. }) = last.shapes.last() else { panic!("{name}") };
                    let last = format!("{}: {text}", last.caption);
                    assert!(last.contains(ends), "{name}: {last}");
                    let said = last.split("return ").nth(1).unwrap().split(',').next().unwrap();
                    assert!(
                        (said.parse::<f64>().unwrap() - earned).abs() < 0.006,
                        "{name}: {last}, {earned}"
                    );
                    earned = 0.0;
                }
            }
            assert_eq!(film.into_scenes().len() as u64, n_steps + 3, "{name}: one more moment an episode");
        }
    }
}
