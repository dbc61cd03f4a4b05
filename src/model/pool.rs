//! Pools: stores that hold queues, and how a queue's store is chosen.

use super::{Metadata, PoolGroup, PoolMarker, PoolName, PoolUri};
use crate::model::error::{Error, Result};

/// A pool to register: its store, its weight and its group (contract 9).
///
/// ```
/// use zaqar_sled::{NewPool, PoolGroup};
///
/// let fast = PoolGroup::new("fast")?;
/// let pool = NewPool::new("sled:/mnt/ssd/messages".parse()?).weight(100).group(fast);
/// assert_eq!(pool.weight, 100);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPool {
    /// The place of the pool's store.
    pub uri: PoolUri,
    /// How often the pool is chosen for a new queue, relative to the other pools of its group. 0 or
    /// less: never. 1 unless set.
    pub weight: i64,
    /// The group that the pool belongs to, which flavors name. In Zaqar since 8.0.0 a pool names
    /// its flavor instead, which is the same.
    pub group: Option<PoolGroup>,
    /// The settings that the pool's store is opened with: `durability` (`"sync"` or `"buffered"`)
    /// and `memory` (bytes). They take precedence over the URI's query. Other keys are kept and
    /// ignored.
    pub options: Metadata,
}

impl NewPool {
    /// A pool of weight 1, in no group, without options.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let pool = NewPool::new("sled:/mnt/ssd".parse()?);
    /// assert_eq!((pool.uri.as_str(), pool.weight, pool.group), ("sled:/mnt/ssd", 1, None));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new(uri: PoolUri) -> Self {
        Self { uri, weight: 1, group: None, options: Metadata::new() }
    }

    /// Sets how often the pool is chosen for a new queue.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let pool = NewPool::new("sled:/mnt/ssd".parse()?).weight(10);
    /// assert_eq!(pool.weight, 10);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn weight(mut self, weight: i64) -> Self {
        self.weight = weight;
        self
    }

    /// Puts the pool into a group, which later versions of Zaqar call the pool's flavor.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let pool = NewPool::new("sled:/mnt/ssd".parse()?).group(PoolGroup::new("fast")?);
    /// assert_eq!(pool.group, Some(PoolGroup::new("fast")?));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "flavor")]
    pub fn group(mut self, group: impl Into<Option<PoolGroup>>) -> Self {
        self.group = group.into();
        self
    }

    /// Sets the options that the pool's store is opened with.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let options = Metadata::new().with("durability", "buffered")?;
    /// let pool = NewPool::new("sled:/mnt/ssd".parse()?).options(options.clone());
    /// assert_eq!(pool.options, options);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn options(mut self, options: Metadata) -> Self {
        self.options = options;
        self
    }
}

/// A registered pool.
///
/// ```
/// # use zaqar_sled::ControlDriver;
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let fast = PoolName::new("fast")?;
/// engine.pools().create(&fast, &NewPool::new("sled:/mnt/ssd".parse()?).weight(10))?;
/// let pool = engine.pools().get(&fast, true)?;
/// assert_eq!((pool.name(), pool.weight()), (&fast, 10));
/// assert_eq!((pool.uri().as_str(), pool.group()), ("sled:/mnt/ssd", None));
/// assert!(pool.options().is_some_and(|options| options.is_empty()));
/// assert!(engine.pools().get(&fast, false)?.options().is_none());
/// assert_eq!(pool.marker().name(), &fast);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    pub(crate) name: PoolName,
    pub(crate) uri: PoolUri,
    pub(crate) weight: i64,
    pub(crate) group: Option<PoolGroup>,
    pub(crate) options: Option<Metadata>,
}

impl Pool {
    /// The pool's name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// The place of the pool's store, as the URI was given.
    pub fn uri(&self) -> &PoolUri {
        &self.uri
    }

    /// How often the pool is chosen for a new queue, relative to the others of its group; 0 or
    /// less: never.
    pub fn weight(&self) -> i64 {
        self.weight
    }

    /// The group that the pool belongs to; in later versions of Zaqar the pool's flavor.
    #[doc(alias = "flavor")]
    pub fn group(&self) -> Option<&PoolGroup> {
        self.group.as_ref()
    }

    /// The pool's options, if the call was `detailed`.
    pub fn options(&self) -> Option<&Metadata> {
        self.options.as_ref()
    }

    /// The position just after this pool: a listing with it starts at the next one.
    pub fn marker(&self) -> PoolMarker {
        self.name.clone().into()
    }
}

/// Changes of a pool; fields that are not set stay as they are.
///
/// ```
/// let update = zaqar_sled::PoolUpdate::new().weight(0); // no new queues from now on
/// assert_eq!((update.weight, update.uri), (Some(0), None));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolUpdate {
    /// A new store.
    pub uri: Option<PoolUri>,
    /// A new weight.
    pub weight: Option<i64>,
    /// A new group; `Some(None)` takes the pool out of its group.
    pub group: Option<Option<PoolGroup>>,
    /// New options, which replace all former ones.
    pub options: Option<Metadata>,
}

impl PoolUpdate {
    /// An update without changes, which the call refuses until a field is set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let fast = PoolName::new("fast")?;
    /// # engine.pools().create(&fast, &NewPool::new("sled:/mnt/ssd".parse()?))?;
    /// let error = engine.pools().update(&fast, &PoolUpdate::new()).unwrap_err();
    /// assert!(error.is_invalid()); // nothing is to be changed
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a new store.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = PoolUpdate::new().uri("sled:/mnt/nvme".parse()?);
    /// assert_eq!(update.uri, Some("sled:/mnt/nvme".parse()?));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn uri(mut self, uri: PoolUri) -> Self {
        self.uri = Some(uri);
        self
    }

    /// Sets a new weight.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(PoolUpdate::new().weight(0).weight, Some(0));
    /// ```
    pub fn weight(mut self, weight: i64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Puts the pool into another group; `None` takes it out of its group, as empty text does in
    /// Zaqar.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = PoolUpdate::new().group(PoolGroup::new("fast")?);
    /// assert_eq!(update.group, Some(Some(PoolGroup::new("fast")?)));
    /// assert_eq!(PoolUpdate::new().group(None).group, Some(None));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    #[doc(alias = "flavor")]
    pub fn group(mut self, group: impl Into<Option<PoolGroup>>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Replaces all options.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = PoolUpdate::new().options(Metadata::new());
    /// assert_eq!(update.options, Some(Metadata::new())); // removes all options
    /// ```
    pub fn options(mut self, options: Metadata) -> Self {
        self.options = Some(options);
        self
    }

    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.uri.is_none() && self.weight.is_none() && self.group.is_none() && self.options.is_none() {
            return Err(Error::invalid("update", "sets neither uri, weight, group nor options"));
        }
        Ok(())
    }
}
