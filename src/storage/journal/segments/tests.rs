//! Tests of every transition, and that there are no others.

use std::path::Path;

use super::*;
use crate::disk::{Disk, Fault, FaultError, KeptDir, Operation, SimulatedDisk};
use crate::storage::journal::{FrameImage, naming};

const BYTES: u64 = 8192;

/// A journal whose segment 3 is live, behind 1 and 2 of an earlier run.
struct Started {
    disk: SimulatedDisk,
    context: JournalContext,
    segments: Segments,
}

impl Started {
    fn new() -> Self {
        let disk = SimulatedDisk::new();
        let directory = Path::new("/journal");
        disk.create_dir_all(directory).unwrap();
        let context = JournalContext {
            disk: std::sync::Arc::new(disk.clone()),
            directory: directory.into(),
            kept_directory: std::sync::Arc::new(KeptDir::new(directory.into())),
            store: [7; 16],
            incarnation: 1,
            segment_bytes: BYTES,
            cache_bytes: 0,
        };
        for number in [1, 2] {
            Segment::reserve(&context, number, BYTES).unwrap();
        }
        let live = Segment::reserve(&context, 3, BYTES).unwrap();
        let kept = [(1, 1), (2, 10), (3, 20)].map(|(number, first_lsn)| Kept { number, first_lsn, bytes: BYTES });
        let start = Start { live, offset: 64, next_lsn: 21, kept: kept.to_vec() };
        Self { disk, context, segments: Segments::new(start) }
    }

    /// As if this run had written the earlier segments too.
    fn of_one_run() -> Self {
        let mut started = Self::new();
        for full in &mut started.segments.full {
            full.images = Some(SegmentImages::new(full.kept.number, started.context.path(full.kept.number), BYTES));
        }
        started
    }

    /// Recycles a segment if there is no other one to be the next; whether it is the spare then.
    fn recycle(&mut self, retired: Retired) -> Result<bool> {
        self.segments.recycle(&self.context, retired, 0)?;
        Ok(self.segments.refill(&self.context))
    }

    fn pooled(&self) -> Vec<u64> {
        self.segments.pool.iter().map(|pooled| pooled.kept.number).collect()
    }

    fn made(&self, bytes: u64) -> Segment {
        Segment::reserve(&self.context, self.segments.next_number(), bytes).unwrap()
    }

    fn adopt(&mut self) {
        let made = self.made(BYTES);
        self.segments.adopt(made);
    }

    fn start(&mut self, next: Next, first_lsn: u64) -> io::Result<()> {
        self.segments.start(next, HeaderFields { first_lsn, incarnation: 1, synced: 0 })
    }

    /// Switches to a new segment.
    fn go_on(&mut self, first_lsn: u64) {
        let made = self.made(BYTES);
        self.start(Next::Made(made), first_lsn).unwrap();
    }

    fn files(&self) -> Vec<u64> {
        let names = self.disk.list(&self.context.directory).unwrap();
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| naming::parse_file_name(name)).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The numbers of the kept segments, the live one last, of the spare, of the sealed and of the obsolete ones.
    fn states(&self) -> (Vec<u64>, Option<u64>, Vec<u64>, Vec<u64>) {
        let sealed = self.segments.full.iter().filter(|full| full.unsynced.is_some()).map(|full| full.kept.number);
        let spare = self.segments.spare.as_ref().map(|spare| spare.number());
        let kept = self.segments.kept().map(|kept| kept.number).collect();
        (kept, spare, sealed.collect(), self.segments.obsolete.clone())
    }
}

#[test]
fn what_recovery_leaves_is_live_and_synced() {
    let started = Started::new();
    assert_eq!(started.states(), (vec![1, 2, 3], None, vec![], vec![]));
    assert_eq!((started.segments.next_number(), started.segments.live().end()), (4, 64));
    assert_eq!(started.segments.full_bytes(), 2 * BYTES);
}

