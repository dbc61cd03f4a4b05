//! Writing a new snapshot of the state that an opening has read.

use std::collections::BTreeSet;
use std::path::Path;

use super::opening::Opening;
use super::plan::NewSnapshot;
use crate::model::error::{Error, Result};
use crate::state::entries;
use crate::state::page_content::Owner;
use crate::state::{Contents, FrozenQueue, Purpose, Queue};
use crate::storage::keys;
use crate::storage::manifest::SnapshotMark;
use crate::storage::page_files::Image;
use crate::storage::snapshot::{self, Writer};

/// The page files of a snapshot that is being written.
#[derive(Debug, Default)]
struct Files {
    /// The page files that the snapshot names.
    named: BTreeSet<u64>,
    /// The images written for it.
    written: Vec<Image>,
}

impl Opening<'_> {
    /// Writes the snapshot `mark` of `contents`, durably; returns the page files that it names.
    pub(super) fn write_snapshot(
        &self,
        contents: &mut Contents,
        mark: SnapshotMark,
        new: &NewSnapshot,
    ) -> Result<BTreeSet<u64>> {
        let path = snapshot::path(self.root, mark.number);
        self.write_snapshot_file(&path, contents, mark, new).inspect_err(|_| {
            // A file that stays takes space that the next attempt may need.
            let _ = self.disk().remove_file(&path);
        })
    }

    fn write_snapshot_file(
        &self,
        path: &Path,
        contents: &mut Contents,
        mark: SnapshotMark,
        new: &NewSnapshot,
    ) -> Result<BTreeSet<u64>> {
        let mut writer =
            Writer::create((self.disk(), path), self.store, mark.number, (mark.from, None), &self.reserve)?;
        let mut files = Files::default();
        for queue in contents.queues.values_mut() {
            queue.with(|queue| self.write_queue(queue, mark, new, &mut writer, &mut files))?;
        }
        contents.registry.all(mark.from, &mut |record| writer.record(&record))?;
        self.page_files.sync()?;
        // Nor is it known what an earlier run has synced.
        self.page_files.sync_all(&files.named)?;
        // The snapshot replaces the journal that these pages came from.
        files.written.iter().try_for_each(Image::check)?;
        writer.finish(mark.to, contents.time, contents.next_queue)?;
        self.disk().sync_dir(self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        Ok(files.named)
    }

    /// Writes a queue with the snapshot's LSN, and its pages to the page files.
    fn write_queue(
        &self,
        queue: &mut Queue,
        mark: SnapshotMark,
        new: &NewSnapshot,
        writer: &mut Writer<'_>,
        files: &mut Files,
    ) -> Result<()> {
        let (frozen, number) = (FrozenQueue::of(queue, mark.from), queue.number());
        let key = keys::queue(queue.project(), queue.name());
        let owner = Owner { number, key: &key };
        writer.record(&entries::queue(&frozen)?)?;
        for page in &frozen.pages {
            if self.page_files.are_held() {
                self.page_files.sync()?;
            }
            let (image, is_fresh) = page.write(&self.page_files, &new.leaving, &self.budget, owner)?;
            files.named.insert(image.location().file);
            if is_fresh {
                files.written.push(image.clone());
            }
            writer.record(&entries::page(owner, page.first, &page.entry(&image))?)?;
            queue.set_image(page, &image, Purpose::Snapshot);
        }
        frozen.claims.iter().try_for_each(|(one, claim)| writer.record(&entries::claim(owner, *one, claim)?))?;
        frozen.spent.iter().try_for_each(|(group, spent)| writer.record(&entries::spent_claims(owner, *group, spent)?))
    }
}
