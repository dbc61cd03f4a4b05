//! RocksDB: a log-structured merge tree that groups the commits of several threads by itself.

use std::path::Path;

use rocksdb::{BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction};
use rocksdb::{IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions};

use crate::Result;
use crate::kv::{Commits, KvStore, Map, Table, Visit, Write};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "rocksdb",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "kept, but for the last 500 ms",
    how: "WAL synced every 500 ms; `sync`",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&blocks);
    options.increase_parallelism(2);
    let tables = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), options.clone()));
    let database = DB::open_cf_descriptors(&options, directory.join("rocksdb"), tables)?;
    let mut how = WriteOptions::default();
    how.set_sync(safety == Safety::PowerLoss);
    Ok(KvStore::boxed(Rocks { database, how, safety }))
}

struct Rocks {
    database: DB,
    how: WriteOptions,
    safety: Safety,
}

impl Rocks {
    fn table(&self, table: Table) -> Result<&ColumnFamily> {
        Ok(self.database.cf_handle(table.name()).ok_or("a column family is missing")?)
    }
}

impl Map for Rocks {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut writes = WriteBatch::default();
        for Write { table, key, value } in batch {
            match value {
                Some(value) => writes.put_cf(self.table(*table)?, key, value),
                None => writes.delete_cf(self.table(*table)?, key),
            }
        }
        Ok(self.database.write_opt(writes, &self.how)?)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.database.get_cf(self.table(table)?, key)?)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let from = IteratorMode::From(from, Direction::Forward);
        for row in self.database.iterator_cf_opt(self.table(table)?, options, from) {
            let (key, value) = row?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut rows = self.database.raw_iterator_cf(self.table(table)?);
        rows.seek_for_prev(to);
        let last = rows.key().filter(|key| *key >= from && *key < to).map(<[u8]>::to_vec);
        rows.status()?;
        Ok(last)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.flush_wal(true)?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::SyncedLater,
            Safety::PowerLoss => Commits::Own,
        }
    }
}

const CACHE_BYTES: usize = 256 << 20;
