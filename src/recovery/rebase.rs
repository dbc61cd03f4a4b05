//! A new base in place of what is damaged, which is moved aside.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{JOURNAL, Recovered, Recovery, RecoveryReport};
use crate::base;
use crate::error::{Error, Result};
use crate::heap::Image;
use crate::journal::Kept;
use crate::journal::scan::Scan;
use crate::journal::segment;
use crate::manifest::BaseMark;
use crate::state::content::Owner;
use crate::state::{Contents, Purpose, Queue, Snapshot};
use crate::trees::keys;
use crate::trees::records::{self, Digest};

/// What of the store's files a new base takes the place of.
pub(super) struct Outline {
    /// An LSN above every frame there is: nothing of the old journal is ever replayed over the new base.
    pub(super) last: u64,
    pub(super) incarnation: u32,
    pub(super) highest_number: u64,
    pub(super) spares: Vec<u64>,
    pub(super) beheaded: Vec<u64>,
    /// Segments that stay until the next base.
    pub(super) kept: Vec<Kept>,
    /// Heap segments whose pages are written anew.
    pub(super) leaving: BTreeSet<u64>,
    /// What is moved aside.
    pub(super) aside: Vec<PathBuf>,
    /// Whether nothing else is removed.
    pub(super) keeps_all: bool,
}

impl Outline {
    /// In place of all of the journal that was scanned, which goes aside with `bases`.
    pub(super) fn superseding(scan: Scan, lsn: u64, root: &Path, bases: Vec<PathBuf>) -> Self {
        let journal = root.join(JOURNAL);
        let segments = scan.kept.iter().map(|kept| kept.number).chain(scan.unused.iter().copied());
        let aside = segments.map(|number| journal.join(segment::file_name(number)));
        Self {
            last: lsn.max(scan.highest_lsn).max(scan.proven),
            incarnation: scan.incarnation,
            highest_number: scan.highest_number,
            aside: bases.into_iter().chain(aside).collect(),
            spares: scan.spares,
            beheaded: scan.beheaded,
            kept: Vec::new(),
            leaving: BTreeSet::new(),
            keeps_all: false,
        }
    }
}

impl Recovery<'_> {
    /// Writes a new base from `contents`, and moves aside what was damaged.
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
        let mut number = self.manifest.base.map_or(1, |mark| mark.number.saturating_add(1));
        while others.contains(&number) {
            number = number.saturating_add(1);
        }
        let path = base::path(self.root, number);
        self.heap.prepare()?;
        let reserve = self.reserve.clone();
        let mut writer = base::Writer::create((self.disk(), &path), self.manifest.store, number, last, &reserve)?;
        let (mut named, mut written) = (BTreeSet::new(), Vec::new());
        for queue in contents.queues.values_mut() {
            queue.with(|queue| {
                self.write_queue(queue, last, &outline.leaving, &mut writer, (&mut named, &mut written))
            })?;
        }
        contents.registry.all(last, &mut |record| writer.record(&record))?;
        self.heap.sync()?;
        // The base is to replace the journal these came from.
        written.iter().try_for_each(Image::check)?;
        writer.finish(last, contents.time, contents.next_queue)?;
        self.disk().sync_dir(self.root).map_err(|e| Error::io("syncing the store's directory", e))?;
        self.manifest.base = Some(BaseMark { number, from: last, to: last });
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

    /// Writes a queue, standing at `last`, to a base, its pages to the heap; notes the heap segments they are in, and which
    /// were written now.
    fn write_queue(
        &self,
        queue: &mut Queue,
        last: u64,
        leaving: &BTreeSet<u64>,
        writer: &mut base::Writer<'_>,
        (named, written): (&mut BTreeSet<u64>, &mut Vec<Image>),
    ) -> Result<()> {
        let (snapshot, number) = (Snapshot::of(queue, last), queue.number());
        let key = keys::queue(queue.project(), queue.name());
        let owner = Owner { number, key: &key };
        writer.record(&records::queue(&snapshot)?)?;
        for page in &snapshot.pages {
            let (image, fresh) = page.write(&self.heap, leaving, &self.budget, owner)?;
            named.insert(image.place().segment);
            if fresh {
                written.push(image.clone());
            }
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
            if go(&from, &to).map_err(|e| Error::file("moving aside", &from, e))? {
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
    pub(super) fn base_numbers(&self) -> Result<Vec<u64>> {
        let names = self.disk().list(self.root).map_err(|e| Error::file("listing", self.root, e))?;
        Ok(names.iter().filter_map(|name| base::parse_file_name(name)).collect())
    }
}
