//! Best responses, NashConv and exploitability, for any number of players.
//!
//! NashConv is the sum over players of what a best response would gain; exploitability here is NashConv divided by
//! the number of players, as OpenSpiel prints it. Both are 0 exactly at a Nash equilibrium.

use super::sequence::{Plan, SequenceForm};
use super::{Profile, Tree};
use crate::{Result, Scalar};

/// What a profile is worth, and what each player could get by deviating alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment<T = f64> {
    /// Expected payoff of each player.
    pub values: Vec<T>,
    /// Expected payoff of each player's best response to the others.
    pub best_responses: Vec<T>,
}

impl<T: Scalar> Assessment<T> {
    /// What each player's best response gains.
    pub fn gains(&self) -> Vec<T> {
        self.best_responses.iter().zip(&self.values).map(|(b, v)| b.clone() - v).collect()
    }

    /// Sum of the gains.
    pub fn nash_conv(&self) -> T {
        self.gains().into_iter().fold(T::zero(), |a, b| a + &b)
    }

    /// [`Assessment::nash_conv`] divided by the number of players.
    pub fn exploitability(&self) -> T {
        self.nash_conv() / &T::from_int(self.values.len() as i64)
    }
}

/// Values and best responses of a profile.
///
/// # Errors
/// A player who forgets.
pub fn assess<T: Scalar>(tree: &Tree, profile: &Profile<T>) -> Result<Assessment<T>> {
    let form = SequenceForm::new(tree, "a best response")?;
    let reaches = form.realize(profile);
    Ok(assess_plans(&form, &reaches))
}

/// Values and best responses of realization plans, one a player.
pub fn assess_plans<T: Scalar>(form: &SequenceForm<T>, reaches: &[Vec<T>]) -> Assessment<T> {
    let (mut values, mut best_responses) = (Vec::new(), Vec::new());
    for (player, reach) in reaches.iter().enumerate() {
        let plan = form.plan(player);
        let mut gradient = vec![T::zero(); plan.n_sequences()];
        form.gather(player, reaches, &mut gradient);
        values.push(gradient.iter().zip(reach).fold(T::zero(), |sum, (g, r)| sum + &(g.clone() * r)));
        best_responses.push(respond(plan, &mut gradient, |_, _| {}));
    }
    Assessment { values, best_responses }
}

/// The best response of `player` to the others' realization plans: its value, and its realization plan. The first of
/// equally good actions is taken.
pub fn best_response<T: Scalar>(form: &SequenceForm<T>, player: usize, reaches: &[Vec<T>]) -> (T, Vec<T>) {
    let plan = form.plan(player);
    let mut gradient = vec![T::zero(); plan.n_sequences()];
    form.gather(player, reaches, &mut gradient);
    let mut choice = vec![0; plan.n_infosets()];
    let value = respond(plan, &mut gradient, |infoset, sequence| choice[infoset] = sequence);
    let mut reach = vec![T::zero(); plan.n_sequences()];
    reach[0] = T::one();
    for (infoset, &sequence) in choice.iter().enumerate() {
        reach[sequence] = reach[plan.parent[infoset] as usize].clone();
    }
    (value, reach)
}

/// Sweeps a player's information sets from the last to the first; `gradient` comes in as gathered and goes out as the
/// values of sequences. Tells `choose` the best sequence of each information set, and returns the value of the game.
fn respond<T: Scalar>(plan: &Plan, gradient: &mut [T], mut choose: impl FnMut(usize, usize)) -> T {
    for infoset in (0..plan.n_infosets()).rev() {
        let range = plan.sequences(infoset);
        let mut best = range.start;
        for s in range {
            if gradient[s] > gradient[best] {
                best = s;
            }
        }
        choose(infoset, best);
        let value = gradient[best].clone();
        let before = &mut gradient[plan.parent[infoset] as usize];
        *before = value + &*before;
    }
    gradient[0].clone()
}
