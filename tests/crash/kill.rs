//! Repeated `kill -9`. A child process opens the store that the last child left, uses it from several threads while
//! checkpoints and snapshots are written, and dies at a random moment. Then the answers that the child got are compared
//! with the store.
//!
//! A child writes a line to its diary before each call and one after it. `ZAQAR_KILLS` sets the number of rounds,
//! `ZAQAR_SEED` their random choices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use zaqar_sled::{
    ClaimOptions, Config, DataDriver, Durability, Engine, Error, Message, MessageId, Metadata, NewMessage, Project,
    Queue, Ttl,
};

use super::support::{AMPLE, CLIENT, Random, assert_sound, everything};
use crate::kills::{Diary, Kills, Order, Outcome, tell_ready};
use crate::ledger::Ledger;
use crate::variables::CHILD;

const WORKERS: u64 = 3;
const QUEUES: [&str; 2] = ["a", "b"];

/// In two of three rounds the store has almost no memory.
fn open(root: &Path, round: u64) -> zaqar_sled::Result<Engine> {
    let memory = [AMPLE, 0, 16 << 10][(round % 3) as usize];
    Config::new().segment_size(16 << 10).sync_interval(Duration::from_millis(5)).memory(memory).open(root)
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

/// The child: not a test of its own, but the way back into this program.
#[test]
fn child() {
    let Some(Order { root, diary, seed }) = Order::read(CHILD) else { return };
    let engine = open(&root, seed).unwrap();
    for name in QUEUES {
        engine.queue(Project::none(), name).unwrap().create(Metadata::new()).unwrap();
    }
    tell_ready();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (engine, diary) = (engine.clone(), diary.clone());
            thread::spawn(move || work(&engine, &diary, seed, worker))
        })
        .collect();
    let mut random = Random::new(seed);
    let until = Instant::now() + Duration::from_secs(20);
    while Instant::now() < until {
        thread::sleep(Duration::from_micros(random.below(8_000)));
        match random.below(3) {
            0 => engine.checkpoint().unwrap(),
            1 => engine.snapshot().unwrap(),
            _ => drop(engine.gc().unwrap()),
        }
    }
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// A worker's calls. Lines: `<call> ? ...` before it, `<call> ! ...` after.
fn work(engine: &Engine, diary: &Diary, seed: u64, worker: u64) {
    let mut random = Random::new(seed * 31 + worker);
    let until = Instant::now() + Duration::from_secs(15);
    let mut claims: Vec<(usize, zaqar_sled::Claim)> = Vec::new();
    for call in 0.. {
        if Instant::now() > until {
            return;
        }
        let name = format!("{seed}.{worker}.{call}");
        let sync = random.one_in(4);
        let engine = engine.with_durability(if sync { Durability::Sync } else { Durability::Buffered });
        let which = random.below(2) as usize;
        let queue = engine.queue(Project::none(), QUEUES[which]).unwrap();
        match random.below(10) {
            0..=3 => {
                let count = 1 + random.below(6);
                let short = random.one_in(6);
                let batch: Vec<_> =
                    (0..count).map(|i| new_message(&format!("{name}.{i}"), short, &mut random)).collect();
                diary.note(&format!("{name} ? post {which} {count} {}", if short { "short" } else { "long" }));
                let ids = queue.post(CLIENT, &batch).unwrap();
                diary.note(&format!("{name} ! post {which} {}", join(ids)));
            }
            4 | 5 => {
                let options = ClaimOptions::new().ttl(Duration::from_secs(3600)).limit(1 + random.below(5) as usize);
                diary.note(&format!("{name} ? claim {which}"));
                if let Some(claim) = queue.claim(options).unwrap() {
                    let ids = join(claim.messages().iter().map(Message::id));
                    diary.note(&format!("{name} ! claim {which} {} {ids}", claim.id()));
                    claims.push((which, claim));
                }
            }
            6 => {
                let limit = 1 + random.below(3) as usize;
                diary.note(&format!("{name} ? pop {which} {limit}"));
                let popped = queue.pop(limit).unwrap();
                if !popped.is_empty() {
                    diary.note(&format!("{name} ! gone {which} {}", join(popped.iter().map(Message::id))));
                }
            }
            7 | 8 => {
                let Some((which, claim)) = pick(&mut claims, &mut random) else { continue };
                let ids = join(claim.messages().iter().map(Message::id));
                diary.note(&format!("{name} ? delete {which} {ids}"));
                match claim.delete_all() {
                    Ok(()) => diary.note(&format!("{name} ! gone {which} {ids}")),
                    Err(error) => panic!("{name}: {error}"),
                }
            }
            _ => {
                let Some((which, claim)) = pick(&mut claims, &mut random) else { continue };
                diary.note(&format!("{name} ? release {which} {}", claim.id()));
                let id = claim.id();
                claim.release().unwrap();
                diary.note(&format!("{name} ! release {which} {id}"));
            }
        }
    }
}

