//! The maps of `mem`, and one write to a log for each call: the bound of every engine with one lock and a log.
//!
//! At D0 the log grows, and is synced every half second. At D1 threads share a write and a sync; the log is a file that was
//! written out before, and starts again from its beginning when it is full, as an engine would use its segments again.
//! Nothing is ever read back.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Result;
use crate::group::{Group, Turn};
use crate::maps::{Log, Maps};
use crate::store::{Kind, Role, Safety, Store};
use crate::syncing::Syncing;

pub(super) const KIND: Kind = Kind {
    name: "memlog",
    role: Role::Bound,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "kept, but for the last 500 ms",
    how: "a bound, not a store: the log is never read",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let file =
        OpenOptions::new().create(true).append(safety == Safety::Killed).write(true).open(directory.join("log"))?;
    Ok(Maps::boxed(Some(match safety {
        Safety::Killed => {
            let file = Arc::new(file);
            let syncing = Syncing::start(&file, |file: &File| Ok(file.sync_data()?));
            Box::new(Growing { file, _syncing: syncing })
        }
        Safety::PowerLoss => {
            file.write_all_at(&vec![0; RING_BYTES], 0)?;
            file.sync_all()?;
            Box::new(Ring { file, at: Mutex::new(0), group: Group::default() })
        }
    })))
}

struct Growing {
    file: Arc<File>,
    _syncing: Syncing,
}

impl Log for Growing {
    fn add(&self, record: &[u8]) -> Result<Option<Turn>> {
        (&*self.file).write_all(record)?;
        Ok(None)
    }

    fn wait(&self, _: Turn) -> Result<()> {
        Ok(())
    }
}

struct Ring {
    file: File,
    at: Mutex<usize>,
    group: Group<u8>,
}

impl Log for Ring {
    fn add(&self, record: &[u8]) -> Result<Option<Turn>> {
        Ok(Some(self.group.add(record.iter().copied())))
    }

    fn wait(&self, turn: Turn) -> Result<()> {
        self.group.wait(turn, |records| {
            let mut at = self.at.lock();
            if *at + records.len() > RING_BYTES {
                *at = 0;
            }
            self.file.write_all_at(records, *at as u64)?;
            *at += records.len();
            Ok(self.file.sync_data()?)
        })
    }
}

const RING_BYTES: usize = 16 << 20;
