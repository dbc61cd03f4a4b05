//! The planning formula for memory and disk, compared with stores of several shapes.
//!
//! Each store is a process of its own: it posts, claims if its shape says so, and waits until housekeeping is idle. The
//! peaks are compared.

use std::path::Path;
use std::time::Duration;

use zaqar_sled::{ClaimOptions, ClientId, Config, Durability, Engine, Metadata, Project, Queue};

use crate::Result;
use crate::child::{self, Arguments, say};
use crate::footprint::{self, Watch};
use crate::formula::Shape;
use crate::rounds::Rounds;
use crate::scratch::{self, messages_of};
use crate::table::{Row, Table, Target, Unit};

/// The job that creates a store of a shape.
pub(crate) const FORM: &str = "form-a-store";

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let bodies: &[u64] = if rounds.hurried() { &[256] } else { &[64, 256, 4096] };
    for (body, queues) in bodies.iter().flat_map(|body| [(*body, 1), (*body, 1_000)]) {
        for temperature in [HOT, COLD] {
            add(table, temperature, body, queues, 0)?;
        }
    }
    for temperature in [HOT, COLD] {
        add(table, temperature, 256, 1, 10)?;
    }
    Ok(())
}

/// Creates a store of the shape in the arguments.
pub(crate) fn form(arguments: &Arguments) -> Result<()> {
    let path = Path::new(arguments.text(0)?);
    let shape = Shape {
        body: arguments.value(1)?,
        queues: arguments.value(2)?,
        messages_a_queue: arguments.value(3)?,
        messages_a_claim: arguments.value(4)?,
        budget: arguments.value(5)?,
        journal_max: arguments.value(6)?,
    };
    let config = Config::new().durability(Durability::Buffered).memory(shape.budget).journal_max(shape.journal_max);
    let engine = config.open(path)?;
    let watch = Watch::start(path);
    let queues = queues(&engine, shape.queues)?;
    post(&queues, shape)?;
    claim(&queues, shape)?;
    footprint::rest(&engine, path)?;
    say("disk", &[watch.end()?]);
    say("memory", &[footprint::peak_memory()?]);
    Ok(engine.close()?)
}

/// Has a store made and adds its rows.
fn add(table: &mut Table, temperature: Temperature, body: u64, queues: u64, messages_a_claim: u64) -> Result<()> {
    let Temperature { name, budget, live } = temperature;
    // A multiple of the batch size.
    let messages_a_queue = (live / (body + 64) / queues).next_multiple_of(BATCH);
    let shape = Shape { body, queues, messages_a_queue, messages_a_claim, budget, journal_max: JOURNAL_MAX };
    let (folder, claimed) = (scratch::folder()?, if messages_a_claim == 0 { "" } else { ", claimed" });
    let path = folder.path().join("store");
    let arguments: [&dyn std::fmt::Display; 7] =
        [&path.display(), &body, &queues, &messages_a_queue, &messages_a_claim, &budget, &JOURNAL_MAX];
    let report = child::run(FORM, &arguments)?;
    for (what, measured, formula, target) in [
        ("memory", report.all("memory")?, shape.memory(), Target::Near(0.2)),
        // Less where a snapshot happens to have been written.
        ("disk", report.all("disk")?, shape.disk(), Target::Times(1.0)),
    ] {
        let name = format!("{what}: {}k x {body} B in {queues}, {name}{claimed}", shape.messages() / 1_000);
        table.add(Row::of(name, Unit::Bytes, measured, target).beside("the formula", vec![formula]));
    }
    Ok(())
}

fn queues(engine: &Engine, count: u64) -> Result<Vec<Queue>> {
    let queues = (0..count).map(|number| engine.queue(Project::none(), format!("queue-{number:07}")));
    let queues = queues.collect::<zaqar_sled::Result<Vec<_>>>()?;
    queues.iter().try_for_each(|queue| queue.create(Metadata::new()).map(drop))?;
    Ok(queues)
}

/// Posts to every queue in turn, until all have the messages of the shape.
fn post(queues: &[Queue], shape: Shape) -> Result<()> {
    let (client, batch) = (ClientId::random(), messages_of(BATCH, usize::try_from(shape.body)?));
    for _ in 0..shape.messages_a_queue / BATCH {
        queues.iter().try_for_each(|queue| queue.post(client, &batch).map(drop))?;
    }
    Ok(())
}

/// Claims all messages, if the shape says so.
fn claim(queues: &[Queue], shape: Shape) -> Result<()> {
    if shape.messages_a_claim == 0 {
        return Ok(());
    }
    let options = ClaimOptions::new().ttl(Duration::from_secs(3600)).limit(usize::try_from(shape.messages_a_claim)?);
    for queue in queues {
        while queue.claim(options.clone())?.is_some() {}
    }
    Ok(())
}

/// Whether the messages fit the budget.
#[derive(Clone, Copy)]
struct Temperature {
    name: &'static str,
    budget: u64,
    live: u64,
}

const HOT: Temperature = Temperature { name: "hot", budget: 256 << 20, live: 128 << 20 };
const COLD: Temperature = Temperature { name: "cold", budget: 32 << 20, live: 256 << 20 };
const JOURNAL_MAX: u64 = 256 << 20;
/// Messages a call posts.
const BATCH: u64 = 10;
