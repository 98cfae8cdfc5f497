//! Gambit's `.efg` files: extensive-form games as text.
//!
//! Nodes come in preorder. Outcomes at inner nodes are paid on the way and add up. Numbers are integers, decimals or
//! fractions and are kept exactly. The second and later mentions of an information set, chance event or outcome may
//! leave its description out, and must repeat it exactly if they give it.
//!
//! Not here: checks of recall; whoever needs it asks [`Tree::require_perfect_recall`](crate::extensive::Tree).

mod lexer;
mod read;
mod write;

pub use read::read;
pub use write::write;
