//! Several threads on one store.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Place;
use super::claims::take;
use super::filled::rate;
use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure, to_f64};
use crate::store::{Queue, Safety};

pub(super) fn eight_posters(place: &Place<'_>) -> Result<Vec<Figure>> {
    posters(place, 8)
}

pub(super) fn thirty_two_posters(place: &Place<'_>) -> Result<Vec<Figure>> {
    posters(place, 32)
}

pub(super) fn one_queue(place: &Place<'_>) -> Result<Vec<Figure>> {
    through(place, 1)
}

pub(super) fn many_queues(place: &Place<'_>) -> Result<Vec<Figure>> {
    through(place, 1000)
}

fn posters(place: &Place<'_>, threads: usize) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let queue = store.queue("queue")?;
    let start = Barrier::new(threads);
    let work = || -> Result<f64> {
        let mut bodies = Bodies::of(USUAL);
        start.wait();
        rate(place.scale.time, || queue.post(bodies.next(1), LONG).map(|()| 1))
    };
    let reached: Vec<Result<f64>> = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().map(|thread| thread.join().map_err(|_| "a poster panicked")?).collect()
    });
    let mut sum = 0.0;
    for reached in reached {
        sum += reached?;
    }
    drop(queue);
    store.close()?;
    Ok(vec![Figure::new(place.unit, sum, Measure::PerSecond)])
}

/// Messages that go through the queues, a second: from the first post to the last delete.
fn through(place: &Place<'_>, queues: usize) -> Result<Vec<Figure>> {
    let store = place.open()?;
    let total = match place.safety {
        Safety::Killed => place.scale.through,
        Safety::PowerLoss => place.scale.through_synced,
    };
    let queues: Vec<_> = (0..queues).map(|queue| store.queue(&format!("queue-{queue}"))).collect::<Result<_>>()?;
    let (deleted, start) = (AtomicU64::new(0), Barrier::new(2 * EACH + 1));
    let took = thread::scope(|scope| -> Result<Duration> {
        let mut threads = Vec::new();
        for thread in 0..EACH {
            let (queues, start, deleted) = (&queues, &start, &deleted);
            threads.push(scope.spawn(move || {
                let mut bodies = Bodies::of(USUAL);
                start.wait();
                let own = queues.iter().cycle().skip(thread).step_by(EACH.min(queues.len()));
                own.take(usize::try_from(total)? / EACH / 10).try_for_each(|queue| queue.post(bodies.next(10), LONG))
            }));
            threads.push(scope.spawn(move || {
                start.wait();
                consume(queues, thread, deleted, total / EACH as u64 / 10 * 10 * EACH as u64)
            }));
        }
        start.wait();
        let started = Instant::now();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)?;
        Ok(started.elapsed())
    })?;
    drop(queues);
    store.close()?;
    let reached = to_f64(deleted.into_inner()) / took.as_secs_f64();
    Ok(vec![Figure::new(place.unit, reached, Measure::PerSecond)])
}

fn consume(queues: &[Box<dyn Queue>], thread: usize, deleted: &AtomicU64, total: u64) -> Result<()> {
    let own = queues.iter().cycle().skip(thread).step_by(EACH.min(queues.len()));
    for queue in own {
        if deleted.load(Ordering::Relaxed) >= total {
            return Ok(());
        }
        match take(&**queue, 10, |claim| claim.delete_all())? {
            0 => thread::yield_now(),
            count => _ = deleted.fetch_add(count as u64, Ordering::Relaxed),
        }
    }
    Ok(())
}

/// Posting threads, and claiming threads.
const EACH: usize = 4;
