//! One contest: the same work done by ours, at one or more numbers of threads, and by peers, in turn.
//!
//! Every repetition runs each contender once, forward in even repetitions and backward in odd ones, so that a machine
//! that slows down slows both. What is reported is the median; the first, untimed call of each is the warm-up.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::peer::Peers;
use crate::report::{Measurement, Theirs};

/// What a value counts, and so whether small or large is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    /// Microseconds an item.
    Microseconds,
    /// Nanoseconds an item.
    Nanoseconds,
    /// Items a second.
    PerSecond(&'static str),
    /// 10^9 items a second.
    Giga(&'static str),
}

impl Unit {
    /// Name as printed and written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Microseconds => "us",
            Self::Nanoseconds => "ns",
            Self::PerSecond(name) | Self::Giga(name) => name,
        }
    }

    /// The value of so many seconds an item.
    pub fn value(self, seconds: f64) -> f64 {
        match self {
            Self::Microseconds => seconds * 1e6,
            Self::Nanoseconds => seconds * 1e9,
            Self::PerSecond(_) => 1.0 / seconds,
            Self::Giga(_) => 1e-9 / seconds,
        }
    }

    /// Whether `value` is at least as good as `goal`.
    pub fn meets(self, value: f64, goal: f64) -> bool {
        match self {
            Self::Microseconds | Self::Nanoseconds => value <= goal,
            Self::PerSecond(_) | Self::Giga(_) => value >= goal,
        }
    }
}

/// Our side: makes `n` calls.
pub type Run<'a> = Box<dyn FnMut(u64) -> Result<(), String> + 'a>;

/// Their side: a measurement that a peer's script offers.
pub struct PeerCall {
    /// Name of the peer, for example `jax`.
    pub peer: &'static str,
    /// Name of the measurement in its script.
    pub measure: &'static str,
    /// Its parameters.
    pub params: Value,
    /// Items in one call, in the sense of [`Contest::items`].
    pub items: f64,
    /// Appended to the name of the measurement where a peer is measured in two ways, else empty.
    pub variant: &'static str,
    /// Ratio that ours is meant to reach.
    pub goal: Option<f64>,
}

/// A bound of this machine, measured by us in the same contest, for example its multiply-add peak.
pub struct Bound<'a> {
    /// Name, for example `multiply-add-peak`.
    pub name: &'static str,
    /// Items in one call, in the sense of [`Contest::items`].
    pub items: f64,
    /// What reaches the bound.
    pub run: Run<'a>,
    /// Ratio that ours is meant to reach.
    pub goal: Option<f64>,
}

/// The same work for everyone.
pub struct Contest<'a> {
    /// Name of the measurement, for example `update/vdn/b32`.
    pub name: String,
    /// Unit of the value.
    pub unit: Unit,
    /// Items (rows, steps, entries, operations) that one call of ours works on; the value is for one item.
    pub items: f64,
    /// Value that ours is meant to reach.
    pub goal: Option<f64>,
    /// Ours, with the number of threads.
    pub ours: Vec<(usize, Run<'a>)>,
    /// Theirs.
    pub peers: Vec<PeerCall>,
    /// What bounds ours, if it is measured.
    pub bound: Option<Bound<'a>>,
}

/// How carefully to measure.
#[derive(Debug, Clone, Copy)]
pub struct Care {
    /// Timed repetitions of each contender, at least 5.
    pub repetitions: usize,
    /// Seconds that one repetition lasts at least.
    pub min_seconds: f64,
}

impl Care {
    /// For claims.
    pub const FULL: Self = Self { repetitions: 9, min_seconds: 0.25 };
    /// For a look.
    pub const QUICK: Self = Self { repetitions: 5, min_seconds: 0.02 };
}

/// Seconds an item of one contender, over repetitions.
struct Series {
    threads: usize,
    seconds: Vec<f64>,
}

/// Who takes part, beside ours in the order of [`Contest::ours`].
enum Rival {
    Bound,
    /// Index of the call, and of the process that makes it.
    Peer(usize, usize),
}

