//! The self-check: every store gives the right answers to the calls that the units of work make.
//!
//! The stores are used from the outside and through the same trait as in the measurements, at D0 and at D1.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::bodies::LONG;
use crate::store::{Body, Claim, Kind, Queue, Safety, Stats, Store};

/// Checks one store. The directory is empty.
pub(crate) fn check(kind: &Kind, directory: &Path, safety: Safety) -> Result<()> {
    let store = (kind.open)(directory, safety)?;
    for (what, check) in CHECKS.into_iter().filter(|(what, _)| !kind.lacks.contains(what)) {
        check(&*store.queue(what)?).map_err(|error| format!("{}: {what}: {error}", kind.name))?;
    }
    expired_messages_disappear(&*store).map_err(|error| format!("{}: expiry: {error}", kind.name))?;
    if !kind.role.keeps_files() {
        return store.close();
    }
    store.queue("kept")?.post(&bodies(0..25), LONG)?;
    let claim = store.queue("kept")?.claim(10, LONG)?.ok_or("nothing to claim")?;
    claim.delete(0)?;
    drop(claim);
    store.close()?;
    let store = (kind.open)(directory, safety)?;
    let queue = store.queue("kept")?;
    same("messages after opening", &all(&*queue, 7)?, &bodies(1..25))?;
    same("counts after opening", &queue.stats()?, &Stats { free: 15, claimed: 9 })?;
    same("the next message after opening", &drain(&*queue, 20)?, &bodies(10..25))?;
    queue.post(&bodies(25..26), LONG)?;
    same("a message posted after opening", &drain(&*queue, 20)?, &bodies(25..26))?;
    drop(queue);
    store.close()
}

type Check = fn(&dyn Queue) -> Result<()>;

const CHECKS: [(&str, Check); 6] = [
    ("order", messages_keep_their_order),
    ("pages", pages_show_every_message_once),
    ("claims", claims_are_exclusive),
    ("release", released_messages_come_first_again),
    ("leases", a_lease_ends),
    ("threads", threads_get_every_message_once),
];

fn messages_keep_their_order(queue: &dyn Queue) -> Result<()> {
    queue.post(&bodies(0..1), LONG)?;
    queue.post(&bodies(1..25), LONG)?;
    same("counts", &queue.stats()?, &Stats { free: 25, claimed: 0 })?;
    same("messages", &drain(queue, 10)?, &bodies(0..25))?;
    same("counts", &queue.stats()?, &Stats { free: 0, claimed: 0 })
}

fn pages_show_every_message_once(queue: &dyn Queue) -> Result<()> {
    same("no messages", &all(queue, 10)?, &Vec::new())?;
    queue.post(&bodies(0..30), LONG)?;
    let claim = queue.claim(5, LONG)?.ok_or("nothing to claim")?;
    same("messages in pages of 10", &all(queue, 10)?, &bodies(0..30))?;
    same("messages in pages of 7", &all(queue, 7)?, &bodies(0..30))?;
    claim.delete_all()?;
    same("messages after the delete", &all(queue, 10)?, &bodies(5..30))
}

fn claims_are_exclusive(queue: &dyn Queue) -> Result<()> {
    queue.post(&bodies(0..15), LONG)?;
    let first = queue.claim(10, LONG)?.ok_or("nothing to claim")?;
    let second = queue.claim(10, LONG)?.ok_or("nothing more to claim")?;
    same("the first claim", &claimed(&*first), &bodies(0..10))?;
    same("the second claim", &claimed(&*second), &bodies(10..15))?;
    same("a third claim", &queue.claim(10, LONG)?.is_some(), &false)?;
    same("counts", &queue.stats()?, &Stats { free: 0, claimed: 15 })?;
    first.delete(3)?;
    second.delete_all()?;
    same("counts", &queue.stats()?, &Stats { free: 0, claimed: 9 })
}

fn released_messages_come_first_again(queue: &dyn Queue) -> Result<()> {
    queue.post(&bodies(0..20), LONG)?;
    let claim = queue.claim(10, LONG)?.ok_or("nothing to claim")?;
    claim.delete(0)?;
    claim.release()?;
    same("counts", &queue.stats()?, &Stats { free: 19, claimed: 0 })?;
    same("messages", &drain(queue, 10)?, &bodies(1..20))
}

