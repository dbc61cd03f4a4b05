//! A very deep backlog in very little memory: posted, opened after a kill, closed, opened again, drained. It takes
//! minutes and gigabytes, so it runs only on request.

use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::backlog;
use crate::child::{self, Arguments, Report, say};
use crate::footprint;
use crate::rounds::Rounds;
use crate::scratch;
use crate::table::{Row, Table, Target, Unit};

/// The job that opens the backlog and closes it again.
pub(crate) const REOPEN: &str = "reopen-backlog";

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let messages = MESSAGES / rounds.divisor;
    let folder = scratch::folder()?;
    let store = folder.path().join("store");
    let path = store.display();
    let name = format!("deep {}", backlog::short(messages));

    let posted = child::run_and_kill(backlog::POST, &[&path, &messages, &100, &MEMORY, &false])?;
    backlog::add_posted(table, &name, &posted, MEMORY)?;
    let reopened = child::run(REOPEN, &[&path, &messages, &MEMORY])?;
    // An opening after a kill may take 3 s for a million messages.
    add_opened(table, &format!("{name}, killed"), &reopened, Target::Within(3e-6 * footprint::to_f64(messages)))?;
    table.add(Row::of(format!("{name}: close"), Unit::Seconds, reopened.all("closed")?, None));
    let drained = child::run(backlog::DRAIN, &[&path, &messages, &MEMORY])?;
    add_opened(table, &format!("{name}, closed"), &drained, Target::Within(1e-7 * footprint::to_f64(messages)))?;
    backlog::add_drained(table, &name, &drained, MEMORY)
}

/// Opens, claims once, reports the memory, and closes.
pub(crate) fn reopen(arguments: &Arguments) -> Result<()> {
    let engine = backlog::open(Path::new(arguments.text(0)?), arguments.value(1)?, arguments.value(2)?)?;
    let closing = Instant::now();
    engine.close()?;
    say("closed", &[closing.elapsed().as_secs_f64()]);
    Ok(())
}

fn add_opened(table: &mut Table, name: &str, report: &Report, target: Target) -> Result<()> {
    let most = Target::Bytes(backlog::memory_bound(MEMORY));
    table.add(Row::of(format!("{name}: open, first claim"), Unit::Seconds, report.all("opened")?, target));
    table.add(Row::of(format!("{name}: peak memory"), Unit::Bytes, report.all("memory-opened")?, most));
    Ok(())
}

const MESSAGES: u64 = 20_000_000;
const MEMORY: u64 = 64 << 20;
