//! What happens between the instants of the stores of a pooled driver's backup.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{Catalogue, Metadata, PoolUpdate, Project};

use crate::pooled::{CONTROL, bodies, create_in, dead_lettering, driver, pool, post, queue, restored, wear_out};
use crate::scene::BACKUP;
use crate::support::{clock, config};
use crate::wrapped_disk::{Call, Hook, WrappedDisk};

type Work = Box<dyn FnOnce() + Send>;

/// Does its work before the copy of a store's journal is written: its instant is over, and those of the stores behind it
/// are to come. The control store comes last.
#[derive(Default)]
struct Between(Mutex<Option<(&'static str, Work)>>);

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Between")
    }
}

impl Hook for Between {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        let path = path.to_string_lossy();
        let is_due = |(part, _): &mut (&str, Work)| call == Call::Create && path.contains(*part);
        let due = self.0.lock().unwrap().take_if(is_due);
        if let Some((_, work)) = due {
            thread::spawn(work).join().unwrap();
        }
        Ok(())
    }
}

#[test]
fn changes_between_the_instants_of_the_stores_leave_a_consistent_driver() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let between = WrappedDisk::around(Arc::new(disk.clone()), Between::default());
    drop(driver(&disk, &clock));
    let driver = config(&disk, &clock, 4).disk(Arc::new(between.clone())).open_pooled(CONTROL).unwrap();
    let (jobs, _) = dead_lettering(&driver);
    post(&jobs, "job");
    for (name, to) in [("kept", "two"), ("deleted", "one"), ("again", "one"), ("rerouted", "one")] {
        post(&create_in(&driver, name, to), "before");
    }
    let work = {
        let driver = driver.clone();
        move || {
            // A queue that the pools' copies do not have, one that is deleted, one that is made again, one that is
            // mapped elsewhere, a dead letter, and subscriptions.
            let new = queue(&driver, "new");
            new.create(Metadata::new()).unwrap();
            post(&new, "between");
            queue(&driver, "deleted").delete().unwrap();
            let again = queue(&driver, "again");
            again.delete().unwrap();
            again.create(Metadata::new()).unwrap();
            post(&again, "between");
            let rerouted = queue(&driver, "rerouted");
            Catalogue::update(&driver, rerouted.project(), rerouted.name(), Some(&pool("two"))).unwrap();
            post(&queue(&driver, "kept"), "between");
            wear_out(&queue(&driver, "jobs"));
        }
    };
    *between.hook.0.lock().unwrap() = Some(("/pool-2/journal/", Box::new(work)));
    driver.backup(BACKUP).unwrap();
    assert!(between.hook.0.lock().unwrap().is_none());
    let restored = restored(&disk, &clock, "/restored");
    for _ in 0..3 {
        restored.step().unwrap();
    }
    assert_eq!(restored.status().leftovers(), 0);
    let names: Vec<String> = {
        let options = zaqar_sled::QueueListOptions::new().limit(0);
        let page = restored.queues().list(&Project::none(), &options).unwrap();
        page.items.iter().map(|entry| entry.name().to_string()).collect()
    };
    assert_eq!(names, ["again", "dead", "jobs", "kept", "new", "rerouted"]);
    for name in names {
        let found = bodies(&queue(&restored, &name));
        assert!(found.len() <= 2, "{name}: {found:?}");
        post(&queue(&restored, &name), "after");
        assert_eq!(bodies(&queue(&restored, &name)).len(), found.len() + 1, "{name}");
    }
    assert_eq!(bodies(&queue(&restored, "kept"))[0], "before");
    let of_jobs = [bodies(&queue(&restored, "jobs")), bodies(&queue(&restored, "dead"))].concat();
    assert_eq!(of_jobs.iter().filter(|body| *body == "job").count(), 1, "{of_jobs:?}");
    assert!(restored.verify().unwrap().is_sound());
}

#[test]
fn nothing_is_delivered_between_the_instants_of_the_stores() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let between = WrappedDisk::around(Arc::new(disk.clone()), Between::default());
    drop(driver(&disk, &clock));
    let config = config(&disk, &clock, 4).disk(Arc::new(between.clone())).background(true);
    let driver = config.open_pooled(CONTROL).unwrap();
    let (jobs, dead) = dead_lettering(&driver);
    post(&jobs, "job");
    let work = {
        let (driver, jobs) = (driver.clone(), jobs.clone());
        move || {
            // A relay that delivered now would put the message into the copy of the second pool too.
            wear_out(&jobs);
            let until = Instant::now() + Duration::from_millis(300);
            while driver.status().in_transit() > 0 && Instant::now() < until {
                thread::yield_now();
            }
        }
    };
    *between.hook.0.lock().unwrap() = Some(("/pool-1/journal/", Box::new(work)));
    driver.backup(BACKUP).unwrap();
    assert!(between.hook.0.lock().unwrap().is_none());
    let restored = restored(&disk, &clock, "/restored");
    let of_jobs = [bodies(&queue(&restored, "jobs")), bodies(&queue(&restored, "dead"))].concat();
    assert_eq!(of_jobs, ["job"]);
    while bodies(&dead).is_empty() {
        thread::yield_now();
    }
}

#[test]
fn pools_that_change_meanwhile_end_the_backup() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let between = WrappedDisk::around(Arc::new(disk.clone()), Between::default());
    drop(driver(&disk, &clock));
    let driver = config(&disk, &clock, 4).disk(Arc::new(between.clone())).open_pooled(CONTROL).unwrap();
    driver.backup(BACKUP).unwrap();
    let work = {
        let driver = driver.clone();
        move || driver.pools().update(&pool("two"), &PoolUpdate::new().weight(7)).unwrap()
    };
    *between.hook.0.lock().unwrap() = Some(("/pool-2/journal/", Box::new(work)));
    assert!(driver.backup(BACKUP).unwrap_err().is_busy());
    driver.backup(BACKUP).unwrap();
}
