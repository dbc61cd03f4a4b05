//! The operations of a case, and how they are chosen.

use proptest::prelude::*;
use proptest::sample::select;
use std::time::Duration;
use zaqar_sled::{
    ClaimOptions, ClientId, Limits, Metadata, Pause, Project, Purge, QueueListOptions, QueueName, Sort, TopicName,
};

use crate::batches::{Step, steps};
use crate::bookmarks::{BookmarkOp, bookmark_op};
use crate::catalogue::{CatalogueOp, catalogue_op};
use crate::flavors::{FlavorOp, flavor_op};
use crate::moves::pooled_op;
use crate::pools::{PoolOp, pool_op};
use crate::projects::{ProjectOp, project_op};
use crate::subject::Kind;
use crate::subscriptions::{SubscriptionOp, subscription_op};
use crate::topics::{TopicOp, topic_op};

/// Calls in a case, on average: long enough for stale ids, several segments and claims that end.
pub(crate) const CASE_OPS: u32 = 220;

#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    /// With buffered durability a power cut would lose unsynced changes, so it is played as a kill.
    pub(crate) buffered: bool,
    pub(crate) zaqar_limits: bool,
    pub(crate) checksums: bool,
    pub(crate) segment_bytes: u64,
    /// Bytes of messages that may be in memory.
    pub(crate) memory: u64,
    /// Of the busiest queue, which is there from the start.
    pub(crate) metadata: &'static str,
    pub(crate) ops: Vec<Op>,
}

impl Case {
    pub(crate) fn is_pooled(&self) -> bool {
        self.kind == Kind::Pooled
    }

    pub(crate) fn limits(&self) -> Limits {
        if self.zaqar_limits { Limits::zaqar() } else { Limits::default() }
    }

    /// A call a line.
    pub(crate) fn text(&self) -> String {
        let head = format!("{:?}\n", Self { ops: Vec::new(), ..self.clone() });
        self.ops.iter().enumerate().fold(head, |text, (number, op)| format!("{text}{number:4} {op:?}\n"))
    }
}

/// A project and a name, by number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueueRef(pub(crate) usize, pub(crate) usize);

pub(crate) const BUSIEST: QueueRef = QueueRef(0, 0);

/// A message, a claim or a subscription.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// One of the ids seen so far, counted back from the newest.
    Seen(usize),
    /// One of the live messages of the queue, of the claims they are under, or of its live subscriptions.
    Live(usize),
    /// An id of the same queue as a seen id, but never assigned.
    Beyond(usize),
    Unknown,
    Malformed,
}

