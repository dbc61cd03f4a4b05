//! Retries: giving back and renewing some messages of a claim. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, MessageId, Project, QueueName, Retry};

/// Giving back and renewing some messages of a claim (ours). The handle [`Claim`](crate::Claim) has the
/// same calls.
///
/// Claims count as in [`Claims::create`](crate::Claims::create), and a message shows when it was
/// [first](crate::Message::first_claimed) and [last](crate::Message::last_claimed) claimed. A claim
/// that ends by itself is a failure too: its messages can be claimed at once, as the contract says, and
/// show [`LEASE_RAN_OUT`](crate::Message::LEASE_RAN_OUT). Releasing a claim is no failure.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project, Retry};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
/// let claim = jobs.claim(ClaimOptions::new())?.expect("two messages wait");
/// let minute = Duration::from_secs(60);
/// let retry = Retry::from(&claim.messages()[0]).delay(minute).reason("try later");
/// claim.retry_all(&[retry])?; // the other message stays claimed
/// assert_eq!((jobs.stats()?.claimed(), jobs.stats()?.free()), (1, 1));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Retries: Sealed + Send + Sync {
    /// Gives messages of a claim back, all or none, each with a delay and a reason. Returns how many
    /// were given back: a message that does not exist any more is left out.
    ///
    /// A message without a delay is delayed by the queue's [`RetryPolicy`](crate::RetryPolicy), if it
    /// has one and the message is not worn out. The claim stays, with the rest of its messages, until
    /// it ends or is released.
    ///
    /// Cost: O(messages × log messages + bytes of the reasons). Reads messages that are not in memory
    /// from disk. In memory, a reason takes its length and 60 bytes.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the claim does not exist or has ended,
    /// reported first; [`is_not_permitted`](crate::Error::is_not_permitted) if a message exists and is
    /// not under this claim, also if it is named twice; [`is_too_large`](crate::Error::is_too_large)
    /// for a reason of more than 1 KiB or 64 MiB of reasons; [`is_invalid`](crate::Error::is_invalid)
    /// for a delay outside the store's [`Limits`](crate::Limits) or after the year 9999, and for too
    /// many messages; [`is_full`](crate::Error::is_full); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new())?;
    /// let claim = claim.expect("two messages wait").id();
    /// let retry = Retry::new(ids[0]).reason("no route");
    /// assert_eq!(engine.retries().retry(&shop, &orders, &claim, &[retry])?, 1);
    /// let again = engine.messages().get(&shop, &orders, &ids[0])?;
    /// assert_eq!((again.claim_id(), again.last_failure()), (None, Some("no route")));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "nack")]
    fn retry(&self, project: &Project, queue: &QueueName, claim: &ClaimId, messages: &[Retry]) -> Result<u64>;

    /// Puts messages of a claim under a new claim that begins now with the ttl and the grace of
    /// `options`, all or none: a renewal of some messages. The other messages keep their claim.
    /// `None` if none of the messages exists any more. It does not count as a claim of the messages.
    ///
    /// Cost: O(messages × log messages).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// as [`retry`](Self::retry); [`is_invalid`](crate::Error::is_invalid) for times outside the
    /// store's [`Limits`](crate::Limits) or after the year 9999.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let hour = std::time::Duration::from_secs(3600);
    /// # let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    /// # engine.queues().create(&shop, &orders, &Metadata::new())?;
    /// # let messages = [NewMessage::new("a").ttl(hour), NewMessage::new("b").ttl(hour)];
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// let claim = engine.claims().create(&shop, &orders, &ClaimOptions::new())?;
    /// let (claim, options) = (claim.expect("two messages wait").id(), ClaimOptions::new());
    /// let slow = engine.retries().split(&shop, &orders, &claim, &ids[..1], &options.ttl(hour))?;
    /// assert_eq!(slow.map(|slow| (slow.ttl(), slow.messages().len())), Some((hour, 1)));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn split(
        &self,
        project: &Project,
        queue: &QueueName,
        claim: &ClaimId,
        messages: &[MessageId],
        options: &ClaimOptions,
    ) -> Result<Option<ClaimRecord>>;
}
