//! The engine against the reference model: the same random calls to both have to give the same answers.
//!
//! A case is a sequence of calls to a few queues in two projects, with ids, claims and markers picked among all seen
//! so far, live, stale or of another queue; between them time passes, the wall clock steps, and the engine is closed,
//! killed or cut off from power and opened again, makes checkpoints and bases, and collects garbage. After each case
//! everything is compared once more, before and after another opening, and the engine verifies itself.
//!
//! Ids differ between the two, so each of the engine's is paired with the model's it first appeared beside.
//!
//! - `ZAQAR_OPS=10000000 cargo test --release --test differential` runs a campaign of that many calls;
//! - `ZAQAR_SEED=...`, which a failure prints, runs the same cases again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

use std::collections::HashMap;
use std::env;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as RunnerConfig, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use zaqar_sled::disk::Keep;
use zaqar_sled::{
    ClaimId, ClaimOptions, ClaimRecord, ClientId, Clock, Config, DataDriver, Engine, Error, GcReport, ManualClock,
    Message, MessageId, MessageListOptions, MessageMarker, MessageStat, Metadata, NewMessage, Project, Purge,
    QueueListOptions, QueueName, QueueStats, ReferenceModel, SimulatedDisk, Sort, Timestamp,
};

#[test]
fn the_engine_answers_as_the_model_does() {
    let total: u32 = variable("ZAQAR_OPS").unwrap_or(120_000);
    let seed = variable("ZAQAR_SEED").unwrap_or_else(arbitrary_seed);
    let cases = total.div_ceil(CASE_OPS);
    let config = RunnerConfig { cases, max_shrink_iters: 8_000, failure_persistence: None, ..RunnerConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, rng(seed));
    let (started, done) = (Instant::now(), std::cell::Cell::new(0_usize));
    let result = runner.run(&case(), |case| {
        done.set(done.get() + case.ops.len());
        play(&case).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => println!("{} calls in {:?}, seed {seed}", done.get(), started.elapsed()),
        Err(TestError::Fail(reason, case)) => panic!(
            "{reason}\n{}to run the same cases again: ZAQAR_SEED={seed} ZAQAR_OPS={total} cargo test --test differential",
            case.text()
        ),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Calls in a case, on average: long enough for stale ids, several segments and claims that end.
const CASE_OPS: u32 = 220;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn arbitrary_seed() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & u128::from(u64::MAX)).unwrap()
}

fn rng(seed: u64) -> TestRng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRng::from_seed(RngAlgorithm::ChaCha, &bytes)
}

// ---- What is called ----

#[derive(Clone, Debug)]
struct Case {
    checksums: bool,
    segment_bytes: u64,
    /// Of the busiest queue, which is there from the start.
    metadata: &'static str,
    ops: Vec<Op>,
}

impl Case {
    /// A call a line.
    fn text(&self) -> String {
        let head = format!(
            "checksums: {}, segment_bytes: {}, metadata: {}\n",
            self.checksums, self.segment_bytes, self.metadata
        );
        self.ops.iter().enumerate().fold(head, |text, (number, op)| format!("{text}{number:4} {op:?}\n"))
    }
}

/// A project and a name, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place(usize, usize);

const BUSIEST: Place = Place(0, 0);

/// One of the ids seen so far, counted from the newest back, or none of them.
#[derive(Clone, Copy, Debug)]
enum Pick {
    Seen(usize),
    /// In the same queue as a seen one, but never given out.
    Beyond(usize),
    Unknown,
    Malformed,
}

