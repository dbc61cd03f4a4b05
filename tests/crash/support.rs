//! A store to break, and a complete dump of a store.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    ClaimId, ClaimOptions, Config, ControlDriver, DataDriver, Engine, ExtendedDriver, ListOptions, ManualClock,
    Message, MessageId, Metadata, NewMessage, Project, QueueListOptions, QueueName, Result, Subscription,
};

pub(crate) use crate::images::{assert_sound, disk_of, files};
pub(crate) use crate::random::Random;
pub(crate) use crate::values::{CLIENT, clock, everything};

pub(crate) const ROOT: &str = "/store";
/// More memory than any of these stores needs.
pub(crate) const AMPLE: u64 = 256 << 20;
pub(crate) const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

/// The settings of these tests: no background threads, and the smallest segments.
pub(crate) fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).seed(seed);
    // With every third seed idle queues leave memory with every snapshot.
    let config = if seed.is_multiple_of(3) { config.queue_memory(0) } else { config };
    config.background(false).segment_size(4096)
}

pub(crate) fn projects() -> [Project; 3] {
    [Project::none(), Project::named("").unwrap(), Project::named("p").unwrap()]
}

/// The topics too.
pub(crate) fn queues_of(driver: &dyn ExtendedDriver) -> Result<Vec<(Project, QueueName)>> {
    let mut all = Vec::new();
    for project in projects() {
        let page = driver.queues().list(&project, &QueueListOptions::new().limit(0))?;
        all.extend(page.items.iter().map(|entry| (project.clone(), entry.name().clone())));
        let page = driver.topics().list(&project, &QueueListOptions::new().limit(0))?;
        all.extend(page.items.iter().map(|entry| (project.clone(), entry.name().to_queue_name())));
    }
    Ok(all)
}

pub(crate) fn messages_of(driver: &dyn DataDriver, project: &Project, queue: &QueueName) -> Result<Vec<Message>> {
    Ok(driver.messages().list(project, queue, &everything())?.items)
}

/// A claim whose id a caller knows.
pub(crate) type Told = (Project, QueueName, ClaimId);

