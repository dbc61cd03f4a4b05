//! The comparison of the workers' books with the stores. Messages are known by their names, because a dead letter has
//! another id than before, and a power cut may take back answers at `Buffered`: the shared ledger knows neither.

use std::collections::{BTreeMap, BTreeSet};

use zaqar_sled::{ClaimId, DataDriver, Message, MessageId, PooledDriver, Project};

use super::super::support::messages_of;
use super::labour::QUEUES;
use super::view::{name_of, settle};

/// The answers in the books up to now.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    messages: BTreeMap<String, Entry>,
    claims: BTreeMap<ClaimId, Held>,
    /// Calls without an answer.
    open: BTreeMap<String, Asked>,
    shown: BTreeSet<MessageId>,
    taken: BTreeSet<String>,
    pub(super) answers: u64,
    pub(super) dead_letters: u64,
    pub(super) moves: u64,
    /// Whether only the processes die, so that every answer counts.
    every_answer: bool,
}

#[derive(Debug, Default)]
struct Entry {
    /// The queue of the post, and the message's id; `None` without an answer.
    posted: Option<(String, MessageId)>,
    kept: bool,
    /// Whether a call may have removed the message.
    doubtful: bool,
    gone: bool,
}

#[derive(Debug)]
struct Held {
    queue: String,
    names: Vec<String>,
    kept: bool,
}

#[derive(Debug)]
enum Asked {
    Post { count: u64 },
    Take { names: Vec<String> },
    Pop { limit: u64 },
    Release { claim: ClaimId },
    Claim,
}

/// A message as it is found.
struct Found {
    queue: &'static str,
    id: MessageId,
    claim: Option<ClaimId>,
}

impl Accounts {
    pub(super) fn new(every_answer: bool) -> Self {
        Self { every_answer, ..Self::default() }
    }

    /// Reads a line of a book.
    pub(super) fn read(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let [call, mark, durability, what, rest @ ..] = words.as_slice() else { panic!("{line}") };
        if *mark == "?" {
            let asked = match *what {
                "post" => Asked::Post { count: rest[1].parse().unwrap() },
                "claim" => Asked::Claim,
                "pop" => Asked::Pop { limit: rest[0].parse().unwrap() },
                "take" => Asked::Take { names: split(rest[0]) },
                "release" => Asked::Release { claim: rest[0].parse().unwrap() },
                _ => panic!("{line}"),
            };
            self.open.insert((*call).to_owned(), asked);
        } else {
            self.answers += 1;
            self.open.remove(*call);
            self.answer(call, self.every_answer || *durability == "s", what, rest);
        }
    }

    fn answer(&mut self, call: &str, kept: bool, what: &str, rest: &[&str]) {
        match what {
            "post" => {
                for (i, id) in rest[1].split(',').enumerate() {
                    let id: MessageId = id.parse().unwrap();
                    assert!(self.shown.insert(id), "{call}: {id} was given out twice");
                    let entry = self.messages.entry(format!("{call}/{i}")).or_default();
                    entry.posted = Some((rest[0].to_owned(), id));
                    entry.kept |= kept;
                }
            }
            "claim" => {
                let names = split(rest[2]);
                for name in &names {
                    let gone = self.messages.get(name).is_some_and(|entry| entry.gone);
                    assert!(!gone, "{call}: {name} was claimed after it was gone");
                }
                self.claims.insert(rest[1].parse().unwrap(), Held { queue: rest[0].to_owned(), names, kept });
            }
            "took" => {
                for name in split(rest[0]) {
                    assert!(self.taken.insert(name.clone()), "{call}: {name} was taken twice");
                    let entry = self.messages.entry(name).or_default();
                    entry.doubtful = true;
                    entry.gone |= kept;
                }
            }
            "release" => drop(self.claims.remove(&rest[0].parse().unwrap())),
            "moved" => self.moves += 1,
            "none" | "busy" => {}
            _ => panic!("{call} {what}"),
        }
    }

    pub(super) fn was_shown(&self, id: &MessageId) -> bool {
        self.shown.contains(id)
    }

    /// Compares the books with the stores once all dead letters have arrived, and decides the outcome of open calls by
    /// it.
    pub(super) fn check(&mut self, driver: &PooledDriver, context: &str) {
        settle(driver).unwrap_or_else(|error| panic!("{context}: {error}"));
        let verification = driver.verify().unwrap();
        assert!(verification.is_sound(), "{context}: {:?}", verification.findings());
        let found = find(driver, context);
        for asked in self.open.values() {
            if let Asked::Take { names } = asked {
                let left = names.iter().filter(|name| found.contains_key(*name)).count();
                let whole =
                    names.iter().filter(|name| !self.messages.get(*name).is_some_and(|entry| entry.gone)).count();
                assert!(left == 0 || left == whole || !self.every_answer, "{context}: half of {names:?} is deleted");
            }
        }
        self.check_posts(&found, context);
        self.check_messages(&found, context);
        self.check_claims(driver, &found, context);
        self.settle(found);
    }

