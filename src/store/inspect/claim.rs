//! A claim of an inspected queue.

use std::time::Duration;

use crate::model::time::{whole_seconds_down, whole_seconds_up};
use crate::model::{ClaimId, Timestamp};
use crate::state::Claim;

/// A live claim as [`InspectedQueue::claims`](crate::InspectedQueue::claims) found it.
///
/// ```
/// # use zaqar_sled::*;
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let engine = Engine::open(path)?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work"), NewMessage::new("more")])?;
/// let claim = jobs.claim(ClaimOptions::new())?.expect("two messages wait");
/// let inspection = Engine::inspect(path)?;
/// let found = &inspection.queues()[0].claims()[0];
/// assert_eq!((found.id(), found.ttl(), found.messages()), (claim.id(), claim.ttl(), 2));
/// assert_eq!(found.age().as_secs(), 0);
/// assert!(found.expires() > inspection.time());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectedClaim {
    id: ClaimId,
    ttl: u64,
    age: u64,
    expires: Timestamp,
    messages: u64,
}

impl InspectedClaim {
    pub(super) fn of(claim: &Claim, now: Timestamp) -> Self {
        Self {
            id: ClaimId::from_bytes(claim.id),
            ttl: claim.ttl,
            age: claim.age(now.as_millis()),
            expires: Timestamp::from_millis(claim.expires),
            messages: claim.left.into(),
        }
    }

    /// The claim's id.
    pub fn id(&self) -> ClaimId {
        self.id
    }

    /// The ttl that the claim was created or last renewed with, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        whole_seconds_up(self.ttl)
    }

    /// The time since the claim was created or last renewed, in whole seconds, rounded down.
    pub fn age(&self) -> Duration {
        whole_seconds_down(self.age)
    }

    /// The instant at which the claim ends.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The number of the claim's live messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }
}