/// Everything that a caller can see, as text. Redundant answers are compared with one another.
pub(crate) fn dump(driver: &dyn ExtendedDriver, claims: &[Told]) -> Result<String> {
    let mut text = String::new();
    for (project, queue) in queues_of(driver)? {
        let metadata = driver.queues().get_metadata(&project, &queue)?.to_json();
        writeln!(text, "queue {project:?} {queue} {metadata}").unwrap();
        let all = messages_of(driver, &project, &queue)?;
        let now = driver.messages().list(&project, &queue, &everything().include_delayed(false))?.items;
        let free = driver.messages().list(&project, &queue, &everything().include_claimed(false))?.items;
        for message in &all {
            let delayed = !now.contains(message);
            assert_eq!(free.contains(message), message.claim_id().is_none(), "{message:?}");
            let (id, age, ttl) = (message.id(), message.age(), message.ttl());
            let (created, claim, count) = (message.created().as_millis(), message.claim_id(), message.claim_count());
            let body = &message.body().as_bytes()[..message.body().len().min(24)];
            let (body, bytes) = (String::from_utf8_lossy(body), message.body().len());
            let claims = (count, message.first_claimed(), message.last_claimed(), message.last_failure());
            let envelope = (message.headers(), message.dead_letter_origin());
            writeln!(
                text,
                "  {id} {body} {bytes} {created} {age:?} {ttl:?} {claim:?} {claims:?} {delayed} {envelope:?}"
            )
            .unwrap();
        }
        let stats = driver.queues().stats(&project, &queue)?;
        let claimed = all.iter().filter(|message| message.claim_id().is_some()).count() as u64;
        assert_eq!((stats.claimed(), stats.total()), (claimed, all.len() as u64), "{project:?} {queue}\n{text}");
        let (delayed, expired, rate) = (stats.delayed(), stats.expired(), stats.claim_rate());
        writeln!(text, "  {delayed} delayed, {expired} expired, {rate:?}").unwrap();
        if stats.oldest().map(zaqar_sled::MessageStat::id) != all.first().map(Message::id) {
            // A page that was read before may be found damaged now: then it is an error of this call.
            messages_of(driver, &project, &queue)?;
        }
        assert_eq!(stats.oldest().map(zaqar_sled::MessageStat::id), all.first().map(Message::id));
        assert_eq!(stats.newest().map(zaqar_sled::MessageStat::id), all.last().map(Message::id));
        assert!(all.is_sorted_by_key(Message::id), "{text}");
    }
    for (project, queue, id) in claims {
        match driver.claims().get(project, queue, id) {
            Ok(claim) => {
                let ids: Vec<String> = claim.messages().iter().map(|message| message.id().to_string()).collect();
                writeln!(text, "claim {id} {:?} {:?} {ids:?}", claim.ttl(), claim.age()).unwrap();
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(text)
}

/// Every subscription of these queues and of those there are, as text.
pub(crate) fn dump_subscriptions(driver: &dyn ExtendedDriver, places: &[(Project, QueueName)]) -> Result<String> {
    let mut all: BTreeSet<(Project, QueueName)> = queues_of(driver)?.into_iter().collect();
    all.extend(places.iter().cloned());
    let mut text = String::new();
    for (project, queue) in &all {
        let listed = driver.subscriptions().list(project, queue, &ListOptions::new().limit(0))?.items;
        assert!(listed.is_sorted_by_key(Subscription::id), "{listed:?}");
        for subscription in listed {
            let (id, subscriber) = (subscription.id(), subscription.subscriber());
            let (ttl, age, confirmed) = (subscription.ttl(), subscription.age(), subscription.confirmed());
            let options = subscription.options().to_json();
            writeln!(text, "{project:?} {queue} {id} {subscriber} {ttl:?} {age:?} {options} {confirmed}").unwrap();
            assert_eq!(driver.subscriptions().get(project, queue, &id)?, subscription);
            let found = driver.subscriptions().get_with_subscriber(project, queue, subscriber)?;
            assert_eq!(found.as_ref(), Some(&subscription));
        }
    }
    Ok(text)
}

/// The control plane, as text.
pub(crate) fn dump_control(driver: &dyn ControlDriver) -> Result<String> {
    let mut text = String::new();
    for pool in driver.pools().list(&ListOptions::new().limit(0).detailed(true))?.items {
        writeln!(text, "{pool:?}").unwrap();
    }
    for project in projects() {
        for flavor in driver.flavors().list(&project, &ListOptions::new().limit(0).detailed(true))?.items {
            writeln!(text, "{project:?} {flavor:?}").unwrap();
        }
        for entry in driver.catalogue().list(&project)? {
            writeln!(text, "{project:?} {} in {}", entry.queue(), entry.pool()).unwrap();
        }
    }
    Ok(text)
}

/// A store after many changes, and its state after each of them.
pub(crate) struct Lived {
    life: Life,
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) claims: Vec<Told>,
    /// The state before the first change, and after each change.
    pub(crate) states: Vec<String>,
    /// The last of them, with the claims.
    pub(crate) with_claims: String,
}

/// The history of a store before it is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// All of it is in the journal.
    Journal,
    /// A snapshot in the middle, two segments behind it.
    Snapshot,
    /// The same with next to no message in memory.
    Cold,
}

impl Life {
    fn memory(self) -> u64 {
        if self == Self::Cold { 500 } else { AMPLE }
    }
}

impl Lived {
    /// How it is opened again.
    pub(crate) fn config(&self, disk: &SimulatedDisk, seed: u64) -> Config {
        config(disk, &self.clock, seed).memory(self.life.memory())
    }

    pub(crate) fn new(life: Life) -> Self {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).memory(life.memory()).open(ROOT).unwrap();
        let mut lived = Self {
            life,
            disk,
            clock,
            engine,
            claims: Vec::new(),
            states: vec![String::new()],
            with_claims: String::new(),
        };
        lived.live(0, 12);
        if life != Life::Journal {
            lived.engine.snapshot().unwrap();
            lived.live(12, 20);
        }
        lived.with_claims = dump(&lived.engine, &lived.claims).unwrap();
        lived
    }

    /// The last state.
    pub(crate) fn last(&self) -> &str {
        self.states.last().unwrap()
    }

    pub(crate) fn killed(life: Life) -> (SimulatedDisk, Self) {
        let lived = Self::new(life);
        (lived.disk.kill(), lived)
    }

    pub(crate) fn closed(life: Life) -> (SimulatedDisk, Self) {
        let lived = Self::new(life);
        lived.engine.close().unwrap();
        (lived.disk.kill(), lived)
    }

    fn live(&mut self, from: u64, to: u64) {
        let engine = self.engine.clone();
        let none = Project::none();
        for round in from..to {
            let name = QueueName::new(["a", "b", "c"][(round % 3) as usize]).unwrap();
            if round < 3 {
                let metadata = Metadata::new().with("round", round).unwrap();
                engine.queues().create(&none, &name, &metadata).unwrap();
                self.note();
            }
            let batch: Vec<_> = (0..4).map(|i| message(&format!("{round}-{i}"), 150)).collect();
            let ids = engine.messages().post(&none, &name, CLIENT, &batch).unwrap();
            self.note();
            if round % 2 == 0 {
                let claim = engine.claims().create(&none, &name, &ClaimOptions::new().limit(2)).unwrap().unwrap();
                self.claims.push((none.clone(), name.clone(), claim.id()));
                self.note();
                engine.messages().delete(&none, &name, &claim.messages()[0].id(), Some(&claim.id())).unwrap();
                self.note();
            }
            engine.messages().bulk_delete(&none, &name, &ids[3..], &[]).unwrap();
            self.note();
        }
    }

    fn note(&mut self) {
        let state = dump(&self.engine, &[]).unwrap();
        self.states.push(state);
    }
}

/// A message of so many bytes that begins with a name.
pub(crate) fn message(name: &str, bytes: usize) -> NewMessage {
    let mut body = name.as_bytes().to_vec();
    body.resize(bytes.max(body.len()), b'.');
    NewMessage::new(body).ttl(MINUTE * 60).delay(std::time::Duration::ZERO)
}

pub(crate) fn journal() -> &'static Path {
    Path::new("/store/journal")
}

/// Posts to every queue. Each id is one that no call returned before, and comes after all that are there.
pub(crate) fn post_everywhere<'a>(
    engine: &Engine,
    shown: impl IntoIterator<Item = &'a MessageId> + Clone,
    context: &str,
) {
    for (project, queue) in queues_of(engine).unwrap() {
        let newest = messages_of(engine, &project, &queue).unwrap().last().map(Message::id);
        let id = engine.messages().post(&project, &queue, CLIENT, &[message("new", 9)]).unwrap()[0];
        assert!(!shown.clone().into_iter().any(|one| *one == id), "{context}: {id} was given out before");
        assert!(newest.is_none_or(|newest| newest < id), "{context}: {id} comes before {newest:?}");
    }
}
