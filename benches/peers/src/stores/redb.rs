//! redb: a copy-on-write B+ tree, one writer at a time.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use crate::Result;
use crate::kv::{Commits, KvStore, Map, Table, Visit, Write};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "redb",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept, but for the last 500 ms",
    power_loss: "kept, but for the last 500 ms",
    how: "`Durability::None` and a durable commit every 500 ms; `Immediate`",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let database = Database::builder().set_cache_size(CACHE_BYTES).create(directory.join("redb"))?;
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction.commit()?;
    Ok(KvStore::boxed(Redb { database, safety }))
}

struct Redb {
    database: Database,
    safety: Safety,
}

impl Map for Redb {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        if self.safety == Safety::Killed {
            transaction.set_durability(Durability::None)?;
        }
        for of in Table::ALL {
            if !batch.iter().any(|write| write.table == of) {
                continue;
            }
            let mut table = transaction.open_table(definition(of))?;
            for Write { key, value, .. } in batch.iter().filter(|write| write.table == of) {
                match value {
                    Some(value) => drop(table.insert(key.as_ref(), value.as_slice())?),
                    None => drop(table.remove(key.as_ref())?),
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let table = self.database.begin_read()?.open_table(definition(table))?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        let table = self.database.begin_read()?.open_table(definition(table))?;
        for row in table.range(from..to)? {
            let (key, value) = row?;
            if !visit(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let table = self.database.begin_read()?.open_table(definition(table))?;
        let last = table.range(from..to)?.next_back().transpose()?;
        Ok(last.map(|(key, _)| key.value().to_vec()))
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.begin_write()?.commit()?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::SyncedLater,
            Safety::PowerLoss => Commits::Shared,
        }
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

const CACHE_BYTES: usize = 256 << 20;