#[test]
fn a_spare_that_is_started_is_live_and_the_former_live_one_sealed_until_a_sync_takes_it() {
    let mut started = Started::new();
    started.adopt();
    assert_eq!(started.states(), (vec![1, 2, 3], Some(4), vec![], vec![]));
    started.segments.live_mut().append(b"frame").unwrap();
    let spare = started.segments.take_spare(BYTES).unwrap();
    started.start(spare, 30).unwrap();
    assert_eq!(started.states(), (vec![1, 2, 3, 4], None, vec![3], vec![]));
    assert_eq!((started.segments.live().end(), started.segments.live().number()), (SEGMENT_HEADER_BYTES, 4));
    started.go_on(40);
    assert_eq!(started.states().2, [3, 4]);
    let unsynced = started.segments.take_unsynced();
    let sealed: Vec<u64> = unsynced.sealed.iter().map(|segment| segment.number()).collect();
    assert_eq!((sealed, unsynced.live.as_ref().unwrap().number(), unsynced.directory), (vec![3, 4], 5, true));
    unsynced.sync(&started.context).unwrap();
    assert_eq!(started.states(), (vec![1, 2, 3, 4, 5], None, vec![], vec![]));
    let again = started.segments.take_unsynced();
    assert!(again.sealed.is_empty() && !again.directory && again.live.as_ref().unwrap().number() == 5);
}

#[test]
fn what_a_sync_takes_survives_a_power_cut() {
    let mut started = Started::new();
    started.segments.live_mut().append(b"sealed").unwrap();
    started.go_on(30);
    started.segments.live_mut().append(b"live").unwrap();
    started.segments.take_unsynced().sync(&started.context).unwrap();
    let disk = started.disk.power_loss(crate::disk::Keep::Nothing);
    for (number, frame) in [(3, &b"sealed"[..]), (4, b"live")] {
        assert_eq!(&disk.read(started.context.path(number)).unwrap()[64..64 + frame.len()], frame);
    }
}

#[test]
fn zeros_are_written_ahead_once_the_frames_reach_unwritten_space_and_change_no_frame() {
    let mut started = Started::new();
    assert!(!started.segments.live().has_reached_unwritten());
    started.segments.live_mut().append(&[1; 100]).unwrap();
    assert!(started.segments.live().has_reached_unwritten());
    let path = started.context.path(3);
    let file = started.disk.open(&path).unwrap();
    // What is there before the zeros are written tells which space they take.
    file.write_all_at(&[9; 1000], 164).unwrap();
    started.segments.live_mut().write_ahead();
    assert!(!started.segments.live().has_reached_unwritten());
    let bytes = started.disk.read(&path).unwrap();
    assert_eq!(bytes.len() as u64, BYTES);
    assert!(bytes[64..164].iter().all(|byte| *byte == 1) && bytes[164..].iter().all(|byte| *byte == 0));
    // The rest of this small segment is written by now.
    started.segments.live_mut().append(&[2; 7000]).unwrap();
    assert!(!started.segments.live().has_reached_unwritten());
}

#[test]
fn nothing_is_written_ahead_in_a_recycled_segment_nor_after_an_error() {
    let mut started = Started::of_one_run();
    started.go_on(30);
    let retired = started.segments.retire_below(2).into_iter().next().unwrap();
    assert!(started.recycle(retired).unwrap());
    let spare = started.segments.take_spare(BYTES).unwrap();
    started.start(spare, 40).unwrap();
    started.segments.live_mut().append(&[1; 100]).unwrap();
    assert!(!started.segments.live().has_reached_unwritten());

    started.go_on(50);
    started.segments.live_mut().append(&[2; 100]).unwrap();
    started.disk.inject(Fault::on(Operation::Write));
    started.segments.live_mut().write_ahead();
    assert!(!started.segments.live().has_reached_unwritten());
    started.segments.live_mut().append(&[3; 100]).unwrap();
}

#[test]
fn a_spare_whose_header_cannot_be_written_is_spare_again_and_nothing_has_changed() {
    let mut started = Started::new();
    started.adopt();
    started.disk.inject(Fault::on(Operation::Write).error(FaultError::Space));
    let spare = started.segments.take_spare(0).unwrap();
    started.start(spare, 30).unwrap_err();
    assert_eq!(started.states(), (vec![1, 2, 3], Some(4), vec![], vec![]));
    started.disk.inject(Fault::on(Operation::Write).error(FaultError::Space));
    let made = Segment::reserve(&started.context, 5, BYTES).unwrap();
    started.start(Next::Made(made), 30).unwrap_err();
    assert_eq!(started.states(), (vec![1, 2, 3], Some(4), vec![], vec![]));
}

