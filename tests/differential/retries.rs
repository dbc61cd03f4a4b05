//! The calls that give back and renew some messages of a claim, and that put dead letters back.

use std::time::Duration;

use zaqar_sled::{ClaimRecord, MessageId, RedriveOptions, Retry, Ttl};

use crate::calls::{FOREVER, GivenBack, Op, Pick, QueueRef, Redrive, Terms};
use crate::pair::{Check, Pair, equal, same};
use crate::subject::Kind;

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

    pub(crate) fn redrive(&mut self, queue_ref: QueueRef, redrive: &Redrive) -> Check {
        if self.case.kind == Kind::Ticking {
            // It decides at more than one instant, and the model at one.
            return Ok(());
        }
        let (project, name) = (queue_ref.project(), queue_ref.name());
        let named = |number: Option<usize>| number.map(|number| QueueRef(0, number).name());
        let ttl = |ttl| if ttl == FOREVER { Ttl::Forever } else { Duration::from_millis(ttl).into() };
        let mut options = RedriveOptions::new().to(named(redrive.to)).source(named(redrive.source));
        options = options.older_than(redrive.older_than.map(Duration::from_millis)).limit(redrive.limit);
        options = options.ttl(redrive.ttl.map(ttl)).dry_run(redrive.dry_run);
        options.reason = redrive.reason.map(str::to_owned);
        self.both(|driver| driver.dead_letters().redrive(&project, &name, &options), same)
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
