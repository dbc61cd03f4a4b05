//! The page files: files of page images, for pages that are not in memory.
//!
//! A page's image is its content, written once, in one frame (see `journal::frame`) seeded with the page file's number.
//! Images are appended and never changed; a page that changes gets a new one, and the old one is garbage.
//!
//! 1. An image is valid only if its checksum is the one that the page's entry in the directory names.
//! 2. Appended images are not synced until [`PageFiles::sync`]; before that the journal has their content.
//! 3. A snapshot that counts, and the trees of a clean close, name only two kinds of images: those that an earlier
//!    snapshot named, and those that were read back whole in this run after a successful sync of their file. A page
//!    file whose sync has failed, or that returned other bytes than were written, is never trusted again, whatever
//!    later syncs return.
//! 4. A page file's `live` is the bytes of its images in use. A page file is removed when it has none, no thread reads
//!    it, and no snapshot refers to it.
//! 5. A page file may be a segment of the journal under a second name, if its frames are images: see
//!    [`adopting`]. Nothing is appended to it here. As long as it is in the journal, the journal syncs it, so that a failure
//!    is the journal's.
//! 6. The number of open page files is bounded. A file with unsynced images stays open, because only a handle that was
//!    open during the write is sure to get the error of a failed write-back.
//!
//! Cost: one write of the page's content for each image, one read to load it, and now and then the opening of a file.

mod adopting;
mod image;
mod page_file;
mod pinned;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::disk::{Disk, KeptDir, REACH, list_or_empty, remove_own};
use crate::lock::{Mutex, Rank};
use crate::model::error::{Error, Result};
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::journal::{SegmentImages, frame, frame_buffer};

pub(crate) use image::{Form, Image, ImageLocation};
use page_file::OpenFiles;
use page_file::PageFile;
pub(crate) use pinned::{PinnedPageFile, check_images, path};

/// The folder of the page files in the store's directory.
pub(crate) const PAGE_FILES: &str = "heap";

#[derive(Debug)]
pub(crate) struct PageFiles {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    kept_directory: KeptDir,
    files: Arc<OpenFiles>,
    store: [u8; 16],
    /// A page file that has reached this size gets no more images.
    file_bytes: u64,
    list: Mutex<PageFileList>,
    /// Held during a sync.
    syncing: Mutex<()>,
    /// The last result of [`PageFiles::bytes`].
    bytes: AtomicU64,
    live: AtomicU64,
    /// Whether frames of the journal become images, and whether the disk gives second names.
    adopts: AtomicBool,
    gives_names: AtomicBool,
}

#[derive(Debug, Default)]
struct PageFileList {
    all: BTreeMap<u64, Arc<PageFile>>,
    /// The page file that images are appended to.
    active: Option<Arc<PageFile>>,
    /// The numbers here of segments with a second name, by their numbers in the journal.
    segments: BTreeMap<u64, u64>,
    /// The numbers of all files in the folder when the page files were opened, foreign ones too.
    taken: BTreeSet<u64>,
    /// The last number that this run assigned.
    last_number: u64,
    /// Set when a file was created or removed and its directory entry is not yet durable.
    directory_unsynced: bool,
    /// Files that are not needed any more and could not be removed yet.
    obsolete: Vec<PathBuf>,
}

impl PageFileList {
    /// A number above all used numbers, for which no file exists.
    fn free_number(&self) -> u64 {
        let mut number = self.highest().saturating_add(1);
        while self.taken.contains(&number) {
            number = number.saturating_add(1);
        }
        number
    }

    /// The highest number that is known to be the store's own.
    fn highest(&self) -> u64 {
        self.all.keys().next_back().copied().unwrap_or(0).max(self.last_number)
    }
}

/// Each run leaves one page file that it did not fill.
const MOST_SMALL: usize = 8;

