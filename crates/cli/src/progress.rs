//! Progress of searches whose length nobody knows: a moving line in a terminal, else a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::note;

/// Without a terminal, a line is written this often.
const EVERY: Duration = Duration::from_secs(10);

/// Tells how far a search has got.
pub struct Watch {
    bar: ProgressBar,
    unit: &'static str,
    start: Instant,
    /// When the next line is due, where there is no terminal.
    next: Option<Instant>,
    expected: Option<f64>,
}

impl Watch {
    /// A watch over something counted in `unit`, of which about `expected` are needed.
    pub fn new(unit: &'static str, expected: Option<f64>, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = match terminal && !quiet {
            true => ProgressDrawTarget::stderr_with_hz(5),
            false => ProgressDrawTarget::hidden(),
        };
        let length = expected.filter(|e| *e < 1e15).map(|e| e.max(1.0) as u64);
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) => "{bar:24} {pos} of about {len} {msg}, {per_sec}, {eta} left",
            None => "{spinner} {pos} {msg}, {per_sec}, {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(unit);
        let start = Instant::now();
        Self { bar, unit, start, next: (!terminal && !quiet).then(|| start + EVERY), expected }
    }

    /// Notes a count; always goes on.
    pub fn tell(&mut self, count: usize) -> bool {
        self.bar.set_position(count as u64);
        if let Some(next) = self.next
            && Instant::now() >= next
        {
            let of = self.expected.map_or(String::new(), |e| format!(" of about {e:.1e}"));
            note(format!("{count} {}{of} in {:.0} s", self.unit, self.start.elapsed().as_secs_f64()));
            self.next = Some(Instant::now() + EVERY);
        }
        true
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
