//! The storage contract: the behaviour of every driver, method by method. The traits have no state and no I/O of their
//! own.

mod catalogue;
mod claims;
mod control;
mod driver;
mod flavors;
mod messages;
mod pools;
mod queues;
mod subscriptions;

pub use catalogue::Catalogue;
pub use claims::Claims;
pub use control::ControlDriver;
pub use driver::DataDriver;
pub use flavors::Flavors;
pub use messages::Messages;
pub use pools::Pools;
pub use queues::Queues;
pub use subscriptions::Subscriptions;
