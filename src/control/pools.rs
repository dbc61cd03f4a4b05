//! The pool controller (contract 9).

use std::path::PathBuf;

use crate::contract::{DataDriver, Pools};
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{
    Capabilities, FlavorName, ListOptions, Location, Metadata, NewPool, Page, Pool, PoolGroup, PoolMarker, PoolName,
    PoolUpdate, PoolUri,
};
use crate::state::op::{Change, Op};
use crate::state::{PoolRow, Registry, pool_name};
use crate::storage::journal::Growth;
use crate::storage::keys;

impl Pools for Engine {
    fn create(&self, name: &PoolName, pool: &NewPool) -> Result<()> {
        let store = self.store().enter()?;
        let NewPool { uri, weight, group, options } = pool;
        self.check_options(uri, options)?;
        let _one = store.registering.lock();
        self.check_fits(name, uri, group.as_ref())?;
        let row = PoolRow {
            uri: uri.as_str().to_owned(),
            weight: *weight,
            group: group.as_ref().map(ToString::to_string),
            options: options.to_json(),
            store: None,
        };
        self.put(name, row, false)
    }

    fn get(&self, name: &PoolName, detailed: bool) -> Result<Pool> {
        let _call = self.store().enter()?;
        let registry = self.store().registry.read();
        let row = registry.pools.get(name.as_str().as_bytes()).ok_or_else(|| missing(name))?;
        row.pool(name.clone(), detailed)
    }

    fn exists(&self, name: &PoolName) -> Result<bool> {
        let _call = self.store().enter()?;
        Ok(self.store().registry.read().pools.contains(name.as_str().as_bytes()))
    }

    fn list(&self, options: &ListOptions<PoolMarker>) -> Result<Page<Pool, PoolMarker>> {
        let _call = self.store().enter()?;
        self.store().limits.check_page_limit(options.limit)?;
        let registry = self.store().registry.read();
        let after = options.marker.as_ref().map(|marker| marker.name().as_str().as_bytes());
        let rows = registry.pools.range(b"", after).take(options.most());
        let items: Vec<Pool> = rows.map(|(key, row)| named(key, row, options.detailed)).collect::<Result<_>>()?;
        let next = items.last().map(Pool::marker);
        Ok(Page { items, next })
    }

    fn get_pools_by_group(&self, group: Option<&PoolGroup>, detailed: bool) -> Result<Vec<Pool>> {
        let _call = self.store().enter()?;
        let registry = self.store().registry.read();
        in_group(&registry, group).map(|(key, row)| named(key, row, detailed)).collect()
    }

    fn update(&self, name: &PoolName, update: &PoolUpdate) -> Result<()> {
        let store = self.store().enter()?;
        update.check_not_empty()?;
        let _one = store.registering.lock();
        let row = store.registry.read().pools.get(name.as_str().as_bytes()).cloned();
        let old = row.ok_or_else(|| missing(name))?.pool(name.clone(), true)?;
        let uri = update.uri.as_ref().unwrap_or(&old.uri);
        let group = update.group.as_ref().unwrap_or(&old.group);
        let options = update.options.as_ref().or(old.options.as_ref()).cloned().unwrap_or_default();
        self.check_options(uri, &options)?;
        if update.uri.is_some() || update.group.is_some() {
            self.check_fits(name, uri, group.as_ref())?;
        }
        let row = PoolRow {
            uri: uri.as_str().to_owned(),
            weight: update.weight.unwrap_or(old.weight),
            group: group.as_ref().map(ToString::to_string),
            options: options.to_json(),
            store: None,
        };
        self.put(name, row, true)
    }

    fn delete(&self, name: &PoolName) -> Result<()> {
        let store = self.store().enter()?;
        let mut registry = store.lock_registry();
        let Some(row) = registry.pools.get(name.as_str().as_bytes()) else {
            drop(registry);
            return store.wait_seen_durable(self.durability());
        };
        check_may_leave(&registry, name, row.group.as_deref())?;
        let op = Op::Registry(Change::DeletePool { name: name.as_str().into() });
        let lsn = registry.record(Growth::Frees, &op, &mut [])?;
        drop(registry);
        store.wait_durable(lsn, self.durability())
    }

    fn capabilities(&self, group: Option<&PoolGroup>, name: Option<&PoolName>) -> Result<Capabilities> {
        let _call = self.store().enter()?;
        let registry = self.store().registry.read();
        let group = match name {
            None => group.map(PoolGroup::as_str),
            Some(name) => {
                let row = registry.pools.get(name.as_str().as_bytes()).ok_or_else(|| missing(name))?;
                row.group.as_deref()
            }
        };
        let first = in_named_group(&registry, group).next();
        first.map_or_else(|| Ok(Capabilities::default()), |(_, row)| Ok(self.promised(&PoolUri::new(&row.uri)?)))
    }

    fn drop_all(&self) -> Result<()> {
        let _call = self.store().enter()?;
        self.record_change(Growth::Frees, Change::DropPools)
    }
}

impl Engine {
    /// Records a change of the registry that needs no check.
    pub(super) fn record_change(&self, growth: Growth, change: Change<'_>) -> Result<()> {
        let lsn = self.store().lock_registry().record(growth, &Op::Registry(change), &mut [])?;
        self.store().wait_durable(lsn, self.durability())
    }

