//! A storage engine for message queues that runs inside your process. It keeps queues, messages with
//! a time to live and a delay, and claims, which lease messages to a worker, in one directory that
//! survives `kill -9` and power loss. It implements the storage-driver contract of OpenStack Zaqar.
//!
//! ```
//! use std::time::Duration;
//! use zaqar_sled::{ClaimOptions, ClientId, Engine, Metadata, NewMessage, Project};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("data");
//! let engine = Engine::open(path)?;
//! let orders = engine.queue(Project::named("shop")?, "orders")?;
//! orders.create(Metadata::new())?;
//! let delayed = NewMessage::new("43").delay(Duration::from_secs(60));
//! orders.post(ClientId::random(), &[NewMessage::new("42"), delayed])?;
//! let lease = ClaimOptions::new().ttl(Duration::from_secs(30)).limit(10);
//! while let Some(claim) = orders.claim(lease.clone())? {
//!     for message in claim.messages() {
//!         println!("working on {:?}", message.body());
//!         claim.delete(message)?;
//!     }
//!     claim.release()?;
//! }
//! assert_eq!(orders.stats()?.total(), 1); // the delayed message
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Start here
//!
//! - [`docs::guide`] shows what a program does with a queue, step by step.
//! - [`Engine`] is an open store, and [`Config`] has its settings. [`Durability`] says what an
//!   acknowledged change survives, [`Limits`] what callers may send.
//! - [`Queue`] is a handle on one queue of a [`Project`]. Most programs need no more than its
//!   methods and those of [`Claim`].
//! - [`Error`] is the one error type. Its predicates, such as [`is_not_found`](Error::is_not_found),
//!   tell a caller what to do next.
//!
//! # Queues and messages
//!
//! - [`Queue`]: [`create`](Queue::create), [`post`](Queue::post), [`list`](Queue::list),
//!   [`iter`](Queue::iter), [`first`](Queue::first), [`get`](Queue::get), [`pop`](Queue::pop),
//!   [`stats`](Queue::stats).
//! - [`NewMessage`] is a message to post, [`Message`] a stored one with its [`MessageId`] and
//!   [`Body`]; [`ClientId`] names the client that posts it, [`Headers`] travel with it, and
//!   [`DeadLetterOrigin`] says where a dead letter comes from.
//! - [`Metadata`] holds a queue's settings, each a [`MetadataValue`]. [`MessageListOptions`], [`QueueListOptions`],
//!   [`ListOptions`], [`Sort`], [`QueueEntry`] and [`Page`] are for listings, [`QueueStats`] for
//!   counts, [`Purge`] says what a purge removes, [`Timestamp`] is a time. [`Ttl`] is how long a message
//!   lives: without a ttl, until it is deleted.
//! - [`Subscription`] and [`Subscriber`] store where a queue's messages are to be announced.
//!
//! # Claims
//!
//! - [`Queue::claim`] leases messages to a worker; [`Queue::claim_wait`] waits until there are some,
//!   and a [`CancelToken`] ends that wait.
//! - [`QueueSet`] claims from many queues, fairly, and waits for all of them at once.
//! - [`Claim`] is the handle on a claim: [`delete`](Claim::delete) a finished message,
//!   [`renew`](Claim::renew) the lease when the work takes longer, [`release`](Claim::release) the
//!   claim at the end, or [`retry`](Claim::retry) a message that failed, with a delay and a reason:
//!   [`Retry`]. [`split`](Claim::split) renews some messages of a claim.
//! - A [`Worker`] does all of that in threads of its own: it hands each message to a handler as a
//!   [`Job`], renews the leases meanwhile, and does what the [`Outcome`] says; it returns a
//!   [`WorkReport`]. [`docs::workers`] is a guide, also for async programs.
//! - [`ClaimRecord`] and [`ClaimId`] name a claim in the traits.
//! - [`ClaimOptions`] sets the times and sizes; [`QueueSettings`] sets dead letters and the
//!   [`RetryPolicy`] of a queue (see [`Claims::create`]), and how many messages per second it gives out: [`QueueStats`]
//!   have its [`ClaimRate`].
//! - [`Batch`] collects changes of several queues that take effect together, and answers with a [`BatchOutcome`].
//! - [`Bookmark`] is a small named value, such as an offset, that a batch changes together with messages. It is read as a
//!   [`BookmarkRecord`] and set under a [`BookmarkCondition`]. [`Queue::post_wait`] waits for room in a bounded queue.
//! - A [`Topic`] is a list of messages for many readers, each with a marker; queues that are subscribed to it get each of
//!   its messages in the same operation. [`Topics`] is its trait, with [`TopicName`], [`TopicEntry`] and [`TopicStats`].
//! - [`Queue::explain`] says why a message can or cannot be claimed: an [`Explanation`] with its [`Availability`].
//! - [`Queue::dead_letters`] lists what was given up, [`Queue::redrive`] puts it back: which of it, [`RedriveOptions`]
//!   say, and how much, a [`RedriveOutcome`]. [`Queue::pause`] stops a queue for a while: see [`Pause`].
//! - [`ExtendedDriver`] gives [`Retries`], [`Batches`], with [`BatchStep`], [`Bookmarks`], with [`BookmarkName`] and [`BookmarkMarker`],
//!   [`DeadLetters`], [`FlowControl`], [`Diagnostics`] and [`Projects`], with [`ProjectQuota`] and [`ProjectUsage`], which Zaqar's contract does not have. A page of live claims has a [`ClaimEntry`] for each and is continued by a [`ClaimMarker`].
//!
//! # The storage contract
//!
//! - [`DataDriver`] gives [`Queues`], [`Messages`], [`Claims`] and [`Subscriptions`]: Zaqar's data
//!   plane, method by method, as object-safe traits. [`ControlDriver`] gives the control plane:
//!   [`Pools`], [`Flavors`] and [`Catalogue`]. [`docs::contract`] maps Zaqar's methods to these.
//! - The [rules of every method](DataDriver#rules-of-every-method) and the [errors of every
//!   call](DataDriver#errors-of-every-call) are stated once.
//!
//! # Pools
//!
//! - [`PooledDriver`] spreads queues over several stores; [`docs::pools`] explains how.
//! - [`NewPool`], [`PoolName`] and [`PoolUri`] register a store, [`PoolUpdate`] changes it;
//!   [`NewFlavor`], [`FlavorName`] and [`FlavorUpdate`] name a group of pools; [`CatalogueEntry`] says
//!   which pool holds a queue. [`PooledDriver::status`] gives a [`PooledStatus`].
//!
//! # Operating a store
//!
//! - [`Engine::status`] gives a [`Status`], [`Engine::recovery`] the [`RecoveryReport`] of the
//!   opening, [`Engine::verify`] a [`Verification`], [`Engine::inspect`] an [`Inspection`] of a store
//!   without opening it, even while another process uses it: each [`InspectedQueue`] with its messages, each
//!   [`InspectedClaim`], the [`FileSizes`]; [`DataDriver::health`] gives a [`Health`].
//! - [`Config::salvage`] opens a damaged store with everything that is intact; [`LostMessages`] and
//!   [`Damaged`] name the rest. [`DataDriver::gc`] gives a [`GcReport`].
//! - [`RealDisk`](struct@RealDisk), [`SystemClock`] and [`Spawner`] are what a store uses of the machine;
//!   [`Config`] takes others, for example any [`Clock`].
//! - [`Engine::metrics`] and [`PooledDriver::metrics`] give [`Metrics`], with [`Timings`], for graphs and alarms.
//! - [`docs::tool`] shows the command-line program, for the people who operate a store.
//! - [`docs::bounds`] states the memory, disk space, descriptors and time that a store needs;
//!   [`docs::processes`] explains opening, closing and forking.
//! - [`docs::comparison`] says what other stores are better and worse at.
//!
//! # Testing
//!
//! - [`SimulatedDisk`] is a disk in memory that loses power, fails and fills up on a test's command;
//!   [`ManualClock`] is a clock that a test moves. Both make tests fast and repeatable, together with
//!   [`Config::background`]`(false)` and [`Config::seed`].
//! - [`ReferenceModel`] is the simplest implementation of the same traits. Tests compare an engine's
//!   answers with the model's.
//! - [`docs::design`] explains how the engine works, [`docs::format`] the files, [`docs::testing`]
//!   the tests, [`docs::glossary`] the terms, [`docs::changelog`] the changes.
//!
//! # What is promised
//!
//! - **Durability.** An acknowledged change is kept.
//! - **Atomicity.** Every call takes effect as a whole or not at all.
//! - **Exclusion.** A message is under at most one live claim.
//! - **Order.** Messages of a queue are in the order of their posts.
//! - **Finality.** A message that was deleted, popped or expired does not come back.
//! - **Exactness.** Expiry and statistics are exact at every instant.
//!
//! [`docs::design`] numbers the promises and says how each is kept.
//!
//! # Threads
//!
//! Every type is `Send + Sync`, and handles are cheap to clone. Calls on different queues run in
//! parallel up to the write to the journal. Concurrent calls at [`Durability::Sync`] share their
//! syncs, so each call waits no longer when there are more callers.
#![forbid(unsafe_code)]