#[test]
fn a_spare_that_is_too_small_is_passed_over_and_removed() {
    let mut started = Started::new();
    started.adopt();
    assert!(started.segments.take_spare(BYTES + 1).is_none());
    let large = started.made(4 * BYTES);
    started.start(Next::Lean(large), 30).unwrap();
    assert_eq!(started.states(), (vec![1, 2, 3, 5], None, vec![3], vec![4]));
    assert!(started.segments.live().is_lean() && started.segments.live().fits(3 * BYTES));
    started.segments.sweep(&started.context);
    assert_eq!((started.states().3, started.files()), (vec![], vec![1, 2, 3, 5]));
}

#[test]
fn a_prepared_segment_is_spare_only_while_one_is_wanted() {
    let mut started = Started::new();
    let prepared = |started: &mut Started| {
        let number = started.segments.take_number();
        let reserved = Segment::reserve(&started.context, number, BYTES).unwrap();
        reserved.durable(&started.context, &[], &mut |_| {}).unwrap()
    };
    let first = prepared(&mut started);
    let late = prepared(&mut started);
    assert!(started.segments.accept_prepared(first));
    assert!(!started.segments.accept_prepared(late), "there is one already");
    assert_eq!(started.states(), (vec![1, 2, 3], Some(4), vec![], vec![5]));
    assert!(!started.segments.directory_unsynced, "it was prepared durably");
    let overtaken = prepared(&mut started);
    let spare = started.segments.take_spare(0).unwrap();
    started.start(spare, 30).unwrap();
    started.go_on(40);
    assert_eq!((overtaken.number(), started.segments.live().number()), (6, 7));
    assert!(!started.segments.accept_prepared(overtaken), "the journal has gone past it");
    assert_eq!(started.states().3, [5, 6]);
}

#[test]
fn a_sync_for_a_snapshot_leaves_the_segments_before_it_which_are_retired_or_synced_later() {
    let mut started = Started::new();
    started.go_on(30);
    started.go_on(40);
    let numbers = |unsynced: &Unsynced| unsynced.sealed.iter().map(|one| one.number()).collect::<Vec<_>>();
    let needed = started.segments.take_needed(started.segments.first_needed(29), 45);
    assert_eq!((numbers(&needed), needed.live.as_ref().unwrap().number()), (vec![4], 5));
    assert_eq!(started.states(), (vec![1, 2, 3, 4, 5], None, vec![3], vec![]));
    assert!(started.segments.has_sealed());
    // The snapshot did not come to count.
    started.go_on(50);
    assert_eq!(numbers(&started.segments.take_unsynced()), [3, 5]);
    assert!(!started.segments.has_sealed());
}

#[test]
fn a_sync_for_a_snapshot_leaves_the_segments_behind_it() {
    let mut started = Started::new();
    [30, 40, 50].into_iter().for_each(|first_lsn| started.go_on(first_lsn));
    let numbers = |unsynced: &Unsynced| unsynced.sealed.iter().map(|one| one.number()).collect::<Vec<_>>();
    let needed = started.segments.take_needed(3, 35);
    assert_eq!((numbers(&needed), needed.has_live()), (vec![3, 4], false));
    // The first one is needed even if nothing of it is.
    let first = started.segments.first_needed(39);
    assert_eq!((first, started.segments.first_of_full(first)), (5, Some(40)));
    let needed = started.segments.take_needed(first, 39);
    assert_eq!((numbers(&needed), needed.has_live()), (vec![5], false));
    assert!(!started.segments.has_sealed());
    let needed = started.segments.take_needed(started.segments.first_needed(49), 49);
    assert_eq!((numbers(&needed), needed.has_live()), (vec![], true));
    assert_eq!(started.segments.first_of_full(6), None);
}

#[test]
fn a_sync_that_no_call_waits_for_takes_one_segment_after_another() {
    let mut started = Started::new();
    started.go_on(30);
    started.go_on(40);
    for (number, last) in [(3, 29), (4, 39)] {
        let (taken, through) = started.segments.take_oldest_unsynced().unwrap();
        assert_eq!((taken.sealed[0].number(), taken.sealed.len(), through), (number, 1, last));
        assert!(taken.live.is_none() && taken.directory == (number == 3));
    }
    assert!(started.segments.take_oldest_unsynced().is_none() && !started.segments.has_sealed());
}