impl PageFiles {
    /// The page files of the store in `root`. A file is first opened when an image in it is needed. Nothing is written.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        root: &Path,
        store: [u8; 16],
        file_bytes: u64,
        page_files: usize,
    ) -> Result<Self> {
        let directory = root.join(PAGE_FILES);
        let names = list_or_empty(&**disk, &directory)?;
        let taken = names.iter().filter_map(|name| page_file::parse_file_name(name)).collect();
        let list = PageFileList { taken, ..PageFileList::default() };
        let (bytes, live) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self {
            disk: disk.clone(),
            kept_directory: KeptDir::new(directory.clone()),
            directory,
            files: Arc::new(OpenFiles::new(disk.clone(), page_files)),
            store,
            file_bytes,
            list: Mutex::new(Rank::PageFiles, list),
            syncing: Mutex::new(Rank::PageFileSync, ()),
            bytes,
            live,
            adopts: AtomicBool::new(true),
            gives_names: AtomicBool::new(true),
        })
    }

    /// Every file in the folder, by number, whether or not anything refers to it.
    pub(crate) fn files(&self) -> Result<Vec<(u64, PathBuf)>> {
        let names = list_or_empty(&*self.disk, &self.directory)?;
        let numbers = names.iter().filter_map(|name| page_file::parse_file_name(name));
        Ok(numbers.map(|number| (number, page_file::path(&self.directory, number))).collect())
    }

    /// The number of the page file of that path, if it is one.
    pub(crate) fn number_of(&self, path: &Path) -> Option<u64> {
        let number = page_file::parse_file_name(path.file_name()?.to_str()?)?;
        (path.parent() == Some(&self.directory)).then_some(number)
    }

    /// The id of the store.
    pub(crate) fn store(&self) -> [u8; 16] {
        self.store
    }

    /// The id that the images of a page file are bound to.
    pub(crate) fn frame_id(&self, number: u64) -> SegmentId {
        page_file::id(self.store, number)
    }

    /// The damage of the image at `location`.
    pub(crate) fn damage(&self, location: ImageLocation, reason: &str) -> Damage {
        damage_at(&page_file::path(&self.directory, location.file), u64::from(location.offset), reason)
    }

    /// Assigns neither `number` nor a lower number to a new page file: an entry names it, whether or not the file
    /// exists.
    pub(crate) fn pass_over(&self, number: u64) {
        let mut list = self.list.lock();
        list.last_number = list.last_number.max(number);
    }

    /// Forgets page files that were moved aside.
    pub(crate) fn forget(&self, numbers: &BTreeSet<u64>) {
        self.list.lock().all.retain(|number, _| !numbers.contains(number));
    }

    /// Creates the folder, for a store that will be written.
    pub(crate) fn prepare(&self) -> Result<()> {
        // An existing folder has been durable since the store was created.
        let make =
            || if self.disk.exists(&self.directory)? { Ok(()) } else { self.disk.create_dir_all(&self.directory) };
        make().map_err(|e| Error::io("creating the page files' directory", e))?;
        // Opened while there are descriptors, so that a later sync has one.
        self.kept_directory.hold(&*self.disk).map_err(|e| Error::file("opening", &self.directory, e))
    }

    /// The image that an entry of the directory names.
    ///
    /// # Errors
    /// `Corrupt` if its file is missing or too short, `Io` if that cannot be determined.
    pub(crate) fn image(&self, location: ImageLocation) -> Result<Image> {
        let page_file = self.page_file(location.file)?;
        if location.end() > page_file.written() {
            let reason = "the file ends before a page it is to hold".into();
            return Err(Damage { file: page_file.path.clone(), offset: page_file.written(), reason }.into());
        }
        Ok(Image::new(page_file, location))
    }

    /// The page file with that number, which is opened if no image of it was needed before.
    fn page_file(&self, number: u64) -> Result<Arc<PageFile>> {
        let mut list = self.list.lock();
        if let Some(page_file) = list.all.get(&number) {
            return Ok(page_file.clone());
        }
        let found = PageFile::open(&self.files, page_file::path(&self.directory, number), number)?;
        list.all.insert(number, found.clone());
        Ok(found)
    }

    /// Whether many files have unsynced images: such files stay open, and one that is to be read needs a descriptor. Then
    /// they are synced before the next [`write`](Self::write), by a thread that holds no lock.
    pub(crate) fn are_held(&self) -> bool {
        self.files.are_held()
    }

    /// Writes an image, which `fill` appends to a buffer. No lock of the store is needed.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<Image> {
        let mut bytes = frame_buffer(Vec::new());
        fill(&mut bytes)?;
        let checksum = frame::body_checksum(&bytes)?;
        let (page_file, offset) = self.reserve_range(bytes.len() as u64)?;
        let place = (narrow(offset), narrow(bytes.len() as u64));
        let location = ImageLocation::new(page_file.number, place, checksum, Form::Page);
        frame::seal(
            &mut bytes,
            page_file::id(self.store, page_file.number),
            page_file::stamp(location.offset),
            checksum,
        );
        let written = page_file.write(&bytes, offset);
        if page_file.is_ragged() {
            // A full disk had space for a part of the image, and nothing else has space now.
            let _list = self.list.lock();
            page_file.cut_off();
        }
        written?;
        Ok(Image::new(page_file, location))
    }

    /// Reserves so many bytes in the active page file, or in a new one if that is full.
    fn reserve_range(&self, bytes: u64) -> Result<(Arc<PageFile>, u64)> {
        let mut list = self.list.lock();
        let active = list.active.as_ref().filter(|active| active.written() < self.file_bytes);
        if let Some(active) = active {
            return Ok((active.clone(), active.reserve(bytes)));
        }
        let number = list.free_number();
        let made = self.create(number)?;
        list.last_number = number;
        list.directory_unsynced = true;
        list.all.insert(number, made.clone());
        list.active = Some(made.clone());
        let offset = made.reserve(bytes);
        Ok((made, offset))
    }

    fn create(&self, number: u64) -> Result<Arc<PageFile>> {
        let create = || PageFile::create(&self.files, page_file::path(&self.directory, number), number);
        match create() {
            // The directory was removed from outside, which does no harm while it was empty.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.prepare()?;
                create()
            }
            made => made,
        }
    }

    /// Makes all appended images durable, but for those in the journal. One thread at a time: what another is about to sync
    /// is not durable yet.
    ///
    /// # Errors
    /// That of the first file that could not be synced; the others are.
    pub(crate) fn sync(&self) -> Result<()> {
        let _one = self.syncing.lock();
        let (unsynced, directory) = {
            let mut list = self.list.lock();
            let unsynced = list.all.values().filter(|one| one.is_unsynced()).cloned().collect::<Vec<_>>();
            (unsynced, std::mem::take(&mut list.directory_unsynced))
        };
        let mut synced = Ok(());
        for page_file in &unsynced {
            synced = synced.and(page_file.sync());
        }
        let entries = if directory { self.kept_directory.sync(&*self.disk) } else { Ok(()) };
        if entries.is_err() || synced.is_err() {
            let mut list = self.list.lock();
            list.directory_unsynced |= directory && entries.is_err();
            list.active = None;
        }
        synced.and(entries).map_err(|cause| Error::io("syncing the page files", cause))
    }

    /// Makes the files with these numbers durable, whoever wrote them, and their entries.
    pub(crate) fn sync_all(&self, numbers: &BTreeSet<u64>) -> Result<()> {
        let files: Vec<_> = numbers.iter().map(|number| self.page_file(*number)).collect::<Result<_>>()?;
        let sync = || files.iter().try_for_each(PageFile::sync).and_then(|()| self.kept_directory.sync(&*self.disk));
        sync().map_err(|cause| Error::io("syncing the page files", cause))
    }

    /// Whether images in use are in a page file whose sync has failed.
    pub(crate) fn is_doubtful(&self) -> bool {
        let doubtful = |page_file: &Arc<PageFile>| {
            page_file.failed.load(Ordering::Acquire) && page_file.live.load(Ordering::Relaxed) > 0
        };
        self.list.lock().all.values().any(doubtful)
    }

    /// The page files whose images have to be rewritten: files that are less than half in use, files whose sync has
    /// failed, and small files when there are many. If the active page file is one of them, no more images are appended
    /// to it. With `is_thorough` these are all files of which more than a sixteenth is not in use, and all small ones
    /// but one.
    pub(crate) fn to_rewrite(&self, is_thorough: bool) -> BTreeSet<u64> {
        let mut list = self.list.lock();
        let to_rewrite = |page_file: &Arc<PageFile>| {
            let (live, written) = (page_file.live(), page_file.written());
            let least = if is_thorough { written - written / 16 } else { written / 2 };
            page_file.failed.load(Ordering::Acquire) || live < least
        };
        list.active = list.active.take().filter(|active| !to_rewrite(active));
        let active = list.active.as_ref().map(|active| active.number);
        let is_small =
            |page_file: &&Arc<PageFile>| page_file.written() < self.file_bytes / 4 && Some(page_file.number) != active;
        let merging = list.all.values().filter(is_small).count() > if is_thorough { 1 } else { MOST_SMALL };
        let leaving = list.all.values().filter(|page_file| to_rewrite(page_file) || (merging && is_small(page_file)));
        leaving.map(|page_file| page_file.number).collect()
    }

    /// The size, in bytes, from which a page file gets no more images.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// The numbers of the page files that existed at the opening.
    pub(crate) fn found(&self) -> BTreeSet<u64> {
        self.list.lock().taken.clone()
    }

    /// Removes the page files that no image in memory refers to and that are not among `kept`, and those that could not
    /// be removed before. A file that cannot be removed now is tried again later. A segment of the journal is not removed if
    /// `reuse` takes it.
    pub(crate) fn sweep(&self, kept: &BTreeSet<u64>, reuse: &mut dyn FnMut(&Arc<SegmentImages>, &Path) -> bool) {
        let (segments, mut swept) = {
            let mut list = self.list.lock();
            // An active file without images is removed too: it may have the part of an image that a full disk had space
            // for.
            list.active.take_if(|active| Arc::strong_count(active) == 2);
            let active = list.active.as_ref().map(|active| active.number);
            // Only the list refers to the file: no image does, so no thread reads it.
            let unused = |page_file: &Arc<PageFile>| {
                Some(page_file.number) != active
                    && !kept.contains(&page_file.number)
                    && Arc::strong_count(page_file) == 1
            };
            let numbers: Vec<u64> =
                list.all.values().filter(|one| unused(one)).map(|page_file| page_file.number).collect();
            list.directory_unsynced |= !numbers.is_empty();
            let swept = std::mem::take(&mut list.obsolete);
            let removed: Vec<_> = numbers.iter().filter_map(|number| list.all.remove(number)).collect();
            list.segments.retain(|_, number| !numbers.contains(number));
            numbers.iter().for_each(|number| self.files.close(*number));
            let segments: Vec<_> = removed.iter().map(|one| (one.give_back(), one.path.clone())).collect();
            (segments, swept)
        };
        for (segment, path) in segments {
            if !segment.is_some_and(|segment| reuse(&segment, &path)) {
                swept.push(path);
            }
        }
        let left = swept.into_iter().filter(|path| match self.disk.remove_file(path) {
            Ok(()) => false,
            Err(cause) => cause.kind() != std::io::ErrorKind::NotFound,
        });
        let left: Vec<PathBuf> = left.collect();
        self.list.lock().obsolete.extend(left);
    }

    /// Removes every file that neither an image in memory nor `kept` names: an earlier run wrote it after its last
    /// snapshot.
    pub(crate) fn tidy(&self, kept: &BTreeSet<u64>) -> Result<()> {
        let names = self.disk.list(&self.directory).map_err(|e| Error::io("listing the page files", e))?;
        let last_kept = kept.iter().next_back().copied().unwrap_or(0);
        let reach = self.list.lock().highest().max(last_kept).saturating_add(REACH);
        for number in names.iter().filter_map(|name| page_file::parse_file_name(name)).filter(|number| *number <= reach)
        {
            if !kept.contains(&number) && !self.list.lock().all.contains_key(&number) {
                remove_own(&*self.disk, &page_file::path(&self.directory, number))?;
            }
        }
        Ok(())
    }

    /// Removes the files that a failed opening has written.
    pub(crate) fn abandon(&self) {
        let mut list = self.list.lock();
        list.active = None;
        list.all.retain(|_, page_file| {
            if page_file.is_new {
                // A file that stays takes space only until the next open.
                let _ = self.disk.remove_file(&page_file.path);
            }
            !page_file.is_new
        });
    }

    /// Bytes of all page files, and how many of them are in use; as they last were, while the disk keeps a page file
    /// from being made.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        if let Some(list) = self.list.try_lock() {
            let live = |page_file: &Arc<PageFile>| page_file.live.load(Ordering::Relaxed).min(page_file.written());
            // What is in the journal too counts there.
            let here = || list.all.values().filter(|page_file| !page_file.is_in_journal());
            self.bytes.store(here().map(|one| one.written()).sum(), Ordering::Relaxed);
            self.live.store(here().map(live).sum(), Ordering::Relaxed);
        }
        (self.bytes.load(Ordering::Relaxed), self.live.load(Ordering::Relaxed))
    }
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The damage of a page file.
pub(crate) fn damage_at(path: &Path, offset: u64, reason: &str) -> Damage {
    Damage { file: path.into(), offset, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Fault, FaultKind, Operation, SimulatedDisk};
    use crate::storage::codec::hex;

    fn page_files(disk: &SimulatedDisk) -> PageFiles {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let page_files = PageFiles::open(&disk, Path::new("/store"), [7; 16], 100, 4).unwrap();
        page_files.prepare().unwrap();
        page_files
    }

    fn write(page_files: &PageFiles, bytes: &[u8]) -> Image {
        let fill = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(bytes);
            Ok(())
        };
        page_files.write(fill).unwrap()
    }

    fn files(disk: &SimulatedDisk) -> Vec<String> {
        disk.list(Path::new("/store/heap")).unwrap()
    }

    #[test]
    fn golden_bytes_of_an_image_in_its_file() {
        let disk = SimulatedDisk::new();
        let page_files = page_files(&disk);
        write(&page_files, b"first");
        let image = write(&page_files, b"body");
        assert_eq!(image.location(), ImageLocation::new(1, (37, 36), 0xdba8_0bb2, Form::Page));
        let file = disk.read("/store/heap/0000000000000001.heap").unwrap();
        assert_eq!(hex(&file[37..]), "040000001714ec052500000000000000000000000000000000000000b20ba8db626f6479");
    }

    #[test]
    fn an_image_comes_back_in_this_run_and_the_next_and_no_flipped_bit_does() {
        let disk = SimulatedDisk::new();
        let location = {
            let page_files = page_files(&disk);
            let image = write(&page_files, b"body");
            assert_eq!(image.read().unwrap(), b"body");
            image.location()
        };
        let image = page_files(&disk).image(location).unwrap();
        assert_eq!(image.read().unwrap(), b"body");
        for bit in 0..32 {
            let at = u64::from(location.offset) + frame::HEADER_BYTES as u64 + bit / 8;
            disk.corrupt("/store/heap/0000000000000001.heap", at, 1 << (bit % 8)).unwrap();
            assert!(image.read().unwrap_err().is_corrupt(), "bit {bit}");
            disk.corrupt("/store/heap/0000000000000001.heap", at, 1 << (bit % 8)).unwrap();
        }
        assert_eq!(image.read().unwrap(), b"body");
    }

    #[test]
    fn a_file_that_is_missing_or_too_short_is_told_at_once() {
        let disk = SimulatedDisk::new();
        let location = write(&page_files(&disk), b"body").location();
        disk.truncate("/store/heap/0000000000000001.heap", 35).unwrap();
        assert!(page_files(&disk).image(location).unwrap_err().is_corrupt());
        disk.remove_file(Path::new("/store/heap/0000000000000001.heap")).unwrap();
        assert!(page_files(&disk).image(location).unwrap_err().is_corrupt());
    }

    #[test]
    fn a_file_is_removed_when_no_image_of_it_is_in_use_and_no_snapshot_names_it() {
        let disk = SimulatedDisk::new();
        let page_files = page_files(&disk);
        let images: Vec<Image> = (0..6).map(|_| write(&page_files, &[7; 60])).collect();
        assert_eq!(files(&disk).len(), 3);
        let (first, rest) = images.split_at(2);
        let (first, rest) = (first.to_vec(), rest.to_vec());
        drop(images);
        page_files.sweep(&BTreeSet::new(), &mut |_, _| false);
        assert_eq!(files(&disk).len(), 3, "everything is in use");
        drop(first);
        page_files.sweep(&BTreeSet::from([1]), &mut |_, _| false);
        assert_eq!(files(&disk).len(), 3, "a snapshot names it");
        page_files.sweep(&BTreeSet::new(), &mut |_, _| false);
        assert_eq!(files(&disk).len(), 2);
        assert_eq!(page_files.to_rewrite(false), BTreeSet::new());
        drop(rest);
        assert_eq!(page_files.bytes().1, 0);
    }

    #[test]
    fn a_file_of_which_a_sync_failed_is_left_behind_for_good() {
        let disk = SimulatedDisk::new();
        let page_files = page_files(&disk);
        let image = write(&page_files, b"body");
        disk.fail_nth(FaultKind::Sync, 1);
        assert!(page_files.sync().is_err());
        page_files.sync().unwrap();
        assert!(page_files.is_doubtful(), "a later sync proves nothing");
        assert_eq!(page_files.to_rewrite(false), BTreeSet::from([1]));
        let again = write(&page_files, b"body");
        assert_eq!(again.location().file, 2);
        drop(image);
        page_files.sync().unwrap();
        assert!(!page_files.is_doubtful());
    }

    #[test]
    fn a_sync_waits_for_one_that_is_under_way() {
        let disk = SimulatedDisk::new();
        let page_files = page_files(&disk);
        let _image = write(&page_files, b"body");
        let gate = disk.hold(crate::disk::Calls::of([Operation::Sync]).under("/store/heap"));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| page_files.sync());
            assert!(gate.wait_for(1, std::time::Duration::from_secs(20)));
            let second = scope.spawn(|| page_files.sync());
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(!second.is_finished(), "what the other thread syncs is not durable yet");
            gate.open();
            first.join().unwrap().unwrap();
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn an_image_for_which_a_full_disk_has_no_space_leaves_nothing() {
        let disk = SimulatedDisk::new();
        let page_files = page_files(&disk);
        let image = write(&page_files, b"body");
        let size = || disk.size(Path::new("/store/heap/0000000000000001.heap")).unwrap();
        let before = size();
        disk.set_capacity(Some(disk.size(Path::new("/")).unwrap() + 50));
        let fill = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(&[7; 60]);
            Ok(())
        };
        assert!(page_files.write(fill).unwrap_err().is_full());
        assert_eq!(size(), before, "a part of the image takes space");
        disk.inject(Fault::on(Operation::Allocate).nth(1));
        assert!(page_files.write(fill).unwrap_err().is_full());
        assert!(size() > before, "the file could not be cut off");
        assert!(page_files.write(fill).unwrap_err().is_full());
        assert_eq!(size(), before);
        assert_eq!(image.read().unwrap(), b"body");
        disk.set_capacity(None);
        assert_eq!(u64::from(write(&page_files, b"more").location().offset), before);
    }

    #[test]
    fn files_of_a_failed_opening_are_removed() {
        let disk = SimulatedDisk::new();
        let kept = write(&page_files(&disk), b"body").location();
        let page_files = page_files(&disk);
        let image = page_files.image(kept).unwrap();
        write(&page_files, b"more");
        page_files.abandon();
        assert_eq!(files(&disk), ["0000000000000001.heap"]);
        assert_eq!(image.read().unwrap(), b"body");
    }
}
