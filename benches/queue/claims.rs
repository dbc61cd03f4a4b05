//! Claims alone, and deletions alone.

use std::time::{Duration, Instant};

use zaqar_sled::{Claim, ClaimOptions, Durability, Queue};

use crate::Result;
use crate::bare::{Bare, CLAIM_BYTES, DELETE_BYTES};
use crate::rounds::{Pairs, Rounds, rate};
use crate::scratch::Store;
use crate::table::{Row, Table, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let messages = MESSAGES / rounds.divisor;
    let [mut claims, mut deletions, mut single] = [(); 3].map(|()| Pairs::default());
    for _ in 0..rounds.count {
        let queue = store.queue("claims", messages)?;
        store.rest()?;
        let (reached, claimed) = claim_all(&queue, messages)?;
        claims.measured.push(reached);
        claims.reference.push(writes(&mut bare, rounds.reference, CLAIM_BYTES, 10)?);
        let (of_many, of_one) = claimed.split_at(claimed.len() / 2);
        deletions.measured.push(timed(of_many, |claim| Ok(claim.delete_all()?))?);
        deletions.reference.push(writes(&mut bare, rounds.reference, DELETE_BYTES, 10)?);
        let one_by_one = |claim: &Claim| Ok(claim.messages().iter().try_for_each(|message| claim.delete(message))?);
        single.measured.push(timed(of_one, one_by_one)?);
        single.reference.push(writes(&mut bare, rounds.reference, DELETE_BYTES, 1)?);
        store.rest()?;
    }
    let (unit, target) = (Unit::MessagesASecond, None);
    let beside = "pwrite, written-out space";
    table.add(Row { name: "claim 10, Buffered".into(), unit, beside, pairs: claims, target });
    table.add(Row { name: "delete 10 with their claim, Buffered".into(), unit, beside, pairs: deletions, target });
    table.add(Row { name: "delete 1 with its claim, Buffered".into(), unit, beside, pairs: single, target });
    Ok(())
}

fn claim_all(queue: &Queue, messages: u64) -> Result<(f64, Vec<Claim>)> {
    let calls = messages / 10;
    let mut claims = Vec::with_capacity(usize::try_from(calls)?);
    let started = Instant::now();
    for _ in 0..calls {
        claims.push(queue.claim(ClaimOptions::new().limit(10))?.ok_or("nothing to claim")?);
    }
    Ok((messages_a_second(claims.len(), started.elapsed())?, claims))
}

fn timed(claims: &[Claim], mut call: impl FnMut(&Claim) -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    claims.iter().try_for_each(&mut call)?;
    messages_a_second(claims.len(), started.elapsed())
}

fn messages_a_second(claims: usize, took: Duration) -> Result<f64> {
    Ok(f64::from(u32::try_from(claims)?) * 10.0 / took.as_secs_f64())
}

fn writes(bare: &mut Bare, time: Duration, bytes: usize, units: u32) -> Result<f64> {
    rate(time, units, || bare.write(bytes))
}

const MESSAGES: u64 = 400_000;