#[derive(Clone, Debug)]
struct Post {
    bytes: usize,
    ttl: Option<u64>,
    delay: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Terms {
    ttl: u64,
    grace: u64,
    limit: usize,
}

#[derive(Clone, Debug)]
struct Listing {
    marker: Option<Pick>,
    limit: usize,
    echo: bool,
    client: Option<u8>,
    claimed: bool,
    delayed: bool,
}

#[derive(Clone, Debug)]
struct QueueListing {
    marker: Option<usize>,
    limit: usize,
    detailed: bool,
    contains: Option<&'static str>,
    filter: Option<&'static str>,
}

#[derive(Clone, Debug)]
enum Op {
    Create(Place, &'static str),
    SetMetadata(Place, &'static str),
    Describe(Place),
    DeleteQueue(Place),
    ListQueues(usize, QueueListing),
    Stats(Place),
    Purge(Place, Purge),
    Post(Place, u8, Vec<Post>),
    List(Place, Listing),
    First(Place, Sort),
    Get(Place, Pick),
    BulkGet(Place, Vec<Pick>),
    Delete(Place, Pick, Option<Pick>),
    /// By the claim the message is under, which is what workers do.
    Finish(Place, Pick),
    BulkDelete(Place, Vec<Pick>, Vec<Pick>),
    Pop(Place, usize),
    Claim(Place, Terms),
    GetClaim(Place, Pick),
    UpdateClaim(Place, Pick, Terms),
    ReleaseClaim(Place, Pick),
    Advance(u64),
    /// The wall clock alone, in milliseconds.
    Step(i64),
    Gc,
    Health,
    Reopen,
    Kill,
    PowerLoss(u64),
    Checkpoint,
    Base,
    Housekeep,
}

const PROJECTS: [Option<&str>; 2] = [None, Some("shop")];
const NAMES: [&str; 4] = ["orders", "dead", "a", "a.b"];
const METADATA: [&str; 9] = [
    "{}",
    r#"{"owner": "ann"}"#,
    r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#,
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 7}"#,
    r#"{"_max_claim_count": 0, "_dead_letter_queue": "a", "owner": "ann"}"#,
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "orders", "_dead_letter_queue_messages_ttl": 900}"#,
    r#"{"_max_claim_count": 3}"#,
    r#"{"_max_messages_post_size": 60}"#,
    r#"{"_default_message_ttl": "soon"}"#,
];
/// More than is left until the year 9999.
const TOO_LONG: u64 = 300_000_000_000_000;

fn case() -> impl Strategy<Value = Case> {
    let ops = prop::collection::vec(op(), 0..=2 * CASE_OPS as usize);
    (any::<bool>(), select(vec![4 << 10, 16 << 10, 256 << 10]), select(METADATA[..5].to_vec()), ops)
        .prop_map(|(checksums, segment_bytes, metadata, ops)| Case { checksums, segment_bytes, metadata, ops })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => queue_op(),
        15 => message_op(),
        9 => claim_op(),
        4 => world_op(),
    ]
}

fn queue_op() -> impl Strategy<Value = Op> {
    let purge = select(vec![Purge::Messages, Purge::Subscriptions, Purge::All]);
    prop_oneof![
        14 => (place(), select(METADATA.to_vec())).prop_map(|(place, text)| Op::Create(place, text)),
        4 => (place(), select(METADATA.to_vec())).prop_map(|(place, text)| Op::SetMetadata(place, text)),
        3 => place().prop_map(Op::Describe),
        1 => place().prop_map(Op::DeleteQueue),
        3 => (0..PROJECTS.len(), queue_listing()).prop_map(|(project, listing)| Op::ListQueues(project, listing)),
        6 => place().prop_map(Op::Stats),
        1 => (place(), purge).prop_map(|(place, what)| Op::Purge(place, what)),
    ]
}

fn message_op() -> impl Strategy<Value = Op> {
    let posts = prop_oneof![12 => prop::collection::vec(post(), 0..9), 1 => prop::collection::vec(post(), 100..200)];
    let client = 0_u8..3;
    prop_oneof![
        8 => (place(), client, posts).prop_map(|(place, client, posts)| Op::Post(place, client, posts)),
        4 => (place(), listing()).prop_map(|(place, listing)| Op::List(place, listing)),
        1 => (place(), select(vec![Sort::Oldest, Sort::Newest])).prop_map(|(place, sort)| Op::First(place, sort)),
        2 => (place(), pick()).prop_map(|(place, id)| Op::Get(place, id)),
        1 => (place(), picks()).prop_map(|(place, ids)| Op::BulkGet(place, ids)),
        2 => (place(), pick(), prop::option::of(claim_pick())).prop_map(|(place, id, claim)| Op::Delete(place, id, claim)),
        3 => (place(), pick()).prop_map(|(place, id)| Op::Finish(place, id)),
        2 => (place(), picks(), prop_oneof![Just(Vec::new()), prop::collection::vec(claim_pick(), 0..6)])
            .prop_map(|(place, ids, claims)| Op::BulkDelete(place, ids, claims)),
        1 => (place(), 0_usize..5).prop_map(|(place, limit)| Op::Pop(place, limit)),
    ]
}

fn claim_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (place(), terms()).prop_map(|(place, terms)| Op::Claim(place, terms)),
        2 => (place(), claim_pick()).prop_map(|(place, claim)| Op::GetClaim(place, claim)),
        2 => (place(), claim_pick(), terms()).prop_map(|(place, claim, terms)| Op::UpdateClaim(place, claim, terms)),
        3 => (place(), claim_pick()).prop_map(|(place, claim)| Op::ReleaseClaim(place, claim)),
    ]
}

