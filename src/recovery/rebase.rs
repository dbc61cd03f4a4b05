//! A new base in place of what is damaged, which is moved aside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{JOURNAL, Recovered, Recovery, RecoveryReport};
use crate::base;
use crate::error::{Error, Result};
use crate::journal::scan::Scan;
use crate::journal::segment;
use crate::manifest::BaseMark;
use crate::state::{Contents, Purpose, Queue, Snapshot};
use crate::trees::records::{self, Digest};

impl Recovery<'_> {
    /// Writes a new base from `contents`, which stand at `lsn`, and moves the old one and its journal aside.
    pub(super) fn rebase(
        mut self,
        mut contents: Contents,
        scan: &Scan,
        lsn: u64,
        filled: Option<Digest>,
        mut report: RecoveryReport,
    ) -> Result<Recovered> {
        // Above every frame there is: nothing of the old journal is ever replayed over the new base.
        let last = lsn.max(scan.highest_lsn).max(scan.proven);
        let incarnation_scan = Scan { proven: last, incarnation: scan.incarnation, ..Scan::default() };
        self.raise_incarnation(&contents, &incarnation_scan)?;
        let others = self.base_numbers()?;
        let number = others.iter().copied().max().unwrap_or(0).saturating_add(1);
        let path = base::path(self.root, number);
        self.heap.prepare()?;
        let mut writer = base::Writer::create(self.disk(), &path, self.manifest.store, number, last)?;
        let mut named = BTreeSet::new();
        for queue in contents.queues.values_mut() {
            queue.with(|queue| self.write_queue(queue, last, &mut writer, &mut named))?;
        }
        contents.registry.all(last, &mut |record| writer.record(&record))?;
        self.heap.sync()?;
        writer.finish(last, contents.time, contents.next_queue)?;
        self.disk().sync_dir(self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        self.manifest.base = Some(BaseMark { number, from: last, to: last });
        let segments = self.segments(scan.kept.iter().map(|kept| kept.number).chain(scan.unused.iter().copied()));
        let bases = others.iter().map(|number| base::path(self.root, *number));
        let aside = bases.chain(segments).collect();
        report.last_lsn = last;
        let fresh = Scan {
            last_lsn: last,
            proven: last,
            highest_number: scan.highest_number,
            beheaded: scan.beheaded.clone(),
            spares: scan.spares.clone(),
            ..Scan::default()
        };
        self.finish(contents, &fresh, filled, named, aside, report)
    }

    /// Writes a queue, standing at `last`, to a base, its pages to the heap; notes the heap segments they are in.
    fn write_queue(
        &self,
        queue: &mut Queue,
        last: u64,
        writer: &mut base::Writer,
        named: &mut BTreeSet<u64>,
    ) -> Result<()> {
        let (snapshot, number) = (Snapshot::of(queue, last), queue.number());
        writer.record(&records::queue(&snapshot)?)?;
        for page in &snapshot.pages {
            let (image, _) = page.write(&self.heap, &BTreeSet::new(), &self.budget, number)?;
            named.insert(image.place().segment);
            writer.record(&records::page(number, page.first, &page.entry(&image))?)?;
            queue.set_image(page, &image, Purpose::Base);
        }
        snapshot.claims.iter().try_for_each(|(one, claim)| writer.record(&records::claim(number, *one, claim)?))
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
            if go(&from, &to).map_err(|e| Error::io("moving a damaged file aside", e))? {
                moved.push(to);
            }
        }
        Ok(moved)
    }

    pub(super) fn segments(&self, numbers: impl IntoIterator<Item = u64>) -> impl Iterator<Item = PathBuf> {
        let journal = self.root.join(JOURNAL);
        numbers.into_iter().map(move |number| journal.join(segment::file_name(number)))
    }

    /// The numbers of all bases in the directory, whether or not the manifest names them.
    fn base_numbers(&self) -> Result<Vec<u64>> {
        let names = self.disk().list(self.root).map_err(|e| Error::io("listing the store", e))?;
        Ok(names.iter().filter_map(|name| base::parse_file_name(name)).collect())
    }
}
