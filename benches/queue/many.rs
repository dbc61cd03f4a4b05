//! Very many queues: created, listed, used once, removed; the memory of an idle queue; and the removal of one very long
//! queue.

use std::path::Path;
use std::time::{Duration, Instant};

use zaqar_sled::{ClientId, DataDriver, Durability, Engine, Metadata, Project, QueueListOptions, QueueName};

use crate::Result;
use crate::child::{self, Arguments, Report, say};
use crate::footprint::{self, to_f64};
use crate::rounds::Rounds;
use crate::scratch::{self, Store, messages};
use crate::table::{Row, Table, Target, Unit};

/// The job that creates and lists queues.
pub(crate) const MAKE: &str = "make-queues";
/// The job that opens a store of queues and uses each once.
pub(crate) const USE: &str = "use-queues";

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    // With fewer queues the constant memory would count as the queues'.
    let count = if rounds.hurried() { QUEUES / 4 } else { QUEUES };
    let folder = scratch::folder()?;
    let store = folder.path().join("store");
    let made = child::run(MAKE, &[&store.display(), &count])?;
    let used = child::run(USE, &[&store.display(), &count])?;
    let (calls, name) = (Unit::CallsASecond, |what: &str| format!("{} queues: {what}", shown(count)));
    table.add(Row::of(name("create"), calls, made.all("created")?, None));
    table.add(Row::of(name("list, pages of 1000"), calls, made.all("listed")?, None));
    table.add(Row::of(name("post 1 to each"), calls, used.all("posted")?, None));
    table.add(Row::of(name("delete each"), calls, used.all("deleted")?, None));
    let empty = made.one("memory-empty")?;
    add_memory(table, name("memory of an idle one"), &made, empty, count)?;
    add_memory(table, name("the same, reopened"), &used, empty, count)?;
    remove_long(rounds, table)
}

/// Creates queues in an empty store and lists them.
pub(crate) fn make(arguments: &Arguments) -> Result<()> {
    let path = Path::new(arguments.text(0)?);
    let (engine, names) = (scratch::open(path, Durability::Buffered)?, names(arguments.value(1)?)?);
    // The bench's own list of names takes memory too.
    say("memory-empty", &[footprint::memory()?]);
    let (queues, none, plain) = (engine.queues(), Project::none(), Metadata::new());
    let created = each(&names, |name| Ok(queues.create(&none, name, &plain).map(drop)?))?;
    say("created", &[created]);
    footprint::rest(&engine, path)?;
    say("memory", &[footprint::memory()?]);
    say("listed", &[listing(&engine, names.len())?]);
    Ok(engine.close()?)
}

/// Opens the store, reports its memory, then posts to every queue and removes every queue.
pub(crate) fn use_each(arguments: &Arguments) -> Result<()> {
    let path = Path::new(arguments.text(0)?);
    let names = names(arguments.value(1)?)?;
    let engine = scratch::open(path, Durability::Buffered)?;
    footprint::rest(&engine, path)?;
    say("memory", &[footprint::memory()?]);
    let (none, client, message) = (Project::none(), ClientId::random(), messages(1));
    say("posted", &[each(&names, |name| Ok(engine.messages().post(&none, name, client, &message).map(drop)?))?]);
    say("deleted", &[each(&names, |name| Ok(engine.queues().delete(&none, name)?))?]);
    let left = engine.status().queues();
    if left == 0 { Ok(engine.close()?) } else { Err(format!("{left} queues are left").into()) }
}

/// The calls a second.
fn each(names: &[QueueName], call: impl FnMut(&QueueName) -> Result<()>) -> Result<f64> {
    let started = Instant::now();
    names.iter().try_for_each(call)?;
    Ok(to_f64(names.len() as u64) / started.elapsed().as_secs_f64())
}

/// Queues listed a second, page after page.
fn listing(engine: &Engine, count: usize) -> Result<f64> {
    let (started, none) = (Instant::now(), Project::none());
    let (mut found, mut marker) = (0, None);
    loop {
        let page = engine.queues().list(&none, &QueueListOptions::new().limit(1_000).marker(marker))?;
        found += page.items.len();
        marker = page.next;
        if marker.is_none() {
            break;
        }
    }
    if found != count {
        return Err(format!("{found} queues were listed").into());
    }
    Ok(to_f64(found as u64) / started.elapsed().as_secs_f64())
}

fn add_memory(table: &mut Table, name: String, report: &Report, empty: f64, count: u64) -> Result<()> {
    let each = (report.one("memory")? - empty) / to_f64(count);
    let bound = to_f64(NAME_BYTES as u64) + IDLE_BYTES;
    let row = Row::of(name, Unit::BytesAQueue, vec![each], Target::Times(1.0));
    table.add(row.beside("200 B and the name", vec![bound]));
    Ok(())
}

/// A queue of a million messages, removed in one call.
fn remove_long(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let mut took = Vec::new();
    for _ in 0..if rounds.hurried() { 1 } else { 3 } {
        let queue = store.queue("long", LONG)?;
        store.rest()?;
        let started = Instant::now();
        queue.delete()?;
        took.push(started.elapsed().as_secs_f64());
        store.engine.gc()?;
    }
    let target = Target::Within(Duration::from_millis(10).as_secs_f64());
    table.add(Row::of("delete a queue of 1M messages", Unit::Seconds, took, target));
    Ok(())
}

fn names(count: u64) -> Result<Vec<QueueName>> {
    Ok((0..count).map(|number| QueueName::new(format!("queue-{number:07}"))).collect::<Result<_, _>>()?)
}

fn shown(count: u64) -> String {
    crate::backlog::short(count)
}

const QUEUES: u64 = 1_000_000;
const LONG: u64 = 1_000_000;
/// The allowed memory of an idle queue beside its name.
const IDLE_BYTES: f64 = 200.0;
const NAME_BYTES: usize = "queue-0000000".len();
