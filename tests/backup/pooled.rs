//! Backups of pooled drivers, and drivers restored from them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use zaqar_sled::disk::{Disk, Fault, Keep, Operation, SimulatedDisk};
use zaqar_sled::{
    BackupReport, ClaimOptions, Config, DataDriver, Engine, Error, ManualClock, MessageId, Metadata, NewMessage,
    NewPool, PoolName, PooledDriver, Project, Queue, QueueName, Result, Subscriber,
};

use crate::beside::Over;
use crate::scene::{BACKUP, disks_config, sets};
use crate::support::{CLIENT, MINUTE, clock, config, dump, dump_subscriptions, everything, message};

pub(crate) const CONTROL: &str = "/control";

pub(crate) fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

/// A driver with two pools.
pub(crate) fn driver(disk: &SimulatedDisk, clock: &Arc<ManualClock>) -> PooledDriver {
    let driver = config(disk, clock, 1).open_pooled(CONTROL).unwrap();
    for name in ["one", "two"] {
        let uri = format!("sled:/pools/{name}?durability=sync").parse().unwrap();
        driver.pools().create(&pool(name), &NewPool::new(uri)).unwrap();
    }
    driver
}

pub(crate) fn queue(driver: &PooledDriver, name: &str) -> Queue {
    driver.queue(Project::none(), name).unwrap()
}

/// Creates a queue in that pool.
pub(crate) fn create_in(driver: &PooledDriver, name: &str, to: &str) -> Queue {
    let queue = queue(driver, name);
    queue.create(Metadata::new()).unwrap();
    driver.move_queue(queue.project(), queue.name(), &pool(to)).unwrap();
    queue
}

pub(crate) fn bodies(queue: &Queue) -> Vec<String> {
    let text = |body: &[u8]| String::from_utf8_lossy(body).trim_end_matches('.').to_owned();
    queue.iter(everything()).map(|message| text(message.unwrap().body().as_bytes())).collect()
}

pub(crate) fn post(queue: &Queue, body: &str) -> MessageId {
    queue.post(CLIENT, &[message(body, 100)]).unwrap()[0]
}

/// Where a backup is restored to.
fn places(to: &str) -> [(PoolName, PathBuf); 2] {
    ["one", "two"].map(|name| (pool(name), format!("{to}-pools/{name}").into()))
}

fn restore(disk: &SimulatedDisk, to: &str) -> Result<BackupReport> {
    disks_config(disk).restore_pooled(BACKUP, to, places(to))
}

/// Restores the backup and opens the driver.
pub(crate) fn restored(disk: &SimulatedDisk, clock: &Arc<ManualClock>, to: &str) -> PooledDriver {
    restore(disk, to).unwrap();
    open(disk, clock, to)
}

fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, to: &str) -> PooledDriver {
    let driver = config(disk, clock, 2).open_pooled(to).unwrap();
    let verification = driver.verify().unwrap();
    assert!(verification.is_sound(), "{to}: {:?}", verification.findings());
    driver
}

fn state(driver: &PooledDriver) -> String {
    dump(driver, &[]).unwrap() + &dump_subscriptions(driver, &[]).unwrap()
}

/// Jobs in the first pool whose dead letters go to the second one.
pub(crate) fn dead_lettering(driver: &PooledDriver) -> (Queue, Queue) {
    let (jobs, dead) = (create_in(driver, "jobs", "one"), create_in(driver, "dead", "two"));
    let metadata = Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap();
    jobs.set_metadata(&metadata).unwrap();
    (jobs, dead)
}

/// Claims and gives back so often that every message is a dead letter.
pub(crate) fn wear_out(jobs: &Queue) {
    for _ in 0..3 {
        if let Some(claim) = jobs.claim(ClaimOptions::new()).unwrap() {
            claim.release().unwrap();
        }
    }
}