impl Contest<'_> {
    /// Runs the contest: one measurement a peer or bound, or one alone. A peer that fails is told of and left out.
    ///
    /// # Errors
    /// What our side said.
    pub fn run(mut self, care: Care, peers: &mut Peers) -> Result<Vec<Measurement>, String> {
        let mut ours = Vec::new();
        let mut calls = Vec::new();
        for (threads, run) in &mut self.ours {
            calls.push(warmed_up(run, care.min_seconds)?);
            ours.push(Series { threads: *threads, seconds: Vec::new() });
        }
        let mut rivals = Vec::new();
        if let Some(bound) = &mut self.bound {
            calls.push(warmed_up(&mut bound.run, care.min_seconds)?);
            rivals.push((Rival::Bound, Series { threads: 1, seconds: Vec::new() }));
        }
        for (i, call) in self.peers.iter().enumerate() {
            for (process, threads) in peers.of(call.peer) {
                // The first request builds, warms up and finds the number of calls.
                if peers.time(process, call.measure, &call.params, care.min_seconds).is_some() {
                    rivals.push((Rival::Peer(i, process), Series { threads, seconds: Vec::new() }));
                }
            }
        }
        let n = ours.len() + rivals.len();
        for repetition in 0..care.repetitions {
            for turn in 0..n {
                let who = if repetition % 2 == 0 { turn } else { n - 1 - turn };
                if let Some(series) = ours.get_mut(who) {
                    let took = timed(&mut self.ours[who].1, calls[who])?;
                    series.seconds.push(took / (calls[who] as f64 * self.items));
                    continue;
                }
                let (rival, series) = &mut rivals[who - ours.len()];
                series.seconds.extend(self.time_rival(rival, calls.get(ours.len()).copied(), care, peers)?);
            }
        }
        Ok(self.report(&ours, &rivals))
    }

    /// Seconds an item of a rival; none if it failed this time.
    fn time_rival(
        &mut self,
        rival: &Rival,
        calls: Option<u64>,
        care: Care,
        peers: &mut Peers,
    ) -> Result<Option<f64>, String> {
        match (rival, &mut self.bound) {
            (Rival::Bound, Some(bound)) => {
                let calls = calls.unwrap_or(1);
                Ok(Some(timed(&mut bound.run, calls)? / (calls as f64 * bound.items)))
            }
            (Rival::Bound, None) => Ok(None),
            (Rival::Peer(i, process), _) => {
                let call = &self.peers[*i];
                let each = peers.time(*process, call.measure, &call.params, care.min_seconds);
                Ok(each.map(|seconds| seconds / call.items))
            }
        }
    }

    fn report(&self, ours: &[Series], rivals: &[(Rival, Series)]) -> Vec<Measurement> {
        let Some((own, own_seconds)) = best(ours.iter()) else { return Vec::new() };
        let value = self.unit.value(own_seconds);
        let alone = Measurement {
            name: self.name.clone(),
            value,
            unit: self.unit.name(),
            threads: own.threads,
            spread: spread(&own.seconds),
            goal: self.goal.map(|goal| (goal, self.unit.meets(value, goal))),
            theirs: None,
            more: Value::Null,
        };
        let beside = |peer, variant: &str, goal: Option<f64>, runs: Vec<&Series>| {
            let (series, seconds) = best(runs.into_iter())?;
            let ratio = seconds / own_seconds;
            let theirs = Theirs {
                peer,
                value: self.unit.value(seconds),
                threads: series.threads,
                spread: spread(&series.seconds),
                ratio,
                goal: goal.map(|goal| (goal, ratio >= goal)),
            };
            let name = format!("{}{variant}", self.name);
            Some(Measurement { name, theirs: Some(theirs), ..alone.clone() })
        };
        let runs =
            |is: &dyn Fn(&Rival) -> bool| rivals.iter().filter(|(r, _)| is(r)).map(|(_, s)| s).collect();
        let mut found = Vec::new();
        if let Some(bound) = &self.bound {
            found.extend(beside(bound.name, "", bound.goal, runs(&|r| matches!(r, Rival::Bound))));
        }
        for (i, call) in self.peers.iter().enumerate() {
            let its = runs(&|r| matches!(r, Rival::Peer(of, _) if *of == i));
            found.extend(beside(call.peer, call.variant, call.goal, its));
        }
        if found.is_empty() { vec![alone] } else { found }
    }
}

/// Makes one call, and returns the number of calls that lasts at least `min_seconds`.
fn warmed_up(run: &mut Run<'_>, min_seconds: f64) -> Result<u64, String> {
    run(1)?;
    calls_for(run, min_seconds)
}

