//! To its callers a pooled driver is one store. It gives the same answers as the reference model, whatever calls are
//! made, and however queues are moved, stores opened again and processes killed.

use std::sync::Arc;

use zaqar_sled::{
    ClaimId, DataDriver, Error, ListOptions, ManualClock, MessageId, MessageListOptions, NewMessage, Purge,
    ReferenceModel, Result, SubscriptionMarker,
};

use crate::random::Random;
use crate::subscriptions::hook;
use crate::support::{ALICE, BOB, Harness, START, everything, json, name_of, pool_of, seconds, shop, terms, texts};
use crate::variables::{CASES, SEED};

const QUEUES: [&str; 4] = ["a", "b", "c", "dead"];
const POOLS: [&str; 3] = ["one", "two", "home"];

/// A driver and the model, which get the same calls.
struct Pair {
    h: Harness,
    model: ReferenceModel,
    clock: Arc<ManualClock>,
    random: Random,
    posted: usize,
    /// The number of moves, and of dead letters that arrived.
    moved: usize,
    buried: usize,
    /// The ids of the same messages and claims in both.
    messages: Vec<(usize, MessageId, MessageId)>,
    claims: Vec<(usize, ClaimId, ClaimId)>,
}

/// The outcome of a call, as text that both have in common.
fn outcome<T>(result: Result<T>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => {
            let text = format!("{error:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}

impl Pair {
    fn new(seed: u64) -> Self {
        let h = Harness::live();
        for pool in &POOLS[..2] {
            h.pool(pool, 1);
        }
        h.pool_at("home", "localhost", 1);
        let clock = Arc::new(ManualClock::new(START));
        let model = ReferenceModel::new(clock.clone());
        Self {
            h,
            model,
            clock,
            random: Random::new(seed),
            posted: 0,
            moved: 0,
            buried: 0,
            messages: Vec::new(),
            claims: Vec::new(),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.random.below(end as u64)).unwrap()
    }

    /// Makes the call on both and asserts that the outcomes are the same.
    fn both(&self, what: &str, call: impl Fn(&dyn DataDriver) -> String) {
        let (driver, model) = (call(&self.h.driver()), call(&self.model));
        assert_eq!(driver, model, "{what}");
    }

    fn step(&mut self) {
        let queue = self.below(QUEUES.len());
        match self.below(20) {
            0..3 => self.create(queue),
            3..6 => self.post(queue),
            6..10 => self.claim(queue),
            10 => self.use_claim(),
            11..13 => self.delete_message(queue),
            13 => self.pop_or_purge(queue),
            14 => self.subscribe(queue),
            15 => self.pass(),
            16..18 => self.move_queue(queue),
            18 => self.open_again(),
            _ => self.delete_queue(queue),
        }
        self.compare();
    }

    fn create(&mut self, queue: usize) {
        let most = 1 + self.below(2);
        let metadata = match self.below(3) {
            _ if queue == 3 => "{}".to_owned(),
            0 => "{}".to_owned(),
            1 => format!(r#"{{"_max_claim_count": {most}, "_dead_letter_queue": "dead"}}"#),
            _ => format!(
                r#"{{"_max_claim_count": {most}, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 90}}"#
            ),
        };
        let (name, metadata) = (name_of(QUEUES[queue]), json(&metadata));
        self.both("create", |driver| {
            outcome(driver.queues().create(&shop(), &name, &metadata), |made| made.to_string())
        });
        if self.below(3) == 0 {
            self.both("set_metadata", |driver| {
                outcome(driver.queues().set_metadata(&shop(), &name, &metadata), |()| "done".into())
            });
        }
    }

    fn post(&mut self, queue: usize) {
        let messages: Vec<NewMessage> = (0..=self.below(4))
            .map(|_| {
                self.posted += 1;
                let large = if self.below(10) == 0 { "x".repeat(70_000) } else { String::new() };
                let (ttl, delay) = ([40, 90, 300, 3600][self.below(4)], [0, 0, 0, 30][self.below(4)]);
                NewMessage::new(format!("{}{large}", self.posted)).ttl(seconds(ttl)).delay(seconds(delay))
            })
            .collect();
        let client = [ALICE, BOB][self.below(2)];
        let name = name_of(QUEUES[queue]);
        let post = |driver: &dyn DataDriver| driver.messages().post(&shop(), &name, client, &messages);
        match (post(&self.h.driver()), post(&self.model)) {
            (Ok(ours), Ok(theirs)) => {
                self.messages.extend(ours.into_iter().zip(theirs).map(|(our, their)| (queue, our, their)));
            }
            (Err(Error::QueueDoesNotExist { .. }), Err(Error::QueueDoesNotExist { .. })) => {}
            (ours, theirs) => panic!("post: {ours:?}, {theirs:?}"),
        }
    }

    fn claim(&mut self, queue: usize) {
        let (ttl, grace, limit) = ([30, 60, 200][self.below(3)], [0, 60][self.below(2)], 1 + self.below(6));
        let name = name_of(QUEUES[queue]);
        let claim =
            |driver: &dyn DataDriver| driver.claims().create(&shop(), &name, &terms(ttl, grace, limit)).unwrap();
        let (ours, theirs) = (claim(&self.h.driver()), claim(&self.model));
        match (&ours, &theirs) {
            (Some(ours), Some(theirs)) => {
                assert_eq!(texts(ours.messages()), texts(theirs.messages()), "claim");
                self.claims.push((queue, ours.id(), theirs.id()));
                if self.below(2) == 0 {
                    self.h.driver().claims().delete(&shop(), &name, &ours.id()).unwrap();
                    self.model.claims().delete(&shop(), &name, &theirs.id()).unwrap();
                }
            }
            (None, None) => {}
            _ => panic!("claim: {ours:?}, {theirs:?}"),
        }
        // Dead letters arrive.
        self.buried += usize::try_from(self.h.pending().1).unwrap();
        self.h.step();
    }

    fn use_claim(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let chosen = self.below(self.claims.len());
        let (queue, ours, theirs) = self.claims[chosen];
        let (name, renew) = (name_of(QUEUES[queue]), self.below(2) == 0);
        let call = |driver: &dyn DataDriver, id: &ClaimId| {
            if renew {
                let renewed = driver.claims().update(&shop(), &name, id, &terms(100, 60, 1));
                outcome(renewed, |()| "renewed".into())
            } else {
                outcome(driver.claims().delete(&shop(), &name, id), |()| "released".into())
            }
        };
        assert_eq!(call(&self.h.driver(), &ours), call(&self.model, &theirs), "the use of a claim");
    }

    fn delete_message(&mut self, queue: usize) {
        if self.messages.is_empty() {
            return;
        }
        let chosen = self.below(self.messages.len());
        let (_, our, their) = self.messages[chosen];
        let claim = if self.claims.is_empty() || self.below(3) == 0 {
            None
        } else {
            let chosen = self.below(self.claims.len());
            Some(self.claims[chosen])
        };
        // Now and then through a queue it is not in.
        let queue = claim.map_or(queue, |(queue, ..)| queue);
        let name = name_of(QUEUES[queue]);
        let call = |driver: &dyn DataDriver, id: MessageId, claim: Option<ClaimId>| {
            let messages = driver.messages();
            let got = outcome(messages.get(&shop(), &name, &id), |message| texts(&[message]).remove(0));
            let deleted = messages.delete(&shop(), &name, &id, claim.as_ref());
            let bulk: Vec<ClaimId> = claim.into_iter().collect();
            let all = messages.bulk_delete(&shop(), &name, &[id, id], &bulk);
            format!("{got} {} {}", outcome(deleted, |()| "done".into()), outcome(all, |()| "done".into()))
        };
        let ours = call(&self.h.driver(), our, claim.map(|(_, our, _)| our));
        let theirs = call(&self.model, their, claim.map(|(.., their)| their));
        assert_eq!(ours, theirs, "delete");
    }

    fn pop_or_purge(&mut self, queue: usize) {
        let (name, limit, what) = (name_of(QUEUES[queue]), 1 + self.below(3), self.below(5));
        self.both("pop or purge", |driver| match what {
            0 => outcome(driver.queues().purge(&shop(), &name, Purge::All), |count| count.to_string()),
            1 => outcome(driver.queues().purge(&shop(), &name, Purge::Messages), |count| count.to_string()),
            _ => outcome(driver.messages().pop(&shop(), &name, limit), |popped| texts(&popped).join(" ")),
        });
    }

    fn subscribe(&mut self, queue: usize) {
        let (name, hook) = (name_of(QUEUES[queue]), hook(&self.below(5).to_string()));
        if !self.model.queues().exists(&shop(), &name).unwrap() {
            return;
        }
        let (ttl, confirm) = ([50, 3600][self.below(2)], self.below(2) == 0);
        self.both("subscribe", |driver| {
            let subscriptions = driver.subscriptions();
            let made = subscriptions.create(&shop(), &name, &hook, seconds(ttl), &json("{}")).unwrap();
            let there = subscriptions.get_with_subscriber(&shop(), &name, &hook).unwrap().unwrap();
            if confirm {
                subscriptions.confirm(&shop(), &name, &there.id(), true).unwrap();
            } else if made.is_none() {
                subscriptions.delete(&shop(), &name, &there.id()).unwrap();
            }
            made.is_some().to_string()
        });
    }

    fn pass(&mut self) {
        let passed = [1, 10, 35, 100][self.below(4)];
        self.h.pass(passed);
        self.clock.advance(seconds(passed));
    }

    fn move_queue(&mut self, queue: usize) {
        let pool = POOLS[self.below(3)];
        let moved = self.h.driver().move_queue(&shop(), &name_of(QUEUES[queue]), &pool_of(pool));
        let there = self.model.queues().exists(&shop(), &name_of(QUEUES[queue])).unwrap();
        assert_eq!(moved.is_ok(), there, "{moved:?}");
        self.moved += usize::from(there);
    }

    fn open_again(&mut self) {
        match self.below(4) {
            0 => self.h.reopen(),
            1 => self.h.kill(),
            2 => self.h.open_on(self.h.disk().power_loss(zaqar_sled::disk::Keep::Nothing)),
            _ => {
                DataDriver::gc(&self.h.driver()).unwrap();
                DataDriver::gc(&self.model).unwrap();
            }
        }
        self.h.step();
    }

    fn delete_queue(&mut self, queue: usize) {
        let name = name_of(QUEUES[queue]);
        // Those of a deleted queue stay in its pool, which the next one may not get.
        self.both("delete", |driver| {
            let purged = driver.queues().purge(&shop(), &name, Purge::Subscriptions).unwrap();
            driver.queues().delete(&shop(), &name).unwrap();
            purged.to_string()
        });
    }

    /// Asserts that every read gives the same answer.
    fn compare(&self) {
        for name in QUEUES.map(name_of) {
            self.both(name.as_str(), |driver| {
                let exists = driver.queues().exists(&shop(), &name).unwrap();
                if !exists {
                    return "missing".into();
                }
                let stats = driver.queues().stats(&shop(), &name).unwrap();
                let list =
                    |options: &MessageListOptions| driver.messages().list(&shop(), &name, options).unwrap().items;
                let messages: Vec<String> = list(&everything())
                    .iter()
                    .map(|message| {
                        let body = texts(std::slice::from_ref(message)).remove(0);
                        let held = message.claim_id().is_some();
                        let (age, ttl) = (message.age().as_secs(), message.ttl());
                        format!("{:.8} {age} {ttl} {held} {}", body, message.claim_count())
                    })
                    .collect();
                let plain = texts(&list(&MessageListOptions::new().limit(0).client(ALICE)));
                let options = ListOptions::<SubscriptionMarker>::new().limit(0);
                let subscriptions: Vec<String> = driver
                    .subscriptions()
                    .list(&shop(), &name, &options)
                    .unwrap()
                    .into_iter()
                    .map(|s| format!("{} {:?} {:?} {}", s.subscriber(), s.age(), s.ttl(), s.confirmed()))
                    .collect();
                let metadata = driver.queues().get_metadata(&shop(), &name).unwrap().to_json();
                let counts = (stats.claimed(), stats.free(), stats.total());
                format!("{metadata} {counts:?} {messages:?} {} {subscriptions:?}", plain.len())
            });
        }
    }
}

#[test]
fn a_pooled_driver_answers_as_the_model() {
    let cases = CASES.or(40);
    let first = SEED.or(1);
    let (mut moved, mut buried) = (0, 0);
    for seed in first..first + cases {
        println!("seed {seed}");
        let mut pair = Pair::new(seed);
        for _ in 0..150 {
            pair.step();
        }
        pair.h.settle();
        pair.h.check();
        moved += pair.moved;
        buried += pair.buried;
    }
    assert!(moved > 0 && buried > 0, "{moved} moves, {buried} dead letters");
    println!("{moved} moves, {buried} dead letters");
}
