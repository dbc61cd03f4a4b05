//! The handle on several queues that calls claim from together.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::claim::Claim;
use super::driver::Driver;
use super::queue::Queue;
use crate::model::ClaimOptions;
use crate::model::error::{Error, Result};
use crate::storage::keys;
use crate::store::Store;
use crate::store::cancel_token::CancelToken;
use crate::store::ready_queues::{Next, ReadyQueues, Turn, Visit};

/// Queues to claim from together: a call claims from whichever has messages, and waits for all of them
/// at once. A clone is the same set; make it once and share it among the threads that claim.
///
/// The set remembers between the calls which queues may have messages, in the order in which they got
/// them. So a call looks at no queue that is known to be empty, and the set is fair: no queue is
/// served twice while another one waits whose message came first. The queues may belong to several
/// projects and, in a pooled driver, to several pools. A queue may be missing: its messages are
/// claimed once it is created and has some. A queue that is over its
/// [claim rate](crate::QueueSettings::max_claims_per_second) is passed over until it may give out messages again.
///
/// Cost: 400 bytes for each queue, and its name twice, while the set exists; then every post and
/// release of the store takes two more locks, one of which all queues share. An error of one queue, such as a pool that cannot be
/// reached, is returned to a call that tries it; the next call goes on with the next queue.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, QueueSet};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let queue = |name| engine.queue(Project::none(), name);
/// let (urgent, bulk) = (queue("urgent")?, queue("bulk")?);
/// let both = QueueSet::new([&bulk, &urgent])?;
/// bulk.create(Metadata::new())?;
/// bulk.post(ClientId::random(), &vec![NewMessage::new("b"); 100])?;
/// urgent.create(Metadata::new())?;
/// urgent.post(ClientId::random(), &[NewMessage::new("u")])?;
///
/// let (ten, minute) = (ClaimOptions::new().limit(10), Duration::from_secs(60));
/// let mut names = Vec::new();
/// for _ in 0..3 {
///     let claim = both.claim_wait(ten.clone(), minute)?.expect("messages wait");
///     names.push(claim.queue().name().to_string());
///     claim.delete_all()?;
///     claim.release()?;
/// }
/// assert_eq!(names, ["bulk", "urgent", "bulk"]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone)]
#[doc(alias = "claim_any")]
pub struct QueueSet(Arc<Set>);

struct Set {
    driver: Driver,
    queues: Vec<Queue>,
    ready: Arc<ReadyQueues>,
    /// The number by which the store's waiters know the set.
    number: u64,
}

