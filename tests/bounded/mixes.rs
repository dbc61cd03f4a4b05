//! Random calls on several queues, with bodies of 1 B to 1 MiB: a store with almost no memory gives the same answers as
//! a store with enough memory, and stays within its budget.

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    ClaimId, ClaimOptions, DataDriver, MessageId, MessageListOptions, Metadata, NewMessage, Project, Purge, QueueName,
    Sort,
};

use super::support::{CLIENT, KIB, Random, body, everything, seconds};
use super::twins::Twins;
use super::variables::SEED;

/// Calls in a mix.
const CALLS: u64 = 260;
const NAMES: [&str; 4] = ["a", "b", "c", "dead"];

/// A mix under way.
struct Mix {
    twins: Option<Twins>,
    random: Random,
    messages: Vec<(QueueName, MessageId)>,
    claims: Vec<(QueueName, ClaimId)>,
    posted: u64,
}

fn play(seed: u64, memory: u64) {
    let context = format!("ZAQAR_SEED={seed}, {memory} bytes of memory");
    let mut mix = Mix {
        twins: Some(Twins::new(memory, context)),
        random: Random::new(seed),
        messages: Vec::new(),
        claims: Vec::new(),
        posted: seed << 32,
    };
    for name in NAMES {
        mix.create(&QueueName::new(name).unwrap());
    }
    for _ in 0..CALLS {
        mix.call();
    }
    mix.twins().assert_alike();
    mix.twins().tight.chill();
    let status = mix.twins().tight.engine.status();
    assert!(mix.messages.len() > 300 && mix.claims.len() > 5, "seed {seed} does too little: {status:?}");
    assert!(status.cold_pages() > 0 || status.messages() < 100, "seed {seed}: {status:?}");
    mix.twins.take().unwrap().close().assert_alike();
}

impl Mix {
    fn twins(&self) -> &Twins {
        self.twins.as_ref().unwrap()
    }

    fn call(&mut self) {
        let name = QueueName::new(NAMES[self.random.below(3) as usize]).unwrap();
        match self.random.below(40) {
            0 => self.create(&name),
            1 => self.remove(&name),
            2..=14 => self.post(&name),
            15..=17 => self.read(&name),
            18..=22 => self.claim(&name),
            23..=25 => self.change_claim(),
            26..=30 => self.delete(&name),
            31..=33 => {
                let clock = self.twins().tight.clock.clone();
                clock.advance(seconds(self.random.below(12)));
            }
            34..=37 => self.keep_house(),
            _ => self.open_again(),
        }
    }

