//! sled used directly: one record a message, in one tree, because its batches are atomic within one tree.
//!
//! sled's own `flush` ends in `sync_file_range`, which leaves the data in the drive's cache. So the file is synced besides.

use std::fs::File;
use std::path::Path;

use sled::{Batch, Db};

use crate::Result;
use crate::kv::{Commits, KvStore, Map, Table, Visit, Write};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "sled",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept, but for the last 500 ms",
    power_loss: "kept, but for the last 500 ms",
    how: "syncs every 500 ms by itself; `flush` and `fdatasync` after each batch",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let config = sled::Config::new().path(directory.join("sled")).cache_capacity(CACHE_BYTES);
    let interval = match safety {
        Safety::Killed => Some(500),
        Safety::PowerLoss => None,
    };
    let database = config.flush_every_ms(interval).open()?;
    let file = File::open(directory.join("sled").join("db"))?;
    Ok(KvStore::boxed(Sled { database, file, safety }))
}

struct Sled {
    database: Db,
    file: File,
    safety: Safety,
}

impl Map for Sled {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut writes = Batch::default();
        for Write { table, key, value } in batch {
            match value {
                Some(value) => writes.insert(prefixed(*table, key.as_ref()), value.as_slice()),
                None => writes.remove(prefixed(*table, key.as_ref())),
            }
        }
        self.database.apply_batch(writes)?;
        if self.safety == Safety::PowerLoss {
            self.sync()?;
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.database.get(prefixed(table, key))?.map(|value| value.to_vec()))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for row in self.database.range(prefixed(table, from)..prefixed(table, to)) {
            let (key, value) = row?;
            if !visit(key.get(1..).unwrap_or_default(), &value) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let last = self.database.range(prefixed(table, from)..prefixed(table, to)).next_back().transpose()?;
        Ok(last.and_then(|(key, _)| key.get(1..).map(<[u8]>::to_vec)))
    }

    fn sync(&self) -> Result<()> {
        self.database.flush()?;
        Ok(self.file.sync_data()?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::Own,
            Safety::PowerLoss => Commits::Shared,
        }
    }
}

fn prefixed(table: Table, key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(1 + key.len());
    prefixed.push(table as u8);
    prefixed.extend_from_slice(key);
    prefixed
}

const CACHE_BYTES: u64 = 256 << 20;
