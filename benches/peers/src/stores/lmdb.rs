//! LMDB through heed: a copy-on-write B+ tree in mapped memory, one writer at a time.

#![expect(unsafe_code, reason = "nobody but this process may change the file that LMDB maps")]

use std::ops::Bound;
use std::path::Path;

use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions};

use crate::Result;
use crate::kv::{Commits, KvStore, Map, Table, Visit, Write};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "lmdb",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "the file may be damaged",
    how: "`MDB_NOSYNC` and a sync every 500 ms; default",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES).max_dbs(4);
    if safety == Safety::Killed {
        // SAFETY: without syncs the file is consistent as long as the system runs.
        unsafe { options.flags(EnvFlags::NO_SYNC) };
    }
    // SAFETY: the directory was made for this process alone.
    let env = unsafe { options.open(directory)? };
    let transaction = env.write_txn()?;
    let tables = env
        .create_databases_and_commit(transaction, |opener, transaction| -> heed::Result<_> {
            let mut create = |table: Table| opener.create_database(transaction, Some(table.name()));
            let [queues, messages, claims, expiries] = Table::ALL;
            let tables = (create(queues)?, create(messages)?, create(claims)?, create(expiries)?);
            Ok(CommitOrAbort::<_, ()>::Commit(tables))
        })?
        .commit()
        .ok_or("the tables were not created")?;
    Ok(KvStore::boxed(Lmdb { env, tables: [tables.0, tables.1, tables.2, tables.3], safety }))
}

struct Lmdb {
    env: Env,
    tables: [Database<'static, Bytes, Bytes>; 4],
    safety: Safety,
}

impl Lmdb {
    fn table(&self, table: Table) -> Database<'static, Bytes, Bytes> {
        let [queues, messages, claims, expiries] = self.tables;
        match table {
            Table::Queues => queues,
            Table::Messages => messages,
            Table::Claims => claims,
            Table::Expiries => expiries,
        }
    }
}

impl Map for Lmdb {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut transaction = self.env.write_txn()?;
        for Write { table, key, value } in batch {
            match value {
                Some(value) => self.table(*table).put(&mut transaction, key.as_ref(), value)?,
                None => _ = self.table(*table).delete(&mut transaction, key.as_ref())?,
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let transaction = self.env.read_txn()?;
        Ok(self.table(table).get(&transaction, key)?.map(<[u8]>::to_vec))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        for row in self.table(table).range(&transaction, &(Bound::Included(from), Bound::Excluded(to)))? {
            let (key, value) = row?;
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let transaction = self.env.read_txn()?;
        let last = self.table(table).get_lower_than(&transaction, to)?;
        Ok(last.filter(|(key, _)| *key >= from).map(|(key, _)| key.to_vec()))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::SyncedLater,
            Safety::PowerLoss => Commits::Shared,
        }
    }
}

/// The largest size of the file, of which only what is used takes space.
const MAP_BYTES: usize = 16 << 30;