#[test]
fn the_length_of_a_segment_that_was_retired_unsynced_is_not_taken_for_durable() {
    let mut started = Started::new();
    started.go_on(30);
    let unsynced = started.segments.retire_below(4).pop().unwrap();
    assert_eq!((unsynced.kept.number, unsynced.length_is_durable), (3, false));
    started.recycle(unsynced).unwrap();
    assert!(!started.segments.spare.as_ref().unwrap().length_is_durable());
    let mut started = Started::new();
    started.go_on(30);
    started.segments.take_unsynced().sync(&started.context).unwrap();
    let synced = started.segments.retire_below(4).pop().unwrap();
    started.recycle(synced).unwrap();
    assert!(started.segments.spare.as_ref().unwrap().length_is_durable());
}

#[test]
fn of_those_retired_one_becomes_the_spare_and_some_wait_to_be_it_and_the_rest_go() {
    let mut started = Started::of_one_run();
    started.go_on(30);
    let retired = started.segments.retire_below(4);
    assert_eq!(retired.iter().map(|one| one.kept.number).collect::<Vec<_>>(), [1, 2, 3], "a sealed one too");
    for one in retired {
        started.segments.recycle(&started.context, one, 2).unwrap();
    }
    assert_eq!((started.states(), started.pooled()), ((vec![4], None, vec![], vec![3]), vec![5, 6]));
    assert_eq!(started.files(), [3, 4, 5, 6], "under numbers of unused ones");
    assert!(started.segments.refill(&started.context));
    assert_eq!((started.states(), started.pooled()), ((vec![4], Some(7), vec![], vec![3]), vec![6]));
    started.segments.take_unsynced().sync(&started.context).unwrap();
    assert_eq!((started.segments.unsynced_spare(), started.segments.directory_unsynced), (Some(7), false));
    started.segments.sweep(&started.context);
    assert_eq!(started.files(), [4, 6, 7]);
    assert_eq!(started.segments.full_bytes(), 0);
    let spare = started.segments.take_spare(BYTES).unwrap();
    started.start(spare, 40).unwrap();
    assert!(started.segments.directory_unsynced, "its frames need the entry");
    started.segments.take_unsynced().sync(&started.context).unwrap();
    assert!(started.segments.refill(&started.context));
    started.segments.spare_is_synced(7);
    assert_eq!(started.segments.unsynced_spare(), Some(8), "another one was");
    started.segments.spare_is_synced(8);
    assert_eq!(started.segments.unsynced_spare(), None);
    assert_eq!((started.states(), started.pooled()), ((vec![4, 7], Some(8), vec![], vec![]), vec![]));
    assert_eq!(started.files(), [4, 7, 8], "above the live one");
    let spare = started.segments.take_spare(BYTES).unwrap();
    started.start(spare, 50).unwrap();
    assert!(!started.segments.directory_unsynced && started.segments.unsynced_spare().is_none());
    assert!(!started.segments.refill(&started.context), "nothing is left");
}

#[test]
fn a_segment_of_an_earlier_run_or_with_a_second_name_is_not_written_again() {
    let mut started = Started::new();
    let heap = Path::new("/heap");
    started.disk.create_dir_all(heap).unwrap();
    started.go_on(30);
    started.segments.live_mut().append(b"frame").unwrap();
    let frame = started.segments.live().last_as_image(5, 0).unwrap();
    assert_eq!((frame.segment().number(), frame.offset, frame.bytes), (4, 64, 5));
    assert!(frame.name_segment(&started.disk, &heap.join("named")).unwrap());
    assert!(started.segments.has_unsynced_named(0, 1));
    started.go_on(40);
    let retired: Vec<Retired> = started.segments.retire_below(5);
    assert_eq!(retired.len(), 4);
    for one in retired {
        // Segment 3 is the first of this run, and the spare from then on.
        let is_free = one.kept.number >= 3;
        assert_eq!(started.recycle(one).unwrap(), is_free);
    }
    started.segments.sweep(&started.context);
    assert_eq!(started.disk.read(heap.join("named")).unwrap()[64..69], *b"frame");
    assert_eq!(started.states(), (vec![5], Some(7), vec![], vec![]));
}

