//! A batch that takes a message from one queue and puts one into another, beside a post alone.

use std::mem::swap;

use zaqar_sled::Durability;

use crate::Result;
use crate::rounds::{Rounds, rate};
use crate::scratch::{Store, messages};
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    for (durability, name) in [(Durability::Buffered, "Buffered"), (Durability::Sync, "Sync")] {
        let store = Store::new(durability)?;
        let (mut from, mut to, alone) = (store.queue("from", 0)?, store.queue("to", 0)?, store.queue("alone", 0)?);
        let one = messages(1);
        let mut waiting = from.post(store.client, &one)?;
        let pairs = rounds.alternate(
            |time| {
                let reached = rate(time, 1, || {
                    let mut batch = store.engine.batch();
                    batch.delete_messages(&from, waiting.iter().copied());
                    batch.post(&to, store.client, one.iter().cloned());
                    waiting = batch.commit()?.posted().concat();
                    swap(&mut from, &mut to);
                    Ok(())
                })?;
                store.rest()?;
                Ok(reached)
            },
            |time| {
                let reached = rate(time, 1, || Ok(alone.post(store.client, &one).map(drop)?))?;
                alone.purge()?;
                store.rest()?;
                Ok(reached)
            },
        )?;
        let (unit, target) = (Unit::CallsASecond, Some(Target::Ratio(1.0 / 1.3)));
        table.add(Row { name: format!("delete and post, {name}").into(), unit, beside: "a post alone", pairs, target });
    }
    Ok(())
}
