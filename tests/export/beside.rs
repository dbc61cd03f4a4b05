//! Exports of stores in use.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zaqar_sled::{ClaimOptions, DataDriver, Metadata, NewMessage};

use crate::scene::{Scene, exported, shop_queue};
use crate::support::{CLIENT, assert_sound};

/// Calls a function before each write.
struct Between<F>(Vec<u8>, F);

impl<F: FnMut()> Write for Between<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.1)();
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_writer_may_call_the_engine() {
    let scene = Scene::lived(1, 200);
    let queue = shop_queue(&scene.engine, "jobs");
    let mut writer = Between(Vec::new(), || {
        let _ = queue.post(CLIENT, &[NewMessage::new("meanwhile")]);
        let _ = queue.claim(ClaimOptions::new());
        scene.engine.snapshot().unwrap();
    });
    scene.engine.export(&mut writer).unwrap();
    assert!(writer.0.len() > 64 << 10, "the writer was called while there was more to read");
    let (_, copy) = scene.import(&writer.0);
    assert_sound(&copy, "of an engine in use");
}

/// Each batch deletes a pair and posts another: an instant of the queue has one whole pair.
#[test]
fn each_queue_is_of_one_instant() {
    let scene = Scene::new(0);
    let names = ["a", "b", "c"];
    for name in names {
        let queue = shop_queue(&scene.engine, name);
        queue.create(Metadata::new()).unwrap();
        queue.post(CLIENT, &[NewMessage::new("0"), NewMessage::new("0")]).unwrap();
    }
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for name in names {
            let (queue, engine, done) = (shop_queue(&scene.engine, name), &scene.engine, &done);
            scope.spawn(move || {
                let mut round = 0;
                while !done.load(Ordering::SeqCst) {
                    round += 1;
                    let claim = queue.claim(ClaimOptions::new().limit(2)).unwrap().unwrap();
                    let text = round.to_string();
                    let next = [NewMessage::new(text.as_str()), NewMessage::new(text.as_str())];
                    let mut batch = engine.batch();
                    batch.delete_all(&claim).release(&claim).post(&queue, CLIENT, next);
                    batch.commit().unwrap();
                }
            });
        }
        for _ in 0..30 {
            let (_, lines) = exported(&scene.engine);
            let messages: Vec<&str> = lines.lines().filter(|line| line.starts_with("{\"message\"")).collect();
            assert_eq!(messages.len(), 6);
            for pair in messages.chunks(2) {
                let bodies: Vec<&str> = pair.iter().map(|line| line.split_once("\"body\"").unwrap().1).collect();
                assert_eq!(bodies[0], bodies[1]);
            }
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn an_export_ends_when_the_engine_is_closed_and_has_no_last_line() {
    let scene = Scene::lived(0, 300);
    let engine = scene.engine.clone();
    thread::scope(|scope| {
        let mut closing = None;
        let mut writer = Between(Vec::new(), || {
            closing.get_or_insert_with(|| scope.spawn(|| engine.close()));
            while engine.is_alive() {
                thread::yield_now();
            }
        });
        let ended = scene.engine.export(&mut writer);
        assert!(ended.unwrap_err().is_closed());
        assert!(!String::from_utf8_lossy(&writer.0).contains("\"end\""));
        closing.unwrap().join().unwrap().unwrap();
    });
}

#[test]
fn a_writer_that_fails_ends_the_export() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let scene = Scene::lived(0, 50);
    assert!(scene.engine.export(Full).unwrap_err().is_full());
    exported(&scene.engine);
}

#[test]
fn a_damaged_page_ends_the_export_until_it_is_given_up() {
    let scene = Scene::new(1);
    let queue = shop_queue(&scene.engine, "jobs");
    queue.create(Metadata::new()).unwrap();
    for _ in 0..4 {
        queue.post(CLIENT, &vec![NewMessage::new("x".repeat(4_000)); 4]).unwrap();
    }
    scene.engine.step().unwrap();
    scene.engine.snapshot().unwrap();
    scene.engine.close().unwrap();
    let heap = |path: &&std::path::PathBuf| path.extension().is_some_and(|kind| kind == "heap");
    let files = scene.disk.list_all();
    scene.disk.corrupt(files.iter().find(heap).unwrap(), 5_000, 0xff).unwrap();
    let engine = crate::scene::config(&scene.disk, &scene.clock, 1).open("/store").unwrap();
    let mut lines = Vec::new();
    assert!(engine.export(&mut lines).unwrap_err().is_corrupt());
    assert!(!String::from_utf8(lines).unwrap().contains("\"end\""));
    assert!(!engine.verify().unwrap().is_sound());
    let lost: u64 = engine.drop_damaged().unwrap().iter().map(zaqar_sled::LostMessages::messages).sum();
    assert!(lost > 0);
    assert_eq!(exported(&engine).0.messages() + lost, 16);
}

/// The export of a queue that fills the memory waits for its reader for as long as that likes; the queue is posted to
/// meanwhile.
#[test]
fn an_export_that_is_read_slowly_takes_no_memory_from_posts() {
    let scene = Scene::new(0);
    let config = crate::scene::config(&scene.disk, &scene.clock, 0).memory(500_000).segment_size(64 << 10);
    let engine = config.busy_timeout(std::time::Duration::from_secs(2)).open("/full").unwrap();
    let queue = shop_queue(&engine, "jobs");
    queue.create(Metadata::new()).unwrap();
    let batch = vec![NewMessage::new("x".repeat(3_000)); 10];
    (0..11).for_each(|_| drop(queue.post(CLIENT, &batch).unwrap()));
    assert_eq!(engine.status().page_file_bytes(), 0);
    let (mut posted, mut held, mut written) = (0, 0, 0);
    let mut writer = Between(Vec::new(), || {
        if posted == 0 {
            written = engine.status().page_file_bytes();
            (0..20).for_each(|_| posted += queue.post(CLIENT, &batch).unwrap().len());
            // All that can leave memory leaves it.
            engine.step().unwrap();
            held = engine.status().memory_bytes();
        }
    });
    assert_eq!(engine.export(&mut writer).unwrap().messages(), 110);
    assert!(written > 330_000, "{written} bytes are in page files: the export holds the rest in memory");
    assert!(held < 400_000, "{held} bytes of memory are held");
    assert_eq!((posted, queue.stats().unwrap().total()), (200, 310));
}