fn subscribe(driver: &PooledDriver, name: &str, uri: &str) {
    let (project, name) = (Project::none(), QueueName::new(name).unwrap());
    let subscriber = Subscriber::new(uri).unwrap();
    driver.subscriptions().create(&project, &name, &subscriber, MINUTE * 60, &Metadata::new()).unwrap();
}

#[test]
fn a_restored_driver_has_everything_as_it_was() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    let (jobs, _) = dead_lettering(&driver);
    for n in 0..5 {
        post(&jobs, &format!("job {n}"));
    }
    wear_out(&jobs);
    driver.step().unwrap();
    subscribe(&driver, "jobs", "http://example.org/jobs");
    subscribe(&driver, "unmapped", "http://example.org/unmapped");
    post(&create_in(&driver, "second", "two"), "second");
    post(&jobs, "fresh");
    let before = state(&driver);
    let report = driver.backup(BACKUP).unwrap();
    assert!(before.contains("job 4") && before.contains("http://"), "{before}");
    // The original goes on.
    let mut ids: Vec<MessageId> = (0..5).map(|n| post(&jobs, &format!("late {n}"))).collect();
    ids.push(post(&create_in(&driver, "late", "two"), "late"));
    driver.move_queue(jobs.project(), jobs.name(), &pool("two")).unwrap();
    ids.push(post(&jobs, "moved"));
    let original = state(&driver);
    let restored = restored(&disk, &clock, "/restored");
    assert_eq!(state(&restored), before);
    // Neither uses the stores of the other, and no id is assigned again.
    let jobs_again = queue(&restored, "jobs");
    for n in 0..5 {
        let id = post(&jobs_again, &format!("again {n}"));
        assert!(!ids.contains(&id), "{id}");
    }
    let id = post(&create_in(&restored, "late", "one"), "again");
    assert!(!ids.contains(&id));
    assert_eq!(state(&driver), original);
    let second = driver.backup(BACKUP).unwrap();
    assert!(second.last_lsn() > report.last_lsn(), "{second}");
    let third = driver.backup(BACKUP).unwrap();
    assert!(third.reused_files() > 0 && third.last_lsn() == second.last_lsn(), "{third}");
    assert_eq!(sets(&disk).len(), 1);
}

#[test]
fn a_driver_is_restored_to_the_places_that_it_had() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    post(&create_in(&driver, "a", "one"), "a");
    let before = state(&driver);
    driver.backup(BACKUP).unwrap();
    driver.close().unwrap();
    let restore = || disks_config(&disk).restore_pooled(BACKUP, CONTROL, []);
    assert!(restore().unwrap_err().is_invalid());
    disk.remove_dir_all(Path::new(CONTROL)).unwrap();
    disk.remove_dir_all(Path::new("/pools/one")).unwrap();
    assert!(restore().unwrap_err().is_invalid(), "the second pool is there");
    assert!(!disk.exists(Path::new("/control/MANIFEST")).unwrap());
    disk.remove_dir_all(Path::new("/pools/two")).unwrap();
    restore().unwrap();
    assert_eq!(state(&open(&disk, &clock, CONTROL)), before);
}

#[test]
fn the_store_of_a_pool_that_was_lost_alone_is_taken_from_the_backup() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let first = driver(&disk, &clock);
    let (near, far) = (create_in(&first, "near", "one"), create_in(&first, "far", "two"));
    post(&near, "near");
    post(&far, "far");
    first.backup(BACKUP).unwrap();
    post(&near, "near since");
    post(&far, "far since");
    let since = post(&create_in(&first, "since", "one"), "since");
    first.close().unwrap();
    drop((first, near, far));
    restore(&disk, "/restored").unwrap();
    disk.remove_dir_all(Path::new("/pools/one")).unwrap();
    disk.rename(Path::new("/restored-pools/one"), Path::new("/pools/one")).unwrap();
    let driver = open(&disk, &clock, CONTROL);
    assert_eq!(bodies(&queue(&driver, "near")), ["near"]);
    assert_eq!(bodies(&queue(&driver, "far")), ["far", "far since"]);
    assert!(bodies(&queue(&driver, "since")).is_empty());
    assert_ne!(post(&queue(&driver, "since"), "after"), since);
}

