//! Flavors: names a project gives to groups of pools, for its queues to ask for.

use super::{FlavorMarker, FlavorName, Metadata, PoolGroup};
use crate::model::error::{Error, Result};

/// What to register under a flavor's name.
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
    /// The group of pools it stands for, which must have pools. `None`: the group of the flavor's own name, which need
    /// not have any yet, as in Zaqar since 8.0.0.
    pub pool_group: Option<PoolGroup>,
    /// What it promises, in words of the operator's; kept and not looked at.
    pub capabilities: Metadata,
}

impl NewFlavor {
    /// The flavor of the pools that name it: its group is its own name.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flavor that stands for that group.
    pub fn of(group: PoolGroup) -> Self {
        Self { pool_group: Some(group), capabilities: Metadata::new() }
    }

    /// Sets what it promises.
    pub fn capabilities(mut self, capabilities: Metadata) -> Self {
        self.capabilities = capabilities;
        self
    }
}

/// A flavor as it is registered.
///
/// ```
/// # use zaqar_sled::{Config, ControlDriver, FlavorName, NewFlavor, Project, SimulatedDisk};
/// # let engine = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).open("store")?;
/// let (shop, gold) = (Project::named("shop")?, FlavorName::new("gold")?);
/// engine.flavors().create(&shop, &gold, &NewFlavor::new())?;
/// let flavor = engine.flavors().get(&shop, &gold, true)?;
/// assert_eq!((flavor.name(), flavor.pool_group().as_str()), (&gold, "gold"));
/// assert!(flavor.capabilities().is_some_and(|capabilities| capabilities.is_empty()));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flavor {
    pub(crate) name: FlavorName,
    pub(crate) pool_group: PoolGroup,
    pub(crate) capabilities: Option<Metadata>,
}

impl Flavor {
    /// Its name.
    pub fn name(&self) -> &FlavorName {
        &self.name
    }

    /// The group of pools it stands for.
    pub fn pool_group(&self) -> &PoolGroup {
        &self.pool_group
    }

    /// What it promises, if that was asked for.
    pub fn capabilities(&self) -> Option<&Metadata> {
        self.capabilities.as_ref()
    }

    /// Where a listing goes on after this one.
    pub fn marker(&self) -> FlavorMarker {
        self.name.clone().into()
    }
}

/// What to change of a flavor; what is not set stays as it is.
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
    /// Another group of pools.
    pub pool_group: Option<PoolGroup>,
    /// Other capabilities, in place of all former ones.
    pub capabilities: Option<Metadata>,
}

impl FlavorUpdate {
    /// Changes nothing yet; an update has to set something.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names another group.
    pub fn pool_group(mut self, group: PoolGroup) -> Self {
        self.pool_group = Some(group);
        self
    }

    /// Replaces the capabilities whole.
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
