//! The exit codes, of all commands.
//!
//! 1. `--help` shows [`TABLE`], and the page `docs::tool` has the same codes; a test compares them.

use std::process::ExitCode;

use zaqar_sled::Error;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    DeadLines = 3,
    LeftLines = 4,
    NotFound = 5,
    InUse = 6,
    Damaged = 7,
    Empty = 8,
    Unconfirmed = 9,
}

impl Exit {
    /// The code for an error of the store; if the store of a pool cannot be reached, that of the reason.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::PoolUnavailable { source, .. } => Self::of(source),
            Error::WrongStore { .. } => Self::NotFound,
            error if error.is_not_found() => Self::NotFound,
            error if error.is_busy() => Self::InUse,
            error if error.is_corrupt() => Self::Damaged,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The table for `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0    done
  1    a failure, which the message on standard error names
  2    wrong arguments
  3    work: lines are dead-lettered
  4    work: lines are left
  5    not found: the store, queue, message, claim or pool
  6    in use: another process has the store open, or changes it too fast to be read
  7    damaged: the store is, or it was and messages are lost
  8    empty: no message could be taken
  9    not confirmed: --create or --yes is missing, or the directory has other files
  130  stopped by Ctrl-C
  143  stopped by SIGTERM";
