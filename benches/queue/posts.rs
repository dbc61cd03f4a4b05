//! One message posted a call.

use std::time::Duration;

use zaqar_sled::Durability;

use crate::Result;
use crate::bare::{Bare, post_bytes};
use crate::rounds::{Pairs, Rounds, rate};
use crate::scratch::{Store, messages};
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let bytes = post_bytes(1);
    let unit = Unit::MessagesASecond;

    let store = Store::new(Durability::Buffered)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let pairs = posting(&store, rounds, 1, |time| rate(time, 1, || bare.write(bytes)))?;
    let target = Some(Target::Ratio(0.45));
    table.add(Row { name: "post 1, Buffered".into(), unit, beside: "pwrite, written-out space", pairs, target });

    let mut bare = Bare::growing(store.folder.path())?;
    let pairs = posting(&store, rounds, 1, |time| {
        bare.restart()?;
        rate(time, 1, || bare.write(bytes))
    })?;
    table.add(Row { name: "post 1, Buffered".into(), unit, beside: "pwrite, growing file", pairs, target: None });

    let mut bare = Bare::written_out(store.folder.path())?;
    let pairs = posting(&store, rounds, 10, |time| rate(time, 10, || bare.write(post_bytes(10))))?;
    table.add(Row { name: "post 10, Buffered".into(), unit, beside: "pwrite, written-out space", pairs, target: None });

    let store = Store::new(Durability::Sync)?;
    let mut bare = Bare::written_out(store.folder.path())?;
    let pairs = posting(&store, rounds, 1, |time| {
        rate(time, 1, || {
            bare.write(bytes)?;
            bare.sync()
        })
    })?;
    let target = Some(Target::Ratio(0.7));
    table.add(Row {
        name: "post 1, Sync".into(),
        unit,
        beside: "pwrite + fdatasync, written-out space",
        pairs,
        target,
    });
    Ok(())
}

/// Posts into a queue that is emptied after each round.
fn posting(
    store: &Store,
    rounds: Rounds,
    a_call: u32,
    reference: impl FnMut(Duration) -> Result<f64>,
) -> Result<Pairs> {
    let queue = store.queue("posts", 0)?;
    let batch = messages(u64::from(a_call));
    let measured = |time| {
        let reached = rate(time, a_call, || Ok(queue.post(store.client, &batch).map(drop)?))?;
        queue.purge()?;
        store.rest()?;
        Ok(reached)
    };
    rounds.alternate(measured, reference)
}
