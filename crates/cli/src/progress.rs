//! Progress of searches whose length nobody knows: a moving line in a terminal, else a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::note;

/// Without a terminal, a line is written this often.
const EVERY: Duration = Duration::from_secs(10);
/// After this long the rate of a search is known well enough to say how long all of it takes.
const MEASURED: Duration = Duration::from_millis(500);
const YEAR_S: f64 = 365.25 * 86_400.0;

/// Tells how far a search has got.
pub struct Watch {
    bar: ProgressBar,
    unit: &'static str,
    start: Instant,
    /// When the next line is due, where there is no terminal.
    next: Option<Instant>,
    expected: Option<f64>,
    /// Whether the time that the whole search takes is still to be told.
    forecast: bool,
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
        Self {
            bar,
            unit,
            start,
            next: (!terminal && !quiet).then(|| start + EVERY),
            expected,
            forecast: false,
        }
    }

    /// The same, which says how long the whole search takes as soon as its rate has been measured.
    pub fn with_forecast(self) -> Self {
        Self { forecast: true, ..self }
    }

    /// Notes a count; always goes on.
    pub fn tell(&mut self, count: usize) -> bool {
        self.bar.set_position(count as u64);
        if self.forecast && self.start.elapsed() >= MEASURED {
            self.forecast = false;
            self.tell_forecast(count);
        }
        if let Some(next) = self.next
            && Instant::now() >= next
        {
            let of = self.expected.map_or(String::new(), |e| format!(" of about {e:.1e}"));
            note(format!("{count} {}{of} in {:.0} s", self.unit, self.start.elapsed().as_secs_f64()));
            self.next = Some(Instant::now() + EVERY);
        }
        true
    }

    fn tell_forecast(&self, count: usize) {
        let (Some(expected), taken) = (self.expected, self.start.elapsed().as_secs_f64()) else { return };
        let all = in_words(taken * expected / count.max(1) as f64);
        self.bar.suspend(|| note(format!("{count} {} in {taken:.1} s: all take some {all}", self.unit)));
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A long time, roughly.
fn in_words(seconds: f64) -> String {
    match seconds {
        s if s >= 1e4 * YEAR_S => format!("{:.0e} years", s / YEAR_S),
        s if s > 2.0 * YEAR_S => format!("{:.0} years", s / YEAR_S),
        s if s > 2.0 * 86_400.0 => format!("{:.0} days", s / 86_400.0),
        s if s > 2.0 * 3_600.0 => format!("{:.0} hours", s / 3_600.0),
        s if s > 120.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.0} seconds", s.max(1.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn times_are_told_in_fitting_units() {
        for (seconds, words) in [
            (0.2, "1 seconds"),
            (90.0, "90 seconds"),
            (150.0, "2 minutes"),
            (9_000.0, "2 hours"),
            (260_000.0, "3 days"),
            (1e8, "3 years"),
            (3.2e13, "1e6 years"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }
}