    /// Registers a pool. If the place stays the same, the pool keeps its store. With `must_exist`, one that was deleted
    /// while the new place was checked stays deleted.
    fn put(&self, name: &PoolName, mut pool: PoolRow, must_exist: bool) -> Result<()> {
        let mut registry = self.store().lock_registry();
        let before = registry.pools.get(name.as_str().as_bytes());
        if must_exist && before.is_none() {
            return Err(missing(name));
        }
        if let Some(before) = before.filter(|before| before.group != pool.group) {
            check_may_leave(&registry, name, before.group.as_deref())?;
        }
        pool.store = before.filter(|row| is_same_place(&row.uri, &pool.uri)).and_then(|row| row.store);
        let change = Change::PutPool { name: name.as_str().into(), pool };
        let lsn = registry.record(Growth::Grows, &Op::Registry(change), &mut [])?;
        drop(registry);
        self.store().wait_durable(lsn, self.durability())
    }

    fn check_options(&self, uri: &PoolUri, options: &Metadata) -> Result<()> {
        self.store().limits.check_metadata(options.to_json().len())?;
        uri.settings(options).map(drop)
    }

    /// The capabilities of a store at `uri`.
    fn promised(&self, uri: &PoolUri) -> Capabilities {
        uri.capabilities().unwrap_or_else(|| DataDriver::capabilities(self))
    }

    /// Checks that the pool has its group's capabilities and a store of its own. This reads directories, so no call of
    /// the data plane may wait for it: the caller holds `registering` and not the registry.
    fn check_fits(&self, name: &PoolName, uri: &PoolUri, group: Option<&PoolGroup>) -> Result<()> {
        let others: Vec<(PoolName, PoolRow)> = {
            let registry = self.store().registry.read();
            let others = registry.pools.iter().filter(|(key, _)| *key != name.as_str().as_bytes());
            others.map(|(key, row)| Ok((pool_name(key)?, row.clone()))).collect::<Result<_>>()?
        };
        let group = group.map(PoolGroup::as_str);
        if let Some((_, mate)) = others.iter().find(|(_, row)| row.group.as_deref() == group)
            && self.promised(&PoolUri::new(&mate.uri)?) != self.promised(uri)
        {
            return Err(Error::PoolCapabilitiesMismatch { pool: name.clone() });
        }
        let place = self.place_of(uri);
        let store = &self.store();
        check_apart(&place, &Location::Directory(store.context.disk.canonical(&store.root)))?;
        for (other, row) in others {
            let taken = self.place_of(&PoolUri::new(&row.uri)?);
            if taken == place {
                return Err(Error::PoolAlreadyExists { pool: name.clone(), other });
            }
            check_apart(&place, &taken)?;
        }
        Ok(())
    }

    /// The place of the URI's store, the same for every spelling of the URI.
    fn place_of(&self, uri: &PoolUri) -> Location {
        match uri.location() {
            Location::Directory(path) => {
                let canonical: PathBuf = self.store().context.disk.canonical(path);
                Location::Directory(canonical)
            }
            elsewhere => elsewhere.clone(),
        }
    }
}

/// Refuses a pool whose directory is inside another store's, or contains it, because a store removes obsolete files
/// from its own directory.
fn check_apart(one: &Location, other: &Location) -> Result<()> {
    match (one, other) {
        (Location::Directory(one), Location::Directory(other)) if one.starts_with(other) || other.starts_with(one) => {
            Err(Error::invalid("uri", "a pool's directory cannot lie within another store's, nor contain it"))
        }
        _ => Ok(()),
    }
}

pub(super) fn missing(name: &PoolName) -> Error {
    Error::PoolDoesNotExist { pool: name.clone() }
}

/// Refuses to take the last pool out of a group that a flavor stands for.
fn check_may_leave(registry: &Registry, pool: &PoolName, group: Option<&str>) -> Result<()> {
    let flavors = flavors_of(registry, group)?;
    if flavors.is_empty() || in_named_group(registry, group).count() > 1 {
        return Ok(());
    }
    Err(Error::PoolInUseByFlavor { pool: pool.clone(), flavor: flavors.join(", ") })
}

fn is_same_place(one: &str, other: &str) -> bool {
    one == other
        || PoolUri::new(one).is_ok_and(|one| PoolUri::new(other).is_ok_and(|other| one.location() == other.location()))
}

pub(super) fn named(key: &[u8], row: &PoolRow, detailed: bool) -> Result<Pool> {
    row.pool(pool_name(key)?, detailed)
}

fn in_group<'a>(registry: &'a Registry, group: Option<&PoolGroup>) -> impl Iterator<Item = (&'a [u8], &'a PoolRow)> {
    in_named_group(registry, group.map(PoolGroup::as_str))
}

/// The pools of a group, by name; for `None`, the pools without a group.
pub(super) fn in_named_group<'a>(
    registry: &'a Registry,
    group: Option<&str>,
) -> impl Iterator<Item = (&'a [u8], &'a PoolRow)> {
    registry.pools.iter().filter(move |(_, row)| row.group.as_deref() == group)
}

/// The names of the flavors of a group.
fn flavors_of(registry: &Registry, group: Option<&str>) -> Result<Vec<String>> {
    let Some(group) = group else { return Ok(Vec::new()) };
    let flavors = registry.flavors.iter().filter(|(_, row)| row.pool_group == group);
    let name = |key: &[u8]| keys::parse_named(key).ok_or_else(|| Error::invalid("flavor", "is stored under no name"));
    let names = flavors.map(|(key, _)| FlavorName::new(name(key)?.1).map(|name| name.to_string()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    // As in Zaqar, whatever their projects.
    names.sort();
    Ok(names)
}
