//! A store with something of every kind, and everything that a caller can see of it.

use std::path::Path;
use std::sync::Arc;

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Engine, ManualClock, MessageId, Metadata, NewMessage, Project, Queue, Subscriber,
    SubscriptionId,
};

use crate::support::{self, CLIENT, MINUTE, ROOT, Told, assert_sound, clock, dump, dump_subscriptions, message};

pub(crate) const BACKUP: &str = "/backup";
pub(crate) const RESTORED: &str = "/restored";

/// An engine, and what its callers know.
pub(crate) struct Scene {
    pub(crate) disk: SimulatedDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) engine: Engine,
    pub(crate) claims: Vec<Told>,
    pub(crate) ids: Vec<MessageId>,
    pub(crate) subscriptions: Vec<SubscriptionId>,
    round: u64,
}

impl Scene {
    /// An empty store. Seeds that are multiples of 3 archive idle queues, odd ones keep no message in memory.
    pub(crate) fn new(seed: u64) -> Self {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, seed).open(ROOT).unwrap();
        let (claims, ids, subscriptions) = (Vec::new(), Vec::new(), Vec::new());
        Self { disk, clock, engine, claims, ids, subscriptions, round: 0 }
    }

    pub(crate) fn queue(&self, name: &str) -> Queue {
        self.engine.queue(Project::none(), name).unwrap()
    }

    /// Creates queues and messages of every kind; some of each stay.
    pub(crate) fn live(&mut self) {
        self.round += 1;
        let round = self.round;
        for name in ["jobs", "dead", "quiet"] {
            self.queue(name).create(Metadata::new().with("round", round).unwrap()).unwrap();
        }
        let idle = self.queue(&format!("idle-{round}"));
        idle.create(Metadata::new().with("_max_messages_post_size", 4_096 + round).unwrap()).unwrap();
        let metadata = Metadata::new().with("_max_claim_count", 1).unwrap().with("_dead_letter_queue", "dead").unwrap();
        self.queue("jobs").set_metadata(&metadata).unwrap();
        let jobs = self.queue("jobs");
        let batch: Vec<NewMessage> = (0..9).map(|n| message(&format!("{round}-{n}"), 300)).collect();
        let posted = jobs.post(CLIENT, &batch).unwrap();
        self.ids.extend(&posted);
        self.ids.extend(jobs.post(CLIENT, &[message("later", 20).delay(MINUTE)]).unwrap());
        self.ids.extend(self.queue("quiet").post(CLIENT, &[message("quiet", 700)]).unwrap());
        // One claim ends, and its messages become dead letters with the next; one stays, with a deleted message.
        let options = ClaimOptions::new().limit(2).ttl(MINUTE).grace(MINUTE);
        jobs.claim(options.clone()).unwrap().unwrap().release().unwrap();
        let claim = (0..3).find_map(|_| jobs.claim(options.clone()).unwrap()).unwrap();
        claim.delete(&claim.messages()[0]).unwrap();
        self.claims.push((Project::none(), jobs.name().clone(), claim.id()));
        jobs.pop(1).unwrap();
        self.subscribe(&format!("http://example.org/{round}"));
    }

    fn subscribe(&mut self, uri: &str) {
        let (none, quiet) = (Project::none(), self.queue("quiet").name().clone());
        let subscriptions = self.engine.subscriptions();
        let id = subscriptions.create(&none, &quiet, &Subscriber::new(uri).unwrap(), MINUTE * 60, &Metadata::new());
        self.subscriptions.extend(id.unwrap());
    }

    pub(crate) fn state(&self) -> String {
        state(&self.engine, &self.claims)
    }

    /// Opens what was restored to a directory of this disk.
    pub(crate) fn open(&self, disk: &SimulatedDisk, path: &str) -> Engine {
        config(disk, &self.clock, 4).open(path).unwrap()
    }

    /// The state of what is restored from the backup.
    pub(crate) fn restored(&self, disk: &SimulatedDisk) -> String {
        disks_config(disk).restore(BACKUP, RESTORED).unwrap();
        let engine = self.open(disk, RESTORED);
        assert_sound(&engine, "restored");
        state(&engine, &self.claims)
    }
}

pub(crate) fn state(engine: &Engine, claims: &[Told]) -> String {
    dump(engine, claims).unwrap() + &dump_subscriptions(engine, &[]).unwrap()
}

pub(crate) fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    let config = support::config(disk, clock, seed);
    if seed % 2 == 1 { config.memory(500) } else { config }
}

/// The settings that a restore uses.
pub(crate) fn disks_config(disk: &SimulatedDisk) -> Config {
    Config::new().disk(Arc::new(disk.clone()))
}

/// The sets of files in the backup's directory.
pub(crate) fn sets(disk: &SimulatedDisk) -> Vec<String> {
    use zaqar_sled::disk::Disk;
    let names = disk.list(Path::new(BACKUP)).unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with("set-")).collect()
}