fn a_lease_ends(queue: &dyn Queue) -> Result<()> {
    queue.post(&bodies(0..20), LONG)?;
    let late = queue.claim(5, Duration::from_millis(1))?.ok_or("nothing to claim")?;
    until(|| Ok(queue.stats()?.claimed == 0))?;
    let claim = queue.claim(5, LONG)?.ok_or("nothing to claim")?;
    same("the second claim", &claimed(&*claim), &bodies(0..5))?;
    same("whether the late delete fails", &late.delete(0).is_err(), &true)?;
    same("messages", &all(queue, 100)?, &bodies(0..20))?;
    claim.delete_all()
}

/// Four threads post and four claim; then every message was claimed once, and those of each poster in their order.
fn threads_get_every_message_once(queue: &dyn Queue) -> Result<()> {
    let got = Mutex::new(Vec::new());
    let total = (THREADS * POSTS) as usize;
    thread::scope(|scope| -> Result<()> {
        let posters = (0..THREADS).map(|thread| {
            scope.spawn(move || {
                let of = thread * POSTS..(thread + 1) * POSTS;
                bodies(of).chunks(3).try_for_each(|some| queue.post(some, LONG))
            })
        });
        let got = &got;
        let workers = (0..THREADS).map(|_| {
            scope.spawn(move || -> Result<()> {
                while got.lock().map_err(|_| "poisoned")?.len() < total {
                    let Some(claim) = queue.claim(4, LONG)? else {
                        thread::yield_now();
                        continue;
                    };
                    claim.delete_all()?;
                    got.lock().map_err(|_| "poisoned")?.extend(claimed(&*claim));
                }
                Ok(())
            })
        });
        let all: Vec<_> = posters.chain(workers).collect();
        all.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    let got = got.into_inner().map_err(|_| "poisoned")?;
    let distinct: BTreeSet<&[u8]> = got.iter().map(Body::as_bytes).collect();
    same("the number of claimed messages", &got.len(), &total)?;
    same("the number of different messages", &distinct.len(), &total)?;
    same("counts", &queue.stats()?, &Stats { free: 0, claimed: 0 })
}

fn expired_messages_disappear(store: &dyn Store) -> Result<()> {
    let queue = store.queue("expiry")?;
    queue.post(&bodies(0..30), Duration::from_millis(1))?;
    queue.post(&bodies(30..40), LONG)?;
    if !store.expire()? {
        return Ok(());
    }
    until(|| {
        store.expire()?;
        Ok(queue.stats()?.free == 10)
    })?;
    same("messages", &all(&*queue, 7)?, &bodies(30..40))?;
    same("claimed messages", &drain(&*queue, 7)?, &bodies(30..40))
}

/// Claims and deletes everything.
fn drain(queue: &dyn Queue, limit: usize) -> Result<Vec<Body>> {
    let mut drained = Vec::new();
    while let Some(claim) = queue.claim(limit, LONG)? {
        drained.extend(claimed(&*claim));
        if drained.len() % 2 == 0 {
            claim.delete_all()?;
        } else {
            (0..claim.bodies().len()).try_for_each(|index| claim.delete(index))?;
        }
        claim.release()?;
    }
    Ok(drained)
}

fn all(queue: &dyn Queue, limit: usize) -> Result<Vec<Body>> {
    let mut all = Vec::new();
    for page in queue.pages(limit) {
        let page = page?;
        same("whether a page is within the limit", &(page.len() <= limit), &true)?;
        all.extend(page);
    }
    Ok(all)
}

fn claimed(claim: &dyn Claim) -> Vec<Body> {
    claim.bodies().into_iter().map(Body::from).collect()
}

fn bodies(numbers: std::ops::Range<u32>) -> Vec<Body> {
    numbers.map(|number| Body::from(format!("message {number}"))).collect()
}

/// Waits for something that the store does when some milliseconds have passed.
fn until(mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        if started.elapsed() > Duration::from_secs(10) {
            return Err("it did not happen within 10 s".into());
        }
        thread::yield_now();
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, expected: &T) -> Result<()> {
    if got == expected { Ok(()) } else { Err(format!("{what}: {got:?} instead of {expected:?}").into()) }
}

const THREADS: u32 = 4;
const POSTS: u32 = 90;
