//! The side of a value learner that lives on a GPU: parameters, targets and moments stay there. The learner's own copies
//! are brought up to date when somebody asks for them, and sent when somebody replaced them.

use coact_kernels::{
    Act, ActScratch, Backend, GradStep, Learned, Loss, Mixer, Resident, ResidentConfig, ResidentGroup,
    ResidentState, RingGroup, RingPriorities, RingView, StepForm, Update,
};
use coact_nets::Optimizer;
use coact_replay::Replay;

use super::{Group, MAX_GROUPS, Measured, ValueLearner};
use crate::learner::{Drawn, Draws, Named, UpdateStats};
use crate::{Error, Result};

/// Whose numbers are newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Newer {
    /// The host's, all of them.
    Host,
    /// The host's parameters; the rest is the same on both sides.
    HostParams,
    /// The host's parameters, and the device's targets and moments.
    Mixed,
    /// The device's.
    Device,
    /// Both are the same.
    Neither,
}

/// A learner's memory on a device.
pub(super) struct OnDevice {
    resident: Resident,
    newer: Newer,
    steps: Vec<GradStep>,
    learned: Vec<Learned>,
    leaves: Vec<u32>,
    /// Whether it keeps the priorities of a replay.
    has_priorities: bool,
}

impl OnDevice {
    /// Memory on the device of `backend`, if it has one beside the processor.
    pub(super) fn new(
        backend: &mut Backend,
        groups: &[Group],
        (mixer, loss, double_q): (Mixer, Loss, bool),
        optimizer: &Optimizer,
    ) -> Result<Option<Self>> {
        let group = |g: &Group| ResidentGroup {
            shape: g.nets.shape.clone(),
            n_agents: g.nets.n_agents,
            n_sets: g.nets.n_sets,
            n_critics: g.nets.n_critics,
        };
        let resident = backend.resident(&ResidentConfig {
            groups: groups.iter().map(group).collect(),
            double_q,
            mixer,
            loss,
            rule: optimizer.rule(),
            clip: optimizer.clip(),
            partitions: optimizer.partitions().to_vec(),
            tensors: optimizer.tensors().to_vec(),
            form: StepForm::default(),
        })?;
        Ok(resident.map(|resident| Self {
            resident,
            newer: Newer::Host,
            steps: Vec::new(),
            learned: Vec::new(),
            leaves: Vec::new(),
            has_priorities: false,
        }))
    }

    /// The host's parameters were replaced.
    pub(super) fn params_set(&mut self) {
        self.newer = match self.newer {
            Newer::Host => Newer::Host,
            Newer::Device | Newer::Mixed => Newer::Mixed,
            Newer::Neither | Newer::HostParams => Newer::HostParams,
        };
    }

    /// All that the host has was replaced.
    pub(super) fn all_set(&mut self) {
        self.newer = Newer::Host;
    }

    /// One gradient step.
    pub(super) fn step(
        &mut self,
        backend: &mut Backend,
        update: Update<'_, '_>,
        step: GradStep,
    ) -> Result<Measured> {
        self.newer = Newer::Device;
        let learned = backend.resident_step(&mut self.resident, update, step)?;
        Ok((learned.stats, Some(learned.grad_norm)))
    }
}

/// Words of the groups of a ring; those past the last are the first one's.
fn ring_groups(replay: &Replay, n_groups: usize) -> [RingGroup; MAX_GROUPS] {
    std::array::from_fn(|g| {
        let words = replay.raw_group(if g < n_groups { g } else { 0 });
        RingGroup {
            obs: words.obs,
            mask: words.mask,
            action: words.action,
            reward: words.reward,
            discount: words.discount,
            valid: words.valid,
        }
    })
}

/// A replay as kernels see it.
fn ring_view<'a>(replay: &'a Replay, groups: &'a [RingGroup]) -> RingView<'a> {
    let raw = replay.raw();
    let settings = replay.config().prioritized;
    RingView {
        words: raw.words,
        finals: raw.finals,
        final_words: raw.final_words,
        groups,
        revision: raw.revision,
        width: raw.width,
        seen: raw.seen,
        next: raw.next,
        team_reward: raw.team_reward,
        team_discount: raw.team_discount,
        n_envs: raw.n_envs,
        n_slots: raw.n_slots,
        n_step: raw.n_step,
        pushed: raw.pushed,
        prioritized: settings.zip(raw.priorities).map(|(settings, (leaves, largest))| RingPriorities {
            alpha: settings.alpha,
            eps: settings.eps,
            leaves,
            largest,
            revision: raw.priorities_revision,
        }),
    }
}

