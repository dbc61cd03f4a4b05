//! Where threads come from.

use std::fmt;
use std::io;
use std::thread::{self, JoinHandle};

/// Starts the threads of an engine, so that an embedder can give them a priority, a place or a limit, and a test can see what
/// happens when one cannot be started.
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
///     fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
///         thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work)
///     }
/// }
///
/// let engine = Config::new().disk(Arc::new(SimulatedDisk::new())).spawner(Arc::new(Small)).open("store")?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Spawner: fmt::Debug + Send + Sync {
    /// Runs `work` in a new thread of that name. Where this fails, opening the store fails and leaves nothing behind.
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
