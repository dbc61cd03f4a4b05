//! fjall: a log-structured merge tree with one journal for all keyspaces.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::Result;
use crate::kv::{Commits, KvStore, Map, Table, Visit, Write};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "fjall",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "kept, but for the last 500 ms",
    how: "`PersistMode::Buffer` and a sync every 500 ms; `SyncData`",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let database = Database::builder(directory.join("fjall")).cache_size(CACHE_BYTES).open()?;
    let create = |table: Table| database.keyspace(table.name(), KeyspaceCreateOptions::default);
    let [queues, messages, claims, expiries] = Table::ALL;
    let tables = [create(queues)?, create(messages)?, create(claims)?, create(expiries)?];
    Ok(KvStore::boxed(Fjall { database, tables, safety }))
}

struct Fjall {
    database: Database,
    tables: [Keyspace; 4],
    safety: Safety,
}

impl Fjall {
    fn table(&self, table: Table) -> &Keyspace {
        let [queues, messages, claims, expiries] = &self.tables;
        match table {
            Table::Queues => queues,
            Table::Messages => messages,
            Table::Claims => claims,
            Table::Expiries => expiries,
        }
    }
}

impl Map for Fjall {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mode = match self.safety {
            Safety::Killed => PersistMode::Buffer,
            Safety::PowerLoss => PersistMode::SyncData,
        };
        let mut writes = self.database.batch().durability(Some(mode));
        for Write { table, key, value } in batch {
            match value {
                Some(value) => writes.insert(self.table(*table), key.as_ref(), value.as_slice()),
                None => writes.remove(self.table(*table), key.as_ref()),
            }
        }
        Ok(writes.commit()?)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.table(table).get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        for row in self.table(table).range(from..to) {
            let (key, value) = row.into_inner()?;
            if !visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let last = self.table(table).range(from..to).next_back().map(fjall::Guard::key).transpose()?;
        Ok(last.map(|key| key.to_vec()))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::SyncedLater,
            Safety::PowerLoss => Commits::Shared,
        }
    }
}

const CACHE_BYTES: u64 = 256 << 20;
