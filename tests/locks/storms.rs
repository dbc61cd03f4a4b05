//! Calls that take the same locks from two sides, at once. In builds with debug assertions a lock taken out of order is a
//! panic, so that one round is enough; in others the threads have to meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClientId, Config, Error, Metadata, NewMessage, NewPool, PoolName, PoolUpdate, PooledDriver, Pools, Project, Result,
    SimulatedDisk,
};

const ALICE: ClientId = ClientId::from_bytes([0xa1; 16]);

/// Nobody waits longer than this for a thread that is not stuck.
const STUCK: Duration = Duration::from_mins(1);

/// Runs one step of each kind again and again, each kind in a thread of its own, until the first has made so many rounds.
fn beside(driver: &PooledDriver, rounds: usize, works: Vec<fn(&PooledDriver, usize) -> Result<()>>) {
    let over = Arc::new(AtomicBool::new(false));
    let (done, finished) = mpsc::channel();
    let threads = works.len();
    for (number, work) in works.into_iter().enumerate() {
        let (driver, over, done) = (driver.clone(), over.clone(), done.clone());
        thread::spawn(move || {
            let _end = Ends(over.clone());
            let mut round = 0;
            let mut outcome = Ok(());
            while outcome.is_ok() && !over.load(Ordering::Relaxed) && (number > 0 || round < rounds) {
                outcome = match work(&driver, round) {
                    // A pool that is just being changed, or a queue that is on its way.
                    Err(error) if error.is_busy() || error.is_not_found() => Ok(()),
                    outcome => outcome,
                };
                round += 1;
            }
            drop(driver);
            done.send(outcome).unwrap();
        });
    }
    drop(done);
    for _ in 0..threads {
        // A thread that panicked never sends; its end is an error here.
        finished.recv_timeout(STUCK).expect("no thread is stuck, and none panics").unwrap();
    }
}

/// Ends the others' rounds, should its thread panic too.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pool_of(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

/// A driver with threads of its own, and pools `one` and `two`.
fn running() -> PooledDriver {
    let driver = Config::new().disk(Arc::new(SimulatedDisk::new())).open_pooled("/control").unwrap();
    for name in ["one", "two"] {
        driver.pools().create(&pool_of(name), &NewPool::new(format!("sled:/{name}").parse().unwrap())).unwrap();
    }
    driver
}

#[test]
fn pools_are_changed_while_queues_are_made_and_deleted() {
    let driver = running();
    let change: fn(&PooledDriver, usize) -> Result<()> = |driver, round| {
        let durability = ["buffered", "sync"][round % 2];
        let options = Metadata::new().with("durability", durability)?;
        Pools::update(driver, &pool_of("one"), &PoolUpdate::new().options(options))?;
        Pools::delete(driver, &pool_of("two"))?;
        Pools::create(driver, &pool_of("two"), &NewPool::new("sled:/two".parse()?).weight(1))
    };
    let delete: fn(&PooledDriver, usize) -> Result<()> = |driver, round| {
        let queue = driver.queue(Project::none(), format!("q{}", round % 3))?;
        queue.create(Metadata::new())?;
        match queue.post(ALICE, &[NewMessage::new("x")]) {
            Err(Error::PoolDoesNotExist { .. }) | Ok(_) => {}
            Err(error) if error.is_busy() || error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        queue.delete()
    };
    let look: fn(&PooledDriver, usize) -> Result<()> = |driver, _| {
        driver.status();
        driver.health()?;
        driver.queues().count(&Project::none()).map(drop)
    };
    beside(&driver, 60, vec![change, delete, delete, look]);
    driver.step().unwrap();
    assert!(driver.verify().unwrap().is_sound());
}
