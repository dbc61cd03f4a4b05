//! Exports of pooled drivers, and drivers that are made of them.

use std::path::PathBuf;
use std::sync::Arc;

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{
    ClaimOptions, DataDriver, Error, ExportFault, ExportReport, ExtendedDriver, ManualClock, Metadata, NewMessage,
    NewPool, PoolName, PooledDriver, Project, ProjectQuota, Queue, Result, Subscriber,
};

use crate::scene::{behind_the_first, config};
use crate::support::{CLIENT, MINUTE, clock, dump, dump_control, dump_subscriptions, message};
use crate::values::name_of;
use crate::variables::POWER;

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn queue(driver: &PooledDriver, name: &str) -> Queue {
    driver.queue(Project::none(), name).unwrap()
}

/// A driver with two pools in directories and one in memory, with queues in each.
fn driver(disk: &SimulatedDisk, clock: &Arc<ManualClock>) -> PooledDriver {
    let driver = config(disk, clock, 1).open_pooled("/control").unwrap();
    for (name, uri) in [("memory", "memory:m"), ("one", "sled:/pools/one"), ("two", "sled:/pools/two?durability=sync")]
    {
        let group = (name == "memory").then(|| "memory".parse().unwrap());
        driver.pools().create(&pool(name), &NewPool::new(uri.parse().unwrap()).group(group)).unwrap();
    }
    for (name, to) in [("jobs", "one"), ("dead", "two"), ("moved", "two"), ("passing", "memory"), ("empty", "one")] {
        queue(&driver, name).create(Metadata::new().with("in", to).unwrap()).unwrap();
        driver.move_queue(&Project::none(), &name_of(name), &pool(to)).unwrap();
    }
    let metadata = Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap();
    queue(&driver, "jobs").set_metadata(&metadata).unwrap();
    let limited = Metadata::new().with("_max_claims_per_second", 1).unwrap().with("_max_claims_burst", 9).unwrap();
    queue(&driver, "moved").set_metadata(&limited).unwrap();
    driver
        .projects()
        .set_quota(&Project::none(), &ProjectQuota::new().max_messages(1_000_000).max_queues(1_000))
        .unwrap();
    driver
}

/// Puts something of every kind into the queues.
fn live(driver: &PooledDriver) {
    let jobs = queue(driver, "jobs");
    let batch: Vec<NewMessage> = (0..7).map(|n| message(&format!("job {n}"), 300)).collect();
    jobs.post(CLIENT, &batch).unwrap();
    let options = ClaimOptions::new().limit(2).ttl(MINUTE).grace(MINUTE);
    jobs.claim(options.clone()).unwrap().unwrap().release().unwrap();
    // The messages of the released claim become dead letters, and wait in the outbox of the first pool.
    jobs.claim(options.clone()).unwrap();
    let moved = queue(driver, "moved");
    moved.post(CLIENT, &batch).unwrap();
    moved.claim(options).unwrap();
    driver.move_queue(moved.project(), moved.name(), &pool("one")).unwrap();
    queue(driver, "passing").post(CLIENT, &batch).unwrap();
    for name in ["jobs", "none", "moved"] {
        let subscriber = Subscriber::new("https://host/1").unwrap();
        let subscriptions = driver.subscriptions();
        subscriptions.create(&Project::none(), &name_of(name), &subscriber, MINUTE * 60, &Metadata::new()).unwrap();
    }
}

fn exported(driver: &PooledDriver) -> (ExportReport, String) {
    let mut lines = Vec::new();
    let report = driver.export(&mut lines).unwrap();
    (report, String::from_utf8(lines).unwrap())
}

fn seen(driver: &PooledDriver) -> String {
    // What is in memory is not in the export.
    queue(driver, "passing").purge().unwrap();
    let places = [(Project::none(), name_of("none"))];
    let (quota, usage) = (driver.projects().quota(&Project::none()), driver.projects().usage(&Project::none()));
    format!("{:?}{:?}", quota.unwrap(), usage.unwrap())
        + &dump(driver, &[]).unwrap()
        + &dump_subscriptions(driver, &places).unwrap()
        + &dump_control(driver).unwrap()
}