fn pick(claims: &mut Vec<(usize, zaqar_sled::Claim)>, random: &mut Random) -> Option<(usize, zaqar_sled::Claim)> {
    if claims.is_empty() { None } else { Some(claims.swap_remove(random.below(claims.len() as u64) as usize)) }
}

/// A short-lived message may expire at any time, so the books accept its absence.
fn new_message(name: &str, short: bool, random: &mut Random) -> NewMessage {
    let mut body = format!("{name} {}", if short { "short" } else { "long" }).into_bytes();
    // Every eighth is a page of its own.
    let more = if random.one_in(8) { 17 << 10 } else { random.below(400) as usize };
    body.resize(body.len() + more, b' ');
    let ttl = match short {
        true => Duration::from_millis(random.below(30)).into(),
        false if random.one_in(2) => Ttl::Forever,
        false => Duration::from_secs(36_000).into(),
    };
    NewMessage::new(body).ttl(ttl)
}

/// The content of the diaries so far.
#[derive(Default)]
struct Books {
    messages: Ledger<MessageId>,
    /// Posts that took effect, with their ids in order. By name.
    posts: BTreeMap<String, Vec<MessageId>>,
    /// Messages that may have expired by now.
    short: Vec<MessageId>,
    /// Posts without an answer: the number of messages, and whether they are short-lived.
    open_posts: BTreeMap<String, (u64, bool)>,
    /// Pops without an answer: their limits.
    open_pops: BTreeMap<String, usize>,
    open_deletes: BTreeMap<String, Vec<MessageId>>,
    /// Acknowledged claims that were not released, with their messages.
    claims: BTreeMap<String, (usize, Vec<MessageId>)>,
    open_claims: BTreeMap<String, usize>,
    open_releases: BTreeMap<String, String>,
    calls: u64,
}

impl Books {
    fn read(&mut self, diary: &Path) {
        for line in BufReader::new(File::open(diary).unwrap()).lines() {
            let line = line.unwrap();
            let words: Vec<&str> = line.split(' ').collect();
            let [name, mark, what, queue, rest @ ..] = words.as_slice() else { panic!("{line}") };
            let queue: usize = queue.parse().unwrap();
            self.line(name, *mark == "!", what, queue, rest);
        }
    }

    fn line(&mut self, name: &str, answered: bool, what: &str, queue: usize, rest: &[&str]) {
        let ids = |text: &str| -> Vec<MessageId> { text.split(',').map(|id| id.parse().unwrap()).collect() };
        let name = name.to_owned();
        self.calls += u64::from(answered);
        match (answered, what) {
            (false, "post") => {
                self.open_posts.insert(name, (rest[0].parse().unwrap(), rest[1] == "short"));
            }
            (true, "post") => {
                let (count, short) = self.open_posts.remove(&name).unwrap();
                let ids = ids(rest[0]);
                assert_eq!(ids.len() as u64, count);
                self.posted(name, ids, short);
            }
            (false, "claim") => drop(self.open_claims.insert(name, queue)),
            (true, "claim") => {
                self.open_claims.remove(&name);
                let ids = ids(rest[1]);
                for id in &ids {
                    assert!(!self.messages.is_gone(id), "{name}: {id} was claimed after it was gone");
                }
                for (other, (_, held)) in &self.claims {
                    let ends = self.open_releases.values().any(|claim| claim == other);
                    assert!(ends || held.iter().all(|id| !ids.contains(id)), "{name}: {other} holds that already");
                }
                self.claims.insert(rest[0].to_owned(), (queue, ids));
            }
            (false, "pop") => drop(self.open_pops.insert(name, rest[0].parse().unwrap())),
            (false, "delete") => drop(self.open_deletes.insert(name, ids(rest[0]))),
            (true, "gone") => {
                self.open_pops.remove(&name);
                let deleted = self.open_deletes.remove(&name).is_some();
                for id in ids(rest[0]) {
                    if deleted {
                        self.messages.removed(&id);
                    } else {
                        self.messages.taken(&id);
                    }
                }
            }
            (false, "release") => drop(self.open_releases.insert(name, rest[0].to_owned())),
            (true, "release") => {
                self.open_releases.remove(&name);
                self.claims.remove(rest[0]);
            }
            _ => panic!("{name} {what}"),
        }
    }

