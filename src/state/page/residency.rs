//! The residency of a page's content: in memory, in an image in the page files, or in both.
//!
//! | From | `load` | `damage` | `change` | `written` | `evict` | `distrust` |
//! |---|---|---|---|---|---|---|
//! | [`Hot`](Residency::Hot) | – | – | `Hot` | `Both` | – | – |
//! | [`Both`](Residency::Both) | – | – | `Hot` | `Both` | `Cold` | `Hot` |
//! | [`Cold`](Residency::Cold) | `Both` | `Damaged` | – | `Cold` | – | – |
//! | [`Damaged`](Residency::Damaged) | `Both` | `Damaged` | – | `Damaged` | – | – |
//!
//! A dash means that the page does not change; the return value says so. `load` and `damage` are the results of
//! reading an image.
//!
//! 1. The content is in memory, or there is an image, or both.
//! 2. If both exist, they are the same: a change of the content drops the image.
//! 3. An unwritten page does not leave memory, and neither does the only copy of a page whose image is distrusted.
//! 4. A page that is hot may have a frame of the journal that becomes its image when it is written, if it is still as it
//!    was posted: a change drops the frame too.
//! 5. A damaged page is not in memory. The mark is removed when the image can be read after all.
//!
//! Memory: 33 B for a page, and its content while that is in memory.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Page;
use super::entry::FrozenPage;
use super::held::{Held, Reads};
use crate::model::error::Error;
use crate::state::page_content::Content;
use crate::storage::journal::FrameImage;
use crate::storage::page_files::{Image, ImageLocation};

/// Where a page's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Residency {
    /// Only in memory: the page has to be written before it can be evicted.
    Hot,
    /// In memory and in an image.
    Both,
    /// In an image alone.
    Cold,
    /// In an image that cannot be read.
    Damaged,
}

impl Page {
    pub(super) fn residency(&self) -> Residency {
        match &self.held {
            Held::Memory(_) | Held::Posted { .. } => Residency::Hot,
            Held::Image { memory, .. } if memory.get().is_some() => Residency::Both,
            Held::Image { .. } if self.is_damaged() => Residency::Damaged,
            Held::Image { .. } => Residency::Cold,
        }
    }

    /// The content, if it is in memory.
    pub(crate) fn content(&self) -> Option<&Arc<Content>> {
        match &self.held {
            Held::Memory(content) | Held::Posted { memory: content, .. } => Some(content),
            Held::Image { memory, .. } => memory.get(),
        }
    }

    pub(crate) fn image(&self) -> Option<&Image> {
        match &self.held {
            Held::Memory(_) | Held::Posted { .. } => None,
            Held::Image { image, .. } => Some(image),
        }
    }

    /// The frame that can become the image.
    pub(super) fn frame(&self) -> Option<&Arc<FrameImage>> {
        match &self.held {
            Held::Posted { frame, .. } => Some(frame),
            Held::Memory(_) | Held::Image { .. } => None,
        }
    }

    /// Records that the frame which has just posted the page's message is everything about the page, as long as that
    /// does not change.
    pub(in crate::state) fn set_frame(&mut self, frame: FrameImage) {
        if let Held::Memory(memory) = &self.held
            && self.slots == 1
        {
            self.held = Held::Posted { memory: memory.clone(), frame: Arc::new(frame) };
        }
    }

    pub(crate) fn is_damaged(&self) -> bool {
        self.reads.get() == Reads::Damaged
    }

    /// Keeps the content in memory that was read from the image; whether the page was damaged.
    pub(in crate::state) fn load(&self, content: Arc<Content>) -> bool {
        if let Held::Image { memory, .. } = &self.held {
            // If a content is in memory already, it is the same.
            let _ = memory.set(content);
        }
        let was_damaged = self.reads.replace(Reads::Fine) == Reads::Damaged;
        debug_assert!(self.content().is_some(), "a page that was loaded is in memory");
        was_damaged
    }

    /// Records that the image could not be read; returns whether the page is newly damaged.
    pub(in crate::state) fn damage(&self, error: &Error) -> bool {
        debug_assert!(self.content().is_none(), "a page in memory is not read");
        let before = self.reads.get();
        let after = before.after(error);
        self.reads.set(after);
        before != after && after == Reads::Damaged
    }

    /// The content, for a change that makes the image outdated. `None` for a page that is not in memory.
    pub(super) fn change(&mut self) -> Option<&mut Content> {
        match &mut self.held {
            Held::Memory(_) => {}
            Held::Posted { memory, .. } => self.held = Held::Memory(memory.clone()),
            Held::Image { memory, .. } => self.held = Held::Memory(memory.take()?),
        }
        self.spread.take();
        self.held.memory_mut().map(Arc::make_mut)
    }

    /// Puts another content in the place of that in memory.
    pub(super) fn replace(&mut self, content: Content) {
        debug_assert!(self.content().is_some(), "only what is in memory is rewritten");
        self.held = Held::Memory(Arc::new(content));
        self.spread.take();
    }

