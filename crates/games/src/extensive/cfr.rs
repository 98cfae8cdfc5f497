//! Counterfactual regret minimization (Zinkevich et al. 2007), CFR+ (Tammelin 2014), linear and discounted CFR (Brown and
//! Sandholm 2019).
//!
//! Each iteration computes, for every information set, what each action would have earned against the others'
//! current play, adds the difference to the current play's value to the action's regret, and plays in proportion
//! to positive regret from then on. The average play converges to equilibrium in two-player zero-sum games.
//!
//! The walk over the tree is laid out flat (`walk.rs`) and gives the bits of the recursive one. With more than
//! two players the same updates are made; nothing is promised, but [`Cfr::assess`] says how far off they are.
//!
//! Variants differ in three options ([`CfrOptions`]): what happens to regret after each update, the weight of an
//! iteration in the average, and whether players update one after the other (as OpenSpiel and the papers on CFR+ and
//! discounting do) or all at once. Discounting multiplies after adding: iteration `t` by
//! `t^alpha / (t^alpha + 1)` where positive, `t^beta / (t^beta + 1)` where negative.

use super::response::{Assessment, assess_plans};
use super::sequence::SequenceForm;
use super::walk::Layout;
use super::{Profile, Tree};
use crate::exponential::pow;
use crate::{Error, Result};

/// What happens to regret after an update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RegretRule {
    /// Nothing.
    Plain,
    /// Negative regret becomes 0.
    Plus,
    /// Past regret counts less.
    Discounted {
        /// Exponent for positive regret.
        alpha: f64,
        /// Exponent for negative regret.
        beta: f64,
    },
}

/// A variant of CFR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CfrOptions {
    /// What happens to regret.
    pub regret: RegretRule,
    /// Iteration `t` weighs `t^averaging` in the average: 0 equally, 1 linearly.
    pub averaging: f64,
    /// Whether each player sees the update of those before in the same iteration.
    pub alternating: bool,
}

impl CfrOptions {
    /// As published in 2007, but alternating.
    pub const CFR: Self = Self { regret: RegretRule::Plain, averaging: 0.0, alternating: true };
    /// CFR+: regret never negative, linear averaging, alternating.
    pub const PLUS: Self = Self { regret: RegretRule::Plus, averaging: 1.0, alternating: true };
    /// Linear CFR: everything weighs in proportion to its iteration.
    pub const LINEAR: Self =
        Self { regret: RegretRule::Discounted { alpha: 1.0, beta: 1.0 }, averaging: 1.0, alternating: true };
    /// Discounted CFR with the exponents recommended by its authors: 3/2, 0 and 2.
    pub const DISCOUNTED: Self =
        Self { regret: RegretRule::Discounted { alpha: 1.5, beta: 0.0 }, averaging: 2.0, alternating: true };

    fn check(&self) -> Result<()> {
        let exponents = match self.regret {
            RegretRule::Discounted { alpha, beta } => [alpha, beta, self.averaging],
            _ => [0.0, 0.0, self.averaging],
        };
        if exponents.iter().all(|e| e.is_finite()) && self.averaging >= 0.0 {
            return Ok(());
        }
        Err(Error::Invalid("exponents of CFR must be finite, and that of averaging not negative".into()))
    }
}

/// A running solver. Rows of numbers have one entry an action, players one after the other, chance last.
#[derive(Debug, Clone)]
pub struct Cfr {
    layout: Layout,
    form: SequenceForm<f64>,
    options: CfrOptions,
    regret: Vec<f64>,
    /// Current play.
    play: Vec<f64>,
    /// Products of a player's own probabilities in current play; the last entry is 1, for "no action yet".
    reach: Vec<f64>,
    /// Weighted sum of `reach` over iterations.
    sum: Vec<f64>,
    /// Values of nodes for each player.
    values: Vec<Vec<f64>>,
    uniform: Profile,
    n_iterations: u64,
}

impl Cfr {
    /// Starts from uniform play.
    ///
    /// # Errors
    /// A player who forgets, or exponents that make no sense.
    pub fn new(tree: &Tree, options: CfrOptions) -> Result<Self> {
        options.check()?;
        let form = SequenceForm::new(tree, "counterfactual regret minimization")?;
        let (layout, values) = Layout::new(tree);
        let uniform = Profile::uniform(tree);
        let (play, n) = (layout.arrange(&uniform), layout.n_actions());
        let mut reach = vec![1.0; n + 1];
        (0..layout.sides.len()).for_each(|player| layout.realize(player, &play, &mut reach));
        let zeros = vec![0.0; n];
        let (regret, sum) = (zeros.clone(), zeros);
        Ok(Self { layout, form, options, regret, play, reach, sum, values, uniform, n_iterations: 0 })
    }

    /// Iterations made.
    pub fn n_iterations(&self) -> u64 {
        self.n_iterations
    }

