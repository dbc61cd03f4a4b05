//! Dead letters: putting them back. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Project, QueueName, RedriveOptions, RedriveOutcome};

/// Putting dead letters back, once the cause of their failures is mended (ours). The handle
/// [`Queue`](crate::Queue) has the same call.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(QueueSettings::new().dead_letters("dead", 1))?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a job waits");
/// claim.retry(Retry::from(&claim.messages()[0]).reason("no route"))?;
/// assert!(jobs.claim(ClaimOptions::new())?.is_none()); // it is worn out, and moves
///
/// for letter in jobs.dead_letters()? {
///     let letter = letter?;
///     println!("{:?} failed: {:?}", letter.body(), letter.last_failure());
/// }
/// let dead = engine.queue(Project::none(), "dead")?;
/// let outcome = dead.redrive(&RedriveOptions::new().reason("no route"))?;
/// assert_eq!(outcome.moved(), 1);
/// let again = jobs.claim(ClaimOptions::new())?.expect("it is back");
/// assert_eq!(again.messages()[0].claim_count(), 1);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait DeadLetters: Sealed + Send + Sync {
    /// Moves messages of a dead-letter queue back to the queues that they come from, or to the queue of
    /// `options`. Only messages that are neither claimed nor delayed move, in their order; those that
    /// arrive during the call stay.
    ///
    /// A message arrives at the end of its queue under a new id, free to be claimed, as if it had never
    /// been claimed: without a claim count, a failure and an origin. It keeps its body, headers, client
    /// and the instant of its post, and gets the ttl again that it had when it was moved. The queue that
    /// it comes from is found by its name, also if it was deleted and made again. A message that went
    /// through several dead-letter queues comes from the last one, and from there on only
    /// [`to`](RedriveOptions::to) moves it further.
    ///
    /// The messages move in portions of up to 256 messages and 4 MiB. What a portion has for one queue
    /// moves as a whole: one operation removes it from one queue and adds it to the other. A call that
    /// ends early, by an error or with the process, has moved whole portions; the same call again moves
    /// the rest. In a [`PooledDriver`](crate::PooledDriver), messages for a queue in another store travel
    /// as dead letters do: they arrive once, a little later, or when the store is in reach again, and a
    /// target that is deleted meanwhile is created again.
    ///
    /// Cost: O(free messages of the queue); for each portion and each queue in it, one lock of both queues
    /// and one write to the journal. Reads messages that are not in memory from disk; a few copies of
    /// one portion are in memory at a time.
    ///
    /// Durability: each portion is a change.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue, or the queue of
    /// [`to`](RedriveOptions::to), does not exist; [`is_invalid`](crate::Error::is_invalid) if they are
    /// the same, or for a ttl of zero or outside the store's
    /// [`Limits`](crate::Limits);
    /// [`is_full`](crate::Error::is_full); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call). The portions before an error have moved.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let (shop, dead) = (Project::named("shop")?, QueueName::new("dead")?);
    /// # engine.queues().create(&shop, &dead, &Metadata::new())?;
    /// let driver: &dyn ExtendedDriver = &engine;
    /// let options = RedriveOptions::new().dry_run(true);
    /// let outcome = driver.dead_letters().redrive(&shop, &dead, &options)?;
    /// println!("{} can go back", outcome.moved());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "requeue")]
    #[doc(alias = "kick")]
    fn redrive(&self, project: &Project, queue: &QueueName, options: &RedriveOptions) -> Result<RedriveOutcome>;
}
