//! The calls that give back and renew some messages of a claim.

use std::time::Duration;

use zaqar_sled::{ClaimRecord, MessageId, Retry};

use crate::calls::{GivenBack, Op, Pick, QueueRef, Terms};
use crate::pair::{Check, Pair, equal, same};

impl Pair<'_> {
    pub(crate) fn call_retries(&mut self, op: &Op) -> Check {
        match op {
            Op::Retry(queue_ref, claim, given_back) => self.retry(*queue_ref, *claim, given_back),
            Op::Split(queue_ref, claim, ids, terms) => self.split(*queue_ref, *claim, ids, *terms),
            _ => unreachable!("another controller's"),
        }
    }

    fn retry(&mut self, queue_ref: QueueRef, claim: Pick, given_back: &[GivenBack]) -> Check {
        let queue_ref = self.claims.queue_of(queue_ref, claim);
        let (project, name, claim) = (queue_ref.project(), queue_ref.name(), self.claim(claim));
        let ids: Vec<(MessageId, MessageId)> = given_back.iter().map(|one| self.message(one.message)).collect();
        let retry = |id: MessageId, one: &GivenBack| {
            let mut retry = Retry::new(id);
            (retry.delay, retry.reason) = (one.delay.map(Duration::from_millis), one.reason.map(str::to_owned));
            retry
        };
        let engines: Vec<Retry> = ids.iter().zip(given_back).map(|(id, one)| retry(id.0, one)).collect();
        let models: Vec<Retry> = ids.iter().zip(given_back).map(|(id, one)| retry(id.1, one)).collect();
        self.each(
            |engine| engine.retries().retry(&project, &name, &claim.0, &engines),
            |model| model.retries().retry(&project, &name, &claim.1, &models),
            same,
        )
    }

    fn split(&mut self, queue_ref: QueueRef, claim: Pick, ids: &[Pick], terms: Terms) -> Check {
        let queue_ref = self.claims.queue_of(queue_ref, claim);
        let (project, name, claim) = (queue_ref.project(), queue_ref.name(), self.claim(claim));
        let (ids, options) = (self.messages(ids), terms.options());
        self.queue_ref = queue_ref;
        self.each(
            |engine| engine.retries().split(&project, &name, &claim.0, &ids.0, &options),
            |model| model.retries().split(&project, &name, &claim.1, &ids.1, &options),
            |pair, engine: &Option<ClaimRecord>, model: &Option<ClaimRecord>| match (engine, model) {
                (Some(engine), Some(model)) => pair.record(engine, model),
                (engine, model) => equal(engine, model),
            },
        )
    }
}
