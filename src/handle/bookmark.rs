//! The handle on a bookmark.

use super::batch::Batch;
use super::driver::Driver;
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{BatchStep, Body, BookmarkCondition, BookmarkName, BookmarkRecord, Project};
use crate::pooled::PooledDriver;

/// A handle on one bookmark: a project and a name. A clone is cheap.
///
/// A bookmark is a small value that lasts: an offset, a cursor, the state of a consumer. A [`Batch`] sets it together with
/// messages. [`Bookmarks`](crate::Bookmarks) has the full rules, and the listing.
///
/// ```
/// use zaqar_sled::{Body, Config, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let count = engine.bookmark(Project::none(), "count")?;
/// assert!(count.get()?.is_none());
/// let version = count.set(Body::json(&1)?)?;
/// count.set_if(Some(version), Body::json(&2)?)?; // nobody else has set it
/// assert!(count.set_if(Some(version), Body::json(&3)?).unwrap_err().is_conflict());
/// let read = count.get()?.expect("it was set");
/// assert_eq!(read.value().to_json::<u64>()?, 2);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bookmark {
    pub(super) driver: Driver,
    pub(super) project: Project,
    pub(super) name: BookmarkName,
}

impl Engine {
    /// A handle on the bookmark of that name, which need not exist.
    ///
    /// Cost: one allocation for the name, no lock and no I/O. Works on a closed store too.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) or [`is_too_large`](crate::Error::is_too_large) for a project outside the
    /// store's [`Limits`](crate::Limits), or a name of other than 1 to 512 bytes.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::named("shop")?, "offset")?;
    /// assert!(offset.get()?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bookmark(&self, project: Project, name: impl AsRef<str>) -> Result<Bookmark> {
        Bookmark::new(Driver::Engine(self.clone()), project, name.as_ref())
    }
}

impl PooledDriver {
    /// A handle on the bookmark of that name, which need not exist. It is in the control store.
    ///
    /// Cost: one allocation for the name, no lock and no I/O.
    ///
    /// # Errors
    /// as [`Engine::bookmark`](crate::Engine::bookmark).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// let offset = driver.bookmark(Project::none(), "offset")?;
    /// offset.set("17")?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn bookmark(&self, project: Project, name: impl AsRef<str>) -> Result<Bookmark> {
        Bookmark::new(Driver::Pooled(self.clone()), project, name.as_ref())
    }
}

impl Bookmark {
    fn new(driver: Driver, project: Project, name: &str) -> Result<Self> {
        let name = BookmarkName::new(name)?;
        driver.control_store().limits.check_project(&project)?;
        Ok(Self { driver, project, name })
    }