impl QueueSet {
    /// A set of these queues, at most 10 000, all of one engine or pooled driver. A queue that is named
    /// twice counts once.
    ///
    /// Cost: O(queues); no I/O. Works on a closed store too.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for no queue, too many queues, or queues of different
    /// engines.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let shard = |number| engine.queue(Project::named("shop")?, format!("orders-{number}"));
    /// let orders = QueueSet::new((0..64).map(shard).collect::<Result<Vec<Queue>>>()?)?;
    /// assert_eq!(orders.queues().len(), 64);
    /// assert!(QueueSet::new([] as [Queue; 0]).unwrap_err().is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new<Q: Borrow<Queue>>(queues: impl IntoIterator<Item = Q>) -> Result<Self> {
        let mut seen = BTreeSet::new();
        let mut chosen: Vec<Queue> = Vec::new();
        for queue in queues {
            let queue = queue.borrow();
            if chosen.first().is_some_and(|first| !std::ptr::eq(first.control_store(), queue.control_store())) {
                return Err(Error::invalid("queues", "they belong to different engines"));
            }
            if seen.insert(key_of(queue)) {
                chosen.push(queue.clone());
            }
            if chosen.len() > MOST_QUEUES {
                return Err(Error::invalid("queues", format!("more than {MOST_QUEUES}")));
            }
        }
        let Some(first) = chosen.first() else { return Err(Error::invalid("queues", "there are none")) };
        let driver = first.driver.clone();
        Ok(Self::of(chosen, driver))
    }

    /// The queues, in the order in which they were given.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let [one, two] = ["one", "two"].map(|name| engine.queue(Project::none(), name));
    /// let (one, two) = (one?, two?);
    /// let set = QueueSet::new([&two, &one, &two])?;
    /// assert_eq!(set.queues().len(), 2);
    /// assert_eq!(set.queues()[0].name().as_str(), "two");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &[Queue] {
        &self.0.queues
    }

    /// Claims messages of the queue whose turn it is, as [`Queue::claim`] does; `None` if no queue has
    /// any. [`Claim::queue`] says which queue it was.
    ///
    /// Cost: as [`Queue::claim`] for each queue that is tried: the queues that may have got messages
    /// since they were last found empty, until one has some. The first call after the set was made may
    /// try all.
    ///
    /// Durability: as [`Queue::claim`].
    ///
    /// # Errors
    /// those of [`Queue::claim`].
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let [one, two] = ["one", "two"].map(|name| engine.queue(Project::none(), name));
    /// # let (one, two) = (one?, two?);
    /// # two.create(Metadata::new())?;
    /// let set = QueueSet::new([&one, &two])?;
    /// two.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = set.claim(ClaimOptions::new())?.expect("a message waits");
    /// assert_eq!(claim.queue().name(), two.name());
    /// assert!(set.claim(ClaimOptions::new())?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim(&self, options: ClaimOptions) -> Result<Option<Claim>> {
        self.claim_until(&options, Duration::ZERO, &[])
    }

    /// Claims messages as [`claim`](Self::claim) does, and waits up to `timeout`, measured by the
    /// engine's clock, until a queue has some; then `None`. The call does not poll. A message wakes
    /// one call of the set; a call that leaves with a claim wakes one more, which learns when the lease
    /// ends.
    ///
    /// Cost: as [`claim`](Self::claim) when the call is woken; while it waits, its thread and 300 bytes.
    ///
    /// Durability: as [`Queue::claim`].
    ///
    /// # Errors
    /// those of [`Queue::claim`]; [`is_closed`](crate::Error::is_closed) if the store is closed during
    /// the wait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let [one, two] = ["one", "two"].map(|name| engine.queue(Project::none(), name));
    /// # let (one, two) = (one?, two?);
    /// let set = QueueSet::new([&one, &two])?;
    /// let worker = std::thread::spawn({
    ///     let set = set.clone();
    ///     move || set.claim_wait(ClaimOptions::new(), Duration::from_secs(60))
    /// });
    /// two.create(Metadata::new())?; // it was missing when the wait began
    /// two.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// assert!(worker.join().expect("the worker does not panic")?.is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_wait(&self, options: ClaimOptions, timeout: Duration) -> Result<Option<Claim>> {
        self.claim_until(&options, timeout, &[])
    }

    /// Claims messages as [`claim_wait`](Self::claim_wait) does, but another thread can end the wait by
    /// cancelling the token, with the rules of [`Queue::claim_wait_with`].
    ///
    /// Cost: as [`claim_wait`](Self::claim_wait), and 50 bytes in the token.
    ///
    /// Durability: as [`Queue::claim`].
    ///
    /// # Errors
    /// those of [`claim_wait`](Self::claim_wait).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// let (set, stop) = (QueueSet::new([&orders])?, CancelToken::new());
    /// let worker = std::thread::spawn({
    ///     let (set, stop) = (set.clone(), stop.clone());
    ///     move || set.claim_wait_with(ClaimOptions::new(), Duration::MAX, &stop)
    /// });
    /// stop.cancel();
    /// assert!(worker.join().expect("the worker does not panic")?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_wait_with(
        &self,
        options: ClaimOptions,
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<Option<Claim>> {
        self.claim_until(&options, timeout, &[token])
    }

    /// As [`claim_wait_with`](Self::claim_wait_with), with any number of tokens.
    pub(crate) fn claim_until(
        &self,
        options: &ClaimOptions,
        timeout: Duration,
        tokens: &[&CancelToken],
    ) -> Result<Option<Claim>> {
        self.0.wait_for_claim(options, timeout, tokens)
    }

    /// The store whose clock applies.
    pub(crate) fn store(&self) -> &Store {
        self.0.store()
    }

    fn of(queues: Vec<Queue>, driver: Driver) -> Self {
        let ready = Arc::new(ReadyQueues::new(queues.len()));
        let number = driver.control_store().waiters.watch(queues.iter().map(key_of), &ready);
        Self(Arc::new(Set { driver, queues, ready, number }))
    }
}