mod clock;
mod config;
mod contract;
mod control;
mod data;
pub mod disk;
pub mod docs;
mod engine;
mod handle;
mod lock;
mod model;
mod pooled;
mod reference;
mod state;
mod storage;
mod store;
mod sync;
mod worker;

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::Config;
pub use contract::{
    Batches, Bookmarks, Catalogue, Claims, ControlDriver, DataDriver, DeadLetters, Diagnostics, ExtendedDriver,
    Flavors, FlowControl, Messages, Pools, Projects, Queues, Retries, Subscriptions, Topics,
};
pub use data::ExportReport;
pub use disk::{RealDisk, SimulatedDisk};
pub use engine::Engine;
pub use handle::{Batch, Bookmark, Claim, Queue, QueueSet, Topic};
pub use model::{
    Availability, BatchOutcome, BatchStep, Body, BookmarkCondition, BookmarkMarker, BookmarkName, BookmarkRecord,
    Capabilities, Capability, CatalogueEntry, Checksum, ClaimEntry, ClaimId, ClaimMarker, ClaimOptions, ClaimRate,
    ClaimRecord, ClientId, ControlHealth, DeadLetterOrigin, Durability, Error, Explanation, ExportFault, Flavor,
    FlavorMarker, FlavorName, FlavorUpdate, GcReport, Headers, Health, Limits, ListOptions, Message, MessageId,
    MessageListOptions, MessageMarker, MessageStat, MessageVolume, Metadata, MetadataValue, Metrics, NewFlavor,
    NewMessage, NewPool, OperationStatus, Page, Pause, Pool, PoolGroup, PoolHealth, PoolMarker, PoolName, PoolUpdate,
    PoolUri, Project, ProjectQuota, ProjectUsage, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName,
    QueueSettings, QueueStats, RedriveOptions, RedriveOutcome, Result, Retry, RetryPolicy, Sort, Subscriber,
    Subscription, SubscriptionId, SubscriptionMarker, SubscriptionUpdate, Timestamp, Timings, TopicEntry, TopicName,
    TopicStats, Ttl,
};
pub use pooled::{PooledDriver, PooledStatus};
pub use reference::ReferenceModel;
pub use store::backup::BackupReport;
pub use store::cancel_token::CancelToken;
pub use store::compact_report::CompactReport;
pub use store::inspect::{FileSizes, InspectedClaim, InspectedQueue, Inspection};
pub use store::recovery::{Damaged, LostMessages, RecoveryReport, RecoverySource};
pub use store::status::Status;
pub use store::verify::Verification;
pub use sync::spawner::Spawner;
pub use worker::{Job, Outcome, WorkReport, Worker};

/// Compiles and runs the README's examples as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
