//! What the checker offers, in the shape of what the engine uses.

pub(crate) mod channel;
pub(crate) mod locks;
pub(crate) mod thread;
