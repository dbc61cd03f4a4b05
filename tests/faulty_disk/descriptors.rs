//! A store needs few descriptors, and a moment without descriptors is an error only of the call that needs one.

use zaqar_sled::disk::{Fault, FaultError, Keep, Operation, SimulatedDisk};
use zaqar_sled::{ClaimOptions, MessageId, NewMessage, Project};

use super::support::{CLIENT, ROOT, chill, clock, config, fill, listed, page_files, queue, seconds};

/// The open files of a store beside its page files: the lock, the journal's active and spare segment and its directory,
/// the directory of the page files; and for a while the manifest, a snapshot, a directory and the trees.
const BESIDE: u64 = 12;

#[test]
fn page_files_are_opened_as_they_are_needed_and_closed_again() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    disk.set_descriptors(Some(8 + BESIDE));
    let small = |seed| config(&disk, &clock, seed).segment_size(4 << 10).page_files(8);
    let engine = small(1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    let mut ids: Vec<MessageId> = Vec::new();
    for _ in 0..20 {
        ids.extend(fill(&jobs, 100));
        engine.step().unwrap();
        assert!(disk.open_handles() <= 8 + BESIDE);
    }
    assert!(page_files(&disk).len() > 60, "{} page files", page_files(&disk).len());
    chill(&engine);
    assert_eq!(listed(&jobs).unwrap(), ids);
    engine.snapshot().unwrap();
    engine.close().unwrap();
    drop((jobs, engine));
    let engine = small(2).open(ROOT).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    assert_eq!(listed(&jobs).unwrap(), ids);
    assert!(engine.verify().unwrap().is_sound());
    drop(engine);
    let killed = disk.kill();
    killed.set_descriptors(Some(8 + BESIDE));
    let engine = config(&killed, &clock, 3).segment_size(4 << 10).page_files(8).open(ROOT).unwrap();
    assert_eq!(listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap(), ids);
}

#[test]
fn a_moment_without_descriptors_is_an_error_of_its_calls_and_never_poison() {
    for error in [FaultError::ProcessDescriptors, FaultError::SystemDescriptors] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).segment_size(4 << 10).page_files(4).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        let mut ids = fill(&jobs, 200);
        chill(&engine);
        let lacking = [Operation::Open, Operation::Create, Operation::Look, Operation::Lock, Operation::OpenTrees];
        let mut refused = 0;
        for round in 0..60_u64 {
            let has_none = round % 4 == 3;
            if has_none {
                // A segment that a snapshot retires is used again, under a name that is not synced yet.
                (0..4).for_each(|_| ids.extend(fill(&jobs, 1)));
                engine.snapshot().unwrap();
                disk.set_descriptors(Some(disk.open_handles()));
            } else {
                for operation in lacking {
                    disk.inject(Fault::on(operation).error(error).nth(1 + round % 3).forever());
                }
            }
            let message = NewMessage::new(vec![1; 600]).ttl(seconds(3_600));
            let outcome = match round % 6 {
                _ if has_none => jobs.post(CLIENT, &[message]).map(|posted| ids.extend(posted)),
                0 | 1 => jobs.post(CLIENT, &[message]).map(|posted| ids.extend(posted)),
                2 => engine.snapshot(),
                3 => engine.checkpoint(),
                4 => jobs.claim(ClaimOptions::new().limit(10).ttl(seconds(60))).map(drop),
                _ => engine.step(),
            };
            disk.heal();
            disk.set_descriptors(None);
            if let Err(error) = outcome {
                assert!(error.is_busy() || matches!(error, zaqar_sled::Error::Trees { .. }), "round {round}: {error}");
                refused += 1;
            }
            assert_eq!(engine.status().poisoned(), None, "round {round}");
            // The store now does the work that failed before.
            ids.extend(fill(&jobs, 3));
            engine.step().unwrap();
        }
        assert!(refused > 10, "{refused} refused");
        engine.snapshot().unwrap();
        assert_eq!(listed(&jobs).unwrap(), ids);
        let disk = disk.power_loss(Keep::Nothing);
        let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
        assert_eq!(listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap(), ids);
    }
}

#[test]
fn opening_without_descriptors_is_refused_and_works_once_there_are_some() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let ids = fill(&queue(&engine, "jobs"), 100);
    engine.close().unwrap();
    drop(engine);
    let mut refused = 0;
    for most in 0..40 {
        disk.set_descriptors(Some(disk.open_handles() + most));
        match config(&disk, &clock, 2 + most).open(ROOT) {
            Ok(engine) => {
                disk.set_descriptors(None);
                assert_eq!(listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap(), ids);
                break;
            }
            Err(error) => assert!(error.is_busy(), "{most}: {error}"),
        }
        refused += 1;
    }
    assert!((1..=BESIDE).contains(&refused), "{refused}");
}

#[test]
fn an_opening_that_is_refused_for_want_of_descriptors_leaves_the_files_as_they_were() {
    let clock = clock();
    let world = |closed: bool| {
        let disk = SimulatedDisk::new();
        let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
        let ids = fill(&queue(&engine, "jobs"), 60);
        if closed {
            engine.close().unwrap();
        }
        (disk.kill(), ids)
    };
    let files = |disk: &SimulatedDisk| -> Vec<_> {
        let paths = disk.list_all().into_iter().filter(|path| !path.ends_with("LOCK"));
        paths.filter_map(|path| Some((disk.read(&path).ok()?, path))).collect()
    };
    let mut refused = 0;
    for closed in [false, true] {
        for most in 0..24 {
            let (disk, ids) = world(closed);
            let before = files(&disk);
            disk.set_descriptors(Some(most));
            match config(&disk, &clock, 2).open(ROOT) {
                Ok(engine) => drop(engine),
                Err(error) => {
                    assert!(error.is_busy(), "{most}: {error}");
                    let left: Vec<_> = files(&disk).into_iter().filter(|file| !before.contains(file)).collect();
                    let left: Vec<_> = left.iter().map(|(bytes, path)| (path, bytes.len())).collect();
                    assert!(left.is_empty(), "with {most} descriptors: {error}: {left:?}");
                    refused += 1;
                }
            }
            disk.set_descriptors(None);
            let engine = config(&disk, &clock, 3).open(ROOT).unwrap();
            let jobs = engine.queue(Project::none(), "jobs").unwrap();
            assert_eq!(listed(&jobs).unwrap(), ids);
        }
    }
    assert!(refused > 4, "{refused} openings were refused");
}

#[test]
fn a_want_of_descriptors_is_no_finding_of_verify() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).segment_size(4 << 10).page_files(4).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    (0..20).for_each(|_| {
        fill(&jobs, 20);
        engine.step().unwrap();
    });
    chill(&engine);
    disk.set_descriptors(Some(disk.open_handles()));
    let verified = engine.verify();
    disk.set_descriptors(None);
    assert!(verified.is_err_and(|error| error.is_busy()));
    assert!(engine.verify().unwrap().is_sound());
}
