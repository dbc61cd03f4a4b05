//! Stores that are opened again: the time that it takes, and the space that they need.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::Place;
use super::claims::take;
use super::filled::fill;
use crate::Result;
use crate::bodies::{LONG, USUAL};
use crate::figure::{Figure, Measure, median, to_f64};

pub(super) fn opening(place: &Place<'_>) -> Result<Vec<Figure>> {
    store(place)?;
    let mut took = Vec::new();
    for _ in 0..3 {
        let started = Instant::now();
        let store = place.open()?;
        let queue = store.queue("queue-7")?;
        let claim = queue.claim(10, LONG)?.ok_or("nothing to claim")?;
        took.push(started.elapsed().as_secs_f64() * 1e3);
        claim.release()?;
        drop(queue);
        store.close()?;
    }
    Ok(vec![Figure::new(place.unit, median(&took), Measure::Milliseconds)])
}

pub(super) fn space(place: &Place<'_>) -> Result<Vec<Figure>> {
    store(place)?;
    let live = to_f64(bytes_under(place.directory)?) / to_f64(place.scale.stored);
    let store = place.open()?;
    for name in names() {
        let queue = store.queue(&name)?;
        while take(&*queue, 100, |claim| claim.delete_all())? > 0 {}
    }
    store.close()?;
    let left = to_f64(bytes_under(place.directory)?) / MEBIBYTE;
    let name = place.unit;
    Ok(vec![
        Figure::new(format!("{name}-live"), live, Measure::BytesAMessage),
        Figure::new(format!("{name}-left"), left, Measure::Mebibytes),
    ])
}

/// Leaves a closed store of 100 queues with messages in them.
fn store(place: &Place<'_>) -> Result<()> {
    let store = place.open()?;
    for name in names() {
        fill(&*store.queue(&name)?, place.scale.stored / QUEUES, USUAL)?;
    }
    store.close()
}

fn names() -> impl Iterator<Item = String> {
    (0..QUEUES).map(|queue| format!("queue-{queue}"))
}

/// The disk space of a directory, preallocated space included.
pub(super) fn bytes_under(directory: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // A file may go away meanwhile.
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path())?,
            Ok(metadata) => metadata.blocks() * 512,
            Err(_) => 0,
        };
    }
    Ok(bytes)
}

pub(super) const MEBIBYTE: f64 = 1_048_576.0;
const QUEUES: u64 = 100;
