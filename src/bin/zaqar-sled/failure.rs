//! The reasons why a line was not processed.

use std::io;
use std::path::PathBuf;

use thiserror::Error;
use zaqar_sled::Queue;

use crate::source::Source;

#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{name}: {source}")]
    Read { name: String, source: io::Error },
    #[error("{name}: is a directory")]
    Directory { name: String },
    #[error("{name}: line {line} is over {limit} bytes", limit = crate::lines::LONGEST)]
    LongLine { name: String, line: u64 },
    #[error(
        "{name}: its first {offset} bytes are not those an earlier run has posted; \
         a changed file needs another --store"
    )]
    Changed { name: String, offset: u64 },
    #[error(
        "{name}: its line {line} was processed without a newline, and has grown since; \
         a file that grows must not be --complete, and this one needs another --store"
    )]
    Grown { name: String, line: u64 },
    #[error("{name}: the store's queue {queue:?} was not created for it; use another --store")]
    Foreign { name: String, queue: String },
    #[error("the store {} is in use by another process", .path.display())]
    InUse { path: PathBuf },
    #[error("the store {}: {source}", .path.display())]
    Open { path: PathBuf, source: zaqar_sled::Error },
    #[error("the store: {0}")]
    Store(#[from] zaqar_sled::Error),
    #[error("starting a thread: {0}")]
    Thread(io::Error),
    #[error("locking the store's file WORK: {0}")]
    Lock(io::Error),
    #[error("watching for signals: {0}")]
    Signals(io::Error),
}

impl Failure {
    pub(crate) fn foreign(source: &Source, queue: &Queue) -> Self {
        Self::Foreign { name: source.name().into(), queue: queue.name().to_string() }
    }

    /// Whether the other files can still be processed.
    pub(crate) fn is_of_one_file(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::LongLine { .. } | Self::Changed { .. } | Self::Grown { .. })
    }
}
