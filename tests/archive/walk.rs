//! A random walk of one caller, compared with a map of what there must be.

use std::collections::BTreeMap;
use std::sync::Arc;

use zaqar_sled::{
    ClaimOptions, ClientId, Engine, ManualClock, Metadata, NewMessage, Project, Queue, QueueListOptions, QueueStats,
    SimulatedDisk, Timestamp,
};

use crate::random::Random;
use crate::variables::{ROUNDS, SEED};
use crate::{ROOT, config};

/// What is known of a queue: its metadata, its message bodies, and how many messages it has handed out while it had a
/// claim rate. No time passes, so no rate brings more.
#[derive(Clone, Debug, PartialEq, Default)]
struct Known {
    metadata: String,
    bodies: Vec<String>,
    handed_out: u32,
}

impl Known {
    fn has_rate(&self) -> bool {
        self.metadata.contains("_max_claims_per_second")
    }

    fn hand_out_one(&mut self) {
        self.handed_out += u32::from(self.has_rate());
    }
}

/// More than are handed out.
const BURST: u32 = 1_000;

/// Metadata that no other turn sets; every other has a claim rate.
fn metadata_of(turn: u64) -> String {
    let rate = format!(r#","_max_claims_per_second":{},"_max_claims_burst":{BURST}"#, turn % 5 + 1);
    format!(r#"{{"n":{turn}{}}}"#, if turn.is_multiple_of(2) { rate } else { String::new() })
}

type Key = (Option<String>, String);

struct Walk {
    random: Random,
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    engine: Engine,
    known: BTreeMap<Key, Known>,
    turn: u64,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let disk = SimulatedDisk::new();
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1 << 40)));
        let engine = config(&disk, &clock).open(ROOT).unwrap();
        Self { random: Random::new(seed), disk, clock, engine, known: BTreeMap::new(), turn: 0 }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn key(&mut self) -> Key {
        let project = [None, Some(String::new()), Some("p".to_owned())][self.random.below(3) as usize].clone();
        (project, format!("queue-{}", self.below(25)))
    }

    fn queue(&self, (project, name): &Key) -> Queue {
        self.engine.queue(project_of(project.as_deref()), name.as_str()).unwrap()
    }

    fn step(&mut self) {
        self.turn += 1;
        let key = self.key();
        let (queue, is_known) = (self.queue(&key), self.known.contains_key(&key));
        match self.below(100) {
            0..30 => {
                let metadata = metadata_of(self.turn);
                assert_eq!(queue.create(Metadata::from_json(&metadata).unwrap()).unwrap(), !is_known);
                self.known.entry(key).or_insert(Known { metadata, ..Known::default() });
            }
            30..42 => {
                queue.delete().unwrap();
                self.known.remove(&key);
            }
            42..52 => {
                let metadata = metadata_of(self.turn);
                let set = queue.set_metadata(&Metadata::from_json(&metadata).unwrap());
                assert_eq!(set.is_ok(), is_known);
                self.known.entry(key).and_modify(|known| known.metadata = metadata);
            }
            52..60 => {
                let body = format!("body {}", self.turn);
                let posted = queue.post(ClientId::from_bytes([1; 16]), &[NewMessage::new(body.as_str())]);
                assert_eq!(posted.is_ok(), is_known);
                self.known.entry(key).and_modify(|known| known.bodies.push(body));
            }
            60..72 => {
                let popped = queue.pop(1);
                if let Some(known) = self.known.get_mut(&key) {
                    let expected = (!known.bodies.is_empty()).then(|| known.bodies.remove(0));
                    expected.iter().for_each(|_| known.hand_out_one());
                    let popped = popped.unwrap().into_iter().next();
                    let popped = popped.map(|message| String::from_utf8(message.body().as_bytes().to_vec()).unwrap());
                    assert_eq!(popped, expected, "{key:?}");
                }
            }
            72..76 => {
                // A claim that is released at once.
                if let Some(claim) = queue.claim(ClaimOptions::new().limit(1)).unwrap() {
                    claim.release().unwrap();
                    self.known.entry(key).and_modify(Known::hand_out_one);
                }
            }
            76..88 => self.check_queue(&key),
            88..92 => self.check_listing(),
            92..96 => self.engine.snapshot().unwrap(),
            96..98 => self.reopen(),
            _ => self.kill(),
        }
    }

    fn check_queue(&self, key: &Key) {
        let (queue, known) = (self.queue(key), self.known.get(key));
        assert_eq!(queue.exists().unwrap(), known.is_some(), "{key:?}");
        assert_eq!(queue.metadata().ok().map(|metadata| metadata.to_json()), known.map(|known| known.metadata.clone()));
        let stats = queue.stats().ok();
        assert_eq!(stats.as_ref().map(QueueStats::total), known.map(|known| known.bodies.len() as u64));
        let available = stats.and_then(|stats| Some(stats.claim_rate()?.available()));
        let known = known.filter(|known| known.has_rate());
        assert_eq!(available, known.map(|known| BURST - known.handed_out), "{key:?}");
    }

    /// Lists every project, in pages of some size, and compares the names and the metadata.
    fn check_listing(&mut self) {
        let limit = [0, 1, 2, 7][self.below(4) as usize];
        for project in [None, Some(""), Some("p")] {
            let (mut found, mut options) = (BTreeMap::new(), QueueListOptions::new().limit(limit).detailed(true));
            loop {
                let page = self.engine.queues().list(&project_of(project), &options).unwrap();
                for entry in &page.items {
                    let metadata = entry.metadata().unwrap().to_json();
                    assert!(found.insert(entry.name().to_string(), metadata).is_none());
                }
                match page.next.clone().filter(|_| limit > 0) {
                    Some(next) => options = options.marker(next),
                    None => break,
                }
            }
            let ours = self.known.iter().filter(|((one, _), _)| one.as_deref() == project);
            let expected: BTreeMap<_, _> =
                ours.map(|((_, name), known)| (name.clone(), known.metadata.clone())).collect();
            assert_eq!(found, expected);
            let count = self.engine.queues().count(&project_of(project)).unwrap();
            assert_eq!(count, expected.len() as u64);
        }
        assert_eq!(self.engine.status().queues(), self.known.len() as u64);
        let verified = self.engine.verify().unwrap();
        assert!(verified.is_sound(), "{:?}", verified.findings());
        assert_eq!(verified.queues(), self.known.len() as u64);
    }

    fn reopen(&mut self) {
        self.engine.close().unwrap();
        self.engine = config(&self.disk, &self.clock).open(ROOT).unwrap();
    }

    fn kill(&mut self) {
        self.disk = self.disk.kill();
        self.engine = config(&self.disk, &self.clock).open(ROOT).unwrap();
    }
}

fn project_of(name: Option<&str>) -> Project {
    name.map_or(Project::none(), |name| Project::named(name).unwrap())
}

#[test]
fn archived_queues_are_there_as_they_were() {
    let first: u64 = SEED.or(1);
    for seed in first..first + ROUNDS.or(6) {
        println!("seed {seed}");
        let mut walk = Walk::new(seed);
        let mut archived = 0;
        for _ in 0..1_500 {
            walk.step();
            archived = archived.max(walk.engine.status().archived_queues());
        }
        walk.check_listing();
        assert!(archived > 5, "seed {seed}: {archived}");
    }
}