#[test]
fn places_that_are_wrong_are_refused() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    driver.backup(BACKUP).unwrap();
    let to = |pools: Vec<(&str, &str)>| {
        let pools = pools.into_iter().map(|(name, path)| (pool(name), path.into()));
        disks_config(&disk).restore_pooled(BACKUP, "/to", pools)
    };
    let wrong = [
        vec![("one", "/x"), ("two", "/x")],
        vec![("one", "/x"), ("two", "/x/y")],
        vec![("one", "/to/x"), ("two", "/y")],
        vec![("one", "/x"), ("two", "/y"), ("three", "/z")],
        vec![("one", "/x")],
    ];
    for pools in wrong {
        assert!(to(pools.clone()).unwrap_err().is_invalid(), "{pools:?}");
    }
    assert!(disks_config(&disk).restore(BACKUP, "/to").unwrap_err().is_invalid());
    // A pool's store alone, by its own driver.
    to(vec![("one", "/x"), ("two", "/y")]).unwrap();
    assert!(config(&disk, &clock, 3).open("/x").unwrap_err().is_invalid());
    drop(open(&disk, &clock, "/to"));
}

#[test]
fn a_pool_that_is_out_of_reach_is_named() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let first = driver(&disk, &clock);
    post(&create_in(&first, "a", "one"), "a");
    first.backup(BACKUP).unwrap();
    first.close().unwrap();
    drop(first);
    disk.rename(Path::new("/pools/two"), Path::new("/elsewhere")).unwrap();
    let driver = config(&disk, &clock, 1).open_pooled(CONTROL).unwrap();
    let error = driver.backup(BACKUP).unwrap_err();
    assert!(matches!(&error, Error::PoolUnavailable { pool, .. } if pool.as_str() == "two"), "{error}");
    disk.rename(Path::new("/elsewhere"), Path::new("/pools/two")).unwrap();
    driver.backup(BACKUP).unwrap();
    assert_eq!(bodies(&queue(&restored(&disk, &clock, "/restored"), "a")), ["a"]);
}

#[test]
fn a_pool_in_memory_is_left_out_and_empty_afterwards() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = config(&disk, &clock, 1).open_pooled(CONTROL).unwrap();
    driver.pools().create(&pool("memory"), &NewPool::new("memory:m".parse().unwrap())).unwrap();
    let scratch = queue(&driver, "scratch");
    scratch.create(Metadata::new()).unwrap();
    post(&scratch, "gone");
    driver.backup(BACKUP).unwrap();
    disks_config(&disk).restore_pooled(BACKUP, "/restored", []).unwrap();
    let restored = queue(&open(&disk, &clock, "/restored"), "scratch");
    assert!(bodies(&restored).is_empty());
    post(&restored, "new");
}

#[test]
fn dead_letters_on_their_way_arrive_once() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    let (jobs, dead) = dead_lettering(&driver);
    let posted: BTreeSet<String> = (0..7).map(|n| format!("job {n}")).collect();
    for body in &posted {
        post(&jobs, body);
    }
    wear_out(&jobs);
    assert!(driver.status().in_transit() > 0);
    // Each step of a delivery fails once; whatever is left behind, a restored driver finishes.
    for nth in 1..30 {
        disk.inject(Fault::on(Operation::Sync).under("/pools").nth(nth));
        let done = driver.step();
        disk.heal();
        if driver.backup(BACKUP).is_ok() {
            let restored = restored(&disk, &clock, &format!("/restored-{nth}"));
            for _ in 0..3 {
                restored.step().unwrap();
            }
            let found = bodies(&queue(&restored, "dead"));
            assert_eq!(found.len(), posted.len(), "{found:?}");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), posted);
            assert_eq!(restored.status().in_transit(), 0);
        }
        if done.is_ok() {
            break;
        }
    }
    let _ = dead;
}

