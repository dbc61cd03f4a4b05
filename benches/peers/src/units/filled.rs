//! Queues with messages in them, and the timing of calls.

use std::time::{Duration, Instant};

use crate::Result;
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::to_f64;
use crate::store::{Queue, Store};

/// Posts so many messages, a hundred a call.
pub(crate) fn fill(queue: &dyn Queue, count: u64, bytes: usize) -> Result<()> {
    let mut bodies = Bodies::of(bytes);
    let mut left = count;
    while left > 0 {
        let some = left.min(if bytes > USUAL { 10 } else { 100 });
        queue.post(bodies.next(usize::try_from(some)?), LONG)?;
        left -= some;
    }
    Ok(())
}

/// A queue in which so many messages wait.
pub(crate) fn filled(store: &dyn Store, count: u64) -> Result<Box<dyn Queue>> {
    let queue = store.queue("queue")?;
    fill(&*queue, count, USUAL)?;
    Ok(queue)
}

/// Repeats a call for about `time`, or until it returns zero. Returns the sum of what it returned, a second.
pub(crate) fn rate(time: Duration, mut call: impl FnMut() -> Result<usize>) -> Result<f64> {
    let (started, mut done) = (Instant::now(), 0);
    loop {
        let count = call()?;
        done += count as u64;
        let took = started.elapsed();
        if count == 0 || took >= time {
            return Ok(to_f64(done) / took.as_secs_f64());
        }
    }
}
