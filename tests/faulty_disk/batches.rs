//! A batch on a queue whose pages are not in memory, and a read that fails at any moment of it.

use zaqar_sled::disk::{Calls, Fault, FaultError, Operation, SimulatedDisk};
use zaqar_sled::{Engine, ManualClock, NewMessage, Project, Queue};

use super::support::{CLIENT, ROOT, chill, clock, config, listed, queue, seconds};

/// A queue whose last page has one large message, behind a page with space; neither is in memory.
fn cold(disk: &SimulatedDisk, clock: &std::sync::Arc<ManualClock>) -> (Engine, Queue) {
    let engine = config(disk, clock, 1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    for bytes in [100, 40_000] {
        jobs.post(CLIENT, &[NewMessage::new(vec![7; bytes]).ttl(seconds(3_600))]).unwrap();
    }
    chill(&engine);
    assert_eq!(engine.status().cold_pages(), 2);
    (engine, jobs)
}

#[test]
fn a_failed_read_fails_the_batch_before_it_changes_anything() {
    for error in [FaultError::Device, FaultError::ProcessDescriptors, FaultError::SystemDescriptors] {
        for nth in 1.. {
            let (disk, clock) = (SimulatedDisk::new(), clock());
            let (engine, jobs) = cold(&disk, &clock);
            let before = listed(&jobs).unwrap();
            engine.step().unwrap();
            let reads = Calls::of([Operation::Read, Operation::Open]).under("/store/heap");
            disk.inject(Fault::on(reads).nth(nth).error(error).forever());
            let mut batch = engine.batch();
            batch.delete_messages(&jobs, [before[1]]).post(&jobs, CLIENT, [NewMessage::new("new").ttl(seconds(3_600))]);
            let answer = batch.commit();
            disk.heal();
            let context = format!("{error:?} at read {nth}: {answer:?}");
            // The store continues, with all of the batch or nothing of it.
            let found = listed(&jobs).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!((found[0], found.len()), (before[0], 2), "{context}");
            assert_eq!(found[1] == before[1], answer.is_err(), "{context}");
            jobs.post(CLIENT, &[NewMessage::new("later").ttl(seconds(3_600))]).unwrap();
            let left = disk.kill();
            drop(engine);
            let engine = config(&left, &clock, 2).open(ROOT).unwrap();
            let again = listed(&engine.queue(Project::none(), "jobs").unwrap()).unwrap();
            assert_eq!(again[..2], found, "{context}");
            assert!(engine.verify().unwrap().is_sound(), "{context}");
            if answer.is_ok() {
                assert!(nth > 1, "nothing was read");
                break;
            }
        }
    }
}
