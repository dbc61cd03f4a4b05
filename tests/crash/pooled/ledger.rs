//! The properties that hold whatever part of the unsynced changes a power cut removed.
//!
//! Each store loses the end of its own journal, so the state need not be that after some whole number of calls. But no
//! message exists twice. A message that was posted at `Sync` and that no call may have removed is in its queue, in its
//! dead-letter queue, or where an earlier mapping of the queue left it. And no message that was removed at `Sync`
//! exists.
//!
//! The shared ledger would not do. A power cut may take back the answers at `Buffered`, so that a message that was
//! removed may be there; and a dead letter has a new id in another queue, so messages are known by their names.

use std::collections::BTreeMap;

use zaqar_sled::{ClaimId, ClaimRecord, DataDriver, Message, PooledDriver, Project, QueueName, SubscriptionId};

use super::super::support::{messages_of, queues_of};
use super::scene::is_dead;
use super::view::{in_each_pool, name_of};

#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    messages: BTreeMap<String, Entry>,
    subscriptions: BTreeMap<SubscriptionId, Entry>,
    claims: BTreeMap<ClaimId, Held>,
    /// When queues of a project were last mapped to other pools.
    mapped: BTreeMap<Project, usize>,
    /// The call under way.
    at: usize,
    sync: bool,
    now: u64,
    /// Messages that it may remove.
    takes: Vec<String>,
}

#[derive(Debug, Clone)]
struct Entry {
    project: Project,
    queue: QueueName,
    at: usize,
    /// Whether it was acknowledged at `Sync`.
    sync: bool,
    /// Whether a call may have removed the message.
    doubtful: bool,
    /// Whether that was acknowledged at `Sync`.
    gone: bool,
}

#[derive(Debug, Clone)]
struct Held {
    entry: Entry,
    until: u64,
    names: Vec<String>,
}

impl Ledger {
    pub(super) fn begin(&mut self, at: usize, sync: bool, now: u64) {
        (self.at, self.sync, self.now) = (at, sync, now);
        self.takes.clear();
    }

    fn entry(&self, project: &Project, queue: &QueueName, doubtful: bool) -> Entry {
        let (project, queue) = (project.clone(), queue.clone());
        Entry { project, queue, at: self.at, sync: self.sync, doubtful, gone: false }
    }

    pub(super) fn posted(&mut self, name: String, project: &Project, queue: &QueueName, short: bool) {
        self.messages.insert(name, self.entry(project, queue, short));
    }

    pub(super) fn subscribed(&mut self, project: &Project, queue: &QueueName, id: SubscriptionId, short: bool) {
        self.subscriptions.insert(id, self.entry(project, queue, short));
    }

    pub(super) fn claimed(&mut self, project: &Project, queue: &QueueName, claim: &ClaimRecord, ttl: u64) {
        let names = claim.messages().iter().map(name_of).collect();
        let held = Held { entry: self.entry(project, queue, false), until: self.now + ttl * 1000, names };
        self.claims.insert(claim.id(), held);
    }

    pub(super) fn changes_claim(&mut self, claim: &ClaimId) {
        self.claims.get_mut(claim).into_iter().for_each(|held| held.entry.doubtful = true);
    }

    pub(super) fn unsubscribes(&mut self, id: SubscriptionId) {
        self.subscriptions.get_mut(&id).into_iter().for_each(|entry| entry.doubtful = true);
    }

    pub(super) fn unsubscribed(&mut self, id: SubscriptionId) {
        let sync = self.sync;
        self.subscriptions.get_mut(&id).into_iter().for_each(|entry| entry.gone |= sync);
    }

    /// The call under way may remove these.
    pub(super) fn takes(&mut self, messages: &[Message]) {
        self.takes.extend(messages.iter().map(name_of));
    }

    /// Records that the call removed these messages and no others.
    pub(super) fn took(&mut self, messages: &[Message]) {
        for name in messages.iter().map(name_of) {
            let Some(entry) = self.messages.get_mut(&name) else { continue };
            entry.doubtful = true;
            entry.gone |= self.sync;
        }
        self.takes.clear();
    }