/// Places beside those of the original.
fn places() -> [(PoolName, PathBuf); 2] {
    ["one", "two"].map(|name| (pool(name), format!("/copies/{name}").into()))
}

fn import(disk: &SimulatedDisk, clock: &Arc<ManualClock>, lines: &str) -> Result<ExportReport> {
    config(disk, clock, 2).import_pooled("/copy", lines.as_bytes(), places())
}

fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, path: &str) -> PooledDriver {
    let driver = config(disk, clock, 3).open_pooled(path).unwrap();
    let verification = driver.verify().unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings());
    driver
}

/// The lines with the places of the original.
fn at_home(lines: &str) -> String {
    let (rest, sum) = lines.rsplit_once(",\"crc32\":\"").unwrap();
    format!("{}{}", rest.replace("sled:/copies/", "sled:/pools/"), &sum[9..])
}

#[test]
fn an_imported_driver_has_everything_as_it_was_and_the_same_export() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    assert!(driver.status().in_transit() > 0);
    let (report, lines) = exported(&driver);
    assert_eq!(driver.status().in_transit(), 0);
    assert_eq!((report.pools(), report.mappings(), report.queues(), report.subscriptions()), (3, 5, 5, 3));
    assert!(lines.contains("\"origin\"") && lines.contains("\"claim\":"), "{lines}");
    assert_eq!(import(&disk, &clock, &lines).unwrap(), report);
    let copy = open(&disk, &clock, "/copy");
    let (_, again) = exported(&copy);
    assert_eq!(behind_the_first(&at_home(&again)), behind_the_first(&at_home(&lines)));
    assert_eq!(seen(&copy).replace("/copies/", "/pools/"), seen(&driver));
    copy.close().unwrap();
    let opened = open(&disk, &clock, "/copy");
    assert_eq!(behind_the_first(&at_home(&exported(&opened).1)), behind_the_first(&at_home(&again)));
}

#[test]
fn an_imported_driver_takes_the_places_of_the_original_on_another_disk() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    let (_, lines) = exported(&driver);
    let other = SimulatedDisk::new();
    config(&other, &clock, 2).import_pooled("/control", lines.as_bytes(), []).unwrap();
    assert_eq!(behind_the_first(&exported(&open(&other, &clock, "/control")).1), behind_the_first(&lines));
}

#[test]
fn calls_go_on_in_the_copy_and_no_id_is_assigned_twice() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    let lines = exported(&driver).1;
    import(&disk, &clock, &lines).unwrap();
    let copy = open(&disk, &clock, "/copy");
    for name in ["jobs", "moved", "empty", "passing", "dead"] {
        let ids = queue(&driver, name).post(CLIENT, &[message("original", 9)]).unwrap();
        let (queue, newer) = (queue(&copy, name), queue(&copy, name).post(CLIENT, &[message("copy", 9)]).unwrap());
        assert_ne!(ids, newer, "{name}");
        assert!(queue.list(&crate::support::everything()).unwrap().items.last().unwrap().id() == newer[0]);
    }
    copy.move_queue(&Project::none(), &name_of("jobs"), &pool("two")).unwrap();
    clock.advance(MINUTE * 3);
    while let Some(claim) = queue(&copy, "jobs").claim(ClaimOptions::new().limit(9)).unwrap() {
        claim.delete_all().unwrap();
        claim.release().unwrap();
    }
    copy.step().unwrap();
    assert!(copy.verify().unwrap().is_sound());
    queue(&copy, "jobs").delete().unwrap();
    copy.step().unwrap();
    assert_eq!(copy.status().leftovers(), 0);
}