#[test]
fn a_segment_without_images_is_taken_back_once_it_is_retired_and_no_frame_can_become_one() {
    let mut started = Started::new();
    let named = Path::new("/named");
    started.segments.live_mut().append(b"frame").unwrap();
    let frame = started.segments.live().last_as_image(5, 0).unwrap();
    assert!(frame.name_segment(&started.disk, named).unwrap());
    let images = frame.segment().clone();
    started.go_on(30);
    drop(frame);
    assert!(!images.give_back(), "the journal has it");
    let retired = started.segments.retire_below(4).pop().unwrap();
    assert!(!started.recycle(retired).unwrap(), "it has a second name");
    started.segments.sweep(&started.context);
    let late = FrameImage::new(&images, 64, 5, 0).unwrap();
    assert!(!images.give_back(), "a frame may become an image");
    drop(late);
    assert!(images.give_back());
    let late = FrameImage::new(&images, 64, 5, 0).unwrap();
    assert!(!late.name_segment(&started.disk, Path::new("/again")).unwrap(), "it is given back");

    assert!(started.segments.take_back(&started.context, (&images, named), 1));
    assert_eq!((started.pooled(), started.files()), (vec![5], vec![1, 2, 4, 5]));
    assert!(!started.disk.exists(named).unwrap());
    assert!(started.segments.refill(&started.context));
    let spare = started.segments.take_spare(BYTES).unwrap();
    started.start(spare, 40).unwrap();
    started.segments.live_mut().append(b"other").unwrap();
    assert_eq!(started.states(), (vec![4, 6], None, vec![4], vec![]));
    assert_eq!(started.disk.read(started.context.path(6)).unwrap()[64..69], *b"other");
}

#[test]
fn a_segment_is_not_taken_back_where_there_are_enough_or_it_has_another_size() {
    let mut started = Started::of_one_run();
    started.adopt();
    started.disk.write("/named", "x").unwrap();
    let images = |bytes: u64| SegmentImages::new(9, "/journal/0000000000000009.journal".into(), bytes);
    let mut take = |bytes: u64, most: usize| {
        started.segments.take_back(&started.context, (&images(bytes), Path::new("/named")), most)
    };
    assert!(!take(BYTES, 2), "two full ones are enough");
    assert!(!take(BYTES / 2, 9));
    assert!(take(BYTES, 3));
    assert_eq!(started.pooled(), [5]);
}

#[test]
fn a_segment_that_is_recycled_gets_no_second_name() {
    let mut started = Started::new();
    started.segments.live_mut().append(b"frame").unwrap();
    let frame = started.segments.live().last_as_image(5, 0).unwrap();
    started.go_on(30);
    let retired = started.segments.retire_below(4).pop().unwrap();
    assert!(started.recycle(retired).unwrap());
    assert!(!frame.name_segment(&started.disk, Path::new("/journal/named")).unwrap());
    assert_eq!(started.files(), [1, 2, 4, 6], "segment 3 is segment 6 now");
}

#[test]
fn the_segments_with_a_second_name_are_synced_and_no_others() {
    let mut started = Started::new();
    started.segments.live_mut().append(&[7; 200]).unwrap();
    let frame = started.segments.live().last_as_image(200, 0).unwrap();
    assert!(frame.is_worth_keeping(0));
    started.go_on(30);
    started.go_on(40);
    assert!(frame.name_segment(&started.disk, Path::new("/journal/named")).unwrap());
    // Until the sync of a file that another thread has taken is over, it is not synced.
    let in_flight = started.segments.take_oldest_unsynced();
    assert!(started.segments.has_unsynced_named(28, 50));
    started.segments.full[2].unsynced = in_flight.unwrap().0.sealed.pop();
    let taken = started.segments.take_named();
    assert_eq!(taken.sealed.iter().map(|segment| segment.number()).collect::<Vec<_>>(), [3]);
    assert!(taken.live.is_none() && !started.segments.has_unsynced_named(29, 50));
    assert_eq!(started.states().2, [4], "nobody asked for the other one");
}

#[test]
fn half_of_the_frames_make_a_segment_worth_keeping() {
    let mut started = Started::new();
    for _ in 0..4 {
        started.segments.live_mut().append(&[7; 100]).unwrap();
    }
    let frames: Vec<FrameImage> = (0..2).map(|_| started.segments.live().last_as_image(100, 0).unwrap()).collect();
    assert!(!frames[0].is_worth_keeping(0), "200 of 464 bytes");
    let third = started.segments.live().last_as_image(100, 0).unwrap();
    assert!(third.is_worth_keeping(0));
    drop(frames);
    assert!(!third.is_worth_keeping(0));
    assert!(third.is_worth_keeping(200), "with the images that there are");
}

