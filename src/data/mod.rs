//! The data plane's controllers: each call validates, decides under the queue's lock, records an operation and answers.

pub(crate) mod backend;
pub(crate) mod batches;
pub(crate) mod bookmarks;
pub(crate) mod bounds;
mod checkup;
pub(crate) mod claims;
pub(crate) mod dead_letters;
mod diagnostics;
mod driver;
mod engine;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod message_checks;
mod messages;
pub(crate) mod pauses;
pub(crate) mod projects;
pub(crate) mod queues;
pub(crate) mod reach;
mod redrives;
mod retries;
mod subscriptions;
pub(crate) mod topics;

pub(crate) use checkup::HealthCheck;
pub use export::ExportReport;