#[test]
fn the_two_kinds_of_exports_are_told_apart_and_pools_have_to_be_free() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    let lines = exported(&driver).1;
    let is_refused = |done: Result<ExportReport>| {
        matches!(done.unwrap_err(), Error::InvalidExport { line: 1, fault: ExportFault::Refused { .. } })
    };
    assert!(is_refused(config(&disk, &clock, 1).import("/copy", lines.as_bytes())));
    let one = config(&disk, &clock, 1).open("/store").unwrap();
    let mut of_one = Vec::new();
    one.export(&mut of_one).unwrap();
    assert!(is_refused(config(&disk, &clock, 1).import_pooled("/copy", of_one.as_slice(), [])));
    let files = crate::images::files(&disk);
    let taken = config(&disk, &clock, 1).import_pooled("/copy", lines.as_bytes(), []).unwrap_err();
    assert!(taken.is_invalid(), "{taken}");
    let unknown = [(pool("three"), "/copies/three".into())].into_iter().chain(places());
    let unknown = config(&disk, &clock, 1).import_pooled("/copy", lines.as_bytes(), unknown).unwrap_err();
    assert!(unknown.is_invalid() && unknown.to_string().contains("three"), "{unknown}");
    assert_eq!(crate::images::files(&disk).len(), files.len(), "no store is left");
    driver.close().unwrap();
    let control = config(&disk, &clock, 1).open("/control").unwrap();
    assert!(control.export(Vec::new()).unwrap_err().is_invalid(), "a control store is exported with its pools");
}

#[test]
fn a_pool_that_is_out_of_reach_ends_the_export() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let made = driver(&disk, &clock);
    live(&made);
    made.close().unwrap();
    disk.rename("/pools/two".as_ref(), "/pools/away".as_ref()).unwrap();
    let driver = config(&disk, &clock, 1).open_pooled("/control").unwrap();
    assert!(matches!(driver.export(Vec::new()), Err(Error::PoolUnavailable { .. })));
}

#[test]
fn queues_whose_pool_is_gone_are_exported_without_content() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    driver.pools().drop_all().unwrap();
    let (report, lines) = exported(&driver);
    assert_eq!((report.queues(), report.messages(), report.mappings()), (5, 0, 5));
    config(&disk, &clock, 2).import_pooled("/copy", lines.as_bytes(), []).unwrap();
    assert_eq!(behind_the_first(&exported(&open(&disk, &clock, "/copy")).1), behind_the_first(&lines));
}

#[test]
fn a_cut_during_the_import_of_a_driver_leaves_no_driver_or_the_whole() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    let lines = exported(&driver).1;
    let whole = SimulatedDisk::new();
    import(&whole, &clock, &lines).unwrap();
    let operations = whole.operations();
    let (mut refused, mut finished, mut last_step) = (0, 0, 0);
    for cut in (0..=operations).rev().step_by(POWER.stride(13) as usize).chain(operations - 9..operations) {
        for keep in [Keep::Nothing, Keep::Random(cut)] {
            let disk = SimulatedDisk::new();
            disk.fail_after(cut);
            let done = import(&disk, &clock, &lines);
            let disk = disk.power_loss(keep);
            match config(&disk, &clock, 3).open_pooled("/copy") {
                Ok(driver) if driver.pools().exists(&pool("one")).unwrap() => {
                    assert_eq!(behind_the_first(&at_home(&exported(&driver).1)), behind_the_first(&at_home(&lines)));
                    finished += 1;
                    continue;
                }
                // The directory was empty.
                Ok(driver) => {
                    assert!(done.is_err() && driver.queues().count(&Project::none()).unwrap() == 0, "cut {cut}");
                    continue;
                }
                Err(error) => assert!(error.is_invalid() && done.is_err(), "cut {cut}: {error}"),
            }
            refused += 1;
            if import(&disk, &clock, &lines).is_err() {
                // In the last step a pool counts already.
                last_step += 1;
                disk.remove_dir_all("/copies".as_ref()).unwrap();
                import(&disk, &clock, &lines).unwrap();
            }
            let copy = open(&disk, &clock, "/copy");
            assert_eq!(behind_the_first(&at_home(&exported(&copy).1)), behind_the_first(&at_home(&lines)), "{cut}");
        }
    }
    assert!(refused > 9 && finished > 1 && last_step < refused / 3, "{refused}, {finished}, {last_step}");
}

