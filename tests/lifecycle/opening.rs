//! Openings that fail, and openings of a store that is open.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zaqar_sled::disk::{Disk, RealDisk, SimulatedDisk};
use zaqar_sled::{
    Config, Durability, Error, Limits, ManualClock, Metadata, NewMessage, Project, RecoverySource, Spawner, Timestamp,
};

use super::tracked_disk::{Owner, TrackedDisk};
use super::values::CLIENT;

/// A spawner that fails to start one thread, and counts the other threads that still run.
#[derive(Debug)]
struct Failing {
    nth: usize,
    started: AtomicUsize,
    alive: Arc<AtomicUsize>,
}

impl Failing {
    fn new(nth: usize) -> Arc<Self> {
        Arc::new(Self { nth, started: AtomicUsize::new(0), alive: Arc::default() })
    }
}

/// Leaves with its thread.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Spawner for Failing {
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        if self.started.fetch_add(1, Ordering::SeqCst) == self.nth {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.alive.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(self.alive.clone());
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _alive = alive;
            work();
        })
    }
}

fn files(disk: &SimulatedDisk) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = disk.list_all();
    paths.into_iter().map(|path| (path.clone(), disk.read(&path).unwrap())).collect()
}

#[test]
fn an_opening_that_lacks_a_thread_leaves_no_thread_no_lock_and_the_store_as_it_was() {
    let disk = SimulatedDisk::new();
    let config = || Config::new().disk(Arc::new(disk.clone()));
    let engine = config().open("/store").unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new("work")]).unwrap();
    engine.close().unwrap();
    let before = files(&disk);
    for failing in 0..4 {
        let spawner = Failing::new(failing);
        let tracked = TrackedDisk::around(Arc::new(disk.clone()), Owner::new(failing as u64));
        let failed = Config::new().disk(Arc::new(tracked.clone())).spawner(spawner.clone()).open("/store");
        assert!(matches!(failed.unwrap_err(), Error::Io { .. }));
        tracked.hook.note_closed();
        assert_eq!(spawner.alive.load(Ordering::SeqCst), 0, "threads live on");
        assert_eq!(files(&disk), before);
        assert_eq!(tracked.hook.late(), [""; 0]);
    }
    let engine = config().open("/store").unwrap();
    assert_eq!(engine.recovery().source(), RecoverySource::Trees);
    assert_eq!(engine.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 1);
}

#[test]
fn a_pooled_driver_without_its_relay_leaves_nothing_open() {
    let disk = SimulatedDisk::new();
    // The control store has four threads; the fifth is the relay.
    let spawner = Failing::new(4);
    let config = Config::new().disk(Arc::new(disk.clone()));
    assert!(matches!(config.clone().spawner(spawner.clone()).open_pooled("/control").unwrap_err(), Error::Io { .. }));
    assert_eq!(spawner.alive.load(Ordering::SeqCst), 0, "threads live on");
    config.open_pooled("/control").unwrap();
}

#[test]
fn an_opening_that_fails_at_any_call_of_the_disk_can_be_tried_again() {
    for nth in 1.. {
        let disk = SimulatedDisk::new();
        let config = || Config::new().disk(Arc::new(disk.clone())).spawner(Failing::new(usize::MAX));
        disk.fail_after(nth);
        let spawner = Failing::new(usize::MAX);
        let opened = config().spawner(spawner.clone()).open("/store");
        let done = opened.is_ok();
        drop(opened);
        assert_eq!(spawner.alive.load(Ordering::SeqCst), 0, "threads live on after operation {nth}");
        let disk = disk.kill();
        Config::new().disk(Arc::new(disk)).open("/store").unwrap();
        if done {
            return;
        }
    }
}

