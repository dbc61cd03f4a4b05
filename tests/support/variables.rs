//! The environment variables of the tests. Only this file reads them; `tests/structure` checks that, and that this
//! table names every variable.
//!
//! | Variable | Meaning | Unless set |
//! |---|---|---|
//! | `ZAQAR_SEED` | the seed of random choices; a failing test prints it | 1; `bounded mixes`: 1 to 4; `archive`: 1; `crash` at each operation: 1 to 3; `full_disk`, `export`: 0; `differential`, `histories`, `work`: another at each run |
//! | `ZAQAR_ROUNDS` | rounds of a campaign | `crash power_loss`: 80, `pooled`: 100; `faulty_disk`: 60; `full_disk`: 24, mounted 6; `growth`: 10 000; `lifecycle`: 40, a quarter of them on a real disk; `archive`: 6; `large`: 400 |
//! | `ZAQAR_KILLS` | killed processes | `crash kill`: 200, `pooled`: 25; `work`: 12 |
//! | `ZAQAR_POWER` | `all`: a power cut at every disk operation | at sampled ones |
//! | `ZAQAR_FAULTS` | `all`: every disk call fails in a run of its own | sampled ones |
//! | `ZAQAR_OPS` | calls compared with the model | 120 000; with a ticking clock 40 000; pooled 60 000 |
//! | `ZAQAR_CASES` | cases of `pooled likeness`, random stores of `export` | 40; `export`: 24 |
//! | `ZAQAR_HISTORIES` | histories of each kind | 250 |
//! | `ZAQAR_SCHEDULES` | schedules of either kind for each program | 100 |
//! | `ZAQAR_DAMAGE` | random damages | 240 |
//! | `ZAQAR_QUEUES` | queues that `bounded` makes | 5 000 |
//! | `ZAQAR_MILLIS` | milliseconds for which the threads of `bounded` make calls | 1 500 |
//! | `ZAQAR_STORM` | steps of the first thread in `locks storms` | 60 |
//! | `ZAQAR_CHILD`, `ZAQAR_POOLED_CHILD` | set by `crash` for a child that it kills: the order of the child | not a child |
//! | `ZAQAR_OPENER` | set by `crash opening` for a child: the store to open | not a child |
//! | `ZAQAR_IDLER` | set by `bounded opening` for a child: the store in which to be idle | not a child |
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::env;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

pub(crate) const SEED: Number = Number("ZAQAR_SEED");
pub(crate) const ROUNDS: Number = Number("ZAQAR_ROUNDS");
pub(crate) const KILLS: Number = Number("ZAQAR_KILLS");
pub(crate) const POWER: Extent = Extent("ZAQAR_POWER");
pub(crate) const FAULTS: Extent = Extent("ZAQAR_FAULTS");
pub(crate) const OPS: Number = Number("ZAQAR_OPS");
pub(crate) const CASES: Number = Number("ZAQAR_CASES");
pub(crate) const HISTORIES: Number = Number("ZAQAR_HISTORIES");
pub(crate) const SCHEDULES: Number = Number("ZAQAR_SCHEDULES");
pub(crate) const DAMAGE: Number = Number("ZAQAR_DAMAGE");
pub(crate) const QUEUES: Number = Number("ZAQAR_QUEUES");
pub(crate) const MILLIS: Number = Number("ZAQAR_MILLIS");
pub(crate) const STORM: Number = Number("ZAQAR_STORM");
pub(crate) const CHILD: ChildOrder = ChildOrder("ZAQAR_CHILD");
pub(crate) const POOLED_CHILD: ChildOrder = ChildOrder("ZAQAR_POOLED_CHILD");
pub(crate) const OPENER: ChildOrder = ChildOrder("ZAQAR_OPENER");
pub(crate) const IDLER: ChildOrder = ChildOrder("ZAQAR_IDLER");

/// A variable that sets a number.
#[derive(Clone, Copy)]
pub(crate) struct Number(&'static str);

impl Number {
    /// The number; `None` if the variable is not set. Text that is not a number fails the test.
    pub(crate) fn get<T: FromStr>(self) -> Option<T> {
        let text = env::var(self.0).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{}={text} is not a number", self.0)))
    }

    pub(crate) fn or<T: FromStr>(self, default: T) -> T {
        self.get().unwrap_or(default)
    }

    /// The number, or another one in each run.
    pub(crate) fn or_arbitrary(self) -> u64 {
        self.get().unwrap_or_else(|| RandomState::new().hash_one(0))
    }

    /// The number of milliseconds.
    pub(crate) fn millis_or(self, default: Duration) -> Duration {
        self.get().map_or(default, Duration::from_millis)
    }
}

/// A variable that sets how much is tried: `all`, or samples if it is not set.
#[derive(Clone, Copy)]
pub(crate) struct Extent(&'static str);

impl Extent {
    /// Whether everything is tried. Text other than `all` fails the test.
    pub(crate) fn is_all(self) -> bool {
        let text = env::var(self.0).ok();
        assert!(text.as_ref().is_none_or(|text| text == "all"), "{}={text:?} is not \"all\"", self.0);
        text.is_some()
    }

    /// The distance between two tries, `sampled` unless everything is tried.
    pub(crate) fn stride(self, sampled: u64) -> u64 {
        if self.is_all() { 1 } else { sampled }
    }
}

/// A variable with which a test sends an order to a child, which is a test of the same program.
#[derive(Clone, Copy)]
pub(crate) struct ChildOrder(&'static str);

impl ChildOrder {
    /// Starts the child `test` of this program with the order.
    pub(crate) fn command(self, test: &str, order: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture", "--test-threads", "1"]).env(self.0, order);
        command
    }

    /// The order for this process; `None` in a process that is not a child.
    pub(crate) fn get(self) -> Option<String> {
        env::var(self.0).ok()
    }
}