/// Ends the other thread, also when an assertion fails.
struct Ended<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_queue_that_is_moved_meanwhile_is_exported_once_and_whole() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let made = driver(&disk, &clock);
    live(&made);
    made.close().unwrap();
    // With memory for more than one page: a move waits for memory, too.
    let driver = config(&disk, &clock, 2).open_pooled("/control").unwrap();
    let moved = queue(&driver, "moved");
    let (total, number) = (moved.stats().unwrap().total(), moved.post(CLIENT, &[message("last", 9)]).unwrap()[0]);
    let prefix = format!("{{\"message\":{{\"id\":\"{}", &number.to_string()[..16]);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            let mut count = 0;
            while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
                for to in ["two", "one"] {
                    driver.move_queue(moved.project(), moved.name(), &pool(to)).unwrap();
                    count += 1;
                }
            }
            count
        });
        let _ended = Ended(&is_done);
        for round in 0..40 {
            let (report, lines) = exported(&driver);
            let messages = lines.lines().filter(|line| line.starts_with(&prefix)).count() as u64;
            assert_eq!((messages, report.queues()), (total + 1, 5), "round {round}");
            assert_eq!(lines.matches("\"queue\":\"moved\",\"id\"").count(), 1, "its subscription is there once");
            if round % 10 == 0 {
                import(&SimulatedDisk::new(), &clock, &lines).unwrap();
            }
        }
        is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(moving.join().unwrap() > 3);
    });
}

/// Queues are created, posted to, moved between all pools and deleted, and a subscriber comes and goes.
#[test]
fn whatever_goes_on_meanwhile_an_export_can_be_imported() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let made = driver(&disk, &clock);
    live(&made);
    made.close().unwrap();
    let driver = config(&disk, &clock, 2).open_pooled("/control").unwrap();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let subscriber = Subscriber::new("https://host/2").unwrap();
    std::thread::scope(|scope| {
        let living = scope.spawn(|| {
            let mut rounds = 0_u64;
            while !is_done.load(std::sync::atomic::Ordering::SeqCst) {
                for (name, to) in [("passing", "two"), ("empty", "two"), ("empty", "one"), ("passing", "memory")] {
                    driver.move_queue(&Project::none(), &name_of(name), &pool(to)).unwrap();
                    queue(&driver, name).post(CLIENT, &[message("meanwhile", 9)]).unwrap();
                }
                // Before and behind the others in their order.
                for name in ["a", "z"] {
                    let new = queue(&driver, name);
                    new.create(Metadata::new()).unwrap();
                    new.post(CLIENT, &[message("meanwhile", 9)]).unwrap();
                    if rounds % 2 == 1 {
                        new.delete().unwrap();
                    }
                }
                let jobs = queue(&driver, "jobs");
                let id = jobs.subscribe(&subscriber, MINUTE, &Metadata::new()).unwrap().unwrap();
                std::thread::yield_now();
                jobs.unsubscribe(&id).unwrap();
                rounds += 1;
            }
            rounds
        });
        let _ended = Ended(&is_done);
        for round in 0..30 {
            let (report, lines) = exported(&driver);
            let of = |kind: &str| -> std::collections::BTreeSet<&str> {
                let lines = lines.lines().filter(|line| line.starts_with(kind));
                lines.map(|line| line.split("\"queue\":\"").nth(1).unwrap().split('"').next().unwrap()).collect()
            };
            let (queues, mapped) = (of("{\"queue\":{"), of("{\"mapping\":{"));
            assert!(queues.len() >= 5 && queues.is_subset(&mapped), "round {round}: {queues:?} of {mapped:?}");
            let fresh = SimulatedDisk::new();
            assert_eq!(import(&fresh, &clock, &lines).unwrap(), report, "round {round}");
            open(&fresh, &clock, "/copy").close().unwrap();
        }
        is_done.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(living.join().unwrap() > 3);
    });
}

