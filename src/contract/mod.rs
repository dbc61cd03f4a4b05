//! The storage contract: what any driver does, method by method.

mod claims;
mod driver;
mod messages;
mod queues;

pub use claims::Claims;
pub use driver::DataDriver;
pub use messages::Messages;
pub use queues::Queues;
