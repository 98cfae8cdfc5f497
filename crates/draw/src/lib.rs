//! Scenes of environments as pictures and as characters: what `coact play` and the Python package show.
//!
//! * [`picture`]: one frame, a strip of frames (PNG), an animation (GIF).
//! * [`terminal`]: characters, in color or plain.
//!
//! Not here: what a moment looks like ([`coact_core::scene`] says it), files, printing.

mod font;
mod palette;
pub mod picture;
pub mod terminal;
