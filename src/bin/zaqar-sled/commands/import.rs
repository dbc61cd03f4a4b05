//! `import`: makes a store of an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use zaqar_sled::{Engine, ExportReport, PoolName, PooledDriver};

use super::export::Report;
use super::restore::parse_place;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::store_path::StorePath;
use crate::waiting::Waiting;

/// The arguments of `import`.
#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// The directory for the store of a pool, which becomes its place; may be given for each pool.
    #[arg(long = "pool", value_name = "NAME=DIR", value_parser = parse_place)]
    pools: Vec<(PoolName, PathBuf)>,

    /// The file to read; `-` or no file means standard input.
    #[arg(value_name = "FROM")]
    from: Option<PathBuf>,
}

/// What the first line says.
#[derive(Deserialize)]
struct First {
    export: Header,
}

#[derive(Deserialize)]
struct Header {
    pooled: bool,
}

impl Import {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let report = match self.from.as_deref().filter(|from| *from != Path::new("-")) {
            Some(from) => {
                let failed = |source| Failure::Path { path: from.to_owned(), source };
                self.import(BufReader::new(File::open(from).map_err(failed)?))
            }
            None => self.import(io::stdin().lock()),
        }?;
        self.output.document(&Report::of(&report), Report::shown)?;
        Ok(Exit::Done)
    }

    /// The name of what is read.
    fn name(&self) -> String {
        self.from.as_ref().map_or_else(|| "standard input".into(), |from| from.display().to_string())
    }

    fn import(&self, mut reader: impl BufRead) -> Result<ExportReport, Failure> {
        let mut first = Vec::new();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut first);
        read.map_err(|source| Failure::Read { name: self.name(), source })?;
        // Where it is no export, the import says so.
        let is_pooled = serde_json::from_slice(&first).is_ok_and(|first: First| first.export.pooled);
        let waiting = Waiting::on("importing");
        let lines = waiting.counting(first.as_slice().chain(reader));
        let places = self.pools.iter().map(|(name, place)| Ok((name.clone(), std::path::absolute(place)?)));
        let places = places.collect::<io::Result<Vec<_>>>()?;
        let imported = if is_pooled || !places.is_empty() {
            PooledDriver::import(self.store.path(), lines, places)
        } else {
            Engine::import(self.store.path(), lines)
        };
        imported.map_err(|source| match source {
            zaqar_sled::Error::InvalidExport { .. } => Failure::InvalidExport { source },
            source => Failure::Store(source),
        })
    }
}

/// More than the first line of any export has.
const LONGEST: u64 = 64 << 10;