/// Chooses actions with the parameters of `group`, wherever they are.
pub(super) fn act(
    backend: &mut Backend,
    on_device: Option<&OnDevice>,
    group: usize,
    scratch: &mut ActScratch,
    call: Act<'_>,
) -> coact_kernels::Result<()> {
    match on_device {
        None => backend.act(scratch, call),
        Some(on_device) => backend.resident_act(&on_device.resident, group, scratch, call),
    }
}

impl ValueLearner {
    /// Sends to the device what was replaced here.
    pub(super) fn flush(&mut self) -> Result<()> {
        let Some(on_device) = &mut self.on_device else { return Ok(()) };
        let all = on_device.newer == Newer::Host;
        let after = match on_device.newer {
            Newer::Device | Newer::Neither => return Ok(()),
            Newer::Mixed => Newer::Device,
            Newer::Host | Newer::HostParams => Newer::Neither,
        };
        let [a, b, c] = self.optimizer.moments_mut();
        let state = ResidentState {
            params: &mut self.params,
            target_params: if all { &mut self.target_params } else { &mut [] },
            moments: if all { [a, b, c] } else { [&mut [], &mut [], &mut []] },
        };
        self.backend.resident_set(&mut on_device.resident, state)?;
        on_device.newer = after;
        Ok(())
    }

    /// Brings here what the device has learned.
    pub(super) fn bring_home(&mut self) -> Result<()> {
        self.flush()?;
        let Some(on_device) = &mut self.on_device else { return Ok(()) };
        if on_device.newer == Newer::Neither {
            return Ok(());
        }
        let [a, b, c] = self.optimizer.moments_mut();
        let state = ResidentState {
            params: &mut self.params,
            target_params: &mut self.target_params,
            moments: [a, b, c],
        };
        self.backend.resident_get(&mut on_device.resident, state)?;
        on_device.newer = Newer::Neither;
        Ok(())
    }

    /// Gradient steps on batches that the device draws from its copy of `replay`.
    pub(super) fn update_on_device(
        &mut self,
        replay: &mut Replay,
        draws: Draws,
        drawn: &mut Drawn,
    ) -> Result<()> {
        drawn.stats.clear();
        self.flush()?;
        let taken = self.optimizer.grad_steps;
        let (learning_rate, target_rule) = (&self.learning_rate, self.target_rule);
        let Some(on_device) = &mut self.on_device else { return Ok(()) };
        on_device.steps.clear();
        on_device.steps.extend((taken..taken + draws.n).map(|taken| GradStep {
            lr: learning_rate.value(taken) as f32,
            step: taken + 1,
            tau: target_rule.tau(taken + 1),
        }));
        on_device.newer = Newer::Device;
        on_device.learned.clear();
        let groups = ring_groups(replay, self.groups.len());
        let outcome = self.backend.resident_learn(
            &mut on_device.resident,
            &ring_view(replay, &groups[..self.groups.len()]),
            coact_kernels::Draws {
                batch_size: draws.batch_size,
                seed: draws.seed,
                position: taken,
                beta: draws.beta,
            },
            &on_device.steps,
            &mut on_device.learned,
        );
        if replay.config().prioritized.is_some() {
            replay.lend_priorities();
            on_device.has_priorities = true;
        }
        for (learned, step) in on_device.learned.iter().zip(&on_device.steps) {
            let loss = learned.stats.loss;
            if !loss.is_finite() {
                return Err(Error::NonFinite { what: "loss", value: loss, grad_steps: step.step - 1 });
            }
            self.optimizer.grad_steps = step.step;
            drawn.stats.push(UpdateStats {
                loss,
                grad_norm: learned.grad_norm,
                learning_rate: self.learning_rate.value(step.step - 1),
                target_synced: step.tau.is_some(),
                named: Named::new([("q_mean", learned.stats.q_mean), ("td_abs", learned.stats.td_abs_mean)]),
            });
        }
        Ok(outcome?)
    }

    /// Stores the priorities that the device keeps in `replay`.
    pub(super) fn bring_priorities(&mut self, replay: &mut Replay) -> Result<()> {
        let Some(on_device) = self.on_device.as_mut().filter(|d| d.has_priorities) else { return Ok(()) };
        let groups = ring_groups(replay, self.groups.len());
        let view = ring_view(replay, &groups[..self.groups.len()]);
        on_device.leaves.resize(view.words.len() / view.width, 0);
        let largest = self.backend.resident_leaves(&mut on_device.resident, &view, &mut on_device.leaves)?;
        replay.store_priorities(&on_device.leaves, largest);
        Ok(())
    }

    /// What is read here must not be older than on the device.
    pub(super) fn assert_settled(&self) {
        let newer = self.on_device.as_ref().map(|d| d.newer);
        assert!(newer != Some(Newer::Device), "parameters are on the device: settle the learner first");
    }
}