    /// Updates the charge after pushes.
    pub(crate) fn settle_charge(&mut self) {
        if let Some(content) = self.held.memory_mut().and_then(Arc::get_mut) {
            content.settle_charge();
        }
    }

    /// Records the image of the page as it was in `frozen`; returns whether the page is unchanged since.
    pub(crate) fn written(&mut self, frozen: &FrozenPage, image: &Image) -> bool {
        let same = match (&frozen.content, &frozen.image) {
            (Some(content), _) => self.content().is_some_and(|current| Arc::ptr_eq(current, content)),
            (None, Some(old)) => self.image().is_some_and(|current| current.location() == old.location()),
            (None, None) => false,
        };
        if same {
            let memory = self.content().cloned().map_or_else(OnceCell::new, OnceCell::from);
            self.held = Held::Image { image: image.clone(), memory };
        }
        same
    }

    /// Evicts the content; returns whether it was in memory and in an image.
    pub(crate) fn evict(&mut self) -> bool {
        if self.residency() != Residency::Both {
            return false;
        }
        // The positions are needed while the content is not in memory.
        self.spread();
        if let Held::Image { memory, .. } = &mut self.held {
            memory.take();
        }
        debug_assert_eq!(self.residency(), Residency::Cold, "a page that could be read is not damaged");
        true
    }

    /// Marks the image at `location` as proven.
    pub(crate) fn prove(&mut self, location: ImageLocation) {
        if let Held::Image { image, .. } = &mut self.held
            && image.location() == location
        {
            image.prove();
        }
    }

    /// Drops the image at `location`, whose bytes are wrong, if the content is in memory; returns whether it is.
    pub(crate) fn distrust(&mut self, location: ImageLocation) -> bool {
        let known = self.image().is_some_and(|image| image.location() == location);
        let Some(content) = self.content().filter(|_| known).cloned() else { return false };
        self.held = Held::Memory(content);
        true
    }

    /// Whether the queue's indexes have it as damaged.
    pub(in crate::state) fn is_noted(&self) -> bool {
        self.noted
    }

    /// Updates the value that the queue's indexes use.
    pub(in crate::state) fn note(&mut self) {
        self.noted = self.is_damaged();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk, SimulatedDisk};
    use crate::state::page::Lease;
    use crate::state::page_content::{IncomingMessage, Owner};
    use crate::storage::budget::Budget;
    use crate::storage::page_files::PageFiles;

    const OWNER: Owner<'_> = Owner { number: 5, key: b"queue" };
    const ALL: [Residency; 4] = [Residency::Hot, Residency::Both, Residency::Cold, Residency::Damaged];

