//! The data driver.

use super::{Claims, Messages, Queues, Subscriptions};
use crate::model::error::Result;
use crate::model::{Capabilities, GcReport, Health};

/// The data plane: all controllers of one store, which behave by Zaqar's storage contract.
///
/// # What holds for every method
///
/// 1. **Scope.** A call touches only the queue of that project and name; ids and markers of others
///    name nothing there.
/// 2. **All or nothing.** A call that fails has changed nothing, unless `is_outcome_unknown`.
/// 3. **Expiry is exact.** What has expired is invisible to every call at that instant.
/// 4. **Limits.** Arguments outside the store's [`Limits`](crate::Limits) are `is_invalid`, or
///    `is_too_large` if it is their size.
/// 5. **Durability.** A *change* that returned is kept: at the store's durability, and everything it
///    saw with it. A *read* changes nothing and waits for no disk, save to fetch cold messages.
/// 6. **Any method** may fail with `is_closed` after [`close`](Self::close), and with `is_busy`,
///    `is_corrupt` or an I/O error where it meets cold messages; a change also with `is_poisoned`
///    after an earlier failure, `is_full` if it needs space there is not, and `is_outcome_unknown`
///    if the disk fails while it waits. A method's own errors are told at the method.
/// 7. **A queue that is not there** is answered as the method says, and where a pooled driver does as Zaqar's pooling does,
///    in two ways, which code behind this trait has to take both:
///
/// | Missing queue | [`Engine`](crate::Engine) | [`PooledDriver`](crate::PooledDriver), also for a queue without a pool |
/// |---|---|---|
/// | [`Messages::list`] | `QueueDoesNotExist` | an empty page |
/// | [`Messages::first`] | `QueueIsEmpty` | `QueueDoesNotExist` |
///
/// Costs are counted in memory, for queues whose messages are hot; work never grows with past
/// deletions or with other queues.
///
/// ```
/// # use zaqar_sled::{Capability, Config, DataDriver, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let driver: &dyn DataDriver = &engine;
/// assert!(driver.is_alive() && driver.capabilities().contains(Capability::Claims));
/// driver.close()?;
/// assert!(!driver.is_alive());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait DataDriver: Send + Sync {
    /// The queue controller. Cost: none.
    #[doc(alias = "queue_controller")]
    fn queues(&self) -> &dyn Queues;

    /// The message controller. Cost: none.
    #[doc(alias = "message_controller")]
    fn messages(&self) -> &dyn Messages;

    /// The claim controller. Cost: none.
    #[doc(alias = "claim_controller")]
    fn claims(&self) -> &dyn Claims;

    /// The subscription controller. Cost: none.
    #[doc(alias = "subscription_controller")]
    fn subscriptions(&self) -> &dyn Subscriptions;

    /// Whether the store takes changes: neither closed nor stopped by a failure. Never fails. Cost:
    /// O(1). Zaqar's.
    fn is_alive(&self) -> bool;

    /// Tries every kind of operation in a queue of its own, which is gone afterwards, and counts all
    /// messages: Zaqar's steps, with the volume of MongoDB's driver. An operation that fails is in
    /// the answer, not an error. Cost: some hundred messages' work and O(queues). A change.
    fn health(&self) -> Result<Health>;

    /// Frees what has expired or was deleted, and says how much. Nothing visible changes, so when to
    /// call it is free, and calling it again does nothing. Cost: O(what is freed). Zaqar's; the
    /// counts are ours. They are of what this call freed itself: what another call met first, or the
    /// engine's own thread, is not in them.
    fn gc(&self) -> Result<GcReport>;

    /// Ends whoever waits, waits for the calls in flight, makes everything durable and lets go of the
    /// store; a further call waits for the first one and answers as it did. Cost: what has not been
    /// written yet. Zaqar's.
    ///
    /// Errors: what kept the store from being closed cleanly; it is closed all the same, and no
    /// acknowledged change is lost.
    fn close(&self) -> Result<()>;

    /// What the store promises: all five on a disk, all but durability in memory (ours: Zaqar's sets
    /// belong to the driver's class). Cost: none.
    fn capabilities(&self) -> Capabilities;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only while every trait is object safe and can be shared between threads.
    #[test]
    fn the_contract_can_be_held_behind_a_pointer() {
        fn shared<T: Send + Sync + ?Sized>() {}
        shared::<dyn Queues>();
        shared::<dyn Messages>();
        shared::<dyn Claims>();
        shared::<dyn Subscriptions>();
        shared::<dyn DataDriver>();
        shared::<dyn super::super::Pools>();
        shared::<dyn super::super::Flavors>();
        shared::<dyn super::super::Catalogue>();
        shared::<dyn super::super::ControlDriver>();
    }
}
