//! A message in a handler's hands, and what the handler decides.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use super::lease::Lease;
use crate::handle::Queue;
use crate::model::Message;
use crate::store::cancel_token::CancelToken;

/// A claimed message, for the handler of a [`Worker`](crate::Worker). A clone is cheap, and may be
/// given to another thread.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let no_time = std::time::Duration::ZERO;
/// let worker = Worker::new(&jobs, ClaimOptions::new()).idle_timeout(no_time);
/// worker.run(1, &CancelToken::new(), |job| {
///     println!("{:?} of {}", job.message().body(), job.queue().name());
///     for step in 0..100 {
///         if job.is_stopping() || job.is_lost() {
///             let reason = Some(format!("stopped in step {step}"));
///             return Outcome::Retry { delay: None, reason };
///         }
///         // a part of the work
///     }
///     Outcome::Done
/// })?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Job {
    message: Message,
    lease: Arc<Lease>,
    stops: [CancelToken; 2],
}

impl Job {
    pub(super) fn new(message: Message, lease: Arc<Lease>, stops: [CancelToken; 2]) -> Self {
        Self { message, lease, stops }
    }

    /// The message, as it was when it was claimed.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// The queue that the message was claimed from, for example to post to it.
    pub fn queue(&self) -> &Queue {
        self.lease.queue()
    }

    /// Whether the run is being stopped: it waits for this handler. A long handler can use that to end
    /// early, with a retry.
    pub fn is_stopping(&self) -> bool {
        self.stops.iter().any(CancelToken::is_cancelled)
    }

    /// Whether the lease is known to be lost: whatever the handler returns, the message is left to
    /// its next holder, which may process it already.
    pub fn is_lost(&self) -> bool {
        self.lease.is_lost()
    }
}

/// What happens to a message after its handler.
///
/// A handler may also return a `Result`: `Ok(())` is `Done`, and an error is a retry with the queue's
/// delay and the error's text as the reason.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::Outcome;
///
/// let parsed = |text: &str| Outcome::from(text.parse::<u64>().map(drop));
/// assert_eq!(parsed("7"), Outcome::Done);
/// let reason = Some("invalid digit found in string".to_owned());
/// assert_eq!(parsed("x"), Outcome::Retry { delay: None, reason });
/// let later = Outcome::Retry { delay: Some(Duration::from_secs(60)), reason: None };
/// assert_ne!(later, Outcome::Done);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The message is processed: it is deleted.
    Done,
    /// The message is given back, to be claimed again.
    Retry {
        /// How long no claim takes the message. `None`: as the queue's
        /// [`RetryPolicy`](crate::RetryPolicy) says. In a queue without one: a second,
        /// doubled with each claim of the message, up to a minute; no delay if the next claim moves the
        /// message to the dead-letter queue.
        delay: Option<Duration>,
        /// Why the message could not be processed, which
        /// [`Message::last_failure`](crate::Message::last_failure) shows; cut to 1 KiB. `None` leaves
        /// the reason of the failure before.
        reason: Option<String>,
    },
}

impl<E: Display> From<Result<(), E>> for Outcome {
    fn from(result: Result<(), E>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(error) => Self::Retry { delay: None, reason: Some(error.to_string()) },
        }
    }
}