#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) bytes: usize,
    /// [`FOREVER`] without an end.
    pub(crate) ttl: Option<u64>,
    pub(crate) delay: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
    pub(crate) limit: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct GivenBack {
    pub(crate) message: Pick,
    pub(crate) delay: Option<u64>,
    pub(crate) reason: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Redrive {
    pub(crate) to: Option<usize>,
    pub(crate) source: Option<usize>,
    pub(crate) older_than: Option<u64>,
    pub(crate) reason: Option<&'static str>,
    pub(crate) limit: Option<u64>,
    pub(crate) ttl: Option<u64>,
    pub(crate) dry_run: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) marker: Option<Pick>,
    pub(crate) limit: usize,
    pub(crate) echo: bool,
    pub(crate) client: Option<u8>,
    pub(crate) claimed: bool,
    pub(crate) delayed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct QueueListing {
    pub(crate) marker: Option<usize>,
    pub(crate) limit: usize,
    pub(crate) detailed: bool,
    pub(crate) contains: Option<&'static str>,
    pub(crate) filter: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create(QueueRef, &'static str),
    SetMetadata(QueueRef, &'static str),
    Describe(QueueRef),
    DeleteQueue(QueueRef),
    ListQueues(usize, QueueListing),
    Stats(QueueRef),
    Purge(QueueRef, Purge),
    Post(QueueRef, u8, Vec<Post>),
    List(QueueRef, Listing),
    First(QueueRef, Sort),
    Get(QueueRef, Pick),
    BulkGet(QueueRef, Vec<Pick>),
    Explain(QueueRef, Pick),
    ListClaims(QueueRef, usize),
    ListProjects(Option<usize>, usize),
    Delete(QueueRef, Pick, Option<Pick>),
    /// Deletes a message with the claim it is under, as workers do.
    Finish(QueueRef, Pick),
    BulkDelete(QueueRef, Vec<Pick>, Vec<Pick>),
    Pop(QueueRef, usize),
    Claim(QueueRef, Terms),
    GetClaim(QueueRef, Pick),
    UpdateClaim(QueueRef, Pick, Terms),
    ReleaseClaim(QueueRef, Pick),
    Retry(QueueRef, Pick, Vec<GivenBack>),
    Split(QueueRef, Pick, Vec<Pick>, Terms),
    Batch(Vec<Step>),
    Redrive(QueueRef, Redrive),
    SetPause(QueueRef, Option<Pause>),
    Bookmarks(BookmarkOp),
    Topics(TopicOp),
    Projects(ProjectOp),
    Subscriptions(QueueRef, SubscriptionOp),
    Pools(PoolOp),
    Flavors(FlavorOp),
    Catalogue(CatalogueOp),
    /// To the pool of that number.
    Move(QueueRef, usize),
    Advance(u64),
    /// The wall clock alone, in milliseconds.
    Step(i64),
    Gc,
    /// A garbage collection, so many milliseconds, and another one, with no call in between.
    GcAgain(u64),
    Health,
    Reopen,
    Kill,
    PowerLoss(u64),
    Checkpoint,
    Snapshot,
    Housekeep,
}

pub(crate) const PROJECTS: [Option<&str>; 2] = [None, Some("shop")];
pub(crate) const NAMES: [&str; 4] = ["orders", "dead", "a", "a.b"];
/// Topics are called as queues are, by the numbers behind those of [`NAMES`].
pub(crate) const TOPICS: [&str; 2] = ["orders", "news"];
pub(crate) const ALL_NAMES: usize = NAMES.len() + TOPICS.len();
pub(crate) const METADATA: [&str; 25] = [
    "{}",
    r#"{"owner": "ann"}"#,
    r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#,
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead", "_dead_letter_queue_messages_ttl": 7}"#,
    r#"{"_max_claim_count": 0, "_dead_letter_queue": "a", "owner": "ann"}"#,
    r#"{"_max_claim_count": 1, "_dead_letter_queue": "orders", "_dead_letter_queue_messages_ttl": 900}"#,
    r#"{"_max_claim_count": 3}"#,
    r#"{"_max_claim_count": 5, "_dead_letter_queue": "dead", "_retry": {"base_ms": 700, "factor": 3, "cap_ms": 9000, "attempts": 3}}"#,
    r#"{"_retry": {"base_ms": 5000}}"#,
    r#"{"_max_queue_messages": 40}"#,
    r#"{"_max_claims_per_second": 1, "_max_claims_burst": 7}"#,
    r#"{"_max_claims_per_second": 3, "_max_claim_count": 2, "_dead_letter_queue": "dead"}"#,
    r#"{"_max_queue_messages": 6, "_max_claim_count": 2, "_dead_letter_queue": "dead"}"#,
    r#"{"_max_claims_per_second": 1000000, "_max_claims_burst": 2}"#,
    r#"{"_max_messages_post_size": 60}"#,
    r#"{"_paused": "posts", "owner": "ann"}"#,
    r#"{"_default_message_ttl": "soon"}"#,
    r#"{"_flavor": "gold"}"#,
    r#"{"_flavor": "plain", "_max_claim_count": 1, "_dead_letter_queue": "dead"}"#,
    r#"{"_subscribed_queues": ["orders", "a"]}"#,
    r#"{"_subscribed_queues": ["dead", "orders", "a.b"], "_max_queue_messages": 40}"#,
    r#"{"_subscribed_queues": [], "owner": "ann"}"#,
    r#"{"_subscribed_queues": ["a", "a"]}"#,
    r#"{"_max_queue_bytes": 300}"#,
    r#"{"_max_queue_bytes": 3000, "_max_claim_count": 2, "_dead_letter_queue": "dead"}"#,
];
/// More than is left until the year 9999.
pub(crate) const TOO_LONG: u64 = 300_000_000_000_000;
pub(crate) const FOREVER: u64 = u64::MAX;
/// A reason that is longer than 1 KiB.
pub(crate) static TOO_WORDY: &str = match str::from_utf8(&[b'x'; 1_025]) {
    Ok(text) => text,
    Err(_) => "",
};

pub(crate) fn case(kind: Kind) -> impl Strategy<Value = Case> {
    let op = match kind {
        Kind::Engine | Kind::Ticking => op().boxed(),
        Kind::Pooled => pooled_op().boxed(),
    };
    let ops = prop::collection::vec(op, 0..=2 * CASE_OPS as usize);
    let flags = (any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    let sizes = (select(vec![4 << 10, 16 << 10, 256 << 10]), select(vec![0, 2 << 10, 64 << 10, 256 << 20]));
    (flags, sizes, select(METADATA[..12].to_vec()), ops).prop_map(
        move |((buffered, zaqar_limits, checksums), (segment_bytes, memory), metadata, ops)| Case {
            kind,
            buffered,
            zaqar_limits,
            checksums,
            segment_bytes,
            memory,
            metadata,
            ops,
        },
    )
}

pub(crate) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => queue_op(),
        15 => message_op(),
        9 => claim_op(),
        6 => (queue_ref(), subscription_op()).prop_map(|(queue_ref, op)| Op::Subscriptions(queue_ref, op)),
        2 => bookmark_op().prop_map(Op::Bookmarks),
        2 => topic_op().prop_map(Op::Topics),
        2 => project_op().prop_map(Op::Projects),
        2 => pool_op().prop_map(Op::Pools),
        2 => flavor_op().prop_map(Op::Flavors),
        1 => catalogue_op().prop_map(Op::Catalogue),
        5 => world_op(),
    ]
}

pub(crate) fn queue_op() -> impl Strategy<Value = Op> {
    let purge = select(vec![Purge::Messages, Purge::Subscriptions, Purge::All]);
    prop_oneof![
        14 => (queue_ref(), metadata()).prop_map(|(queue_ref, text)| Op::Create(queue_ref, text)),
        4 => (queue_ref(), metadata()).prop_map(|(queue_ref, text)| Op::SetMetadata(queue_ref, text)),
        3 => queue_ref().prop_map(Op::Describe),
        4 => (queue_ref(), pause()).prop_map(|(queue_ref, pause)| Op::SetPause(queue_ref, pause)),
        1 => queue_ref().prop_map(Op::DeleteQueue),
        3 => (0..PROJECTS.len(), queue_listing()).prop_map(|(project, listing)| Op::ListQueues(project, listing)),
        6 => queue_ref().prop_map(Op::Stats),
        2 => (queue_ref(), 0_usize..4).prop_map(|(queue_ref, limit)| Op::ListClaims(queue_ref, limit)),
        1 => (prop::option::of(0..PROJECTS.len()), 0_usize..3)
            .prop_map(|(marker, limit)| Op::ListProjects(marker, limit)),
        1 => (queue_ref(), purge).prop_map(|(queue_ref, what)| Op::Purge(queue_ref, what)),
    ]
}

/// Those with dead letters most of all.
fn metadata() -> impl Strategy<Value = &'static str> {
    prop_oneof![2 => select(METADATA.to_vec()), 1 => select(METADATA[2..6].to_vec())]
}

pub(crate) fn message_op() -> impl Strategy<Value = Op> {
    let posts = prop_oneof![12 => prop::collection::vec(post(), 0..9), 1 => prop::collection::vec(post(), 100..200)];
    let client = 0_u8..3;
    prop_oneof![
        8 => (queue_ref(), client, posts).prop_map(|(queue_ref, client, posts)| Op::Post(queue_ref, client, posts)),
        4 => (queue_ref(), listing()).prop_map(|(queue_ref, listing)| Op::List(queue_ref, listing)),
        1 => (queue_ref(), select(vec![Sort::Oldest, Sort::Newest])).prop_map(|(queue_ref, sort)| Op::First(queue_ref, sort)),
        2 => (queue_ref(), pick()).prop_map(|(queue_ref, id)| Op::Get(queue_ref, id)),
        1 => (queue_ref(), picks()).prop_map(|(queue_ref, ids)| Op::BulkGet(queue_ref, ids)),
        3 => (queue_ref(), pick()).prop_map(|(queue_ref, id)| Op::Explain(queue_ref, id)),
        2 => (queue_ref(), pick(), prop::option::of(claim_pick())).prop_map(|(queue_ref, id, claim)| Op::Delete(queue_ref, id, claim)),
        3 => (queue_ref(), pick()).prop_map(|(queue_ref, id)| Op::Finish(queue_ref, id)),
        2 => (queue_ref(), picks(), prop_oneof![Just(Vec::new()), prop::collection::vec(claim_pick(), 0..6)])
            .prop_map(|(queue_ref, ids, claims)| Op::BulkDelete(queue_ref, ids, claims)),
        1 => (queue_ref(), 0_usize..5).prop_map(|(queue_ref, limit)| Op::Pop(queue_ref, limit)),
    ]
}

pub(crate) fn claim_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (queue_ref(), terms()).prop_map(|(queue_ref, terms)| Op::Claim(queue_ref, terms)),
        2 => (queue_ref(), claim_pick()).prop_map(|(queue_ref, claim)| Op::GetClaim(queue_ref, claim)),
        2 => (queue_ref(), claim_pick(), terms()).prop_map(|(queue_ref, claim, terms)| Op::UpdateClaim(queue_ref, claim, terms)),
        3 => (queue_ref(), claim_pick()).prop_map(|(queue_ref, claim)| Op::ReleaseClaim(queue_ref, claim)),
        4 => (queue_ref(), claim_pick(), prop::collection::vec(given_back(), 0..5)).prop_map(|(queue_ref, claim, retries)| Op::Retry(queue_ref, claim, retries)),
        2 => (queue_ref(), claim_pick(), picks(), terms()).prop_map(|(queue_ref, claim, ids, terms)| Op::Split(queue_ref, claim, ids, terms)),
        5 => steps().prop_map(Op::Batch),
        3 => (queue_ref(), redrive()).prop_map(|(queue_ref, redrive)| Op::Redrive(queue_ref, redrive)),
    ]
}

