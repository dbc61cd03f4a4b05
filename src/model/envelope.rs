//! What travels with a message's body: its headers, and where a dead letter comes from.

use super::{Headers, MessageId, QueueName, Timestamp, Ttl};

/// Nothing, for nearly all messages.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) headers: Headers,
    pub(crate) origin: Option<DeadLetterOrigin>,
}

impl Envelope {
    /// Without headers and an origin.
    pub(crate) const EMPTY: Self = Self { headers: Headers::new(), origin: None };

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }
}

/// Where a dead letter comes from, and why it was moved: what
/// [`Message::dead_letter_origin`](crate::Message::dead_letter_origin) shows. The letter's
/// [`created`](crate::Message::created) is still the instant of its post.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(QueueSettings::new().dead_letters("dead", 1))?;
/// let id = jobs.post(ClientId::random(), &[NewMessage::new("work")])?[0];
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a job waits");
/// claim.retry(Retry::from(&claim.messages()[0]).reason("no route"))?;
/// assert!(jobs.claim(ClaimOptions::new())?.is_none()); // it is worn out, and moves
///
/// let dead = engine.queue(Project::none(), "dead")?;
/// let letter = dead.first(Sort::Oldest)?;
/// let origin = letter.dead_letter_origin().expect("it was moved");
/// assert_eq!((origin.queue().as_str(), origin.id()), ("jobs", id));
/// assert_eq!((origin.claim_count(), origin.reason()), (1, Some("no route")));
/// assert!(origin.moved() >= letter.created() && origin.ttl() == Ttl::Forever);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadLetterOrigin {
    pub(crate) queue: QueueName,
    pub(crate) id: MessageId,
    pub(crate) claim_count: u32,
    pub(crate) reason: Option<String>,
    pub(crate) moved: Timestamp,
    /// In milliseconds; `FOREVER` if it has no end.
    pub(crate) ttl: u64,
}

impl DeadLetterOrigin {
    /// The queue from which the message was moved last, in the same project. A queue that is deleted and
    /// made again has the same name.
    pub fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// The message's id in that queue, which names nothing any more.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// How often the message had been claimed when it was moved.
    pub fn claim_count(&self) -> u32 {
        self.claim_count
    }

    /// The message's [`last_failure`](crate::Message::last_failure) when it was moved.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// The message's ttl when it was moved, in whole seconds, rounded up: the one that it gets again when it
    /// is put back.
    pub fn ttl(&self) -> Ttl {
        Ttl::shown(self.ttl)
    }

    /// When the claim that moved the message was made.
    pub fn moved(&self) -> Timestamp {
        self.moved
    }
}
