//! The failures that an acknowledged change survives.

/// The failures that an acknowledged change survives.
///
/// | | the process dies | the power fails |
/// |---|---|---|
/// | [`Sync`](Self::Sync) | kept | kept |
/// | [`Buffered`](Self::Buffered) | kept | kept, except for at most the last [`sync_interval`](crate::Config::sync_interval) and the time of the sync itself |
///
/// Only the newest changes can be lost, as whole calls. The next opening of the store reports the loss.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let config = Config::new().disk(disk);
/// let engine = config.durability(Durability::Buffered).open("store")?;
/// let careful = engine.with_durability(Durability::Sync); // the same store
/// let orders = careful.queue(Project::none(), "orders")?;
/// assert!(orders.create(Metadata::new())?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// A call returns when the device has the change: one `fdatasync`, which the call shares with
    /// all calls that wait at the same time.
    #[default]
    Sync,
    /// A call returns when the operating system has the change: one `write`.
    Buffered,
}
