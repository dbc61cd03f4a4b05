//! Small valid stores, made once and put on a fresh disk for every input.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use arbitrary::Arbitrary;
use zaqar_sled::disk::{Disk, Tree};
use zaqar_sled::{
    ClaimOptions, ClientId, Config, ControlDriver, DataDriver, Engine, FlavorName, ManualClock, Metadata, NewFlavor,
    NewMessage, NewPool, PoolGroup, PoolName, Project, Queue, QueueName, SimulatedDisk, Subscriber, SubscriptionUpdate,
    Timestamp,
};

pub const STORE: &str = "/store";
/// The beginning of every body in the images.
pub const BODY: &[u8] = b"one of ours ";
pub const NAMES: [&str; 4] = ["a", "b", "dead", "gone"];
/// The last is removed at the end, but may come back if the end of the journal is damaged.
pub const SUBSCRIBERS: [&str; 3] = ["https://kept.example", "https://soon.example", "https://gone.example"];
/// Likewise.
pub const POOLS: [&str; 3] = ["one", "two", "gone"];
pub const FLAVOR: &str = "gold";

/// The history of the store before the damage.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Kind {
    /// Killed before there was a snapshot.
    Journal,
    /// Killed some time after a snapshot.
    Snapshot,
    /// Closed: the trees count.
    Closed,
    /// Killed, opened, killed and opened again, with snapshots in between.
    Reopened,
}

/// The whole content of a disk.
#[derive(Debug)]
pub struct Image {
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// The directory of the trees, and their entries.
    pub trees: Option<(PathBuf, Vec<Entry>)>,
}

type Entry = (Tree, Vec<u8>, Vec<u8>);

impl Image {
    pub fn of(kind: Kind) -> &'static Self {
        static IMAGES: LazyLock<[Image; 4]> = LazyLock::new(|| {
            [Kind::Journal, Kind::Snapshot, Kind::Closed, Kind::Reopened].map(|kind| Image::taken(&built(kind)))
        });
        &IMAGES[kind as usize]
    }

    /// The image of the current content of `disk`.
    pub fn taken(disk: &SimulatedDisk) -> Self {
        let paths = disk.list_all().into_iter().filter(|path| !path.ends_with("LOCK"));
        let files = paths.map(|path| (path.clone(), disk.read(&path).expect("it was listed"))).collect();
        let names = disk.list(Path::new(STORE)).expect("the store is there");
        let trees = names.iter().find(|name| name.starts_with("trees-")).map(|name| {
            let path = Path::new(STORE).join(name);
            let trees = disk.trees(&path).expect("the trees are there");
            let mut entries = Vec::new();
            for tree in Tree::ALL {
                let entry = &mut |key: &[u8], value: &[u8]| {
                    entries.push((tree, key.to_vec(), value.to_vec()));
                    Ok(())
                };
                trees.scan(tree, entry).expect("a disk in memory");
            }
            (path, entries)
        });
        Self { files, trees }
    }

    /// Puts it on a disk of its own.
    pub fn restored(&self) -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        for (path, bytes) in &self.files {
            disk.create_dir_all(path.parent().expect("a file is in a directory")).expect("no limit");
            disk.write(path, bytes.as_slice()).expect("no limit");
        }
        if let Some((path, entries)) = &self.trees {
            let trees = disk.trees(path).expect("no limit");
            for (tree, key, value) in entries {
                trees.insert(*tree, key, value).expect("no limit");
            }
            disk.sync_trees(path).expect("no limit");
        }
        disk
    }
}

pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)))
}

/// The settings of every store: small segments, so that there are several, and a different seed for each opening, so
/// that no id is assigned twice.
pub fn config(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Config {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone());
    config.background(false).segment_size(4096).seed(seed)
}

fn built(kind: Kind) -> SimulatedDisk {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let open = |disk: &SimulatedDisk, seed| config(disk, &clock, seed).open(STORE).expect("a valid store");
    let engine = open(&disk, 1);
    work(&engine, &clock);
    match kind {
        Kind::Journal => disk.kill(),
        Kind::Snapshot => {
            engine.snapshot().expect("no limit");
            work(&engine, &clock);
            disk.kill()
        }
        Kind::Closed => {
            engine.snapshot().expect("no limit");
            work(&engine, &clock);
            engine.close().expect("no limit");
            disk
        }
        Kind::Reopened => {
            let disk = disk.kill();
            let engine = open(&disk, 2);
            work(&engine, &clock);
            engine.checkpoint().expect("no limit");
            engine.snapshot().expect("no limit");
            let disk = disk.kill();
            // Dropped, and so closed.
            work(&open(&disk, 3), &clock);
            let engine = open(&disk, 4);
            work(&engine, &clock);
            disk.kill()
        }
    }
}

