//! A stand-in with the variants the file layer uses.

use std::io;

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The ordered trees failed.
    #[error("trees: {reason}")]
    Trees {
        /// Why.
        reason: String,
    },
    /// There is no room.
    #[error("storage is full: {reason}")]
    StorageFull {
        /// Where.
        reason: String,
    },
}

impl Error {
    /// An I/O error in its context; one of lacking space is `StorageFull`.
    pub(crate) fn io(context: impl Into<String>, source: io::Error) -> Self {
        let context = context.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull {
                reason: format!("{context}: {source}"),
            },
            _ => Self::Io { context, source },
        }
    }
}
