//! A storage engine for message queues, embedded in your process: queues, messages with a time to live and a delay, and
//! claims, which lease messages to a worker, on one directory that survives `kill -9` and power loss. It implements the
//! storage-driver contract of OpenStack Zaqar.
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
//! orders.post(ClientId::random(), &[NewMessage::new("42"), NewMessage::new("43").delay(Duration::from_secs(60))])?;
//! while let Some(claim) = orders.claim(ClaimOptions::new().ttl(Duration::from_secs(30)).limit(10))? {
//!     for message in claim.messages() {
//!         println!("working on {:?}", message.body());
//!         claim.delete(message)?;
//!     }
//!     claim.release()?;
//! }
//! assert_eq!(orders.stats()?.total(), 1); // the delayed one
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! - [`Engine`] opens a store; [`Config`] says how, [`Durability`] what an acknowledged call survives.
//! - [`Queue`] and [`Claim`] are handles, for callers who work with one queue at a time.
//! - [`Queues`], [`Messages`], [`Claims`], [`Subscriptions`] are the contract's data plane, method by method, as object-safe
//!   traits; [`DataDriver`] gathers them. [`Pools`], [`Flavors`], [`Catalogue`] are its control plane, gathered by
//!   [`ControlDriver`]. [`docs::contract`] is the table of Zaqar's methods and these.
//! - [`PooledDriver`] spreads queues over several stores: see [`docs::pools`].
//! - [`ReferenceModel`] implements the same traits in memory and as simply as possible.
//! - [`Error`] is the one error type; ask it with its predicates.
//! - [`ManualClock`] and [`SimulatedDisk`] let you test your own timeouts and crashes without sleeping or a disk.
//! - [`docs::design`] tells how it works inside, [`docs::processes`] what opening, closing and forking do, [`docs::format`] what
//!   is written.
//!
//! # What is promised
//!
//! An acknowledged call is kept; every call lands whole or not at all; a message has at most one holder; order is that of the
//! posts; what is gone stays gone; expiry and statistics are exact. The promises are numbered in [`docs::design`].
//!
//! # Threads
//!
//! Everything is `Send + Sync`; handles are cheap to clone. Calls on different queues go on side by side up to the journal;
//! calls at [`Durability::Sync`] share their syncs, so more callers wait no longer.
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

pub use clock::{Clock, ManualClock, SystemClock};
pub use config::{Config, Spawner};
pub use contract::{Catalogue, Claims, ControlDriver, DataDriver, Flavors, Messages, Pools, Queues, Subscriptions};
pub use disk::{RealDisk, SimulatedDisk};
pub use engine::Engine;
pub use handle::{Claim, Queue};
pub use model::{
    Body, Capabilities, Capability, CatalogueEntry, Checksum, ClaimId, ClaimOptions, ClaimRecord, ClientId,
    ControlHealth, Durability, Error, Flavor, FlavorMarker, FlavorName, FlavorUpdate, GcReport, Health, Limits,
    ListOptions, Message, MessageId, MessageListOptions, MessageMarker, MessageStat, MessageVolume, Metadata,
    NewFlavor, NewMessage, NewPool, OperationStatus, Page, Pool, PoolGroup, PoolHealth, PoolMarker, PoolName,
    PoolUpdate, PoolUri, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats, Result,
    Sort, Subscriber, Subscription, SubscriptionId, SubscriptionMarker, SubscriptionUpdate, Timestamp,
};
pub use pooled::{PooledDriver, PooledStatus};
pub use reference::ReferenceModel;
pub use store::inspect::{InspectedQueue, Inspection};
pub use store::recovery::{Damaged, LostMessages, RecoveryReport, RecoverySource};
pub use store::status::{DroppedMessages, Status};
pub use store::verify::Verification;

/// The README's program runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
