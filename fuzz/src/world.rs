//! The engine and the reference model, side by side: every answer is compared.

use std::fmt::Debug;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    ClaimId, ClaimOptions, ClaimRecord, ClientId, Clock, DataDriver, Durability, Engine, ManualClock, Message,
    MessageId, MessageListOptions, MessageMarker, MessageStat, Metadata, NewMessage, Project, QueueListOptions,
    QueueName, ReferenceModel, Result, SimulatedDisk, Sort, SubscriptionId,
};

use crate::image::{self, STORE};
use crate::operation::{Known, Letter, Name, Operation, Settings};

pub struct World {
    durability: Durability,
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) model: ReferenceModel,
    /// How often the store was opened.
    opened: u64,
    /// How far the wall clock was ever ahead of the monotonic one, in ms.
    ahead: u64,
    /// Ids of the same message, claim and subscription: the engine's and the model's.
    messages: Vec<(MessageId, MessageId)>,
    claims: Vec<(ClaimId, ClaimId)>,
    pub(crate) subscriptions: Vec<(SubscriptionId, SubscriptionId)>,
}

/// Whether the two can still be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Stop,
}

impl World {
    pub fn new(durability: Durability) -> Self {
        let (disk, clock) = (SimulatedDisk::new(), image::clock());
        let engine = image::config(&disk, &clock, 1).durability(durability).open(STORE).expect("a new store");
        let model = ReferenceModel::new(clock.clone()).durable();
        let mut world = Self {
            durability,
            disk,
            clock,
            engine,
            model,
            opened: 1,
            ahead: 0,
            messages: Vec::new(),
            claims: Vec::new(),
            subscriptions: Vec::new(),
        };
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
            Op::Subscriptions { queue, call } => self.act_on_subscriptions(*queue, call),
            Op::Pools(call) => self.act_on_pools(call),
            Op::Flavors(call) => self.act_on_flavors(call),
            Op::Catalogue(call) => self.act_on_catalogue(call),
            Op::Advance { by } => self.clock.advance(bounded(Duration::from(*by))),
            Op::Step { by, back } => self.step_wall(bounded(Duration::from(*by)), *back),
            Op::Gc => drop((self.engine.gc().expect("no limit"), self.model.gc().expect("a model"))),
            Op::Housekeep => self.engine.step().expect("no limit"),
            Op::Checkpoint => self.engine.checkpoint().expect("no limit"),
            Op::Base => self.engine.base().expect("no limit"),
            Op::Verify => self.verify(),
            Op::Reopen => {
                self.engine.close().expect("no limit");
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
                self.open();
                if self.durability == Durability::Buffered {
                    // Whole calls may be gone: no two of these are the same any more.
                    self.verify();
                    return Next::Stop;
                }
            }
            _ => self.act_on_messages(operation),
        }
        self.note_time();
        Next::GoOn
    }

    /// Compares everything there is.
    pub fn finish(mut self) {
        self.verify();
        for name in (0..6).map(Name) {
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
        self.finish_registry();
    }

    fn open(&mut self) {
        self.opened += 1;
        let config = image::config(&self.disk, &self.clock, self.opened).durability(self.durability);
        self.engine = config.open(STORE).expect("nothing was damaged");
        assert!(self.engine.recovery().notes().is_empty(), "{}", self.engine.recovery());
        self.verify();
    }

    fn verify(&self) {
        let verification = self.engine.verify().expect("no limit");
        assert!(verification.is_sound(), "{:?}", verification.findings());
    }

    fn note_time(&mut self) {
        let (wall, monotonic) = self.times();
        self.ahead = self.ahead.max(wall.saturating_sub(monotonic));
    }

    /// The highest time a store has seen need not be in the journal: a killed one may start earlier if the clock says so.
    fn catch_up(&mut self) {
        self.clock.set_wall(zaqar_sled::Timestamp::from_millis(self.times().1 + self.ahead));
    }

    fn times(&self) -> (u64, u64) {
        (self.clock.wall().as_millis(), u64::try_from(self.clock.monotonic().as_millis()).expect("not that long"))
    }

    fn step_wall(&mut self, by: Duration, back: bool) {
        // Neither keeps a time it has not looked at; the engine looks only when it has to.
        self.act(&Operation::Gc);
        let wall = self.clock.wall();
        let by = u64::try_from(by.as_millis()).expect("it is bounded");
        let to = if back { wall.as_millis().saturating_sub(by) } else { wall.as_millis() + by };
        self.clock.set_wall(zaqar_sled::Timestamp::from_millis(to));
    }

    fn act_on_queues(&mut self, operation: &Operation) {
        use Operation as Op;
        let (ours, model) = (self.engine.queues(), self.model.queues());
        match operation {
            Op::Create { queue, metadata } => {
                let ((project, name), metadata) = (queue.parts(), metadata.metadata());
                same(ours.create(&project, &name, &metadata), model.create(&project, &name, &metadata));
            }
            Op::SetMetadata { queue, metadata } => {
                let ((project, name), metadata) = (queue.parts(), metadata.metadata());
                same(ours.set_metadata(&project, &name, &metadata), model.set_metadata(&project, &name, &metadata));
            }
            Op::Get { queue } => {
                let (project, name) = queue.parts();
                same(ours.get(&project, &name), model.get(&project, &name));
                same(ours.get_metadata(&project, &name), model.get_metadata(&project, &name));
            }
            Op::Exists { queue } => {
                let (project, name) = queue.parts();
                same(ours.exists(&project, &name), model.exists(&project, &name));
            }
            Op::Delete { queue } => {
                let (project, name) = queue.parts();
                same(ours.delete(&project, &name), model.delete(&project, &name));
            }
            Op::ListQueues { project, limit, detailed } => {
                let project = project_of(*project);
                let options = QueueListOptions::new().limit(usize::from(*limit % 8)).detailed(*detailed);
                let told = |page: zaqar_sled::Page<zaqar_sled::QueueEntry, _>| {
                    let entry = |entry: zaqar_sled::QueueEntry| (entry.name().clone(), entry.metadata().cloned());
                    (page.items.into_iter().map(entry).collect::<Vec<_>>(), page.next)
                };
                same(ours.list(&project, &options).map(told), model.list(&project, &options).map(told));
            }
            Op::Count { project } => {
                let project = project_of(*project);
                same(ours.count(&project), model.count(&project));
            }
            Op::Purge { queue, what } => {
                let (project, name) = queue.parts();
                let what = (*what).into();
                same(ours.purge(&project, &name, what), model.purge(&project, &name, what));
            }
            Op::Stats { queue } => {
                let (project, name) = queue.parts();
                let pair = both(ours.stats(&project, &name), model.stats(&project, &name));
                if let Some((ours, model)) = pair {
                    let counts = |stats: &zaqar_sled::QueueStats| (stats.claimed(), stats.free(), stats.total());
                    assert_eq!(counts(&ours), counts(&model));
                    self.same_stat(ours.oldest(), model.oldest());
                    self.same_stat(ours.newest(), model.newest());
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn act_on_messages(&mut self, operation: &Operation) {
        use Operation as Op;
        let (engine, model) = (self.engine.clone(), &self.model);
        let (ours, model) = (engine.messages(), model.messages());
        match operation {
            Op::Post { queue, client, messages } => {
                let (project, name) = queue.parts();
                let messages: Vec<_> = messages.iter().take(200).map(Letter::message).collect();
                let post =
                    |driver: &dyn zaqar_sled::Messages| driver.post(&project, &name, client_of(*client), &messages);
                if let Some((ours, model)) = both(post(ours), post(model)) {
                    assert_eq!(ours.len(), model.len());
                    self.messages.extend(ours.into_iter().zip(model));
                }
            }
            Op::List { queue, marker, limit, echo, claimed, delayed } => {
                let (project, name) = queue.parts();
                let marker = marker.map(|marker| self.message(marker));
                let options =
                    MessageListOptions::new().limit(usize::from(*limit % 16)).echo(*echo).client(client_of(true));
                let options = options.include_claimed(*claimed).include_delayed(*delayed);
                let after = |id: Option<MessageId>| options.clone().marker(id.map(MessageMarker::from));
                let ours = ours.list(&project, &name, &after(marker.map(|(id, _)| id)));
                let model = model.list(&project, &name, &after(marker.map(|(_, id)| id)));
                if let Some((ours, model)) = both(ours, model) {
                    assert_eq!(ours.next.is_some(), model.next.is_some());
                    self.same_messages(&ours.items, &model.items);
                }
            }
            Op::First { queue, newest } => {
                let (project, name) = queue.parts();
                let sort = if *newest { Sort::Newest } else { Sort::Oldest };
                let pair = both(ours.first(&project, &name, sort), model.first(&project, &name, sort));
                self.same_messages(
                    pair.as_ref().map(|pair| &pair.0).as_slice(),
                    pair.as_ref().map(|pair| &pair.1).as_slice(),
                );
            }
            Op::GetMessage { queue, id } => {
                let ((project, name), id) = (queue.parts(), self.message(*id));
                let pair = both(ours.get(&project, &name, &id.0), model.get(&project, &name, &id.1));
                self.same_messages(
                    pair.as_ref().map(|pair| &pair.0).as_slice(),
                    pair.as_ref().map(|pair| &pair.1).as_slice(),
                );
            }
            Op::BulkGet { queue, ids } => {
                let ((project, name), (left, right)) = (queue.parts(), self.messages(ids));
                let pair = both(ours.bulk_get(&project, &name, &left), model.bulk_get(&project, &name, &right));
                let (ours, model) = pair.expect("it cannot fail");
                self.same_messages(&ours, &model);
            }
            Op::DeleteMessage { queue, id, claim } => {
                let ((project, name), id) = (queue.parts(), self.message(*id));
                let claim = claim.map(|claim| self.claim(claim));
                let (left, right) = (claim.map(|claim| claim.0), claim.map(|claim| claim.1));
                let ours = ours.delete(&project, &name, &id.0, left.as_ref());
                same(ours, model.delete(&project, &name, &id.1, right.as_ref()));
            }
            Op::BulkDelete { queue, ids, claims } => {
                let ((project, name), (left, right)) = (queue.parts(), self.messages(ids));
                let claims: Vec<_> = claims.iter().map(|claim| self.claim(*claim)).collect();
                let (ours_of, model_of): (Vec<_>, Vec<_>) = claims.into_iter().unzip();
                let ours = ours.bulk_delete(&project, &name, &left, &ours_of);
                same(ours, model.bulk_delete(&project, &name, &right, &model_of));
            }
            Op::Pop { queue, limit } => {
                let ((project, name), limit) = (queue.parts(), usize::from(*limit % 16));
                if let Some((ours, model)) = both(ours.pop(&project, &name, limit), model.pop(&project, &name, limit)) {
                    self.same_messages(&ours, &model);
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn act_on_claims(&mut self, operation: &Operation) {
        use Operation as Op;
        let (engine, model) = (self.engine.clone(), &self.model);
        let (ours, model) = (engine.claims(), model.claims());
        match operation {
            Op::Claim { queue, ttl, grace, limit } => {
                let (project, name) = queue.parts();
                let options =
                    ClaimOptions::new().ttl((*ttl).into()).grace((*grace).into()).limit(usize::from(*limit % 16));
                match both(ours.create(&project, &name, &options), model.create(&project, &name, &options)) {
                    None | Some((None, None)) => {}
                    Some((Some(ours), Some(model))) => {
                        self.claims.push((ours.id(), model.id()));
                        self.same_claims(&ours, &model);
                    }
                    Some(other) => panic!("one of two claims: {other:?}"),
                }
            }
            Op::GetClaim { queue, claim } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let pair = both(ours.get(&project, &name, &claim.0), model.get(&project, &name, &claim.1));
                if let Some((ours, model)) = pair {
                    self.same_claims(&ours, &model);
                }
            }
            Op::Renew { queue, claim, ttl, grace } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let options = ClaimOptions::new().ttl((*ttl).into()).grace((*grace).into());
                let ours = ours.update(&project, &name, &claim.0, &options);
                same(ours, model.update(&project, &name, &claim.1, &options));
            }
            Op::Release { queue, claim } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                same(ours.delete(&project, &name, &claim.0), model.delete(&project, &name, &claim.1));
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn message(&self, known: Known) -> (MessageId, MessageId) {
        let back = self.messages.len().checked_sub(usize::from(known.0) + 1);
        back.map_or((MessageId::lossy("no"), MessageId::lossy("no")), |index| self.messages[index])
    }

    fn messages(&self, known: &[Known]) -> (Vec<MessageId>, Vec<MessageId>) {
        known.iter().take(50).map(|known| self.message(*known)).unzip()
    }

    fn claim(&self, known: Known) -> (ClaimId, ClaimId) {
        let back = self.claims.len().checked_sub(usize::from(known.0) + 1);
        back.map_or((ClaimId::lossy("no"), ClaimId::lossy("no")), |index| self.claims[index])
    }

    fn same_claims(&mut self, ours: &ClaimRecord, model: &ClaimRecord) {
        assert!(self.claims.contains(&(ours.id(), model.id())));
        assert_eq!((ours.ttl(), ours.age()), (model.ttl(), model.age()));
        self.same_messages(ours.messages(), model.messages());
    }

    fn same_messages<M: std::borrow::Borrow<Message>>(&mut self, ours: &[M], model: &[M]) {
        assert_eq!(ours.len(), model.len());
        for (ours, model) in ours.iter().map(M::borrow).zip(model.iter().map(M::borrow)) {
            self.same_id(ours.id(), model.id());
            let told = |m: &Message| (m.age(), m.ttl(), m.created(), m.body().clone(), m.claim_count(), m.checksum());
            assert_eq!(told(ours), told(model));
            match (ours.claim_id(), model.claim_id()) {
                (None, None) => {}
                (Some(ours), Some(model)) => assert!(self.claims.contains(&(ours, model))),
                other => panic!("one of two is claimed: {other:?}"),
            }
        }
    }

    fn same_stat(&mut self, ours: Option<&MessageStat>, model: Option<&MessageStat>) {
        match (ours, model) {
            (None, None) => {}
            (Some(ours), Some(model)) => {
                self.same_id(ours.id(), model.id());
                assert_eq!((ours.age(), ours.created()), (model.age(), model.created()));
            }
            other => panic!("one of two: {other:?}"),
        }
    }

    /// Ids of messages that moved by themselves are met here first.
    fn same_id(&mut self, ours: MessageId, model: MessageId) {
        let met = self.messages.iter().rev().find(|(left, right)| *left == ours || *right == model);
        match met {
            Some(pair) => assert_eq!(*pair, (ours, model)),
            None => self.messages.push((ours, model)),
        }
    }
}

impl Name {
    pub(crate) fn parts(self) -> (Project, QueueName) {
        let name = ["a", "b", "c"][usize::from(self.0 % 3)];
        (project_of(self.0 >= 3), QueueName::new(name).expect("a valid name"))
    }
}

impl Letter {
    fn message(&self) -> NewMessage {
        let body = vec![self.bytes as u8; usize::from(self.bytes % 3000)];
        let message = NewMessage::new(body).ttl(self.ttl.into());
        self.delay.map_or(message.clone(), |delay| message.delay(delay.into()))
    }
}

impl Settings {
    fn metadata(self) -> Metadata {
        let made = match self {
            Self::None => Ok(Metadata::new()),
            Self::DeadLetters { after, to, ttl } => {
                let to = ["a", "b", "c"][usize::from(to % 3)];
                let metadata = Metadata::new().with("_max_claim_count", 1 + after % 3);
                let metadata = metadata.and_then(|metadata| metadata.with("_dead_letter_queue", to));
                let ttl = ttl.map(|seconds| u32::from(seconds) + 60);
                metadata.and_then(|metadata| metadata.with("_dead_letter_queue_messages_ttl", ttl))
            }
            Self::Largest(bytes) => Metadata::new().with("_max_messages_post_size", bytes),
            Self::Invalid => Metadata::new().with("_max_claim_count", "many"),
        };
        made.expect("plain values")
    }
}

pub(crate) fn project_of(named: bool) -> Project {
    if named { Project::named("p").expect("a valid name") } else { Project::none() }
}

fn client_of(one: bool) -> ClientId {
    ClientId::from_bytes([u8::from(one); 16])
}

/// Time goes on for years, not for ages.
fn bounded(by: Duration) -> Duration {
    by.min(Duration::from_secs(1 << 28))
}

/// Compares answers that can be compared as they are.
pub(crate) fn same<T: PartialEq + Debug>(ours: Result<T>, model: Result<T>) {
    if let Some((ours, model)) = both(ours, model) {
        assert_eq!(ours, model);
    }
}

/// Both answers, or neither, if they are errors of one kind.
pub(crate) fn both<T: Debug>(ours: Result<T>, model: Result<T>) -> Option<(T, T)> {
    match (ours, model) {
        (Ok(ours), Ok(model)) => Some((ours, model)),
        (Err(ours), Err(model)) => {
            assert_eq!(discriminant(&ours), discriminant(&model), "{ours:?} and {model:?}");
            None
        }
        (ours, model) => panic!("the engine says {ours:?}, the model {model:?}"),
    }
}
