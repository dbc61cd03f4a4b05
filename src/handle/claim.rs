//! The handle on a claim.

use std::time::Duration;

use super::driver::Driver;
use crate::model::error::Result;
use crate::model::time::millis;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Message, MessageId, Project, QueueName};

/// A claim on messages: a lease that ends by itself. Dropping it does nothing, so that a worker that dies keeps its
/// messages from others until the lease ends.
///
/// ```
/// # use std::time::Duration;
/// # use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// # let jobs = engine.queue(Project::none(), "jobs")?;
/// # jobs.create(Metadata::new())?;
/// # jobs.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
/// let mut claim = jobs.claim(ClaimOptions::new().ttl(Duration::from_secs(60)))?.expect("two messages wait");
/// claim.delete(&claim.messages()[0])?; // done with this one
/// claim.renew(Duration::from_secs(300), Duration::from_secs(60))?; // the other takes longer
/// claim.release()?; // somebody else may have it
/// assert_eq!(jobs.stats()?.free(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Claim {
    pub(super) driver: Driver,
    pub(super) project: Project,
    pub(super) name: QueueName,
    pub(super) record: ClaimRecord,
}

impl Claim {
    /// The claim's id.
    pub fn id(&self) -> ClaimId {
        self.record.id()
    }

    /// The messages as they were when claimed.
    pub fn messages(&self) -> &[Message] {
        self.record.messages()
    }

    /// How long the claim lasts from when it was made or last renewed, in whole seconds, rounded up.
    pub fn ttl(&self) -> Duration {
        self.record.ttl()
    }

    /// Deletes a message of this claim. Fails ([`is_not_permitted`](crate::Error::is_not_permitted) or
    /// [`is_not_found`](crate::Error::is_not_found)) while the message exists and the claim no longer holds it; does
    /// nothing once it is gone.
    pub fn delete(&self, message: &Message) -> Result<()> {
        let Self { project, name, .. } = self;
        self.driver.data().messages().delete(project, name, &message.id(), Some(&self.id()))
    }

    /// Deletes all messages of this claim that are still there, all or none, by the rule of [`delete`](Self::delete).
    pub fn delete_all(&self) -> Result<()> {
        let Self { project, name, .. } = self;
        let ids: Vec<MessageId> = self.messages().iter().map(Message::id).collect();
        self.driver.data().messages().bulk_delete(project, name, &ids, &[self.id()])
    }

    /// Starts the lease again from now: `ttl`, and `grace` for messages that would expire before.
    /// [`is_not_found`](crate::Error::is_not_found) once it has ended.
    pub fn renew(&mut self, ttl: Duration, grace: Duration) -> Result<()> {
        let Self { project, name, .. } = &*self;
        let options = ClaimOptions::new().ttl(ttl).grace(grace);
        self.driver.data().claims().update(project, name, &self.id(), &options)?;
        (self.record.ttl, self.record.age) = (millis(ttl), 0);
        Ok(())
    }

    /// Ends the claim: its messages can be claimed again at once. Nothing happens if it has ended.
    pub fn release(self) -> Result<()> {
        let Self { project, name, .. } = &self;
        self.driver.data().claims().delete(project, name, &self.record.id())
    }
}
