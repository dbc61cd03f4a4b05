//! Posts that wait for room in their queue, and in its project.

use std::time::Duration;

use super::queue::Queue;
use crate::data::bounds::{Load, MESSAGES};
use crate::model::error::{Error, Result};
use crate::model::{ClientId, MessageId, NewMessage};
use crate::storage::keys;
use crate::store::cancel_token::CancelToken;

impl Queue {
    /// Posts messages as [`post`](Self::post) does, and waits up to `timeout`, measured by the engine's clock, while the
    /// queue is full by its own settings ([`max_messages`](crate::QueueSettings::max_messages),
    /// [`max_bytes`](crate::QueueSettings::max_bytes)), or its project by its [quota](crate::ProjectQuota).
    ///
    /// Every removal of messages of the queue, and every change of its settings, ends the sleep, and so does every removal
    /// in a project with a quota, and every change of the quota; the call does not poll. Posts
    /// that wait are not served in their order: the next to try takes the room, and a large post may wait while small ones
    /// find room.
    ///
    /// Cost: as [`post`](Self::post) for each time the call is woken; while it waits, its thread and 300 bytes.
    ///
    /// Durability: as [`post`](Self::post).
    ///
    /// # Errors
    /// [`QueueIsFull`](crate::Error::QueueIsFull) or [`ProjectIsFull`](crate::Error::ProjectIsFull) if that is still so when
    /// the time is over, and at once if the messages are more than the queue or the project may ever hold; else those of
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
            Err(error) if may_end(&error) => error,
            posted => return posted,
        };
        let store = self.control_store();
        let load = Load::of_new(messages, store.checksums);
        if timeout.is_zero() || is_hopeless(&refused, load) {
            return Err(refused);
        }
        let clock = store.clock.source();
        let deadline = clock.monotonic().saturating_add(timeout);
        let waiting =
            store.waiters.register_poster([keys::queue(&self.project, &self.name), keys::project(&self.project)]);
        let _cancellable = token.map(|token| token.register(waiting.waiter()));
        loop {
            let refused = match self.post(client, messages) {
                Err(error) if may_end(&error) => error,
                posted => return posted,
            };
            let left = deadline.saturating_sub(clock.monotonic());
            if left.is_zero() || is_hopeless(&refused, load) || token.is_some_and(CancelToken::is_cancelled) {
                return Err(refused);
            }
            let own = self.driver.next_due(&self.project, &self.name)?;
            let others = store.accounts().get(&self.project).and_then(|account| account.next_due());
            let due = own.into_iter().chain(others).min();
            let until_due = due.map(|due| Duration::from_millis(due.saturating_sub(store.now())));
            if until_due != Some(Duration::ZERO) {
                waiting.sleep(clock.real_wait(until_due.map_or(left, |due| due.min(left))));
            }
        }
    }
}

/// Whether a post with that error may be possible later, when something wakes it. The end of a move wakes all that wait.
fn may_end(refused: &Error) -> bool {
    matches!(refused, Error::QueueIsFull { .. } | Error::ProjectIsFull { .. } | Error::Moving { .. })
}

/// Whether not even an empty queue, or an empty project, has room for the messages.
fn is_hopeless(refused: &Error, load: Load) -> bool {
    match refused {
        Error::QueueIsFull { what: MESSAGES, limit, .. } | Error::ProjectIsFull { what: MESSAGES, limit, .. } => {
            load.messages > *limit
        }
        Error::QueueIsFull { limit, .. } | Error::ProjectIsFull { limit, .. } => load.bytes > *limit,
        _ => false,
    }
}
