//! Exports: everything in a store as JSON lines.
//!
//! 1. Each queue is exported as of one instant: its record, claims and messages are frozen while it is locked, which
//!    costs a reference for each page, and are read and written after that. Queues have instants of their own, in the
//!    order of their names.
//! 2. Nothing is locked while the caller's writer is called.
//! 3. The lines depend on the content alone, and are in one order. So an import of an export has the same export, except
//!    for the first line.
//! 4. What can be read in the export is durable in the store when the call returns.
//!
//! 5. Before a queue is frozen, its pages that are only in memory are written to the page files. So a reader that takes its
//!    time keeps nothing in memory but the pages that were changed between the two, and what a full disk has no space
//!    for.
//!
//! Memory: 300 B for each page of one queue, one page, and one line.

mod body;
pub(crate) mod line;
mod queues;
mod report;
mod rows;
mod source;
mod writer;

use std::collections::BTreeSet;
use std::io::Write;

pub use report::ExportReport;

use super::backend::Backend;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use line::{FORMAT, Header, Line};
use queues::QueueExport;
pub(crate) use source::Export;
use source::Scope;
use writer::LineWriter;

impl Engine {
    /// Writes everything in the store to `writer`, as lines of JSON: a first line with the version of the format, the
    /// pools, flavors and mappings, each queue with its claims and messages, the subscriptions, and a last line with the
    /// numbers of all these, so that an export that was cut short is noticed. [`docs::export`](crate::docs::export)
    /// describes each line.
    ///
    /// All calls continue. Each queue is exported as it is at one instant during the call, the queues one after the
    /// other. So a message that another call moves from one queue to another meanwhile, by a batch, a redrive or as a
    /// dead letter, may be there in both or in neither. An export of a store that no call changes is of one instant; a
    /// [`backup`](Self::backup) always is, and a store restored from it can be exported.
    ///
    /// Cost: one write of the pages that are only in memory, one read of everything, and the writer's time. Memory: of the
    /// largest queue, 300 B for each page of up to 128 messages and 200 B for each claim; and the largest message,
    /// whatever the size of the store.
    ///
    /// Durability: everything in the export is durable in the store when the call returns. The writer is flushed; to
    /// sync a file is the caller's task.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a control store with pools in directories
    /// ([`PooledDriver::export`](crate::PooledDriver::export)); [`is_corrupt`](crate::Error::is_corrupt) for a damaged
    /// page: [`verify`](Self::verify) finds all of them, and [`drop_damaged`](Self::drop_damaged) gives them up; [`Io`](crate::Error::Io) if the writer fails;
    /// [`is_closed`](crate::Error::is_closed), also when the store is closed during the call;
    /// [`is_poisoned`](crate::Error::is_poisoned). What was written by then has no last line.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let engine = Engine::open(path("store"))?;
    /// let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
    /// let mut file = std::fs::File::create(path("lines"))?;
    /// engine.export(&mut file)?;
    /// file.sync_all()?;
    ///
    /// Engine::import(path("copy"), std::fs::File::open(path("lines"))?)?;
    /// let copy = Engine::open(path("copy"))?;
    /// let orders = copy.queue(Project::named("shop")?, "orders")?;
    /// assert_eq!(orders.get(&ids[0])?.body().as_bytes(), b"coffee");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, mut writer: impl Write) -> Result<ExportReport> {
        let store = self.store().enter()?;
        store.check_has_no_pools("export them", "PooledDriver::export")?;
        let incarnation = store.incarnation().max(store.context.incarnation).max(store.registry.read().incarnation());
        let goes_on = || if store.is_closed() { Err(Error::Closed) } else { Ok(()) };
        let export = Export { backend: self, incarnation, goes_on: &goes_on, is_left_out: |_, _| false };
        export.write(&mut writer, &|| self.sync())
    }
}

impl<B: Backend> Export<'_, B> {
    /// Writes all lines; `sync` makes everything durable that was read.
    pub(crate) fn write(&self, writer: &mut dyn Write, sync: &dyn Fn() -> Result<()>) -> Result<ExportReport> {
        let mut output = LineWriter::new(writer);
        let (time, pooled) = (self.backend.control_store().now(), self.backend.is_pooled());
        output.write(&Line::Export(Header { format: FORMAT, time, incarnation: self.incarnation, pooled }))?;
        // What other calls create from here on would have no line of its pool or of its mapping.
        let first_new = self.backend.control_store().next_queue_number();
        let pools = rows::write_pools(self, &mut output)?;
        rows::write_flavors(self, &mut output)?;
        let lost = rows::write_mappings(self, &mut output)?;
        self.check_pools(&pools)?;
        let scope = Scope { first_new, lost };
        // Before the queues: a batch that moves a bookmark on beside the export is done again, and not left out.
        rows::write_bookmarks(self, &mut output)?;
        rows::write_quotas(self, &mut output)?;
        self.write_queues(&scope, &mut output)?;
        rows::write_subscriptions(self, &scope, &mut output)?;
        sync()?;
        output.finish()
    }

    /// Checks that the mappings, which have been written, are among these pools.
    fn check_pools(&self, written: &BTreeSet<Vec<u8>>) -> Result<()> {
        let registry = self.backend.control_store().registry.read();
        if !self.backend.is_pooled() || registry.pools.iter().map(|(name, _)| name).eq(written.iter()) {
            return Ok(());
        }
        let reason = "pools were registered or removed while the export wrote the list of them: export again".into();
        Err(Error::Unavailable { reason })
    }

    fn write_queues(&self, scope: &Scope, output: &mut LineWriter<'_>) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let found = self.backend.control_store().list(&[], &after, QUEUES_AT_ONCE, queues::is_named)?;
            let Some(last) = found.last() else { return Ok(()) };
            after = last.key().to_vec();
            for listed in &found {
                (self.goes_on)()?;
                if let Some(queue) = QueueExport::freeze(self, scope, listed)? {
                    queue.write(self.goes_on, output)?;
                }
            }
        }
    }
}

/// The queues that are listed together, each with up to 1 MiB of metadata.
const QUEUES_AT_ONCE: usize = 32;