/// The series with the smallest median, with that median; series that were never timed are left out.
fn best<'a>(all: impl Iterator<Item = &'a Series>) -> Option<(&'a Series, f64)> {
    let timed = all.filter(|s| !s.seconds.is_empty()).map(|s| (s, median(&s.seconds)));
    timed.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    if n == 0 { f64::NAN } else { (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0 }
}

/// Median absolute deviation as a fraction of the median.
pub fn spread(values: &[f64]) -> f64 {
    let middle = median(values);
    median(&values.iter().map(|v| (v - middle).abs()).collect::<Vec<_>>()) / middle
}

/// How long `calls` calls take, for a harness of another kind.
///
/// # Panics
/// If a call fails: such a benchmark measures nothing.
pub fn lasting(run: &mut Run<'_>, calls: u64) -> Duration {
    match timed(run, calls) {
        Ok(seconds) => Duration::from_secs_f64(seconds),
        Err(why) => panic!("{why}"),
    }
}

/// Seconds that `calls` calls take.
fn timed(run: &mut Run<'_>, calls: u64) -> Result<f64, String> {
    let start = Instant::now();
    run(calls)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds a call, over as many calls as last at least `min_seconds`.
///
/// # Errors
/// What a call said.
pub fn seconds_a_call(run: &mut Run<'_>, min_seconds: f64) -> Result<f64, String> {
    let calls = warmed_up(run, min_seconds)?;
    Ok(timed(run, calls)? / calls as f64)
}

/// Number of calls that lasts at least `min_seconds`.
fn calls_for(run: &mut Run<'_>, min_seconds: f64) -> Result<u64, String> {
    let mut calls = 1_u64;
    loop {
        let took = timed(run, calls)?;
        if took >= min_seconds {
            return Ok(calls);
        }
        let guess = (calls as f64 * min_seconds / took.max(1e-9)) as u64 + 1;
        calls = (calls * 2).max(guess.min(calls * 16));
    }
}

/// Parameters for a peer's script.
pub fn params(pairs: &[(&str, f64)]) -> Value {
    let whole = |v: f64| if v.fract() == 0.0 { json!(v as i64) } else { json!(v) };
    Value::Object(pairs.iter().map(|&(k, v)| (k.to_owned(), whole(v))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(spread(&[9.0, 10.0, 12.0]), 0.1);
    }

    fn contest(unit: Unit) -> Contest<'static> {
        Contest {
            name: "work".to_owned(),
            unit,
            items: 1.0,
            goal: None,
            ours: Vec::new(),
            peers: Vec::new(),
            bound: None,
        }
    }

    fn series(threads: usize, seconds: &[f64]) -> Series {
        Series { threads, seconds: seconds.to_vec() }
    }

    #[test]
    fn the_faster_number_of_threads_counts_on_both_sides() {
        let params = Value::Null;
        let peer = PeerCall { peer: "jax", measure: "m", params, items: 1.0, variant: "/v", goal: Some(3.0) };
        let contest = Contest { goal: Some(1.5), peers: vec![peer], ..contest(Unit::Microseconds) };
        // One slow outlier, as a busy machine makes them, moves no median.
        let ours = [series(1, &[3e-6, 3e-6, 3e-6]), series(2, &[2e-6, 9e-6, 1e-6])];
        let theirs = [
            (Rival::Peer(0, 0), series(1, &[8e-6, 8e-6, 8e-6])),
            (Rival::Peer(0, 1), series(2, &[5e-6, 5e-6, 7e-6])),
        ];
        let found = contest.report(&ours, &theirs);
        assert_eq!(found.len(), 1);
        let (own, theirs) = (&found[0], found[0].theirs.as_ref().unwrap());
        assert_eq!((own.name.as_str(), own.threads, theirs.threads), ("work/v", 2, 2));
        assert!((own.value - 2.0).abs() < 1e-9 && (theirs.ratio - 2.5).abs() < 1e-9, "{own:?}");
        assert_eq!((own.goal, theirs.goal), (Some((1.5, false)), Some((3.0, false))));
    }

    #[test]
    fn a_peer_that_failed_is_left_out_and_a_bound_is_a_ratio() {
        let bound = Bound { name: "peak", items: 1.0, run: Box::new(|_| Ok(())), goal: Some(0.95) };
        let contest = Contest { bound: Some(bound), ..contest(Unit::Giga("G/s")) };
        let ours = [series(1, &[2e-9])];
        let found = contest.report(&ours, &[(Rival::Bound, series(1, &[1e-9]))]);
        let peak = found[0].theirs.as_ref().unwrap();
        assert!((found[0].value - 0.5).abs() < 1e-9 && (peak.value - 1.0).abs() < 1e-9);
        assert_eq!((peak.peer, peak.goal), ("peak", Some((0.95, false))));
        assert_eq!(contest.report(&ours, &[(Rival::Bound, series(1, &[]))])[0].theirs, None);
    }

    #[test]
    fn every_contender_is_timed_in_every_repetition() {
        let count = std::rc::Rc::new(std::cell::Cell::new(0_u64));
        let counted = || -> Run<'static> {
            let count = count.clone();
            Box::new(move |n| {
                count.set(count.get() + n);
                std::hint::black_box((0..1000).fold(0_u64, |a, b| std::hint::black_box(a + b)));
                Ok(())
            })
        };
        let ours = vec![(1, counted()), (2, counted())];
        // A repetition of one call each: what is counted is warm-up (one call) and search (one call) besides.
        let care = Care { repetitions: 5, min_seconds: 0.0 };
        let found = Contest { ours, ..contest(Unit::Nanoseconds) }.run(care, &mut Peers::none()).unwrap();
        assert_eq!((found.len(), count.get()), (1, 2 * (2 + 5)));
    }

    #[test]
    fn our_error_ends_the_contest() {
        let fail: Run<'static> = Box::new(|_| Err("no rows".to_owned()));
        let contest = Contest { ours: vec![(1, fail)], ..contest(Unit::Nanoseconds) };
        assert_eq!(contest.run(Care::QUICK, &mut Peers::none()).unwrap_err(), "no rows");
    }

    #[test]
    fn units() {
        assert!(Unit::Microseconds.meets(5.0, 6.0) && !Unit::PerSecond("steps/s").meets(5.0, 6.0));
        assert!((Unit::Giga("GFLOP/s").value(1e-9) - 1.0).abs() < 1e-12);
        assert_eq!(params(&[("batch", 32.0), ("epsilon", 0.05)]), json!({"batch": 32, "epsilon": 0.05}));
    }
}
