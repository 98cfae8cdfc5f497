//! A controller for `cartpole`: pushes right when a weighted sum of place, speed, angle and turning is positive.
//!
//! The weights are about those of a linear-quadratic regulator of the equations at rest: to get a cart back to the middle
//! it must first go out a little farther, so that the pole leans inwards.

use super::{Choice, Draws, Script, ScriptEntry, Seen};

pub const BALANCE: ScriptEntry = ScriptEntry {
    envs: &["cartpole"],
    group: "cart",
    name: "balance",
    summary: "pushes to where the pole falls, and a little to where the cart is, so that the pole leans inwards",
    build: |_, _| Ok(Box::new(Balance)),
};

/// Weights of place, speed, angle and turning.
const WEIGHTS: [f32; 4] = [1.0, 1.5, 20.0, 3.5];

struct Balance;

impl Script for Balance {
    fn act(&mut self, _agent: usize, Seen { obs, .. }: Seen<'_>, _draws: Draws, action: Choice<'_>) {
        let Choice::Discrete(action) = action else { return };
        let lean: f32 = obs.iter().zip(WEIGHTS).map(|(x, weight)| x * weight).sum();
        *action = u32::from(lean > 0.0);
    }
}
