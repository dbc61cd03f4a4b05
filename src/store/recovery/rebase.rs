//! A new snapshot in place of what is damaged, which is moved aside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::outline::Outline;
use super::{Recovered, Recovery, RecoveryReport};
use crate::model::error::{Error, Result};
use crate::state::content::Owner;
use crate::state::entries;
use crate::state::{Contents, FrozenQueue, Purpose, Queue};
use crate::storage::journal::naming;
use crate::storage::journal::naming::JOURNAL;
use crate::storage::journal::scan::Scan;
use crate::storage::keys;
use crate::storage::manifest::SnapshotMark;
use crate::storage::page_files::Image;
use crate::storage::records::Digest;
use crate::storage::snapshot;

impl Recovery<'_> {
    /// Writes a new snapshot from `contents`, and moves aside what was damaged.
    pub(super) fn rebase(
        mut self,
        mut contents: Contents,
        outline: Outline,
        filled: Option<Digest>,
        mut report: RecoveryReport,
    ) -> Result<Recovered> {
        let last = outline.last;
        let incarnation_scan = Scan { proven: last, incarnation: outline.incarnation, ..Scan::default() };
        self.set_incarnation(&contents, &incarnation_scan, 1)?;
        let others = self.base_numbers()?;
        let mut number = self.manifest.snapshot.map_or(1, |mark| mark.number.saturating_add(1));
        while others.contains(&number) {
            number = number.saturating_add(1);
        }
        let path = snapshot::path(self.root, number);
        self.page_files.prepare()?;
        let reserve = self.reserve.clone();
        let mut writer = snapshot::Writer::create((self.disk(), &path), self.manifest.store, number, last, &reserve)?;
        let (mut named, mut written) = (BTreeSet::new(), Vec::new());
        for queue in contents.queues.values_mut() {
            queue.with(|queue| {
                self.write_queue(queue, last, &outline.leaving, &mut writer, (&mut named, &mut written))
            })?;
        }
        contents.registry.all(last, &mut |record| writer.record(&record))?;
        self.page_files.sync()?;
        // The snapshot is to replace the journal these came from.
        written.iter().try_for_each(Image::check)?;
        writer.finish(last, contents.time, contents.next_queue)?;
        self.disk().sync_dir(self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        self.manifest.snapshot = Some(SnapshotMark { number, from: last, to: last });
        report.last_lsn = last;
        self.leaving = outline.leaving;
        self.keeps_all = outline.keeps_all;
        let fresh = Scan {
            last_lsn: last,
            proven: last,
            highest_number: outline.highest_number,
            beheaded: outline.beheaded,
            spares: outline.spares,
            kept: outline.kept,
            ..Scan::default()
        };
        self.finish(contents, &fresh, filled, named, outline.aside, report)
    }

    /// Writes a queue, standing at `last`, to a snapshot, its pages to the page files; notes the page files they are in, and which
    /// were written now.
    fn write_queue(
        &self,
        queue: &mut Queue,
        last: u64,
        leaving: &BTreeSet<u64>,
        writer: &mut snapshot::Writer<'_>,
        (named, written): (&mut BTreeSet<u64>, &mut Vec<Image>),
    ) -> Result<()> {
        let (snapshot, number) = (FrozenQueue::of(queue, last), queue.number());
        let key = keys::queue(queue.project(), queue.name());
        let owner = Owner { number, key: &key };
        writer.record(&entries::queue(&snapshot)?)?;
        for page in &snapshot.pages {
            let (image, fresh) = page.write(&self.page_files, leaving, &self.budget, owner)?;
            named.insert(image.place().segment);
            if fresh {
                written.push(image.clone());
            }
            writer.record(&entries::page(number, page.first, &page.entry(&image))?)?;
            queue.set_image(page, &image, Purpose::Snapshot);
        }
        snapshot.claims.iter().try_for_each(|(one, claim)| writer.record(&entries::claim(number, *one, claim)?))
    }

    /// Moves what could not be read, where it is there, into a folder of its own.
    pub(super) fn move_aside(&self, files: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
        let aside = self.root.join(format!("damaged-{:06x}", self.manifest.incarnation));
        let disk = self.disk();
        let go = |from: &Path, to: &Path| -> std::io::Result<bool> {
            let there = disk.exists(from)?;
            if there {
                disk.create_dir_all(&aside)?;
                disk.rename(from, to)?;
            }
            Ok(there)
        };
        let mut moved = Vec::new();
        for from in files {
            let Some(to) = from.file_name().map(|name| aside.join(name)) else { continue };
            if go(&from, &to).map_err(|e| Error::file("moving aside", &from, e))? {
                moved.push(to);
            }
        }
        Ok(moved)
    }

    pub(super) fn segments(&self, numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = PathBuf> {
        let journal = self.root.join(JOURNAL);
        numbers.into_iter().map(move |number| journal.join(naming::file_name(number)))
    }

    /// The numbers of all snapshots in the directory, whether or not the manifest names them.
    pub(super) fn base_numbers(&self) -> Result<Vec<u64>> {
        let names = self.disk().list(self.root).map_err(|e| Error::file("listing", self.root, e))?;
        Ok(names.iter().filter_map(|name| snapshot::parse_file_name(name)).collect())
    }
}
