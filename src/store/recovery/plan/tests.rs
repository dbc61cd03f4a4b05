//! Tests of the table in the docs of [`recovery`](super::super), read from there, and of the properties of every plan.

use super::super::evidence::is_overtaken;
use super::*;
use crate::storage::journal::scan::{Faults, JournalEnd, Scan, SegmentFiles};
use crate::storage::manifest::CleanMark;
use crate::storage::records::Digest;

const DOCS: &str = include_str!("../mod.rs");
const ROOT: &str = "/store";
/// The LSN at which the store was closed.
const CLEAN_LSN: u64 = 50;
/// The possible damages, in the order in which they are reported.
const FAULTS: [&str; 6] = ["snapshot", "page file", "broken off", "replay", "named is lost", "cut short"];
const CUT_SHORT: u32 = 1 << 5;

fn damage(reason: &str) -> Damage {
    Damage { file: Path::new(ROOT).join(reason), offset: 7, reason: reason.into() }
}

/// One combination of the evidence of an opening.
#[derive(Debug, Clone)]
struct Case {
    trees: Trees,
    /// The faults, one bit each.
    faults: u32,
    /// Whether the journal ends before the trees do.
    ends_early: bool,
    page: bool,
    /// Whether there are spare and unused segments, and segments without a header.
    has_rest: bool,
}

impl Case {
    fn all() -> Vec<Self> {
        let trees = [
            Trees::NotClosed,
            Trees::Unusable("torn".into()),
            Trees::OlderThanJournal,
            Trees::Whole { lsn: CLEAN_LSN },
        ];
        let mut all = Vec::new();
        for trees in trees {
            for bits in 0..1_u32 << 9 {
                let (faults, has) = (bits & 63, |bit: u32| bits >> bit & 1 == 1);
                all.push(Self { trees: trees.clone(), faults, ends_early: has(6), page: has(7), has_rest: has(8) });
            }
        }
        all
    }

    fn is_whole(&self) -> bool {
        matches!(self.trees, Trees::Whole { .. })
    }

    /// Whether snapshot or journal is damaged, independent of the evidence.
    fn is_damaged(&self) -> bool {
        let after_close = self.trees != Trees::NotClosed;
        let counted = if after_close { self.faults & !CUT_SHORT } else { self.faults };
        counted != 0 || (self.is_whole() && self.ends_early)
    }

    fn evidence(&self) -> Evidence {
        let fault = |index: usize| (self.faults >> index & 1 == 1).then(|| damage(FAULTS[index]));
        let last_lsn = match self.trees {
            Trees::OlderThanJournal => CLEAN_LSN + 10,
            _ if self.ends_early => CLEAN_LSN - 5,
            _ => CLEAN_LSN,
        };
        // Whole trees are not older than the journal.
        let highest_lsn = if self.is_whole() { CLEAN_LSN } else { last_lsn + 3 };
        let rest = |number: u64| if self.has_rest { vec![number] } else { Vec::new() };
        let clean = CleanMark { lsn: CLEAN_LSN, time: 1, digest: Digest::default() };
        let kept = [(6, 9), (7, 30)].map(|(number, first_lsn)| Kept { number, first_lsn, bytes: 4096 });
        Evidence {
            root: ROOT.into(),
            manifest: Manifest {
                store: [7; 16],
                incarnation: 5,
                snapshot: Some(SnapshotMark { number: 3, from: 10, to: 20 }),
                generation: 4,
                clean: (self.trees != Trees::NotClosed).then_some(clean),
                synced: 30,
                segment: 7,
                archive: None,
            },
            trees: self.trees.clone(),
            snapshots: vec![3, 4],
            snapshot: fault(0),
            page_file: fault(1),
            journal: Scan {
                end: JournalEnd { last_lsn, proven: 40, highest_lsn, incarnation: 6, dropped: 2 },
                files: SegmentFiles {
                    kept: kept.to_vec(),
                    spares: rest(10),
                    unused: rest(8),
                    without_header: rest(9),
                    highest_number: 10,
                },
                faults: Faults { stopped_early: fault(2), named_segment_missing: fault(4), truncated: fault(5) },
            },
            replay: fault(3),
            replayed: if self.is_whole() { 0 } else { 40 },
            page: self.page.then(|| damage("page").into()),
            state: StateFacts::default(),
            driver: None,
        }
    }
}

fn segment(number: u64) -> PathBuf {
    Path::new(ROOT).join(JOURNAL).join(naming::file_name(number))
}

