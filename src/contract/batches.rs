//! Batches: changes of several queues and bookmarks that take effect together. Zaqar has no such call.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{BatchOutcome, BatchStep};

/// Changes of several queues and [bookmarks](crate::Bookmarks) that take effect together, or not at all (ours). A [`Batch`](crate::Batch) collects them by
/// handles.
///
/// With a batch, a worker takes a message from one queue and puts its results into others exactly once. Either the message
/// is deleted and all results are there, or there is no result. A worker that is late, because its claim has ended and
/// another worker has the message, puts nothing.
///
/// ```
/// use zaqar_sled::{ClaimOptions, ClientId, Config, Metadata, NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let orders = engine.queue(Project::none(), "orders")?;
/// let invoices = engine.queue(Project::none(), "invoices")?;
/// orders.create(Metadata::new())?;
/// invoices.create(Metadata::new())?;
/// let client = ClientId::random();
/// orders.post(client, &[NewMessage::new("coffee")])?;
///
/// let claim = orders.claim(ClaimOptions::new())?.expect("an order waits");
/// let mut batch = engine.batch();
/// batch.delete(&claim, &claim.messages()[0]);
/// batch.post(&invoices, client, [NewMessage::new("1 coffee")]);
/// batch.commit()?;
/// assert_eq!((orders.stats()?.total(), invoices.stats()?.total()), (0, 1));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Batches: Sealed + Send + Sync {
    /// Makes the changes of all steps, or none. The steps are checked as if they were called one by one, in their order and
    /// at one instant: a step sees what those before it have done. Four rules are a batch's own:
    ///
    /// 1. A message that is deleted under a claim must exist, unless an earlier step has deleted it. So of two batches that
    ///    finish the same message, only one takes effect.
    /// 2. A message that the batch posts cannot be named by its other steps.
    /// 3. In a [`PooledDriver`](crate::PooledDriver), all queues of the batch must be in one store. A queue that is missing
    ///    counts for no store. A batch with a bookmark can name no queue there.
    /// 4. A bookmark can be named by one step.
    ///
    /// Cost: the sum of the steps' costs; one lock for each queue, by ascending number, and one write to the journal. All
    /// messages that the batch deletes or renews are in memory at the same time, whatever
    /// [`Config::memory`](crate::Config::memory) says.
    ///
    /// Durability: a change, whole: after a crash, all of it is there or nothing. In a pooled driver, the strongest of the
    /// queues' durabilities.
    ///
    /// # Errors
    /// Nothing has changed after an error, unless [`is_outcome_unknown`](crate::Error::is_outcome_unknown) is true for it.
    /// First come the errors of the batch as a whole: [`is_invalid`](crate::Error::is_invalid) for more than
    /// [`BatchStep::MOST`](crate::BatchStep::MOST) steps, [`is_too_large`](crate::Error::is_too_large) for bodies and values of more than
    /// [`BatchStep::MOST_BYTES`](crate::BatchStep::MOST_BYTES) together, and those of finding the queues, such as
    /// [`NotInOneStore`](crate::Error::NotInOneStore),
    /// [`BookmarkNotInStore`](crate::Error::BookmarkNotInStore) and [`is_busy`](crate::Error::is_busy). Then come the errors of the
    /// steps: of each as of its call, and for a message that rule 1 asks for and that does not exist, `ClaimDoesNotExist` if
    /// the claim has ended, else `MessageDoesNotExist`. A batch that posts, renews, releases or sets a bookmark may fail with
    /// [`is_full`](crate::Error::is_full) where its deletes alone would succeed. And the errors of [every
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
    /// # let first = NewMessage::new("a").ttl(hour);
    /// # let ids = engine.messages().post(&shop, &orders, ClientId::random(), &[first])?;
    /// let (project, queue) = (shop.clone(), orders.clone());
    /// let delete = BatchStep::Delete { project, queue, messages: ids, claim: None };
    /// let (client, messages) = (ClientId::random(), vec![NewMessage::new("b").ttl(hour)]);
    /// let (project, queue) = (shop.clone(), orders.clone());
    /// let post = BatchStep::Post { project, queue, client, messages };
    /// let outcome = engine.batches().commit(&[delete, post])?;
    /// assert_eq!((outcome.deleted(), outcome.posted()[0].len()), (1, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn commit(&self, steps: &[BatchStep]) -> Result<BatchOutcome>;
}
