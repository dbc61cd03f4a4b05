//! Subscriptions: the operations, their choice, and the calls on both.

use std::fmt::Debug;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use zaqar_sled::{ListOptions, Metadata, Subscriber, Subscription, SubscriptionId, SubscriptionMarker};

use crate::calls::{Pick, QueueRef, TOO_LONG, json, queue_refs};
use crate::pair::{Check, Pair, equal, same};

#[derive(Clone, Debug)]
pub(crate) enum SubscriptionOp {
    Create(Wish),
    /// And whether it exists.
    Get(Pick),
    List(Option<Pick>, usize),
    Update(Pick, Change),
    Delete(Pick),
    Confirm(Pick, bool),
    GetWithSubscriber(usize),
}

/// The subscriber, by number, the ttl and the options.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) subscriber: usize,
    pub(crate) ttl: u64,
    pub(crate) options: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) subscriber: Option<usize>,
    pub(crate) ttl: Option<u64>,
    pub(crate) options: Option<&'static str>,
}

/// One subscriber has a scheme that Zaqar does not know.
const SUBSCRIBERS: [&str; 4] = ["http://a.example/hook", "mailto:b@example.com", "trust+https://c.example", "gopher:d"];
const OPTIONS: [&str; 4] =
    ["{}", r#"{"retries": 3}"#, r#"{"b": 1.0, "a": {"$x.y": [null, true]}}"#, r#"{"wide": "Ä☃"}"#];

pub(crate) fn subscription_op() -> impl Strategy<Value = SubscriptionOp> {
    let marker = prop::option::weighted(0.6, subscription_pick());
    prop_oneof![
        9 => wish().prop_map(SubscriptionOp::Create),
        2 => subscription_pick().prop_map(SubscriptionOp::Get),
        3 => (marker, 0_usize..4).prop_map(|(marker, limit)| SubscriptionOp::List(marker, limit)),
        5 => (subscription_pick(), change()).prop_map(|(pick, change)| SubscriptionOp::Update(pick, change)),
        1 => subscription_pick().prop_map(SubscriptionOp::Delete),
        2 => (subscription_pick(), any::<bool>()).prop_map(|(pick, is)| SubscriptionOp::Confirm(pick, is)),
        2 => subscriber().prop_map(SubscriptionOp::GetWithSubscriber),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let wish = |(subscriber, ttl, options)| Wish { subscriber, ttl, options };
    (subscriber(), ttl(), select(OPTIONS.to_vec())).prop_map(wish)
}

fn change() -> impl Strategy<Value = Change> {
    let options = prop::option::weighted(0.3, select(OPTIONS.to_vec()));
    (prop::option::weighted(0.6, subscriber()), prop::option::weighted(0.4, ttl()), options)
        .prop_map(|(subscriber, ttl, options)| Change { subscriber, ttl, options })
}

fn subscriber() -> impl Strategy<Value = usize> {
    prop_oneof![9 => 0_usize..3, 1 => Just(3)]
}

fn ttl() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => select(vec![1_000, 5_000, 5_500, 7_000, 60_000, 60_001]),
        10 => select(vec![100_000, 3_600_000, 50_000_000]),
        1 => select(vec![0, 1, 999]),
        1 => Just(TOO_LONG),
    ]
}

fn subscription_pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        12 => (0_usize..4).prop_map(Pick::Live),
        5 => (0_usize..6).prop_map(Pick::Seen),
        2 => (0_usize..60).prop_map(Pick::Seen),
        1 => (0_usize..6).prop_map(Pick::Beyond),
        1 => Just(Pick::Unknown),
        1 => Just(Pick::Malformed),
    ]
}

