//! What a store has to do to be compared: the part of the queue contract that the units of work use.
//!
//! A [`Store`] has queues, a [`Queue`] has messages in the order of their posts, and a [`Claim`] leases some of them. Each
//! method is one call of the store: it takes effect as a whole, and when it returns, its effect survives what the store was
//! opened for ([`Safety`]). All calls may be made from several threads.

use std::path::Path;
use std::time::Duration;

use crate::Result;

/// A message's content; cheap to clone.
pub(crate) use zaqar_sled::Body;

/// What the effect of a call survives once the call has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safety {
    /// `D0`: the end of the process, but not the loss of power.
    Killed,
    /// `D1`: the loss of power, too.
    PowerLoss,
}

/// An open store.
pub(crate) trait Store: Send + Sync {
    /// Creates a queue, or opens the one that exists.
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>>;

    /// Removes messages whose time to live is over. Returns whether the store removes expired messages at all.
    fn expire(&self) -> Result<bool>;

    /// Closes the store in order, as a program that ends would.
    fn close(self: Box<Self>) -> Result<()>;
}

/// A handle on one queue.
pub(crate) trait Queue: Send + Sync {
    /// Posts messages, all or none.
    fn post(&self, bodies: &[Body], ttl: Duration) -> Result<()>;

    /// Leases up to `limit` of the oldest messages that nobody holds; `None` if there are none.
    fn claim(&self, limit: usize, lease: Duration) -> Result<Option<Box<dyn Claim>>>;

    /// All messages, claimed or not, in pages. Each page is a call of its own: it starts at the marker that the former page
    /// ended with.
    fn pages(&self, limit: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_>;

    fn stats(&self) -> Result<Stats>;
}

/// Messages that one worker holds until its lease ends.
pub(crate) trait Claim: Send {
    fn bodies(&self) -> Vec<&[u8]>;

    /// Deletes one of the messages. Fails if the lease has ended and the message remains.
    fn delete(&self, index: usize) -> Result<()>;

    /// Deletes all messages, all or none.
    fn delete_all(&self) -> Result<()>;

    /// Gives back the messages that are not deleted, and ends the claim.
    fn release(self: Box<Self>) -> Result<()>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) free: u64,
    pub(crate) claimed: u64,
}

/// A kind of store.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// The names of the checks that it cannot pass.
    pub(crate) lacks: &'static [&'static str],
    pub(crate) open: fn(&Path, Safety) -> Result<Box<dyn Store>>,
    /// What becomes of an acknowledged call at [`Safety::Killed`] when the process ends.
    pub(crate) killed: &'static str,
    /// The same when the power fails. At [`Safety::PowerLoss`], everything but `mem` keeps the call in both cases.
    pub(crate) power_loss: &'static str,
    /// The settings at D0 and at D1.
    pub(crate) how: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// zaqar-sled.
    Ours,
    /// What one would use instead.
    Peer,
    /// A peer in a process of its own, whose files and memory this program does not see.
    Server,
    /// Not a store, but a bound that a store with one lock cannot pass: nothing can be read back from it.
    Bound,
}

impl Role {
    /// Whether the store is in this process and can be opened again with its content.
    pub(crate) fn keeps_files(self) -> bool {
        matches!(self, Self::Ours | Self::Peer)
    }

    /// Whether the store is what zaqar-sled is compared with.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::Server)
    }
}
