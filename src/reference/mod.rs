//! The contract in memory: small, slow and obviously right.
//!
//! 1. One lock over one map of queues; a queue is its messages in order and its claims by id. Beside it a list of all
//!    subscriptions in the order of creation, and a map each of pools, flavors and catalogue entries.
//! 2. There is no index and no duplicate data: every call looks at every message.
//! 3. An expired item stays in its place and calls skip it; only `gc` removes it.
//! 4. A pooled model keeps everything in the same maps and lists; `pooling` selects what a call sees.
//!
//! Cost: each call takes O(messages posted to the queue since the last `gc`).

mod batches;
mod bookmarks;
mod catalogue;
mod claims;
mod control;
mod diagnostics;
mod flavors;
mod messages;
mod pauses;
mod pooling;
mod pools;
mod projects;
mod queue;
mod queues;
mod rates;
mod redrives;
mod retries;
mod rows;
mod store_location;
mod subscriptions;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, EngineClock};
use crate::contract::{Claims, DataDriver, Messages, Queues, Sealed, Subscriptions};
use crate::lock::{Mutex, MutexGuard, Rank};
use crate::model::error::{Error, Result};
use crate::model::{
    BookmarkName, BookmarkRecord, Capabilities, Capability, ClaimId, FlavorName, GcReport, Health, Limits,
    MessageVolume, NewPool, OperationStatus, PoolName, Project, ProjectQuota, QueueName, Timestamp,
};
use queue::QueueModel;
use rows::{FlavorModel, SubscriptionModel, Transit};
use store_location::StoreLocation;

/// The storage contract without a disk, as simply as possible. The engine is tested against it, and code written
/// against the traits can be tested with it. Its contents are lost when it is dropped, and every call looks at every
/// message.
///
/// The model is a [`DataDriver`] and a [`ControlDriver`](crate::ControlDriver). The methods that both drivers have are
/// also methods of its own.
///
/// ```
/// use std::sync::Arc;
/// use zaqar_sled::{ClientId, DataDriver, Metadata, NewMessage, Project, QueueName};
/// use zaqar_sled::{ReferenceModel, SystemClock};
///
/// let store = ReferenceModel::new(Arc::new(SystemClock::new()));
/// let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
/// store.queues().create(&shop, &orders, &Metadata::new())?;
/// let message = NewMessage::new(b"42").ttl(std::time::Duration::from_secs(60));
/// store.messages().post(&shop, &orders, ClientId::random(), &[message])?;
/// assert_eq!(store.messages().pop(&shop, &orders, 10)?.len(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
///
/// ```
/// use std::sync::Arc;
/// use zaqar_sled::{ControlDriver, NewPool, PoolName, ReferenceModel, SystemClock};
///
/// let store = ReferenceModel::new(Arc::new(SystemClock::new()));
/// let fast = PoolName::new("fast")?;
/// store.pools().create(&fast, &NewPool::new("memory:fast".parse()?))?;
/// assert!(store.pools().exists(&fast)?);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub struct ReferenceModel {
    clock: EngineClock,
    limits: Limits,
    is_durable: bool,
    checksums: bool,
    store: Mutex<Store>,
}

#[derive(Default)]
struct Store {
    queues: BTreeMap<(Project, QueueName), QueueModel>,
    /// The subscriptions of all queues, in the order of creation. Expired ones stay until a `gc`.
    subscriptions: Vec<SubscriptionModel>,
    /// The pools that queues were mapped to before, and that still have contents of these queues.
    left: BTreeSet<(Project, QueueName, PoolName)>,
    pools: BTreeMap<PoolName, NewPool>,
    flavors: BTreeMap<(Project, FlavorName), FlavorModel>,
    catalogue: BTreeMap<(Project, QueueName), PoolName>,
    bookmarks: BTreeMap<(Project, BookmarkName), BookmarkRecord>,
    quotas: BTreeMap<Project, ProjectQuota>,
    /// The number of changes of bookmarks so far.
    bookmarks_set: u64,
    /// The numbers of queues, of claims and of subscriptions created so far.
    queues_made: u64,
    claims_made: u128,
    subscriptions_made: u64,
    /// Whether queues are in pools (contract 12).
    pooled: bool,
    /// The preferred pools of queues.
    preferred: BTreeMap<(Project, QueueName), PoolName>,
    /// Dead letters that could not be delivered yet.
    transit: Vec<Transit>,
    closed: bool,
}

