//! Whether calls get slower when more messages wait.

use super::Place;
use super::claims::{cycle_once, take};
use super::filled::{fill, rate};
use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure};

pub(super) fn grow(place: &Place<'_>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = store.queue("queue")?;
    let mut figures = Vec::new();
    let mut waiting = 0;
    let mut bodies = Bodies::of(USUAL);
    for depth in place.scale.depths {
        fill(&*queue, depth - waiting, USUAL)?;
        waiting = *depth;
        let time = place.scale.time;
        let mut posted = 0;
        let posts = rate(time, || {
            posted += 10;
            queue.post(bodies.next(10), LONG).map(|()| 10)
        })?;
        // As many messages as before wait afterwards.
        while posted > 0 {
            posted -= u64::try_from(take(&*queue, 10, |claim| claim.delete_all())?)?.min(posted);
        }
        let cycles = rate(time, || cycle_once(&*queue, &mut bodies, 10, |claim| claim.delete_all()))?;
        let mut taken = 0;
        let claims = rate(time, || {
            let count = if taken + 10 > waiting { 0 } else { take(&*queue, 10, |claim| claim.delete_all())? };
            taken += count as u64;
            Ok(count)
        })?;
        waiting -= taken;
        let depth = if *depth < 1_000_000 { format!("{}k", depth / 1000) } else { format!("{}M", depth / 1_000_000) };
        for (what, reached) in [("w2", posts), ("w4", cycles), ("w3b", claims)] {
            figures.push(Figure::new(format!("{}-{what}-{depth}", place.unit), reached, Measure::PerSecond));
        }
    }
    drop(queue);
    store.close()?;
    Ok(figures)
}
