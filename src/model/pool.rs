//! Pools: stores that hold queues, and how a queue's store is chosen.

use super::{Metadata, PoolGroup, PoolMarker, PoolName, PoolUri};
use crate::model::error::{Error, Result};

/// What to register under a pool's name.
///
/// ```
/// use zaqar_sled::{NewPool, PoolGroup};
///
/// let pool = NewPool::new("sled:/mnt/ssd/messages".parse()?).weight(100).group(PoolGroup::new("fast")?);
/// assert_eq!(pool.weight, 100);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewPool {
    /// Where its store is.
    pub uri: PoolUri,
    /// How likely it is chosen for a new queue, against the other pools of its group. 0 and below: never. 1 unless set.
    pub weight: i64,
    /// The group it belongs to, which flavors name. In Zaqar since 8.0.0 a pool names its flavor instead: the same thing.
    pub group: Option<PoolGroup>,
    /// What its store is opened with: `durability` (`"sync"` or `"buffered"`) and `memory` (bytes), as in the query of a
    /// URI, which they take precedence over. Other keys are kept and not looked at.
    pub options: Metadata,
}

impl NewPool {
    /// A pool of weight 1, in no group, without options.
    pub fn new(uri: PoolUri) -> Self {
        Self { uri, weight: 1, group: None, options: Metadata::new() }
    }

    /// Sets how likely it is chosen.
    pub fn weight(mut self, weight: i64) -> Self {
        self.weight = weight;
        self
    }

    /// Puts it in a group; later Zaqars call it the pool's flavor.
    #[doc(alias = "flavor")]
    pub fn group(mut self, group: impl Into<Option<PoolGroup>>) -> Self {
        self.group = group.into();
        self
    }

    /// Sets its options.
    pub fn options(mut self, options: Metadata) -> Self {
        self.options = options;
        self
    }
}

/// A pool as it is registered.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, NewPool, PoolName, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let fast = PoolName::new("fast")?;
/// engine.pools().create(&fast, &NewPool::new("sled:/mnt/ssd".parse()?).weight(10))?;
/// let pool = engine.pools().get(&fast, true)?;
/// assert_eq!((pool.name(), pool.weight(), pool.uri().as_str()), (&fast, 10, "sled:/mnt/ssd"));
/// assert!(pool.group().is_none() && pool.options().is_some_and(|options| options.is_empty()));
/// assert!(engine.pools().get(&fast, false)?.options().is_none());
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
    /// Its name.
    pub fn name(&self) -> &PoolName {
        &self.name
    }

    /// Where its store is, as it was given.
    pub fn uri(&self) -> &PoolUri {
        &self.uri
    }

    /// How likely it is chosen for a new queue; 0 and below: never.
    pub fn weight(&self) -> i64 {
        self.weight
    }

    /// The group it belongs to; in later Zaqars the pool's flavor.
    #[doc(alias = "flavor")]
    pub fn group(&self) -> Option<&PoolGroup> {
        self.group.as_ref()
    }

    /// Its options, if they were asked for.
    pub fn options(&self) -> Option<&Metadata> {
        self.options.as_ref()
    }

    /// Where a listing goes on after this one.
    pub fn marker(&self) -> PoolMarker {
        self.name.clone().into()
    }
}

/// What to change of a pool; what is not set stays as it is.
///
/// ```
/// let update = zaqar_sled::PoolUpdate::new().weight(0); // no new queues from now on
/// assert_eq!(update.uri, None);
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolUpdate {
    /// Another store.
    pub uri: Option<PoolUri>,
    /// Another weight.
    pub weight: Option<i64>,
    /// Another group, or with `Some(None)` none any more.
    pub group: Option<Option<PoolGroup>>,
    /// Other options, in place of all former ones.
    pub options: Option<Metadata>,
}

impl PoolUpdate {
    /// Changes nothing yet; an update has to set something.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names another store.
    pub fn uri(mut self, uri: PoolUri) -> Self {
        self.uri = Some(uri);
        self
    }

    /// Sets another weight.
    pub fn weight(mut self, weight: i64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Puts the pool in another group; `None` takes it out of any, as empty text does in Zaqar.
    #[doc(alias = "flavor")]
    pub fn group(mut self, group: impl Into<Option<PoolGroup>>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Replaces the options whole.
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