/// The outcome of an opening, in the words of the table.
fn outcome(evidence: &Evidence) -> &'static str {
    let Ok(plan) = plan(evidence) else { return "refused" };
    let trees = trees_path(&evidence.root, evidence.manifest.generation);
    match (plan.report.source, plan.new_snapshot.is_some(), plan.aside.contains(&trees)) {
        (RecoverySource::Trees, false, false) => "the trees are loaded",
        (RecoverySource::Trees, true, false) => {
            "the trees are loaded, a new snapshot is written from them, the damaged files are moved aside"
        }
        (RecoverySource::Journal, false, false) => {
            "the state is rebuilt from snapshot and journal; the next checkpoint fills new trees"
        }
        (RecoverySource::Journal, false, true) => {
            "the state is rebuilt from snapshot and journal, the trees are moved aside; the next checkpoint fills new ones"
        }
        other => panic!("no row tells of {other:?}"),
    }
}

/// The rows of the first table.
fn rows() -> Vec<[&'static str; 4]> {
    let lines = DOCS.lines().skip_while(|line| !line.starts_with("//! | Manifest")).skip(2);
    let lines = lines.map_while(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    lines.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().try_into().unwrap()).collect()
}

fn means(cell: &str, case: &Case) -> bool {
    match cell {
        "whole" => case.is_whole(),
        "any that are not whole" => !case.is_whole(),
        "not closed cleanly, or older than the journal" => {
            matches!(case.trees, Trees::NotClosed | Trees::OlderThanJournal)
        }
        "closed cleanly, yet not usable" => matches!(case.trees, Trees::Unusable(_)),
        "good" => !case.is_damaged(),
        "damaged" => case.is_damaged(),
        other => panic!("{other:?} means nothing"),
    }
}

#[test]
fn whatever_is_found_one_row_of_the_table_says_what_is_done() {
    let (rows, cases) = (rows(), Case::all());
    assert_eq!(rows.len(), 7);
    let with_manifest: Vec<_> = rows.iter().filter(|row| row[0] == "whole").collect();
    let mut met = vec![0; with_manifest.len()];
    for case in cases.iter().filter(|case| !case.page) {
        let is_met = |row: &[&str; 4]| means(row[1], case) && means(row[2], case);
        let found: Vec<usize> = (0..with_manifest.len()).filter(|index| is_met(with_manifest[*index])).collect();
        let [row] = found[..] else { panic!("{case:?} is in the rows {found:?}") };
        assert_eq!(outcome(&case.evidence()), with_manifest[row][3], "{case:?}");
        met[row] += 1;
    }
    assert!(met.iter().all(|met| *met > 0), "{met:?}");
}

#[test]
fn a_directory_without_a_manifest_is_made_a_store_unless_something_was_written() {
    let rows = rows();
    for (is_in_use, cell) in
        [(false, "missing; nothing was written since a creation"), (true, "missing; something was written")]
    {
        let row = rows.iter().find(|row| row[0] == cell).unwrap();
        let outcome = plan_creation(Path::new(ROOT), is_in_use);
        assert!(outcome.as_ref().map_or_else(Error::is_corrupt, |()| true));
        assert_eq!(if outcome.is_ok() { "a store is created" } else { "refused" }, row[3]);
    }
}

#[test]
fn of_several_damages_the_first_in_the_order_is_reported() {
    for case in Case::all() {
        let clean = case.trees != Trees::NotClosed;
        let counts = |index: &usize| case.faults >> index & 1 == 1 && !(clean && FAULTS[*index] == "cut short");
        let elsewhere = case.is_whole() && case.ends_early;
        let expected = (0..FAULTS.len()).find(counts).map(|index| FAULTS[index]);
        let expected = expected.or(elsewhere.then_some("the journal ends elsewhere than the trees"));
        assert_eq!(case.evidence().damage().map(|damage| damage.reason).as_deref(), expected, "{case:?}");
    }
}

#[test]
fn damage_is_refused_before_a_page_and_a_page_before_anything_else() {
    for case in Case::all().into_iter().filter(|case| case.page) {
        let evidence = Evidence { driver: Some([1; 16]), ..case.evidence() };
        let refused = plan(&evidence).unwrap_err();
        let reason = match evidence.damage() {
            Some(damage) if !case.is_whole() => damage.reason,
            _ => "page".into(),
        };
        assert!(matches!(&refused, Error::Corrupt { reason: found, .. } if *found == reason), "{case:?}: {refused}");
    }
}

/// Every case that has a plan, with it.
fn plans() -> Vec<(Case, Evidence, Plan)> {
    let all = Case::all().into_iter().map(|case| (case.evidence(), case));
    all.filter_map(|(evidence, case)| plan(&evidence).ok().map(|plan| (case, evidence, plan))).collect()
}

