//! Dead letters between stores.
//!
//! A message that goes to a dead-letter queue in another store is first moved, in the claim's own operation, to the
//! *outbox*: a queue of the source's store that no caller can name. The relay stores it in the target, and then deletes
//! it from the outbox.
//!
//! 1. A dead letter names the store it is *assigned* to and is stored only there. It is assigned to another store only
//!    when the former store is known not to have it.
//! 2. The target keeps the source id of each dead letter, and takes no dead letter in twice. The note is removed after
//!    the dead letter has durably left the outbox.
//! 3. Target and source are synced before the next step.
//! 4. The dead letters in one outbox with the same destination are delivered in their order. One that cannot be
//!    delivered holds up the later ones with its destination, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::data::backend::Access;
use crate::data::dead_letters::TargetQueue;
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{Durability, Metadata, Project, QueueName};
use crate::state::op::{Change, DeadLetter, DeadLetters, NewClaim, Op, Received, Source};
use crate::state::outbox_header::{Destination, OutboxHeader};
use crate::state::sequences::Sequences;
use crate::state::{OUTBOX, Page};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Locked, QueueSlot, Store};

use super::pool::Pool;
use super::routes::{CachedSide, Route};
use super::shared::Shared;
use super::sides::Side;

/// The most dead letters in one batch, and the most bytes, unless the first has more.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 4 << 20;

/// A dead letter in the outbox.
struct OutboxEntry {
    sequence: u64,
    header: OutboxHeader,
    message: DeadLetter<'static>,
}

/// A walk through an outbox.
#[derive(Default)]
struct Pass {
    /// The destinations whose dead letters were assigned to another store during the pass, each with the sequence above
    /// all earlier ones.
    reassigned: BTreeMap<Destination, u64>,
    /// The destinations with a dead letter that the pass could not deliver: no later one may overtake it.
    held_up: BTreeSet<Destination>,
}

fn outbox_key() -> Vec<u8> {
    keys::queue(&Project::none(), &QueueName::outbox())
}

/// The outbox of a store that has none yet.
pub(super) fn missing_outbox<'a>() -> TargetQueue<'a> {
    TargetQueue::Missing { project: Project::none(), name: QueueName::outbox(), number: Some(OUTBOX) }
}

/// How dead letters get from a pool's store to a dead-letter queue.
pub(super) enum Delivery {
    /// The dead-letter queue is in the same store.
    SameStore(CachedSide),
    /// Through the outbox, with the store that they are assigned to, if known.
    Outbox(Option<[u8; 16]>),
}

impl Delivery {
    /// What the header of an entry in the outbox names; `None` for a queue in the same store.
    pub(super) fn destination(&self, project: &Project, queue: &QueueName) -> Option<(Destination, Option<[u8; 16]>)> {
        match self {
            Self::SameStore(_) => None,
            Self::Outbox(assigned) => Some((Destination::of(project, queue), *assigned)),
        }
    }
}

impl Store {
    pub(super) fn outbox(&self) -> Option<Arc<QueueSlot>> {
        self.directory.read().names.get(&outbox_key()).cloned()
    }

    /// The number of dead letters on their way to other stores.
    pub(crate) fn in_transit(&self) -> u64 {
        // As far as the outboxes can be read.
        let count = |outbox: Arc<QueueSlot>| Some(self.lock(&outbox).ok()??.totals().total);
        self.outbox().and_then(count).unwrap_or(0)
    }
}

impl Shared {
    /// The pool of a dead-letter queue, which is created if it is missing.
    pub(super) fn dead_letter_pool(&self, project: &Project, queue: &QueueName) -> Result<(Route, Arc<Pool>)> {
        loop {
            if let Some(route) = self.route(&keys::queue(project, queue))? {
                let pool = self.pool_of(&route)?;
                return Ok((route, pool));
            }
            let metadata = self.control.described(project, queue)?;
            let metadata = metadata.map_or_else(Metadata::new, |description| description.metadata.clone());
            self.register_in(project, queue, &metadata, None, false)?;
            self.recount(&keys::queue(project, queue));
        }
    }

