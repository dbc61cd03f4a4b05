//! Diagnostics: answers for the people who operate queues. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{ClaimEntry, ClaimMarker, Explanation, ListOptions, MessageId, Page, Project, QueueName};

/// Answers for the people who operate queues (ours). They are reads: they change nothing.
///
/// ```
/// use zaqar_sled::{Availability, ClaimOptions, ClientId, Config, Metadata};
/// use zaqar_sled::{NewMessage, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// let id = jobs.post(ClientId::random(), &[NewMessage::new("work")])?[0];
/// let claim = jobs.claim(ClaimOptions::new())?.expect("a message waits");
/// match jobs.explain(&id)?.availability() {
///     Availability::Claimed { claim: holder, .. } => assert_eq!(*holder, claim.id()),
///     other => println!("not claimed: {other:?}"),
/// }
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Diagnostics: Sealed + Send + Sync {
    /// Why a message can or cannot be claimed at this instant, and since when.
    ///
    /// The store keeps no record of messages that are gone, so a message that was deleted, one that has
    /// expired and one that was moved to the dead-letter queue are explained alike. A queue that is being
    /// moved to another pool is explained as it was: until the end of the move, claims are refused as
    /// [`is_busy`](crate::Error::is_busy).
    ///
    /// Cost: O(log messages). Reads the message from disk if it is not in memory.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing; the errors of [every
    /// read](crate::DataDriver#errors-of-every-call). Neither a missing message nor a damaged page is an
    /// error: they are answers.
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
    /// let late = NewMessage::new("a").ttl(hour).delay(hour / 2);
    /// let ids = engine.messages().post(&shop, &orders, ClientId::random(), &[late])?;
    /// let explained = engine.diagnostics().explain(&shop, &orders, &ids[0])?;
    /// let posted = engine.messages().get(&shop, &orders, &ids[0])?.created();
    /// assert_eq!(explained.since(), Some(posted));
    /// assert!(matches!(explained.availability(), Availability::Delayed { until, .. }
    ///     if *until == posted.saturating_add(hour / 2)));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn explain(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Explanation>;

    /// A page of the queue's live claims, in the order of their creation. A claim whose messages are all
    /// deleted is among them until it ends, if the store does not end it [early](crate::Claims::get).
    ///
    /// When a pooled driver moves the queue to another pool, its claims come behind all later ones, and a
    /// marker loses its position: begin again.
    ///
    /// Cost: O(limit + log claims), reads nothing from disk.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue is missing;
    /// [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every read](crate::DataDriver#errors-of-every-call).
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
    /// # let messages = vec![NewMessage::new("a").ttl(hour); 3];
    /// # engine.messages().post(&shop, &orders, ClientId::random(), &messages)?;
    /// for limit in [1, 2] {
    ///     engine.claims().create(&shop, &orders, &ClaimOptions::new().limit(limit))?;
    /// }
    /// let page = engine.diagnostics().list_claims(&shop, &orders, &ListOptions::new())?;
    /// assert_eq!((page.items[0].messages(), page.items[1].messages()), (1, 2));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list_claims(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<ClaimMarker>,
    ) -> Result<Page<ClaimEntry, ClaimMarker>>;

    /// A page of the projects that have queues: first the queues without a project, if there are any,
    /// then the projects by name. The marker is the last project of the page before.
    ///
    /// The page is not of one instant: of a project whose first queue is created meanwhile, or whose last
    /// queue is deleted, nothing is promised.
    ///
    /// Cost: O(log queues) for each project, however many queues it has. If there are [archived
    /// queues](crate::Config::queue_memory), a few reads from disk for each project too.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for a limit outside the store's
    /// [`Limits`](crate::Limits); the errors of [every read](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (shop, bank) = (Project::named("shop")?, Project::named("bank")?);
    /// for project in [&shop, &bank] {
    ///     engine.queue(project.clone(), "orders")?.create(Metadata::new())?;
    /// }
    /// let page = engine.diagnostics().list_projects(&ListOptions::new().limit(1))?;
    /// assert_eq!(page.items, [bank]);
    /// let rest = engine.diagnostics().list_projects(&ListOptions::new().marker(page.next))?;
    /// assert_eq!(rest.items, [shop]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list_projects(&self, options: &ListOptions<Project>) -> Result<Page<Project, Project>>;
}
