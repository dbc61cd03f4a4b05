//! Many queues.

use std::time::Instant;

use super::Place;
use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure};

pub(super) fn create(place: &Place<'_>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let mut bodies = Bodies::of(USUAL);
    let started = Instant::now();
    for queue in 0..place.scale.queues {
        store.queue(&format!("queue-{queue}"))?.post(bodies.next(1), LONG)?;
    }
    let reached = f64::from(place.scale.queues) / started.elapsed().as_secs_f64();
    store.close()?;
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}