    /// How dead letters get from that pool's store to a dead-letter queue, which is created if it is missing.
    pub(super) fn dead_letter_delivery(&self, from: &Pool, project: &Project, queue: &QueueName) -> Result<Delivery> {
        let Ok((route, pool)) = self.dead_letter_pool(project, queue) else { return Ok(Delivery::Outbox(None)) };
        // A queue that is being moved gets its dead letters afterwards. Those in the outbox may have the same
        // destination and come first.
        if pool.engine().is_same(from.engine())
            && !route.is_moving()
            && from.store().in_transit() == 0
            && let Side::There(slot) = self.made_side(&pool, &route)?
        {
            return Ok(Delivery::SameStore(CachedSide { route, pool, slot }));
        }
        Ok(Delivery::Outbox(Some(pool.store().id())))
    }

    /// Delivers the dead letters of every open store. Returns the first failure, after an attempt on every store.
    pub(super) fn deliver_all(&self) -> Result<()> {
        let engines = self.engines();
        let mut outcome = Ok(());
        for engine in &engines {
            outcome = outcome.and(self.deliver_from(engine));
        }
        outcome.and(forget_delivered(&engines))
    }

    fn deliver_from(&self, source: &Engine) -> Result<()> {
        // Reassigned dead letters are behind those that the pass has seen. A pass that reassigns nothing is the last.
        loop {
            self.check_open()?;
            let mut pass = Pass::default();
            self.walk(source, &mut pass)?;
            if pass.reassigned.is_empty() {
                return Ok(());
            }
        }
    }

    fn walk(&self, source: &Engine, pass: &mut Pass) -> Result<()> {
        let mut outcome = Ok(());
        let mut after = None;
        loop {
            let entries = gather(source.store(), after, entry_at)?;
            let Some(last) = entries.last() else { return outcome };
            after = Some(last.sequence);
            // Dead letters of a claim that a power cut removes must not have been delivered.
            source.store().wait_durable(source.store().journal.appended(), Durability::Sync)?;
            let mut rest = entries.as_slice();
            while let Some(first) = rest.first() {
                let alike = |entry: &&OutboxEntry| {
                    (&entry.header.destination, entry.header.assigned)
                        == (&first.header.destination, first.header.assigned)
                };
                let (group, others) = rest.split_at(rest.iter().take_while(alike).count());
                rest = others;
                if pass.held_up.contains(&first.header.destination) {
                    continue;
                }
                let delivered = self.deliver(source, group, pass);
                if !matches!(delivered, Ok(true)) {
                    pass.held_up.insert(first.header.destination.clone());
                }
                outcome = outcome.and(delivered.map(drop));
            }
        }
    }

    /// Delivers dead letters with the same destination, or assigns them to another store. False if their route has
    /// changed meanwhile: the delivery is repeated later.
    fn deliver(&self, source: &Engine, entries: &[OutboxEntry], pass: &mut Pass) -> Result<bool> {
        let Some(first) = entries.first() else { return Ok(true) };
        let (project, queue) = first.header.destination.name()?;
        let (route, pool) = self.dead_letter_pool(&project, &queue)?;
        if pass.reassigned.get(&first.header.destination).is_some_and(|end| first.sequence < *end) {
            // They were read from the outbox before they were reassigned, and are at its end now.
            return Ok(true);
        }
        let assigned = Some(pool.store().id());
        if first.header.assigned != assigned {
            // All dead letters of the destination, so that they arrive in the order in which they left.
            self.delete_stored(source, &first.header.destination)?;
            let end = assign(source.store(), &first.header.destination, assigned)?;
            pass.reassigned.insert(first.header.destination.clone(), end);
            return Ok(true);
        }
        let Side::There(slot) = self.made_side(&pool, &route)? else { return Ok(false) };
        let Some(stored) = self.store_entries(source, &CachedSide { route, pool: pool.clone(), slot }, entries)? else {
            return Ok(false);
        };
        self.control.store().wake(&project, &queue, stored);
        confirm(source.store(), entries)?;
        forget(pool.store(), entries.iter().map(|entry| entry.header.source).collect())?;
        Ok(true)
    }

    /// Stores dead letters in the side of their queue, durably; returns how many of them were new. `None` if the route
    /// has changed meanwhile.
    fn store_entries(&self, source: &Engine, side: &CachedSide, entries: &[OutboxEntry]) -> Result<Option<usize>> {
        let Some(mut target) = self.lock_side(side, Access::Fill)? else { return Ok(None) };
        let stored = receive(&mut target, source.store().id(), entries)?;
        drop(target);
        let store = side.pool.store();
        store.wait_durable(store.journal.appended(), Durability::Sync)?;
        Ok(Some(stored))
    }

