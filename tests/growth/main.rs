//! Items that are created and removed leave no memory behind. The allocated bytes, counted by the allocator, stay flat
//! over rounds of every kind of creation and removal, and within the memory that `docs::bounds` plans for the counts in
//! [`Status`].
//!
//! - `ZAQAR_ROUNDS=1000000` sets the number of rounds of each kind (10 000 by default).
//!
//! The allocator is the process's, so one test runs at a time.

#![allow(unsafe_code, reason = "a global allocator is unsafe by its trait; this one counts and forwards")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

mod churns;
mod exports;
mod full;
mod inspections;
mod plan;
#[path = "../support/values.rs"]
mod values;
#[path = "../support/variables.rs"]
mod variables;
mod world;
#[path = "../support/wrapped_disk.rs"]
mod wrapped_disk;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, and how many bytes of it are in use.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Bytes allocated now.
fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// The peak of allocated bytes during `call`, less the bytes before it.
fn peak_of<R>(call: impl FnOnce() -> R) -> (R, usize) {
    let before = live();
    PEAK.store(before, Ordering::Relaxed);
    let result = call();
    (result, PEAK.load(Ordering::Relaxed).saturating_sub(before))
}

fn grown(bytes: usize) {
    let now = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is forwarded to the system's allocator as it came; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
