//! The intact parts of the page files: every whole page image, and its owner.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use super::facts::Facts;
use super::reading::{self, FoundFrame, frames};
use crate::disk::Disk;
use crate::model::error::Result;
use crate::state::page_content::label_of;
use crate::state::posted::{PostLabel, label_of_post};
use crate::storage::codec::crc32;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::journal::segment::{self, SEGMENT_HEADER_BYTES};
use crate::storage::page_files::{self, Form, ImageLocation, PageFiles};

/// A page image that is whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundImage {
    pub(super) location: ImageLocation,
    pub(super) first: u64,
    pub(super) last: u64,
    /// The messages that were alive when the image was written, by their index.
    pub(super) live: u128,
}

/// The images by queue, each queue's by first sequence, the newest last.
#[derive(Debug, Default)]
pub(super) struct Images {
    queues: BTreeMap<u64, Vec<FoundImage>>,
    keys: BTreeMap<u64, Vec<u8>>,
    whole: BTreeSet<(u64, u32)>,
    /// The deletions in segments that are page files.
    pub(super) facts: Facts,
    pub(super) damages: Vec<Damage>,
    /// Bytes that are not an image. They count as damage only if images are missing.
    pub(super) rubble: Vec<Damage>,
}

impl Images {
    /// Reads every page file.
    pub(super) fn gather(disk: &dyn Disk, page_files: &PageFiles) -> Result<Self> {
        let mut images = Self::default();
        for (number, path) in page_files.files()? {
            images.read_page_file(disk, page_files, number, path)?;
        }
        for found in images.queues.values_mut() {
            found.sort_by_key(|one| (one.first, one.location.file, one.location.offset));
        }
        Ok(images)
    }

    fn read_page_file(&mut self, disk: &dyn Disk, page_files: &PageFiles, number: u64, path: PathBuf) -> Result<()> {
        let Some(file) = reading::read(disk, &path)? else { return Ok(()) };
        self.damages.extend(file.damages(&path));
        if let Some(id) = segment::id_of(&file.bytes, page_files.store()) {
            self.find_posts(number, &file.bytes, id);
            return Ok(());
        }
        let mut end = 0;
        for found in frames(&file.bytes, page_files.frame_id(number), 0) {
            let lies_here = u64::try_from(found.offset) == Ok(found.stamp.lsn);
            let Some(label) = label_of(found.body).ok().filter(|_| lies_here) else { continue };
            let location = location_of(number, &found, Form::Page);
            self.whole.insert((number, location.offset));
            self.keys.entry(label.queue).or_insert(label.key);
            let one = FoundImage { location, first: label.first, last: label.last, live: label.live };
            self.queues.entry(label.queue).or_default().push(one);
            if found.offset > end {
                self.rubble.push(page_files::damage_at(&path, end as u64, "bytes that are no page"));
            }
            end = found.end();
        }
        if file.bytes.get(end..).is_some_and(|rest| rest.iter().any(|byte| *byte != 0)) {
            self.rubble.push(page_files::damage_at(&path, end as u64, "bytes that are no page"));
        }
        Ok(())
    }

    /// Finds the images in a segment of the journal: its posts of one large message.
    fn find_posts(&mut self, number: u64, bytes: &[u8], id: SegmentId) {
        for found in frames(bytes, id, usize::try_from(SEGMENT_HEADER_BYTES).unwrap_or(64)) {
            self.facts.note_deletions(found.body);
            let Some(PostLabel { queue, first, key }) = label_of_post(found.body) else { continue };
            self.keys.entry(queue).or_insert_with(|| key.to_vec());
            let one = FoundImage { location: location_of(number, &found, Form::Post), first, last: first, live: 1 };
            self.queues.entry(queue).or_default().push(one);
        }
    }

    /// Whether the image at that location in a page file is whole.
    pub(super) fn is_whole(&self, location: ImageLocation) -> bool {
        self.whole.contains(&(location.file, location.offset))
    }

    /// The numbers of the queues there are images of.
    pub(super) fn queues(&self) -> impl Iterator<Item = u64> {
        self.queues.keys().copied()
    }

    /// The key of a queue, as its images name it.
    pub(super) fn key(&self, queue: u64) -> Option<&[u8]> {
        self.keys.get(&queue).map(Vec::as_slice)
    }

    /// The images of a queue, by first sequence, the newest last.
    pub(super) fn of(&self, queue: u64) -> &[FoundImage] {
        self.queues.get(&queue).map_or(&[], Vec::as_slice)
    }

    /// The images of the queue's pages that may have sequences of `range`, newest first.
    pub(super) fn around(&self, queue: u64, range: &Range<u64>) -> Vec<FoundImage> {
        let (all, position) =
            (self.of(queue), |sequence: u64| self.of(queue).partition_point(|one| one.first < sequence));
        // The page before may reach into it.
        let before =
            position(range.start).checked_sub(1).and_then(|index| all.get(index)).map_or(range.start, |one| one.first);
        let near = all.get(position(before)..position(range.end)).unwrap_or_default().iter();
        let mut near: Vec<FoundImage> = near.filter(|one| one.last >= range.start).copied().collect();
        near.sort_by_key(|one| std::cmp::Reverse((one.location.file, one.location.offset)));
        near
    }

    /// The newest image of each page of a queue.
    pub(super) fn newest(&self, queue: u64) -> Vec<FoundImage> {
        let newest: BTreeMap<u64, FoundImage> = self.of(queue).iter().map(|one| (one.first, *one)).collect();
        newest.into_values().collect()
    }

    /// The highest sequence and queue number in any.
    pub(super) fn highest(&self) -> u64 {
        let queue = self.queues.keys().next_back().copied().unwrap_or(0);
        self.queues.values().flatten().map(|one| one.last).max().unwrap_or(0).max(queue)
    }
}

fn location_of(file: u64, found: &FoundFrame<'_>, form: Form) -> ImageLocation {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let place = (narrow(found.offset), narrow(found.end().saturating_sub(found.offset)));
    ImageLocation::new(file, place, crc32(found.body), form)
}

/// Adds a damage to the list, without duplicates.
pub(super) fn note(damages: &mut Vec<Damage>, damage: Damage) {
    if !damages.contains(&damage) {
        damages.push(damage);
    }
}
