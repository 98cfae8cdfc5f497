//! Signs of life of work that may be long, from a thread of their own, so that they come while the work tells nothing.
//! Not here: counts that are told all the time, see [`crate::progress`].

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::console::note;

/// How long work must last before it is shown in a terminal.
const SHORT: Duration = Duration::from_secs(1);
/// How often the moving line takes news.
const NEWS: Duration = Duration::from_millis(200);
/// Without a terminal, a line is written this often.
const EVERY: Duration = Duration::from_secs(10);

/// Shows that work goes on, and what it last told: in a terminal a moving line, else a line now and then, from a thread of its
/// own. Nothing at all where it is quiet, and nothing before the first second is over, or ten where there is no terminal.
pub struct Pulse {
    bar: ProgressBar,
    told: Arc<Mutex<String>>,
    ticker: Option<(Sender<()>, JoinHandle<()>)>,
    start: Instant,
    /// When the moving line takes news next.
    next: Instant,
}

impl Pulse {
    /// Begins to show work called `what`.
    pub fn new(what: &str, quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let told = Arc::new(Mutex::new(what.to_owned()));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let start = Instant::now();
        let ticker = (!quiet).then(|| {
            let (told, bar) = (told.clone(), bar.clone());
            let show = move |is_first: bool| {
                let text = told.lock().map(|text| text.clone()).unwrap_or_default();
                if !is_terminal {
                    note(format!("{text}, {:.0} s", start.elapsed().as_secs_f64()));
                    return;
                }
                if is_first {
                    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
                    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
                        bar.set_style(style);
                    }
                }
                bar.set_message(text);
                bar.tick();
            };
            if is_terminal { tick(SHORT, NEWS, show) } else { tick(EVERY, EVERY, show) }
        });
        Self { bar, told, ticker, start, next: start }
    }

    /// What is known by now, such as rounds; with messages, how many come in a second.
    pub fn tell(&mut self, text: impl FnOnce() -> String, n_messages: u64) {
        let now = Instant::now();
        if self.ticker.is_none() || now < self.next {
            return;
        }
        self.next = now + NEWS;
        if let Ok(mut told) = self.told.lock() {
            *told = text() + &rate(n_messages, now.duration_since(self.start));
        }
    }

    /// Takes the moving line away.
    pub fn finish(self) {
        if let Some((stop, thread)) = self.ticker {
            drop(stop);
            // A thread that panicked has nothing more to show.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// Calls `show` on a thread when work is no longer short, then again and again, until the sender is dropped.
fn tick(
    first: Duration,
    every: Duration,
    show: impl Fn(bool) + Send + 'static,
) -> (Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = channel();
    let thread = std::thread::spawn(move || {
        let (mut wait, mut is_first) = (first, true);
        while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            show(is_first);
            (wait, is_first) = (every, false);
        }
    });
    (stop, thread)
}

/// ", 1234 messages, 617 a second"; nothing without messages.
fn rate(n_messages: u64, elapsed: Duration) -> String {
    if n_messages == 0 {
        return String::new();
    }
    let a_second = n_messages as f64 / elapsed.as_secs_f64().max(1e-3);
    format!(", {n_messages} messages, {a_second:.0} a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_with_their_rate() {
        assert_eq!(rate(0, Duration::from_secs(2)), "");
        assert_eq!(rate(1234, Duration::from_secs(2)), ", 1234 messages, 617 a second");
        assert_eq!(rate(5, Duration::ZERO), ", 5 messages, 5000 a second");
    }

    #[test]
    fn quiet_work_has_no_thread_and_takes_no_news() {
        let mut pulse = Pulse::new("work", true);
        assert!(pulse.ticker.is_none());
        pulse.tell(|| unreachable!("nobody reads it"), 1);
        pulse.finish();
    }

    /// Work that ends within the first second shows nothing.
    #[test]
    fn short_work_is_not_shown() {
        let (shown, seen) = channel();
        let (stop, thread) = tick(SHORT, EVERY, move |is_first| shown.send(is_first).unwrap_or(()));
        drop(stop);
        thread.join().unwrap_or(());
        assert!(seen.recv().is_err());
    }

    #[test]
    fn news_reach_the_line() {
        let mut pulse = Pulse::new("work", false);
        pulse.next = pulse.start;
        pulse.tell(|| "round 7".into(), 0);
        // Too soon after the last.
        pulse.tell(|| "round 8".into(), 0);
        assert_eq!(*pulse.told.lock().map_err(|_| ()).unwrap_or_else(|()| unreachable!()), "round 7");
        pulse.finish();
    }
}