    /// Deletes the dead letters of a destination that their assigned stores already have. Fails if one of these stores
    /// cannot be reached.
    fn delete_stored(&self, source: &Engine, destination: &Destination) -> Result<()> {
        let mut by_store: BTreeMap<[u8; 16], Vec<(u64, Source)>> = BTreeMap::new();
        for header in headers(source.store()) {
            let (sequence, header) = header?;
            if let Some(assigned) = header.assigned.filter(|_| header.destination == *destination) {
                by_store.entry(assigned).or_default().push((sequence, header.source));
            }
        }
        for (store, entries) in by_store {
            // A store that is no pool any more has no queue for them.
            let Some(target) = self.engine_of(store)? else { continue };
            let stored: Vec<(u64, Source)> = {
                let registry = target.store().registry.read();
                entries.into_iter().filter(|(_, id)| registry.has_received(*id)).collect()
            };
            if !stored.is_empty() {
                target.store().wait_durable(target.store().journal.appended(), Durability::Sync)?;
                delete(source.store(), stored.iter().map(|(sequence, _)| *sequence))?;
                forget(target.store(), stored.iter().map(|(_, id)| *id).collect())?;
            }
        }
        Ok(())
    }

    /// The open store with that id; `None` if no pool has it; an error if that is unknown.
    fn engine_of(&self, store: [u8; 16]) -> Result<Option<Engine>> {
        let is_it = |engine: &Engine| engine.store().id() == store;
        if is_it(&self.control) {
            return Ok(Some(self.control.clone()));
        }
        let mut unknown = Ok(None);
        for (_, pool) in self.all_pools() {
            match pool {
                Ok(pool) if is_it(pool.engine()) => return Ok(Some(pool.engine().clone())),
                Ok(_) => {}
                Err(error) => unknown = Err(error),
            }
        }
        unknown
    }
}

/// Removes the notes of dead letters whose source, which is open, does not have them any more. A run that ended between
/// the last two steps has left these notes. A source of whose outbox a page cannot be read may have them, and may read
/// them later.
fn forget_delivered(engines: &[Engine]) -> Result<()> {
    for target in engines {
        let noted: Vec<(Source, [u8; 16])> = {
            let registry = target.store().registry.read();
            let rows = registry.received.iter();
            rows.filter_map(|(key, from)| Some((keys::parse_received(key)?, *from))).collect()
        };
        for source in engines {
            let from = source.store().id();
            let mut noted: BTreeSet<Source> =
                noted.iter().filter(|(_, store)| *store == from).map(|(id, _)| *id).collect();
            if noted.is_empty() {
                continue;
            }
            for waiting in ids(source.store()) {
                noted.remove(&waiting?);
            }
            if !noted.is_empty() && !has_damaged_outbox(source.store())? {
                source.store().wait_durable(source.store().journal.appended(), Durability::Sync)?;
                forget(target.store(), noted.into_iter().collect())?;
            }
        }
    }
    Ok(())
}

fn has_damaged_outbox(store: &Store) -> Result<bool> {
    let Some(outbox) = store.outbox() else { return Ok(false) };
    Ok(store.lock(&outbox)?.is_some_and(|queue| queue.has_damage()))
}

/// Reads a batch of dead letters from a store's outbox, after `after`, and applies `make` to them. A dead letter that
/// cannot be read is an error only if it is the first of the batch.
fn gather<T>(store: &Store, after: Option<u64>, make: impl Fn(&Page, usize) -> Option<T>) -> Result<Vec<T>> {
    let Some(outbox) = store.outbox() else { return Ok(Vec::new()) };
    let Some(queue) = store.lock(&outbox)? else { return Ok(Vec::new()) };
    let (mut gathered, mut bytes) = (Vec::new(), 0_usize);
    for place in queue.claimable_after(after) {
        let (page, index) = match place {
            Err(error) if gathered.is_empty() => return Err(error),
            Err(_) => break,
            Ok(place) => place,
        };
        bytes = bytes.saturating_add(
            page.slot(index).map_or(0, |slot| page.body(slot).len().saturating_add(page.envelope(slot).len())),
        );
        if gathered.len() >= BATCH || (bytes > BATCH_BYTES && !gathered.is_empty()) {
            break;
        }
        gathered.extend(make(page, index));
    }
    Ok(gathered)
}

fn entry_at(page: &Page, index: usize) -> Option<OutboxEntry> {
    let mut message = DeadLetter::copied(page, index)?;
    let (header, start) = OutboxHeader::split(&message.body)?;
    message.body = message.body.get(start..)?.to_vec().into();
    Some(OutboxEntry { sequence: page.sequence(index), header, message })
}

