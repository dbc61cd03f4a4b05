//! SQLite with a write-ahead log, used as the other key-value stores are: one transaction a batch, no secondary index but
//! that of the expiries.
//!
//! Messages and claims have integers for keys, which SQLite finds fastest and keeps in the order of the table: the queue's
//! number in the upper 23 bits, the message's in the lower 40.

use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::Result;
use crate::kv::{Commits, Key, KvStore, Map, Table, Visit, Write, message_of};
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "sqlite",
    role: Role::Peer,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "kept, but for the last 500 ms",
    how: "WAL with `synchronous` = `NORMAL`, synced every 500 ms; `FULL`",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let path = directory.join("sqlite");
    let writer = connect(&path)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match safety {
        Safety::Killed => "NORMAL",
        Safety::PowerLoss => "FULL",
    };
    writer.pragma_update(None, "synchronous", synchronous)?;
    writer.execute_batch(SCHEMA)?;
    Ok(KvStore::boxed(Sqlite { writer: Mutex::new(writer), readers: Mutex::default(), path, safety }))
}

struct Sqlite {
    writer: Mutex<Connection>,
    /// Connections that no thread uses now.
    readers: Mutex<Vec<Connection>>,
    path: PathBuf,
    safety: Safety,
}

impl Sqlite {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let reader = self.readers.lock().pop();
        let reader = reader.map_or_else(|| connect(&self.path), Ok)?;
        let answer = read(&reader)?;
        self.readers.lock().push(reader);
        Ok(answer)
    }
}

impl Map for Sqlite {
    fn write(&self, batch: &[Write]) -> Result<()> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction()?;
        for of in Table::ALL {
            let of_table = || batch.iter().filter(|write| write.table == of);
            if of_table().any(|write| write.value.is_some()) {
                let mut put = transaction.prepare_cached(statement(of, Use::Put))?;
                for Write { key, value, .. } in of_table() {
                    if let Some(value) = value {
                        put.execute(params![Column::of(of, key.as_ref())?, value])?;
                    }
                }
            }
            if of_table().any(|write| write.value.is_none()) {
                let mut remove = transaction.prepare_cached(statement(of, Use::Remove))?;
                for Write { key, .. } in of_table().filter(|write| write.value.is_none()) {
                    remove.execute([Column::of(of, key.as_ref())?])?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read(|reader| {
            let mut statement = reader.prepare_cached(statement(table, Use::Get))?;
            Ok(statement.query_row([Column::of(table, key)?], |row| row.get(0)).optional()?)
        })
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.read(|reader| {
            let statement = reader.prepare_cached(statement(table, Use::Scan))?;
            scan(statement, &[Column::of(table, from)?, Column::of(table, to)?], visit)
        })
    }

    fn last_key(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut last = None;
        self.read(|reader| {
            let statement = reader.prepare_cached(statement(table, Use::Last))?;
            scan(statement, &[Column::of(table, from)?, Column::of(table, to)?], &mut |key, _| {
                last = Some(key.to_vec());
                false
            })
        })?;
        Ok(last)
    }

    fn sync(&self) -> Result<()> {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        Ok(File::open(wal)?.sync_data()?)
    }

    fn commits(&self) -> Commits {
        match self.safety {
            Safety::Killed => Commits::SyncedLater,
            Safety::PowerLoss => Commits::Shared,
        }
    }
}

/// A key as SQLite has it.
enum Column<'a> {
    Bytes(&'a [u8]),
    Number(i64),
}

impl<'a> Column<'a> {
    fn of(table: Table, key: &'a [u8]) -> Result<Self> {
        if matches!(table, Table::Queues | Table::Expiries) {
            return Ok(Self::Bytes(key));
        }
        let (queue, message) = message_of(key).ok_or("the key is no message's")?;
        Ok(Self::Number((i64::from(queue) << BITS) | i64::try_from(message.min((1 << BITS) - 1))?))
    }
}

impl ToSql for Column<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Number(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
        })
    }
}

fn scan(mut statement: CachedStatement<'_>, range: &[Column<'_>; 2], visit: &mut Visit<'_>) -> Result<()> {
    let mut rows = statement.query(params![range[0], range[1]])?;
    while let Some(row) = rows.next()? {
        let value = row.get_ref(1)?.as_blob()?;
        let more = match row.get_ref(0)? {
            ValueRef::Integer(number) => {
                let (queue, message) = (u32::try_from(number >> BITS)?, u64::try_from(number & ((1 << BITS) - 1))?);
                visit(Key::message(queue, message).as_ref(), value)
            }
            key => visit(key.as_blob()?, value),
        };
        if !more {
            break;
        }
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    Ok(connection)
}

#[derive(Clone, Copy)]
enum Use {
    Put,
    Remove,
    Get,
    Scan,
    Last,
}

fn statement(table: Table, of: Use) -> &'static str {
    macro_rules! statements {
        ($table:literal) => {
            match of {
                Use::Put => concat!("INSERT OR REPLACE INTO ", $table, " (key, value) VALUES (?1, ?2)"),
                Use::Remove => concat!("DELETE FROM ", $table, " WHERE key = ?1"),
                Use::Get => concat!("SELECT value FROM ", $table, " WHERE key = ?1"),
                Use::Scan => {
                    concat!("SELECT key, value FROM ", $table, " WHERE key >= ?1 AND key < ?2 ORDER BY key")
                }
                Use::Last => concat!(
                    "SELECT key, value FROM ",
                    $table,
                    " WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT 1"
                ),
            }
        };
    }
    match table {
        Table::Queues => statements!("queues"),
        Table::Messages => statements!("messages"),
        Table::Claims => statements!("claims"),
        Table::Expiries => statements!("expiries"),
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS queues (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS messages (key INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS claims (key INTEGER PRIMARY KEY, value BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS expiries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";
/// Bits of a message's number in its key.
const BITS: u32 = 40;
/// Negative means KiB.
const CACHE_KIB: i64 = -64 * 1024;
