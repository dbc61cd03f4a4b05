//! Messages that are posted without readers, far more than fit the memory budget, and then drained.
//!
//! Each run is a process of its own, so that the peak of memory is that of this backlog.

use std::path::Path;
use std::time::Instant;

use zaqar_sled::{ClaimOptions, ClientId, Engine, Metadata, Project, Queue};

use crate::Result;
use crate::child::{self, Arguments, Report, say};
use crate::footprint::{self, MIB, Watch, to_f64};
use crate::rounds::{Rounds, Seconds};
use crate::scratch::{self, BODY_BYTES, messages};
use crate::table::{Row, Table, Target, Unit};

/// The job that posts a backlog and leaves it.
pub(crate) const POST: &str = "post-backlog";
/// The job that opens the backlog and drains it.
pub(crate) const DRAIN: &str = "drain-backlog";

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let (messages, memory) = if rounds.hurried() { QUICK } else { FULL };
    let folder = scratch::folder()?;
    let path = folder.path().join("tens");
    let tens = child::run_and_kill(POST, &[&path.display(), &messages, &10, &memory, &false])?;
    std::fs::remove_dir_all(&path)?;
    add_posted(table, &format!("backlog {}, by 10", short(messages)), &tens, memory)?;
    let path = folder.path().join("hundreds");
    let hundreds = child::run(POST, &[&path.display(), &messages, &100, &memory, &true])?;
    let name = format!("backlog {}, by 100", short(messages));
    add_posted(table, &name, &hundreds, memory)?;
    add_drained(table, &name, &hundreds, memory)
}

/// Posts; then either leaves the backlog until killed, or works it off.
pub(crate) fn post(arguments: &Arguments) -> Result<()> {
    let (path, messages) = (Path::new(arguments.text(0)?), arguments.value(1)?);
    let engine = scratch::open_within(path, arguments.value(3)?)?;
    let queue = engine.queue(Project::none(), QUEUE)?;
    queue.create(Metadata::new())?;
    let watch = Watch::start(path);
    say("posted", &posting(&queue, messages, arguments.value(2)?)?);
    say("disk", &[watch.end()?.max(footprint::disk(path)?)]);
    say("disk-bound", &[disk_bound(messages, 4.0)]);
    say("memory", &[footprint::peak_memory()?]);
    if arguments.value(4)? { work_off(&engine, path, messages) } else { child::until_killed() }
}

/// Opens an existing backlog and drains it.
pub(crate) fn drain(arguments: &Arguments) -> Result<()> {
    let (path, messages) = (Path::new(arguments.text(0)?), arguments.value(1)?);
    let engine = open(path, messages, arguments.value(2)?)?;
    work_off(&engine, path, messages)
}

/// Opens a backlog and claims from it once; says how long that took, and the memory.
pub(crate) fn open(path: &Path, messages: u64, memory: u64) -> Result<Engine> {
    let started = Instant::now();
    let engine = scratch::open_within(path, memory)?;
    let claim = engine.queue(Project::none(), QUEUE)?.claim(ClaimOptions::new())?;
    say("opened", &[started.elapsed().as_secs_f64()]);
    say("memory-opened", &[footprint::peak_memory()?]);
    claim.ok_or("nothing to claim")?.release()?;
    if engine.status().messages() == messages { Ok(engine) } else { Err("not all messages are there".into()) }
}

/// Adds the rows of the posts.
pub(crate) fn add_posted(table: &mut Table, name: &str, report: &Report, memory: u64) -> Result<()> {
    let (rate, most) = (Target::Sustained(RATE), Target::Bytes(memory_bound(memory)));
    table.add(Row::of(format!("{name}: post, each second"), Unit::MessagesASecond, report.all("posted")?, rate));
    table.add(Row::of(format!("{name}: peak memory"), Unit::Bytes, report.all("memory")?, most));
    let disk = Row::of(format!("{name}: disk"), Unit::Bytes, report.all("disk")?, Target::Times(1.0));
    table.add(disk.beside("4 x live + 64 MiB", report.all("disk-bound")?));
    Ok(())
}