/// The headers of the dead letters in a store's outbox. An unreadable one is an error and ends the iterator.
fn headers(store: &Store) -> impl Iterator<Item = Result<(u64, OutboxHeader)>> {
    // The sequence to continue after; none at the end.
    let mut after: Option<Option<u64>> = Some(None);
    let portions = std::iter::from_fn(move || {
        let portion = match gather(store, after.take()?, header_at) {
            Ok(portion) => portion.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        after = portion.last().and_then(|last| last.as_ref().ok()).map(|(sequence, _): &(u64, _)| Some(*sequence));
        (!portion.is_empty()).then_some(portion)
    });
    portions.flatten()
}

fn header_at(page: &Page, index: usize) -> Option<(u64, OutboxHeader)> {
    Some((page.sequence(index), OutboxHeader::split(page.body(page.slot(index)?))?.0))
}

/// The source ids of all dead letters in a store's outbox.
fn ids(store: &Store) -> impl Iterator<Item = Result<Source>> {
    headers(store).map(|header| Ok(header?.1.source))
}

/// Stores dead letters in their queue, except those it has already; returns how many.
fn receive(target: &mut Locked<'_>, from: [u8; 16], entries: &[OutboxEntry]) -> Result<usize> {
    let mut registry = target.store().lock_registry();
    let new: Vec<&OutboxEntry> = entries.iter().filter(|entry| !registry.has_received(entry.header.source)).collect();
    if new.is_empty() {
        return Ok(0);
    }
    let received = Received {
        queue: target.number(),
        first: target.allot_here(new.len())?,
        from,
        sources: new.iter().map(|entry| entry.header.source).collect(),
        messages: new.iter().map(|entry| entry.message.clone()).collect(),
    };
    registry.record(Growth::Grows, &Op::Receive(received), &mut [target.state()])?;
    Ok(new.len())
}

/// Removes delivered dead letters from the outbox, durably.
fn confirm(source: &Store, entries: &[OutboxEntry]) -> Result<()> {
    delete(source, entries.iter().map(|entry| entry.sequence))
}

fn delete(source: &Store, sequences: impl Iterator<Item = u64>) -> Result<()> {
    let Some(outbox) = source.outbox() else { return Ok(()) };
    let Some(mut queue) = source.lock(&outbox)? else { return Ok(()) };
    let lsn = queue.record(Growth::Frees, &Op::Delete { queue: OUTBOX, messages: sequences.collect() })?;
    drop(queue);
    source.wait_durable(lsn, Durability::Sync)
}

fn forget(target: &Store, sources: Vec<Source>) -> Result<()> {
    let op = Op::Registry(Change::Forget { sources });
    target.lock_registry().record(Growth::Frees, &op, &mut []).map(drop)
}

/// Assigns the dead letters of a destination to another store: one operation moves them to the end of the outbox.
/// Returns a sequence that is above their former ones and not above their new ones.
fn assign(source: &Store, destination: &Destination, assigned: Option<[u8; 16]>) -> Result<u64> {
    let Some(outbox) = source.outbox() else { return Ok(0) };
    let Some(mut queue) = source.lock(&outbox)? else { return Ok(0) };
    let (mut moved, mut messages, mut bytes) = (Sequences::default(), Vec::new(), 0_usize);
    for place in queue.claimable_after(None) {
        let (page, index) = place?;
        let Some(one) = entry_at(page, index).filter(|one| one.header.destination == *destination) else { continue };
        let mut message = one.message;
        OutboxHeader { source: one.header.source, destination: destination.clone(), assigned }
            .prepend_to(&mut message)?;
        bytes = bytes.saturating_add(message.size());
        moved.push(one.sequence);
        messages.push(message);
        if bytes >= BATCH_BYTES {
            break;
        }
    }
    let end = queue.next();
    if messages.is_empty() {
        return Ok(end);
    }
    let first = queue.allot_here(messages.len())?;
    let dead = DeadLetters { target: OUTBOX, create: None, first, messages };
    let claim = NewClaim {
        queue: OUTBOX,
        claim: [0; 16],
        ttl: 0,
        grace: 0,
        slack: 0,
        taken: Sequences::default(),
        moved,
        dead: Some(dead),
        lacks: 0,
    };
    let lsn = queue.record(Growth::Leases, &Op::Claim(claim))?;
    drop(queue);
    source.wait_durable(lsn, Durability::Sync)?;
    Ok(end)
}