    /// The call under way may remove all of a queue.
    pub(super) fn empties(&mut self, project: &Project, queue: &QueueName) {
        // The queue may have dead letters of any queue.
        let dead_letters = is_dead(queue);
        let in_it = |entry: &&mut Entry| entry.project == *project && (dead_letters || entry.queue == *queue);
        let claims = self.claims.values_mut().map(|held| &mut held.entry);
        let entries = self.messages.values_mut().chain(self.subscriptions.values_mut()).chain(claims);
        entries.filter(in_it).for_each(|entry| entry.doubtful = true);
    }

    /// Records that the call in progress may map queues of the project to other pools and leave their contents behind.
    pub(super) fn reroutes(&mut self, project: &Project) {
        self.mapped.insert(project.clone(), self.at);
    }

    fn is_rerouted(&self, entry: &Entry) -> bool {
        self.mapped.get(&entry.project).is_some_and(|at| *at >= entry.at)
    }

    /// Compares the ledger with the stores at the time `now`.
    pub(super) fn check(&self, driver: &PooledDriver, now: u64, context: &str) {
        let seen = see(driver, context);
        for (name, entry) in &self.messages {
            let seen = seen.get(name);
            assert!(!entry.gone || seen.is_none(), "{context}: {name} has come back: {seen:?}");
            if entry.doubtful || !entry.sync || self.takes.contains(name) {
                continue;
            }
            let Some(seen) = seen else { panic!("{context}: {name} is lost: {entry:?}") };
            let here = seen.project == entry.project && (seen.queue == entry.queue || is_dead(&seen.queue));
            assert!(here, "{context}: {name} is in {seen:?}: {entry:?}");
            assert!(seen.routed || self.is_rerouted(entry), "{context}: {name} cannot be reached: {seen:?}, {entry:?}");
        }
        for name in seen.keys() {
            let call: usize = name.split('-').next().unwrap().parse().unwrap();
            assert!(self.messages.contains_key(name) || call == self.at, "{context}: no call posted {name}");
        }
        self.check_claims(driver, now, context);
        self.check_subscriptions(driver, context);
    }

    fn check_claims(&self, driver: &PooledDriver, now: u64, context: &str) {
        for (id, Held { entry, until, names }) in &self.claims {
            if entry.doubtful || !entry.sync || *until <= now || self.is_rerouted(entry) {
                continue;
            }
            let claim = driver.claims().get(&entry.project, &entry.queue, id);
            let claim = claim.unwrap_or_else(|error| panic!("{context}: {error}: {entry:?}"));
            let held: Vec<String> = claim.messages().iter().map(name_of).collect();
            for name in names {
                let message = self.messages.get(name);
                let stays = message.is_some_and(|message| !message.doubtful) && !self.takes.contains(name);
                assert!(!stays || held.contains(name), "{context}: {id} has lost {name}: {entry:?}");
            }
        }
    }

    fn check_subscriptions(&self, driver: &PooledDriver, context: &str) {
        for (id, entry) in &self.subscriptions {
            if self.is_rerouted(entry) {
                continue;
            }
            let there = driver.subscriptions().exists(&entry.project, &entry.queue, id).unwrap();
            assert!(!entry.gone || !there, "{context}: {id} has come back: {entry:?}");
            assert!(there || entry.doubtful || !entry.sync, "{context}: {id} is lost: {entry:?}");
        }
    }
}

/// The queue and the pool in which a message was found.
#[derive(Debug)]
struct Seen {
    project: Project,
    queue: QueueName,
    _pool: String,
    /// Whether the queue is mapped to that pool.
    routed: bool,
}

/// The queue and the pool of each message, by its name: in the pools that queues are mapped to, and in the others.
fn see(driver: &PooledDriver, context: &str) -> BTreeMap<String, Seen> {
    let mut seen = BTreeMap::new();
    for (project, queue) in queues_of(driver).unwrap() {
        let see = |pool: &str, routed| {
            for message in messages_of(driver, &project, &queue)? {
                let found = Seen { project: project.clone(), queue: queue.clone(), _pool: pool.to_owned(), routed };
                let name = name_of(&message);
                let other = seen.insert(name.clone(), found);
                assert!(other.is_none(), "{context}: {name} is in {other:?} and in {:?}", seen[&name]);
            }
            Ok(())
        };
        in_each_pool(driver, &project, &queue, see).unwrap();
    }
    seen
}
