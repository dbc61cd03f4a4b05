//! The checker's primitives, with the interfaces that the engine uses.

pub(crate) mod channel;
pub(crate) mod locks;
pub(crate) mod thread;
