//! The pool controller of the model: contract 9.

use super::{ReferenceModel, Store};
use crate::contract::Pools;
use crate::model::error::{Error, Result};
use crate::model::{
    Capabilities, ListOptions, NewPool, Page, Pool, PoolGroup, PoolMarker, PoolName, PoolUpdate, PoolUri,
};

impl Store {
    /// The pools of a group, by name; for `None`, the pools without a group.
    pub(super) fn pools_of(&self, group: Option<&PoolGroup>) -> impl Iterator<Item = (&PoolName, &NewPool)> {
        self.pools.iter().filter(move |(_, pool)| pool.group.as_ref() == group)
    }

    /// The flavors of all projects that stand for the group, by name.
    fn flavors_of(&self, group: &PoolGroup) -> Vec<&str> {
        let of = self.flavors.iter().filter(|(_, flavor)| flavor.pool_group == *group);
        let mut names: Vec<&str> = of.map(|((_, name), _)| name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Refuses to take the last pool out of a group that a flavor stands for.
    fn check_may_leave(&self, name: &PoolName) -> Result<()> {
        let group = self.pools.get(name).and_then(|pool| pool.group.as_ref());
        let Some(group) = group.filter(|group| self.pools_of(Some(group)).count() == 1) else { return Ok(()) };
        let flavors = self.flavors_of(group);
        if flavors.is_empty() {
            return Ok(());
        }
        Err(Error::PoolInUseByFlavor { pool: name.clone(), flavor: flavors.join(", ") })
    }
}

impl ReferenceModel {
    /// The capabilities of a pool at `uri`.
    fn promised(&self, uri: &PoolUri) -> Capabilities {
        uri.capabilities().unwrap_or_else(|| self.own_capabilities())
    }

    /// Checks the pool's group and store against those of the other pools.
    fn check_beside_others(&self, store: &Store, name: &PoolName, pool: &NewPool) -> Result<()> {
        let own = self.promised(&pool.uri);
        let mut beside = store.pools_of(pool.group.as_ref()).filter(|(other, _)| *other != name);
        if beside.any(|(_, other)| self.promised(&other.uri) != own) {
            return Err(Error::PoolCapabilitiesMismatch { pool: name.clone() });
        }
        let mut others = store.pools.iter().filter(|(other, _)| *other != name);
        match others.find(|(_, other)| other.uri.location() == pool.uri.location()) {
            Some((other, _)) => Err(Error::PoolAlreadyExists { pool: name.clone(), other: other.clone() }),
            None => Ok(()),
        }
    }
}

impl Pools for ReferenceModel {
    fn create(&self, name: &PoolName, pool: &NewPool) -> Result<()> {
        let (mut store, _) = self.enter()?;
        self.limits.check_metadata(pool.options.to_json().len())?;
        pool.uri.settings(&pool.options)?;
        self.check_beside_others(&store, name, pool)?;
        if store.pools.get(name).is_some_and(|former| former.group != pool.group) {
            store.check_may_leave(name)?;
        }
        store.pools.insert(name.clone(), pool.clone());
        store.forget_memory();
        Ok(())
    }

    fn get(&self, name: &PoolName, detailed: bool) -> Result<Pool> {
        let (store, _) = self.enter()?;
        let pool = store.pools.get(name).ok_or_else(|| no_pool(name))?;
        Ok(record(name, pool, detailed))
    }

    fn exists(&self, name: &PoolName) -> Result<bool> {
        let (store, _) = self.enter()?;
        Ok(store.pools.contains_key(name))
    }

    fn list(&self, options: &ListOptions<PoolMarker>) -> Result<Page<Pool, PoolMarker>> {
        let (store, _) = self.enter()?;
        self.limits.check_page_limit(options.limit)?;
        let behind = |name: &PoolName| options.marker.as_ref().is_none_or(|marker| name > marker.name());
        let pools = store.pools.iter().filter(|(name, _)| behind(name)).take(options.most());
        let items: Vec<_> = pools.map(|(name, pool)| record(name, pool, options.detailed)).collect();
        let next = items.last().map(Pool::marker);
        Ok(Page { items, next })
    }

    fn get_pools_by_group(&self, group: Option<&PoolGroup>, detailed: bool) -> Result<Vec<Pool>> {
        let (store, _) = self.enter()?;
        Ok(store.pools_of(group).map(|(name, pool)| record(name, pool, detailed)).collect())
    }

    fn update(&self, name: &PoolName, update: &PoolUpdate) -> Result<()> {
        let (mut store, _) = self.enter()?;
        update.check_not_empty()?;
        let former = store.pools.get(name).ok_or_else(|| no_pool(name))?.clone();
        update.options.as_ref().map_or(Ok(()), |options| self.limits.check_metadata(options.to_json().len()))?;
        let pool = NewPool {
            uri: update.uri.clone().unwrap_or(former.uri),
            weight: update.weight.unwrap_or(former.weight),
            group: update.group.clone().unwrap_or(former.group),
            options: update.options.clone().unwrap_or(former.options),
        };
        pool.uri.settings(&pool.options)?;
        if update.uri.is_some() || update.group.is_some() {
            self.check_beside_others(&store, name, &pool)?;
        }
        if store.pools.get(name).is_some_and(|former| former.group != pool.group) {
            store.check_may_leave(name)?;
        }
        store.pools.insert(name.clone(), pool);
        store.forget_memory();
        Ok(())
    }

    fn delete(&self, name: &PoolName) -> Result<()> {
        let (mut store, _) = self.enter()?;
        store.check_may_leave(name)?;
        store.pools.remove(name);
        store.forget_memory();
        Ok(())
    }

    fn capabilities(&self, group: Option<&PoolGroup>, name: Option<&PoolName>) -> Result<Capabilities> {
        let (store, _) = self.enter()?;
        let pool = match name {
            Some(name) => Some(store.pools.get(name).ok_or_else(|| no_pool(name))?),
            None => store.pools_of(group).next().map(|(_, pool)| pool),
        };
        Ok(pool.map(|pool| self.promised(&pool.uri)).unwrap_or_default())
    }

    fn drop_all(&self) -> Result<()> {
        let (mut store, _) = self.enter()?;
        store.pools.clear();
        store.forget_memory();
        Ok(())
    }
}

/// The pool as a caller sees it.
fn record(name: &PoolName, pool: &NewPool, detailed: bool) -> Pool {
    Pool {
        name: name.clone(),
        uri: pool.uri.clone(),
        weight: pool.weight,
        group: pool.group.clone(),
        options: detailed.then(|| pool.options.clone()),
    }
}

pub(super) fn no_pool(pool: &PoolName) -> Error {
    Error::PoolDoesNotExist { pool: pool.clone() }
}