impl Pair<'_> {
    pub(crate) fn call_subscriptions(&mut self, queue_ref: QueueRef, op: &SubscriptionOp) -> Check {
        match op {
            SubscriptionOp::Create(wish) => self.subscribe(queue_ref, wish),
            SubscriptionOp::Get(pick) => {
                let queue_ref = self.subscriptions.queue_of(queue_ref, *pick);
                let id = self.subscription(*pick);
                self.get_subscription(queue_ref, id)
            }
            SubscriptionOp::List(marker, limit) => {
                let marker = marker.map(|pick| self.subscription_marker(pick));
                self.list_subscriptions(queue_ref, marker, *limit)
            }
            SubscriptionOp::Update(pick, change) => self.update_subscription(queue_ref, *pick, change),
            SubscriptionOp::Delete(pick) => {
                let queue_ref = self.subscriptions.queue_of(queue_ref, *pick);
                let (project, name, id) = (queue_ref.project(), queue_ref.name(), self.subscription(*pick));
                self.each(
                    |engine| engine.subscriptions().delete(&project, &name, &id.0),
                    |model| model.subscriptions().delete(&project, &name, &id.1),
                    same,
                )
            }
            SubscriptionOp::Confirm(pick, is) => {
                let queue_ref = self.subscriptions.queue_of(queue_ref, *pick);
                let (project, name, id) = (queue_ref.project(), queue_ref.name(), self.subscription(*pick));
                self.each(
                    |engine| engine.subscriptions().confirm(&project, &name, &id.0, *is),
                    |model| model.subscriptions().confirm(&project, &name, &id.1, *is),
                    same,
                )
            }
            SubscriptionOp::GetWithSubscriber(subscriber) => self.find_subscriber(queue_ref, *subscriber),
        }
    }

    fn subscribe(&mut self, queue_ref: QueueRef, wish: &Wish) -> Check {
        let (project, name, options) = (queue_ref.project(), queue_ref.name(), json(wish.options));
        let (subscriber, ttl) = (subscriber_of(wish.subscriber), Duration::from_millis(wish.ttl));
        self.both(
            |driver| driver.subscriptions().create(&project, &name, &subscriber, ttl, &options),
            |pair, engine, model| match (engine, model) {
                (Some(engine), Some(model)) => {
                    let last = pair.last_before();
                    if last.is_some_and(|last| last >= *engine) {
                        return Err(format!("{engine} is not after {last:?}, which was made before"));
                    }
                    pair.subscriptions.meet(pair.queue_ref, *engine, *model)
                }
                (engine, model) => equal(engine, model),
            },
        )
    }

    fn update_subscription(&mut self, queue_ref: QueueRef, pick: Pick, change: &Change) -> Check {
        let queue_ref = self.subscriptions.queue_of(queue_ref, pick);
        let (project, name, id) = (queue_ref.project(), queue_ref.name(), self.subscription(pick));
        let mut update = zaqar_sled::SubscriptionUpdate::new();
        update.subscriber = change.subscriber.map(subscriber_of);
        update.ttl = change.ttl.map(Duration::from_millis);
        update.options = change.options.map(json);
        self.each(
            |engine| engine.subscriptions().update(&project, &name, &id.0, &update),
            |model| model.subscriptions().update(&project, &name, &id.1, &update),
            same,
        )
    }

    fn find_subscriber(&mut self, queue_ref: QueueRef, subscriber: usize) -> Check {
        let (project, name, subscriber) = (queue_ref.project(), queue_ref.name(), subscriber_of(subscriber));
        self.both(
            |driver| driver.subscriptions().get_with_subscriber(&project, &name, &subscriber),
            |pair, engine: &Option<Subscription>, model: &Option<Subscription>| match (engine, model) {
                (Some(engine), Some(model)) => pair.subscribed(engine, model),
                (engine, model) => equal(engine, model),
            },
        )
    }

    fn get_subscription(&mut self, queue_ref: QueueRef, id: (SubscriptionId, SubscriptionId)) -> Check {
        let (project, name) = (queue_ref.project(), queue_ref.name());
        self.each(
            |engine| engine.subscriptions().exists(&project, &name, &id.0),
            |model| model.subscriptions().exists(&project, &name, &id.1),
            same,
        )?;
        self.each(
            |engine| engine.subscriptions().get(&project, &name, &id.0),
            |model| model.subscriptions().get(&project, &name, &id.1),
            Self::subscribed,
        )
    }

    fn list_subscriptions(
        &mut self,
        queue_ref: QueueRef,
        marker: Option<(SubscriptionMarker, SubscriptionMarker)>,
        limit: usize,
    ) -> Check {
        self.queue_ref = queue_ref;
        let (project, name) = (queue_ref.project(), queue_ref.name());
        let options = |marker: Option<SubscriptionMarker>| ListOptions::new().marker(marker).limit(limit);
        let (engines, models) = (options(marker.map(|marker| marker.0)), options(marker.map(|marker| marker.1)));
        self.each(
            |engine| engine.subscriptions().list(&project, &name, &engines),
            |model| model.subscriptions().list(&project, &name, &models),
            |pair, engine, model| {
                let is_last = |items: &[Subscription], next| equal(items.last().map(Subscription::marker), next);
                is_last(&engine.items, engine.next)?;
                is_last(&model.items, model.next)?;
                equal(engine.items.len(), model.items.len())?;
                let both = engine.items.iter().zip(&model.items);
                both.into_iter().try_for_each(|(engine, model)| pair.subscribed(engine, model))
            },
        )
    }

    /// Compares everything that can be seen of subscriptions: those of each queue, and each by its id, live or expired.
    pub(crate) fn compare_subscriptions(&mut self, limit: usize) -> Check {
        for queue_ref in queue_refs() {
            self.list_subscriptions(queue_ref, None, limit)?;
        }
        let first_queues = self.subscriptions.first_queues.clone();
        for (id, queue_ref) in self.subscriptions.seen.clone().into_iter().zip(first_queues) {
            self.named = vec![(id.0.to_string(), id.1.to_string())];
            self.get_subscription(queue_ref, id)?;
        }
        Ok(())
    }

    /// The highest id so far, in any store. A new subscription's id must be above it.
    fn last_before(&self) -> Option<SubscriptionId> {
        self.subscriptions.seen.iter().map(|(engine, _)| *engine).max()
    }

    fn subscribed(&mut self, engine: &Subscription, model: &Subscription) -> Check {
        self.subscriptions.meet(self.queue_ref, engine.id(), model.id())?;
        equal(shown(engine), shown(model))
    }

    fn subscription_marker(&mut self, pick: Pick) -> (SubscriptionMarker, SubscriptionMarker) {
        if let Pick::Malformed = pick {
            return (SubscriptionMarker::lossy("?"), SubscriptionMarker::lossy("?"));
        }
        let (engine, model) = self.subscription(pick);
        (engine.into(), model.into())
    }
}

/// The fields of a subscription, without its id.
fn shown(subscription: &Subscription) -> impl PartialEq + Debug + '_ {
    let options: &Metadata = subscription.options();
    let times = (subscription.ttl(), subscription.age());
    (subscription.source(), subscription.subscriber(), times, options, subscription.confirmed())
}

fn subscriber_of(number: usize) -> Subscriber {
    Subscriber::new(SUBSCRIBERS[number]).unwrap()
}
