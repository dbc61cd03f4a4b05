//! A fork of the process that has a store open.
#![allow(unsafe_code, reason = "the standard library has no fork")]

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use zaqar_sled::{Config, Durability, Engine, Error, Metadata, NewMessage, Project, Queue};

use super::values::CLIENT;

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

/// Runs `child` in a fork of this process and waits for it; whether it said yes.
fn in_fork(child: impl FnOnce() -> bool) -> bool {
    // SAFETY: the fork has a copy of this thread alone. It uses only objects created before, and exits without
    // destructors.
    let process = unsafe { fork() };
    assert!(process >= 0, "fork failed");
    if process == 0 {
        let said = catch_unwind(AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: never returns.
        unsafe { _exit(i32::from(!said)) };
    }
    let mut status = -1;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { waitpid(process, &raw mut status, 0) }, process);
    status == 0
}

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

fn post(engine: &Engine) -> Result<(), Error> {
    jobs(engine).post(CLIENT, &[NewMessage::new("work")]).map(drop)
}

fn is_forked<T>(outcome: Result<T, Error>) -> bool {
    let own = std::process::id();
    outcome.is_err_and(|error| matches!(error, Error::Forked { opened_by } if opened_by != own))
}

/// Whether the next process could lock the store.
fn can_be_opened(root: &std::path::Path) -> bool {
    use zaqar_sled::disk::{Disk, RealDisk};
    RealDisk.lock(&root.join("LOCK")).unwrap().is_some()
}

#[test]
fn a_fork_is_refused_every_change_and_neither_closes_nor_unlocks() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    for durability in [Durability::Sync, Durability::Buffered] {
        // No thread of its own can hold a lock when the fork is made.
        let config = Config::new().background(false).durability(durability);
        let engine = config.clone().open(&root).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        post(&engine).unwrap();
        let before = jobs(&engine).stats().unwrap().total();
        assert!(in_fork(|| {
            let refused = is_forked(post(&engine))
                && is_forked(jobs(&engine).pop(1))
                && is_forked(jobs(&engine).delete())
                && is_forked(engine.snapshot())
                && is_forked(engine.checkpoint())
                && is_forked(engine.step())
                && is_forked(engine.close());
            // The store that the other process has open is not this one's to share.
            let shared = config.clone().shared(true).open(&root);
            let locked = matches!(shared, Err(Error::Locked { .. }));
            drop(engine.clone());
            refused && locked && jobs(&engine).stats().is_ok()
        }));
        assert!(!can_be_opened(&root), "the fork has unlocked the store");
        post(&engine).unwrap();
        engine.close().unwrap();
        drop(engine);
        let engine = config.open(&root).unwrap();
        assert_eq!(jobs(&engine).stats().unwrap().total(), before + 1);
        assert!(engine.verify().unwrap().is_sound());
    }
}

#[test]
fn a_fork_drops_the_last_handle_without_closing_or_waiting_for_threads_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = Config::new().open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    post(&engine).unwrap();
    let mut engine = Some(engine);
    assert!(in_fork(|| {
        drop(engine.take());
        true
    }));
    let engine = engine.unwrap();
    post(&engine).unwrap();
    assert_eq!(jobs(&engine).stats().unwrap().total(), 2);
    engine.close().unwrap();
}

#[test]
fn a_fork_that_lives_on_does_not_keep_the_store_locked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = Config::new().background(false).open(&root).unwrap();
    let (mut until, end) = std::io::pipe().unwrap();
    // SAFETY: the fork only waits and leaves without destructors.
    let process = unsafe { fork() };
    if process == 0 {
        drop(end);
        let _ = until.read(&mut [0]);
        // SAFETY: never returns.
        unsafe { _exit(0) };
    }
    engine.close().unwrap();
    assert!(can_be_opened(&root), "the fork keeps the store locked");
    drop(end);
    let mut status = -1;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { waitpid(process, &raw mut status, 0) }, process);
}

#[test]
fn a_fork_of_a_process_with_a_pooled_driver_is_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let driver = Config::new().background(false).virtual_pool(true).open_pooled(folder.path().join("control")).unwrap();
    let queue = driver.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    let message = [NewMessage::new("work")];
    assert!(in_fork(|| {
        let refused = is_forked(queue.post(CLIENT, &message)) && is_forked(driver.close());
        drop(driver.clone());
        refused
    }));
    queue.post(CLIENT, &message).unwrap();
    assert_eq!(queue.stats().unwrap().total(), 1);
    driver.close().unwrap();
}
