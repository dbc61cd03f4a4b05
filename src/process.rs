//! Which process this is: a fork of the one that opened a store must not use it.
//!
//! A fork has all of the store's memory and none of its threads, and shares its files. What it appended would be overwritten
//! by the other process, so each change asks here first.
//!
//! Cost: asking the system takes a third of a microsecond, too much for every change. A fork takes the system longer than
//! [`FRESH`], so a thread that has asked less than that ago is still in the process it was told of.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The process, asked for now.
pub(crate) fn id() -> u32 {
    std::process::id()
}

/// The process, as this thread was told at most [`FRESH`] ago. Cost: one reading of the clock.
pub(crate) fn recent_id() -> u32 {
    let now = Instant::now();
    match ASKED.get() {
        Some((asked, id)) if now.duration_since(asked) < FRESH => id,
        _ => {
            let id = id();
            ASKED.set(Some((now, id)));
            id
        }
    }
}

thread_local! {
    static ASKED: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
}

/// Copying a process's page tables takes several times as long.
const FRESH: Duration = Duration::from_micros(25);
