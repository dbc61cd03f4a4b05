//! The calls of the three controllers, made to both.

use std::time::Duration;

use zaqar_sled::{
    ClaimId, ClaimRecord, Headers, Message, MessageId, MessageListOptions, MessageMarker, MessageStat, NewMessage,
    Project, QueueStats, Ttl,
};

use crate::calls::{FOREVER, Listing, Op, Pick, Post, QueueListing, QueueRef, client_of, first, json, project_of};
use crate::pair::{Check, Pair, equal, same};

impl Pair<'_> {
    pub(crate) fn call_queues(&mut self, op: &Op) -> Check {
        match op {
            Op::Create(queue_ref, text) => {
                let (project, name, metadata) = (queue_ref.project(), queue_ref.name(), json(text));
                self.both(|driver| driver.queues().create(&project, &name, &metadata), same)
            }
            Op::SetMetadata(queue_ref, text) => {
                let (project, name, metadata) = (queue_ref.project(), queue_ref.name(), json(text));
                self.both(|driver| driver.queues().set_metadata(&project, &name, &metadata), same)
            }
            Op::Describe(queue_ref) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(|driver| driver.queues().exists(&project, &name), same)?;
                self.both(|driver| driver.queues().get(&project, &name), same)?;
                self.both(|driver| driver.queues().get_metadata(&project, &name), same)
            }
            Op::DeleteQueue(queue_ref) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(|driver| driver.queues().delete(&project, &name), same)
            }
            Op::ListQueues(project, listing) => self.list_queues(&project_of(*project), listing),
            Op::Stats(queue_ref) => self.stats(*queue_ref),
            Op::Purge(queue_ref, what) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(|driver| driver.queues().purge(&project, &name, *what), same)
            }
            _ => unreachable!("another controller's"),
        }
    }

    pub(crate) fn list_queues(&mut self, project: &Project, listing: &QueueListing) -> Check {
        let options = listing.options();
        self.both(|driver| driver.queues().list(project, &options), same)?;
        self.both(|driver| driver.queues().count(project), same)
    }

    pub(crate) fn stats(&mut self, queue_ref: QueueRef) -> Check {
        self.queue_ref = queue_ref;
        let (project, name) = (queue_ref.project(), queue_ref.name());
        self.both(
            |driver| driver.queues().stats(&project, &name),
            |pair, engine: &QueueStats, model: &QueueStats| {
                for (engine, model) in [(engine.oldest(), model.oldest()), (engine.newest(), model.newest())] {
                    if let (Some(engine), Some(model)) = (engine, model) {
                        pair.messages.meet(pair.queue_ref, engine.id(), model.id())?;
                    }
                }
                let told = |stats: &QueueStats| {
                    let stat = |stat: Option<&MessageStat>| stat.map(|stat| (stat.age(), stat.created()));
                    let counts = [stats.claimed(), stats.free(), stats.delayed(), stats.total(), stats.expired()];
                    (counts, stat(stats.oldest()), stat(stats.newest()))
                };
                equal(told(engine), told(model))
            },
        )
    }

    pub(crate) fn call_messages(&mut self, op: &Op) -> Check {
        match op {
            Op::Post(queue_ref, client, posts) => self.post(*queue_ref, *client, posts),
            Op::List(queue_ref, listing) => self.list(*queue_ref, listing),
            Op::First(queue_ref, sort) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(|driver| driver.messages().first(&project, &name, *sort), Self::one)
            }
            Op::Get(queue_ref, id) => {
                let queue_ref = self.messages.queue_of(*queue_ref, *id);
                let (project, name, id) = (queue_ref.project(), queue_ref.name(), self.message(*id));
                self.each(
                    |engine| engine.messages().get(&project, &name, &id.0),
                    |model| model.messages().get(&project, &name, &id.1),
                    Self::one,
                )
            }
            Op::BulkGet(queue_ref, ids) => {
                let queue_ref = self.messages.queue_of(*queue_ref, first(ids));
                let (project, name, ids) = (queue_ref.project(), queue_ref.name(), self.messages(ids));
                self.each(
                    |engine| engine.messages().bulk_get(&project, &name, &ids.0),
                    |model| model.messages().bulk_get(&project, &name, &ids.1),
                    |pair, engine, model| pair.many(engine, model),
                )
            }
            Op::Delete(queue_ref, id, claim) => {
                let queue_ref = self.messages.queue_of(*queue_ref, *id);
                let (id, claim) = (self.message(*id), claim.map(|claim| self.claim(claim)));
                self.delete(queue_ref, id, claim)
            }
            Op::Finish(queue_ref, id) => {
                let queue_ref = self.messages.queue_of(*queue_ref, *id);
                let id = self.message(*id);
                self.queue_ref = queue_ref;
                let claim = self.holder(id.0);
                self.delete(queue_ref, id, claim)
            }
            Op::BulkDelete(queue_ref, ids, claims) => {
                let queue_ref = self.messages.queue_of(*queue_ref, first(ids));
                let (project, name, ids) = (queue_ref.project(), queue_ref.name(), self.messages(ids));
                let claims: (Vec<_>, Vec<_>) = claims.iter().map(|claim| self.claim(*claim)).unzip();
                self.each(
                    |engine| engine.messages().bulk_delete(&project, &name, &ids.0, &claims.0),
                    |model| model.messages().bulk_delete(&project, &name, &ids.1, &claims.1),
                    same,
                )
            }
            Op::Pop(queue_ref, limit) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(
                    |driver| driver.messages().pop(&project, &name, *limit),
                    |pair, engine, model| pair.many(engine, model),
                )
            }
            _ => unreachable!("another controller's"),
        }
    }

    pub(crate) fn post(&mut self, queue_ref: QueueRef, client: u8, posts: &[Post]) -> Check {
        let (project, name) = (queue_ref.project(), queue_ref.name());
        let messages: Vec<_> = posts.iter().map(|post| self.new_message(post)).collect();
        self.both(
            |driver| driver.messages().post(&project, &name, client_of(client), &messages),
            |pair, engine: &Vec<MessageId>, model: &Vec<MessageId>| {
                equal(engine.len(), model.len())?;
                if !engine.is_empty() {
                    pair.note_published(queue_ref);
                }
                if !engine.is_sorted() {
                    return Err(format!("ids out of order: {engine:?}"));
                }
                engine
                    .iter()
                    .zip(model)
                    .try_for_each(|(engine, model)| pair.messages.meet(pair.queue_ref, *engine, *model))
            },
        )
    }

    pub(crate) fn new_message(&mut self, post: &Post) -> NewMessage {
        self.posted += 1;
        let mut body = self.posted.to_string().into_bytes();
        body.resize(post.bytes, b'.');
        let mut message = NewMessage::new(body);
        message.ttl = post.ttl.map(|ttl| if ttl == FOREVER { Ttl::Forever } else { Duration::from_millis(ttl).into() });
        message.delay = post.delay.map(Duration::from_millis);
        if self.posted.is_multiple_of(3) {
            let long = "x".repeat(usize::try_from(self.posted % 1_000).unwrap());
            message.headers = Headers::new().with("number", self.posted.to_string()).with("long", long);
        }
        message
    }

    pub(crate) fn list(&mut self, queue_ref: QueueRef, listing: &Listing) -> Check {
        self.queue_ref = queue_ref;
        let (project, name) = (queue_ref.project(), queue_ref.name());
        let marker = listing.marker.map(|pick| match pick {
            Pick::Malformed => (MessageMarker::lossy("?"), MessageMarker::lossy("?")),
            pick => match self.message(pick) {
                (engine, _) if self.is_of_a_later_queue(engine) => {
                    (MessageMarker::lossy("?"), MessageMarker::lossy("?"))
                }
                (engine, model) => (engine.into(), model.into()),
            },
        });
        let options = |marker| {
            let options = MessageListOptions::new().marker(marker).limit(listing.limit).echo(listing.echo);
            let options = options.include_claimed(listing.claimed).include_delayed(listing.delayed);
            listing.client.map_or(options.clone(), |client| options.client(client_of(client)))
        };
        let (engines, models) = (options(marker.map(|marker| marker.0)), options(marker.map(|marker| marker.1)));
        self.each(
            |engine| engine.messages().list(&project, &name, &engines),
            |model| model.messages().list(&project, &name, &models),
            |pair, engine, model| {
                let is_last = |items: &[Message], next| equal(items.last().map(Message::marker), next);
                is_last(&engine.items, engine.next)?;
                is_last(&model.items, model.next)?;
                pair.many(&engine.items, &model.items)
            },
        )
    }

    /// Whether a message is of a queue that was created after the current queue of that name. A marker from such a
    /// message comes after all posts before the last opening of the store, and only those; the model has no openings.
    fn is_of_a_later_queue(&self, id: MessageId) -> bool {
        let number = |id: MessageId| id.to_string()[..16].to_owned();
        let mut live = (0..).map_while(|index| self.live(index).filter(|_| index < 64));
        let known = live.find_map(|message| self.messages.pair_of(message.id()));
        known.is_none_or(|(engine, _)| number(engine) < number(id))
    }

    pub(crate) fn delete(
        &mut self,
        queue_ref: QueueRef,
        id: (MessageId, MessageId),
        claim: Option<(ClaimId, ClaimId)>,
    ) -> Check {
        let (project, name) = (queue_ref.project(), queue_ref.name());
        let (engines, models) = (claim.map(|claim| claim.0), claim.map(|claim| claim.1));
        self.each(
            |engine| engine.messages().delete(&project, &name, &id.0, engines.as_ref()),
            |model| model.messages().delete(&project, &name, &id.1, models.as_ref()),
            same,
        )
    }

    pub(crate) fn call_claims(&mut self, op: &Op) -> Check {
        match op {
            Op::Claim(queue_ref, terms) => {
                let (project, name, options) = (queue_ref.project(), queue_ref.name(), terms.options());
                self.both(
                    |driver| driver.claims().create(&project, &name, &options),
                    |pair, engine: &Option<ClaimRecord>, model: &Option<ClaimRecord>| match (engine, model) {
                        (Some(engine), Some(model)) => pair.record(engine, model),
                        (engine, model) => equal(engine, model),
                    },
                )
            }
            Op::GetClaim(queue_ref, claim) => {
                let queue_ref = self.claims.queue_of(*queue_ref, *claim);
                let claim = self.claim(*claim);
                self.get_claim(queue_ref, claim)
            }
            Op::UpdateClaim(queue_ref, claim, terms) => {
                let queue_ref = self.claims.queue_of(*queue_ref, *claim);
                let (project, name, options) = (queue_ref.project(), queue_ref.name(), terms.options());
                let claim = self.claim(*claim);
                self.each(
                    |engine| engine.claims().update(&project, &name, &claim.0, &options),
                    |model| model.claims().update(&project, &name, &claim.1, &options),
                    same,
                )
            }
            Op::ReleaseClaim(queue_ref, claim) => {
                let queue_ref = self.claims.queue_of(*queue_ref, *claim);
                let (project, name, claim) = (queue_ref.project(), queue_ref.name(), self.claim(*claim));
                self.each(
                    |engine| engine.claims().delete(&project, &name, &claim.0),
                    |model| model.claims().delete(&project, &name, &claim.1),
                    same,
                )
            }
            _ => unreachable!("another controller's"),
        }
    }

    pub(crate) fn get_claim(&mut self, queue_ref: QueueRef, claim: (ClaimId, ClaimId)) -> Check {
        let (project, name) = (queue_ref.project(), queue_ref.name());
        self.each(
            |engine| engine.claims().get(&project, &name, &claim.0),
            |model| model.claims().get(&project, &name, &claim.1),
            Self::record,
        )
    }
}