    /// A transition of a page.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Step {
        Load,
        Damage,
        Change,
        Written,
        Evict,
        Distrust,
    }

    const STEPS: [Step; 6] = [Step::Load, Step::Damage, Step::Change, Step::Written, Step::Evict, Step::Distrust];

    /// The table of the module's documentation; `None` for a dash.
    fn table(from: Residency, step: Step) -> Option<Residency> {
        use Residency::{Both, Cold, Damaged, Hot};
        match (step, from) {
            (Step::Load, Cold | Damaged) | (Step::Written, Hot | Both) => Some(Both),
            (Step::Damage, Cold | Damaged) => Some(Damaged),
            (Step::Change, Hot | Both) | (Step::Distrust, Both) => Some(Hot),
            (Step::Written, Cold | Damaged) => Some(from),
            (Step::Evict, Both) => Some(Cold),
            _ => None,
        }
    }

    struct Bench {
        budget: Arc<Budget>,
        page_files: PageFiles,
        page: Page,
        bodies: Vec<String>,
    }

    impl Bench {
        fn new() -> Self {
            let (budget, disk) = (Budget::unlimited(), Arc::new(SimulatedDisk::new()) as Arc<dyn Disk>);
            let page_files = PageFiles::open(&disk, Path::new("/store"), [7; 16], 1 << 20, 4).unwrap();
            let mut bench = Self { page: Page::new(50, Content::new(&budget)), budget, page_files, bodies: Vec::new() };
            bench.push();
            bench
        }

        fn in_residency(residency: Residency) -> Self {
            let mut bench = Self::new();
            let steps: &[Step] = match residency {
                Residency::Hot => &[],
                Residency::Both => &[Step::Written],
                Residency::Cold => &[Step::Written, Step::Evict],
                Residency::Damaged => &[Step::Written, Step::Evict, Step::Damage],
            };
            steps.iter().for_each(|step| assert!(bench.step(*step)));
            assert_eq!(bench.page.residency(), residency);
            bench
        }

        /// Appends a message; every other place is left out, so that the page is not dense.
        fn push(&mut self) {
            let body = format!("body {}", self.bodies.len());
            let sequence = 50 + 2 * self.bodies.len() as u64;
            self.page.push(sequence, &IncomingMessage::sample(body.as_bytes()));
            self.bodies.push(body);
        }

        /// Makes a transition; returns whether the page changed.
        fn step(&mut self, step: Step) -> bool {
            let (before, location) = (self.page.residency(), self.page.image().map(Image::location));
            match step {
                Step::Load if self.page.content().is_none() => {
                    let content = self.page.read(&self.budget, OWNER.number).unwrap();
                    assert_eq!(self.page.load(content), before == Residency::Damaged);
                    true
                }
                Step::Damage if self.page.content().is_none() => {
                    let error = self.page.image().unwrap().damage("torn").into();
                    assert_eq!(self.page.damage(&error), before != Residency::Damaged);
                    true
                }
                Step::Load | Step::Damage => false,
                Step::Change => {
                    let can = self.page.content().is_some();
                    if can {
                        self.push();
                    } else {
                        assert!(self.page.change().is_none());
                    }
                    can
                }
                Step::Written => {
                    let frozen = self.page.freeze();
                    let content = frozen.read(&self.budget, OWNER.number).unwrap();
                    let live = self.page.live();
                    let image = self.page_files.write(|buffer| content.write_image(OWNER, 50, live, buffer)).unwrap();
                    self.page.written(&frozen, &image)
                        && self.page.image().map(Image::location) == Some(image.location())
                }
                Step::Evict => self.page.evict(),
                Step::Distrust => location.is_some_and(|location| self.page.distrust(location)),
            }
        }

        /// Checks that the content has the pushed messages, and that the entry names every message.
        fn check(&self) {
            let content = self.page.read(&self.budget, OWNER.number).unwrap();
            let bodies = content.slots().iter().map(|slot| String::from_utf8(content.body(slot).to_vec()).unwrap());
            assert_eq!(bodies.collect::<Vec<_>>(), self.bodies);
            let states = self.page.entry().states().unwrap();
            let distances: Vec<u32> = states.iter().map(|(distance, _)| *distance).collect();
            let expected: Vec<u32> = (0..).step_by(2).take(self.bodies.len()).collect();
            assert_eq!(distances, expected);
            assert_eq!(self.page.is_dense(), self.bodies.len() == 1);
            assert_eq!(self.page.is_damaged(), self.page.residency() == Residency::Damaged);
        }
    }

    #[test]
    fn every_step_from_everywhere_leads_where_the_table_says() {
        for from in ALL {
            for step in STEPS {
                let mut bench = Bench::in_residency(from);
                let happened = bench.step(step);
                let to = bench.page.residency();
                assert_eq!(happened.then_some(to), table(from, step), "{step:?} from {from:?}");
                assert!(happened || to == from, "{step:?} from {from:?} led to {to:?}");
                bench.check();
            }
        }
    }

    #[test]
    fn however_the_steps_follow_one_another_nothing_is_lost() {
        for mut seed in 0..50_u64 {
            let mut bench = Bench::new();
            for _ in 0..100 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let step = STEPS[usize::try_from((seed >> 33) % STEPS.len() as u64).unwrap()];
                let from = bench.page.residency();
                let happened = bench.step(step);
                assert_eq!(happened.then_some(bench.page.residency()), table(from, step), "{step:?} from {from:?}");
                bench.check();
            }
        }
    }

    #[test]
    fn a_page_that_has_changed_since_it_was_written_stays_in_memory() {
        let mut bench = Bench::in_residency(Residency::Hot);
        let frozen = bench.page.freeze();
        bench.push();
        let content = frozen.read(&bench.budget, OWNER.number).unwrap();
        let image = bench.page_files.write(|buffer| content.write_image(OWNER, 50, 1, buffer)).unwrap();
        assert!(!bench.page.written(&frozen, &image) && !bench.page.evict());
        assert_eq!(bench.page.residency(), Residency::Hot);
    }

    #[test]
    fn a_claim_changes_the_content_and_drops_the_image() {
        let mut bench = Bench::in_residency(Residency::Both);
        bench.page.release(1);
        assert_eq!(bench.page.residency(), Residency::Both, "what the entry says changes no content");
        bench.page.claim(1, 7, 1, Lease { now: 1, slack: 0, ttl: 1, grace: 0 });
        assert_eq!(bench.page.residency(), Residency::Hot);
    }

    #[test]
    fn a_device_has_three_tries_in_a_row() {
        let bench = Bench::in_residency(Residency::Cold);
        let device = || Error::io("reading", io::Error::from_raw_os_error(5));
        let busy = Error::io("opening", io::Error::from_raw_os_error(24));
        assert!(!bench.page.damage(&device()) && !bench.page.damage(&device()) && !bench.page.damage(&busy));
        assert!(!bench.page.damage(&device()) && !bench.page.damage(&device()));
        assert_eq!(bench.page.residency(), Residency::Cold);
        assert!(bench.page.damage(&device()) && !bench.page.damage(&device()));
        assert_eq!(bench.page.residency(), Residency::Damaged);
        let content = bench.page.read(&bench.budget, OWNER.number).unwrap();
        assert!(bench.page.load(content));
        assert_eq!(bench.page.residency(), Residency::Both);
    }

    #[test]
    fn a_page_takes_128_bytes() {
        assert_eq!(size_of::<Page>(), 128);
    }
}
