//! Moving a queue with its content from one pool to another.
//!
//! | Step | If the process ends after it |
//! |---|---|
//! | the control store records the move; from here on the queue takes no changes | the copy in the target is removed |
//! | the target takes in messages, claims and subscriptions, and is synced | the same |
//! | the control store maps the queue to the target, and notes the removal for the source | the move is complete |
//! | the source removes its side | – |
//!
//! Ids, claims and markers stay valid: the queue's number and sequences move too, and the target's
//! sequences continue above them.

use std::sync::Arc;

use crate::control::next_incarnation;
use crate::data::backend::Access;
use crate::data::queues::missing;
use crate::model::error::{Error, Result};
use crate::model::{Durability, PoolName, Project, QueueName};
use crate::state::op::{Address, Change, Import, ImportedPage, Op};
use crate::state::page::PageRecord;
use crate::state::{Claim, FrozenPage, FrozenQueue, Hold, Mapping, SubscriptionRow};
use crate::storage::journal::Growth;
use crate::store::{QueueSlot, Store};

use super::PooledDriver;
use super::pool::Pool;
use super::routes::{Route, moving};
use super::shared::Shared;
use super::sides::Side;

/// The approximate bytes of one operation of a copy, if its first item is not larger, and the most claims or
/// subscriptions in it.
pub(super) const PORTION_BYTES: usize = 1 << 20;
pub(super) const PORTION_ROWS: usize = 256;

impl PooledDriver {
    /// Moves a queue with its messages, claims and subscriptions to another pool. Ids, claims and
    /// markers stay valid. If the queue is in that pool already, nothing happens. One move runs at a
    /// time.
    ///
    /// Until the queue is in its new pool, reads continue, and changes fail with
    /// [`Moving`](crate::Error::Moving) ([`is_busy`](crate::Error::is_busy)).
    ///
    /// Cost: O(content of the queue): all of it is written once and synced.
    ///
    /// Durability: durable when the call returns, whatever the driver's durability.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) for the queue, its catalogue entry or the pool;
    /// [`is_invalid`](crate::Error::is_invalid) if the new pool has data of the queue from an
    /// earlier time; [`is_busy`](crate::Error::is_busy) if one of the stores cannot be reached, the
    /// queue's catalogue entry changes meanwhile, an earlier move has not been cleaned up yet, or
    /// memory or the journal of the target is full for [`busy_timeout`](crate::Config::busy_timeout);
    /// [`is_full`](crate::Error::is_full) if the target's disk is full; the errors of
    /// [every change](crate::DataDriver#errors-of-every-call). After an error the queue is in its
    /// former pool, unless [`is_outcome_unknown`](crate::Error::is_outcome_unknown).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// let (one, two) = (PoolName::new("one")?, PoolName::new("two")?);
    /// driver.pools().create(&one, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// driver.pools().create(&two, &NewPool::new("sled:/mnt/two".parse()?).weight(0))?;
    /// # let orders = driver.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let ids = orders.post(ClientId::random(), &[NewMessage::new("coffee")])?;
    /// driver.move_queue(orders.project(), orders.name(), &two)?;
    /// assert_eq!(orders.get(&ids[0])?.body().as_bytes(), b"coffee");
    /// assert_eq!(Catalogue::get(&driver, orders.project(), orders.name())?.pool(), &two);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn move_queue(&self, project: &Project, queue: &QueueName, to: &PoolName) -> Result<()> {
        let _call = self.shared().enter_queue(project, queue)?;
        self.shared().try_move_subscriptions(&crate::storage::keys::queue(project, queue));
        self.shared().move_queue(project, queue, to)
    }
}

/// The move of one queue.
struct QueueMove<'a> {
    shared: &'a Shared,
    project: &'a Project,
    queue: &'a QueueName,
    route: Route,
    from: Arc<Pool>,
    to: Arc<Pool>,
}

/// Refuses changes of the queue until it is dropped, also by a panic; then its waiters look it up again.
struct MovingFlag<'a> {
    mapping: Arc<Mapping>,
    control: &'a Store,
    project: &'a Project,
    queue: &'a QueueName,
}

impl Drop for MovingFlag<'_> {
    fn drop(&mut self) {
        self.mapping.set_moving(false);
        self.control.wake_all_of(self.project, self.queue);
    }
}

impl Shared {
    fn move_queue(&self, project: &Project, queue: &QueueName, to: &PoolName) -> Result<()> {
        let _turn = self.turn.lock();
        let key = crate::storage::keys::queue(project, queue);
        let Some(route) = self.route(&key)? else {
            return Err(match self.control.store().find(project, queue)? {
                None => missing(project, queue),
                Some(_) => Error::QueueNotMapped { project: project.clone(), queue: queue.clone() },
            });
        };
        let Some(mapping) = route.mapping.clone() else {
            return Err(Error::QueueNotMapped { project: project.clone(), queue: queue.clone() });
        };
        let to = self.pool(to.as_str())?;
        if mapping.pool.as_str() == to.name {
            return Ok(());
        }
        let from = self.pool_of(&route)?;
        if self.has_leftover(&to.name, route.record.number) {
            self.remove_leftovers()?;
            // One that is for another store of the pool stays.
            if self.has_leftover(&to.name, route.record.number) {
                return Err(moving(project, queue));
            }
        }
        let queue_move = QueueMove { shared: self, project, queue, route, from, to };
        let moved = queue_move.run(&mapping);
        self.recount(&key);
        // The source's side is removed, or the copy of a failed move; if not now, then later.
        if self.remove_leftovers().is_err() {
            self.signal_relay();
        }
        moved
    }
}