impl ReferenceModel {
    /// An empty store that uses the clock, with only the hard limits, and without checksums.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{DataDriver, ManualClock, ReferenceModel, Timestamp};
    ///
    /// let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    /// assert!(ReferenceModel::new(clock).is_alive());
    /// ```
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock: EngineClock::new(clock, 0),
            limits: Limits::default(),
            is_durable: false,
            checksums: false,
            store: Mutex::new(Rank::Model, Store::default()),
        }
    }

    /// The same store with these limits.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{Limits, Project, QueueName, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(Arc::new(SystemClock::new())).limits(Limits::zaqar());
    /// let spaced = QueueName::new("a b")?;
    /// let error = store.queues().exists(&Project::none(), &spaced).unwrap_err();
    /// assert!(error.is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same store, but with the durability capability, for comparison with a store on a disk. The model does not
    /// keep that promise.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{Capability, DataDriver, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(Arc::new(SystemClock::new())).durable();
    /// assert!(store.capabilities().contains(Capability::Durability));
    /// ```
    pub fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    /// The same store, with or without a checksum for each posted message.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{DataDriver, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(Arc::new(SystemClock::new())).checksums(true);
    /// assert!(store.is_alive());
    /// ```
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// The queue controller, which both drivers share.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zaqar_sled::{Metadata, Project, QueueName, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(Arc::new(SystemClock::new()));
    /// let orders = QueueName::new("orders")?;
    /// assert!(store.queues().create(&Project::none(), &orders, &Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queues(&self) -> &dyn Queues {
        self
    }

    /// The data driver's health. Nothing can fail, so no operation is tried. A pooled model reports
    /// the catalogue and every pool.
    ///
    /// Cost: O(messages).
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed).
    ///
    /// # Example
    ///
    /// ```
    /// use zaqar_sled::{ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(std::sync::Arc::new(SystemClock::new()));
    /// assert!(store.health()?.storage_reachable());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn health(&self) -> Result<Health> {
        let (mut store, now) = self.enter()?;
        let volume = store
            .locations()
            .iter()
            .fold(MessageVolume::default(), |all, location| sum(all, store.volume(location, now)));
        let operations = if store.pooled { fine(CONTROL_OPERATIONS) } else { fine(OPERATIONS) };
        Ok(Health { storage_reachable: true, operations, volume, pools: store.pool_healths(now) })
    }

    /// Closes both drivers. A closed driver stays closed.
    ///
    /// Cost: O(1).
    ///
    /// # Errors
    /// none: closing a closed model succeeds too.
    ///
    /// # Example
    ///
    /// ```
    /// use zaqar_sled::{DataDriver, ReferenceModel, SystemClock};
    ///
    /// let store = ReferenceModel::new(std::sync::Arc::new(SystemClock::new()));
    /// store.close()?;
    /// assert!(!store.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn close(&self) -> Result<()> {
        self.store.lock().closed = true;
        Ok(())
    }

    /// The capabilities of a store that is not pooled.
    fn own_capabilities(&self) -> Capabilities {
        let all = Capabilities::all();
        if self.is_durable { all } else { all.without(Capability::Durability) }
    }

    /// The start of every call: the store if it is open, and the instant of the call.
    fn enter(&self) -> Result<(MutexGuard<'_, Store>, Timestamp)> {
        let mut store = self.store.lock();
        if store.closed {
            return Err(Error::Closed);
        }
        let now = Timestamp::from_millis(self.clock.now());
        store.deliver(now);
        Ok((store, now))
    }

    /// As [`Self::enter`], for a call that names a queue.
    fn enter_queue(&self, project: &Project, name: &QueueName) -> Result<(MutexGuard<'_, Store>, Timestamp)> {
        let entered = self.enter()?;
        self.check_name(project, name)?;
        Ok(entered)
    }

    fn check_name(&self, project: &Project, name: &QueueName) -> Result<()> {
        self.limits.check_project(project)?;
        self.limits.check_queue_name(name)
    }
}

