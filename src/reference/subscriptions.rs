//! The subscription controller of the model: contract 8.

use std::time::Duration;

use super::rows::{Owner, SubscriptionModel};
use super::store_location::StoreLocation;
use super::{ReferenceModel, Store};
use crate::contract::Subscriptions;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::{
    ListOptions, Metadata, Page, Project, QueueName, Subscriber, Subscription, SubscriptionId, SubscriptionMarker,
    SubscriptionUpdate, Timestamp,
};

impl Store {
    /// The live subscriptions of the queue, in the order of creation.
    fn subscribed(&self, owner: Owner<'_>, now: Timestamp) -> impl Iterator<Item = &SubscriptionModel> {
        self.subscriptions.iter().filter(move |one| one.is_of(owner) && now < one.expires)
    }

    fn with_subscriber(&self, owner: Owner<'_>, subscriber: &Subscriber, now: Timestamp) -> Option<&SubscriptionModel> {
        self.subscribed(owner, now).find(|one| one.subscriber == *subscriber)
    }

    fn subscription_mut(
        &mut self,
        owner: Owner<'_>,
        id: &SubscriptionId,
        now: Timestamp,
    ) -> Result<&mut SubscriptionModel> {
        let mut all = self.subscriptions.iter_mut();
        let found = all.find(|one| one.is_of(owner) && one.id == *id && now < one.expires);
        found.ok_or_else(|| no_subscription(owner.project, owner.queue, *id))
    }

    pub(super) fn is_subscribed(&self, owner: Owner<'_>, now: Timestamp) -> bool {
        self.subscribed(owner, now).next().is_some()
    }

    /// Moves the queue's subscriptions to another location, where they replace those of the same subscribers.
    pub(super) fn relocate_subscriptions(&mut self, owner: Owner<'_>, there: &StoreLocation, now: Timestamp) {
        let carried: Vec<Subscriber> = self.subscribed(owner, now).map(|one| one.subscriber.clone()).collect();
        let target = Owner { location: there, ..owner };
        self.subscriptions.retain(|one| !one.is_of(target) || !carried.contains(&one.subscriber));
        let all = self.subscriptions.iter_mut().filter(|one| one.is_of(owner));
        all.for_each(|one| one.location.clone_from(there));
    }

    /// Drops the queue's subscriptions; returns how many were live.
    pub(super) fn clear_subscriptions(&mut self, owner: Owner<'_>, now: Timestamp) -> u64 {
        let count = self.subscribed(owner, now).count() as u64;
        self.subscriptions.retain(|one| !one.is_of(owner));
        count
    }

    /// Drops the expired subscriptions of a location, and returns how many.
    pub(super) fn drop_expired_subscriptions(&mut self, location: &StoreLocation, now: Timestamp) -> u64 {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|one| one.location != *location || now < one.expires);
        before.saturating_sub(self.subscriptions.len()) as u64
    }
}

impl Subscriptions for ReferenceModel {
    fn create(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
        ttl: Duration,
        options: &Metadata,
    ) -> Result<Option<SubscriptionId>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_subscription(Some(subscriber), Some(ttl), Some(options))?;
        check_times(now, "ttl", &[ttl])?;
        let location = store.subscriptions_location(project, queue, now)?;
        if store.with_subscriber(Owner { project, queue, location: &location }, subscriber, now).is_some() {
            return Ok(None);
        }
        store.subscriptions_made = store.subscriptions_made.saturating_add(1);
        let id = SubscriptionId::numbered(store.subscriptions_made, 0);
        let mut new = SubscriptionModel {
            location,
            project: project.clone(),
            queue: queue.clone(),
            id,
            subscriber: subscriber.clone(),
            ttl: 0,
            created: now,
            expires: now,
            options: options.clone(),
            confirmed: false,
        };
        new.renew(ttl, now);
        store.subscriptions.push(new);
        Ok(Some(id))
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<Subscription> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let location = store.subscriptions_location(project, queue, now)?;
        Ok(store.subscription_mut(Owner { project, queue, location: &location }, id, now)?.record(now))
    }

    fn exists(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<bool> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let location = store.subscriptions_location(project, queue, now)?;
        Ok(store.subscription_mut(Owner { project, queue, location: &location }, id, now).is_ok())
    }

    fn list(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<SubscriptionMarker>,
    ) -> Result<Page<Subscription, SubscriptionMarker>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_page_limit(options.limit)?;
        let location = store.subscriptions_location(project, queue, now)?;
        let items: Vec<_> = store
            .subscribed(Owner { project, queue, location: &location }, now)
            .filter(|one| options.marker.is_none_or(|marker| marker < one.id.into()))
            .take(options.most())
            .map(|one| one.record(now))
            .collect();
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
        let (mut store, now) = self.enter_queue(project, queue)?;
        update.check_not_empty()?;
        self.limits.check_subscription(update.subscriber.as_ref(), update.ttl, update.options.as_ref())?;
        let location = store.subscriptions_location(project, queue, now)?;
        let owner = Owner { project, queue, location: &location };
        store.subscription_mut(owner, id, now)?;
        check_times(now, "ttl", &[update.ttl.unwrap_or_default()])?;
        let twin = update.subscriber.as_ref().and_then(|new| store.with_subscriber(owner, new, now));
        if twin.is_some_and(|twin| twin.id != *id) {
            return Err(Error::SubscriptionAlreadyExists { project: project.clone(), queue: queue.clone() });
        }
        store.subscription_mut(owner, id, now)?.change(update, now);
        Ok(())
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &SubscriptionId) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let location = store.subscriptions_location(project, queue, now)?;
        let owner = Owner { project, queue, location: &location };
        store.subscriptions.retain(|one| !one.is_of(owner) || one.id != *id);
        Ok(())
    }

    fn confirm(&self, project: &Project, queue: &QueueName, id: &SubscriptionId, confirmed: bool) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let location = store.subscriptions_location(project, queue, now)?;
        store.subscription_mut(Owner { project, queue, location: &location }, id, now)?.confirmed = confirmed;
        Ok(())
    }

    fn get_with_subscriber(
        &self,
        project: &Project,
        queue: &QueueName,
        subscriber: &Subscriber,
    ) -> Result<Option<Subscription>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let location = store.subscriptions_location(project, queue, now)?;
        let found = store.with_subscriber(Owner { project, queue, location: &location }, subscriber, now);
        Ok(found.map(|one| one.record(now)))
    }
}

fn no_subscription(project: &Project, queue: &QueueName, id: SubscriptionId) -> Error {
    Error::SubscriptionDoesNotExist { project: project.clone(), queue: queue.clone(), id }
}