impl QueueMove<'_> {
    fn run(&self, mapping: &Arc<Mapping>) -> Result<()> {
        let _moving = self.begin(mapping)?;
        // After this, the calls that checked the mapping before the flag was set have ended.
        drop(self.shared.moves.write());
        if !self.from.engine().is_same(self.to.engine()) {
            self.copy()?;
            // A message that is missing in the copy was moved by a claim. That claim is made
            // durable before the copy counts.
            self.from.store().wait_durable(self.from.store().journal.appended(), Durability::Sync)?;
            self.to.store().wait_durable(self.to.store().journal.appended(), Durability::Sync)?;
        }
        self.finish()
    }

    fn begin(&self, mapping: &Arc<Mapping>) -> Result<MovingFlag<'_>> {
        self.check_target()?;
        let control = self.shared.control.store();
        let mut registry = control.lock_registry();
        self.check_route()?;
        // Between pools of one store there is no copy to remove.
        if !self.from.engine().is_same(self.to.engine()) {
            let change = Change::BeginMove {
                address: Address::of(self.project, self.queue),
                queue: self.route.record.number,
                to: self.to.name.as_str().into(),
                store: self.to.lasting_store(),
            };
            let lsn = registry.record(Growth::Grows, &Op::Registry(change), &mut [])?;
            let moving = self.set_moving(mapping);
            drop(registry);
            control.wait_durable(lsn, Durability::Sync)?;
            return Ok(moving);
        }
        Ok(self.set_moving(mapping))
    }

    fn set_moving(&self, mapping: &Arc<Mapping>) -> MovingFlag<'_> {
        mapping.set_moving(true);
        let control = self.shared.control.store();
        MovingFlag { mapping: mapping.clone(), control, project: self.project, queue: self.queue }
    }

    /// Checks that the queue is still mapped to the source's pool. It has a mapping, so that takes no lock.
    fn check_route(&self) -> Result<()> {
        let holds = self.shared.holds(&self.route, &self.from, Access::Read)? && !self.to.is_retired();
        if holds { Ok(()) } else { Err(moving(self.project, self.queue)) }
    }

    /// Checks that the target has no content of the queue: a failed move could not distinguish that
    /// content from its copy.
    fn check_target(&self) -> Result<()> {
        if self.from.engine().is_same(self.to.engine()) {
            return Ok(());
        }
        let store = self.to.store();
        let messages = match self.shared.side(&self.to, &self.route)? {
            Side::There(slot) => {
                store.lock(&slot)?.is_some_and(|queue| queue.totals().total > 0 || queue.claims().len() > 0)
            }
            Side::Empty(_) | Side::Changed => false,
        };
        let (registry, _) = store.read_registry();
        if messages || !registry.subscriptions.page(&self.route.key, None, 1).is_empty() {
            let reason = "it has messages or subscriptions of the queue from when the queue was mapped to it before";
            return Err(Error::invalid("pool", reason));
        }
        Ok(())
    }

    /// Copies the content of the source to the target.
    fn copy(&self) -> Result<()> {
        let source = match self.shared.side(&self.from, &self.route)? {
            Side::There(slot) => Some(slot),
            Side::Empty(_) => None,
            Side::Changed => return Err(moving(self.project, self.queue)),
        };
        let locked = source.as_ref().map_or(Ok(None), |slot| self.from.store().lock(slot))?;
        let frozen = locked.map(|queue| FrozenQueue::of(&queue, queue.lsn()));
        let Side::There(target) = self.shared.made_side(&self.to, &self.route)? else {
            return Err(moving(self.project, self.queue));
        };
        if let Some(frozen) = frozen {
            self.copy_messages(&target, &frozen)?;
        }
        self.copy_subscriptions(&target)
    }

    fn copy_messages(&self, target: &Arc<QueueSlot>, frozen: &FrozenQueue) -> Result<()> {
        // Numbers that no claim of the target will have.
        let all = frozen.all_claims();
        let first = u64::MAX.saturating_sub(all.len() as u64);
        let numbers: Vec<u64> = all.keys().copied().collect();
        let renumbered = |number: u64| {
            let index = numbers.binary_search(&number).ok()?;
            Some(first.saturating_add(index as u64))
        };
        let claims: Vec<(u64, Claim)> =
            all.into_iter().filter_map(|(number, claim)| Some((renumbered(number)?, claim.clone()))).collect();
        for claims in portions(&claims, |(_, claim)| claim.sequences.runs().saturating_mul(size_of::<(u64, u32)>())) {
            self.import(target, Import { next: frozen.next, claims: claims.to_vec(), ..self.nothing() })?;
        }
        for portion in portions(&frozen.pages, FrozenPage::body_bytes) {
            let portion = portion.iter().map(|page| self.export(page, target.number, &renumbered));
            let portion = portion.collect::<Result<Vec<_>>>()?;
            self.to.store().wait_for_admission()?;
            self.import(target, Import { next: frozen.next, pages: portion, ..self.nothing() })?;
        }
        // Also without any content: the ids continue above the assigned ones.
        let FrozenQueue { next, expired, bucket, .. } = *frozen;
        self.import(target, Import { next, expired, bucket, ..self.nothing() })
    }

    /// A page as the target takes it in.
    fn export(
        &self,
        page: &FrozenPage,
        queue: u64,
        renumbered: &impl Fn(u64) -> Option<u64>,
    ) -> Result<ImportedPage<'static>> {
        let content = page.read(&self.from.store().budget, queue)?;
        let PageRecord { bodies_bytes, clients, slots, reasons } = page.record(&content);
        let slots = slots.into_iter().map(|(mut slot, hold)| match hold {
            Hold::Claimed => match renumbered(slot.hold) {
                Some(number) => {
                    slot.hold = number;
                    (slot, hold)
                }
                None => (slot, Hold::Lapsed),
            },
            Hold::Free | Hold::Delayed | Hold::Lapsed => (slot, hold),
        });
        let record = PageRecord { bodies_bytes, clients, slots: slots.collect(), reasons };
        Ok(ImportedPage { first: page.first, record, bodies: content.bodies().to_vec().into() })
    }

    fn copy_subscriptions(&self, target: &Arc<QueueSlot>) -> Result<()> {
        let mut after = None;
        loop {
            let rows: Vec<([u8; 16], SubscriptionRow)> = {
                let (registry, _) = self.from.store().read_registry();
                registry.subscriptions.portion(&self.route.key, after.as_ref(), PORTION_ROWS, PORTION_BYTES)
            };
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(*last);
            self.import(target, Import { subscriptions: rows, ..self.nothing() })?;
        }
    }

    /// An operation of the copy that copies nothing.
    fn nothing(&self) -> Import<'_> {
        Import {
            queue: self.route.record.number,
            next: 0,
            expired: 0,
            bucket: None,
            claims: Vec::new(),
            pages: Vec::new(),
            address: Address::of(self.project, self.queue),
            subscriptions: Vec::new(),
        }
    }

    fn import(&self, target: &Arc<QueueSlot>, import: Import<'_>) -> Result<()> {
        let store = self.to.store();
        let Some(mut queue) = store.lock(target)? else { return Err(moving(self.project, self.queue)) };
        let mut registry = store.lock_registry();
        registry.record(Growth::Grows, &Op::Import(import), &mut [queue.state()]).map(drop)
    }

    /// Maps the queue to the target.
    fn finish(&self) -> Result<()> {
        let control = self.shared.control.store();
        let mut registry = control.lock_registry();
        // The queue may have been unmapped with all others, or its pool may have another store.
        self.check_route()?;
        let least_incarnation = next_incarnation(control, &registry)?;
        let address = Address::of(self.project, self.queue);
        let (from, to) = (self.from.name.as_str().into(), self.to.name.as_str().into());
        let change = if self.from.engine().is_same(self.to.engine()) {
            Change::Map { address, pool: to, least_incarnation, queue: Some(self.route.record.number) }
        } else {
            let store = self.from.lasting_store();
            Change::FinishMove { address, queue: self.route.record.number, from, to, least_incarnation, store }
        };
        let lsn = registry.record(Growth::Frees, &Op::Registry(change), &mut [])?;
        drop(registry);
        control.wait_durable(lsn, Durability::Sync)
    }
}

/// Parts of `rows` in order, each of bounded size, or of one row that is larger.
fn portions<'a, T>(rows: &'a [T], bytes_of: impl Fn(&T) -> usize + 'a) -> impl Iterator<Item = &'a [T]> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0_usize;
        let fits = |row: &&T| {
            bytes = bytes.saturating_add(bytes_of(row));
            bytes <= PORTION_BYTES
        };
        let count = left.iter().take(PORTION_ROWS).take_while(fits).count().max(1);
        let (portion, rest) = left.split_at_checked(count)?;
        left = rest;
        Some(portion)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_bounded_and_none_is_left_out() {
        let sizes = |rows: &[usize]| -> Vec<usize> { portions(rows, |bytes| *bytes).map(<[usize]>::len).collect() };
        assert_eq!(sizes(&[]), [0_usize; 0]);
        assert_eq!(sizes(&[PORTION_BYTES, 1, PORTION_BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(sizes(&[PORTION_BYTES * 9, PORTION_BYTES * 9]), [1, 1]);
        assert_eq!(sizes(&vec![0; PORTION_ROWS + 1]), [PORTION_ROWS, 1]);
    }
}
