//! The engine's locks, threads and channels, and the atomics that decide which thread waits and which is woken.
//!
//! They are those of `parking_lot`, crossbeam and the standard library, under the engine's names. In a build with
//! `--cfg zaqar_schedules` they are those of a checker. The checker runs the threads of a program one at a time and
//! chooses the next thread at each lock, wait, signal and atomic. A program whose threads all wait fails.
//! `tests/schedules` has the programs.
//!
//! The checker is shuttle, which chooses schedules at random. It can run a whole engine with its background threads
//! through the thousands of steps of opening, calls and closing. The alternative is loom. It tries every schedule, and
//! also the reorderings of weak memory models, but only of five threads (the engine alone has four) and some dozens of
//! steps, and its locks cannot be statics. Atomics are sequentially consistent in the checker, whatever order the code
//! names.
//!
//! Time does not pass in the checker: a wait that only its deadline would end does not end. So a deadline cannot hide a
//! lost signal.

pub(crate) mod spawner;

#[cfg(zaqar_schedules)]
mod checked;

#[cfg(zaqar_schedules)]
pub(crate) use {
    checked::{channel, locks, thread},
    shuttle::{sync::atomic, thread_local},
};
#[cfg(not(zaqar_schedules))]
pub(crate) use {
    crossbeam_channel as channel, parking_lot as locks,
    std::{sync::atomic, thread},
};
// Only these builds track the locks that a thread holds.
#[cfg(all(not(zaqar_schedules), debug_assertions))]
pub(crate) use std::thread_local;
