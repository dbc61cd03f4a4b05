//! Where the engine's locks, threads, channels and those atomics come from that decide who waits and who is woken.
//!
//! They are those of `parking_lot`, crossbeam and the standard library, under names of the engine's. In a build with
//! `--cfg zaqar_schedules` they are those of a checker, which runs the threads of a program one at a time and decides at each
//! lock, wait, signal and atomic which one goes on; a program of which every thread waits fails. `tests/schedules` has the
//! programs.
//!
//! The checker is shuttle, which draws schedules by chance: it takes a whole engine with its background threads through the
//! thousands of steps of opening, calls and closing. Loom tries every schedule, and what weak memory orders allow besides, but
//! of no more than five threads, the engine having four of its own, and of some dozens of steps; and its locks cannot be
//! statics. Atomics are sequentially consistent here, whatever order they ask for.
//!
//! Time does not pass in the checker: a wait that only its deadline would end does not end, so that a signal that is lost is
//! not made good by one.

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
// The locks that a thread holds are known in such builds alone.
#[cfg(all(not(zaqar_schedules), debug_assertions))]
pub(crate) use std::thread_local;