#[test]
fn backups_beside_posts_moves_and_dead_letters_have_every_message_once() {
    let disk = SimulatedDisk::new();
    let config = || Config::new().disk(Arc::new(disk.clone())).segment_size(32 << 10).memory(256 << 10);
    let driver = config().open_pooled(CONTROL).unwrap();
    for name in ["one", "two"] {
        driver.pools().create(&pool(name), &NewPool::new(format!("sled:/pools/{name}").parse().unwrap())).unwrap();
    }
    let (jobs, dead) = dead_lettering(&driver);
    let over = AtomicBool::new(false);
    let acknowledged: Mutex<BTreeSet<String>> = Mutex::default();
    thread::scope(|scope| {
        let (driver, over, acknowledged, jobs) = (&driver, &over, &acknowledged, &jobs);
        for worker in 0..2 {
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::SeqCst) && number < 600 {
                    let body = format!("{worker}-{number}");
                    match jobs.post(CLIENT, &[NewMessage::new(body.clone())]) {
                        Ok(_) => drop(acknowledged.lock().unwrap().insert(body)),
                        Err(error) => assert!(error.is_busy(), "{error}"),
                    }
                    number += 1;
                }
            });
        }
        scope.spawn(move || {
            // Becomes a dead letter of the other pool, by and by.
            while !over.load(Ordering::SeqCst) {
                match jobs.claim(ClaimOptions::new().limit(3)) {
                    Ok(Some(claim)) => drop(claim.release()),
                    Ok(None) => thread::yield_now(),
                    Err(error) => assert!(error.is_busy(), "{error}"),
                }
            }
        });
        scope.spawn(move || {
            for round in 0.. {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let to = pool(["two", "one"][round % 2]);
                if let Err(error) = driver.move_queue(jobs.project(), jobs.name(), &to) {
                    assert!(error.is_busy() || error.is_invalid(), "{error}");
                }
            }
        });
        let _over = Over(over);
        for round in 0..6 {
            let before = acknowledged.lock().unwrap().clone();
            driver.backup(BACKUP).unwrap();
            let after = acknowledged.lock().unwrap().len();
            let to = format!("/restored-{round}");
            restore(&disk, &to).unwrap();
            let restored = config().background(false).open_pooled(&to).unwrap();
            for _ in 0..3 {
                restored.step().unwrap();
            }
            let mut found: BTreeMap<String, usize> = BTreeMap::new();
            for name in ["jobs", "dead"] {
                bodies(&queue(&restored, name)).into_iter().for_each(|body| *found.entry(body).or_default() += 1);
            }
            let twice: Vec<_> = found.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "round {round}: {twice:?}");
            let lost: Vec<_> = before.iter().filter(|body| !found.contains_key(*body)).collect();
            assert!(lost.is_empty(), "round {round}: {lost:?} of {} lost", before.len());
            assert!(found.len() <= after + 2, "round {round}");
            assert!(restored.verify().unwrap().is_sound());
        }
    });
    let _ = dead;
}