pub(crate) fn world_op() -> impl Strategy<Value = Op> {
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
        1 => select(vec![1_000, 7_000, 60_000, 600_000]).prop_map(Op::GcAgain),
        1 => Just(Op::Health),
        2 => Just(Op::Reopen),
        2 => Just(Op::Kill),
        2 => any::<u64>().prop_map(Op::PowerLoss),
        2 => Just(Op::Checkpoint),
        2 => Just(Op::Snapshot),
        1 => Just(Op::Housekeep),
    ]
}

pub(crate) fn queue_ref() -> impl Strategy<Value = QueueRef> {
    let project = prop_oneof![5 => Just(0_usize), 1 => Just(1)];
    let topic = NAMES.len()..ALL_NAMES;
    let name = prop_oneof![12 => Just(0_usize), 4 => Just(1), 2 => Just(2), 2 => Just(3), 3 => topic];
    (project, name).prop_map(|(project, name)| QueueRef(project, name))
}

pub(crate) fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![
        12 => (0_usize..8).prop_map(Pick::Live),
        4 => (0_usize..6).prop_map(Pick::Seen),
        6 => (0_usize..400).prop_map(Pick::Seen),
        1 => (0_usize..50).prop_map(Pick::Beyond),
        1 => Just(Pick::Unknown),
        1 => Just(Pick::Malformed),
    ]
}