    /// One iteration: every player updates once. Allocates nothing.
    pub fn step(&mut self) {
        self.n_iterations += 1;
        let n = self.layout.sides.len();
        if self.options.alternating {
            for player in 0..n {
                self.accumulate(player);
                self.play_anew(player);
            }
        } else {
            (0..n).for_each(|player| self.accumulate(player));
            (0..n).for_each(|player| self.play_anew(player));
        }
    }

    /// One iteration in which each player updates as if the others played a given profile.
    pub(super) fn step_against(&mut self, others: &Profile) {
        self.n_iterations += 1;
        let n = self.layout.sides.len();
        let theirs = self.layout.arrange(others);
        let mut reach = self.reach.clone();
        (0..n).for_each(|player| self.layout.realize(player, &theirs, &mut reach));
        for player in 0..n {
            let own = self.layout.actions(player);
            let (mut play, mut reach) = (theirs.clone(), reach.clone());
            play[own.clone()].copy_from_slice(&self.play[own.clone()]);
            reach[own.clone()].copy_from_slice(&self.reach[own]);
            std::mem::swap(&mut play, &mut self.play);
            std::mem::swap(&mut reach, &mut self.reach);
            self.accumulate(player);
            (self.play, self.reach) = (play, reach);
        }
        (0..n).for_each(|player| self.play_anew(player));
    }

    pub(super) fn form(&self) -> &SequenceForm<f64> {
        &self.form
    }

    /// Adds regrets of a player, and current play to the average.
    fn accumulate(&mut self, player: usize) {
        let values = &mut self.values[player];
        self.layout.evaluate(&self.play, values);
        let own = self.layout.actions(player);
        self.layout.add_regrets(player, &self.reach, values, &mut self.regret[own.clone()]);
        let weight = power(self.n_iterations as f64, self.options.averaging);
        for (sum, reach) in self.sum[own.clone()].iter_mut().zip(&self.reach[own]) {
            *sum += weight * reach;
        }
    }

    /// Applies the rule to a player's regrets and plays in proportion to the positive ones.
    fn play_anew(&mut self, player: usize) {
        let t = self.n_iterations as f64;
        match self.options.regret {
            RegretRule::Plain => self.match_regrets(player, |r| r),
            RegretRule::Plus => self.match_regrets(player, |r| if r > 0.0 { r } else { 0.0 }),
            RegretRule::Discounted { alpha, beta } => {
                let share = |exponent: f64| {
                    let x = power(t, exponent);
                    x / (x + 1.0)
                };
                let (positive, negative) = (share(alpha), share(beta));
                self.match_regrets(player, |r| if r >= 0.0 { r * positive } else { r * negative });
            }
        }
        self.layout.realize(player, &self.play, &mut self.reach);
    }

    fn match_regrets(&mut self, player: usize, rule: impl Fn(f64) -> f64) {
        for bounds in self.layout.sides[player].first.windows(2) {
            let actions = bounds[0] as usize..bounds[1] as usize;
            let (regret, play) = (&mut self.regret[actions.clone()], &mut self.play[actions]);
            let mut positive = 0.0;
            for r in regret.iter_mut() {
                *r = rule(*r);
                positive += r.max(0.0);
            }
            if positive > 0.0 {
                for (p, r) in play.iter_mut().zip(regret) {
                    *p = r.max(0.0) / positive;
                }
            } else {
                let n = play.len() as f64;
                play.fill(1.0 / n);
            }
        }
    }

    /// Average play so far, the answer. Where a player never came, uniform.
    pub fn average(&self) -> Profile {
        let mut profile = self.uniform.clone();
        for side in &self.layout.sides {
            for bounds in side.first.windows(2) {
                let actions = bounds[0] as usize..bounds[1] as usize;
                let total: f64 = self.sum[actions.clone()].iter().sum();
                if total > 0.0 {
                    for action in actions {
                        let slot = self.layout.slot[action] as usize;
                        profile.as_mut_slice()[slot] = self.sum[action] / total;
                    }
                }
            }
        }
        profile
    }

    /// Current play.
    pub fn current(&self) -> Profile {
        let mut profile = self.uniform.clone();
        for (&slot, &p) in self.layout.slot.iter().zip(&self.play) {
            profile.as_mut_slice()[slot as usize] = p;
        }
        profile
    }

    /// Values of average play and of best responses to it.
    pub fn assess(&self) -> Assessment {
        assess_plans(&self.form, &self.form.realize(&self.average()))
    }
}

/// `t^exponent`, the same bits on every machine; correctly rounded for the usual exponents (and `t` up to 200,000).
fn power(t: f64, exponent: f64) -> f64 {
    match exponent {
        0.0 => 1.0,
        1.0 => t,
        1.5 => (t * t * t).sqrt(),
        2.0 => t * t,
        _ => pow(t, exponent),
    }
}
