//! A store with next to no memory, so that its messages are in page files.

use std::path::PathBuf;
use std::sync::Arc;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Config, Engine, ManualClock, Message, MessageId, Metadata, NewMessage, Project, Queue, Result};

pub(crate) use crate::values::{CLIENT, clock, everything, seconds};

pub(crate) const ROOT: &str = "/store";
const KIB: u64 = 1 << 10;

/// Settings without background threads, with which every page is evicted when possible.
pub(crate) fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(seed);
    config.background(false).segment_size(16 * KIB).memory(0)
}

pub(crate) fn queue(engine: &Engine, name: &str) -> Queue {
    let queue = engine.queue(Project::none(), name).unwrap();
    queue.create(Metadata::new()).unwrap();
    queue
}

/// Posts so many messages of 700 bytes; each body contains its number.
pub(crate) fn fill(queue: &Queue, count: usize) -> Vec<MessageId> {
    let bodies = (0..count).map(|n| NewMessage::new(vec![u8::try_from(n % 251).unwrap(); 700]).ttl(seconds(3_600)));
    let messages: Vec<NewMessage> = bodies.collect();
    // Many at a time: every page is written once, when it is full.
    messages.chunks(100).flat_map(|many| queue.post(CLIENT, many).unwrap()).collect()
}

pub(crate) fn listed(queue: &Queue) -> Result<Vec<MessageId>> {
    Ok(queue.list(&everything())?.items.iter().map(Message::id).collect())
}

/// The page files, in order.
pub(crate) fn page_files(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.list_all().into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "heap")).collect()
}

/// Puts every page out of memory.
pub(crate) fn chill(engine: &Engine) {
    engine.step().unwrap();
    assert!(engine.status().cold_pages() > 0, "{:?}", engine.status());
}

/// The places in the page files of the body of the `n`th message of its [`fill`].
pub(crate) fn places(disk: &SimulatedDisk, n: u8) -> Vec<(PathBuf, u64)> {
    let body = [n; 650];
    let mut found = Vec::new();
    for path in page_files(disk) {
        let bytes = disk.read(&path).unwrap();
        let mut at = 0;
        while let Some(next) = bytes[at..].windows(body.len()).position(|window| window == body) {
            found.push((path.clone(), (at + next) as u64));
            at += next + 700;
        }
    }
    assert!(!found.is_empty(), "the message is in no page file");
    found
}

/// Flips a bit of that message in every place.
pub(crate) fn rot(disk: &SimulatedDisk, n: u8) {
    places(disk, n).iter().for_each(|(path, at)| disk.corrupt(path, at + 300, 0x10).unwrap());
}