/// Claims end soon, so mostly one of the last is picked.
pub(crate) fn claim_pick() -> impl Strategy<Value = Pick> {
    prop_oneof![6 => (0_usize..8).prop_map(Pick::Live), 5 => (0_usize..3).prop_map(Pick::Seen), 1 => pick()]
}

pub(crate) fn picks() -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::vec(pick(), 0..8)
}

pub(crate) fn post() -> impl Strategy<Value = Post> {
    let bytes = prop_oneof![20 => 0_usize..40, 2 => 500_usize..3_000, 1 => 10_000_usize..40_000];
    let ttl = prop_oneof![
        30 => select(vec![1_000, 5_000, 5_500, 30_000, 60_000]).prop_map(Some),
        40 => select(vec![100_000, 600_000, 3_600_000, 50_000_000]).prop_map(Some),
        4 => select(vec![0, 1, 999]).prop_map(Some),
        8 => Just(Some(FOREVER)),
        1 => prop_oneof![8 => Just(Some(70_000)), 1 => Just(None), 1 => Just(Some(TOO_LONG))],
    ];
    let delay = prop_oneof![
        24 => Just(None),
        8 => select(vec![0, 1, 999, 5_000, 5_500, 30_000, 70_000]).prop_map(Some),
        1 => select(vec![200_000_000, 50_000_000]).prop_map(Some),
    ];
    (bytes, ttl, delay).prop_map(|(bytes, ttl, delay)| Post { bytes, ttl, delay })
}

