//! A record of the messages that a queue must hold.

use zaqar_sled::{Engine, Message, MessageId, MessageStat, NewMessage, Queue};

use super::ledger::Ledger;
use super::support::{CLIENT, body, everything, queue, seconds};

/// A queue, and the bodies that are to be in it.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) queue: Queue,
    kept: Ledger<MessageId, Vec<u8>>,
    posted: u64,
}

impl Shelf {
    /// A new queue.
    pub(crate) fn new(engine: &Engine, name: &str) -> Self {
        Self::of(queue(engine, name))
    }

    /// A queue that is empty.
    pub(crate) fn of(queue: Queue) -> Self {
        let salt = queue.name().as_str().bytes().fold(0_u64, |salt, byte| salt.wrapping_mul(31) + u64::from(byte));
        Self { queue, kept: Ledger::default(), posted: salt << 32 }
    }

    /// The same record for a store that was opened again.
    pub(crate) fn on(mut self, engine: &Engine) -> Self {
        self.queue = engine.queue(self.queue.project().clone(), self.queue.name()).unwrap();
        self
    }

    /// Posts messages of these sizes that live for ten hours.
    pub(crate) fn post(&mut self, sizes: &[usize]) -> Vec<MessageId> {
        self.post_as(sizes, |message| message)
    }

    pub(crate) fn post_as(&mut self, sizes: &[usize], shape: impl Fn(NewMessage) -> NewMessage) -> Vec<MessageId> {
        let bodies: Vec<Vec<u8>> = (self.posted..).zip(sizes).map(|(number, size)| body(number, *size)).collect();
        self.posted += bodies.len() as u64;
        let new = |body: &Vec<u8>| shape(NewMessage::new(body.clone()).ttl(seconds(36_000)).delay(seconds(0)));
        let batch: Vec<NewMessage> = bodies.iter().map(new).collect();
        let ids = self.queue.post(CLIENT, &batch).unwrap();
        self.kept.posted(ids.iter().copied().zip(bodies));
        ids
    }

    /// Posts so many messages of that size, ten at a time.
    pub(crate) fn fill(&mut self, count: usize, bytes: usize) -> Vec<MessageId> {
        self.fill_as(count, bytes, |message| message)
    }

    pub(crate) fn fill_as(
        &mut self,
        count: usize,
        bytes: usize,
        shape: impl Fn(NewMessage) -> NewMessage,
    ) -> Vec<MessageId> {
        let sizes = vec![bytes; count];
        sizes.chunks(10).flat_map(|sizes| self.post_as(sizes, &shape)).collect()
    }

    /// Removes messages that were deleted or have expired.
    pub(crate) fn forget<'i>(&mut self, ids: impl IntoIterator<Item = &'i MessageId>) {
        for id in ids {
            assert!(self.kept.removed(id), "{id} was not to be there");
        }
    }

    pub(crate) fn forget_all(&mut self) {
        self.kept.emptied();
    }

    /// Adds messages that moved in from another queue, under new ids.
    pub(crate) fn adopt(&mut self, messages: &[(MessageId, Vec<u8>)]) {
        self.kept.posted(messages.iter().cloned());
    }

    pub(crate) fn ids(&self) -> Vec<MessageId> {
        self.kept.live().keys().copied().collect()
    }

    pub(crate) fn len(&self) -> u64 {
        self.kept.live().len() as u64
    }

    pub(crate) fn body(&self, id: &MessageId) -> &[u8] {
        &self.kept.live()[id]
    }

    /// Asserts that a message belongs to the queue and has the posted body.
    pub(crate) fn assert_genuine(&self, message: &Message) {
        self.kept.assert_live(&message.id(), message.body().as_bytes(), self.queue.name().as_str());
    }

    /// Asserts that the queue holds exactly the recorded messages, and that its stats agree.
    pub(crate) fn assert_whole(&self) {
        let listed = self.queue.list(&everything()).unwrap().items;
        self.kept.check(
            listed.iter().map(|message| (message.id(), message.body().as_bytes().to_vec())),
            self.queue.name().as_str(),
        );
        let ids: Vec<MessageId> = listed.iter().map(Message::id).collect();
        assert!(ids == self.ids(), "{}: out of order, or twice", self.queue.name());
        let stats = self.queue.stats().unwrap();
        let claimed = listed.iter().filter(|message| message.claim_id().is_some()).count() as u64;
        assert_eq!((stats.total(), stats.claimed()), (self.len(), claimed));
        assert_eq!(stats.oldest().map(MessageStat::id), ids.first().copied());
        assert_eq!(stats.newest().map(MessageStat::id), ids.last().copied());
    }
}
