//! A write to the journal that the device fails: the frame may be on the disk, whole.

use zaqar_sled::disk::{Fault, FaultError, Operation, SimulatedDisk};
use zaqar_sled::{Engine, MessageId, NewMessage, Project, Queue};

use super::support::{CLIENT, ROOT, clock, config, fill, listed, queue, seconds};

/// A store with three messages, on a disk that keeps random parts of failed writes.
fn begun(seed: u64) -> (SimulatedDisk, Engine, Queue, Vec<MessageId>) {
    let disk = SimulatedDisk::new();
    disk.set_seed(seed);
    let engine = config(&disk, &clock(), 1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    let acknowledged = fill(&jobs, 3);
    (disk, engine, jobs, acknowledged)
}

#[test]
fn the_outcome_of_a_call_whose_write_failed_is_unknown_and_later_calls_are_refused() {
    let (mut there, mut missing) = (0, 0);
    for seed in 0..200 {
        let (disk, engine, jobs, acknowledged) = begun(seed);
        disk.inject(Fault::on(Operation::Write).under("/store/journal"));
        // A segment is zeros before it is used: of such a frame the part that reaches the disk may be all that differs.
        let post = || jobs.post(CLIENT, &[NewMessage::new(vec![0; 700]).ttl(seconds(60))]);
        let failed = post().unwrap_err();
        assert!(failed.is_outcome_unknown(), "seed {seed}: {failed}");
        let refused = post().unwrap_err();
        assert!(refused.is_poisoned(), "seed {seed}: {refused}");
        assert_eq!(listed(&jobs).unwrap(), acknowledged, "seed {seed}: before the next opening");
        let left = disk.kill();
        drop(engine);
        let engine = config(&left, &clock(), 2).open(ROOT).unwrap();
        let found = listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap();
        assert_eq!(found[..3], acknowledged, "seed {seed}");
        match found.len() {
            3 => missing += 1,
            4 => there += 1,
            more => panic!("seed {seed}: {more} messages"),
        }
    }
    assert!(there > 0 && missing > 0, "{there} times there, {missing} times not");
}

#[test]
fn a_post_refused_for_lack_of_space_does_not_appear_after_a_kill() {
    let (mut posted, mut refused) = (0, 0);
    for seed in 0..200 {
        let (disk, engine, jobs, acknowledged) = begun(seed);
        // A file system that copies on write can lack space for a write to space that the file has.
        disk.inject(Fault::on(Operation::Write).error(FaultError::Space).under("/store/journal"));
        // Of a frame that ends in zeros, the part that reaches the disk may be all that differs from the space.
        let answer = jobs.post(CLIENT, &[NewMessage::new(vec![0; 700]).ttl(seconds(60))]);
        match &answer {
            Ok(_) => posted += 1,
            Err(error) => {
                assert!(error.is_full(), "seed {seed}: {error}");
                refused += 1;
            }
        }
        let left = disk.kill();
        drop(engine);
        let engine = config(&left, &clock(), 2).open(ROOT).unwrap();
        let found = listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap();
        assert_eq!(found[..3], acknowledged, "seed {seed}");
        assert_eq!(found.len() == 4, answer.is_ok(), "seed {seed}: {answer:?}");
    }
    assert!(posted > 0 && refused > 0, "{posted} posted, {refused} refused");
}
