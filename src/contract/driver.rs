//! The data driver (contract 4): the controllers of the data plane, and the rules of all of them.

use super::{Claims, Messages, Queues, Sealed, Subscriptions};
use crate::model::error::Result;
use crate::model::{Capabilities, GcReport, Health};

/// The data plane: the controllers of one store, which follow Zaqar's storage contract.
///
/// The drivers are [`Engine`](crate::Engine), [`PooledDriver`](crate::PooledDriver) and
/// [`ReferenceModel`](crate::ReferenceModel). Other crates cannot implement the traits of the
/// contract, so that a trait can gain a method without breaking anybody.
///
/// # Rules of every method
///
/// 1. **Scope.** A call touches only the queue of the given project and name, a [batch](crate::Batches)
///    only those that it names. The ids and markers of another queue name nothing there.
/// 2. **All or nothing.** A call that fails has changed nothing, unless
///    [`is_outcome_unknown`](crate::Error::is_outcome_unknown) is true for its error.
/// 3. **Expiry is exact.** An expired message, claim or subscription is invisible to every call
///    from that instant on (contract 2).
/// 4. **Limits.** An argument outside the store's [`Limits`](crate::Limits) gives
///    [`is_invalid`](crate::Error::is_invalid); one that is too large gives
///    [`is_too_large`](crate::Error::is_too_large).
/// 5. **Durability.** A *change* that has returned is kept at the store's
///    [`Durability`](crate::Durability), together with everything the change depended on. A *read*
///    changes nothing. A read waits for the disk only to fetch messages that are not in memory.
/// 6. **A missing queue.** Each method says how it answers for a missing queue. A pooled driver answers two methods as
///    Zaqar's pooling does (contract 12). Code that works with any driver has to handle both
///    answers:
///
/// | Missing queue | [`Engine`](crate::Engine) | [`PooledDriver`](crate::PooledDriver), also for a queue without a pool |
/// |---|---|---|
/// | [`Messages::list`] | `QueueDoesNotExist` | an empty page |
/// | [`Messages::first`] | `QueueIsEmpty` | `QueueDoesNotExist` |
///
/// Costs are given for queues whose messages are in memory. The cost of a call never grows with the
/// number of past deletions or of other queues.
///
/// [`docs::contract`](crate::docs::contract) lists Zaqar's methods and these side by side, and the
/// sections that *contract 6.2* and the like mean. *Zaqar's* marks a method that behaves just as in
/// Zaqar. *Ours* marks a rule that none of Zaqar's drivers has.
///
/// # Errors of every call
///
/// Every read may fail with
///
/// - [`is_closed`](crate::Error::is_closed) after [`close`](Self::close),
/// - [`is_busy`](crate::Error::is_busy), [`is_corrupt`](crate::Error::is_corrupt) or
///   [`Io`](crate::Error::Io) if it has to read messages from the disk, or if the queue's pool
///   cannot be reached.
///
/// Every change may also fail with
///
/// - [`is_poisoned`](crate::Error::is_poisoned) after an earlier failure to write,
/// - [`is_full`](crate::Error::is_full) if it needs space and there is none; a change that frees
///   space still succeeds,
/// - [`is_outcome_unknown`](crate::Error::is_outcome_unknown) if the disk fails while the change
///   waits for its sync,
/// - [`Displaced`](crate::Error::Displaced) if the store's directory was moved, and
///   [`Forked`](crate::Error::Forked) in a fork of the process that opened the store.
///
/// The documentation of a method names only the method's further errors.
///
/// # Example
///
/// ```
/// # use zaqar_sled::{Capability, Config, DataDriver, SimulatedDisk};
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let driver: &dyn DataDriver = &engine;
/// assert!(driver.is_alive());
/// assert!(driver.capabilities().contains(Capability::Claims));
/// driver.close()?;
/// assert!(!driver.is_alive());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait DataDriver: Sealed + Send + Sync {
    /// The queue controller, the one that [`ControlDriver::queues`](crate::ControlDriver::queues)
    /// gives too.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let driver: &dyn DataDriver = &engine;
    /// assert_eq!(driver.queues().count(&Project::none())?, 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "queue_controller")]
    fn queues(&self) -> &dyn Queues;

    /// The message controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// assert!(engine.messages().pop(&shop, &orders, 10)?.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "message_controller")]
    fn messages(&self) -> &dyn Messages;

    /// The claim controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// let options = ClaimOptions::new();
    /// assert!(engine.claims().create(&shop, &orders, &options)?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "claim_controller")]
    fn claims(&self) -> &dyn Claims;

    /// The subscription controller.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// let page = engine.subscriptions().list(&shop, &orders, &ListOptions::new())?;
    /// assert!(page.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "subscription_controller")]
    fn subscriptions(&self) -> &dyn Subscriptions;

    /// Whether the store takes changes: it is neither closed nor stopped by a failure. The method
    /// never fails (contract 4). A pooled driver is alive if all its pools are. Zaqar's.
    ///
    /// Cost: O(1), no I/O; for a pooled driver O(pools).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.is_alive());
    /// engine.close()?;
    /// assert!(!engine.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn is_alive(&self) -> bool;

    /// Tries every kind of operation in a queue with a random name, which the method removes again,
    /// and counts all messages (contract 4). The steps are Zaqar's; the message counts are those of
    /// its MongoDB driver. An operation that fails is part of the answer and not an error.
    ///
    /// Cost: that of 20 changes with 100 messages, and O(queues) for the counts.
    ///
    /// Durability: it makes changes, but leaves nothing behind.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed) after [`close`](Self::close). Failures of single
    /// operations are in [`Health::operations`](crate::Health::operations).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let health = DataDriver::health(&engine)?;
    /// assert!(health.storage_reachable());
    /// let names: Vec<&str> = health.operations().iter().map(|tried| tried.name()).collect();
    /// assert!(names.contains(&"post_messages") && names.contains(&"claim_messages"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn health(&self) -> Result<Health>;

    /// Frees the memory and disk space of expired messages, claims and subscriptions, and of
    /// deleted queues (contract 4). No call sees a difference, so `gc` may run at any time, or
    /// never: the engine's own threads do the same work.
    ///
    /// The report counts only what this call freed, not what other calls or threads freed before.
    /// Zaqar's; the counts are ours.
    ///
    /// Cost: O(what is freed).
    ///
    /// Durability: freeing needs none: an item that is expired stays expired.
    ///
    /// # Errors
    /// [`is_closed`](crate::Error::is_closed) after [`close`](Self::close).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # use std::{sync::Arc, time::Duration};
    /// # let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// # let config = Config::new().disk(disk).clock(clock.clone()).background(false);
    /// # let engine = config.open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let message = NewMessage::new("a").ttl(Duration::from_secs(60));
    /// orders.post(ClientId::random(), &[message])?;
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(engine.gc()?.messages(), 1);
    /// assert_eq!(engine.gc()?.messages(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn gc(&self) -> Result<GcReport>;

    /// Closes the store. The method ends every wait, lets the running calls finish, makes all
    /// changes durable, and unlocks the store's directory. A second call waits for the first one
    /// and returns the same result (contract 4). Zaqar's.
    ///
    /// Cost: O(messages that are not in the page files yet, and changes of the directory since the
    /// last checkpoint).
    ///
    /// Durability: after a success, everything acknowledged at any durability is on the disk.
    ///
    /// # Errors
    /// the failure that kept the store from being closed cleanly, usually [`Io`](crate::Error::Io)
    /// or [`is_full`](crate::Error::is_full). The store is closed anyway, and no acknowledged
    /// change is lost. [`Forked`](crate::Error::Forked) in a fork of the process that opened the
    /// store.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// DataDriver::close(&engine)?;
    /// assert!(orders.exists().unwrap_err().is_closed());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn close(&self) -> Result<()>;

    /// The capabilities of the store: all five if it is on a disk, all but durability if it is in
    /// memory (contract 4; ours, because in Zaqar the set belongs to the driver's class).
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let driver: &dyn DataDriver = &engine;
    /// assert_eq!(driver.capabilities(), Capabilities::all());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
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
