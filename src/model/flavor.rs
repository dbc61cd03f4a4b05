//! Flavors: a project's names for groups of pools, which its queues ask for.

use super::{FlavorMarker, FlavorName, Metadata, PoolGroup};
use crate::model::error::{Error, Result};

/// A flavor to register (contract 10).
///
/// ```
/// use zaqar_sled::{NewFlavor, PoolGroup};
///
/// let flavor = NewFlavor::of(PoolGroup::new("ssd")?);
/// assert_eq!(flavor.pool_group, Some(PoolGroup::new("ssd")?));
/// assert_eq!(NewFlavor::new().pool_group, None);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NewFlavor {
    /// The group of pools that the flavor stands for, which must have pools. `None`: the group of
    /// the flavor's own name, which need not have pools yet, as in Zaqar since 8.0.0.
    pub pool_group: Option<PoolGroup>,
    /// A description of the flavor for the operator. The engine keeps it and does not read it.
    pub capabilities: Metadata,
}

impl NewFlavor {
    /// A flavor that stands for the group of its own name.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(NewFlavor::new().pool_group, None);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A flavor that stands for the given group.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let flavor = NewFlavor::of(PoolGroup::new("fast")?);
    /// assert_eq!(flavor.pool_group, Some(PoolGroup::new("fast")?));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn of(group: PoolGroup) -> Self {
        Self { pool_group: Some(group), capabilities: Metadata::new() }
    }

    /// Sets the description.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let text = Metadata::new().with("disk", "nvme")?;
    /// assert_eq!(NewFlavor::new().capabilities(text.clone()).capabilities, text);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn capabilities(mut self, capabilities: Metadata) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// A registered flavor.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
/// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
/// let flavor = engine.flavors().get(&shop, &gold, true)?;
/// assert_eq!((flavor.name(), flavor.pool_group().as_str()), (&gold, "gold"));
/// assert!(flavor.capabilities().is_some_and(|text| text.is_empty()));
/// assert_eq!(flavor.marker().name(), &gold);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flavor {
    pub(crate) name: FlavorName,
    pub(crate) pool_group: PoolGroup,
    pub(crate) capabilities: Option<Metadata>,
}

impl Flavor {
    /// The flavor's name.
    pub fn name(&self) -> &FlavorName {
        &self.name
    }

    /// The group of pools that the flavor stands for.
    pub fn pool_group(&self) -> &PoolGroup {
        &self.pool_group
    }

    /// The flavor's description, if the call was `detailed`.
    pub fn capabilities(&self) -> Option<&Metadata> {
        self.capabilities.as_ref()
    }

    /// The position just after this flavor: a listing with it starts at the next one.
    pub fn marker(&self) -> FlavorMarker {
        self.name.clone().into()
    }
}

/// Changes of a flavor; fields that are not set stay as they are.
///
/// ```
/// use zaqar_sled::{FlavorUpdate, PoolGroup};
///
/// let update = FlavorUpdate::new().pool_group(PoolGroup::new("nvme")?);
/// assert_eq!(update.capabilities, None);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlavorUpdate {
    /// A new group of pools, which must have pools.
    pub pool_group: Option<PoolGroup>,
    /// A new description, which replaces the former one.
    pub capabilities: Option<Metadata>,
}

impl FlavorUpdate {
    /// An update without changes, which the call refuses until a field is set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = FlavorUpdate::new();
    /// assert_eq!((update.pool_group, update.capabilities), (None, None));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a new group of pools.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = FlavorUpdate::new().pool_group(PoolGroup::new("nvme")?);
    /// assert_eq!(update.pool_group, Some(PoolGroup::new("nvme")?));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn pool_group(mut self, group: PoolGroup) -> Self {
        self.pool_group = Some(group);
        self
    }

    /// Replaces the description.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let update = FlavorUpdate::new().capabilities(Metadata::new());
    /// assert_eq!(update.capabilities, Some(Metadata::new())); // removes the description
    /// ```
    pub fn capabilities(mut self, capabilities: Metadata) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    pub(crate) fn check_not_empty(&self) -> Result<()> {
        if self.pool_group.is_none() && self.capabilities.is_none() {
            return Err(Error::invalid("update", "sets neither pool group nor capabilities"));
        }
        Ok(())
    }
}
