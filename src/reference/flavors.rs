//! The flavor controller of the model: contract 10.

use super::rows::FlavorModel;
use super::{ReferenceModel, Store};
use crate::contract::Flavors;
use crate::model::error::{Error, Result};
use crate::model::{Flavor, FlavorMarker, FlavorName, FlavorUpdate, ListOptions, NewFlavor, Page, PoolGroup, Project};

impl Store {
    pub(super) fn flavor(&self, project: &Project, name: &FlavorName) -> Option<&FlavorModel> {
        self.flavors.get(&(project.clone(), name.clone()))
    }

    /// Checks that a named group has pools.
    fn check_group(&self, group: Option<&PoolGroup>) -> Result<()> {
        match group {
            Some(group) if self.pools_of(Some(group)).next().is_none() => {
                Err(Error::PoolGroupDoesNotExist { group: group.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Flavors for ReferenceModel {
    fn create(&self, project: &Project, name: &FlavorName, flavor: &NewFlavor) -> Result<()> {
        let (mut store, _) = self.enter()?;
        self.limits.check_project(project)?;
        self.limits.check_metadata(flavor.capabilities.to_json().len())?;
        store.check_group(flavor.pool_group.as_ref())?;
        let own = PoolGroup::new(name)?;
        let pool_group = flavor.pool_group.clone().unwrap_or(own);
        let flavor = FlavorModel { pool_group, capabilities: flavor.capabilities.clone() };
        store.flavors.insert((project.clone(), name.clone()), flavor);
        Ok(())
    }

    fn get(&self, project: &Project, name: &FlavorName, detailed: bool) -> Result<Flavor> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        let flavor = store.flavor(project, name).ok_or_else(|| no_flavor(project, name))?;
        Ok(flavor.record(name, detailed))
    }

    fn exists(&self, project: &Project, name: &FlavorName) -> Result<bool> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        Ok(store.flavor(project, name).is_some())
    }

    fn list(&self, project: &Project, options: &ListOptions<FlavorMarker>) -> Result<Page<Flavor, FlavorMarker>> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        self.limits.check_page_limit(options.limit)?;
        let behind = |name: &FlavorName| options.marker.as_ref().is_none_or(|marker| name > marker.name());
        let flavors = store.flavors.iter().filter(|((of, name), _)| of == project && behind(name));
        let flavors = flavors.take(options.most());
        let items: Vec<_> = flavors.map(|((_, name), flavor)| flavor.record(name, options.detailed)).collect();
        let next = items.last().map(Flavor::marker);
        Ok(Page { items, next })
    }

    fn update(&self, project: &Project, name: &FlavorName, update: &FlavorUpdate) -> Result<()> {
        let (mut store, _) = self.enter()?;
        self.limits.check_project(project)?;
        update.check_not_empty()?;
        update.capabilities.as_ref().map_or(Ok(()), |given| self.limits.check_metadata(given.to_json().len()))?;
        let flavor = store.flavors.get_mut(&(project.clone(), name.clone()));
        let flavor = flavor.ok_or_else(|| no_flavor(project, name))?;
        if let Some(group) = &update.pool_group {
            flavor.pool_group = group.clone();
        }
        if let Some(capabilities) = &update.capabilities {
            flavor.capabilities = capabilities.clone();
        }
        Ok(())
    }

    fn delete(&self, project: &Project, name: &FlavorName) -> Result<()> {
        let (mut store, _) = self.enter()?;
        self.limits.check_project(project)?;
        store.flavors.remove(&(project.clone(), name.clone()));
        Ok(())
    }

    fn drop_all(&self) -> Result<()> {
        let (mut store, _) = self.enter()?;
        store.flavors.clear();
        Ok(())
    }
}

pub(super) fn no_flavor(project: &Project, flavor: &FlavorName) -> Error {
    Error::FlavorDoesNotExist { project: project.clone(), flavor: flavor.clone() }
}
