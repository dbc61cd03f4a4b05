//! `restore`: makes a store of a backup.

use std::path::{Path, PathBuf};

use clap::Args;
use zaqar_sled::{PoolName, PooledDriver};

use super::backup::Report;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::store_path::{BACKUP, StorePath};
use crate::waiting::Waiting;

/// The arguments of `restore`.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// The directory for the store of a pool, which becomes its place; may be given for each pool.
    #[arg(long = "pool", value_name = "NAME=DIR", value_parser = parse_place)]
    pools: Vec<(PoolName, PathBuf)>,

    /// The directory of the backup.
    #[arg(value_name = "FROM")]
    from: PathBuf,
}

impl Restore {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let record = self.from.join(BACKUP);
        let exists = record.try_exists();
        if !exists.map_err(|source| Failure::Path { path: record, source })? {
            return Err(Failure::NoBackup { path: self.from.clone() });
        }
        let waiting = Waiting::on("restoring the backup");
        let places = self.pools.iter().map(|(name, place)| Ok((name.clone(), std::path::absolute(place)?)));
        let places = places.collect::<std::io::Result<Vec<_>>>()?;
        let report =
            PooledDriver::restore(&self.from, self.store.path(), places).map_err(|error| self.failed(error))?;
        drop(waiting);
        self.output.document(&Report::of(&report), Report::shown)?;
        Ok(Exit::Done)
    }

    fn failed(&self, source: zaqar_sled::Error) -> Failure {
        match source {
            source if source.is_corrupt() => Failure::DamagedBackup { path: self.from.clone(), source },
            source => Failure::Store(source),
        }
    }
}

pub(super) fn parse_place(text: &str) -> Result<(PoolName, PathBuf), String> {
    let (name, place) = text.split_once('=').ok_or("not NAME=DIR")?;
    let name = PoolName::new(name).map_err(|error| error.to_string())?;
    if place.is_empty() { Err("not NAME=DIR".into()) } else { Ok((name, Path::new(place).into())) }
}
