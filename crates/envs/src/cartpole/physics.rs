//! One Euler step of a cart with a pole, over any [`Real`]. Not here: who pushes, who is alive, what it pays.

use crate::real::{Formula, Real};

/// How positions and velocities are advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Integrator {
    /// Positions move with the old velocities, as in CartPole-v1.
    Euler,
    /// Velocities first, positions with the new ones.
    SemiImplicit,
}

/// The constants of Gymnasium's `CartPoleEnv`, and the integrator.
#[derive(Debug, Clone, Copy)]
pub struct CartPolePhysics {
    /// How positions and velocities are advanced.
    pub integrator: Integrator,
}

const GRAVITY: f64 = 9.8;
const MASS_POLE: f64 = 0.1;
const TOTAL_MASS: f64 = 1.0 + MASS_POLE;
const HALF_LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = MASS_POLE * HALF_LENGTH;
const TAU: f64 = 0.02;
const ANGLE_LIMIT: f64 = 12.0 * std::f64::consts::TAU / 360.0;
const POSITION_LIMIT: f64 = 2.4;

impl CartPolePhysics {
    /// `[x, x_dot, theta, theta_dot]` after 0.02 s under `force` in N, for a pole that has not fallen (f32 asks for
    /// |theta| <= pi/4).
    #[inline(always)]
    pub fn step<R: Real>(&self, [x, v, theta, omega]: [R; 4], force: R) -> [R; 4] {
        R::each(self, [x, v, theta, omega, force])
    }

    /// Whether the cart left its track or the pole its 12 degrees.
    #[inline(always)]
    pub fn fallen<R: Real>(state: [R; 4]) -> R::Mask {
        let off = R::of(POSITION_LIMIT).less(state[0].abs());
        R::or(off, R::of(ANGLE_LIMIT).less(state[2].abs()))
    }
}

impl Formula<5, 4> for CartPolePhysics {
    #[inline(always)]
    fn of<R: Real>(&self, [x, v, theta, omega, force]: [R; 5]) -> [R; 4] {
        let inverse_mass = R::of(1.0 / TOTAL_MASS);
        let (sin, cos) = theta.sin_cos_small();
        let temp = (force + R::of(POLE_MASS_LENGTH) * (omega * omega) * sin) * inverse_mass;
        let below =
            R::of(HALF_LENGTH * 4.0 / 3.0) - R::of(HALF_LENGTH * MASS_POLE / TOTAL_MASS) * (cos * cos);
        let alpha = (R::of(GRAVITY) * sin - cos * temp) / below;
        let a = temp - R::of(POLE_MASS_LENGTH / TOTAL_MASS) * alpha * cos;
        let tau = R::of(TAU);
        let (new_v, new_omega) = (v + tau * a, omega + tau * alpha);
        match self.integrator {
            Integrator::Euler => [x + tau * v, new_v, theta + tau * omega, new_omega],
            Integrator::SemiImplicit => [x + tau * new_v, new_v, theta + tau * new_omega, new_omega],
        }
    }
}
