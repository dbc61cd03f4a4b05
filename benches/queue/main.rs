//! The cost of the engine beside a bare loop of the same system calls, in one run, on one disk.
//!
//! ```text
//! cargo bench --bench queue -- [FILTER] [--quick] [--check]
//! ```
//!
//! `FILTER` is a part of a group's name, `--quick` makes rounds a tenth as long and stores smaller, `--check` exits
//! with 1 when a target is missed.
//!
//! | Group | What |
//! |---|---|
//! | `post`, `cycle`, `claim`, `stats` | calls, and in a cycle |
//! | `batch` | a delete and a post in one batch, beside a post |
//! | `control` | subscriptions, the catalogue, pools |
//! | `open` | a store of a million messages, after a kill and after a close |
//! | `hidden` | a claim behind delayed or claimed messages |
//! | `queues` | a million queues, and one of a million messages |
//! | `quiet` | latency while checkpoints and snapshots are written |
//! | `plan` | the planning formula for memory and disk |
//! | `backlog` | many more messages than fit the memory budget |
//! | `deep` | a great many more; only when `FILTER` names it, for it takes minutes and 20 GB |
//!
//! Every row is the median of rounds that alternate with rounds of its reference, so that other load of the machine
//! affects both. The ratio is the median of the ratios of neighbouring rounds. Background threads run as usual, also
//! during the timed rounds; between the rounds the engine becomes idle. Absolute figures depend on the machine and the
//! moment: compare the ratios.

mod backlog;
mod bare;
mod batches;
mod child;
mod claims;
mod control;
mod cycles;
mod deep;
mod footprint;
mod formula;
mod hidden;
mod machine;
mod many;
mod opening;
mod plan;
mod posts;
mod quiet;
#[path = "../../tests/support/random.rs"]
mod random;
mod rounds;
mod scratch;
mod stats;
mod table;

use std::process::ExitCode;

use crate::rounds::Rounds;
use crate::table::Table;

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(done) = child::serve(&arguments, &JOBS) {
        return done.map(|()| ExitCode::SUCCESS);
    }
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    // `cargo test --benches` runs this program too, and then it does nothing.
    if !has("--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    let rounds = if has("--quick") { Rounds::quick() } else { Rounds::full() };
    println!("{}\n", machine::describe()?);
    let mut table = Table::default();
    for (group, run) in GROUPS {
        let asked = !filter.is_empty() || !AT_REQUEST.contains(&group);
        if asked
            && group.contains(filter)
            && let Err(error) = run(rounds, &mut table)
        {
            table.fail(group, &*error);
        }
    }
    println!("\n{table}\n{}", machine::load());
    Ok(if has("--check") && table.missed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

type Group = fn(Rounds, &mut Table) -> Result<()>;

const GROUPS: [(&str, Group); 13] = [
    ("post", posts::run),
    ("cycle", cycles::run),
    ("claim", claims::run),
    ("batch", batches::run),
    ("stats", stats::run),
    ("control", control::run),
    ("open", opening::run),
    ("hidden", hidden::run),
    ("queues", many::run),
    ("quiet", quiet::run),
    ("plan", plan::run),
    ("backlog", backlog::run),
    ("deep", deep::run),
];

/// Groups that take so long that they run only when a filter names them.
const AT_REQUEST: [&str; 1] = ["deep"];

/// The jobs of this program as its own child.
const JOBS: [(&str, child::Job); 7] = [
    (opening::FILL, opening::fill_until_killed),
    (backlog::POST, backlog::post),
    (backlog::DRAIN, backlog::drain),
    (deep::REOPEN, deep::reopen),
    (many::MAKE, many::make),
    (many::USE, many::use_each),
    (plan::FORM, plan::form),
];
