//! The memory of exports and imports does not grow with the number of messages, and with the number of queues only as
//! that of the store does.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use zaqar_sled::{Config, Durability, Engine, Metadata, NewMessage, Project};

use crate::peak_of;
use crate::values::CLIENT;

/// Little memory, so that what a call holds beside the store is seen.
fn config() -> Config {
    let config = Config::new().durability(Durability::Buffered).background(false);
    config.memory(1 << 20).segment_size(256 << 10).journal_max(1 << 20).queue_memory(1 << 20)
}

fn with_messages(path: &Path, messages: usize) -> Engine {
    let engine = config().open(path).unwrap();
    let queue = engine.queue(Project::none(), "jobs").unwrap();
    queue.create(Metadata::new()).unwrap();
    let batch = vec![NewMessage::new("x".repeat(200)); 100];
    (0..messages / batch.len()).for_each(|_| drop(queue.post(CLIENT, &batch).unwrap()));
    engine
}

fn with_queues(path: &Path, queues: usize) -> Engine {
    let engine = config().open(path).unwrap();
    for number in 0..queues {
        engine.queue(Project::none(), format!("queue-{number:07}")).unwrap().create(Metadata::new()).unwrap();
        if number % 2_000 == 0 {
            engine.step().unwrap();
        }
    }
    engine
}

/// Counts bytes, and keeps none.
#[derive(Default)]
struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of the lines, the peak of memory of the export, and that of the import and of all that it opens.
fn peaks(engine: &Engine, directory: &Path) -> (u64, usize, usize) {
    let mut counter = Counter::default();
    let (_, exporting) = peak_of(|| engine.export(&mut counter).unwrap());
    let path = directory.join("lines");
    engine.export(File::create(&path).unwrap()).unwrap();
    let (_, importing) = peak_of(|| config().import(directory.join("copy"), File::open(&path).unwrap()).unwrap());
    (counter.0, exporting, importing)
}

#[test]
fn a_queue_of_many_messages_is_exported_and_imported_in_little_memory() {
    let _turn = crate::world::turn();
    let directory = tempfile::tempdir().unwrap();
    let (few, many) = (directory.path().join("few"), directory.path().join("many"));
    let messages = 80_000;
    let few = peaks(&with_messages(&few.join("store"), messages / 8), &few);
    let many = peaks(&with_messages(&many.join("store"), messages), &many);
    assert!(many.0 > 16 << 20 && many.0 > few.0 * 7, "{many:?} {few:?}");
    let pages = messages / 64;
    // The pages of the queue are listed, and the directory of the imported store has them. The peak of an import
    // varies from run to run by about 1 MiB.
    assert!(many.1 < few.1 + 400 * pages, "exporting took {} and {} bytes", few.1, many.1);
    assert!(many.2 < few.2 + 700 * pages + (1 << 20), "importing took {} and {} bytes", few.2, many.2);
    assert!(many.1 < 2 << 20 && many.2 < 16 << 20, "{many:?}");
}

#[test]
fn many_queues_are_exported_and_imported_in_little_memory() {
    let _turn = crate::world::turn();
    let directory = tempfile::tempdir().unwrap();
    let (few, many) = (directory.path().join("few"), directory.path().join("many"));
    let queues = 30_000;
    let few = peaks(&with_queues(&few.join("store"), queues / 6), &few);
    let many = peaks(&with_queues(&many.join("store"), queues), &many);
    assert!(many.0 > few.0 * 5, "{many:?} {few:?}");
    assert!(many.1 < few.1 + (1 << 20), "exporting took {} and {} bytes", few.1, many.1);
    // Beside the store: 16 B for each queue, in a table that doubles.
    assert!(many.2 < few.2 + queues * (174 + 3 * 16) + (4 << 20), "importing took {} and {} bytes", few.2, many.2);
}
