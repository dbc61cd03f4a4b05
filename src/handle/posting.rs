//! Posts that wait for room in their queue.

use std::time::Duration;

use super::queue::Queue;
use crate::model::error::{Error, Result};
use crate::model::{ClientId, MessageId, NewMessage};
use crate::storage::keys;
use crate::store::cancel_token::CancelToken;

impl Queue {
    /// Posts messages as [`post`](Self::post) does, and waits up to `timeout`, measured by the engine's clock, while the
    /// queue is full by its own settings ([`max_messages`](crate::QueueSettings::max_messages),
    /// [`max_bytes`](crate::QueueSettings::max_bytes)).
    ///
    /// Every removal of messages, and every change of the queue's settings, ends the sleep; the call does not poll. Posts
    /// that wait are not served in their order: the next to try takes the room, and a large post may wait while small ones
    /// find room.
    ///
    /// Cost: as [`post`](Self::post) for each time the call is woken; while it waits, its thread and 300 bytes.
    ///
    /// Durability: as [`post`](Self::post).
    ///
    /// # Errors
    /// [`QueueIsFull`](crate::Error::QueueIsFull) if the queue is still full when the time is over; else those of
    /// [`post`](Self::post). [`is_closed`](crate::Error::is_closed) if the store is closed during the wait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(QueueSettings::new().max_messages(1))?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("one")])?;
    /// let poster = std::thread::spawn({
    ///     let jobs = jobs.clone();
    ///     let two = [NewMessage::new("two")];
    ///     move || jobs.post_wait(ClientId::random(), &two, Duration::from_secs(60))
    /// });
    /// assert_eq!(jobs.pop(1)?[0].body().as_bytes(), b"one"); // makes room
    /// assert_eq!(poster.join().expect("the poster does not panic")?.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post_wait(&self, client: ClientId, messages: &[NewMessage], timeout: Duration) -> Result<Vec<MessageId>> {
        self.post_when_there_is_room(client, messages, timeout, None)
    }

    /// Posts messages as [`post_wait`](Self::post_wait) does, but another thread can end the wait by cancelling the token:
    /// the call then ends as if its time were over. If the token was cancelled before, the call still posts if there is
    /// room.
    ///
    /// Cost: as [`post_wait`](Self::post_wait), and 50 bytes in the token.
    ///
    /// Durability: as [`post`](Self::post).
    ///
    /// # Errors
    /// those of [`post_wait`](Self::post_wait).
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(QueueSettings::new().max_messages(1))?;
    /// let (client, stop) = (ClientId::random(), CancelToken::new());
    /// let job = [NewMessage::new("work")];
    /// jobs.post_wait_with(client, &job, Duration::MAX, &stop)?;
    /// stop.cancel();
    /// let refused = jobs.post_wait_with(client, &job, Duration::MAX, &stop);
    /// assert!(refused.unwrap_err().is_full());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn post_wait_with(
        &self,
        client: ClientId,
        messages: &[NewMessage],
        timeout: Duration,
        token: &CancelToken,
    ) -> Result<Vec<MessageId>> {
        self.post_when_there_is_room(client, messages, timeout, Some(token))
    }

    fn post_when_there_is_room(
        &self,
        client: ClientId,
        messages: &[NewMessage],
        timeout: Duration,
        token: Option<&CancelToken>,
    ) -> Result<Vec<MessageId>> {
        let refused = match self.post(client, messages) {
            Err(error @ Error::QueueIsFull { .. }) => error,
            posted => return posted,
        };
        if timeout.is_zero() {
            return Err(refused);
        }
        let store = self.control_store();
        let clock = store.clock.source();
        let deadline = clock.monotonic().saturating_add(timeout);
        let waiting = store.waiters.register_poster(keys::queue(&self.project, &self.name));
        let _cancellable = token.map(|token| token.register(waiting.waiter()));
        loop {
            let refused = match self.post(client, messages) {
                // The end of a move wakes all that wait.
                Err(error @ (Error::QueueIsFull { .. } | Error::Moving { .. })) => error,
                posted => return posted,
            };
            let left = deadline.saturating_sub(clock.monotonic());
            if left.is_zero() || token.is_some_and(CancelToken::is_cancelled) {
                return Err(refused);
            }
            let due = self.driver.next_due(&self.project, &self.name)?;
            let until_due = due.map(|due| Duration::from_millis(due.saturating_sub(store.now())));
            if until_due != Some(Duration::ZERO) {
                waiting.sleep(clock.real_wait(until_due.map_or(left, |due| due.min(left))));
            }
        }
    }
}
