//! Posts sources, batch by batch.

use zaqar_sled::{ClientId, NewMessage, Ttl};

use crate::failure::Failure;
use crate::job::Job;
use crate::lines::Lines;
use crate::position::Position;
use crate::run::Run;

/// Takes jobs that no other poster has taken, and posts all their lines.
pub(crate) fn post_jobs(run: &Run) {
    while let Some(job) = run.next_job() {
        if let Err(failure) = post(run, job) {
            run.fail(failure);
        }
        job.set_posted();
    }
}

fn post(run: &Run, job: &Job) -> Result<(), Failure> {
    let mut lines = Lines::open(&job.source, &job.position(), run.is_complete)?;
    let client = ClientId::random();
    while !run.is_stopped() {
        let batch = lines.next_batch(run.batch)?;
        if batch.is_empty() {
            break;
        }
        post_batch(run, job, client, batch, lines.position())?;
        wait_admitted(run, job, &lines.position())?;
    }
    if lines.is_held_back() {
        job.set_held_back();
    }
    Ok(())
}

/// Posts the lines, and sets the bookmark to their end, together.
fn post_batch(run: &Run, job: &Job, client: ClientId, lines: Vec<Vec<u8>>, end: Position) -> Result<(), Failure> {
    let mut batch = run.engine.batch();
    batch.post(&job.lines, client, lines.into_iter().map(line)).set_bookmark(&job.bookmark, end.value()?);
    batch.commit()?;
    job.set_position(end);
    Ok(())
}

fn line(bytes: Vec<u8>) -> NewMessage {
    NewMessage::new(bytes).ttl(Ttl::Forever).delay(std::time::Duration::ZERO)
}

/// Waits while the waiting lines weigh too much, by the source's average, because they all are in memory.
fn wait_admitted(run: &Run, job: &Job, position: &Position) -> Result<(), Failure> {
    let average = position.offset / position.lines.max(1) + MESSAGE_BYTES;
    while job.stats()?.total().saturating_mul(average) > BACKLOG_BYTES && !run.is_stopped() {
        run.wait_for_progress();
    }
    Ok(())
}

/// The approximate weight of a source's waiting lines above which its poster waits.
const BACKLOG_BYTES: u64 = 64 << 20;

/// The bytes of a message beside its body.
const MESSAGE_BYTES: u64 = 64;
