//! Frames of the journal that become images: their segment gets a second name among the page files.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::page_file::{self, PageFile};
use super::{Form, Image, ImageLocation, PageFileList, PageFiles};
use crate::storage::journal::{FrameImage, gives_no_names};

impl PageFiles {
    /// Whether frames of the journal become images from now on: not where a segment that stays costs too much space.
    pub(crate) fn set_adopting(&self, adopts: bool) {
        self.adopts.store(adopts, Ordering::Relaxed);
    }

    /// The image that a frame of the journal is, if its segment is worth keeping and is not among `leaving`; nothing is
    /// written. `None` if the disk gives no second names, or the segment is retired: then the page has to be written.
    pub(crate) fn adopt(&self, frame: &FrameImage, leaving: &BTreeSet<u64>) -> Option<Image> {
        if !self.adopts.load(Ordering::Relaxed) || !self.gives_names.load(Ordering::Relaxed) {
            return None;
        }
        let mut list = self.list.lock();
        let named = list.segments.get(&frame.segment().number()).and_then(|number| list.all.get(number)).cloned();
        let images = named.as_ref().map_or(0, |page_file| page_file.live.load(Ordering::Acquire));
        if !frame.is_worth_keeping(images) {
            return None;
        }
        let page_file = named.or_else(|| self.name(&mut list, frame))?;
        if leaving.contains(&page_file.number) {
            return None;
        }
        page_file.reach(frame.end());
        let place = (frame.offset, frame.bytes);
        let location = ImageLocation::new(page_file.number, place, frame.checksum, Form::Post);
        Some(Image::new(page_file, location))
    }

    /// Gives the frame's segment a second name.
    fn name(&self, list: &mut PageFileList, frame: &FrameImage) -> Option<Arc<PageFile>> {
        let number = list.free_number();
        let path = page_file::path(&self.directory, number);
        let named = frame.name_segment(&*self.disk, &path);
        if named.as_ref().is_err_and(gives_no_names) {
            self.gives_names.store(false, Ordering::Relaxed);
            return None;
        }
        // After another failure the name may be there. A later opening removes it.
        list.last_number = number;
        if !named.is_ok_and(|is_named| is_named) {
            return None;
        }
        list.directory_unsynced = true;
        let page_file = Arc::new(PageFile::of_segment(&self.files, path, number, frame.segment()));
        list.all.insert(number, page_file.clone());
        list.segments.insert(frame.segment().number(), number);
        Some(page_file)
    }
}
