//! Stats of a long queue, half of it claimed.

use zaqar_sled::{ClaimOptions, Durability};

use crate::Result;
use crate::rounds::{Pairs, Rounds, rate};
use crate::scratch::Store;
use crate::table::{Row, Table, Target, Unit};

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let queue = store.queue("stats", 100_000)?;
    for _ in 0..500 {
        queue.claim(ClaimOptions::new().limit(100))?;
    }
    store.rest()?;
    let mut pairs = Pairs::default();
    for _ in 0..rounds.count {
        pairs.measured.push(rate(rounds.measured, 1, || {
            let stats = queue.stats()?;
            if stats.claimed() == 50_000 { Ok(()) } else { Err("stats miscounted".into()) }
        })?);
    }
    let (name, unit, target) = ("stats of 100k, half claimed", Unit::CallsASecond, Some(Target::Rate(1e6)));
    table.add(Row { name: name.into(), unit, beside: "none", pairs, target });
    Ok(())
}
