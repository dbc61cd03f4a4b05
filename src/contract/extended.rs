//! What the drivers of this crate do beyond Zaqar's contract.

use super::{Batches, Bookmarks, DataDriver, DeadLetters, Diagnostics, FlowControl, Projects, Retries, Sealed, Topics};

/// A data driver with the calls that Zaqar's contract does not have. [`Engine`](crate::Engine),
/// [`PooledDriver`](crate::PooledDriver) and [`ReferenceModel`](crate::ReferenceModel) implement it.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let driver: &dyn ExtendedDriver = &engine;
/// let (orders, claim) = (QueueName::new("orders")?, ClaimId::lossy("?"));
/// let missing = driver.retries().retry(&Project::none(), &orders, &claim, &[]);
/// assert!(missing.unwrap_err().is_not_found());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait ExtendedDriver: Sealed + DataDriver {
    /// Retries: giving back and renewing some messages of a claim.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let _: &dyn Retries = engine.retries();
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn retries(&self) -> &dyn Retries;

    /// Batches: changes of several queues that take effect together.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let batches: &dyn Batches = engine.batches();
    /// assert_eq!(batches.commit(&[])?.deleted(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn batches(&self) -> &dyn Batches;

    /// Bookmarks: small named values of a project.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let bookmarks: &dyn Bookmarks = engine.bookmarks();
    /// assert!(bookmarks.list(&Project::none(), &ListOptions::new())?.items.is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn bookmarks(&self) -> &dyn Bookmarks;

    /// Dead letters: putting them back.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let dead_letters: &dyn DeadLetters = engine.dead_letters();
    /// let (dead, options) = (QueueName::new("dead")?, RedriveOptions::new());
    /// let missing = dead_letters.redrive(&Project::none(), &dead, &options);
    /// assert!(missing.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn dead_letters(&self) -> &dyn DeadLetters;

    /// Flow control: stopping a queue for a while.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let flow_control: &dyn FlowControl = engine.flow_control();
    /// let orders = QueueName::new("orders")?;
    /// let missing = flow_control.set_pause(&Project::none(), &orders, Some(Pause::All));
    /// assert!(missing.unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn flow_control(&self) -> &dyn FlowControl;

    /// Diagnostics: answers for the people who operate queues.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let diagnostics: &dyn Diagnostics = engine.diagnostics();
    /// let (orders, id) = (QueueName::new("orders")?, MessageId::lossy("?"));
    /// assert!(diagnostics.explain(&Project::none(), &orders, &id).unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn diagnostics(&self) -> &dyn Diagnostics;

    /// Topics: named lists of messages for many readers, and the queues that are subscribed to them.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let topics: &dyn Topics = engine.topics();
    /// assert!(topics.create(&Project::none(), &TopicName::new("prices")?, &Metadata::new())?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "topic_controller")]
    fn topics(&self) -> &dyn Topics;

    /// Projects: what each may hold, and what it holds.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let projects: &dyn Projects = engine.projects();
    /// assert!(projects.quota(&Project::none())?.is_unlimited());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn projects(&self) -> &dyn Projects;
}
