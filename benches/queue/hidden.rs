//! A claim behind a million delayed and a million claimed messages, beside a claim with none in front.

use std::time::{Duration, Instant};

use zaqar_sled::{ClaimOptions, ClientId, Durability, NewMessage, Queue};

use crate::Result;
use crate::footprint::to_f64;
use crate::rounds::Rounds;
use crate::scratch::{Store, fill, messages};
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let (hidden, plain) = (store.queue("hidden", 0)?, store.queue("plain", 0)?);
    hide(&hidden, store.client, HIDDEN)?;
    for queue in [&hidden, &plain] {
        fill(queue, store.client, WAITING)?;
    }
    store.rest()?;
    let batch = messages(10);
    let claims = |queue: &Queue, time| claiming(queue, store.client, &batch, time);
    let pairs = rounds.alternate(|time| claims(&hidden, time), |time| claims(&plain, time))?;
    let (name, target) = ("claim 10 behind 1M delayed and 1M claimed", Target::Times(1.5));
    let row = Row::of(name, Unit::Seconds, pairs.measured, target);
    table.add(row.beside("a claim of 10 with nothing in front", pairs.reference));
    Ok(())
}

/// Puts so many delayed and so many claimed messages in a queue, in turns: pages hold some of both.
fn hide(queue: &Queue, client: ClientId, count: u64) -> Result<()> {
    let plain = messages(TURN);
    let delayed: Vec<NewMessage> = plain.iter().cloned().map(|message| message.delay(A_WHILE)).collect();
    for _ in 0..count / TURN {
        queue.post(client, &delayed)?;
        queue.post(client, &plain)?;
    }
    for _ in 0..count / TURN {
        let claim = queue.claim(ClaimOptions::new().ttl(A_WHILE).limit(plain.len()))?.ok_or("nothing to claim")?;
        if claim.messages().len() != plain.len() {
            return Err("a short claim".into());
        }
    }
    Ok(())
}

/// The seconds that a claim takes, between posts and deletions that keep the queue's length.
fn claiming(queue: &Queue, client: ClientId, batch: &[NewMessage], time: Duration) -> Result<f64> {
    let (started, mut claims, mut took) = (Instant::now(), 0, Duration::ZERO);
    while started.elapsed() < time {
        queue.post(client, batch)?;
        let claiming = Instant::now();
        let claim = queue.claim(ClaimOptions::new().limit(batch.len()))?.ok_or("nothing to claim")?;
        took += claiming.elapsed();
        claim.delete_all()?;
        claims += 1;
    }
    Ok(took.as_secs_f64() / to_f64(claims))
}

const HIDDEN: u64 = 1_000_000;
const WAITING: u64 = 1_000;
/// The number of neighbours that are hidden in the same way; not a divisor of a page's size.
const TURN: u64 = 100;
/// Longer than the bench.
const A_WHILE: Duration = Duration::from_secs(3000);
