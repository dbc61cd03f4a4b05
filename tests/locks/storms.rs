//! Concurrent calls that take the same locks from two sides. In builds with debug assertions, a lock out of order
//! panics, so one round is enough. In other builds the threads have to meet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Error, ListOptions, Metadata, NewMessage, NewPool, PoolName, PoolUpdate,
    PooledDriver, Pools, Project, QueueListOptions, QueueName, Result, SimulatedDisk, Subscriber,
};

use super::values::ALICE;
use super::variables::STORM;

/// A thread that needs longer than this is stuck, whatever the number of rounds.
const STUCK: Duration = Duration::from_secs(60);

/// A step of one kind, with the number of the round.
type Step = fn(&PooledDriver, usize) -> Result<()>;

/// Runs one step of each kind again and again, each kind in a thread of its own, until the first has made so many
/// rounds.
fn beside(driver: &PooledDriver, rounds: usize, works: Vec<Step>) {
    let over = Arc::new(AtomicBool::new(false));
    let steps: Arc<Vec<AtomicUsize>> = Arc::new(works.iter().map(|_| AtomicUsize::new(0)).collect());
    let (done, finished) = mpsc::channel();
    let mut running: BTreeSet<usize> = (0..works.len()).collect();
    for (number, work) in works.into_iter().enumerate() {
        let (driver, over, done, steps) = (driver.clone(), over.clone(), done.clone(), steps.clone());
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
                steps[number].store(round, Ordering::Relaxed);
            }
            drop(driver);
            done.send((number, outcome)).unwrap();
        });
    }
    drop(done);
    let made = || -> Vec<usize> { steps.iter().map(|steps| steps.load(Ordering::Relaxed)).collect() };
    let mut before = made();
    while !running.is_empty() {
        match finished.recv_timeout(STUCK) {
            Ok((number, outcome)) => {
                outcome.unwrap();
                running.remove(&number);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let now = made();
                let stuck: Vec<_> = running.iter().filter(|number| now[**number] == before[**number]).collect();
                assert!(stuck.is_empty(), "threads {stuck:?} are stuck at steps {now:?}");
                before = now;
            }
            // A thread that panicked never sends.
            Err(mpsc::RecvTimeoutError::Disconnected) => panic!("threads {running:?} have panicked"),
        }
    }
}

/// Ends the other threads' rounds, also when its own thread panics.
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

/// The number of steps of the first thread.
fn rounds() -> usize {
    STORM.or(60)
}

fn change_pools(driver: &PooledDriver, round: usize) -> Result<()> {
    let durability = ["buffered", "sync"][round % 2];
    let options = Metadata::new().with("durability", durability)?;
    Pools::update(driver, &pool_of("one"), &PoolUpdate::new().options(options))?;
    Pools::delete(driver, &pool_of("two"))?;
    Pools::create(driver, &pool_of("two"), &NewPool::new("sled:/two".parse()?).weight(1))
}

fn make_and_delete(driver: &PooledDriver, round: usize) -> Result<()> {
    let queue = driver.queue(Project::none(), format!("q{}", round % 3))?;
    queue.create(Metadata::new())?;
    match queue.post(ALICE, &[NewMessage::new("x")]) {
        Err(Error::PoolDoesNotExist { .. }) | Ok(_) => {}
        Err(error) if error.is_busy() || error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    queue.delete()
}

fn look(driver: &PooledDriver, _: usize) -> Result<()> {
    driver.status();
    driver.health()?;
    driver.queues().list(&Project::none(), &QueueListOptions::new().limit(0).detailed(true))?;
    driver.queues().count(&Project::none()).map(drop)
}

fn move_about(driver: &PooledDriver, round: usize) -> Result<()> {
    let name = QueueName::new(format!("q{}", round % 3))?;
    match driver.move_queue(&Project::none(), &name, &pool_of(["one", "two"][round % 2])) {
        // The pool has contents from an earlier mapping of the queue.
        Err(error) if error.is_invalid() => Ok(()),
        moved => moved,
    }
}

fn work(driver: &PooledDriver, round: usize) -> Result<()> {
    let queue = driver.queue(Project::none(), format!("q{}", round % 3))?;
    // Worn out at once, so that the next claim moves them.
    let dead = Metadata::new().with("_max_claim_count", 1)?.with("_dead_letter_queue", "q0")?;
    if queue.name().as_str() != "q0" && queue.exists()? {
        queue.set_metadata(&dead)?;
    }
    if let Some(claim) = queue.claim(ClaimOptions::new().limit(3))? {
        claim.release()?;
    }
    queue.pop(1).map(drop)
}

/// A batch over all queues, in another order each time.
fn commit(driver: &PooledDriver, round: usize) -> Result<()> {
    let mut batch = driver.batch();
    let claimed = driver.queue(Project::none(), format!("q{}", round % 3))?.claim(ClaimOptions::new().limit(2))?;
    if let Some(claim) = &claimed {
        batch.delete_all(claim).release(claim);
    }
    for n in 0..3 {
        let queue = driver.queue(Project::none(), format!("q{}", (round + n) % 3))?;
        batch.post(&queue, ALICE, [NewMessage::new("y")]);
    }
    match batch.commit() {
        // The claim's queue was moved, deleted, or has lost its pool.
        Err(error) if error.is_not_permitted() || matches!(error, Error::NotInOneStore { .. }) => Ok(()),
        done => done.map(drop),
    }
}

fn subscribe(driver: &PooledDriver, round: usize) -> Result<()> {
    let (project, name) = (Project::none(), QueueName::new(format!("q{}", round % 3))?);
    let hook = Subscriber::new(format!("https://example.com/{}", round % 5))?;
    let subscriptions = driver.subscriptions();
    subscriptions.create(&project, &name, &hook, Duration::from_secs(60), &Metadata::new())?;
    let found = subscriptions.list(&project, &name, &ListOptions::new())?;
    if let Some(one) = found.items.first().filter(|_| round.is_multiple_of(4)) {
        subscriptions.delete(&project, &name, &one.id())?;
    }
    Ok(())
}

fn back_up(driver: &PooledDriver, _: usize) -> Result<()> {
    driver.backup("/backup").map(drop)
}

#[test]
fn pools_are_changed_while_queues_are_made_and_deleted() {
    let driver = running();
    beside(&driver, rounds(), vec![change_pools, make_and_delete, make_and_delete, look, back_up]);
    driver.step().unwrap();
    assert!(driver.verify().unwrap().is_sound());
}

#[test]
fn concurrent_calls_of_every_kind_end() {
    let driver = running();
    let works = vec![change_pools, make_and_delete, move_about, work, subscribe, look, commit, back_up];
    beside(&driver, rounds(), works);
    driver.step().unwrap();
    let verified = driver.verify().unwrap();
    assert!(verified.is_sound(), "{:?}", verified.findings());
    println!("{} rounds", rounds());
}
