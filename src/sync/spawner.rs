//! The source of the engine's threads.

use std::fmt;
use std::io;

use super::thread::{self, JoinHandle};

/// Starts the threads of an engine. An embedder can give the threads a priority, a processor or a
/// limit; a test can make starting a thread fail.
///
/// Cost: one thread for each call. A store makes as many calls as it has threads when it is opened.
///
/// ```
/// use std::sync::Arc;
/// use std::thread::{self, JoinHandle};
/// use zaqar_sled::{Config, SimulatedDisk, Spawner};
///
/// /// Threads with small stacks.
/// #[derive(Debug)]
/// struct Small;
///
/// impl Spawner for Small {
///     fn spawn(
///         &self,
///         name: &str,
///         work: Box<dyn FnOnce() + Send>,
///     ) -> std::io::Result<JoinHandle<()>> {
///         thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work)
///     }
/// }
///
/// let disk = Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).spawner(Arc::new(Small)).open("store")?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Spawner: fmt::Debug + Send + Sync {
    /// Runs `work` in a new thread of that name.
    ///
    /// # Errors
    /// that of the operating system. Opening the store then fails and leaves nothing behind.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::{io, thread};
    /// # use zaqar_sled::*;
    /// /// Starts no thread at all.
    /// #[derive(Debug)]
    /// struct Refusing;
    /// impl Spawner for Refusing {
    ///     fn spawn(
    ///         &self,
    ///         _: &str,
    ///         _: Box<dyn FnOnce() + Send>,
    ///     ) -> io::Result<thread::JoinHandle<()>> {
    ///         Err(io::Error::other("no more threads"))
    ///     }
    /// }
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let spawner = std::sync::Arc::new(Refusing);
    /// assert!(Config::new().disk(disk).spawner(spawner).open("store").is_err());
    /// ```
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;
}

/// Threads of the standard library, with its defaults.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlainSpawner;

impl Spawner for PlainSpawner {
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(name.to_owned()).spawn(work)
    }
}
