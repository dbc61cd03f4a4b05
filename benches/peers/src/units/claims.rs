//! Claims and deletes by one thread, and whole cycles.

use super::Place;
use super::filled::{fill, filled, rate};
use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure};
use crate::store::{Claim, Queue, Safety};

pub(super) fn one_by_one(place: &Place<'_>) -> Result<Vec<Figure>> {
    drain(place, |claim| (0..claim.bodies().len()).try_for_each(|index| claim.delete(index)))
}

pub(super) fn in_bulk(place: &Place<'_>) -> Result<Vec<Figure>> {
    drain(place, |claim| claim.delete_all())
}

pub(super) fn cycle(place: &Place<'_>) -> Result<Vec<Figure>> {
    cycles(place, |claim| claim.delete_all())
}

pub(super) fn cycle_and_release(place: &Place<'_>) -> Result<Vec<Figure>> {
    cycles(place, |claim| {
        claim.delete_all()?;
        claim.release()
    })
}

pub(super) fn bodies(place: &Place<'_>) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let store = place.open()?;
    for (size, bytes, waiting) in SIZES {
        let queue = store.queue(size)?;
        fill(&*queue, waiting, bytes)?;
        let mut bodies = Bodies::of(bytes);
        let reached = rate(place.scale.time, || cycle_once(&*queue, &mut bodies, 1, |claim| claim.delete(0)))?;
        figures.push(Figure::new(format!("{}-{size}", place.unit), reached, Measure::PerSecond));
        // The next size begins with an empty store.
        while take(&*queue, 100, |claim| claim.delete_all())? > 0 {}
    }
    store.close()?;
    Ok(figures)
}

fn drain(place: &Place<'_>, end: impl Fn(Box<dyn Claim>) -> Result<()>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let claimable = match place.safety {
        Safety::Killed => place.scale.claimable,
        Safety::PowerLoss => place.scale.through_synced,
    };
    let queue = filled(&*store, claimable)?;
    let reached = rate(place.scale.time, || take(&*queue, 10, &end))?;
    drop(queue);
    store.close()?;
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}

fn cycles(place: &Place<'_>, end: impl Fn(Box<dyn Claim>) -> Result<()>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = filled(&*store, place.scale.waiting)?;
    let mut bodies = Bodies::of(USUAL);
    let reached = rate(place.scale.time, || cycle_once(&*queue, &mut bodies, 10, &end))?;
    drop(queue);
    store.close()?;
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}

pub(super) fn cycle_once(
    queue: &dyn Queue,
    bodies: &mut Bodies,
    count: usize,
    end: impl Fn(Box<dyn Claim>) -> Result<()>,
) -> Result<usize> {
    queue.post(bodies.next(count), LONG)?;
    let taken = take(queue, count, end)?;
    if taken == count { Ok(taken) } else { Err(format!("a claim found {taken} of {count} messages").into()) }
}

/// Claims, and ends the claim. Returns the number of messages.
pub(super) fn take(queue: &dyn Queue, limit: usize, end: impl Fn(Box<dyn Claim>) -> Result<()>) -> Result<usize> {
    let Some(claim) = queue.claim(limit, LONG)? else { return Ok(0) };
    let count = claim.bodies().len();
    end(claim)?;
    Ok(count)
}

/// Name, bytes and the number of messages that wait meanwhile.
const SIZES: [(&str, usize, u64); 4] =
    [("64B", 64, 1000), ("1K", 1 << 10, 1000), ("64K", 64 << 10, 1000), ("256K", 256 << 10, 256)];