#[test]
fn every_file_of_the_journal_has_one_fate() {
    for (case, evidence, plan) in plans() {
        let files = &evidence.journal.files;
        let kept = |kept: &[Kept]| kept.iter().map(|kept| kept.number).collect::<Vec<_>>();
        let mut found =
            [kept(&files.kept), files.spares.clone(), files.unused.clone(), files.without_header.clone()].concat();
        let aside: Vec<u64> = found.iter().copied().filter(|number| plan.aside.contains(&segment(*number))).collect();
        let mut fates = [kept(&plan.journal.kept), plan.journal.spares, plan.journal.unused, aside].concat();
        found.sort_unstable();
        fates.sort_unstable();
        assert_eq!(fates, found, "{case:?}");
        assert!(files.without_header.iter().all(|number| plan.aside.contains(&segment(*number))), "{case:?}");
    }
}

#[test]
fn nothing_but_spares_is_removed_before_what_is_damaged_has_been_moved_aside() {
    for (case, evidence, plan) in plans() {
        let lost_header = evidence.journal.files.without_header.iter().map(|number| segment(*number));
        let lost_header: Vec<PathBuf> = lost_header.collect();
        let is_moving = plan.aside.iter().any(|file| !lost_header.contains(file));
        let expected = if is_moving { Tidying::Last } else { Tidying::First };
        assert_eq!(plan.tidying, expected, "{case:?}");
        assert_eq!(is_moving, case.is_damaged() || matches!(case.trees, Trees::Unusable(_)), "{case:?}");
    }
}

#[test]
fn where_a_snapshot_takes_the_place_of_what_is_damaged_nothing_of_it_is_removed_or_replayed() {
    let mut met = 0;
    for (case, evidence, plan) in plans() {
        let mark = plan.manifest.snapshot.unwrap();
        if plan.new_snapshot.is_none() {
            assert_eq!(Some(mark), evidence.manifest.snapshot, "{case:?}");
            assert!(plan.aside.iter().all(|file| file.extension().is_none_or(|kind| kind != "base")), "{case:?}");
            continue;
        }
        met += 1;
        let end = evidence.journal.end;
        assert!(mark.from >= end.highest_lsn.max(end.proven).max(CLEAN_LSN) && mark.from == mark.to, "{case:?}");
        assert_eq!((plan.journal.last_lsn, plan.journal.proven), (mark.from, mark.from), "{case:?}");
        assert!(plan.journal.kept.is_empty() && plan.journal.unused.is_empty(), "{case:?}");
        assert_eq!(mark.number, 5, "{case:?}");
        assert!([3, 4].iter().all(|number| plan.aside.contains(&snapshot::path(Path::new(ROOT), *number))), "{case:?}");
        assert_eq!(plan.report.damaged.len(), 1, "{case:?}");
    }
    assert!(met > 100);
}

#[test]
fn the_manifest_of_a_run_keeps_its_promises() {
    for (case, evidence, plan) in plans() {
        let (former, manifest) = (&evidence.manifest, &plan.manifest);
        let is_clean = case.is_whole() && !case.is_damaged();
        assert_eq!(manifest.incarnation, if is_clean { 6 } else { 7 }, "{case:?}");
        assert_eq!(manifest.clean, None, "{case:?}");
        assert!(manifest.synced >= former.synced.max(evidence.journal.end.proven), "{case:?}");
        assert_eq!(manifest.generation, former.generation + u64::from(!case.is_whole()), "{case:?}");
        assert_eq!((manifest.store, manifest.segment), (former.store, former.segment), "{case:?}");
    }
}

#[test]
fn the_report_tells_where_the_state_is_from() {
    for (case, evidence, plan) in plans() {
        let end = evidence.journal.end;
        let report = &plan.report;
        if case.is_whole() {
            assert_eq!((report.last_lsn, report.replayed, report.dropped), (CLEAN_LSN, 0, 0), "{case:?}");
        } else {
            assert_eq!((report.last_lsn, report.replayed, report.dropped), (end.last_lsn, 40, 2), "{case:?}");
        }
        let is_unusual = case.is_damaged() || matches!(case.trees, Trees::Unusable(_) | Trees::OlderThanJournal);
        assert_eq!(report.notes.len(), usize::from(is_unusual), "{case:?}");
        assert_eq!((report.lost.len(), report.lost_changes, report.moved_aside.len()), (0, 0, 0), "{case:?}");
    }
}

#[test]
fn trees_are_older_than_a_journal_with_any_frame_behind_their_close() {
    let end = |last_lsn, highest_lsn| JournalEnd { last_lsn, highest_lsn, ..JournalEnd::default() };
    for (end, expected) in [(end(50, 50), false), (end(49, 50), false), (end(51, 51), true), (end(40, 51), true)] {
        assert_eq!(is_overtaken(CLEAN_LSN, &end), expected, "{end:?}");
    }
}

