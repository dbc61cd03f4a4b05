//! Batches of changes.

use std::time::Duration;

use proptest::prelude::*;
use zaqar_sled::{BatchOutcome, BatchStep, ClaimId, MessageId};

use crate::bookmarks::{BookmarkRef, Expected, bookmark_step};
use crate::calls::{BUSIEST, Pick, Post, QueueRef, Terms, claim_pick, client_of, first, pick, post, queue_ref, terms};
use crate::pair::{Check, Pair, equal};

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Post(QueueRef, u8, Vec<Post>),
    Delete(QueueRef, Vec<Pick>, Option<Pick>),
    /// Deletes a message with the claim it is under, as workers do.
    Finish(QueueRef, Pick),
    Renew(QueueRef, Pick, Terms),
    Release(QueueRef, Pick),
    /// Without a number of bytes it is deleted.
    Bookmark(BookmarkRef, Expected, Option<usize>),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let posts = prop::collection::vec(post(), 0..4);
    let ids = prop::collection::vec(pick(), 0..4);
    let step = prop_oneof![
        4 => (queue_ref(), 0_u8..3, posts).prop_map(|(queue_ref, client, posts)| Step::Post(queue_ref, client, posts)),
        2 => (queue_ref(), ids, prop::option::of(claim_pick()))
            .prop_map(|(queue_ref, ids, claim)| Step::Delete(queue_ref, ids, claim)),
        4 => (queue_ref(), pick()).prop_map(|(queue_ref, id)| Step::Finish(queue_ref, id)),
        1 => (queue_ref(), claim_pick(), terms()).prop_map(|(queue_ref, claim, terms)| Step::Renew(queue_ref, claim, terms)),
        2 => (queue_ref(), claim_pick()).prop_map(|(queue_ref, claim)| Step::Release(queue_ref, claim)),
        1 => bookmark_step(),
    ];
    prop::collection::vec(step, 0..5)
}

impl Pair<'_> {
    pub(crate) fn commit(&mut self, steps: &[Step]) -> Check {
        let both: Vec<(BatchStep, BatchStep)> = steps.iter().map(|step| self.step(step)).collect();
        let (engines, models): (Vec<_>, Vec<_>) = both.into_iter().unzip();
        let posts: Vec<QueueRef> = steps
            .iter()
            .filter_map(|step| if let Step::Post(queue_ref, ..) = step { Some(*queue_ref) } else { None })
            .collect();
        self.each(
            |engine| engine.batches().commit(&engines),
            |model| model.batches().commit(&models),
            |pair, engine: &BatchOutcome, model: &BatchOutcome| {
                equal(engine.deleted(), model.deleted())?;
                equal(engine.bookmark_version().is_some(), model.bookmark_version().is_some())?;
                if let (Some(engine), Some(model)) = (engine.bookmark_version(), model.bookmark_version()) {
                    pair.versions.meet(BUSIEST, engine, model)?;
                }
                equal((engine.posted().len(), posts.len()), (model.posted().len(), model.posted().len()))?;
                pair.traffic.batches += u64::from(!engines.is_empty());
                for (queue_ref, (engine, model)) in posts.iter().zip(engine.posted().iter().zip(model.posted())) {
                    equal(engine.len(), model.len())?;
                    let mut ids = engine.iter().zip(model);
                    ids.try_for_each(|(engine, model)| pair.messages.meet(*queue_ref, *engine, *model))?;
                }
                Ok(())
            },
        )
    }

    /// A step for the engine, and one for the model.
    fn step(&mut self, step: &Step) -> (BatchStep, BatchStep) {
        match step {
            Step::Post(queue_ref, client, posts) => {
                let messages = posts.iter().map(|post| self.new_message(post)).collect();
                let (project, queue) = (queue_ref.project(), queue_ref.name());
                let step = BatchStep::Post { project, queue, client: client_of(*client), messages };
                (step.clone(), step)
            }
            Step::Delete(queue_ref, ids, claim) => {
                self.queue_ref = self.messages.queue_of(*queue_ref, first(ids));
                let (ids, claim) = (self.messages(ids), claim.map(|claim| self.claim(claim)));
                self.deletes(ids, claim)
            }
            Step::Finish(queue_ref, id) => {
                self.queue_ref = self.messages.queue_of(*queue_ref, *id);
                let id = self.message(*id);
                let claim = self.holder(id.0);
                self.deletes((vec![id.0], vec![id.1]), claim)
            }
            Step::Renew(queue_ref, claim, terms) => {
                let (queue_ref, claim) = self.queue_and_claim(*queue_ref, *claim);
                let (ttl, grace) = (Duration::from_millis(terms.ttl), Duration::from_millis(terms.grace));
                let renew = |claim| {
                    let (project, queue) = (queue_ref.project(), queue_ref.name());
                    BatchStep::Renew { project, queue, claim, ttl, grace }
                };
                (renew(claim.0), renew(claim.1))
            }
            Step::Release(queue_ref, claim) => {
                let (queue_ref, claim) = self.queue_and_claim(*queue_ref, *claim);
                let release = |claim| {
                    let (project, queue) = (queue_ref.project(), queue_ref.name());
                    BatchStep::Release { project, queue, claim }
                };
                (release(claim.0), release(claim.1))
            }
            Step::Bookmark(at, expected, bytes) => self.bookmark_step(*at, *expected, *bytes),
        }
    }

    fn queue_and_claim(&mut self, queue_ref: QueueRef, claim: Pick) -> (QueueRef, (ClaimId, ClaimId)) {
        self.queue_ref = self.claims.queue_of(queue_ref, claim);
        (self.queue_ref, self.claim(claim))
    }

    fn deletes(
        &self,
        ids: (Vec<MessageId>, Vec<MessageId>),
        claim: Option<(ClaimId, ClaimId)>,
    ) -> (BatchStep, BatchStep) {
        let delete = |messages, claim| {
            let (project, queue) = (self.queue_ref.project(), self.queue_ref.name());
            BatchStep::Delete { project, queue, messages, claim }
        };
        (delete(ids.0, claim.map(|claim| claim.0)), delete(ids.1, claim.map(|claim| claim.1)))
    }

    /// The claim that holds a message of the current queue.
    pub(crate) fn holder(&mut self, id: MessageId) -> Option<(ClaimId, ClaimId)> {
        let held = self.subject.data().messages().get(&self.queue_ref.project(), &self.queue_ref.name(), &id);
        let held = held.ok().and_then(|message| message.claim_id());
        let claim = held.map(|claim| (claim, self.claims.of_engine[&claim]));
        self.named.extend(claim.map(|(engine, model)| (engine.to_string(), model.to_string())));
        claim
    }
}