impl Store {
    fn queue(&self, project: &Project, name: &QueueName) -> Option<&QueueModel> {
        self.queues.get(&(project.clone(), name.clone()))
    }

    fn queue_mut(&mut self, project: &Project, name: &QueueName) -> Option<&mut QueueModel> {
        self.queues.get_mut(&(project.clone(), name.clone()))
    }

    /// The queue, created without metadata if it is missing.
    fn queue_or_new(&mut self, project: &Project, name: &QueueName) -> &mut QueueModel {
        let made = &mut self.queues_made;
        self.queues.entry((project.clone(), name.clone())).or_insert_with(|| {
            *made = made.saturating_add(1);
            QueueModel::new(*made)
        })
    }

    /// An id that no claim has had. It is not random, which is sufficient for a test.
    fn new_claim_id(&mut self) -> ClaimId {
        self.claims_made = self.claims_made.saturating_add(1);
        ClaimId::from_random_bytes(self.claims_made.to_be_bytes())
    }

    /// The number of messages of all queues at the location.
    fn volume(&mut self, location: &StoreLocation, now: Timestamp) -> MessageVolume {
        self.queues.values_mut().fold(MessageVolume::default(), |volume, queue| {
            let stats = queue.at(location.clone()).stats(now);
            let (free, claimed, total) = (stats.free(), stats.claimed(), stats.total());
            sum(volume, MessageVolume { free, claimed, total })
        })
    }
}

impl Sealed for ReferenceModel {}

impl DataDriver for ReferenceModel {
    fn queues(&self) -> &dyn Queues {
        self
    }

    fn messages(&self) -> &dyn Messages {
        self
    }

    fn claims(&self) -> &dyn Claims {
        self
    }

    fn subscriptions(&self) -> &dyn Subscriptions {
        self
    }

    fn is_alive(&self) -> bool {
        !self.store.lock().closed
    }

    fn health(&self) -> Result<Health> {
        self.health()
    }

    fn gc(&self) -> Result<GcReport> {
        let (mut store, now) = self.enter()?;
        let mut report = GcReport { messages: store.drop_expired_transit(now), ..GcReport::default() };
        for location in store.locations() {
            report.subscriptions =
                report.subscriptions.saturating_add(store.drop_expired_subscriptions(&location, now));
            for queue in store.queues.values_mut() {
                let (messages, claims) = queue.at(location.clone()).drop_expired(now);
                report.messages = report.messages.saturating_add(messages as u64);
                report.claims = report.claims.saturating_add(claims as u64);
            }
        }
        Ok(report)
    }

    fn close(&self) -> Result<()> {
        self.close()
    }

    /// A pooled model has all capabilities, because it does not know its pools' own.
    fn capabilities(&self) -> Capabilities {
        if self.store.lock().pooled { Capabilities::all() } else { self.own_capabilities() }
    }
}

impl fmt::Debug for ReferenceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReferenceModel").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}

fn sum(one: MessageVolume, other: MessageVolume) -> MessageVolume {
    MessageVolume {
        free: one.free.saturating_add(other.free),
        claimed: one.claimed.saturating_add(other.claimed),
        total: one.total.saturating_add(other.total),
    }
}

/// The result of a health check whose operations cannot fail.
fn fine<const N: usize>(operations: [&'static str; N]) -> Vec<OperationStatus> {
    let fine =
        |name| OperationStatus { name, succeeded: true, elapsed: Duration::ZERO, reference: None, failure: None };
    operations.into_iter().map(fine).collect()
}

const CONTROL_OPERATIONS: [&str; 3] = ["insert_entry", "get_entry", "delete_entry"];

const OPERATIONS: [&str; 8] = [
    "create_queue",
    "post_messages",
    "claim_messages",
    "list_messages",
    "delete_messages",
    "delete_claim",
    "bulk_delete_messages",
    "delete_queue",
];
