//! Post 10, claim 10, delete those 10, over a queue in which others wait.

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
        name: "cycle of 10 over 100k, Buffered",
        unit: Unit::MessagesASecond,
        beside: "three pwrites",
        pairs,
        target: Some(Target::Rate(500e3)),
    });
    Ok(())
}

fn synced(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Sync)?;
    let queue = store.queue("cycles", WAITING)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let mut of_one = Vec::new();
    let (unit, shared) = (Unit::MessagesASecond, "its frames in one pwrite, three times with fdatasync");
    for (name, threads, beside) in [
        ("cycle of 10 over 100k, Sync, 1 thread", 1, "three pwrites, each with fdatasync"),
        ("cycle of 10 over 100k, Sync, 8 threads", 8, shared),
        ("cycle of 10 over 100k, Sync, 32 threads", 32, shared),
    ] {
        let measured = |time| {
            let reached = together(threads, time, &queue, store.client)?;
            store.rest()?;
            Ok(reached)
        };
        // What perfect sharing would reach: one sync for what every thread has just written.
        let reference = |time| {
            rate(time, 10 * threads, || {
                frames(10).into_iter().try_for_each(|bytes| {
                    bare.write(bytes * usize::try_from(threads)?)?;
                    bare.sync()
                })
            })
        };
        let pairs = rounds.alternate(measured, reference)?;
        let many = pairs.measured.clone();
        table.add(Row { name, unit, beside, pairs, target: None });
        if threads == 1 {
            of_one = many;
        } else if threads == 32 {
            let pairs = Pairs { measured: many, reference: std::mem::take(&mut of_one) };
            let (name, beside) = ("32 threads, Sync, over one", "1 thread, Sync");
            table.add(Row { name, unit, beside, pairs, target: Some(Target::Ratio(6.0)) });
        }
    }
    Ok(())
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

/// Returns how many messages went through.
fn cycle_once(queue: &Queue, client: ClientId, batch: &[zaqar_sled::NewMessage]) -> zaqar_sled::Result<u32> {
    queue.post(client, batch)?;
    let Some(claim) = queue.claim(ClaimOptions::new().limit(10))? else { return Ok(0) };
    claim.delete_all()?;
    Ok(u32::try_from(claim.messages().len()).unwrap_or(u32::MAX))
}

/// What a cycle writes.
fn frames(messages: usize) -> [usize; 3] {
    [post_bytes(messages), CLAIM_BYTES, DELETE_BYTES]
}

const WAITING: u64 = 100_000;