#[test]
fn a_cut_during_the_backup_or_the_restore_of_a_driver_leaves_the_former_or_the_new_one() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let first = driver(&disk, &clock);
    let (jobs, _) = dead_lettering(&first);
    post(&jobs, "one");
    first.backup(BACKUP).unwrap();
    let then = state(&first);
    post(&jobs, "two");
    wear_out(&jobs);
    // Opening the driver again delivers the dead letters.
    first.step().unwrap();
    let now = state(&first);
    let files = crate::images::files(&disk.kill());
    let open_driver = |disk: &SimulatedDisk| config(disk, &clock, 1).open_pooled(CONTROL).unwrap();
    let mut seen = BTreeSet::new();
    for cut in (0..).step_by(3) {
        let disk = crate::images::disk_of(&files);
        let driver = open_driver(&disk);
        disk.fail_after(cut);
        let done = driver.backup(BACKUP).is_ok();
        let disk = if cut % 2 == 0 { disk.power_loss(Keep::Random(cut)) } else { disk.kill() };
        let found = state(&restored(&disk, &clock, "/restored"));
        assert!(found == now || found == then && !done, "cut {cut}: {found}");
        seen.insert(found == now);
        drop(driver);
        open_driver(&disk).backup(BACKUP).unwrap();
        assert_eq!(sets(&disk).len(), 1);
        if done {
            break;
        }
    }
    assert_eq!(seen.len(), 2);
    for cut in (0..).step_by(3) {
        let disk = crate::images::disk_of(&files);
        disk.fail_after(cut);
        let done = restore(&disk, "/restored").is_ok();
        let disk = if cut % 2 == 0 { disk.power_loss(Keep::Random(cut)) } else { disk.kill() };
        if !disk.exists(Path::new("/restored/MANIFEST")).unwrap() {
            assert!(!done, "cut {cut}");
            for (_, path) in places("/restored") {
                if disk.exists(&path.join("MANIFEST")).unwrap() {
                    // The pools count before the control store.
                    disk.remove_dir_all(&path).unwrap();
                }
            }
            restore(&disk, "/restored").unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        }
        assert_eq!(state(&open(&disk, &clock, "/restored")), then, "cut {cut}");
        if done {
            break;
        }
    }
}

#[test]
fn a_failing_call_of_a_restore_of_several_stores_leaves_none_of_them() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    post(&create_in(&driver, "a", "one"), "a");
    driver.backup(BACKUP).unwrap();
    let before = state(&driver);
    for nth in 1.. {
        let to = format!("/restored-{nth}");
        disk.inject(Fault::on(Operation::Rename).nth(nth));
        let done = restore(&disk, &to);
        disk.heal();
        if done.is_err() {
            let stores = places(&to).map(|(_, path)| path).into_iter().chain([PathBuf::from(&to)]);
            for path in stores {
                assert!(!disk.exists(&path.join("MANIFEST")).unwrap(), "{}", path.display());
            }
            restore(&disk, &to).unwrap();
        }
        assert_eq!(state(&open(&disk, &clock, &to)), before);
        if done.is_ok() {
            assert_eq!(nth, 4);
            break;
        }
    }
}

#[test]
fn the_store_of_one_engine_is_restored_as_a_control_store_too() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine: Engine = config(&disk, &clock, 1).open("/store").unwrap();
    engine.queue(Project::none(), "q").unwrap().create(Metadata::new()).unwrap();
    engine.backup(BACKUP).unwrap();
    disks_config(&disk).restore_pooled(BACKUP, "/restored", []).unwrap();
    assert!(open(&disk, &clock, "/restored").queues().exists(&Project::none(), &"q".parse().unwrap()).unwrap());
}

#[test]
fn places_are_told_apart_by_where_they_lead() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let driver = Config::new().open_pooled(at("control")).unwrap();
    let uri = format!("sled:{}", at("one").display()).parse().unwrap();
    driver.pools().create(&pool("one"), &NewPool::new(uri)).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[NewMessage::new("work")]).unwrap();
    driver.backup(at("backup")).unwrap();
    driver.close().unwrap();
    std::fs::create_dir(at("real")).unwrap();
    std::os::unix::fs::symlink(at("real"), at("link")).unwrap();
    for (path, place) in [("real", "link"), ("link", "real"), ("link", "link/inside"), ("real/../real", "link")] {
        let restored = Config::new().restore_pooled(at("backup"), at(path), [(pool("one"), at(place))]);
        assert!(restored.unwrap_err().is_invalid(), "{path} and {place}");
        assert_eq!(std::fs::read_dir(at("real")).unwrap().count(), 0, "{path} and {place}: nothing is written");
    }
    Config::new().restore_pooled(at("backup"), at("link/control"), [(pool("one"), at("real/one"))]).unwrap();
    let driver = Config::new().open_pooled(at("real/control")).unwrap();
    assert_eq!(driver.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 1);
}