pub(crate) fn terms() -> impl Strategy<Value = Terms> {
    let ttl = prop_oneof![
        20 => select(vec![1_000, 1_500, 7_000, 30_000, 60_000, 100_000, 3_600_000]),
        2 => select(vec![0, 1]),
        1 => Just(TOO_LONG),
    ];
    let grace = prop_oneof![20 => select(vec![0, 1, 500, 1_000, 60_000]), 1 => Just(TOO_LONG)];
    let limit = prop_oneof![32 => 1_usize..6, 2 => Just(150), 1 => Just(0)];
    (ttl, grace, limit).prop_map(|(ttl, grace, limit)| Terms { ttl, grace, limit })
}

pub(crate) fn given_back() -> impl Strategy<Value = GivenBack> {
    let delay = prop_oneof![
        8 => Just(None),
        12 => select(vec![0, 1, 999, 5_000, 30_000, 70_000]).prop_map(Some),
        1 => Just(Some(TOO_LONG)),
    ];
    let reasons = vec!["no route", "", "lease ran out"];
    let reason = prop_oneof![4 => Just(None), 12 => select(reasons).prop_map(Some), 1 => Just(Some(TOO_WORDY))];
    (pick(), delay, reason).prop_map(|(message, delay, reason)| GivenBack { message, delay, reason })
}

/// Mostly none, so that most calls find a queue that works.
pub(crate) fn pause() -> impl Strategy<Value = Option<Pause>> {
    prop::option::weighted(0.3, select(vec![Pause::Claims, Pause::Posts, Pause::All]))
}

pub(crate) fn redrive() -> impl Strategy<Value = Redrive> {
    let name = || prop::option::weighted(0.3, 0..ALL_NAMES);
    let older_than = prop::option::weighted(0.2, select(vec![0, 999, 5_000, 60_000]));
    let reason = prop::option::weighted(0.2, select(vec!["", "route", "lease"]));
    let limit = prop::option::weighted(0.3, 0_u64..4);
    let ttl = prop::option::weighted(0.3, select(vec![0, 5_000, 60_000, FOREVER, TOO_LONG]));
    (name(), name(), older_than, reason, limit, ttl, prop::bool::weighted(0.2)).prop_map(
        |(to, source, older_than, reason, limit, ttl, dry_run)| Redrive {
            to,
            source,
            older_than,
            reason,
            limit,
            ttl,
            dry_run,
        },
    )
}

pub(crate) fn listing() -> impl Strategy<Value = Listing> {
    let marker = prop::option::weighted(0.4, pick());
    let limit = prop_oneof![Just(0_usize), 1_usize..5, Just(50)];
    (marker, limit, any::<bool>(), prop::option::of(0_u8..3), any::<bool>(), any::<bool>()).prop_map(
        |(marker, limit, echo, client, claimed, delayed)| Listing { marker, limit, echo, client, claimed, delayed },
    )
}

