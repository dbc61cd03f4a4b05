//! The engine and the model, and their comparison.

use std::fmt::Debug;
use std::slice;
use std::sync::Arc;

use zaqar_sled::{
    ClaimId, ClaimRecord, Clock, ControlDriver, Error, ExtendedDriver, ManualClock, Message, MessageId, ReferenceModel,
    SimulatedDisk, SubscriptionId, Timestamp,
};

use crate::calls::{ALL_NAMES, BUSIEST, Case, Listing, Op, PROJECTS, QueueListing, QueueRef, project_of};
use crate::clocks::Ticking;
use crate::ids::Pairs;
use crate::moves::Traffic;
use crate::subject::{Kind, Subject};

pub(crate) type Check = Result<(), String>;

/// Plays a case on both and says where they first differ.
pub(crate) fn play(case: &Case) -> Result<Traffic, String> {
    let mut pair = Pair::new(case);
    pair.register()?;
    pair.call(&Op::Create(BUSIEST, case.metadata))?;
    for (number, op) in case.ops.iter().enumerate() {
        pair.named.clear();
        pair.call(op).map_err(|difference| format!("call {number}, {op:?}: {difference}"))?;
    }
    pair.compare_all().map_err(|difference| format!("at the end: {difference}"))?;
    pair.verify()?;
    pair.reopen().and_then(|()| pair.compare_all()).map_err(|difference| format!("opened again: {difference}"))?;
    pair.verify()?;
    Ok(pair.traffic)
}

pub(crate) struct Pair<'c> {
    pub(crate) case: &'c Case,
    pub(crate) clock: Arc<ManualClock>,
    /// The clock that the engine is opened with.
    pub(crate) engines_clock: Arc<dyn Clock>,
    /// Where time also passes within a call.
    ticking: Option<Ticking>,
    pub(crate) disk: SimulatedDisk,
    pub(crate) subject: Subject,
    pub(crate) model: ReferenceModel,
    pub(crate) messages: Pairs<MessageId>,
    pub(crate) claims: Pairs<ClaimId>,
    pub(crate) subscriptions: Pairs<SubscriptionId>,
    /// Of bookmarks.
    pub(crate) versions: Pairs<u64>,
    /// Texts of ids the present call names: an error may repeat them.
    pub(crate) named: Vec<(String, String)>,
    pub(crate) posted: u64,
    /// Of the present call.
    pub(crate) queue_ref: QueueRef,
    pub(crate) traffic: Traffic,
    /// How often it was opened.
    pub(crate) openings: u64,
    /// Whether a pool whose unsynced changes a power cut may lose has been open since the last opening.
    pub(crate) has_been_loose: bool,
    /// How far the wall clock was ever ahead of the monotonic one, in milliseconds.
    pub(crate) ahead: i128,
}

impl<'c> Pair<'c> {
    pub(crate) fn new(case: &'c Case) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_767_225_600_123)));
        let disk = SimulatedDisk::new();
        let ticking = (case.kind == Kind::Ticking).then(|| Ticking::new(clock.clone()));
        let (engines_clock, models_clock): (Arc<dyn Clock>, Arc<dyn Clock>) = match &ticking {
            Some(ticking) => (ticking.engines.clone(), ticking.models.clone()),
            None => (clock.clone(), clock.clone()),
        };
        let subject = Subject::open(case, &engines_clock, &disk, 1);
        let model = ReferenceModel::new(models_clock).durable().checksums(case.checksums).limits(case.limits());
        let model = if case.is_pooled() { model.pooled() } else { model };
        let wall = i128::from(clock.wall().as_millis());
        Self {
            case,
            clock,
            engines_clock,
            ticking,
            disk,
            subject,
            model,
            messages: Pairs::new(),
            claims: Pairs::new(),
            subscriptions: Pairs::new(),
            versions: Pairs::new(),
            named: Vec::new(),
            posted: 0,
            queue_ref: BUSIEST,
            traffic: Traffic::default(),
            openings: 1,
            has_been_loose: false,
            ahead: wall,
        }
    }