    /// Checks that every unknown message comes from a post in progress, and that each post took effect as a whole or
    /// not at all.
    fn check_posts(&mut self, found: &BTreeMap<String, Found>, context: &str) {
        for name in found.keys() {
            let (call, _) = name.rsplit_once('/').unwrap();
            let known = self.messages.contains_key(name) || matches!(self.open.get(call), Some(Asked::Post { .. }));
            assert!(known, "{context}: no call posted {name}");
        }
        for (call, asked) in &self.open {
            let Asked::Post { count } = asked else { continue };
            let names: Vec<String> = (0..*count).map(|i| format!("{call}/{i}")).collect();
            if names.iter().any(|name| found.contains_key(name) || self.taken.contains(name)) {
                // The other messages may be gone, but the post must have taken effect.
                for name in names {
                    self.messages.entry(name).or_default().kept = true;
                }
            }
        }
    }

    fn check_messages(&self, found: &BTreeMap<String, Found>, context: &str) {
        let open = self.open.values();
        let takes: BTreeSet<&String> = open.clone().filter_map(Asked::names).flatten().collect();
        let mut pops: u64 = open.map(Asked::limit).sum();
        for (name, entry) in &self.messages {
            let Some(found) = found.get(name) else {
                if entry.kept && !entry.doubtful && !entry.gone && !takes.contains(name) {
                    assert!(pops > 0, "{context}: {name} is lost: {entry:?}");
                    pops -= 1;
                }
                continue;
            };
            assert!(!entry.gone, "{context}: {name} has come back");
            let Some((queue, id)) = &entry.posted else { continue };
            let at_home = found.queue == queue && found.id == *id;
            assert!(at_home || found.queue == "dead", "{context}: {name} is {} in {}", found.id, found.queue);
        }
    }

    fn check_claims(&self, driver: &PooledDriver, found: &BTreeMap<String, Found>, context: &str) {
        let ends = |claim: &ClaimId| {
            self.open.values().any(|asked| matches!(asked, Asked::Release { claim: ended } if ended == claim))
        };
        for (id, held) in self.claims.iter().filter(|(id, held)| held.kept && !ends(id)) {
            let claim = driver.claims().get(&Project::none(), &held.queue.parse().unwrap(), id);
            let claim = claim.unwrap_or_else(|error| panic!("{context}: {error}: {held:?}"));
            let names: BTreeSet<String> = claim.messages().iter().map(name_of).collect();
            for name in &held.names {
                let Some(found) = found.get(name) else { continue };
                assert_eq!(found.claim, Some(*id), "{context}: {name} has another claim: {held:?}");
                assert!(names.contains(name), "{context}: {id} has lost {name}");
            }
        }
    }

    /// Takes the found messages as the new state; all others are gone.
    fn settle(&mut self, found: BTreeMap<String, Found>) {
        self.open.clear();
        self.dead_letters += found.values().filter(|found| found.queue == "dead").count() as u64;
        self.taken.retain(|name| !found.contains_key(name));
        for (name, entry) in &mut self.messages {
            (entry.kept, entry.doubtful, entry.gone) = (true, false, !found.contains_key(name));
        }
        for (name, found) in found {
            let entry = self.messages.entry(name).or_default();
            entry.kept = true;
            if found.queue != "dead" {
                self.shown.insert(found.id);
                entry.posted = Some((found.queue.to_owned(), found.id));
            }
        }
    }

    /// Starts the next round: releases every claim and deletes half of the messages.
    pub(super) fn go_on(&mut self, driver: &PooledDriver, empty: bool) {
        let project = Project::none();
        for name in QUEUES {
            let queue = name.parse().unwrap();
            let messages = messages_of(driver, &project, &queue).unwrap();
            let claims: BTreeSet<ClaimId> = messages.iter().filter_map(Message::claim_id).collect();
            for id in claims {
                driver.claims().delete(&project, &queue, &id).unwrap();
            }
            if empty && messages.len() > 1 {
                for message in driver.messages().pop(&project, &queue, messages.len() / 2).unwrap() {
                    self.messages.entry(name_of(&message)).or_default().gone = true;
                }
            }
        }
        self.claims.clear();
    }
}

impl Asked {
    fn names(&self) -> Option<&Vec<String>> {
        if let Self::Take { names } = self { Some(names) } else { None }
    }

    fn limit(&self) -> u64 {
        if let Self::Pop { limit } = self { *limit } else { 0 }
    }
}

fn split(names: &str) -> Vec<String> {
    names.split(',').map(str::to_owned).collect()
}

/// Where each message is, by its name.
fn find(driver: &PooledDriver, context: &str) -> BTreeMap<String, Found> {
    let mut all = BTreeMap::new();
    for queue in QUEUES {
        let messages = messages_of(driver, &Project::none(), &queue.parse().unwrap()).unwrap();
        assert!(messages.is_sorted_by_key(Message::id), "{context}: {queue} is out of order");
        for message in messages {
            let found = Found { queue, id: message.id(), claim: message.claim_id() };
            let name = name_of(&message);
            let other = all.insert(name.clone(), found);
            let other = other.map(|other| other.queue);
            assert!(other.is_none(), "{context}: {name} is in {queue} and in {other:?}");
        }
    }
    all
}