    fn create(&mut self, name: &QueueName) {
        let dead_letters =
            r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 600}"#;
        let metadata = Metadata::from_json(if name.as_str() == "b" { dead_letters } else { "{}" }).unwrap();
        self.twins().both("create", |engine| engine.queues().create(&Project::none(), name, &metadata));
    }

    /// Removes the queue, or its content.
    fn remove(&mut self, name: &QueueName) {
        let none = Project::none();
        if self.random.one_in(2) {
            self.twins().both("purge", |engine| engine.queues().purge(&none, name, Purge::Messages));
        } else {
            self.twins().both("delete queue", |engine| engine.queues().delete(&none, name));
            self.create(name);
        }
    }

    fn post(&mut self, name: &QueueName) {
        let count = [1, 1 + self.random.below(8), 130][self.random.below(3) as usize];
        let large = self.random.one_in(4);
        let batch: Vec<NewMessage> = (0..count).map(|_| self.message(large && count < 10)).collect();
        let posted = |engine: &zaqar_sled::Engine| engine.messages().post(&Project::none(), name, CLIENT, &batch);
        let ids = self.twins().both("post", posted).unwrap_or_default();
        self.messages.extend(ids.into_iter().map(|id| (name.clone(), id)));
    }

    fn message(&mut self, large: bool) -> NewMessage {
        let random = &mut self.random;
        let most = if large { [3_000, 20_000, 70_000, 1 << 20][random.below(4) as usize] } else { 300 };
        let bytes = 1 + random.below(most) as usize;
        let ttl = if random.one_in(3) { 1 + random.below(100) } else { 36_000 };
        let delay = if random.one_in(4) { random.below(20) } else { 0 };
        self.posted += 1;
        NewMessage::new(body(self.posted, bytes)).ttl(seconds(ttl)).delay(seconds(delay))
    }

    fn some_id(&mut self) -> Option<(QueueName, MessageId)> {
        self.random.of(&self.messages).cloned()
    }

    fn read(&mut self, name: &QueueName) {
        let none = Project::none();
        let marker = self.some_id().map(|(_, id)| id.into());
        let limit = 1 + self.random.below(40) as usize;
        let options = MessageListOptions::new().marker(marker).limit(limit).echo(self.random.one_in(2));
        let (claimed, delayed) = (self.random.one_in(2), self.random.one_in(2));
        let options = options.include_claimed(claimed).include_delayed(delayed);
        self.twins().both("list", |engine| engine.messages().list(&none, name, &options));
        self.twins().both("stats", |engine| engine.queues().stats(&none, name));
        for sort in [Sort::Oldest, Sort::Newest] {
            self.twins().both("first", |engine| engine.messages().first(&none, name, sort));
        }
        let ids: Vec<MessageId> = (0..5).filter_map(|_| self.some_id()).map(|(_, id)| id).collect();
        self.twins().both("bulk get", |engine| engine.messages().bulk_get(&none, name, &ids));
        if let Some((name, id)) = self.some_id() {
            self.twins().both("get", |engine| engine.messages().get(&none, &name, &id));
        }
    }

    fn options(&mut self) -> ClaimOptions {
        let (ttl, grace) = (seconds(1 + self.random.below(60)), seconds(self.random.below(60)));
        ClaimOptions::new().ttl(ttl).grace(grace).limit(1 + self.random.below(30) as usize)
    }

    fn claim(&mut self, name: &QueueName) {
        let options = self.options();
        let claim = self.twins().both("claim", |engine| engine.claims().create(&Project::none(), name, &options));
        if let Some(claim) = claim.flatten() {
            self.claims.push((name.clone(), claim.id()));
        }
    }

    fn change_claim(&mut self) {
        let recent = self.claims.len().saturating_sub(5);
        let Some((name, id)) = self.random.of(&self.claims[recent..]).cloned() else { return };
        let (none, options) = (Project::none(), self.options());
        match self.random.below(3) {
            0 => drop(self.twins().both("renew", |engine| engine.claims().update(&none, &name, &id, &options))),
            1 => drop(self.twins().both("release", |engine| engine.claims().delete(&none, &name, &id))),
            _ => {
                let held = self.twins().both("get claim", |engine| engine.claims().get(&none, &name, &id));
                let Some(held) = held else { return };
                let ids: Vec<MessageId> = held.messages().iter().map(zaqar_sled::Message::id).collect();
                self.twins().both("finish", |engine| engine.messages().bulk_delete(&none, &name, &ids, &[id]));
            }
        }
    }

    fn delete(&mut self, name: &QueueName) {
        let none = Project::none();
        match self.random.below(4) {
            0 => {
                let limit = 1 + self.random.below(60) as usize;
                self.twins().both("pop", |engine| engine.messages().pop(&none, name, limit));
            }
            1 => {
                let ids: Vec<MessageId> = (0..30).filter_map(|_| self.some_id()).map(|(_, id)| id).collect();
                self.twins().both("bulk delete", |engine| engine.messages().bulk_delete(&none, name, &ids, &[]));
            }
            _ => {
                let Some((name, id)) = self.some_id() else { return };
                self.twins().both("delete", |engine| engine.messages().delete(&none, &name, &id, None));
            }
        }
    }

    fn keep_house(&mut self) {
        let kind = self.random.below(5);
        self.twins().both("housekeeping", |engine| match kind {
            0 => engine.checkpoint(),
            1 => engine.snapshot(),
            // The counts depend on what was freed before.
            2 => engine.gc().map(drop),
            _ => engine.step(),
        });
        if kind > 2 {
            self.twins().tight.assert_within(0);
        }
    }

    fn open_again(&mut self) {
        let kind = self.random.below(8);
        let twins = self.twins.take().unwrap();
        self.twins = Some(match kind {
            0 => twins.close(),
            1 => twins.end(None),
            2 => twins.end(Some(Keep::Nothing)),
            3 => twins.end(Some(Keep::Random(self.posted))),
            _ => twins,
        });
        let everything = everything();
        if kind < 4 {
            for name in NAMES.map(|name| QueueName::new(name).unwrap()) {
                let list = |engine: &zaqar_sled::Engine| engine.messages().list(&Project::none(), &name, &everything);
                self.twins().both("list", list);
            }
        }
    }
}

fn play_all(memory: u64) {
    let seeds = SEED.get().map_or(1..=4, |seed| seed..=seed);
    seeds.for_each(|seed| play(seed, memory));
}

#[test]
fn with_no_memory_at_all_every_answer_is_the_same() {
    play_all(0);
}

#[test]
fn with_a_few_kilobytes_of_memory_every_answer_is_the_same() {
    play_all(5 * KIB);
}

#[test]
fn with_memory_for_some_of_it_every_answer_is_the_same() {
    play_all(200 * KIB);
}