fn world_op() -> impl Strategy<Value = Op> {
    let passing = prop_oneof![
        12 => select(vec![1, 499, 999, 1_000, 1_001, 5_000, 7_000, 10_000]),
        3 => select(vec![30_000, 60_000]),
        1 => select(vec![600_000, 4_000_000]),
    ];
    let steps = select(vec![-100_000_000, -60_000, -5_000, -1, 1, 500, 5_000, 60_000, 100_000_000]);
    prop_oneof![
        14 => passing.prop_map(Op::Advance),
        2 => steps.prop_map(Op::Step),
        2 => Just(Op::Gc),
        1 => Just(Op::Health),
        2 => Just(Op::Reopen),
        2 => Just(Op::Kill),
        2 => any::<u64>().prop_map(Op::PowerLoss),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Base),
        1 => Just(Op::Housekeep),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    let project = prop_oneof![5 => Just(0_usize), 1 => Just(1)];
    let name = prop_oneof![6 => Just(0_usize), 2 => Just(1), 1 => Just(2), 1 => Just(3)];
    (project, name).prop_map(|(project, name)| Place(project, name))
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        12 => (0_usize..6).prop_map(Pick::Seen),
        6 => (0_usize..400).prop_map(Pick::Seen),
        1 => (0_usize..50).prop_map(Pick::Beyond),
        1 => Just(Pick::Unknown),
        1 => Just(Pick::Malformed),
    ]
}

/// Claims end soon: mostly one of the last.
fn claim_pick() -> impl Strategy<Value = Pick> {
    prop_oneof![5 => (0_usize..3).prop_map(Pick::Seen), 1 => pick()]
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::vec(pick(), 0..8)
}

fn post() -> impl Strategy<Value = Post> {
    let bytes = prop_oneof![20 => 0_usize..40, 2 => 500_usize..3_000, 1 => 10_000_usize..40_000];
    let ttl = prop_oneof![
        30 => select(vec![1_000, 5_000, 5_500, 30_000, 60_000]).prop_map(Some),
        40 => select(vec![100_000, 600_000, 3_600_000, 50_000_000]).prop_map(Some),
        4 => select(vec![0, 1, 999]).prop_map(Some),
        1 => prop_oneof![8 => Just(Some(70_000)), 1 => Just(None), 1 => Just(Some(TOO_LONG))],
    ];
    let delay = prop_oneof![
        24 => Just(None),
        8 => select(vec![0, 1, 999, 5_000, 5_500, 30_000, 70_000]).prop_map(Some),
        1 => select(vec![200_000_000, 50_000_000]).prop_map(Some),
    ];
    (bytes, ttl, delay).prop_map(|(bytes, ttl, delay)| Post { bytes, ttl, delay })
}

fn terms() -> impl Strategy<Value = Terms> {
    let ttl = prop_oneof![
        20 => select(vec![1_000, 1_500, 7_000, 30_000, 60_000, 100_000, 3_600_000]),
        2 => select(vec![0, 1]),
        1 => Just(TOO_LONG),
    ];
    let grace = prop_oneof![20 => select(vec![0, 1, 500, 1_000, 60_000]), 1 => Just(TOO_LONG)];
    let limit = prop_oneof![32 => 1_usize..6, 2 => Just(150), 1 => Just(0)];
    (ttl, grace, limit).prop_map(|(ttl, grace, limit)| Terms { ttl, grace, limit })
}

fn listing() -> impl Strategy<Value = Listing> {
    let marker = prop::option::weighted(0.4, pick());
    let limit = prop_oneof![Just(0_usize), 1_usize..5, Just(50)];
    (marker, limit, any::<bool>(), prop::option::of(0_u8..3), any::<bool>(), any::<bool>()).prop_map(
        |(marker, limit, echo, client, claimed, delayed)| Listing { marker, limit, echo, client, claimed, delayed },
    )
}

