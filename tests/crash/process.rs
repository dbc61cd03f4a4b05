//! A child of this very test that is killed at a random moment, and the diary it leaves.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::support::Random;

/// The file to which a child writes each call and each answer. A kill may tear a line at the end of a page of the file.
/// So a line counts only with its end mark, and each line begins with a line feed of its own.
#[derive(Clone)]
pub(crate) struct Diary(Arc<File>);

impl Diary {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Arc::new(OpenOptions::new().append(true).create(true).open(path).unwrap()))
    }

    pub(crate) fn note(&self, line: &str) {
        (&*self.0).write_all(format!("\n{line} .\n").as_bytes()).unwrap();
    }

    /// The whole lines of a diary.
    pub(crate) fn lines(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| line.strip_suffix(" .")).map(str::to_owned).collect()
    }
}

/// Signals the parent that the store is open.
pub(crate) fn tell_ready() {
    println!("ready");
    std::io::stdout().flush().unwrap();
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the test `name` in a process of its own, with `value` in the variable `variable`, and kills it.
pub(crate) fn run_and_kill(name: &str, variable: &str, value: &str, random: &mut Random) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let mut child = Killed(child.unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let opening = random.one_in(8);
    if opening {
        // The kill comes while the child opens the store of the last child.
        thread::sleep(Duration::from_micros(random.below(12_000)));
    } else {
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("ready")));
        assert!(ready, "the child died by itself");
        thread::sleep(Duration::from_micros(2_000 + random.below(58_000)));
    }
    let by_itself = child.0.try_wait().unwrap();
    assert!(by_itself.is_none(), "the child ended by itself: {by_itself:?}");
}

/// Says which round it was if `run` panics.
pub(crate) fn eprintln_on_panic(seed: u64, round: u64, run: impl FnOnce()) {
    struct Note(u64, u64);
    impl Drop for Note {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("ZAQAR_SEED={} failed in round {}", self.0, self.1);
            }
        }
    }
    let note = Note(seed, round);
    run();
    drop(note);
}