    fn posted(&mut self, name: String, ids: Vec<MessageId>, short: bool) {
        self.messages.posted(ids.iter().map(|id| (*id, ())));
        if short {
            self.short.extend(&ids);
        }
        self.posts.insert(name, ids);
    }

    /// Compares the books with the store, and decides the outcome of open calls by it.
    fn check(&mut self, engine: &Engine) {
        assert_sound(engine, "after a kill");
        // Calls that found nothing have no second line, so only the last line of a worker can be an open call.
        let queues: Vec<Queue> = QUEUES.iter().map(|name| engine.queue(Project::none(), name).unwrap()).collect();
        let listed: Vec<Vec<Message>> = queues.iter().map(|queue| queue.list(&everything()).unwrap().items).collect();
        for (queue, messages) in queues.iter().zip(&listed) {
            let stats = queue.stats().unwrap();
            let claimed = messages.iter().filter(|message| message.claim_id().is_some()).count() as u64;
            // Short-lived messages may have expired in between.
            assert!(stats.total() <= messages.len() as u64 && stats.claimed() <= claimed);
            assert!(messages.is_sorted_by_key(Message::id));
        }
        let mut there: BTreeMap<MessageId, &Message> = BTreeMap::new();
        let mut names: BTreeMap<String, Vec<(u64, MessageId)>> = BTreeMap::new();
        for message in listed.iter().flatten() {
            assert!(there.insert(message.id(), message).is_none());
            let body = String::from_utf8(message.body().as_bytes().to_vec()).unwrap();
            let (name, i) = body.split(' ').next().unwrap().rsplit_once('.').unwrap();
            names.entry(name.to_owned()).or_default().push((i.parse().unwrap(), message.id()));
        }
        self.settle_posts(&names);
        self.check_messages(&there);
        for (name, found) in names {
            let Some(ids) = self.posts.get(&name) else { panic!("{name}: no call posted that") };
            for (i, id) in found {
                assert_eq!(ids.get(i as usize), Some(&id), "{name}: out of place");
            }
        }
        self.check_claims(engine, &there);
    }

    /// A post of which a message is found took effect as a whole. Other workers may have taken its messages since.
    fn settle_posts(&mut self, names: &BTreeMap<String, Vec<(u64, MessageId)>>) {
        for (name, (count, short)) in std::mem::take(&mut self.open_posts) {
            let Some((i, id)) = names.get(&name).and_then(|found| found.first()) else {
                self.messages.may_have_posted(count as usize);
                continue;
            };
            let ids = (0..count).map(|n| offset(*id, i128::from(n) - i128::from(*i))).collect();
            self.posted(name, ids, short);
        }
    }

    /// Compares the messages with the store, which then decides the outcome of deletions and pops.
    fn check_messages(&mut self, there: &BTreeMap<MessageId, &Message>) {
        self.short.retain(|id| self.messages.live().contains_key(id));
        for id in self.short.iter().chain(self.open_deletes.values().flatten()) {
            self.messages.may_be_missing(*id);
        }
        // A pop under way may have taken up to its limit of any that were there.
        for limit in std::mem::take(&mut self.open_pops).into_values() {
            self.messages.may_have_taken(limit);
        }
        let found = there.keys().map(|id| (*id, ()));
        self.messages.check(found.clone(), "after a kill");
        for ids in std::mem::take(&mut self.open_deletes).into_values() {
            // A deletion is atomic: all of its messages are gone, or none is.
            let left = ids.iter().filter(|id| there.contains_key(id)).count();
            let before = ids.iter().filter(|id| !self.messages.is_gone(id)).count();
            assert!(left == 0 || left == before, "half a deletion: {left} of {before}");
        }
        self.messages.settle(found);
    }

