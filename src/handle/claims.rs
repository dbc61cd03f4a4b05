//! Claims by the handle on their queue.

use std::time::Duration;

use super::claim::Claim;
use super::queue::Queue;
use crate::model::error::{Error, Result};
use crate::model::{ClaimOptions, ClaimRecord};
use crate::storage::keys;
use crate::store::cancel_token::CancelToken;

impl Queue {
    /// Claims the oldest messages that are live, not delayed and under no live claim; `None` if
    /// there are none or no queue (contract 7.1). A message that was claimed `_max_claim_count`
    /// times is moved to the queue's `_dead_letter_queue` instead.
    ///
    /// Cost: O(limit + log messages), however many claimed or delayed messages come first. Reads
    /// messages that are not in memory from disk.
    ///
    /// Durability: a change. The call does not wait for a sync if there was nothing to take.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit of 0, or times outside the store's
    /// [`Limits`](crate::Limits) or after the year 9999; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("two messages wait");
    /// assert_eq!(claim.messages().len(), 2);
    /// assert!(orders.claim(ClaimOptions::new())?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim(&self, options: ClaimOptions) -> Result<Option<Claim>> {
        let claim = self.driver().claims().create(&self.project, &self.name, &options)?;
        Ok(claim.map(|record| self.handle_on(record)))
    }

    /// Claims messages as [`claim`](Self::claim) does, and waits up to `timeout`, measured by the
    /// engine's clock, until there are some; then `None`. A missing queue counts as an empty one.
    ///
    /// A post, a release, or the end of a claim, a delay or a pause ends the wait, and so does the instant at which the
    /// queue's [claim rate](crate::QueueSettings::max_claims_per_second) allows a message. The call does not poll.
    /// The waiters of one queue are woken in the order in which they began to wait; all of them are at an instant at which
    /// something falls due, so at each message of a queue over its rate: let few threads wait for such a queue.
    /// [`claim_wait_with`](Self::claim_wait_with) can be ended by another thread.
    ///
    /// Cost: as [`claim`](Self::claim) for each time the call is woken; while it waits, its thread
    /// and 300 bytes.
    ///
    /// Durability: as [`claim`](Self::claim).
    ///
    /// # Errors
    /// those of [`claim`](Self::claim); [`is_closed`](crate::Error::is_closed) if the store is
    /// closed during the wait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let worker = std::thread::spawn({
    ///     let orders = orders.clone();
    ///     move || orders.claim_wait(ClaimOptions::new(), Duration::from_secs(60))
    /// });
    /// orders.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// assert!(worker.join().expect("the worker does not panic")?.is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_wait(&self, options: ClaimOptions, timeout: Duration) -> Result<Option<Claim>> {
        self.wait_for_claim(&options, timeout, None)
    }

    /// Claims messages as [`claim_wait`](Self::claim_wait) does, but another thread can end the wait by
    /// cancelling the token: the call then returns `None`, as if its time were over, so a worker's
    /// loop ends without an error. If the token was cancelled before, the call takes nothing and
    /// returns at once. A claim that was made before the token was cancelled is returned.
    ///
    /// A call that is cancelled wakes another waiter instead if a message had just woken it. To wait
    /// without a timeout, pass [`Duration::MAX`].
    ///
    /// Cost: as [`claim_wait`](Self::claim_wait), and 50 bytes in the token.
    ///
    /// Durability: as [`claim`](Self::claim).
    ///
    /// # Errors
    /// those of [`claim_wait`](Self::claim_wait).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let stop = CancelToken::new();
    /// let worker = std::thread::spawn({
    ///     let (orders, stop) = (orders.clone(), stop.clone());
    ///     move || orders.claim_wait_with(ClaimOptions::new(), Duration::MAX, &stop)
    /// });
    /// stop.cancel();
    /// assert!(worker.join().expect("the worker does not panic")?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn claim_wait_with(
        &self,
        options: ClaimOptions,
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<Option<Claim>> {
        self.wait_for_claim(&options, timeout, Some(token))
    }

    fn wait_for_claim(
        &self,
        options: &ClaimOptions,
        timeout: Duration,
        token: Option<&CancelToken>,
    ) -> Result<Option<Claim>> {
        let store = self.control_store();
        let clock = store.clock.source();
        let deadline = clock.monotonic().saturating_add(timeout);
        let waiting = store.waiters.register(keys::queue(&self.project, &self.name));
        let _cancellable = token.map(|token| token.register(waiting.waiter()));
        while !token.is_some_and(CancelToken::is_cancelled) {
            let claimed = self.driver.create_claim(&self.project, &self.name, options);
            // The end of a move wakes all waiters.
            let (claim, due) = if matches!(claimed, Err(Error::Moving { .. })) { (None, None) } else { claimed? };
            if let Some(record) = claim {
                waiting.found();
                return Ok(Some(self.handle_on(record)));
            }
            waiting.found_nothing(due.is_some());
            let left = deadline.saturating_sub(clock.monotonic());
            if left.is_zero() {
                break;
            }
            let until_due = due.map(|due| Duration::from_millis(due.saturating_sub(store.now())));
            if until_due != Some(Duration::ZERO) {
                waiting.sleep(clock.real_wait(until_due.map_or(left, |due| due.min(left))));
            }
        }
        Ok(None)
    }

    /// Repeats a change of the queue that is refused because the queue is being moved, when the move has ended.
    pub(crate) fn when_not_moving<R>(&self, change: impl Fn() -> Result<R>) -> Result<R> {
        let first = change();
        if !matches!(first, Err(Error::Moving { .. })) {
            return first;
        }
        let waiting = self.control_store().waiters.register(keys::queue(&self.project, &self.name));
        loop {
            match change() {
                Err(Error::Moving { .. }) => waiting.sleep(None),
                other => return other,
            }
        }
    }

    pub(super) fn handle_on(&self, record: ClaimRecord) -> Claim {
        Claim::new(self.driver.clone(), self.project.clone(), self.name.clone(), record)
    }
}
