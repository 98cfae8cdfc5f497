//! Policy gradients on policy.

pub mod loss;
