//! Rows of the registry that are created and removed leave nothing in the journal or in the reserve.

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{DataDriver, Metadata, Project, QueueName, Subscriber};

use super::support::{KIB, ROOT, clock, config, seconds};

#[test]
fn subscriptions_that_come_and_go_leave_nothing_in_the_journal_and_nothing_held_back() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 64 * KIB).segment_size(64 * KIB).journal_max(0).open(ROOT).unwrap();
    let (project, jobs) = (Project::none(), QueueName::new("jobs").unwrap());
    let hook = Subscriber::new("https://example.com/hook").unwrap();
    let options = Metadata::new().with("text", "x".repeat(1_000)).unwrap();
    for round in 0..6_000 {
        let subscriptions = engine.subscriptions();
        let id = subscriptions.create(&project, &jobs, &hook, seconds(1_000), &options).unwrap().unwrap();
        if round % 3 == 0 {
            // One that expires instead.
            clock.advance(seconds(1_000));
        } else {
            subscriptions.delete(&project, &jobs, &id).unwrap();
        }
        if round % 50 == 0 {
            engine.step().unwrap();
        }
    }
    let status = engine.status();
    assert_eq!(status.subscriptions(), 0);
    assert!(status.snapshot_lsn() > 0, "a snapshot was due");
    assert!(status.journal_bytes() < 1_024 * KIB, "{} bytes of journal", status.journal_bytes());
    let reserve = disk.read(format!("{ROOT}/RESERVE")).unwrap().len() as u64;
    assert!(reserve < 1_024 * KIB, "{reserve} bytes held back");
}