#[test]
fn what_a_queue_without_a_pool_has_had_does_not_stop_an_import() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = config(&disk, &clock, 1).open_pooled("/control").unwrap();
    let uri = "localhost".parse().or_else(|_| "sled:".parse()).unwrap();
    driver.pools().create(&pool("here"), &NewPool::new(uri)).unwrap();
    let jobs = queue(&driver, "jobs");
    jobs.create(Metadata::new()).unwrap();
    jobs.post(CLIENT, &[message("lost", 9)]).unwrap();
    driver.pools().drop_all().unwrap();
    let (report, lines) = exported(&driver);
    assert_eq!((report.queues(), report.messages()), (1, 0));
    config(&disk, &clock, 2).import_pooled("/copy", lines.as_bytes(), []).unwrap();
    assert_eq!(behind_the_first(&exported(&open(&disk, &clock, "/copy")).1), behind_the_first(&lines));
}

#[test]
fn what_is_in_a_virtual_pool_is_exported_and_imported_whoever_does_it() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = config(&disk, &clock, 1).virtual_pool(true).open_pooled("/control").unwrap();
    let jobs = queue(&driver, "jobs");
    jobs.create(Metadata::new()).unwrap();
    let ids = jobs.post(CLIENT, &[message("first", 9), message("second", 9)]).unwrap();
    jobs.claim(ClaimOptions::new().limit(1)).unwrap();
    let whole = exported(&driver).1;
    driver.close().unwrap();
    let plain = config(&disk, &clock, 1).open_pooled("/control").unwrap();
    let (report, lines) = exported(&plain);
    assert_eq!((report.queues(), report.messages(), report.claims()), (1, 2, 1));
    assert_eq!(behind_the_first(&lines), behind_the_first(&whole));
    plain.close().unwrap();
    config(&disk, &clock, 2).import_pooled("/copy", lines.as_bytes(), []).unwrap();
    let copy = config(&disk, &clock, 3).virtual_pool(true).open_pooled("/copy").unwrap();
    assert!(copy.verify().unwrap().is_sound());
    let found = queue(&copy, "jobs").bulk_get(&ids).unwrap();
    assert_eq!(found.iter().map(zaqar_sled::Message::id).collect::<Vec<_>>(), ids);
}

#[test]
fn a_long_chain_of_dead_letter_queues_is_imported() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = config(&disk, &clock, 1).open_pooled("/control").unwrap();
    driver.pools().create(&pool("one"), &NewPool::new("sled:/pools/one".parse().unwrap())).unwrap();
    for n in 0..40 {
        let next = format!("q{:02}", n + 1);
        let metadata = Metadata::new().with("_dead_letter_queue", next).unwrap().with("_max_claim_count", 1).unwrap();
        queue(&driver, &format!("q{n:02}")).create(metadata).unwrap();
    }
    let (report, lines) = exported(&driver);
    let places = [(pool("one"), "/copies/one".into())];
    assert_eq!(config(&disk, &clock, 2).import_pooled("/copy", lines.as_bytes(), places).unwrap(), report);
}

#[test]
fn places_that_are_not_apart_or_of_no_use_are_refused_and_leave_nothing() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = driver(&disk, &clock);
    live(&driver);
    let lines = exported(&driver).1;
    for place in [("one", "/copy/one"), ("one", "/copies/two"), ("two", "/copies"), ("memory", "/copies/memory")] {
        let mut places: std::collections::BTreeMap<PoolName, PathBuf> = places().into();
        places.insert(pool(place.0), place.1.into());
        let refused = config(&disk, &clock, 2).import_pooled("/copy", lines.as_bytes(), places).unwrap_err();
        assert!(refused.is_invalid(), "{place:?}: {refused}");
        import(&disk, &clock, &lines).unwrap();
        for directory in ["/copy", "/copies"] {
            disk.remove_dir_all(directory.as_ref()).unwrap();
        }
    }
}