    pub(crate) fn call(&mut self, op: &Op) -> Check {
        self.queue_ref = op.queue_ref().unwrap_or(BUSIEST);
        match op {
            Op::Create(..)
            | Op::SetMetadata(..)
            | Op::Describe(..)
            | Op::DeleteQueue(..)
            | Op::ListQueues(..)
            | Op::Stats(..)
            | Op::Purge(..) => self.call_queues(op),
            Op::Claim(..) | Op::GetClaim(..) | Op::UpdateClaim(..) | Op::ReleaseClaim(..) => self.call_claims(op),
            Op::Retry(..) | Op::Split(..) => self.call_retries(op),
            Op::ListClaims(queue_ref, limit) => self.list_claims(*queue_ref, *limit),
            Op::ListProjects(marker, limit) => self.list_projects(*marker, *limit),
            Op::Explain(queue_ref, id) => self.explain(*queue_ref, *id),
            Op::Batch(steps) => self.commit(steps),
            Op::Redrive(queue_ref, redrive) => self.redrive(*queue_ref, redrive),
            Op::SetPause(queue_ref, pause) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both(|driver| driver.flow_control().set_pause(&project, &name, *pause), same)
            }
            Op::Bookmarks(op) => self.call_bookmarks(op),
            Op::Topics(op) => self.call_topics(op),
            Op::Projects(op) => self.call_projects(op),
            Op::Subscriptions(queue_ref, op) => self.call_subscriptions(*queue_ref, op),
            Op::Pools(op) => {
                self.call_pools(op)?;
                self.note_loose_pools()
            }
            Op::Flavors(op) => self.call_flavors(op),
            Op::Catalogue(op) => self.call_catalogue(op),
            Op::Move(queue_ref, to) => self.move_queue(*queue_ref, *to),
            Op::Advance(..)
            | Op::Step(..)
            | Op::Gc
            | Op::GcAgain(..)
            | Op::Health
            | Op::Reopen
            | Op::Kill
            | Op::PowerLoss(..)
            | Op::Checkpoint
            | Op::Snapshot
            | Op::Housekeep => self.change_world(op),
            _ => self.call_messages(op),
        }
    }

    /// Compares everything that can be seen.
    pub(crate) fn compare_all(&mut self) -> Check {
        let limit = if self.case.zaqar_limits { 20 } else { 0 };
        let whole = Listing { marker: None, limit, echo: true, client: None, claimed: true, delayed: true };
        let plain = Listing { claimed: false, delayed: false, ..whole.clone() };
        self.list_projects(None, limit)?;
        for project in 0..PROJECTS.len() {
            let queues = QueueListing { marker: None, limit, detailed: true, contains: None, filter: None };
            self.list_queues(&project_of(project), &queues)?;
            self.list_topics(project, &queues)?;
            for name in 0..ALL_NAMES {
                let queue_ref = QueueRef(project, name);
                self.stats(queue_ref)?;
                self.list_claims(queue_ref, limit)?;
                self.list(queue_ref, &whole)?;
                self.list(queue_ref, &plain)?;
            }
        }
        for (claim, queue_ref) in self.claims.seen.clone().into_iter().zip(self.claims.first_queues.clone()) {
            self.named = vec![(claim.0.to_string(), claim.1.to_string())];
            self.get_claim(queue_ref, claim)?;
        }
        self.compare_subscriptions(limit)?;
        self.compare_bookmarks(limit)?;
        self.compare_projects()?;
        self.compare_pools(limit)?;
        self.compare_flavors(limit)?;
        self.compare_catalogue()
    }

    pub(crate) fn verify(&self) -> Check {
        let verification = self.subject.verify().map_err(|error| error.to_string())?;
        if verification.is_sound() { Ok(()) } else { Err(format!("verify: {:?}", verification.findings())) }
    }

    pub(crate) fn both<T: Debug>(
        &mut self,
        call: impl Fn(&dyn ExtendedDriver) -> zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, &T, &T) -> Check,
    ) -> Check {
        self.each(&call, &call, then)
    }

    pub(crate) fn each<T: Debug>(
        &mut self,
        engine: impl Fn(&dyn ExtendedDriver) -> zaqar_sled::Result<T>,
        model: impl Fn(&dyn ExtendedDriver) -> zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, &T, &T) -> Check,
    ) -> Check {
        let engine = engine(self.subject.data());
        self.show_time();
        self.arrive()?;
        let model = model(&self.model);
        self.compare(engine, model, then)
    }

    /// A call to both control drivers.
    pub(crate) fn both_controls<T: Debug>(
        &mut self,
        call: impl Fn(&dyn ControlDriver) -> zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, &T, &T) -> Check,
    ) -> Check {
        let engine = call(self.subject.control());
        self.show_time();
        self.arrive()?;
        let model = call(&self.model);
        self.compare(engine, model, then)
    }

    /// Shows the model the instant of the engine's call, where time passes within calls.
    pub(crate) fn show_time(&self) {
        if let Some(ticking) = &self.ticking {
            ticking.show_last();
        }
    }

    pub(crate) fn compare<T: Debug>(
        &mut self,
        engine: zaqar_sled::Result<T>,
        model: zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, &T, &T) -> Check,
    ) -> Check {
        match (engine, model) {
            (Ok(engine), Ok(model)) => then(self, &engine, &model)
                .map_err(|difference| format!("{difference}\nengine: {engine:?}\nmodel: {model:?}")),
            (Err(engine), Err(model)) => {
                self.traffic.limited += u64::from(matches!(engine, Error::ProjectIsFull { .. }));
                self.errors(&engine, &model)
            }
            (engine, model) => Err(format!("engine: {engine:?}\nmodel: {model:?}")),
        }?;
        self.mapped_alike()
    }

    /// Errors are the same if their predicates are, and their texts, with the engine's ids replaced by the model's.
    pub(crate) fn errors(&self, engine: &Error, model: &Error) -> Check {
        let mut text = engine.to_string();
        for (engine, model) in &self.named {
            text = text.replace(engine, model);
        }
        equal((text, predicates(engine)), (model.to_string(), predicates(model)))
    }

    pub(crate) fn one(&mut self, engine: &Message, model: &Message) -> Check {
        self.many(slice::from_ref(engine), slice::from_ref(model))
    }

    pub(crate) fn many(&mut self, engine: &[Message], model: &[Message]) -> Check {
        equal(engine.len(), model.len())?;
        for (engine, model) in engine.iter().zip(model) {
            self.messages.meet(self.queue_ref, engine.id(), model.id())?;
            let holder = engine.claim_id().map(|claim| self.claims.of_engine.get(&claim));
            equal(holder, model.claim_id().as_ref().map(Some))?;
            equal(told(engine), told(model))?;
            if let (Some(engine), Some(model)) = (engine.dead_letter_origin(), model.dead_letter_origin()) {
                self.messages.meet(self.queue_ref, engine.id(), model.id())?;
            }
        }
        Ok(())
    }

    pub(crate) fn record(&mut self, engine: &ClaimRecord, model: &ClaimRecord) -> Check {
        self.claims.meet(self.queue_ref, engine.id(), model.id())?;
        equal((engine.ttl(), engine.age()), (model.ttl(), model.age()))?;
        self.many(engine.messages(), model.messages())
    }
}

