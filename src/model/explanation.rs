//! Why a message can or cannot be claimed.

use std::fmt;

use super::{ClaimId, QueueName, Timestamp};

/// Whether a message can be claimed now, why not, and since when: the answer of
/// [`Queue::explain`](crate::Queue::explain).
///
/// As text it is one line, for a person.
///
/// ```
/// # use zaqar_sled::*;
/// # use std::time::Duration;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// let job = NewMessage::new("work").ttl(Duration::from_secs(3600));
/// let id = jobs.post(ClientId::random(), &[job])?[0];
/// let posted = jobs.get(&id)?.created();
/// let free = jobs.explain(&id)?;
/// assert!(free.is_claimable());
/// assert_eq!((free.availability(), free.since()), (&Availability::Waiting, Some(posted)));
/// assert_eq!(free.expires(), Some(posted.saturating_add(Duration::from_secs(3600))));
///
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
/// let held = jobs.explain(&id)?;
/// assert!(held.to_string().starts_with(&format!("claimed by {} since ", claim.id())));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    pub(crate) availability: Availability,
    pub(crate) since: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
}

impl Explanation {
    /// About an id that has no message that can be read.
    pub(crate) const fn without_message(availability: Availability) -> Self {
        Self { availability, since: None, expires: None }
    }

    /// Whether the message can be claimed now, and why not.
    pub fn availability(&self) -> &Availability {
        &self.availability
    }

    /// Whether the next claim can take the message: if its limits and the older messages leave space for
    /// it.
    pub fn is_claimable(&self) -> bool {
        self.availability == Availability::Waiting
    }

    /// Since when this is so, where the store knows it:
    ///
    /// - for [`Waiting`](Availability::Waiting), [`Paused`](Availability::Paused),
    ///   [`OverRate`](Availability::OverRate) and [`WornOut`](Availability::WornOut), the post of the
    ///   message, also of one that was put back by a redrive, or the end of its delay. `None` if the message has been under a claim since: when that
    ///   claim ended is not recorded;
    /// - for [`Delayed`](Availability::Delayed), the post; `None` if the message was given back with a
    ///   delay;
    /// - for [`Claimed`](Availability::Claimed), when the claim was made or last renewed.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// When the message expires. `None` for a message that lives until it is deleted, and where there is
    /// no message that can be read.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = |f: &mut fmt::Formatter<'_>| self.since.map_or(Ok(()), |since| write!(f, " since {since}"));
        match &self.availability {
            Availability::OtherQueue => f.write_str("not an id of this queue"),
            Availability::NeverPosted => f.write_str("never posted"),
            Availability::Gone => f.write_str("gone: deleted, expired or moved"),
            Availability::Waiting => f.write_str("can be claimed").and_then(|()| since(f)),
            Availability::Delayed { until } => write!(f, "delayed until {until}").and_then(|()| since(f)),
            Availability::Claimed { claim, until } => {
                write!(f, "claimed by {claim}").and_then(|()| since(f))?;
                write!(f, ", until {until}")
            }
            Availability::Paused => f.write_str("paused: no message of the queue can be claimed"),
            Availability::OverRate { until } => write!(f, "over its rate: the queue gives out nothing until {until}"),
            Availability::WornOut { dead_letter_queue } => {
                write!(f, "worn out: the next claim moves it to the queue {dead_letter_queue:?}")
            }
            Availability::Damaged => f.write_str("damaged: it cannot be read from the disk"),
        }
    }
}

/// Whether a message can be claimed, and why not: a part of an [`Explanation`].
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// # let id = jobs.post(ClientId::random(), &[NewMessage::new("work")])?[0];
/// let advice = match jobs.explain(&id)?.availability() {
///     Availability::Waiting => "start a worker".to_owned(),
///     Availability::Claimed { claim, until, .. } => format!("{claim} has it until {until}"),
///     Availability::Gone => "it is done, or too late".to_owned(),
///     other => format!("{other:?}"),
/// };
/// assert_eq!(advice, "start a worker");
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Availability {
    /// The id is not one of this queue: it belongs to another queue, to another store, or to a queue of
    /// this name that was deleted since.
    OtherQueue,
    /// The queue has not given the id to any message yet.
    NeverPosted,
    /// There is no message of this id, and there never will be one again. It was deleted, popped or
    /// purged, has expired, or was moved to the dead-letter queue, where it has another id. Ids that the
    /// queue leaves out when its store is opened after a crash are gone too: their messages may have been
    /// lost with the power.
    Gone,
    /// The message waits: a claim can take it.
    Waiting,
    /// The message is delayed.
    #[non_exhaustive]
    Delayed {
        /// The end of the delay.
        until: Timestamp,
    },
    /// The message is under a claim.
    #[non_exhaustive]
    Claimed {
        /// The claim.
        claim: ClaimId,
        /// The end of the claim, if it is not renewed.
        until: Timestamp,
    },
    /// The message is free, but its queue is [paused](crate::Pause) for claims.
    Paused,
    /// The message is free, but claims and pops have taken as many messages of its queue as its
    /// [rate](crate::QueueSettings::max_claims_per_second) allows for now.
    #[non_exhaustive]
    OverRate {
        /// The instant from which on the next message of the queue may be taken. Older messages are taken first.
        until: Timestamp,
    },
    /// The message was claimed as often as its queue allows. A pop still takes it, and a claim that
    /// reaches it moves it to the dead-letter queue.
    #[non_exhaustive]
    WornOut {
        /// The dead-letter queue, in the same project.
        dead_letter_queue: QueueName,
    },
    /// The message is in a [damaged page](crate::Status::damaged_pages), which cannot be read.
    Damaged,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_one_line() {
        let (since, until) = (Some(Timestamp::from_millis(1_000)), Timestamp::from_millis(61_000));
        let dead_letter_queue = QueueName::new("dead").unwrap();
        let claim = ClaimId::lossy("51db7067-821f-4a7e-b3b5-94a9dd6b45b3");
        let texts = [
            (Availability::OtherQueue, "not an id of this queue"),
            (Availability::NeverPosted, "never posted"),
            (Availability::Gone, "gone: deleted, expired or moved"),
            (Availability::Waiting, "can be claimed since 1970-01-01T00:00:01Z"),
            (Availability::Delayed { until }, "delayed until 1970-01-01T00:01:01Z since 1970-01-01T00:00:01Z"),
            (
                Availability::Claimed { claim, until },
                "claimed by 51db7067-821f-4a7e-b3b5-94a9dd6b45b3 since 1970-01-01T00:00:01Z, until 1970-01-01T00:01:01Z",
            ),
            (Availability::Paused, "paused: no message of the queue can be claimed"),
            (Availability::OverRate { until }, "over its rate: the queue gives out nothing until 1970-01-01T00:01:01Z"),
            (Availability::WornOut { dead_letter_queue }, "worn out: the next claim moves it to the queue \"dead\""),
            (Availability::Damaged, "damaged: it cannot be read from the disk"),
        ];
        for (availability, text) in texts {
            let explanation = Explanation { availability, since, expires: None };
            assert_eq!(explanation.to_string(), text);
            assert_eq!(explanation.is_claimable(), explanation.availability == Availability::Waiting);
        }
        let unknown = Explanation::without_message(Availability::Waiting);
        assert_eq!(unknown.to_string(), "can be claimed");
    }
}
