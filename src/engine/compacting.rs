//! Compaction of an engine's store.

use super::Engine;
use crate::model::error::Result;
use crate::store::compact_report::CompactReport;
use crate::store::inspect::FileSizes;

impl Engine {
    /// Gives back the disk space that the store's directory holds beyond need, while all calls continue. Housekeeping
    /// does so by itself, but lets garbage be as large as the live data.
    ///
    /// After a call beside which nothing is changed, the directory has at most:
    ///
    /// | Files | Size |
    /// |---|---|
    /// | page files | 8/7 of what the live messages take in them |
    /// | journal | one [segment](crate::Config::segment_size) and 4 KiB |
    /// | snapshot, archive | one of each, without records that are not needed |
    /// | trees | four times their content and 4 MiB; none are made |
    /// | reserve | as needed, or up to twice that and an eighth |
    ///
    /// The close of the engine adds trees, if there are none. On a full disk less may be freed, because what is to be
    /// left has to be copied first.
    ///
    /// Cost: that of a [`snapshot`](Self::snapshot), and one read and write of the messages in pages and page files of
    /// which more than a sixteenth is garbage; that of a [`checkpoint`](Self::checkpoint), or of new trees. Housekeeping waits
    /// meanwhile, and calls as for any snapshot.
    ///
    /// Durability: nothing changes. A kill or a power cut at any moment loses nothing that it would not lose without
    /// this call.
    ///
    /// # Errors
    /// [`is_full`](crate::Error::is_full) if there is no space for the snapshot; [`is_corrupt`](crate::Error::is_corrupt)
    /// for a damaged page; [`is_closed`](crate::Error::is_closed), [`is_poisoned`](crate::Error::is_poisoned),
    /// [`Displaced`](crate::Error::Displaced), [`Trees`](crate::Error::Trees), [`Io`](crate::Error::Io). What was freed
    /// by then stays free.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// let engine = Config::new().segment_size(1 << 20).open(directory.path())?;
    /// let orders = engine.queue(Project::none(), "orders")?;
    /// orders.create(Metadata::new())?;
    /// for _ in 0..10 {
    ///     orders.post(ClientId::random(), &vec![NewMessage::new("x".repeat(2_000)); 100])?;
    /// }
    /// orders.purge()?;
    /// let report = engine.compact()?;
    /// assert!(report.after().page_files() == 0 && report.after().journal() <= 1 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(&self) -> Result<CompactReport> {
        let store = self.store().enter()?;
        let sizes = || FileSizes::of(&*store.context.disk, &store.root);
        let before = sizes()?;
        store.compact()?;
        Ok(CompactReport::of(before, sizes()?))
    }
}