#[test]
fn a_store_is_shared_only_as_it_is() {
    let disk = SimulatedDisk::new();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = || Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).shared(true);
    let engine = config().open("/store").unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let again = config().durability(Durability::Buffered).salvage(true).open("/store").unwrap();
    assert!(again.queue(Project::none(), "jobs").unwrap().exists().unwrap());
    let other_clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let others = [
        ("clock", config().clock(other_clock)),
        ("limits", config().limits(Limits::zaqar())),
        ("sync_interval", config().sync_interval(Duration::from_secs(7))),
        ("segment_size", config().segment_size(1 << 20)),
        ("memory", config().memory(1 << 20)),
        ("journal_max", config().journal_max(1 << 30)),
        ("busy_timeout", config().busy_timeout(Duration::from_secs(7))),
        ("virtual_pool", config().virtual_pool(true)),
        ("seed", config().seed(7)),
        ("checksums", config().checksums(true)),
        ("background", config().background(false)),
        ("spawner", config().spawner(Failing::new(usize::MAX))),
    ];
    for (name, other) in others {
        let error = other.open("/store").unwrap_err();
        assert!(matches!(&error, Error::SettingsDiffer { setting, .. } if *setting == name), "{name}: {error}");
        assert!(error.is_conflict());
    }
    let driver = config().open_pooled("/control").unwrap();
    config().open_pooled("/control").unwrap();
    let error = config().memory(1 << 20).open_pooled("/control").unwrap_err();
    assert!(matches!(error, Error::SettingsDiffer { setting: "memory", .. }), "{error}");
    let error = config().open("/control").unwrap_err();
    assert!(matches!(error, Error::SettingsDiffer { setting: "open_pooled", .. }), "{error}");
    driver.close().unwrap();
}

/// Threads that hold one opening up until another one is done.
#[derive(Debug)]
struct Gate(Mutex<Option<Receiver<()>>>);

impl Spawner for Gate {
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        let gate = self.0.lock().unwrap().take();
        gate.map(|gate| gate.recv());
        thread::Builder::new().name(name.to_owned()).spawn(work)
    }
}

#[test]
fn an_opening_that_takes_long_holds_up_no_other() {
    let disk = SimulatedDisk::new();
    let (open, gate) = channel::<()>();
    let spawner = Arc::new(Gate(Mutex::new(Some(gate))));
    thread::scope(|scope| {
        let slow = Config::new().disk(Arc::new(disk.clone())).spawner(spawner.clone());
        let slow = scope.spawn(move || slow.open_pooled("/slow").unwrap());
        while spawner.0.lock().unwrap().is_some() {
            thread::yield_now();
        }
        Config::new().disk(Arc::new(disk.clone())).open("/quick").unwrap();
        Config::new().disk(Arc::new(disk.clone())).open_pooled("/quick-too").unwrap();
        drop(open);
        slow.join().unwrap().close().unwrap();
    });
}

#[test]
fn only_its_owner_reads_a_store_unless_configured_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let modes = |disk: RealDisk, name: &str| {
        let root = folder.path().join(name);
        let engine = Config::new().disk(Arc::new(disk)).open(&root).unwrap();
        engine.queue(Project::none(), "jobs").unwrap().create(Metadata::new()).unwrap();
        engine.snapshot().unwrap();
        engine.checkpoint().unwrap();
        engine.close().unwrap();
        let mut modes = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            modes.push((folder.clone(), mode(&folder)));
            for name in disk.list(&folder).unwrap() {
                let path = folder.join(&name);
                // The files in the trees' directory are sled's; the directory's mode protects them.
                if path.is_dir() && !name.starts_with("trees-") {
                    folders.push(path);
                } else {
                    modes.push((path.clone(), mode(&path)));
                }
            }
        }
        modes
    };
    for (path, mode) in modes(RealDisk, "own") {
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{}", path.display());
    }
    for (path, mode) in modes(RealDisk::with_modes(0o640, 0o750), "group") {
        assert_eq!(mode, if path.is_dir() { 0o750 } else { 0o640 }, "{}", path.display());
    }
}

fn mode(path: &std::path::Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
