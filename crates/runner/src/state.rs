//! Small pieces of state to and from bytes: the part of a [`StepBatch`] that the next action depends on, and a
//! trained team.

use coact_algorithms::Learner;
use coact_core::codec::{Reader, Writer};
use coact_core::{BatchEnv, StepBatch};

use crate::{Error, Result};

/// A trained team: parameters and the normalizer statistics that belong to them.
#[derive(Debug, Clone, PartialEq)]
pub struct TeamState {
    /// Environment steps after which the parameters were taken.
    pub env_steps: u64,
    /// All online parameters of the learner.
    pub params: Vec<f32>,
    /// What [`BatchEnv::save_statistics`] wrote.
    pub statistics: Vec<u8>,
}

impl TeamState {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u64(self.env_steps);
        out.u64(self.params.len() as u64);
        out.f32s(&self.params);
        out.bytes(&self.statistics);
        out.into_bytes()
    }

    /// From bytes.
    ///
    /// # Errors
    /// Damaged bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut from = Reader::new("team", bytes);
        let env_steps = from.u64()?;
        let n = from.u64()?;
        // The count is checked against the bytes that are there before anything is allocated.
        if n > bytes.len() as u64 / 4 {
            return Err(from.error(format!("{n} parameters in {} bytes", bytes.len())).into());
        }
        let mut params = vec![0.0; n as usize];
        from.f32s(&mut params)?;
        let statistics = from.bytes()?.to_vec();
        from.finish()?;
        Ok(Self { env_steps, params, statistics })
    }

    /// Gives `learner` the parameters and `env` the statistics.
    ///
    /// # Errors
    /// A team of another shape.
    pub fn apply(&self, learner: &mut dyn Learner, env: &mut dyn BatchEnv) -> Result<()> {
        let expected = learner.params().len();
        if self.params.len() != expected {
            let found = self.params.len();
            return Err(Error::invalid(format!(
                "the saved team has {found} parameters where {expected} belong; was the configuration changed?"
            )));
        }
        learner.set_params(&self.params);
        Ok(env.load_statistics(&mut Reader::new("normalizer", &self.statistics))?)
    }
}

/// Appends observations, masks, states and flags. Rewards and last observations are already in replay.
pub fn save_step(step: &StepBatch, out: &mut Writer) {
    for group in &step.groups {
        out.f32s(&group.obs);
        out.u32s(&group.mask);
        out.bools(&group.alive);
    }
    out.f32s(&step.state);
    out.bools(&step.is_first);
}

/// Restores what [`save_step`] wrote.
///
/// # Errors
/// Damaged or foreign bytes.
pub fn load_step(step: &mut StepBatch, from: &mut Reader<'_>) -> Result<()> {
    for group in &mut step.groups {
        from.f32s(&mut group.obs)?;
        from.u32s(&mut group.mask)?;
        from.bools(&mut group.alive)?;
    }
    from.f32s(&mut step.state)?;
    Ok(from.bools(&mut step.is_first)?)
}
