//! Bookmarks: small named values that change together with messages. Zaqar has no such calls.

use super::Sealed;
use crate::model::error::Result;
use crate::model::{Body, BookmarkCondition, BookmarkMarker, BookmarkName, BookmarkRecord, ListOptions, Page, Project};

/// Small named values of a project (ours): offsets, cursors, the state of a consumer. The handle is
/// [`Bookmark`](crate::Bookmark), and a [`Batch`](crate::Batch) changes bookmarks together with messages.
///
/// With a bookmark in the batch, a consumer that copies from elsewhere does it exactly once: the messages are there if and
/// only if the bookmark says so.
///
/// ```
/// use zaqar_sled::*;
///
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let lines = engine.queue(Project::none(), "lines")?;
/// lines.create(Metadata::new())?;
/// let offset = engine.bookmark(Project::none(), "lines.txt")?;
///
/// let text = "one\ntwo\nthree\n";
/// loop {
///     let read = offset.get()?;
///     let from: usize = read.as_ref().map_or(Ok(0), |read| read.value().to_json())?;
///     let Some(end) = text[from..].find('\n') else { break };
///     let line = NewMessage::new(&text[from..from + end]);
///     let mut batch = engine.batch();
///     batch.post(&lines, ClientId::random(), [line]);
///     let condition = BookmarkCondition::from(read.map(|read| read.version()));
///     batch.set_bookmark_if(&offset, condition, Body::json(&(from + end + 1))?);
///     batch.commit()?; // at any crash: both, or neither
/// }
/// assert_eq!(lines.stats()?.total(), 3);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
///
/// A store's bookmarks are in memory while it is open, up to
/// [`MOST_BYTES_OF_ALL`](BookmarkRecord::MOST_BYTES_OF_ALL). Those of a [`PooledDriver`](crate::PooledDriver) are in its
/// control store, whereas messages are in pools: so there a batch with a bookmark can have no queue.
pub trait Bookmarks: Sealed + Send + Sync {
    /// The bookmark; `None` if it was never set, or deleted.
    ///
    /// Cost: O(log bookmarks), and a copy of the value.
    ///
    /// # Errors
    /// those of [every call](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let name = BookmarkName::new("offset")?;
    /// assert_eq!(engine.bookmarks().get(&Project::none(), &name)?, None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, project: &Project, name: &BookmarkName) -> Result<Option<BookmarkRecord>>;

    /// Sets the bookmark's value, if the condition holds, and returns its new [version](BookmarkRecord::version).
    ///
    /// Cost: O(log bookmarks + bytes): one lock of the store's registry and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) for more than [`MOST_BYTES`](BookmarkRecord::MOST_BYTES), or if the
    /// store's bookmarks would take more than [`MOST_BYTES_OF_ALL`](BookmarkRecord::MOST_BYTES_OF_ALL);
    /// [`BookmarkChanged`](crate::Error::BookmarkChanged) if the condition does not hold;
    /// [`is_full`](crate::Error::is_full); the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (none, name) = (Project::none(), BookmarkName::new("leader")?);
    /// let bookmarks = engine.bookmarks();
    /// bookmarks.set(&none, &name, &"ann".into(), BookmarkCondition::Missing)?;
    /// let late = bookmarks.set(&none, &name, &"bob".into(), BookmarkCondition::Missing);
    /// assert!(matches!(late, Err(Error::BookmarkChanged { .. })));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "compare_and_set")]
    fn set(&self, project: &Project, name: &BookmarkName, value: &Body, condition: BookmarkCondition) -> Result<u64>;

    /// Deletes the bookmark, if the condition holds; returns whether it was there.
    ///
    /// Cost: O(log bookmarks): one lock of the store's registry and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`BookmarkChanged`](crate::Error::BookmarkChanged) if the condition does not hold; the errors of [every
    /// change](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let (none, name) = (Project::none(), BookmarkName::new("leader")?);
    /// engine.bookmarks().set(&none, &name, &"ann".into(), BookmarkCondition::Any)?;
    /// assert!(engine.bookmarks().delete(&none, &name, BookmarkCondition::Any)?);
    /// assert!(!engine.bookmarks().delete(&none, &name, BookmarkCondition::Any)?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn delete(&self, project: &Project, name: &BookmarkName, condition: BookmarkCondition) -> Result<bool>;

    /// The project's bookmarks, by name: a page of them with their values.
    ///
    /// Cost: O(log bookmarks + page), and a copy of the values.
    ///
    /// # Errors
    /// [`is_too_large`](crate::Error::is_too_large) for a page over the store's [`Limits`](crate::Limits); those of
    /// [every call](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// for name in ["b", "a"] {
    ///     engine.bookmark(Project::none(), name)?.set("1")?;
    /// }
    /// let page = engine.bookmarks().list(&Project::none(), &ListOptions::new())?;
    /// let names: Vec<&str> = page.items.iter().map(|record| record.name().as_str()).collect();
    /// assert_eq!(names, ["a", "b"]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn list(
        &self,
        project: &Project,
        options: &ListOptions<BookmarkMarker>,
    ) -> Result<Page<BookmarkRecord, BookmarkMarker>>;
}