#[test]
fn a_pool_is_opened_by_its_own_driver_and_a_store_that_holds_something_by_none() {
    let good = Case { trees: Trees::NotClosed, faults: 0, ends_early: false, page: false, has_rest: false };
    let (one, other) = (Some([1; 16]), Some([2; 16]));
    for (pool_of, driver, holds_something, is_admitted) in [
        (None, None, false, true),
        (None, None, true, true),
        (None, one, false, true),
        (None, one, true, false),
        (one, one, false, true),
        (one, one, true, true),
        (one, None, false, false),
        (one, None, true, false),
        (one, other, false, false),
        (one, other, true, false),
    ] {
        let state = StateFacts { pool_of, holds_something, incarnation: 0 };
        let outcome = plan(&Evidence { state, driver, ..good.evidence() });
        assert_eq!(outcome.is_ok(), is_admitted, "{state:?} {driver:?}");
        assert!(outcome.map_or_else(|error| error.is_invalid(), |_| true));
    }
}

#[test]
fn the_last_incarnation_is_never_begun() {
    for case in Case::all().into_iter().filter(|case| !case.page) {
        let more = u32::from(!case.is_whole() || case.is_damaged());
        for (found, is_left) in [(LAST_INCARNATION - 1 - more, true), (LAST_INCARNATION - more, false)] {
            let mut evidence = case.evidence();
            evidence.state.incarnation = found;
            let Err(refused) = plan(&evidence) else {
                assert!(is_left, "{case:?}");
                continue;
            };
            assert!(
                refused.is_corrupt() || (matches!(refused, Error::Exhausted { .. }) && !refused.is_busy() && !is_left),
                "{case:?}: {refused}"
            );
        }
    }
}

#[test]
fn a_salvage_removes_nothing_but_segments_that_were_never_used() {
    let evidence =
        Case { trees: Trees::NotClosed, faults: 1, ends_early: false, page: false, has_rest: true }.evidence();
    let sound = evidence.journal.files.kept.clone();
    let aside = vec![snapshot::path(Path::new(ROOT), 3)];
    let salvaged = Salvaged {
        manifest: evidence.manifest,
        snapshots: vec![3, 4],
        last_lsn: 90,
        incarnation: 8,
        highest_number: 10,
        sound: sound.clone(),
        spares: vec![10],
        leaving: BTreeSet::from([2]),
        aside: aside.clone(),
        state: StateFacts { incarnation: 9, ..StateFacts::default() },
        driver: None,
        is_known: false,
        report: RecoveryReport::new(RecoverySource::Journal),
    };
    // A store with content becomes a pool only of a driver that has it among its pools.
    let state = StateFacts { holds_something: true, ..salvaged.state };
    let opened = |is_known| plan_salvage(Salvaged { state, driver: Some([3; 16]), is_known, ..salvaged.clone() });
    assert!(opened(true).is_ok() && opened(false).unwrap_err().is_invalid());
    let plan = plan_salvage(salvaged).unwrap();
    assert_eq!((plan.tidying, plan.aside), (Tidying::Never, aside));
    let expected =
        JournalPlan { last_lsn: 90, proven: 90, highest_number: 10, kept: sound, spares: vec![10], unused: Vec::new() };
    assert_eq!(plan.journal, expected);
    assert_eq!(plan.new_snapshot, Some(NewSnapshot { leaving: BTreeSet::from([2]) }));
    assert_eq!(plan.manifest.snapshot, Some(SnapshotMark { number: 5, from: 90, to: 90 }));
    assert_eq!((plan.manifest.incarnation, plan.manifest.clean, plan.report.last_lsn), (10, None, 90));
}

#[test]
fn a_failure_is_tried_again_salvaged_or_told() {
    let changed = || Error::JournalChanged { file: segment(7) };
    let corrupt = || Error::from(damage("torn"));
    let unreadable = || Error::io("reading", std::io::Error::from_raw_os_error(5));
    let full = || Error::io("writing", std::io::ErrorKind::StorageFull.into());
    for failures in 0..=OPENED_AGAIN + 1 {
        for salvage in [false, true] {
            let again = if failures < OPENED_AGAIN { AfterFailure::Again } else { AfterFailure::Refuse };
            let damaged = if salvage { AfterFailure::Salvage } else { AfterFailure::Refuse };
            let expected =
                [(changed(), again), (corrupt(), damaged), (unreadable(), damaged), (full(), AfterFailure::Refuse)];
            for (error, expected) in expected {
                assert_eq!(after_failure(&error, failures, salvage), expected, "{failures} {salvage} {error}");
            }
        }
    }
    assert!(DOCS.contains("the opening restarts, three times at most") && OPENED_AGAIN == 3);
}
