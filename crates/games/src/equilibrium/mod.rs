//! Equilibria of games in normal form. Every method has a certificate that [`crate::certificate`] checks with code
//! of its own.
//!
//! For two players: [`vertex_enumeration`] (all extreme equilibria), [`support_enumeration`], [`lemke_howson`] (one,
//! fast), [`zero_sum()`]. For any number: [`pure_equilibria`], [`iterated_dominance`], [`correlated()`],
//! [`polynomial_supports`] (small games). Leader and follower: [`stackelberg()`].

mod correlated;
mod dominance;
mod lemke_howson;
mod polynomial;
mod polytope;
mod pure;
mod stackelberg;
mod support;
mod vertex;
mod zero_sum;

pub use correlated::{Concept, Correlated, Selection, correlated};
pub use dominance::{Dominance, iterated_dominance};
pub use lemke_howson::{PathEnd, lemke_howson, lemke_howson_all};
pub use polynomial::{Polynomial, polynomial_supports, rationalize};
pub use pure::pure_equilibria;
pub use stackelberg::{Commitment, stackelberg};
pub use support::support_enumeration;
pub use vertex::{expected_vertices, vertex_enumeration};
pub use zero_sum::{ZeroSum, zero_sum};

#[cfg(test)]
mod tests;