/// Adds the rows of the drain.
pub(crate) fn add_drained(table: &mut Table, name: &str, report: &Report, memory: u64) -> Result<()> {
    let (rate, most) = (Target::Sustained(RATE), Target::Bytes(memory_bound(memory)));
    let name = |what: &str| format!("{name}: {what}");
    table.add(Row::of(name("drain, each second"), Unit::MessagesASecond, report.all("drained")?, rate));
    table.add(Row::of(name("memory, then"), Unit::Bytes, report.all("memory-drained")?, most));
    let disk = Row::of(name("disk, meanwhile"), Unit::Bytes, report.all("disk-draining")?, Target::Times(1.0));
    table.add(disk.beside("5 x what was live before + 64 MiB", report.all("disk-draining-bound")?));
    table.add(Row::of(name("until at rest"), Unit::Seconds, report.all("rest")?, None));
    table.add(Row::of(name("disk at rest"), Unit::Bytes, report.all("disk-drained")?, Target::Bytes(64.0 * MIB)));
    Ok(())
}

/// A count in a row's name.
pub(crate) fn short(messages: u64) -> String {
    if messages < 1_000_000 { format!("{}k", messages / 1_000) } else { format!("{}M", messages / 1_000_000) }
}

/// The rate of every second.
fn posting(queue: &Queue, count: u64, batch: u64) -> Result<Vec<f64>> {
    let (client, batch) = (ClientId::random(), messages(batch));
    let mut seconds = Seconds::start();
    for _ in 0..count / batch.len() as u64 {
        queue.post(client, &batch)?;
        seconds.add(batch.len());
    }
    Ok(seconds.rates())
}

fn work_off(engine: &Engine, path: &Path, messages: u64) -> Result<()> {
    let watch = Watch::start(path);
    let (rates, done) = draining(&engine.queue(Project::none(), QUEUE)?)?;
    if done != messages || engine.status().messages() != 0 {
        return Err(format!("{done} of {messages} messages were claimed").into());
    }
    say("drained", &rates);
    say("memory-drained", &[footprint::peak_memory()?]);
    say("rest", &[footprint::rest(engine, path)?]);
    say("disk-draining", &[watch.end()?]);
    say("disk-draining-bound", &[disk_bound(messages, 5.0)]);
    say("disk-drained", &[footprint::disk(path)?]);
    Ok(engine.close()?)
}

/// The rate of every second, and how many messages there were. Claims are of 10, 20, ... 100.
fn draining(queue: &Queue) -> Result<(Vec<f64>, u64)> {
    let (mut seconds, mut done) = (Seconds::start(), 0);
    for limit in (10..=100).step_by(10).cycle() {
        let Some(claim) = queue.claim(ClaimOptions::new().limit(limit))? else { break };
        claim.delete_all()?;
        seconds.add(claim.messages().len());
        done += claim.messages().len() as u64;
    }
    Ok((seconds.rates(), done))
}

/// The budget, and as much again, at least 128 MiB, for buffers, entries of pages, and the allocator.
pub(crate) fn memory_bound(memory: u64) -> f64 {
    let memory = to_f64(memory);
    memory + memory.max(128.0 * MIB)
}

fn disk_bound(messages: u64, times_live: f64) -> f64 {
    to_f64(messages * (BODY_BYTES as u64 + 64)) * times_live + 64.0 * MIB
}

const QUEUE: &str = "backlog";
/// Messages a second, posted or worked off, in the worst second too.
const RATE: f64 = 300e3;
/// How many messages, and the budget of memory in bytes.
const FULL: (u64, u64) = (5_000_000, 256 << 20);
/// Again several times the budget.
const QUICK: (u64, u64) = (1_000_000, 64 << 20);
