//! An inspection writes nothing, so it must keep no pages.

use std::time::Duration;

use zaqar_sled::{Config, Durability, Engine, Metadata, NewMessage, Project};

use crate::peak_of;
use crate::values::{CLIENT, clock, seconds};

#[test]
fn what_has_expired_in_the_pages_of_a_store_takes_no_memory_in_an_inspection() {
    let _turn = crate::world::turn();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let config = Config::new().clock(clock()).durability(Durability::Buffered).background(false);
    let engine = config.memory(1 << 20).segment_size(256 << 10).open(&path).unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    let message = |ttl| NewMessage::new(vec![7; 7_000]).ttl(seconds(ttl)).delay(Duration::ZERO);
    for _ in 0..1_000 {
        queue.post(CLIENT, &[message(60), message(5_000)]).unwrap();
        engine.step().unwrap();
    }
    engine.close().unwrap();
    let (inspection, peak) = peak_of(|| {
        let inspection = Engine::inspect(&path).unwrap();
        let later = inspection.time().saturating_add(seconds(100));
        inspection.at(later).unwrap()
    });
    assert_eq!(inspection.queues()[0].messages(), 1_000);
    assert!(peak < 3_000_000, "{peak} bytes for 7 MB of messages");
}
