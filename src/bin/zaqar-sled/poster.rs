//! Posts sources, batch by batch.

use zaqar_sled::{ClientId, Durability, NewMessage, Queue, Ttl};

use crate::bookmark::Bookmark;
use crate::failure::Failure;
use crate::job::Job;
use crate::lines::Lines;
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
    let bookmark = job.bookmark().map(|(_, bookmark)| bookmark).unwrap_or_default();
    let mut lines = Lines::open(&job.source, &bookmark, run.is_complete)?;
    let client = ClientId::random();
    // If a power cut undoes this, the next run does it again.
    let tidying = run.engine.with_durability(Durability::Buffered);
    let old = tidying.queue(job.lines.project().clone(), job.lines.name())?;
    while !run.is_stopped() {
        let batch = lines.next_batch(run.batch)?;
        if batch.is_empty() {
            break;
        }
        post_batch(job, client, batch, lines.bookmark(), &old)?;
        wait_admitted(run, job, &lines.bookmark())?;
    }
    if lines.is_held_back() {
        job.set_held_back();
    }
    Ok(())
}

/// Posts the lines together with the bookmark of their end, and deletes the bookmark before it.
fn post_batch(job: &Job, client: ClientId, batch: Vec<Vec<u8>>, end: Bookmark, old: &Queue) -> Result<(), Failure> {
    let previous = job.bookmark().map(|(id, _)| id);
    let bookmark = Bookmark { previous, ..end };
    let mut messages: Vec<NewMessage> = batch.into_iter().map(line).collect();
    messages.push(bookmark.message()?);
    let ids = job.lines.post(client, &messages)?;
    if let Some(id) = ids.last() {
        job.set_bookmark(*id, bookmark);
    }
    if let Some(id) = previous {
        old.delete_message(&id)?;
    }
    Ok(())
}

fn line(bytes: Vec<u8>) -> NewMessage {
    NewMessage::new(bytes).ttl(Ttl::Forever).delay(std::time::Duration::ZERO)
}

/// Waits while the waiting lines weigh too much, by the source's average, because they all are in memory.
fn wait_admitted(run: &Run, job: &Job, bookmark: &Bookmark) -> Result<(), Failure> {
    let average = bookmark.offset / bookmark.lines.max(1) + MESSAGE_BYTES;
    while job.stats()?.total().saturating_mul(average) > BACKLOG_BYTES && !run.is_stopped() {
        run.wait_for_progress();
    }
    Ok(())
}

/// The approximate weight of a source's waiting lines above which its poster waits.
const BACKLOG_BYTES: u64 = 64 << 20;

/// The bytes of a message beside its body.
const MESSAGE_BYTES: u64 = 64;
