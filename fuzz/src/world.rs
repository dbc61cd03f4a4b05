//! An engine or a pooled driver and the reference model, side by side: every answer is compared.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    ClaimId, Clock, DataDriver, Durability, ManualClock, MessageId, ReferenceModel, SimulatedDisk, SubscriptionId,
};

use crate::image;
use crate::operation::{Name, Operation};
use crate::subject::{Kind, Subject};

pub struct World {
    kind: Kind,
    durability: Durability,
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    pub(crate) subject: Subject,
    pub(crate) model: ReferenceModel,
    /// How often the store was opened.
    opened: u64,
    /// How far the wall clock was ever ahead of the monotonic one, in ms.
    ahead: u64,
    /// Whether a power cut may lose changes that the model keeps.
    is_loose: bool,
    /// Ids of the same message, claim and subscription: the subject's and the model's.
    pub(crate) messages: Vec<(MessageId, MessageId)>,
    pub(crate) claims: Vec<(ClaimId, ClaimId)>,
    pub(crate) subscriptions: Vec<(SubscriptionId, SubscriptionId)>,
    /// Versions of bookmarks: the subject's and the model's.
    pub(crate) versions: Vec<(u64, u64)>,
}

/// Whether the two can still be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Stop,
}

impl World {
    pub fn new(kind: Kind, durability: Durability) -> Self {
        let (disk, clock) = (SimulatedDisk::new(), image::clock());
        let subject = kind.open(image::config(&disk, &clock, 1).durability(durability)).expect("a new store");
        let model = kind.of(ReferenceModel::new(clock.clone()).durable());
        let mut world = Self {
            kind,
            durability,
            disk,
            clock,
            subject,
            model,
            opened: 1,
            ahead: 0,
            is_loose: durability == Durability::Buffered,
            messages: Vec::new(),
            claims: Vec::new(),
            subscriptions: Vec::new(),
            versions: Vec::new(),
        };
        if kind == Kind::Pooled {
            world.begin();
        }
        world.note_time();
        world
    }

    pub fn act(&mut self, operation: &Operation) -> Next {
        use Operation as Op;
        match operation {
            Op::Create { .. }
            | Op::SetMetadata { .. }
            | Op::Get { .. }
            | Op::Exists { .. }
            | Op::Delete { .. }
            | Op::ListQueues { .. }
            | Op::Stats { .. }
            | Op::Count { .. }
            | Op::Purge { .. } => self.act_on_queues(operation),
            Op::Claim { .. } | Op::GetClaim { .. } | Op::Renew { .. } | Op::Release { .. } => {
                self.act_on_claims(operation)
            }
            Op::Retry { .. } | Op::Split { .. } | Op::Redrive { .. } | Op::SetPause { .. } => {
                self.act_on_retries(operation)
            }
            Op::Batch { steps } => self.act_on_batch(steps),
            Op::Bookmarks(call) => self.act_on_bookmarks(call),
            Op::Projects(call) => self.act_on_projects(*call),
            Op::Subscriptions { queue, call } => self.act_on_subscriptions(*queue, call),
            Op::Pools(call) => self.act_on_pools(call),
            Op::Flavors(call) => self.act_on_flavors(call),
            Op::Catalogue(call) => self.act_on_catalogue(call),
            Op::Move { queue, to } => self.move_queue(*queue, *to),
            Op::Advance { by } => self.clock.advance(bounded(Duration::from(*by))),
            Op::Step { by, back } => self.step_wall(bounded(Duration::from(*by)), *back),
            Op::Gc => drop((self.subject.data().gc().expect("no limit"), self.model().gc().expect("a model"))),
            Op::Housekeep => self.subject.step().expect("no limit"),
            Op::Checkpoint => self.subject.checkpoint().expect("no limit"),
            Op::Snapshot => self.subject.snapshot().expect("no limit"),
            Op::Verify => self.verify(),
            Op::Reopen => {
                self.subject.data().close().expect("no limit");
                self.open();
            }
            Op::Kill => {
                self.catch_up();
                self.disk = self.disk.kill();
                self.open();
            }
            Op::PowerLoss { seed } => {
                self.catch_up();
                self.disk = self.disk.power_loss(Keep::Random(*seed));
                let was_loose = self.is_loose;
                self.open();
                if was_loose {
                    // Whole calls may be lost, so the engine and the model differ from here on.
                    return Next::Stop;
                }
            }
            _ => self.act_on_messages(operation),
        }
        self.mapped_alike();
        self.is_loose |= self.subject.has_loose_pools(&self.model).expect("a model");
        self.note_time();
        Next::GoOn
    }

    /// Compares everything.
    pub fn finish(mut self) {
        self.verify();
        for name in (0..8).map(Name) {
            self.act(&Operation::Stats { queue: name });
            self.act(&Operation::List {
                queue: name,
                marker: None,
                limit: 0,
                echo: true,
                claimed: true,
                delayed: true,
            });
            self.act(&Operation::Get { queue: name });
        }
        self.compare_bookmarks();
        self.compare_projects();
        self.finish_registry();
    }

    fn open(&mut self) {
        self.opened += 1;
        let config = image::config(&self.disk, &self.clock, self.opened).durability(self.durability);
        self.subject = self.kind.open(config).expect("nothing was damaged");
        assert!(self.subject.recovery().notes().is_empty(), "{}", self.subject.recovery());
        self.is_loose = self.durability == Durability::Buffered;
        self.subject.forget_memory(&self.model).expect("no other pool is there");
        self.verify();
    }

    fn verify(&self) {
        let verification = self.subject.verify().expect("no limit");
        assert!(verification.is_sound(), "{:?}", verification.findings());
    }

    fn note_time(&mut self) {
        let (wall, monotonic) = self.times();
        self.ahead = self.ahead.max(wall.saturating_sub(monotonic));
    }

    /// The highest time a store has seen need not be in the journal: a killed one may start earlier if the clock says
    /// so.
    fn catch_up(&mut self) {
        self.clock.set_wall(zaqar_sled::Timestamp::from_millis(self.times().1 + self.ahead));
    }

    fn times(&self) -> (u64, u64) {
        (self.clock.wall().as_millis(), u64::try_from(self.clock.monotonic().as_millis()).expect("not that long"))
    }

    fn step_wall(&mut self, by: Duration, back: bool) {
        // Both know only the times they have read, and the engine reads the clock only when necessary.
        self.act(&Operation::Gc);
        let wall = self.clock.wall();
        let by = u64::try_from(by.as_millis()).expect("it is bounded");
        let to = if back { wall.as_millis().saturating_sub(by) } else { wall.as_millis() + by };
        self.clock.set_wall(zaqar_sled::Timestamp::from_millis(to));
    }
}

/// Time continues for years, not for ages.
fn bounded(by: Duration) -> Duration {
    by.min(Duration::from_secs(1 << 28))
}