/// A set of one queue.
impl From<&Queue> for QueueSet {
    fn from(queue: &Queue) -> Self {
        Self::of(vec![queue.clone()], queue.driver.clone())
    }
}

impl From<&QueueSet> for QueueSet {
    fn from(queues: &QueueSet) -> Self {
        queues.clone()
    }
}

impl fmt::Debug for QueueSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queues = self.queues().iter().map(|queue| (queue.project().name(), queue.name().as_str()));
        f.debug_set().entries(queues).finish()
    }
}

impl Set {
    fn store(&self) -> &Store {
        self.driver.control_store()
    }

    fn wait_for_claim(
        &self,
        options: &ClaimOptions,
        timeout: Duration,
        tokens: &[&CancelToken],
    ) -> Result<Option<Claim>> {
        let store = self.store();
        store.limits.check_claim(options)?;
        let clock = store.clock.source();
        let deadline = clock.monotonic().saturating_add(timeout);
        let left = || deadline.saturating_sub(clock.monotonic());
        let _waiting = store.waiters.begin_wait();
        let mut visit = self.ready.visit();
        let _cancellable: Vec<_> = tokens.iter().map(|token| token.register(visit.waiter())).collect();
        let mut tries = 0;
        while !tokens.iter().any(|token| token.is_cancelled()) {
            match visit.next(store.now()) {
                Next::Try(turn) => {
                    let (claim, has_more) = self.take_turn(&mut visit, &turn, options)?;
                    if claim.is_some() {
                        return Ok(claim);
                    }
                    // A turn that moved dead letters does not count, because another queue may have got them.
                    tries += usize::from(!has_more);
                    // Messages that others take first must not keep the call beyond its time.
                    if tries >= self.queues.len() && left().is_zero() {
                        break;
                    }
                }
                Next::Sleep(due) => {
                    // A close wakes the calls that sleep, and this one counts as such already.
                    self.driver.check_open()?;
                    let left = left();
                    if left.is_zero() {
                        break;
                    }
                    let until_due = due.map_or(left, |due| Duration::from_millis(due.saturating_sub(store.now())));
                    if !until_due.is_zero() {
                        visit.sleep(clock.real_wait(until_due.min(left)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Claims from the queue whose turn it is; also returns whether the queue may have more.
    fn take_turn(&self, visit: &mut Visit<'_>, turn: &Turn, options: &ClaimOptions) -> Result<(Option<Claim>, bool)> {
        let Some(queue) = self.queues.get(turn.index) else { return Ok((None, false)) };
        match queue.driver.create_claim(&queue.project, &queue.name, options) {
            Ok((record, due)) => {
                // The instant is now if more can be claimed.
                let has_more = due.is_some_and(|due| due <= self.store().now());
                visit.tried(turn, has_more, due.filter(|_| !has_more));
                Ok((record.map(|record| queue.handle_on(record)), has_more))
            }
            // The end of a move marks the queue.
            Err(Error::Moving { .. }) => {
                visit.tried(turn, false, None);
                Ok((None, false))
            }
            Err(error) => {
                visit.tried(turn, true, None);
                Err(error)
            }
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.store().waiters.unwatch(self.queues.iter().map(key_of), self.number);
    }
}

fn key_of(queue: &Queue) -> Vec<u8> {
    keys::queue(&queue.project, &queue.name)
}

const MOST_QUEUES: usize = 10_000;
