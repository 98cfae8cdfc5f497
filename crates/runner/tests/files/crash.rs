//! A writer that is killed at random moments, and one that runs into a full disk.

use coact_core::{Purpose, Stream};
use coact_runner::checkpoint::{CheckpointStore, Loaded};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const DIR: &str = "COACT_TEST_CRASH_DIR";

/// The parts of step `step`: sizes and bytes follow from it.
fn parts(step: u64) -> Vec<(String, Vec<u8>)> {
    let mut stream = Stream::new(step, Purpose::Step, 0, 0);
    let sizes = [stream.below(3000), 0, stream.below(200_000)];
    let bytes = |n: u32, stream: &mut Stream| (0..n).map(|_| stream.next_u32() as u8).collect();
    sizes.iter().enumerate().map(|(i, &n)| (format!("part-{i}"), bytes(n, &mut stream))).collect()
}

fn save(store: &CheckpointStore, step: u64) -> coact_runner::Result<()> {
    let parts = parts(step);
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
    store.save(step, &parts).map(|_| ())
}

fn assert_right(loaded: &Loaded) {
    assert!(loaded.parts == parts(loaded.env_steps), "step {} has other bytes", loaded.env_steps);
}

/// Not a test: what the killed process does. It goes on from the newest checkpoint and says what is saved.
#[test]
fn writer_process() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = CheckpointStore::open(dir).unwrap();
    let first = store.load_newest().unwrap().map_or(0, |l| l.env_steps);
    for step in first + 1.. {
        match save(&store, step) {
            Ok(()) => println!("\nsaved step={step}"),
            Err(error) => {
                println!("\nerror {error}");
                std::process::exit(1);
            }
        }
    }
}

fn spawn(dir: &Path, wrapper: &[&str]) -> Child {
    let test = std::env::current_exe().unwrap();
    let mut words: Vec<&str> = wrapper.to_vec();
    words.push(test.to_str().unwrap());
    words.extend(["--exact", "crash::writer_process", "--nocapture", "--test-threads=1"]);
    Command::new(words[0])
        .args(&words[1..])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_acknowledged_survives_sigkill_at_random_moments() {
    let n_rounds = if std::env::var_os("COACT_SLOW_TESTS").is_some() { 200 } else { 10 };
    let dir = tempfile::tempdir().unwrap();
    let mut stream = Stream::new(1, Purpose::Step, 0, 0);
    for round in 0..n_rounds {
        let mut child = spawn(dir.path(), &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut acknowledged = 0;
        let mut read = |line: &str| {
            if let Some(step) = line.strip_prefix("saved step=") {
                acknowledged = step.parse().unwrap();
            }
        };
        for line in lines.by_ref().take(3 + stream.below(6) as usize) {
            read(&line);
        }
        let moment = Instant::now() + Duration::from_micros(u64::from(stream.below(8000)));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines {
            read(&line);
        }
        let loaded = CheckpointStore::open_read_only(dir.path()).load_newest().unwrap();
        let Some(loaded) = loaded else {
            assert_eq!(acknowledged, 0, "round {round}");
            continue;
        };
        assert!(loaded.env_steps >= acknowledged, "round {round}: {} < {acknowledged}", loaded.env_steps);
        assert_eq!(loaded.skipped, [], "round {round}");
        assert_right(&loaded);
    }
}

/// A limit on file size refuses writes just as a full disk does.
#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_and_the_old_checkpoint_stays() {
    let dir = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(dir.path()).unwrap();
    // Find a step whose largest part is beyond any reading of `ulimit -f 40` (20 or 40 KiB).
    let too_large = (1..).find(|&s| parts(s)[2].1.len() > 60_000).unwrap();
    save(&store, too_large - 1).unwrap();
    let child = spawn(dir.path(), &["sh", "-c", "trap '' XFSZ; ulimit -f 40; exec \"$@\"", "sh"]);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = text.lines().find(|l| l.starts_with("error")).unwrap();
    assert!(error.contains("part-2") && error.contains("free some space"), "{error}");
    assert!(!output.status.success());
    let loaded = CheckpointStore::open_read_only(dir.path()).load_newest().unwrap().unwrap();
    assert_eq!(loaded.env_steps, too_large - 1);
    assert_right(&loaded);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half written is left");
}
