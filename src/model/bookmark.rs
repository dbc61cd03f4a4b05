//! Bookmarks: small named values of a project.

use super::{Body, BookmarkName, Timestamp};

/// A bookmark as it was read: its value and its version.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let offset = engine.bookmark(Project::none(), "offset")?;
/// let version = offset.set("17")?;
/// let record = offset.get()?.expect("it was set");
/// assert_eq!((record.value().as_bytes(), record.version()), (&b"17"[..], version));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BookmarkRecord {
    pub(crate) name: BookmarkName,
    pub(crate) value: Body,
    pub(crate) version: u64,
    pub(crate) changed: Timestamp,
}

impl BookmarkRecord {
    /// The most bytes of a value: 64 KiB.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BookmarkRecord::MOST_BYTES, 64 << 10);
    /// ```
    pub const MOST_BYTES: u64 = 64 << 10;

    /// The most bytes of all bookmarks of a store, with their projects, names and 152 bytes each: 64 MiB. They are in memory while
    /// the store is open.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::BookmarkRecord::MOST_BYTES_OF_ALL, 64 << 20);
    /// ```
    pub const MOST_BYTES_OF_ALL: u64 = 64 << 20;

    /// The bookmark's name.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let offset = engine.bookmark(Project::none(), "offset")?;
    /// # offset.set("17")?;
    /// assert_eq!(offset.get()?.map(|record| record.name().to_string()), Some("offset".into()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name(&self) -> &BookmarkName {
        &self.name
    }

    /// The value, byte for byte.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let offset = engine.bookmark(Project::none(), "offset")?;
    /// offset.set(Body::json(&17)?)?;
    /// let record = offset.get()?.expect("it was set");
    /// assert_eq!(record.value().to_json::<u64>()?, 17);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn value(&self) -> &Body {
        &self.value
    }

    /// A number that rises with every change of the store, so no two values of a bookmark have the same: also if the
    /// bookmark was deleted in between, or if a power cut has taken back the change that a caller has seen. Bookmarks that
    /// one batch sets have the same version.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let offset = engine.bookmark(Project::none(), "offset")?;
    /// let first = offset.set("17")?;
    /// offset.delete()?;
    /// assert!(offset.set("17")? > first);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the value was set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let clock = std::sync::Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
    /// # let engine = Config::new().disk(disk).clock(clock).background(false).open("store")?;
    /// # let offset = engine.bookmark(Project::none(), "offset")?;
    /// offset.set("17")?;
    /// let changed = offset.get()?.map(|record| record.changed());
    /// assert_eq!(changed, Some(Timestamp::from_millis(1_000)));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn changed(&self) -> Timestamp {
        self.changed
    }
}

/// What a bookmark has to be, so that it is changed.
///
/// ```
/// use zaqar_sled::BookmarkCondition;
///
/// assert_eq!(BookmarkCondition::from(Some(7)), BookmarkCondition::Version(7));
/// assert_eq!(BookmarkCondition::from(None), BookmarkCondition::Missing);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum BookmarkCondition {
    /// Anything: also missing.
    Any,
    /// Missing.
    Missing,
    /// There, with this [version](BookmarkRecord::version).
    Version(u64),
}

impl BookmarkCondition {
    pub(crate) fn holds(self, version: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Missing => version.is_none(),
            Self::Version(expected) => version == Some(expected),
        }
    }
}

impl From<Option<u64>> for BookmarkCondition {
    fn from(version: Option<u64>) -> Self {
        version.map_or(Self::Missing, Self::Version)
    }
}

impl From<&BookmarkRecord> for BookmarkCondition {
    fn from(record: &BookmarkRecord) -> Self {
        Self::Version(record.version)
    }
}
