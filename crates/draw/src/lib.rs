//! Scenes of environments as pictures and as characters, what `coact play` and the Python package show; and line charts.
//!
//! * [`picture`]: one frame, a strip of frames (PNG), an animation (GIF).
//! * [`plot`]: line charts; [`document`]: one as a file of its own.
//! * [`terminal`]: characters, in color or plain.
//!
//! Not here: what a moment looks like ([`coact_core::scene`] says it), files, printing.

pub mod document;
mod font;
mod palette;
pub mod picture;
pub mod plot;
pub mod terminal;
