//! Post 10, claim 10, delete those 10, over a queue in which 100 000 others wait.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::{ClaimOptions, ClientId, Durability, Queue};

use crate::Result;
use crate::bare::{Bare, CLAIM_BYTES, DELETE_BYTES, post_bytes};
use crate::rounds::{Pairs, Rounds, rate};
use crate::scratch::{Store, messages};
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    buffered(rounds, table)?;
    synced(rounds, table)
}

fn buffered(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let queue = store.queue("cycles", WAITING)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let batch = messages(10);
    let pairs = rounds.alternate(
        |time| {
            let reached = rate(time, 10, || cycle(&queue, store.client, &batch))?;
            store.rest()?;
            Ok(reached)
        },
        |time| rate(time, 10, || frames(10).into_iter().try_for_each(|bytes| bare.write(bytes))),
    )?;
    table.add(Row {
        name: "cycle, Buffered".into(),
        unit: Unit::MessagesASecond,
        beside: "three pwrites",
        pairs,
        target: Some(Target::Rate(500e3)),
    });
    Ok(())
}

/// All thread counts take turns in every round, so that the last row compares neighbours.
fn synced(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Sync)?;
    let queue = store.queue("cycles", WAITING)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let mut of = THREADS.map(|_| Pairs::default());
    for _ in 0..rounds.count {
        for (threads, pairs) in THREADS.into_iter().zip(&mut of) {
            pairs.measured.push(together(threads, rounds.measured, &queue, store.client)?);
            store.rest()?;
            pairs.reference.push(shared(&mut bare, threads, rounds.reference)?);
        }
    }
    let [one, _, many] = &of;
    let scaling = Pairs { measured: many.measured.clone(), reference: one.measured.clone() };
    let unit = Unit::MessagesASecond;
    let beside = "the frames of as many threads in one pwrite, with fdatasync, three times";
    let names = ["cycle, Sync, 1 thread", "cycle, Sync, 8 threads", "cycle, Sync, 32 threads"];
    for (name, pairs) in names.into_iter().zip(of) {
        table.add(Row { name: name.into(), unit, beside, pairs, target: None });
    }
    let (name, beside, target) = ("cycle, Sync, 32 threads", "1 thread", Some(Target::Ratio(6.0)));
    table.add(Row { name: name.into(), unit, beside, pairs: scaling, target });
    Ok(())
}

/// The rate with perfect sharing: one sync for the writes of all threads.
fn shared(bare: &mut Bare, threads: u32, time: Duration) -> Result<f64> {
    let frames = frames(10);
    rate(time, 10 * threads, || {
        frames.into_iter().try_for_each(|bytes| {
            bare.write(bytes * usize::try_from(threads)?)?;
            bare.sync()
        })
    })
}

/// Messages a second through so many threads.
fn together(threads: u32, time: Duration, queue: &Queue, client: ClientId) -> Result<f64> {
    let start = Barrier::new(usize::try_from(threads)?);
    let work = || -> zaqar_sled::Result<(u32, Duration)> {
        let batch = messages(10);
        start.wait();
        let started = Instant::now();
        let mut done = 0;
        while started.elapsed() < time {
            done += cycle_once(queue, client, &batch)?;
        }
        Ok((done, started.elapsed()))
    };
    let worked: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let mut reached = 0.0;
    for worked in worked {
        let (done, took) = worked.map_err(|_| "a worker panicked")??;
        reached += f64::from(done) / took.as_secs_f64();
    }
    Ok(reached)
}

fn cycle(queue: &Queue, client: ClientId, batch: &[zaqar_sled::NewMessage]) -> Result<()> {
    if cycle_once(queue, client, batch)? == 10 { Ok(()) } else { Err("a claim found less than 10".into()) }
}

/// Returns the number of processed messages.
fn cycle_once(queue: &Queue, client: ClientId, batch: &[zaqar_sled::NewMessage]) -> zaqar_sled::Result<u32> {
    queue.post(client, batch)?;
    let Some(claim) = queue.claim(ClaimOptions::new().limit(10))? else { return Ok(0) };
    claim.delete_all()?;
    Ok(u32::try_from(claim.messages().len()).unwrap_or(u32::MAX))
}

/// The frames that a cycle writes.
fn frames(messages: usize) -> [usize; 3] {
    [post_bytes(messages), CLAIM_BYTES, DELETE_BYTES]
}

const WAITING: u64 = 100_000;
const THREADS: [u32; 3] = [1, 8, 32];
