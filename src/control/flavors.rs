//! The flavor controller (contract 10).

use crate::contract::Flavors;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{
    Flavor, FlavorMarker, FlavorName, FlavorUpdate, ListOptions, Metadata, NewFlavor, Page, PoolGroup, Project,
};
use crate::state::op::{Change, Op};
use crate::state::{FlavorRow, Registry};
use crate::storage::journal::Growth;
use crate::storage::keys;

use super::pools::in_named_group;

impl Flavors for Engine {
    fn create(&self, project: &Project, name: &FlavorName, flavor: &NewFlavor) -> Result<()> {
        let store = self.store().enter_project(project)?;
        store.limits.check_metadata(flavor.capabilities.to_json().len())?;
        let mut registry = store.lock_registry();
        check_group(&registry, flavor.pool_group.as_ref())?;
        let row = FlavorRow {
            pool_group: flavor.pool_group.as_ref().map_or(name.as_str(), PoolGroup::as_str).to_owned(),
            capabilities: flavor.capabilities.to_json(),
        };
        let lsn = registry.record(Growth::Grows, &put(project, name, row), &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
    }

    fn get(&self, project: &Project, name: &FlavorName, detailed: bool) -> Result<Flavor> {
        let _call = self.store().enter_project(project)?;
        let registry = self.store().registry.read();
        let row = registry.flavors.get(&key(project, name)).ok_or_else(|| missing(project, name))?;
        record(name.clone(), row, detailed)
    }

    fn exists(&self, project: &Project, name: &FlavorName) -> Result<bool> {
        let _call = self.store().enter_project(project)?;
        Ok(self.store().registry.read().flavors.contains(&key(project, name)))
    }

    fn list(&self, project: &Project, options: &ListOptions<FlavorMarker>) -> Result<Page<Flavor, FlavorMarker>> {
        let _call = self.store().enter_project(project)?;
        self.store().limits.check_page_limit(options.limit)?;
        let registry = self.store().registry.read();
        let prefix = keys::project(project);
        let after = options.marker.as_ref().map(|marker| key(project, marker.name()));
        let rows = registry.flavors.range(&prefix, after.as_deref()).take(options.most());
        let named = |(key, row): (&[u8], &FlavorRow)| {
            let (_, name) = keys::parse_named(key)?;
            Some(FlavorName::new(name).and_then(|name| record(name, row, options.detailed)))
        };
        let items: Vec<Flavor> = rows.filter_map(named).collect::<Result<_>>()?;
        let next = items.last().map(Flavor::marker);
        Ok(Page { items, next })
    }

    fn update(&self, project: &Project, name: &FlavorName, update: &FlavorUpdate) -> Result<()> {
        let store = self.store().enter_project(project)?;
        update.check_not_empty()?;
        let capabilities = update.capabilities.as_ref().map(Metadata::to_json);
        store.limits.check_metadata(capabilities.as_ref().map_or(0, String::len))?;
        let mut registry = store.lock_registry();
        let row = registry.flavors.get(&key(project, name)).cloned();
        let mut row = row.ok_or_else(|| missing(project, name))?;
        if let Some(group) = &update.pool_group {
            row.pool_group = group.to_string();
        }
        if let Some(capabilities) = capabilities {
            row.capabilities = capabilities;
        }
        let lsn = registry.record(Growth::Grows, &put(project, name, row), &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
    }

    fn delete(&self, project: &Project, name: &FlavorName) -> Result<()> {
        let store = self.store().enter_project(project)?;
        let mut registry = store.lock_registry();
        if !registry.flavors.contains(&key(project, name)) {
            drop(registry);
            return store.wait_seen_durable(self.durability());
        }
        let change = Change::DeleteFlavor { project: project.name().map(Into::into), name: name.as_str().into() };
        let lsn = registry.record(Growth::Frees, &Op::Registry(change), &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
    }

    fn drop_all(&self) -> Result<()> {
        let _call = self.store().enter()?;
        self.record_change(Growth::Frees, Change::DropFlavors)
    }
}

fn key(project: &Project, name: &FlavorName) -> Vec<u8> {
    keys::named(project.name(), name.as_str())
}

fn put<'a>(project: &'a Project, name: &'a FlavorName, flavor: FlavorRow) -> Op<'a> {
    Op::Registry(Change::PutFlavor { project: project.name().map(Into::into), name: name.as_str().into(), flavor })
}

pub(crate) fn missing(project: &Project, name: &FlavorName) -> Error {
    Error::FlavorDoesNotExist { project: project.clone(), flavor: name.clone() }
}

/// Checks that a named group has pools.
fn check_group(registry: &Registry, group: Option<&PoolGroup>) -> Result<()> {
    match group {
        Some(group) if in_named_group(registry, Some(group.as_str())).next().is_none() => {
            Err(Error::PoolGroupDoesNotExist { group: group.clone() })
        }
        _ => Ok(()),
    }
}

fn record(name: FlavorName, row: &FlavorRow, detailed: bool) -> Result<Flavor> {
    Ok(Flavor {
        name,
        pool_group: PoolGroup::new(&row.pool_group)?,
        capabilities: detailed.then(|| Metadata::from_json(&row.capabilities)).transpose()?,
    })
}