    /// The bookmark's project.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::named("shop")?, "offset")?;
    /// assert_eq!(offset.project().name(), Some("shop"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The bookmark's name.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// assert_eq!(offset.name().as_str(), "offset");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name(&self) -> &BookmarkName {
        &self.name
    }

    /// The value and its version; `None` if the bookmark was never set, or deleted.
    ///
    /// Cost: O(log bookmarks), and a copy of the value.
    ///
    /// # Errors
    /// those of [`Bookmarks::get`](crate::Bookmarks::get).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// offset.set("17")?;
    /// assert_eq!(offset.get()?.map(|read| read.value().clone()), Some("17".into()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn get(&self) -> Result<Option<BookmarkRecord>> {
        self.driver.extended().bookmarks().get(&self.project, &self.name)
    }

    /// Sets the value, and returns its version.
    ///
    /// Cost: O(log bookmarks + bytes): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Bookmarks::set`](crate::Bookmarks::set).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// offset.set("17")?;
    /// assert!(offset.set(vec![0; (64 << 10) + 1]).unwrap_err().is_too_large());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "put")]
    pub fn set(&self, value: impl Into<Body>) -> Result<u64> {
        self.set_if(BookmarkCondition::Any, value)
    }

    /// Sets the value if the bookmark is as expected, and returns its version. `Some` and `None` are conditions too: a
    /// version, and that the bookmark is missing.
    ///
    /// Cost: that of [`set`](Self::set).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`BookmarkChanged`](crate::Error::BookmarkChanged), which tells the present version; those of
    /// [`Bookmarks::set`](crate::Bookmarks::set).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let leader = engine.bookmark(Project::none(), "leader")?;
    /// leader.set_if(None, "ann")?; // the first wins
    /// assert!(leader.set_if(None, "bob").unwrap_err().is_conflict());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "compare_and_set")]
    pub fn set_if(&self, condition: impl Into<BookmarkCondition>, value: impl Into<Body>) -> Result<u64> {
        self.driver.extended().bookmarks().set(&self.project, &self.name, &value.into(), condition.into())
    }

    /// Deletes the bookmark; returns whether it was there.
    ///
    /// Cost: O(log bookmarks): one lock and one write to the journal.
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// those of [`Bookmarks::delete`](crate::Bookmarks::delete).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// offset.set("17")?;
    /// assert!(offset.delete()? && !offset.delete()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete(&self) -> Result<bool> {
        self.delete_if(BookmarkCondition::Any)
    }

    /// Deletes the bookmark if it is as expected; returns whether it was there.
    ///
    /// Cost: that of [`delete`](Self::delete).
    ///
    /// Durability: a change.
    ///
    /// # Errors
    /// [`BookmarkChanged`](crate::Error::BookmarkChanged); those of [`Bookmarks::delete`](crate::Bookmarks::delete).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let leader = engine.bookmark(Project::none(), "leader")?;
    /// let version = leader.set("ann")?;
    /// leader.set("bob")?;
    /// assert!(leader.delete_if(Some(version)).unwrap_err().is_conflict()); // bob's stays
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_if(&self, condition: impl Into<BookmarkCondition>) -> Result<bool> {
        self.driver.extended().bookmarks().delete(&self.project, &self.name, condition.into())
    }
}

impl Batch {
    /// Sets a bookmark, as [`Bookmark::set`] does. A batch can change a bookmark once.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// let mut batch = engine.batch();
    /// batch.post(&orders, ClientId::random(), [NewMessage::new("line 17")]);
    /// batch.set_bookmark(&offset, "17");
    /// batch.commit()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn set_bookmark(&mut self, bookmark: &Bookmark, value: impl Into<Body>) -> &mut Self {
        self.set_bookmark_if(bookmark, BookmarkCondition::Any, value)
    }

    /// Sets a bookmark if it is as expected, as [`Bookmark::set_if`] does. If it is not, the batch changes nothing.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// let mut batch = engine.batch();
    /// batch.set_bookmark_if(&offset, None, "17");
    /// batch.commit()?;
    /// assert!(batch.commit().unwrap_err().is_conflict()); // it is no longer missing
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn set_bookmark_if(
        &mut self,
        bookmark: &Bookmark,
        condition: impl Into<BookmarkCondition>,
        value: impl Into<Body>,
    ) -> &mut Self {
        self.meet(&bookmark.driver);
        let (project, name, condition) = (bookmark.project.clone(), bookmark.name.clone(), condition.into());
        self.add(BatchStep::SetBookmark { project, bookmark: name, condition, value: value.into() })
    }

    /// Deletes a bookmark if it is as expected, as [`Bookmark::delete_if`] does. If it is not, the batch changes nothing.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let offset = engine.bookmark(Project::none(), "offset")?;
    /// let version = offset.set("17")?;
    /// engine.batch().delete_bookmark_if(&offset, Some(version)).commit()?;
    /// assert!(offset.get()?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn delete_bookmark_if(&mut self, bookmark: &Bookmark, condition: impl Into<BookmarkCondition>) -> &mut Self {
        self.meet(&bookmark.driver);
        let (project, name, condition) = (bookmark.project.clone(), bookmark.name.clone(), condition.into());
        self.add(BatchStep::DeleteBookmark { project, bookmark: name, condition })
    }
}