    fn check_claims(&mut self, engine: &Engine, there: &BTreeMap<MessageId, &Message>) {
        let unsure: BTreeSet<String> = std::mem::take(&mut self.open_releases).into_values().collect();
        for (claim, (queue, ids)) in &self.claims {
            let held: Vec<_> = ids.iter().filter_map(|id| there.get(id)).collect();
            let holds = |message: &&&&Message| message.claim_id().is_some_and(|id| id.to_string() == *claim);
            let still = held.iter().filter(holds).count();
            if unsure.contains(claim) {
                assert!(still == 0 || still == held.len(), "claim {claim}: half a release");
            } else {
                assert_eq!(still, held.len(), "claim {claim} has lost messages");
                let id = claim.parse().unwrap();
                let queue = zaqar_sled::QueueName::new(QUEUES[*queue]).unwrap();
                let record = engine.claims().get(&Project::none(), &queue, &id).unwrap();
                assert_eq!(record.messages().len(), held.len(), "claim {claim}");
            }
        }
        // A message under a claim that was never acknowledged: the call was in progress.
        let open = self.open_claims.len();
        let told: BTreeSet<&String> = self.claims.keys().collect();
        let held = there.values().filter_map(|message| message.claim_id()).map(|id| id.to_string());
        let strange: BTreeSet<String> = held.filter(|id| !told.contains(id)).collect();
        assert!(strange.len() <= open, "claims that no call made: {strange:?}");
        self.open_claims.clear();
    }

    /// Starts the next round: every claim is released, so that its messages can be claimed again.
    fn release_all(&mut self, engine: &Engine) {
        for name in QUEUES {
            let queue = engine.queue(Project::none(), name).unwrap();
            let claimed = queue.list(&everything()).unwrap().items;
            let claims: BTreeSet<_> = claimed.iter().filter_map(Message::claim_id).collect();
            for id in claims {
                engine.claims().delete(queue.project(), queue.name(), &id).unwrap();
            }
        }
        self.claims.clear();
    }
}

/// Removes the lines of calls that found nothing: only a worker's last line can be an open call.
fn close_idle_calls(diary: &Path) -> PathBuf {
    let text = Diary::lines(diary);
    let lines: Vec<&str> = text.iter().map(String::as_str).collect();
    let worker = |line: &str| line.split(' ').next().unwrap().rsplit_once('.').unwrap().0.to_owned();
    let name = |line: &str| line.split(' ').next().unwrap().to_owned();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut answered = BTreeSet::new();
    for line in &lines {
        last.insert(worker(line), name(line));
        if line.contains(" ! ") {
            answered.insert(name(line));
        }
    }
    let stays = |line: &&&str| {
        let idle = line.contains(" ? claim ") || line.contains(" ? pop ");
        !idle || answered.contains(&name(line)) || last.get(&worker(line)) == Some(&name(line))
    };
    let kept: Vec<&str> = lines.iter().filter(stays).copied().collect();
    let cleaned = diary.with_extension("cleaned");
    std::fs::write(&cleaned, kept.join("\n") + if kept.is_empty() { "" } else { "\n" }).unwrap();
    cleaned
}

#[test]
fn acknowledged_calls_of_a_killed_process_are_kept() {
    if CHILD.get().is_some() {
        return;
    }
    let mut books = Books::default();
    let kills = Kills { child: ("kill::child", CHILD), rounds: 200 };
    let read = |books: &mut Books, diary: &Path| books.read(&close_idle_calls(diary));
    let Outcome { seed, rounds, kills, took } = kills.run(&mut books, read, |books, root, round, random| {
        let engine = open(root, random.below(3)).unwrap_or_else(|error| panic!("{error}"));
        for name in QUEUES {
            engine.queue(Project::none(), name).unwrap().create(Metadata::new()).unwrap();
        }
        books.check(&engine);
        books.release_all(&engine);
        if round % 5 == 4 {
            for name in QUEUES {
                empty(&engine.queue(Project::none(), name).unwrap(), books);
            }
        }
        if round % 3 == 0 {
            engine.close().unwrap();
        }
    });
    let (calls, ids) = (books.calls, books.messages.shown());
    println!("seed {seed}: {rounds} rounds, {kills} kills, {calls} answers, {ids} ids in {took:?}");
}

/// Keeps the store small: deletes half of the messages.
fn empty(queue: &Queue, books: &mut Books) {
    let count = queue.stats().unwrap().total() as usize / 2;
    if count > 0 {
        let popped: Result<Vec<Message>, Error> = queue.pop(count);
        popped.unwrap().iter().for_each(|message| books.messages.taken(&message.id()));
    }
}

/// The id so many places behind another.
fn offset(id: MessageId, by: i128) -> MessageId {
    let number = u128::from_str_radix(&id.to_string(), 16).unwrap();
    format!("{:032x}", number.wrapping_add_signed(by)).parse().unwrap()
}
