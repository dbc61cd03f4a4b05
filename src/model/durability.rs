//! What an acknowledged call survives.

/// What an acknowledged call survives.
///
/// | | the process dies | the power fails |
/// |---|---|---|
/// | [`Sync`](Self::Sync) | kept | kept |
/// | [`Buffered`](Self::Buffered) | kept | kept but for at most the last [`sync_interval`](crate::Config::sync_interval) and the sync's own time |
///
/// Whatever is lost is lost from the end, whole calls at a time, and reported.
///
/// ```
/// use zaqar_sled::{Config, Durability};
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// # let config = Config::new().disk(disk);
/// let engine = config.durability(Durability::Buffered).open("store")?;
/// let careful = engine.with_durability(Durability::Sync); // the same store, another default
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// A call returns once the device has it: one `fdatasync`, shared with everyone who calls meanwhile.
    #[default]
    Sync,
    /// A call returns once the kernel has it: one `write`.
    Buffered,
}
