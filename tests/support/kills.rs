//! Children of this very test that are killed at random moments, in rounds, and the diaries they leave.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::variables::{ChildOrder, KILLS, SEED};

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

/// The values that a child gets from its parent.
pub(crate) struct Order {
    pub(crate) root: PathBuf,
    pub(crate) diary: Diary,
    pub(crate) seed: u64,
}

impl Order {
    /// The order in the variable `variable`; `None` in a process that is not a child.
    pub(crate) fn read(variable: ChildOrder) -> Option<Self> {
        let text = variable.get()?;
        let mut parts = text.split('|');
        let root = PathBuf::from(parts.next().unwrap());
        let diary = Diary::open(Path::new(parts.next().unwrap()));
        Some(Self { root, diary, seed: parts.next().unwrap().parse().unwrap() })
    }
}

/// The rounds of a test. In each round a child opens the store that the last child left, and is killed. In every third
/// round a second child opens the killed store and is killed too, before the check.
pub(crate) struct Kills {
    /// The test that is the child, and the variable with its [`Order`].
    pub(crate) child: (&'static str, ChildOrder),
    /// The number of rounds, unless `ZAQAR_KILLS` sets it.
    pub(crate) rounds: u64,
}

/// The rounds that were made.
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) rounds: u64,
    pub(crate) kills: u64,
    pub(crate) took: Duration,
}

impl Kills {
    /// Makes the rounds. `read` reads the diary of each child, and `check` compares the store at the path with the
    /// diary; it also gets the number of the round.
    pub(crate) fn run<T>(
        &self,
        state: &mut T,
        read: impl Fn(&mut T, &Path),
        check: impl Fn(&mut T, &Path, u64, &mut Random),
    ) -> Outcome {
        let (rounds, seed) = (KILLS.or(self.rounds), SEED.or(1));
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let mut random = Random::new(seed);
        let (mut kills, started) = (0, Instant::now());
        for round in 0..rounds {
            eprintln_on_panic(seed, round, || {
                for life in 0..=u64::from(random.one_in(3)) {
                    let diary = folder.path().join(format!("{round}.{life}"));
                    drop(Diary::open(&diary));
                    let order = format!("{}|{}|{}", root.display(), diary.display(), seed * 100_000 + round * 2 + life);
                    run_and_kill(self.child.0, self.child.1, &order, &mut random);
                    read(state, &diary);
                    kills += 1;
                }
                check(state, &root, round, &mut random);
            });
        }
        Outcome { seed, rounds, kills, took: started.elapsed() }
    }
}

/// Runs the test `name` in a process of its own, with the order `value`, and kills it.
fn run_and_kill(name: &str, variable: ChildOrder, value: &str, random: &mut Random) {
    let child = variable.command(name, value).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
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
fn eprintln_on_panic(seed: u64, round: u64, run: impl FnOnce()) {
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
