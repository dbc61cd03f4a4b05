//! The subscription controller (contract 8).

use std::time::Duration;

use crate::contract::Subscriptions;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::numbering::{first_of, incarnation_of};
use crate::model::time::millis;
use crate::model::{
    ListOptions, Metadata, Page, Project, QueueName, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate, Timestamp,
};
use crate::state::op::{Address, Change, Op};
use crate::state::{Registry, SubscriptionRow};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::Store;

use super::backend::{Access, Answer, Backend};

impl<S: Backend> Subscriptions for S {
    fn create(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
        ttl: Duration,
        options: &Metadata,
    ) -> Result<Option<SubscriptionId>> {
        let control_store = self.control_store();
        control_store.limits.check_subscription(Some(subscriber), Some(ttl), Some(options))?;
        check_times(Timestamp::from_millis(control_store.now()), "ttl", &[ttl])?;
        let created = self.with_subscriptions(project, queue, Access::Fill, |store, least| {
            let mut registry = store.lock_registry();
            check_times(Timestamp::from_millis(registry.now()), "ttl", &[ttl])?;
            if registry.subscriptions.of(&keys::queue(project, queue), subscriber.as_str()).is_some() {
                return Ok(Answer::seen(None));
            }
            let id = new_id(store, &registry, least)?;
            self.note_subscription(id.number());
            let change = Change::Subscribe {
                address: Address::of(project, queue),
                id: *id.as_bytes(),
                subscriber: subscriber.as_str().into(),
                ttl: millis(ttl),
                options: options.to_json().into(),
            };
            let lsn = registry.record(Growth::Grows, &Op::Registry(change), &mut [])?;
            Ok(Answer::changed(Some(id), lsn))
        })?;
        Ok(created.flatten())
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<Subscription> {
        let key = keys::queue(project, queue);
        let found = self.with_subscriptions(project, queue, Access::Read, |store, _| {
            let (registry, now) = store.read_registry();
            let row = registry.subscriptions.get(&key, id.as_bytes());
            row.map(|row| record(queue, *id, row, now)).transpose().map(Answer::at_once)
        })?;
        found.flatten().ok_or_else(|| missing(project, queue, *id))
    }

    fn exists(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<bool> {
        let key = keys::queue(project, queue);
        let exists = self.with_subscriptions(project, queue, Access::Read, |store, _| {
            let (registry, _) = store.read_registry();
            Ok(Answer::at_once(registry.subscriptions.get(&key, id.as_bytes()).is_some()))
        })?;
        Ok(exists.unwrap_or(false))
    }

    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<SubscriptionMarker>,
    ) -> Result<Page<Subscription, SubscriptionMarker>> {
        self.control_store().limits.check_page_limit(options.limit)?;
        let key = keys::queue(project, queue);
        let listed = self.with_subscriptions(project, queue, Access::Read, |store, _| {
            let (registry, now) = store.read_registry();
            let after = options.marker.as_ref().map(|marker| marker.0.as_bytes());
            let rows = registry.subscriptions.page(&key, after, options.most());
            let items = rows.into_iter().map(|(id, row)| record(queue, SubscriptionId::from_bytes(id), row, now));
            items.collect::<Result<Vec<_>>>().map(Answer::at_once)
        })?;
        let items = listed.unwrap_or_default();
        let next = items.last().map(Subscription::marker);
        Ok(Page { items, next })
    }

    fn update(
        &self,
        project: &Project,
        queue: &QueueName,
        id: &SubscriptionId,
        update: &SubscriptionUpdate,
    ) -> Result<()> {
        update.check_not_empty()?;
        let SubscriptionUpdate { subscriber, ttl, options } = update;
        self.control_store().limits.check_subscription(subscriber.as_ref(), *ttl, options.as_ref())?;
        let key = keys::queue(project, queue);
        let updated = self.with_subscriptions(project, queue, Access::Change, |store, _| {
            let mut registry = store.lock_registry();
            if registry.subscriptions.get(&key, id.as_bytes()).is_none() {
                return Err(missing(project, queue, *id));
            }
            check_times(Timestamp::from_millis(registry.now()), "ttl", ttl.as_slice())?;
            let holder = subscriber.as_ref().and_then(|new| registry.subscriptions.of(&key, new.as_str()));
            if holder.is_some_and(|holder| holder != *id.as_bytes()) {
                return Err(Error::SubscriptionAlreadyExists { project: project.clone(), queue: queue.clone() });
            }
            let change = Change::UpdateSubscription {
                address: Address::of(project, queue),
                id: *id.as_bytes(),
                subscriber: subscriber.as_ref().map(|subscriber| subscriber.as_str().into()),
                ttl: ttl.map(millis),
                options: options.as_ref().map(|options| options.to_json().into()),
            };
            Ok(Answer::changed((), registry.record(Growth::Grows, &Op::Registry(change), &mut [])?))
        })?;
        updated.map_or_else(|| self.wait_missing_durable(), Ok)
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<()> {
        let key = keys::queue(project, queue);
        let deleted = self.with_subscriptions(project, queue, Access::Change, |store, _| {
            let mut registry = store.lock_registry();
            if registry.subscriptions.get(&key, id.as_bytes()).is_none() {
                return Ok(Answer::seen(()));
            }
            let change = Change::Unsubscribe { address: Address::of(project, queue), id: *id.as_bytes() };
            Ok(Answer::changed((), registry.record(Growth::Frees, &Op::Registry(change), &mut [])?))
        })?;
        deleted.map_or_else(|| self.wait_missing_durable(), Ok)
    }

    fn confirm(&self, project: &Project, queue: &QueueName, id: &SubscriptionId, confirmed: bool) -> Result<()> {
        let key = keys::queue(project, queue);
        let done = self.with_subscriptions(project, queue, Access::Change, |store, _| {
            let mut registry = store.lock_registry();
            if registry.subscriptions.get(&key, id.as_bytes()).is_none() {
                return Err(missing(project, queue, *id));
            }
            let address = Address::of(project, queue);
            let change = Change::ConfirmSubscription { address, id: *id.as_bytes(), confirmed };
            Ok(Answer::changed((), registry.record(Growth::Frees, &Op::Registry(change), &mut [])?))
        })?;
        done.map_or_else(|| self.wait_missing_durable(), Ok)
    }

    fn get_with_subscriber(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
    ) -> Result<Option<Subscription>> {
        let key = keys::queue(project, queue);
        let found = self.with_subscriptions(project, queue, Access::Read, |store, _| {
            let (registry, now) = store.read_registry();
            let id = registry.subscriptions.of(&key, subscriber.as_str());
            let found = id.and_then(|id| Some((id, registry.subscriptions.get(&key, &id)?)));
            let record = found.map(|(id, row)| record(queue, SubscriptionId::from_bytes(id), row, now));
            record.transpose().map(Answer::at_once)
        })?;
        Ok(found.flatten())
    }
}

fn missing(project: &Project, queue: &QueueName, id: SubscriptionId) -> Error {
    Error::SubscriptionDoesNotExist { project: project.clone(), queue: queue.clone(), id }
}

fn record(queue: &QueueName, id: SubscriptionId, row: &SubscriptionRow, now: u64) -> Result<Subscription> {
    Ok(Subscription {
        id,
        source: queue.clone(),
        subscriber: Subscriber::new(&row.subscriber)?,
        ttl: row.ttl,
        created: Timestamp::from_millis(row.created),
        read_at: Timestamp::from_millis(now),
        options: Metadata::from_json(&row.options)?,
        confirmed: row.confirmed,
    })
}

/// An id after all ids that were assigned for the queue.
fn new_id(store: &Store, registry: &Registry, least: u64) -> Result<SubscriptionId> {
    let number = registry.next_subscription().max(first_of(store.incarnation())).max(least);
    // One short of the next incarnation's first, which would be another run's.
    if number.saturating_add(1) >= first_of(incarnation_of(number).saturating_add(1)) {
        return Err(Error::Exhausted { what: "the subscription ids of this incarnation" });
    }
    let (random, _) = store.random.uuid().as_u64_pair();
    Ok(SubscriptionId::numbered(number, random))
}
