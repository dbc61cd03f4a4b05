//! zaqar-sled beside other stores, on the same queue work.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- quick
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- full --json peers.jsonl
//! cargo run --release --manifest-path benches/peers/Cargo.toml -- check
//! ```
//!
//! - `store` is the trait that every store implements; `stores` has one file for each.
//! - `kv` is one queue, written by hand, for all key-value stores; `maps` the same in memory, for the bounds.
//! - `units` is the work; `rounds` lets the stores take turns, and `results` compares.
//! - `check` shows that every store gives the right answers.

mod bodies;
mod check;
mod figure;
mod group;
mod instant;
mod kv;
mod machine;
mod maps;
mod results;
mod rounds;
mod store;
mod stores;
mod syncing;
mod units;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use clap::{Args, Parser, Subcommand};
use tempfile::TempDir;

use crate::results::Results;
use crate::rounds::Rounds;
use crate::store::{Kind, Safety};
use crate::units::{Scale, Unit};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Compares zaqar-sled with other stores.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Measure in a few minutes.
    Quick(Selection),
    /// Measure larger stores, for longer.
    Full(Selection),
    /// Check that every store gives right answers.
    Check(Selection),
    /// Print what the stores survive, and the units.
    List,
    /// Print the tables of files that earlier runs have written with `--json`.
    Tables { files: Vec<PathBuf> },
    /// One store of one unit, in a process of its own.
    #[command(hide = true)]
    Child { scale: String, store: String, directory: PathBuf },
}

#[derive(Args)]
struct Selection {
    /// Only this store; may be repeated.
    #[arg(long, value_name = "NAME")]
    store: Vec<String>,
    /// Only this unit, or the units whose names begin with it and a hyphen; may be repeated.
    #[arg(long, value_name = "NAME")]
    unit: Vec<String>,
    /// Make the stores here, instead of beside the program. It should be on a disk.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Write every figure of every run to this file, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().action {
        Action::Quick(selection) => measure(&selection, &Scale::QUICK),
        Action::Full(selection) => measure(&selection, &Scale::FULL),
        Action::Check(selection) => check_all(&selection),
        Action::List => {
            list();
            Ok(ExitCode::SUCCESS)
        }
        Action::Tables { files } => tables(&files),
        Action::Child { scale, store, directory } => {
            let scale = if scale == Scale::FULL.name { Scale::FULL } else { Scale::QUICK };
            units::sustained::serve(&scale, &store, &directory)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn measure(selection: &Selection, scale: &Scale) -> Result<ExitCode> {
    let directory = selection.directory()?;
    let lines = selection.json.as_ref().map(File::create).transpose()?;
    let (started, before) = (Instant::now(), machine::load());
    let (units, kinds) = (selection.units()?, selection.kinds()?);
    let results = Rounds { scale, units, kinds, directory: &directory, lines }.run()?;
    let machine = machine::describe(&directory)?;
    println!("{machine}\nbefore: {before}; after: {}; {} s\n", machine::load(), started.elapsed().as_secs());
    println!("{results}");
    Ok(if results.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn check_all(selection: &Selection) -> Result<ExitCode> {
    let directory = selection.directory()?;
    for kind in selection.kinds()? {
        for safety in [Safety::Killed, Safety::PowerLoss] {
            check::check(kind, TempDir::new_in(&directory)?.path(), safety)?;
            println!("{} at {safety:?}: right", kind.name);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(files: &[PathBuf]) -> Result<ExitCode> {
    let mut results = Results::default();
    for file in files {
        results.read(&fs::read_to_string(file)?)?;
    }
    println!("{results}");
    Ok(ExitCode::SUCCESS)
}

fn list() {
    println!("| store | D0, the process dies | D0, the power fails | settings at D0; at D1 |\n|---|---|---|---|");
    for Kind { name, killed, power_loss, how, .. } in stores::ALL {
        println!("| {name} | {killed} | {power_loss} | {how} |");
    }
    println!("\n| unit | work |\n|---|---|");
    for Unit { name, what, .. } in units::ALL {
        println!("| {name} | {what} |");
    }
}

impl Selection {
    fn kinds(&self) -> Result<Vec<&'static Kind>> {
        if self.store.is_empty() {
            return Ok(stores::ALL.iter().collect());
        }
        let named = |name: &String| stores::named(name).ok_or_else(|| format!("no store {name} in this build").into());
        self.store.iter().map(named).collect()
    }

    fn units(&self) -> Result<Vec<&'static Unit>> {
        let asked = |unit: &&Unit| {
            let is = |name: &String| {
                unit.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            self.unit.is_empty() || self.unit.iter().any(is)
        };
        let units: Vec<_> = units::ALL.iter().filter(asked).collect();
        if units.is_empty() { Err("no such unit".into()) } else { Ok(units) }
    }

    fn directory(&self) -> Result<PathBuf> {
        let directory = match &self.dir {
            Some(directory) => directory.clone(),
            None => env::current_exe()?.parent().unwrap_or(Path::new(".")).join("peers-stores"),
        };
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    /// A run deletes everything in the servers, so tests do not run at once.
    static SERVERS: Mutex<()> = Mutex::new(());

    #[test]
    fn every_store_gives_right_answers() {
        let _alone = SERVERS.lock();
        for kind in stores::ALL {
            for safety in [Safety::Killed, Safety::PowerLoss] {
                check::check(kind, TempDir::new().unwrap().path(), safety).unwrap();
            }
        }
    }

    #[test]
    fn every_unit_but_the_child_process_runs_on_every_store() {
        let _alone = SERVERS.lock();
        let units = units::ALL.iter().filter(|unit| unit.name != "sust").collect();
        let directory = TempDir::new().unwrap();
        let kinds = stores::ALL.iter().collect();
        let rounds = Rounds { scale: &Scale::TINY, units, kinds, directory: directory.path(), lines: None };
        let results = rounds.run().unwrap();
        assert!(!results.has_failed(), "{results}");
    }
}