fn queue_listing() -> impl Strategy<Value = QueueListing> {
    let contains = prop::option::weighted(0.2, select(vec!["a", ".", "e"]));
    let filter = prop::option::weighted(0.2, Just(r#"{"owner": "ann"}"#));
    (prop::option::of(0..NAMES.len()), 0_usize..4, any::<bool>(), contains, filter).prop_map(
        |(marker, limit, detailed, contains, filter)| QueueListing { marker, limit, detailed, contains, filter },
    )
}

// ---- How it is compared ----

type Check = Result<(), String>;

/// Plays a case on both and says where they first differ.
fn play(case: &Case) -> Check {
    let mut pair = Pair::new(case);
    pair.call(&Op::Create(BUSIEST, case.metadata))?;
    for (number, op) in case.ops.iter().enumerate() {
        pair.named.clear();
        pair.call(op).map_err(|difference| format!("call {number}, {op:?}: {difference}"))?;
    }
    pair.compare_all().map_err(|difference| format!("at the end: {difference}"))?;
    pair.verify()?;
    pair.reopen().and_then(|()| pair.compare_all()).map_err(|difference| format!("opened again: {difference}"))?;
    pair.verify()
}

struct Pair<'c> {
    case: &'c Case,
    clock: Arc<ManualClock>,
    disk: SimulatedDisk,
    engine: Engine,
    model: ReferenceModel,
    messages: Pairs<MessageId>,
    claims: Pairs<ClaimId>,
    /// Texts of ids the present call names: an error may repeat them.
    named: Vec<(String, String)>,
    posted: u64,
    /// Of the present call.
    place: Place,
    /// How far the wall clock was ever ahead of the monotonic one, in milliseconds.
    ahead: i128,
}

/// The engine's and the model's id of the same thing, in the order of appearance.
struct Pairs<T> {
    seen: Vec<(T, T)>,
    /// Where each was first seen.
    homes: Vec<Place>,
    of_engine: HashMap<T, T>,
    of_model: HashMap<T, T>,
}

impl<T: Copy + Eq + std::hash::Hash + Debug> Pairs<T> {
    fn new() -> Self {
        Self { seen: Vec::new(), homes: Vec::new(), of_engine: HashMap::new(), of_model: HashMap::new() }
    }

    /// Notes that the two appeared beside one another; an error if either has appeared beside another.
    fn meet(&mut self, place: Place, engine: T, model: T) -> Check {
        match (self.of_engine.get(&engine), self.of_model.get(&model)) {
            (None, None) => {
                self.seen.push((engine, model));
                self.homes.push(place);
                self.of_engine.insert(engine, model);
                self.of_model.insert(model, engine);
                Ok(())
            }
            (Some(known), Some(_)) if *known == model => Ok(()),
            known => Err(format!("engine {engine:?} beside model {model:?}, which were {known:?}")),
        }
    }

    /// From the newest back, over and over.
    fn pick(&self, back: usize) -> Option<(T, T)> {
        let len = self.seen.len();
        (len > 0).then(|| self.seen[len - 1 - back % len])
    }

    /// In the busiest queue's stead, where the picked one was seen first: most calls name things where they are.
    fn home(&self, place: Place, pick: Pick) -> Place {
        match (place, pick) {
            (BUSIEST, Pick::Seen(back)) if !self.homes.is_empty() => {
                self.homes[self.homes.len() - 1 - back % self.homes.len()]
            }
            _ => place,
        }
    }
}

impl<'c> Pair<'c> {
    fn new(case: &'c Case) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_767_225_600_123)));
        let disk = SimulatedDisk::new();
        let engine = open(case, &clock, &disk);
        let model = ReferenceModel::new(clock.clone()).checksums(case.checksums);
        let wall = i128::from(clock.wall().as_millis());
        Self {
            case,
            clock,
            disk,
            engine,
            model,
            messages: Pairs::new(),
            claims: Pairs::new(),
            named: Vec::new(),
            posted: 0,
            place: BUSIEST,
            ahead: wall,
        }
    }

    fn call(&mut self, op: &Op) -> Check {
        match op {
            Op::Create(..)
            | Op::SetMetadata(..)
            | Op::Describe(..)
            | Op::DeleteQueue(..)
            | Op::ListQueues(..)
            | Op::Stats(..)
            | Op::Purge(..) => self.call_queues(op),
            Op::Claim(..) | Op::GetClaim(..) | Op::UpdateClaim(..) | Op::ReleaseClaim(..) => self.call_claims(op),
            Op::Advance(..)
            | Op::Step(..)
            | Op::Gc
            | Op::Health
            | Op::Reopen
            | Op::Kill
            | Op::PowerLoss(..)
            | Op::Checkpoint
            | Op::Base
            | Op::Housekeep => self.change_world(op),
            _ => self.call_messages(op),
        }
    }

    fn call_queues(&mut self, op: &Op) -> Check {
        match op {
            Op::Create(place, text) => {
                let (project, name, metadata) = (place.project(), place.name(), json(text));
                self.both(|driver| driver.queues().create(&project, &name, &metadata), same)
            }
            Op::SetMetadata(place, text) => {
                let (project, name, metadata) = (place.project(), place.name(), json(text));
                self.both(|driver| driver.queues().set_metadata(&project, &name, &metadata), same)
            }
            Op::Describe(place) => {
                let (project, name) = (place.project(), place.name());
                self.both(|driver| driver.queues().exists(&project, &name), same)?;
                self.both(|driver| driver.queues().get(&project, &name), same)?;
                self.both(|driver| driver.queues().get_metadata(&project, &name), same)
            }
            Op::DeleteQueue(place) => {
                let (project, name) = (place.project(), place.name());
                self.both(|driver| driver.queues().delete(&project, &name), same)
            }
            Op::ListQueues(project, listing) => self.list_queues(&project_of(*project), listing),
            Op::Stats(place) => self.stats(*place),
            Op::Purge(place, what) => {
                let (project, name) = (place.project(), place.name());
                self.both(|driver| driver.queues().purge(&project, &name, *what), same)
            }
            _ => unreachable!("another controller's"),
        }
    }

    fn list_queues(&mut self, project: &Project, listing: &QueueListing) -> Check {
        let marker = listing.marker.map(|name| QueueName::new(NAMES[name]).unwrap().into());
        let mut options = QueueListOptions::new().marker(marker).limit(listing.limit).detailed(listing.detailed);
        if let Some(text) = listing.contains {
            options = options.name_contains(text);
        }
        if let Some(filter) = listing.filter {
            options = options.metadata_filter(json(filter));
        }
        self.both(|driver| driver.queues().list(project, &options), same)?;
        self.both(|driver| driver.queues().count(project), same)
    }

    fn stats(&mut self, place: Place) -> Check {
        self.place = place;
        let (project, name) = (place.project(), place.name());
        self.both(
            |driver| driver.queues().stats(&project, &name),
            |pair, engine: QueueStats, model: QueueStats| {
                for (engine, model) in [(engine.oldest(), model.oldest()), (engine.newest(), model.newest())] {
                    if let (Some(engine), Some(model)) = (engine, model) {
                        pair.messages.meet(pair.place, engine.id(), model.id())?;
                    }
                }
                let told = |stats: &QueueStats| {
                    let stat = |stat: Option<&MessageStat>| stat.map(|stat| (stat.age(), stat.created()));
                    let counts = (stats.claimed(), stats.free(), stats.total());
                    (counts, stat(stats.oldest()), stat(stats.newest()))
                };
                equal(told(&engine), told(&model))
            },
        )
    }

    fn call_messages(&mut self, op: &Op) -> Check {
        match op {
            Op::Post(place, client, posts) => self.post(*place, *client, posts),
            Op::List(place, listing) => self.list(*place, listing),
            Op::First(place, sort) => {
                self.place = *place;
                let (project, name) = (place.project(), place.name());
                self.both(|driver| driver.messages().first(&project, &name, *sort), Self::one)
            }
            Op::Get(place, id) => {
                let place = self.messages.home(*place, *id);
                let (project, name, id) = (place.project(), place.name(), self.message(*id));
                self.each(
                    |engine| engine.messages().get(&project, &name, &id.0),
                    |model| model.messages().get(&project, &name, &id.1),
                    Self::one,
                )
            }
            Op::BulkGet(place, ids) => {
                let place = self.messages.home(*place, first(ids));
                let (project, name, ids) = (place.project(), place.name(), self.messages(ids));
                self.each(
                    |engine| engine.messages().bulk_get(&project, &name, &ids.0),
                    |model| model.messages().bulk_get(&project, &name, &ids.1),
                    Self::many,
                )
            }
            Op::Delete(place, id, claim) => {
                let place = self.messages.home(*place, *id);
                let (id, claim) = (self.message(*id), claim.map(|claim| self.claim(claim)));
                self.delete(place, id, claim)
            }
            Op::Finish(place, id) => {
                let place = self.messages.home(*place, *id);
                let id = self.message(*id);
                let held = self.engine.messages().get(&place.project(), &place.name(), &id.0);
                let held = held.ok().and_then(|message| message.claim_id());
                let claim = held.map(|claim| (claim, self.claims.of_engine[&claim]));
                self.named.extend(claim.map(|(engine, model)| (engine.to_string(), model.to_string())));
                self.delete(place, id, claim)
            }
            Op::BulkDelete(place, ids, claims) => {
                let place = self.messages.home(*place, first(ids));
                let (project, name, ids) = (place.project(), place.name(), self.messages(ids));
                let claims: (Vec<_>, Vec<_>) = claims.iter().map(|claim| self.claim(*claim)).unzip();
                self.each(
                    |engine| engine.messages().bulk_delete(&project, &name, &ids.0, &claims.0),
                    |model| model.messages().bulk_delete(&project, &name, &ids.1, &claims.1),
                    same,
                )
            }
            Op::Pop(place, limit) => {
                self.place = *place;
                let (project, name) = (place.project(), place.name());
                self.both(|driver| driver.messages().pop(&project, &name, *limit), Self::many)
            }
            _ => unreachable!("another controller's"),
        }
    }

    fn post(&mut self, place: Place, client: u8, posts: &[Post]) -> Check {
        self.place = place;
        let (project, name) = (place.project(), place.name());
        let messages: Vec<_> = posts.iter().map(|post| self.new_message(post)).collect();
        self.both(
            |driver| driver.messages().post(&project, &name, client_of(client), &messages),
            |pair, engine: Vec<MessageId>, model: Vec<MessageId>| {
                equal(engine.len(), model.len())?;
                if !engine.is_sorted() {
                    return Err(format!("ids out of order: {engine:?}"));
                }
                engine
                    .into_iter()
                    .zip(model)
                    .try_for_each(|(engine, model)| pair.messages.meet(pair.place, engine, model))
            },
        )
    }

    fn new_message(&mut self, post: &Post) -> NewMessage {
        self.posted += 1;
        let mut body = self.posted.to_string().into_bytes();
        body.resize(post.bytes, b'.');
        let mut message = NewMessage::new(body);
        message.ttl = post.ttl.map(Duration::from_millis);
        message.delay = post.delay.map(Duration::from_millis);
        message
    }

    fn list(&mut self, place: Place, listing: &Listing) -> Check {
        self.place = place;
        let (project, name) = (place.project(), place.name());
        let marker = listing.marker.map(|pick| match pick {
            Pick::Malformed => (MessageMarker::lossy("?"), MessageMarker::lossy("?")),
            pick => {
                let (engine, model) = self.message(pick);
                (engine.into(), model.into())
            }
        });
        let options = |marker| {
            let options = MessageListOptions::new().marker(marker).limit(listing.limit).echo(listing.echo);
            let options = options.include_claimed(listing.claimed).include_delayed(listing.delayed);
            listing.client.map_or(options.clone(), |client| options.client(client_of(client)))
        };
        let (engines, models) = (options(marker.map(|marker| marker.0)), options(marker.map(|marker| marker.1)));
        self.each(
            |engine| engine.messages().list(&project, &name, &engines),
            |model| model.messages().list(&project, &name, &models),
            |pair, engine, model| {
                let is_last = |items: &[Message], next| equal(items.last().map(Message::marker), next);
                is_last(&engine.items, engine.next)?;
                is_last(&model.items, model.next)?;
                pair.many(engine.items, model.items)
            },
        )
    }

    fn delete(&mut self, place: Place, id: (MessageId, MessageId), claim: Option<(ClaimId, ClaimId)>) -> Check {
        let (project, name) = (place.project(), place.name());
        let (engines, models) = (claim.map(|claim| claim.0), claim.map(|claim| claim.1));
        self.each(
            |engine| engine.messages().delete(&project, &name, &id.0, engines.as_ref()),
            |model| model.messages().delete(&project, &name, &id.1, models.as_ref()),
            same,
        )
    }

    fn call_claims(&mut self, op: &Op) -> Check {
        match op {
            Op::Claim(place, terms) => {
                self.place = *place;
                let (project, name, options) = (place.project(), place.name(), terms.options());
                self.both(
                    |driver| driver.claims().create(&project, &name, &options),
                    |pair, engine: Option<ClaimRecord>, model: Option<ClaimRecord>| match (engine, model) {
                        (Some(engine), Some(model)) => pair.record(engine, model),
                        (engine, model) => equal(engine, model),
                    },
                )
            }
            Op::GetClaim(place, claim) => {
                let place = self.claims.home(*place, *claim);
                let claim = self.claim(*claim);
                self.get_claim(place, claim)
            }
            Op::UpdateClaim(place, claim, terms) => {
                let place = self.claims.home(*place, *claim);
                let (project, name, options) = (place.project(), place.name(), terms.options());
                let claim = self.claim(*claim);
                self.each(
                    |engine| engine.claims().update(&project, &name, &claim.0, &options),
                    |model| model.claims().update(&project, &name, &claim.1, &options),
                    same,
                )
            }
            Op::ReleaseClaim(place, claim) => {
                let place = self.claims.home(*place, *claim);
                let (project, name, claim) = (place.project(), place.name(), self.claim(*claim));
                self.each(
                    |engine| engine.claims().delete(&project, &name, &claim.0),
                    |model| model.claims().delete(&project, &name, &claim.1),
                    same,
                )
            }
            _ => unreachable!("another controller's"),
        }
    }

    fn get_claim(&mut self, place: Place, claim: (ClaimId, ClaimId)) -> Check {
        let (project, name) = (place.project(), place.name());
        self.each(
            |engine| engine.claims().get(&project, &name, &claim.0),
            |model| model.claims().get(&project, &name, &claim.1),
            Self::record,
        )
    }

    fn change_world(&mut self, op: &Op) -> Check {
        match op {
            Op::Advance(millis) => self.clock.advance(Duration::from_millis(*millis)),
            Op::Step(by) => {
                self.pin_time()?;
                let wall = self.clock.wall().as_millis().saturating_add_signed(*by);
                self.clock.set_wall(Timestamp::from_millis(wall));
                self.ahead = self.ahead.max(i128::from(wall) - self.monotonic());
            }
            Op::Gc => return self.gc(),
            Op::Health => {
                return self.both(
                    |driver| driver.health(),
                    |_, engine, model| {
                        let fine = engine.operations().iter().all(|operation| operation.succeeded());
                        equal((fine, engine.volume()), (true, model.volume()))
                    },
                );
            }
            Op::Reopen => return self.reopen(),
            Op::Kill => {
                self.pin_time_if_behind()?;
                self.disk = self.disk.kill();
                self.engine = open(self.case, &self.clock, &self.disk);
            }
            Op::PowerLoss(seed) => {
                self.pin_time_if_behind()?;
                self.disk = self.disk.power_loss(Keep::Random(*seed));
                self.engine = open(self.case, &self.clock, &self.disk);
            }
            Op::Checkpoint => return self.engine.checkpoint().map_err(|error| error.to_string()),
            Op::Base => return self.engine.base().map_err(|error| error.to_string()),
            Op::Housekeep => return self.engine.step().map_err(|error| error.to_string()),
            _ => unreachable!("a controller's"),
        }
        Ok(())
    }

    /// Counts differ, since the engine also frees on the way; but nothing is left for a second time.
    fn gc(&mut self) -> Check {
        self.both(|driver| driver.gc(), |_, _, _| Ok(()))?;
        self.both(
            |driver| driver.gc(),
            |_, engine, model| {
                let nothing = GcReport::default();
                equal((engine, model), (nothing, nothing))
            },
        )
    }

    fn reopen(&mut self) -> Check {
        self.engine.close().map_err(|error| error.to_string())?;
        self.engine = open(self.case, &self.clock, &self.disk);
        Ok(())
    }

    fn monotonic(&self) -> i128 {
        i128::try_from(self.clock.monotonic().as_millis()).unwrap()
    }

    fn is_behind(&self) -> bool {
        i128::from(self.clock.wall().as_millis()) < self.monotonic() + self.ahead
    }

    fn pin_time_if_behind(&self) -> Check {
        if self.is_behind() { self.pin_time() } else { Ok(()) }
    }

    /// Has both look at the clock, and the engine write down what it says: the model looks in every call and is never
    /// killed; the engine looks when it has to, and once killed knows how far time had come from the wall clock or from
    /// its last change, whichever is later.
    fn pin_time(&self) -> Check {
        let (project, name) = (Project::named("elsewhere").unwrap(), QueueName::new("time").unwrap());
        let pin = |driver: &dyn DataDriver| {
            driver.queues().create(&project, &name, &Metadata::new())?;
            driver.queues().delete(&project, &name)
        };
        pin(&self.model).and_then(|()| pin(&self.engine)).map_err(|error| error.to_string())
    }

    fn verify(&self) -> Check {
        let verification = self.engine.verify().map_err(|error| error.to_string())?;
        if verification.is_sound() { Ok(()) } else { Err(format!("verify: {:?}", verification.findings())) }
    }

    /// Everything there is to be seen.
    fn compare_all(&mut self) -> Check {
        let whole = Listing { marker: None, limit: 0, echo: true, client: None, claimed: true, delayed: true };
        let plain = Listing { claimed: false, delayed: false, ..whole.clone() };
        for project in 0..PROJECTS.len() {
            let queues = QueueListing { marker: None, limit: 0, detailed: true, contains: None, filter: None };
            self.list_queues(&project_of(project), &queues)?;
            for name in 0..NAMES.len() {
                let place = Place(project, name);
                self.stats(place)?;
                self.list(place, &whole)?;
                self.list(place, &plain)?;
                for claim in self.claims.seen.clone() {
                    self.named = vec![(claim.0.to_string(), claim.1.to_string())];
                    self.get_claim(place, claim)?;
                }
            }
        }
        Ok(())
    }

    // ---- The same call to both ----

    fn both<T: Debug>(
        &mut self,
        call: impl Fn(&dyn DataDriver) -> zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, T, T) -> Check,
    ) -> Check {
        self.each(&call, &call, then)
    }

    fn each<T: Debug>(
        &mut self,
        engine: impl Fn(&dyn DataDriver) -> zaqar_sled::Result<T>,
        model: impl Fn(&dyn DataDriver) -> zaqar_sled::Result<T>,
        then: impl FnOnce(&mut Self, T, T) -> Check,
    ) -> Check {
        match (engine(&self.engine), model(&self.model)) {
            (Ok(engine), Ok(model)) => {
                let shown = format!("engine: {engine:?}\nmodel: {model:?}");
                then(self, engine, model).map_err(|difference| format!("{difference}\n{shown}"))
            }
            (Err(engine), Err(model)) => self.errors(&engine, &model),
            (engine, model) => Err(format!("engine: {engine:?}\nmodel: {model:?}")),
        }
    }

    /// Errors are the same if their texts are, once the engine's ids are put as the model's, and their predicates.
    fn errors(&self, engine: &Error, model: &Error) -> Check {
        let mut text = engine.to_string();
        for (engine, model) in &self.named {
            text = text.replace(engine, model);
        }
        equal((text, predicates(engine)), (model.to_string(), predicates(model)))
    }

    fn one(&mut self, engine: Message, model: Message) -> Check {
        self.many(vec![engine], vec![model])
    }

    #[allow(clippy::needless_pass_by_value, reason = "as the calls give them")]
    fn many(&mut self, engine: Vec<Message>, model: Vec<Message>) -> Check {
        equal(engine.len(), model.len())?;
        for (engine, model) in engine.iter().zip(&model) {
            self.messages.meet(self.place, engine.id(), model.id())?;
            let holder = engine.claim_id().map(|claim| self.claims.of_engine.get(&claim));
            equal(holder, model.claim_id().as_ref().map(Some))?;
            equal(told(engine), told(model))?;
        }
        Ok(())
    }

    fn record(&mut self, engine: ClaimRecord, model: ClaimRecord) -> Check {
        self.claims.meet(self.place, engine.id(), model.id())?;
        equal((engine.ttl(), engine.age()), (model.ttl(), model.age()))?;
        self.many(engine.into_messages(), model.into_messages())
    }

    // ---- Picking ids ----

    fn message(&mut self, pick: Pick) -> (MessageId, MessageId) {
        let unknown: MessageId = "fffffffffffffff0fffffffffffffff0".parse().unwrap();
        let beyond = |id: MessageId| format!("{}fffffffffffffff0", &id.to_string()[..16]).parse().unwrap();
        let pair = match pick {
            Pick::Seen(back) => self.messages.pick(back),
            Pick::Beyond(back) => self.messages.pick(back).map(|(engine, model)| (beyond(engine), beyond(model))),
            Pick::Unknown => None,
            Pick::Malformed => Some((MessageId::lossy("?"), MessageId::lossy("?"))),
        };
        let (engine, model) = pair.unwrap_or((unknown, unknown));
        self.named.push((engine.to_string(), model.to_string()));
        (engine, model)
    }

    fn messages(&mut self, picks: &[Pick]) -> (Vec<MessageId>, Vec<MessageId>) {
        picks.iter().map(|pick| self.message(*pick)).unzip()
    }

    fn claim(&mut self, pick: Pick) -> (ClaimId, ClaimId) {
        let unknown: ClaimId = "ffffffff-ffff-4fff-8fff-ffffffffffff".parse().unwrap();
        let pair = match pick {
            Pick::Seen(back) | Pick::Beyond(back) => self.claims.pick(back),
            Pick::Unknown => None,
            Pick::Malformed => Some((ClaimId::lossy("?"), ClaimId::lossy("?"))),
        };
        let (engine, model) = pair.unwrap_or((unknown, unknown));
        self.named.push((engine.to_string(), model.to_string()));
        (engine, model)
    }
}

