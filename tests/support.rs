//! The support that the tests share, and the tests of its checks: they reject wrong answers.
//!
//! | File in `support` | What it has |
//! |---|---|
//! | `variables` | the environment variables, with their defaults |
//! | `values` | names, ids and options that every test may use; how many seconds |
//! | `random` | numbers from a seed |
//! | `clock` | a clock that ticks, and one whose readings are counted, delayed and interrupted |
//! | `ledger` | what calls acknowledged, and the comparison with what a store holds |
//! | `kills` | children that are killed, and the diaries they leave |
//! | `images` | the files of a simulated disk as bytes |
//! | `wrapped_disk` | a disk with a hook around each call |
//! | `metered`, `severed`, `tracked_disk`, `turbulence` | hooks: count, cut off, record an owner's late changes, delay |
//! | `subject` | an engine or a pooled driver beside the reference model, also for fuzzing |
//!
//! A test includes the files that it needs with `#[path]`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/clock.rs"]
mod clock;
#[path = "support/ledger.rs"]
mod ledger;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use zaqar_sled::{Clock, ManualClock, Timestamp};

use clock::{Reading, TickingClock, WatchedClock, interrupt_at, was_interrupted};
use ledger::Ledger;

/// The message of the panic that `check` ends with; empty if it does not panic.
fn objection(check: impl FnOnce()) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(check)) else { return String::new() };
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

/// Messages 1 to 3 were posted; 3 was removed.
fn ledger() -> Ledger<u32, &'static str> {
    let mut ledger = Ledger::default();
    ledger.posted([(1, "one"), (2, "two"), (3, "three")]);
    assert!(ledger.removed(&3) && !ledger.removed(&3));
    ledger
}

#[test]
fn a_ledger_accepts_exactly_what_was_acknowledged() {
    let check = |held: &[(u32, &'static str)]| objection(|| ledger().check(held.iter().copied(), "here"));
    assert_eq!(check(&[(2, "two"), (1, "one")]), "");
    assert!(check(&[(1, "one")]).contains("1 of 2 are lost, 0 may be: Some(2)"));
    assert!(check(&[(1, "one"), (2, "too")]).contains("2 has another content"));
    assert!(check(&[(1, "one"), (2, "two"), (3, "three")]).contains("3 has come back"));
    assert!(check(&[(1, "one"), (2, "two"), (4, "four")]).contains("1 that no call posted, 0 may be"));
    assert!(check(&[(1, "one"), (1, "one"), (2, "two")]).contains("1 is there twice"));
}

#[test]
fn a_ledger_rejects_answers_that_contradict_each_other() {
    assert!(objection(|| ledger().posted([(1, "one")])).contains("1 was given out twice"));
    assert!(objection(|| ledger().taken(&3)).contains("3 was taken twice"));
    // Another caller takes a message before its post has returned.
    let mut ledger = ledger();
    ledger.taken(&4);
    assert!(objection(|| ledger.check([(1, "one"), (2, "two")], "here")).contains("1 that no call posted"));
    ledger.posted([(4, "four")]);
    ledger.check([(1, "one"), (2, "two")], "here");
    assert!(ledger.is_gone(&4) && !ledger.live().contains_key(&4));
    ledger.emptied();
    ledger.check([(0, "none"); 0], "here");
}

#[test]
fn allowances_of_a_ledger_are_for_so_many_and_end_when_it_is_settled() {
    let mut ledger = ledger();
    ledger.may_have_posted(1);
    ledger.may_be_missing(1);
    ledger.check([(2, "two"), (7, "seven")], "here");
    assert!(objection(|| ledger.check([(1, "one")], "here")).contains("1 of 2 are lost"));
    assert!(objection(|| ledger.check([(2, "two"), (7, ""), (8, "")], "here")).contains("2 that no call posted"));
    ledger.may_have_taken(1);
    ledger.check([(1, "one")], "here");
    ledger.settle([(2, "two"), (7, "seven")]);
    ledger.check([(2, "two"), (7, "seven")], "here");
    assert!(objection(|| ledger.check([(7, "seven")], "here")).contains("1 of 2 are lost, 0 may be"));
    assert!(objection(|| ledger.check([(1, "one"), (2, "two"), (7, "seven")], "here")).contains("1 has come back"));
    assert_eq!(ledger.shown(), 4);
}

#[test]
fn a_ledger_knows_a_message_that_is_gone_and_no_other() {
    let ledger = ledger();
    ledger.assert_live(&1, &"one", "here");
    ledger.assert_known(&3, &"three", "here");
    assert!(objection(|| ledger.assert_live(&3, &"three", "here")).contains("3 is not to be there"));
    assert!(objection(|| ledger.assert_live(&1, &"1", "here")).contains("another content"));
    assert!(objection(|| ledger.assert_known(&1, &"1", "here")).contains("another content"));
    assert!(objection(|| ledger.assert_known(&4, &"four", "here")).contains("4 never was"));
}

#[test]
fn hooks_of_a_watched_clock_run_around_each_reading() {
    let start = Timestamp::from_millis(1_000);
    let clock = WatchedClock::at(start);
    clock.before_each(|number, clock: &ManualClock| clock.advance(Duration::from_millis(number)));
    let seen = Arc::new(AtomicU64::new(0));
    clock.after_each({
        let seen = seen.clone();
        move |number, reading, clock| {
            let read = match reading {
                Reading::Wall(wall) => wall.as_millis() - 1_000,
                Reading::Monotonic(monotonic) => u64::try_from(monotonic.as_millis()).unwrap(),
            };
            seen.store(number * 100 + read, Ordering::SeqCst);
            clock.advance(Duration::from_millis(10));
        }
    });
    assert_eq!((clock.wall().as_millis(), seen.load(Ordering::SeqCst)), (1_001, 101));
    assert_eq!((clock.monotonic(), seen.load(Ordering::SeqCst)), (Duration::from_millis(13), 213));
    assert_eq!((clock.readings(), clock.within().wall().as_millis()), (2, 1_023));
}

#[test]
fn an_interrupt_comes_once_at_the_chosen_reading_of_the_thread_that_chose_it() {
    let clock = WatchedClock::around(TickingClock::new(Timestamp::from_millis(0), Duration::from_millis(1)));
    let interrupts = Arc::new(AtomicU64::new(0));
    clock.on_interrupt({
        let interrupts = interrupts.clone();
        move || _ = interrupts.fetch_add(1, Ordering::SeqCst)
    });
    interrupt_at(2);
    let other = clock.clone();
    std::thread::spawn(move || [other.wall(), other.wall()]).join().unwrap();
    assert_eq!((clock.wall().as_millis(), interrupts.load(Ordering::SeqCst)), (3, 0));
    assert!(!was_interrupted());
    assert_eq!((clock.monotonic(), interrupts.load(Ordering::SeqCst)), (Duration::from_millis(4), 1));
    assert!(was_interrupted());
    clock.wall();
    assert_eq!(interrupts.load(Ordering::SeqCst), 1);
}