/// The fields of a message, without its ids.
pub(crate) fn told(message: &Message) -> impl PartialEq + Debug + '_ {
    let times = (message.age(), message.ttl(), message.created());
    let claims = (message.claim_count(), message.first_claimed(), message.last_claimed(), message.last_failure());
    let origin = message.dead_letter_origin();
    let origin = origin.map(|from| (from.queue(), from.claim_count(), from.reason(), from.moved()));
    (message.body(), times, claims, message.checksum(), message.headers(), origin)
}

pub(crate) fn predicates(error: &Error) -> [bool; 12] {
    [
        error.is_not_found(),
        error.is_conflict(),
        error.is_not_permitted(),
        error.is_invalid(),
        error.is_too_large(),
        error.is_full(),
        error.is_paused(),
        error.is_busy(),
        error.is_closed(),
        error.is_poisoned(),
        error.is_corrupt(),
        error.is_outcome_unknown(),
    ]
}

pub(crate) fn same<T: PartialEq + Debug>(_: &mut Pair<'_>, engine: &T, model: &T) -> Check {
    equal(engine, model)
}

#[allow(clippy::needless_pass_by_value, reason = "as the calls give them")]
pub(crate) fn equal<T: PartialEq + Debug>(engine: T, model: T) -> Check {
    if engine == model { Ok(()) } else { Err(format!("engine {engine:?}, model {model:?}")) }
}
