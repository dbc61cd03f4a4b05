//! Posts by one thread.

use super::Place;
use super::filled::rate;
use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure};

pub(super) fn one(place: &Place<'_>) -> Result<Vec<Figure>> {
    post(place, 1)
}

pub(super) fn ten(place: &Place<'_>) -> Result<Vec<Figure>> {
    post(place, 10)
}

fn post(place: &Place<'_>, count: usize) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = store.queue("queue")?;
    let mut bodies = Bodies::of(USUAL);
    let reached = rate(place.scale.time, || {
        queue.post(bodies.next(count), LONG)?;
        Ok(count)
    })?;
    drop(queue);
    store.close()?;
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}
