//! A store with something of every kind, by a seed, and its export.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    Claim, ClaimOptions, Config, ControlDriver, DataDriver, Engine, ExportReport, ExtendedDriver, Headers, ListOptions,
    ManualClock, MessageId, Metadata, NewFlavor, NewMessage, NewPool, PoolName, Project, ProjectQuota, ProjectUsage,
    Queue, QueueName, QueueSettings, Result, Retry, Subscriber, Ttl,
};

use crate::support::{
    self, CLIENT, MINUTE, Random, clock, dump, dump_control, dump_subscriptions, messages_of, projects, queues_of,
};
use crate::values::{ALICE, name_of};

/// The name under which a store is imported.
pub(crate) const COPY: &str = "/copy";

/// An engine, and what its callers know.
pub(crate) struct Scene {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) random: Random,
    pub(crate) claims: Vec<Claim>,
    pub(crate) ids: Vec<MessageId>,
    pub(crate) seed: u64,
}

pub(crate) fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    let config = support::config(disk, clock, seed).checksums(seed.is_multiple_of(2));
    if seed % 2 == 1 { config.memory(500) } else { config }
}

impl Scene {
    /// Seeds that are multiples of 3 archive idle queues, odd ones keep no message in memory.
    pub(crate) fn new(seed: u64) -> Self {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, seed).open("/store").unwrap();
        Self { disk, clock, engine, random: Random::new(seed), claims: Vec::new(), ids: Vec::new(), seed }
    }

    /// A scene after so many random calls.
    pub(crate) fn lived(seed: u64, calls: u64) -> Self {
        let mut scene = Self::new(seed);
        scene.furnish();
        (0..calls).for_each(|_| scene.call());
        scene
    }

    /// Rows of the control plane, and queues with reserved keys.
    pub(crate) fn furnish(&self) {
        let group = "fast".parse().unwrap();
        let pool = NewPool::new("memory:one".parse().unwrap()).weight(3).group(Some(group));
        ControlDriver::pools(&self.engine).create(&PoolName::new("one").unwrap(), &pool).unwrap();
        for project in projects() {
            let flavor = NewFlavor::of("fast".parse().unwrap()).capabilities(Metadata::new().with("a", 1).unwrap());
            self.engine.flavors().create(&project, &"quick".parse().unwrap(), &flavor).unwrap();
            let pool = PoolName::new("one").unwrap();
            self.engine.catalogue().insert(&project, &name_of("mapped"), &pool).unwrap();
            let dead = self.engine.queue(project.clone(), "dead").unwrap();
            dead.create(Metadata::new().with("_default_message_ttl", 3_000).unwrap()).unwrap();
            let text = "{\"_max_claim_count\":2,\"_dead_letter_queue\":\"dead\",\"_max_claims_per_second\":1,\
                \"_max_claims_burst\":30,\"a\":[1.0,1e300,\"\\u00fc\"]}";
            let jobs = self.engine.queue(project.clone(), "jobs").unwrap();
            jobs.create(Metadata::from_json(text).unwrap()).unwrap();
            let news = self.engine.topic(project, "jobs").unwrap();
            news.create(QueueSettings::new().subscribed(["quiet", "jobs"])).unwrap();
        }
    }

    pub(crate) fn queue(&mut self) -> Queue {
        let project = self.random.of(&projects()).unwrap().clone();
        let name = self.random.pick(&["jobs", "dead", "quiet", "a b/ü", "other"]);
        self.engine.queue(project, name).unwrap()
    }

    fn call(&mut self) {
        let (queue, turn) = (self.queue(), self.random.below(100));
        match turn {
            0..30 => self.post(&queue),
            30..50 => self.claim(&queue),
            50..72 => self.go_on_with_a_claim(),
            72..75 => drop(queue.pop(1)),
            75..77 => drop(queue.purge()),
            77..79 => drop(queue.delete()),
            79..80 => self.pause(&queue),
            80..81 => self.publish(&queue),
            81..83 => self.bookmark(),
            83..84 => self.limit(),
            84..90 => self.subscribe(),
            90..97 => self.clock.advance(MINUTE / 3),
            _ => self.engine.step().unwrap(),
        }
    }

    fn bookmark(&mut self) {
        let project = self.random.of(&projects()).unwrap().clone();
        let bookmark = self.engine.bookmark(project, self.random.pick(&["here", "a b/ü"])).unwrap();
        if self.random.one_in(4) {
            bookmark.delete().unwrap();
        } else {
            bookmark.set(vec![self.random.pick(&[b'1', 0xff]); self.random.below(40) as usize]).unwrap();
        }
    }

    fn limit(&mut self) {
        let project = self.random.of(&projects()).unwrap().clone();
        let quota = ProjectQuota::new().max_messages(self.random.pick(&[None, Some(10_000)]));
        let quota = quota.max_bytes(self.random.pick(&[None, Some(1 << 30)])).max_queues(50);
        self.engine.projects().set_quota(&project, &self.random.pick(&[quota, quota, ProjectQuota::new()])).unwrap();
    }

    fn publish(&mut self, queue: &Queue) {
        let news = self.engine.topic(queue.project().clone(), "jobs").unwrap();
        let message = self.message();
        self.ids.extend(news.post(CLIENT, &[message]).unwrap_or_default());
    }

    fn pause(&mut self, queue: &Queue) {
        let pause = self.random.pick(&[zaqar_sled::Pause::All, zaqar_sled::Pause::Posts]);
        if self.random.one_in(2) { drop(queue.pause(pause)) } else { drop(queue.resume()) }
    }

    pub(crate) fn post(&mut self, queue: &Queue) {
        queue.create(Metadata::new()).unwrap();
        let count = 1 + self.random.below(12);
        let messages: Vec<NewMessage> = (0..count).map(|_| self.message()).collect();
        let client = if self.random.one_in(3) { ALICE } else { CLIENT };
        self.ids.extend(queue.post(client, &messages).unwrap_or_default());
    }

    fn message(&mut self) -> NewMessage {
        let length = self.random.pick(&[0_usize, 3, 40, 900, 20_000]);
        let body: Vec<u8> = match self.random.below(5) {
            0 => format!("{{\"n\": [{length}, 1.50, \"\\ud800\"], \"ü\": \"{}\"}}", "x".repeat(length)).into_bytes(),
            1 => format!(" {{\n}} \"{}\\", "y".repeat(length)).into_bytes(),
            2 => (0..length).map(|byte| byte as u8).collect(),
            3 => length.to_string().into_bytes(),
            _ => "grün".repeat(length / 4).into_bytes(),
        };
        let ttl = self.random.pick(&[Ttl::Forever, Ttl::For(MINUTE), Ttl::For(MINUTE * 60), Ttl::For(Duration::ZERO)]);
        let delay = if self.random.one_in(4) { MINUTE / 2 } else { Duration::ZERO };
        let message = NewMessage::new(body).ttl(ttl).delay(delay);
        if self.random.one_in(3) {
            let again = Headers::new().with("b", "").with("a", "\u{fc}\n").with("b", "2");
            return message.headers(again);
        }
        message
    }

    fn claim(&mut self, queue: &Queue) {
        let limit = 1 + self.random.below(6) as usize;
        let (ttl, grace) =
            (self.random.pick(&[MINUTE / 2, MINUTE, MINUTE * 10]), self.random.pick(&[MINUTE, MINUTE * 99]));
        let claimed = queue.claim(ClaimOptions::new().ttl(ttl).grace(grace).limit(limit));
        self.claims.extend(claimed.unwrap_or_default());
    }

    fn go_on_with_a_claim(&mut self) {
        let (turn, at) = (self.random.below(6), self.random.below(self.claims.len().max(1) as u64));
        let Some(claim) = self.claims.get_mut(at as usize) else { return };
        let first = claim.messages().first().map(zaqar_sled::Message::id);
        match turn {
            0 => drop(claim.delete_all()),
            1 => drop(claim.renew(MINUTE, MINUTE)),
            2 => drop(claim.delete(&claim.messages()[0])),
            3 => drop(claim.retry(Retry::new(first.unwrap()).delay(MINUTE / 2).reason("it \"failed\""))),
            4 => drop(claim.retry(Retry::new(first.unwrap()))),
            _ => drop(self.claims.swap_remove(at as usize).release()),
        }
    }

    fn subscribe(&mut self) {
        let (project, name) =
            (self.random.of(&projects()).unwrap().clone(), name_of(self.random.pick(&["jobs", "none"])));
        let subscriber = Subscriber::new(format!("https://host/{}", self.random.below(9))).unwrap();
        let options = Metadata::new().with("from", "x").unwrap();
        let subscriptions = self.engine.subscriptions();
        let made =
            subscriptions.create(&project, &name, &subscriber, MINUTE * (1 + self.random.below(20) as u32), &options);
        if let Ok(Some(id)) = made {
            drop(subscriptions.confirm(&project, &name, &id, self.random.one_in(2)));
        }
    }

    /// Imports `lines` as a store, and opens it.
    pub(crate) fn import(&self, lines: &[u8]) -> (ExportReport, Engine) {
        let report = self.try_import(lines).unwrap();
        (report, config(&self.disk, &self.clock, self.seed + 1).open(COPY).unwrap())
    }

    pub(crate) fn try_import(&self, lines: &[u8]) -> Result<ExportReport> {
        config(&self.disk, &self.clock, self.seed).import(COPY, lines)
    }

    /// Everything that a caller can see in an engine, as text.
    pub(crate) fn seen(&self, engine: &Engine) -> String {
        let told: Vec<_> = self
            .claims
            .iter()
            .map(|claim| {
                let queue = claim.queue();
                (queue.project().clone(), queue.name().clone(), claim.id())
            })
            .collect();
        let places: Vec<_> = projects().into_iter().map(|project| (project, name_of("none"))).collect();
        let bookmarks = projects().map(|project| engine.bookmarks().list(&project, &ListOptions::new()).unwrap().items);
        let bookmarks = bookmarks.concat().iter().fold(String::new(), |text, one| text + &format!("{one:?}\n"));
        let quotas = projects().map(|project| {
            let (quota, usage) = (engine.projects().quota(&project), engine.projects().usage(&project));
            let nothing = (ProjectQuota::new(), ProjectUsage::default());
            let found = (quota.unwrap(), usage.unwrap());
            if found == nothing { String::new() } else { format!("{found:?}\n") }
        });
        let explained: Vec<String> = queues_of(engine).unwrap().iter().map(|at| explained(engine, at)).collect();
        dump(engine, &told).unwrap()
            + &dump_subscriptions(engine, &places).unwrap()
            + &dump_control(engine).unwrap()
            + &explained.concat()
            + &bookmarks
            + &quotas.concat()
    }
}

/// Why each message of the queue can or cannot be claimed, and since when.
fn explained(engine: &Engine, (project, name): &(Project, QueueName)) -> String {
    let messages = messages_of(engine, project, name).unwrap();
    messages
        .iter()
        .map(|message| engine.diagnostics().explain(project, name, &message.id()).unwrap())
        .fold(String::new(), |text, explanation| text + &format!("{explanation:?}\n"))
}

pub(crate) fn exported(engine: &Engine) -> (ExportReport, String) {
    let mut lines = Vec::new();
    let report = engine.export(&mut lines).unwrap();
    (report, String::from_utf8(lines).unwrap())
}

/// The lines behind the first one.
pub(crate) fn behind_the_first(lines: &str) -> &str {
    lines.split_once('\n').unwrap().1
}

pub(crate) fn shop_queue(engine: &Engine, name: &str) -> Queue {
    engine.queue(Project::none(), name).unwrap()
}