impl Place {
    fn project(self) -> Project {
        project_of(self.0)
    }

    fn name(self) -> QueueName {
        QueueName::new(NAMES[self.1]).unwrap()
    }
}

impl Terms {
    fn options(self) -> ClaimOptions {
        let (ttl, grace) = (Duration::from_millis(self.ttl), Duration::from_millis(self.grace));
        ClaimOptions::new().ttl(ttl).grace(grace).limit(self.limit)
    }
}

/// What the call is about, if it is about anything.
fn first(picks: &[Pick]) -> Pick {
    picks.first().copied().unwrap_or(Pick::Unknown)
}

fn open(case: &Case, clock: &Arc<ManualClock>, disk: &SimulatedDisk) -> Engine {
    let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
    config.checksums(case.checksums).segment_size(case.segment_bytes).open("/store").expect("the store opens")
}

fn project_of(project: usize) -> Project {
    PROJECTS[project].map_or_else(Project::none, |name| Project::named(name).unwrap())
}

fn client_of(client: u8) -> ClientId {
    ClientId::from_bytes([client + 1; 16])
}

fn json(text: &str) -> Metadata {
    Metadata::from_json(text).unwrap()
}

/// What a message shows beside its ids.
fn told(message: &Message) -> impl PartialEq + Debug + '_ {
    let times = (message.age(), message.ttl(), message.created());
    (message.body(), times, message.claim_count(), message.checksum())
}

fn predicates(error: &Error) -> [bool; 11] {
    [
        error.is_not_found(),
        error.is_conflict(),
        error.is_not_permitted(),
        error.is_invalid(),
        error.is_too_large(),
        error.is_full(),
        error.is_busy(),
        error.is_closed(),
        error.is_poisoned(),
        error.is_corrupt(),
        error.is_outcome_unknown(),
    ]
}

#[allow(clippy::needless_pass_by_value, reason = "as the calls give them")]
fn same<T: PartialEq + Debug>(_: &mut Pair<'_>, engine: T, model: T) -> Check {
    equal(engine, model)
}

#[allow(clippy::needless_pass_by_value, reason = "as the calls give them")]
fn equal<T: PartialEq + Debug>(engine: T, model: T) -> Check {
    if engine == model { Ok(()) } else { Err(format!("engine {engine:?}, model {model:?}")) }
}