pub(crate) fn queue_listing() -> impl Strategy<Value = QueueListing> {
    let contains = prop::option::weighted(0.2, select(vec!["a", ".", "e"]));
    let filter = prop::option::weighted(0.2, Just(r#"{"owner": "ann"}"#));
    (prop::option::of(0..NAMES.len()), 0_usize..4, any::<bool>(), contains, filter).prop_map(
        |(marker, limit, detailed, contains, filter)| QueueListing { marker, limit, detailed, contains, filter },
    )
}

impl Op {
    pub(crate) fn queue_ref(&self) -> Option<QueueRef> {
        match self {
            Op::Create(queue_ref, _)
            | Op::SetMetadata(queue_ref, _)
            | Op::Describe(queue_ref)
            | Op::DeleteQueue(queue_ref)
            | Op::Stats(queue_ref)
            | Op::Purge(queue_ref, _)
            | Op::Post(queue_ref, ..)
            | Op::List(queue_ref, _)
            | Op::First(queue_ref, _)
            | Op::Get(queue_ref, _)
            | Op::BulkGet(queue_ref, _)
            | Op::Explain(queue_ref, _)
            | Op::ListClaims(queue_ref, _)
            | Op::Delete(queue_ref, ..)
            | Op::Finish(queue_ref, _)
            | Op::BulkDelete(queue_ref, ..)
            | Op::Pop(queue_ref, _)
            | Op::Claim(queue_ref, _)
            | Op::GetClaim(queue_ref, _)
            | Op::UpdateClaim(queue_ref, ..)
            | Op::ReleaseClaim(queue_ref, _)
            | Op::Retry(queue_ref, ..)
            | Op::Split(queue_ref, ..)
            | Op::Redrive(queue_ref, _)
            | Op::SetPause(queue_ref, _)
            | Op::Subscriptions(queue_ref, _)
            | Op::Move(queue_ref, _) => Some(*queue_ref),
            _ => None,
        }
    }
}

impl QueueRef {
    pub(crate) fn project(self) -> Project {
        project_of(self.0)
    }

    pub(crate) fn name(self) -> QueueName {
        match self.topic() {
            Some(topic) => topic.to_queue_name(),
            None => QueueName::new(NAMES[self.1]).unwrap(),
        }
    }

    pub(crate) fn topic(self) -> Option<TopicName> {
        let number = self.1.checked_sub(NAMES.len())?;
        Some(TopicName::new(TOPICS[number]).unwrap())
    }
}

impl QueueListing {
    pub(crate) fn options(&self) -> QueueListOptions {
        let marker = self.marker.map(|name| QueueName::new(NAMES[name]).unwrap().into());
        let mut options = QueueListOptions::new().marker(marker).limit(self.limit).detailed(self.detailed);
        if let Some(text) = self.contains {
            options = options.name_contains(text);
        }
        if let Some(filter) = self.filter {
            options = options.metadata_filter(json(filter));
        }
        options
    }
}

impl Terms {
    pub(crate) fn options(self) -> ClaimOptions {
        let (ttl, grace) = (Duration::from_millis(self.ttl), Duration::from_millis(self.grace));
        ClaimOptions::new().ttl(ttl).grace(grace).limit(self.limit)
    }
}

/// All queues and topics that calls name.
pub(crate) fn queue_refs() -> impl Iterator<Item = QueueRef> {
    (0..PROJECTS.len()).flat_map(|project| (0..ALL_NAMES).map(move |name| QueueRef(project, name)))
}

/// The first pick of the call, if there is one.
pub(crate) fn first(picks: &[Pick]) -> Pick {
    picks.first().copied().unwrap_or(Pick::Unknown)
}

pub(crate) fn project_of(project: usize) -> Project {
    PROJECTS[project].map_or_else(Project::none, |name| Project::named(name).unwrap())
}

pub(crate) fn client_of(client: u8) -> ClientId {
    ClientId::from_bytes([client + 1; 16])
}

pub(crate) fn json(text: &str) -> Metadata {
    Metadata::from_json(text).unwrap()
}
