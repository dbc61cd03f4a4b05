//! Short words for subscriptions.

use zaqar_sled::{
    ListOptions, Page, Result, Subscriber, Subscription, SubscriptionId, SubscriptionMarker, SubscriptionUpdate,
};

use super::{Queue, json, seconds};

impl Queue<'_> {
    /// A new subscription for an hour, without options.
    pub(crate) fn subscribe(&self, name: &str) -> SubscriptionId {
        self.subscribe_lasting(name, 3600)
    }

    pub(crate) fn subscribe_lasting(&self, name: &str, ttl: u64) -> SubscriptionId {
        self.try_subscribe(name, ttl, "{}").unwrap().expect("the subscriber is new")
    }

    pub(crate) fn try_subscribe(&self, name: &str, ttl: u64, options: &str) -> Result<Option<SubscriptionId>> {
        self.try_subscribe_for(&hook(name), ttl, options)
    }

    pub(crate) fn try_subscribe_for(
        &self,
        subscriber: &Subscriber,
        ttl: u64,
        options: &str,
    ) -> Result<Option<SubscriptionId>> {
        let (driver, options) = (self.driver(), json(options));
        driver.subscriptions().create(&self.project, &self.name, subscriber, seconds(ttl), &options)
    }

    pub(crate) fn subscription(&self, id: SubscriptionId) -> Result<Subscription> {
        self.driver().subscriptions().get(&self.project, &self.name, &id)
    }

    pub(crate) fn is_subscribed(&self, id: SubscriptionId) -> bool {
        self.driver().subscriptions().exists(&self.project, &self.name, &id).unwrap()
    }

    pub(crate) fn subscriptions(
        &self,
        options: &ListOptions<SubscriptionMarker>,
    ) -> Result<Page<Subscription, SubscriptionMarker>> {
        self.driver().subscriptions().list(&self.project, &self.name, options)
    }

    /// The names of the subscribers on that page.
    pub(crate) fn told_on(&self, options: &ListOptions<SubscriptionMarker>) -> Vec<String> {
        let page = self.subscriptions(options).unwrap();
        page.into_iter().map(|one| one.subscriber().as_str().trim_start_matches(HOOKS).to_owned()).collect()
    }

    /// The names of all subscribers.
    pub(crate) fn told(&self) -> Vec<String> {
        self.told_on(&ListOptions::new().limit(0))
    }

    pub(crate) fn change(&self, id: SubscriptionId, update: &SubscriptionUpdate) -> Result<()> {
        self.driver().subscriptions().update(&self.project, &self.name, &id, update)
    }

    pub(crate) fn unsubscribe(&self, id: SubscriptionId) -> Result<()> {
        self.driver().subscriptions().delete(&self.project, &self.name, &id)
    }

    pub(crate) fn confirm(&self, id: SubscriptionId, confirmed: bool) -> Result<()> {
        self.driver().subscriptions().confirm(&self.project, &self.name, &id, confirmed)
    }

    pub(crate) fn subscription_of(&self, name: &str) -> Option<Subscription> {
        self.driver().subscriptions().get_with_subscriber(&self.project, &self.name, &hook(name)).unwrap()
    }
}

/// The subscriber of that name.
pub(crate) fn hook(name: &str) -> Subscriber {
    Subscriber::new(format!("{HOOKS}{name}")).unwrap()
}

pub(crate) fn to(name: &str) -> SubscriptionUpdate {
    SubscriptionUpdate::new().subscriber(hook(name))
}

/// The id of a subscription that does not exist.
pub(crate) fn no_subscription() -> SubscriptionId {
    "00000000-00ff-8000-8000-000000000000".parse().unwrap()
}

const HOOKS: &str = "https://example.com/";