/// Calls of every kind.
fn work(engine: &Engine, clock: &ManualClock) {
    let queue = |name| engine.queue(Project::none(), name).expect("a valid name");
    let [a, b, gone] = ["a", "b", "gone"].map(queue);
    let worn = Metadata::new().with("_max_claim_count", 1).and_then(|m| m.with("_dead_letter_queue", "dead"));
    a.create(Metadata::new()).expect("no limit");
    b.create(worn.expect("valid metadata")).expect("no limit");
    gone.create(Metadata::new()).expect("no limit");
    post(&a, 20, 3_600);
    post(&b, 3, 3_600);
    post(&a, 2, 1);
    let claim = a.claim(ClaimOptions::new().limit(4)).expect("no limit").expect("messages wait");
    claim.delete(&claim.messages()[0]).expect("it is claimed");
    let short = ClaimOptions::new().limit(2).ttl(Duration::from_secs(5));
    b.claim(short.clone()).expect("no limit");
    clock.advance(Duration::from_secs(10));
    // The same two messages, which are worn out now.
    b.claim(short).expect("no limit");
    a.pop(2).expect("no limit");
    post(&gone, 1, 3_600);
    gone.delete().expect("no limit");
    subscribe(engine);
    register(engine);
    engine.step().expect("no limit");
}

fn subscribe(engine: &Engine) {
    let subscriptions = engine.subscriptions();
    let (project, a, options) = (Project::none(), name("a"), Metadata::new().with("retries", 3).expect("plain values"));
    let create = |subscriber: &str, ttl| {
        let subscriber = Subscriber::new(subscriber).expect("not empty");
        subscriptions.create(&project, &a, &subscriber, Duration::from_secs(ttl), &options).expect("no limit")
    };
    if let Some(kept) = create(SUBSCRIBERS[0], 3_600) {
        subscriptions.confirm(&project, &a, &kept, true).expect("it is live");
        let update = SubscriptionUpdate::new().ttl(Duration::from_secs(7_200));
        subscriptions.update(&project, &a, &kept, &update).expect("it is live");
    }
    create(SUBSCRIBERS[1], 1);
    if let Some(gone) = create(SUBSCRIBERS[2], 3_600) {
        subscriptions.delete(&project, &a, &gone).expect("no limit");
    }
}

fn register(engine: &Engine) {
    let (pools, flavors, catalogue) = (engine.pools(), engine.flavors(), engine.catalogue());
    let (group, gold) = (PoolGroup::new("ssd").expect("valid"), FlavorName::new(FLAVOR).expect("valid"));
    let [first, second, gone] = POOLS.map(|name| PoolName::new(name).expect("a valid name"));
    let pool = |uri: &str| NewPool::new(uri.parse().expect("a valid URI"));
    pools.create(&first, &pool("sled:/one").group(group.clone()).weight(7)).expect("no limit");
    pools.create(&second, &pool("memory:two")).expect("no limit");
    pools.create(&gone, &pool("memory:three")).expect("no limit");
    pools.delete(&gone).expect("no flavor stands for it");
    flavors.create(&Project::none(), &gold, &NewFlavor::of(group)).expect("the group has a pool");
    catalogue.insert(&Project::none(), &name("a"), &first).expect("no limit");
    catalogue.update(&Project::none(), &name("a"), Some(&second)).expect("it is mapped");
    catalogue.insert(&Project::none(), &name("gone"), &gone).expect("no limit");
    catalogue.delete(&Project::none(), &name("gone")).expect("no limit");
}

fn name(name: &str) -> QueueName {
    QueueName::new(name).expect("a valid name")
}

fn post(queue: &Queue, count: usize, ttl: u64) {
    let message = |i: usize| {
        let mut body = BODY.to_vec();
        body.resize(BODY.len() + 7 * i, b'.');
        NewMessage::new(body).ttl(Duration::from_secs(ttl)).delay(Duration::from_secs((i % 3) as u64 / 2))
    };
    let messages: Vec<_> = (0..count).map(message).collect();
    queue.post(ClientId::from_bytes([count as u8; 16]), &messages).expect("no limit");
}
