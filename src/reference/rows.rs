//! The model's data beside its queues.

use std::time::Duration;

use super::queue::MessageModel;
use super::store_location::StoreLocation;
use crate::model::time::millis;
use crate::model::{
    Flavor, FlavorName, Metadata, PoolGroup, Project, QueueName, Subscriber, Subscription, SubscriptionId,
    SubscriptionUpdate, Timestamp,
};

pub(super) struct FlavorModel {
    pub(super) pool_group: PoolGroup,
    pub(super) capabilities: Metadata,
}

impl FlavorModel {
    /// The flavor as a caller sees it.
    pub(super) fn record(&self, name: &FlavorName, detailed: bool) -> Flavor {
        Flavor {
            name: name.clone(),
            pool_group: self.pool_group.clone(),
            capabilities: detailed.then(|| self.capabilities.clone()),
        }
    }
}

/// The queue, and the location, whose subscriptions a call selects.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) project: &'a Project,
    pub(super) queue: &'a QueueName,
    pub(super) location: &'a StoreLocation,
}

pub(super) struct SubscriptionModel {
    pub(super) location: StoreLocation,
    pub(super) project: Project,
    pub(super) queue: QueueName,
    pub(super) id: SubscriptionId,
    pub(super) subscriber: Subscriber,
    /// In milliseconds, as shown.
    pub(super) ttl: u64,
    pub(super) created: Timestamp,
    pub(super) expires: Timestamp,
    pub(super) options: Metadata,
    pub(super) confirmed: bool,
}

impl SubscriptionModel {
    pub(super) fn is_of(&self, owner: Owner<'_>) -> bool {
        self.project == *owner.project && self.queue == *owner.queue && self.location == *owner.location
    }

    pub(super) fn renew(&mut self, ttl: Duration, now: Timestamp) {
        self.ttl = millis(ttl);
        self.expires = now.saturating_add(ttl);
    }

    pub(super) fn change(&mut self, update: &SubscriptionUpdate, now: Timestamp) {
        if let Some(subscriber) = &update.subscriber {
            self.subscriber = subscriber.clone();
        }
        if let Some(ttl) = update.ttl {
            self.renew(ttl, now);
        }
        if let Some(options) = &update.options {
            self.options = options.clone();
        }
    }

    /// The subscription as a caller sees it.
    pub(super) fn record(&self, now: Timestamp) -> Subscription {
        Subscription {
            id: self.id,
            source: self.queue.clone(),
            subscriber: self.subscriber.clone(),
            ttl: self.ttl,
            created: self.created,
            read_at: now,
            options: self.options.clone(),
            confirmed: self.confirmed,
        }
    }
}

/// A message for a dead-letter queue that has no pool yet.
pub(super) struct Transit {
    /// The location where it waits: that of the queue it was claimed from.
    pub(super) from: StoreLocation,
    pub(super) project: Project,
    pub(super) queue: QueueName,
    pub(super) message: MessageModel,
}
