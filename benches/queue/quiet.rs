//! The latency that checkpoints and snapshots add for a caller with a steady rate.
//!
//! A cycle is a post of 10, a claim of 10 and their deletion, over ten queues that hold a million messages. A cycle
//! that is still running when the next is due delays it, and that delay counts; a late wake-up does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::{ClaimOptions, ClientId, Durability, Engine, NewMessage, Queue};

use crate::Result;
use crate::rounds::{Pairs, Rounds};
use crate::scratch::{Store, messages};
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    for (durability, pace, names) in [
        (
            Durability::Buffered,
            Duration::from_millis(2),
            ["cycle amid housekeeping, Buffered, p50", "cycle amid housekeeping, Buffered, p99"],
        ),
        (
            Durability::Sync,
            Duration::from_millis(25),
            ["cycle amid housekeeping, Sync, p50", "cycle amid housekeeping, Sync, p99"],
        ),
    ] {
        let store = Store::new(durability)?;
        let queues = (0..QUEUES).map(|number| store.queue(&number.to_string(), MESSAGES / QUEUES));
        let caller = Caller { queues: queues.collect::<Result<_>>()?, client: store.client, pace };
        store.rest()?;
        let time = if rounds.hurried() { Duration::from_secs(2) } else { Duration::from_secs(4) };
        let [mut middle, mut tail] = [(); 2].map(|()| Pairs::default());
        for _ in 0..if rounds.hurried() { 2 } else { 3 } {
            let quiet = caller.work(time)?;
            let busy = beside_housekeeping(&store.engine, || caller.work(time))?;
            for (pairs, part) in [(&mut middle, 0.5), (&mut tail, 0.99)] {
                pairs.measured.push(quantile(&busy, part)?);
                pairs.reference.push(quantile(&quiet, part)?);
            }
        }
        let [p50, p99] = names;
        let beside = "without checkpoints and snapshots";
        table.add(Row::of(p50, Unit::Seconds, middle.measured, None).beside(beside, middle.reference));
        table.add(Row::of(p99, Unit::Seconds, tail.measured, Target::Times(3.0)).beside(beside, tail.reference));
    }
    Ok(())
}

/// A caller with a steady rate.
struct Caller {
    queues: Vec<Queue>,
    client: ClientId,
    pace: Duration,
}

impl Caller {
    /// How many seconds each cycle took, shortest first.
    fn work(&self, time: Duration) -> Result<Vec<f64>> {
        let (batch, started) = (messages(10), Instant::now());
        let (mut took, mut due) = (Vec::new(), started);
        for queue in self.queues.iter().cycle() {
            let since = wait_for(due);
            cycle(queue, self.client, &batch)?;
            took.push(since.elapsed().as_secs_f64());
            due += self.pace;
            if started.elapsed() >= time {
                break;
            }
        }
        took.sort_by(f64::total_cmp);
        Ok(took)
    }
}

/// Waits until `due`; returns the start of the measurement: `due` if that has passed, otherwise now.
fn wait_for(due: Instant) -> Instant {
    let early = due.saturating_duration_since(Instant::now());
    if early.is_zero() {
        return due;
    }
    thread::sleep(early);
    Instant::now()
}

fn cycle(queue: &Queue, client: ClientId, batch: &[NewMessage]) -> Result<()> {
    queue.post(client, batch)?;
    let claim = queue.claim(ClaimOptions::new().limit(batch.len()))?.ok_or("nothing to claim")?;
    Ok(claim.delete_all()?)
}

/// Does `work` while another thread writes checkpoints and snapshots without a pause.
fn beside_housekeeping<T>(engine: &Engine, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let housekeeping = scope.spawn(|| -> zaqar_sled::Result<()> {
            while !stop.load(Ordering::Relaxed) {
                engine.checkpoint()?;
                engine.snapshot()?;
            }
            Ok(())
        });
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        housekeeping.join().map_err(|_| "housekeeping panicked")??;
        worked
    })
}

fn quantile(sorted: &[f64], part: f64) -> Result<f64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a small length")]
    let at = (crate::footprint::to_f64(sorted.len() as u64) * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().ok_or_else(|| "not one cycle".into())
}

const MESSAGES: u64 = 1_000_000;
const QUEUES: u64 = 10;
