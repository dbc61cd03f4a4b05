//! zaqar-sled: an embedded storage engine for message queues.
#![forbid(unsafe_code)]

pub mod disk;
mod error;
mod trees;

pub use error::{Error, Result};
