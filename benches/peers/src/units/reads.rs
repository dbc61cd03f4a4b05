//! Listings and counts.

use super::Place;
use super::filled::{filled, rate};
use crate::Result;
use crate::bodies::LONG;
use crate::figure::{Figure, Measure};

pub(super) fn list(place: &Place<'_>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = filled(&*store, place.scale.waiting)?;
    let mut pages = queue.pages(10);
    let reached = rate(place.scale.time, || {
        let Some(page) = pages.next() else {
            pages = queue.pages(10);
            return pages.next().ok_or("the queue is empty")?.map(|page| page.len());
        };
        Ok(page?.len())
    })?;
    drop(pages);
    drop(queue);
    store.close()?;
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}

pub(super) fn stats(place: &Place<'_>) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = filled(&*store, place.scale.waiting)?;
    let half = place.scale.waiting / 2;
    let mut claims = Vec::new();
    for _ in 0..half / 100 {
        claims.push(queue.claim(100, LONG)?.ok_or("nothing to claim")?);
    }
    let counts = rate(place.scale.time, || {
        let stats = queue.stats()?;
        if stats.claimed == half { Ok(1) } else { Err(format!("{stats:?} instead of {half} claimed").into()) }
    })?;
    let behind = rate(place.scale.time, || {
        let claim = queue.claim(1, LONG)?;
        let found = claim.is_some();
        claims.extend(claim);
        Ok(usize::from(found))
    })?;
    drop(claims);
    drop(queue);
    store.close()?;
    let name = place.unit;
    Ok(vec![
        Figure::new(name, counts, Measure::PerSecond),
        Figure::new(format!("{name}-behind"), behind, Measure::PerSecond),
    ])
}
