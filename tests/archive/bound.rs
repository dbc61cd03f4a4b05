//! Idle queues leave memory whatever made them idle or large.

use zaqar_sled::{ClaimOptions, ClientId, Config, Engine, Metadata, NewMessage, Project, SimulatedDisk};

use super::{ROOT, config};
use crate::random::Random;

const QUEUES: usize = 400;

fn store(settings: impl FnOnce(Config) -> Config) -> Engine {
    let clock =
        std::sync::Arc::new(zaqar_sled::ManualClock::new(zaqar_sled::Timestamp::from_millis(1_700_000_000_000)));
    settings(config(&SimulatedDisk::new(), &clock)).open(ROOT).unwrap()
}

fn queue(engine: &Engine, number: usize) -> zaqar_sled::Queue {
    engine.queue(Project::none(), format!("queue-{number:04}")).unwrap()
}

#[test]
fn queues_that_become_idle_after_an_attempt_are_archived_once_that_is_worth_it() {
    let engine = store(|config| config.queue_memory(16 << 10));
    let client = ClientId::from_bytes([7; 16]);
    for number in 0..QUEUES {
        queue(&engine, number).create(Metadata::new()).unwrap();
        queue(&engine, number).post(client, &[NewMessage::new("work")]).unwrap();
    }
    engine.snapshot().unwrap();
    assert_eq!(engine.status().archived_queues(), 0, "every queue has a message");
    for number in 0..QUEUES {
        assert_eq!(queue(&engine, number).pop(1).unwrap().len(), 1);
    }
    // Work on one queue, and no new one.
    let mut steps = 0;
    while engine.status().archived_queues() == 0 {
        let ids = queue(&engine, 0).post(client, &[NewMessage::new(vec![1; 1000])]).unwrap();
        queue(&engine, 0).bulk_delete(&ids).unwrap();
        engine.step().unwrap();
        steps += 1;
        assert!(steps < 1000, "{:?}", engine.status());
    }
    assert!(engine.status().archived_queues() > QUEUES as u64 * 9 / 10, "{:?}", engine.status());
    assert!(queue(&engine, 0).claim(ClaimOptions::new()).unwrap().is_none());
}

#[test]
fn metadata_that_is_set_later_counts_like_that_of_a_creation() {
    let engine = store(|config| config.queue_memory(256 << 10));
    let mut random = Random::new(1);
    for number in 0..100 {
        queue(&engine, number).create(Metadata::new()).unwrap();
    }
    engine.snapshot().unwrap();
    assert_eq!(engine.status().archived_queues(), 0, "they fit");
    for number in 0..100 {
        let text = format!("{{\"text\":\"{}{}\"}}", "x".repeat(8_000), random.next());
        queue(&engine, number).set_metadata(&Metadata::from_json(&text).unwrap()).unwrap();
    }
    engine.snapshot().unwrap();
    // Those that a call has just used may stay.
    engine.snapshot().unwrap();
    assert!(engine.status().archived_queues() >= 90, "{:?}", engine.status());
    // The same memory again, taken by metadata and given back, is nothing to archive.
    for number in 0..100 {
        queue(&engine, number).set_metadata(&Metadata::new()).unwrap();
    }
    for number in 0..100 {
        assert!(queue(&engine, number).metadata().unwrap().is_empty());
    }
}
