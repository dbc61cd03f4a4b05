//! The storage contract: the behaviour of every driver, method by method. The traits have no state and no I/O of their
//! own, and only the drivers of this crate implement them.

mod batches;
mod bookmarks;
mod catalogue;
mod claims;
mod control;
mod dead_letters;
mod diagnostics;
mod driver;
mod extended;
mod flavors;
mod flow_control;
mod messages;
mod pools;
mod projects;
mod queues;
mod retries;
mod sealed;
mod subscriptions;
mod topics;

pub use batches::Batches;
pub use bookmarks::Bookmarks;
pub use catalogue::Catalogue;
pub use claims::Claims;
pub use control::ControlDriver;
pub use dead_letters::DeadLetters;
pub use diagnostics::Diagnostics;
pub use driver::DataDriver;
pub use extended::ExtendedDriver;
pub use flavors::Flavors;
pub use flow_control::FlowControl;
pub use messages::Messages;
pub use pools::Pools;
pub use projects::Projects;
pub use queues::Queues;
pub use retries::Retries;
pub(crate) use sealed::Sealed;
pub use subscriptions::Subscriptions;
pub use topics::Topics;
