//! The pairs of the engine's and the model's ids, and how an id is picked.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use zaqar_sled::{ClaimId, DataDriver, ListOptions, Message, MessageId, MessageListOptions, SubscriptionId};

use crate::calls::{BUSIEST, Pick, QueueRef};
use crate::pair::{Check, Pair};

/// The engine's and the model's id of the same item, in the order of appearance.
pub(crate) struct Pairs<T> {
    pub(crate) seen: Vec<(T, T)>,
    /// Where each was first seen.
    pub(crate) first_queues: Vec<QueueRef>,
    pub(crate) of_engine: HashMap<T, T>,
    pub(crate) of_model: HashMap<T, T>,
}

impl<T: Copy + Eq + Hash + Debug> Pairs<T> {
    pub(crate) fn new() -> Self {
        Self { seen: Vec::new(), first_queues: Vec::new(), of_engine: HashMap::new(), of_model: HashMap::new() }
    }

    /// Pairs the two ids; an error if either has another partner already.
    pub(crate) fn meet(&mut self, queue_ref: QueueRef, engine: T, model: T) -> Check {
        match (self.of_engine.get(&engine), self.of_model.get(&model)) {
            (None, None) => {
                self.seen.push((engine, model));
                self.first_queues.push(queue_ref);
                self.of_engine.insert(engine, model);
                self.of_model.insert(model, engine);
                Ok(())
            }
            (Some(known), Some(_)) if *known == model => Ok(()),
            known => Err(format!("engine {engine:?} beside model {model:?}, which were {known:?}")),
        }
    }

    /// `None` for an item that the engine has not shown yet, such as a dead letter that no call has read.
    pub(crate) fn pair_of(&self, model: T) -> Option<(T, T)> {
        self.of_model.get(&model).map(|engine| (*engine, model))
    }

    /// From the newest back, over and over.
    pub(crate) fn pick(&self, back: usize) -> Option<(T, T)> {
        let len = self.seen.len();
        (len > 0).then(|| self.seen[len - 1 - back % len])
    }

    /// The queue in which the picked item was first seen instead of the busiest queue, because most calls name items in
    /// their own queue.
    pub(crate) fn queue_of(&self, queue_ref: QueueRef, pick: Pick) -> QueueRef {
        match (queue_ref, pick) {
            (BUSIEST, Pick::Seen(back)) if !self.first_queues.is_empty() => {
                self.first_queues[self.first_queues.len() - 1 - back % self.first_queues.len()]
            }
            _ => queue_ref,
        }
    }
}

impl Pair<'_> {
    /// One of the live messages of the queue of the current call.
    pub(crate) fn live(&self, number: usize) -> Option<Message> {
        let options = MessageListOptions::new().limit(0).include_claimed(true).include_delayed(true);
        let listed = self.model.messages().list(&self.queue_ref.project(), &self.queue_ref.name(), &options);
        let mut messages = listed.ok()?.items;
        (!messages.is_empty()).then(|| messages.swap_remove(number % messages.len()))
    }

    pub(crate) fn message(&mut self, pick: Pick) -> (MessageId, MessageId) {
        let unknown: MessageId = "fffffffffffffff0fffffffffffffff0".parse().unwrap();
        let beyond = |id: MessageId| format!("{}fffffffffffffff0", &id.to_string()[..16]).parse().unwrap();
        let pair = match pick {
            Pick::Seen(back) => self.messages.pick(back),
            Pick::Live(number) => self.live(number).and_then(|message| self.messages.pair_of(message.id())),
            Pick::Beyond(back) => self.messages.pick(back).map(|(engine, model)| (beyond(engine), beyond(model))),
            Pick::Unknown => None,
            Pick::Malformed => Some((MessageId::lossy("?"), MessageId::lossy("?"))),
        };
        let (engine, model) = pair.unwrap_or((unknown, unknown));
        self.named.push((engine.to_string(), model.to_string()));
        (engine, model)
    }

    pub(crate) fn messages(&mut self, picks: &[Pick]) -> (Vec<MessageId>, Vec<MessageId>) {
        picks.iter().map(|pick| self.message(*pick)).unzip()
    }

    pub(crate) fn claim(&mut self, pick: Pick) -> (ClaimId, ClaimId) {
        let unknown: ClaimId = "ffffffff-ffff-4fff-8fff-ffffffffffff".parse().unwrap();
        let pair = match pick {
            Pick::Seen(back) | Pick::Beyond(back) => self.claims.pick(back),
            Pick::Live(number) => {
                self.live(number).and_then(|message| message.claim_id()).and_then(|claim| self.claims.pair_of(claim))
            }
            Pick::Unknown => None,
            Pick::Malformed => Some((ClaimId::lossy("?"), ClaimId::lossy("?"))),
        };
        let (engine, model) = pair.unwrap_or((unknown, unknown));
        self.named.push((engine.to_string(), model.to_string()));
        (engine, model)
    }

    /// One of the live subscriptions of the queue of the current call.
    fn live_subscription(&self, number: usize) -> Option<SubscriptionId> {
        let limit = if self.case.zaqar_limits { 20 } else { 0 };
        let (project, name) = (self.queue_ref.project(), self.queue_ref.name());
        let options = ListOptions::new().limit(limit);
        // Both, because a call on the subscriptions of a queue moves them to the queue's pool.
        drop(self.subject.data().subscriptions().list(&project, &name, &options));
        let listed = self.model.subscriptions().list(&project, &name, &options);
        let subscriptions = listed.ok()?.items;
        (!subscriptions.is_empty()).then(|| subscriptions[number % subscriptions.len()].id())
    }

    pub(crate) fn subscription(&mut self, pick: Pick) -> (SubscriptionId, SubscriptionId) {
        let unknown: SubscriptionId = "ffffffff-ffff-8fff-bfff-ffffffffffff".parse().unwrap();
        let pair = match pick {
            Pick::Seen(back) => self.subscriptions.pick(back),
            Pick::Live(number) => self.live_subscription(number).and_then(|id| self.subscriptions.pair_of(id)),
            Pick::Beyond(back) => self.subscriptions.pick(back).map(|(engine, model)| (twin(engine), twin(model))),
            Pick::Unknown => None,
            Pick::Malformed => Some((SubscriptionId::lossy("?"), SubscriptionId::lossy("?"))),
        };
        let (engine, model) = pair.unwrap_or((unknown, unknown));
        self.named.push((engine.to_string(), model.to_string()));
        (engine, model)
    }
}

/// An id with the same creation number that names nothing: all its random bits are ones.
fn twin(id: SubscriptionId) -> SubscriptionId {
    let mut bytes = *id.as_bytes();
    bytes[8] |= 0x03;
    bytes[9..].fill(0xff);
    SubscriptionId::from_bytes(bytes)
}