#[test]
fn the_live_segment_is_never_retired() {
    let mut started = Started::new();
    let retired = started.segments.retire_below(u64::MAX);
    assert_eq!(retired.len(), 2);
    assert_eq!(started.states().0, [3]);
}

#[test]
fn a_retired_segment_of_another_size_or_that_cannot_be_renamed_is_obsolete() {
    let mut started = Started::of_one_run();
    let small = started.made(BYTES / 2);
    started.start(Next::Made(small), 30).unwrap();
    started.go_on(40);
    let mut retired = started.segments.retire_below(5).into_iter().rev();
    assert!(!started.recycle(retired.next().unwrap()).unwrap(), "segment 4 is small");
    started.disk.inject(Fault::on(Operation::Rename));
    started.recycle(retired.next().unwrap()).unwrap_err();
    assert_eq!(started.states(), (vec![5], None, vec![], vec![4, 3]));
    started.segments.discard(retired.next().unwrap());
    assert!(started.recycle(retired.next().unwrap()).unwrap());
    assert_eq!(started.states(), (vec![5], Some(8), vec![], vec![4, 3, 2]));
}

#[test]
fn an_obsolete_file_that_cannot_be_removed_is_tried_again() {
    let mut started = Started::new();
    started.segments.retire_below(3).into_iter().for_each(|retired| started.segments.discard(retired));
    started.disk.inject(Fault::on(Operation::Remove));
    started.segments.sweep(&started.context);
    assert_eq!((started.states().3, started.files()), (vec![1], vec![1, 3]));
    // A file that was removed from outside counts as removed too.
    started.disk.remove_file(&started.context.path(1)).unwrap();
    started.segments.sweep(&started.context);
    assert_eq!((started.states().3, started.files()), (vec![], vec![3]));
}

#[test]
fn at_the_end_the_live_segment_is_cut_and_the_spare_obsolete() {
    let mut started = Started::new();
    started.adopt();
    started.segments.live_mut().append(&[1; 100]).unwrap();
    started.segments.finish().unwrap();
    assert_eq!(started.states(), (vec![1, 2, 3], None, vec![], vec![4]));
    assert_eq!(started.disk.read(started.context.path(3)).unwrap().len(), 164);
}

#[test]
fn a_frame_that_could_not_be_written_leaves_its_place_to_the_next() {
    let mut started = Started::new();
    started.disk.inject(Fault::on(Operation::Write).error(FaultError::Space));
    started.segments.live_mut().append(b"lost").unwrap_err();
    assert_eq!(started.segments.live().end(), 64);
    started.segments.live_mut().append(b"kept").unwrap();
    assert_eq!(started.segments.live().end(), 68);
    assert!(started.segments.live().fits(BYTES - 68) && !started.segments.live().fits(BYTES - 67));
}

#[test]
fn segments_are_found_by_what_is_needed_and_what_is_synced() {
    let started = Started::new();
    let segments = &started.segments;
    for (lsn, needed) in [(0, 1), (8, 1), (9, 2), (18, 2), (19, 3), (500, 3)] {
        assert_eq!(segments.first_needed(lsn), needed, "{lsn}");
    }
    for (synced, newest) in [(0, None), (1, Some(1)), (9, Some(1)), (10, Some(2)), (20, Some(3))] {
        assert_eq!(segments.newest_synced(synced), newest, "{synced}");
        assert_eq!(segments.unsynced_header(3, synced).is_some(), synced < 20, "{synced}");
        assert!(segments.unsynced_header(2, synced).is_none());
    }
}

#[test]
#[should_panic(expected = "there is a spare segment already")]
fn there_are_never_two_spares() {
    let mut started = Started::new();
    started.adopt();
    started.adopt();
}

#[test]
#[should_panic(expected = "in the order of their numbers")]
fn a_segment_below_the_live_one_is_never_started() {
    let mut started = Started::new();
    let old = Segment::reserve(&started.context, 2, BYTES).unwrap();
    let _ = started.start(Next::Made(old), 30);
}
