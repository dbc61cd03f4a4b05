//! The accounts of projects with a quota, over all pools.
//!
//! 1. A side of a queue is counted while the queue is mapped to its pool. A change of the catalogue, a deletion, a move and
//!    the opening or the removal of a pool take the sides of the queues that they concern in or out.
//! 2. The sides of a pool that cannot be reached are counted when its store is opened.
//!
//! Cost: nothing while no project has had a quota; otherwise one lock of each side concerned.

use std::sync::Arc;

use crate::data::backend::Access;
use crate::engine::Engine;
use crate::model::Project;
use crate::model::error::Result;
use crate::state::Mapping;
use crate::storage::keys;
use crate::store::Locked;

use super::pool::Pool;
use super::shared::Shared;
use super::sides::Side;

impl Shared {
    /// Calls `visit` for the side of each queue of the project, locked as it is in the pool that the queue is mapped to.
    /// What cannot be reached is left out.
    pub(super) fn visit_sides(
        &self,
        project: &Project,
        visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>,
    ) -> Result<()> {
        for key in self.keys_of(project) {
            self.visit_side(&key, None, visit)?;
        }
        Ok(())
    }

    /// Counts the sides of all projects with a quota, in every pool that can be opened. Nobody else has the driver.
    pub(super) fn count_all(&self) {
        self.count_in(None);
    }

    /// Counts the sides of a pool whose store has been opened, and that no other call has yet.
    pub(super) fn count_pool(&self, pool: &Pool) {
        self.count_in(Some(pool));
    }

    fn count_in(&self, only: Option<&Pool>) {
        for key in self.limited_projects().iter().flat_map(|project| self.keys_of(project)) {
            // A side that cannot be found now is counted by the first call that finds it.
            let _ = self.visit_side(&key, only, &mut |queue| {
                queue.join_account();
                Ok(())
            });
        }
    }

    /// Ends the counting of the sides of a pool that is not used any more.
    pub(super) fn discount_pool(&self, pool: &Pool) {
        for key in self.limited_projects().iter().flat_map(|project| self.keys_of(project)) {
            let is_its = |mapping: &Arc<Mapping>| mapping.pool.as_str() == pool.name;
            if self.control.store().registry.read().catalogue.get(&key).is_some_and(is_its) {
                leave_account(pool.engine(), &key);
            }
        }
    }

    /// Counts the queue of that key in the pool that it is mapped to, and in no other, after a change of that.
    pub(super) fn recount(&self, key: &[u8]) {
        let accounts = self.control.store().accounts();
        if !accounts.are_unused() && keys::parse_queue(key).is_some_and(|(project, _)| accounts.get(&project).is_some())
        {
            while !self.recount_once(key) {}
        }
    }

    /// As [`Self::recount`]; false if the mapping has changed meanwhile.
    fn recount_once(&self, key: &[u8]) -> bool {
        let mapping = || self.control.store().registry.read().catalogue.get(key).cloned();
        let (before, mut place) = (mapping(), None);
        // In its new place first, so that its messages never count nowhere. If that cannot be found, they count nowhere.
        let _ = self.visit_side(key, None, &mut |queue| {
            queue.join_account();
            place = Some(queue.store().id());
            Ok(())
        });
        let elsewhere = self.engines().into_iter().filter(|engine| Some(engine.store().id()) != place);
        elsewhere.for_each(|engine| leave_account(&engine, key));
        match (before, mapping()) {
            (Some(before), Some(now)) => Arc::ptr_eq(&before, &now),
            (before, now) => before.is_none() && now.is_none(),
        }
    }

    /// Recounts every queue of the projects that have a quota.
    pub(super) fn recount_all(&self) {
        for project in self.limited_projects() {
            let mut all = self.keys_of(&project);
            for engine in self.engines() {
                all.extend(engine.store().slots_of(&project).iter().map(|slot| slot.key.to_vec()));
            }
            all.sort_unstable();
            all.dedup();
            all.iter().for_each(|key| self.recount(key));
        }
    }

    /// The projects that have a quota.
    fn limited_projects(&self) -> Vec<Project> {
        self.control.store().accounts().projects()
    }

    /// The keys of the project's queues and topics that may have content.
    fn keys_of(&self, project: &Project) -> Vec<Vec<u8>> {
        let control = self.control.store();
        // Queues of the virtual pool have no mapping, and those of them that have messages are in memory.
        let unmapped = if self.config.virtual_pool { control.slots_of(project) } else { Vec::new() };
        let mut found: Vec<Vec<u8>> = unmapped.iter().map(|slot| slot.key.to_vec()).collect();
        let registry = control.registry.read();
        for prefix in [keys::project(project), keys::topics(project)] {
            found.extend(registry.catalogue.range(&prefix, None).map(|(key, _)| key.to_vec()));
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// As [`Self::visit_sides`], for one key; `only` if the side is in that pool.
    fn visit_side(
        &self,
        key: &[u8],
        only: Option<&Pool>,
        visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>,
    ) -> Result<()> {
        while let Some(route) = self.route(key)? {
            let pool = match only {
                Some(pool) if route.mapping.as_ref().is_none_or(|mapping| mapping.pool.as_str() != pool.name) => {
                    return Ok(());
                }
                Some(pool) => pool,
                None => match self.pool_of(&route) {
                    Ok(pool) => &*pool.clone(),
                    Err(_) => return Ok(()),
                },
            };
            let Ok(Side::There(slot)) = self.side(pool, &route) else { return Ok(()) };
            let Some(mut locked) = pool.store().lock_as_is(&slot) else { return Ok(()) };
            // Otherwise the queue has been mapped to another pool meanwhile.
            if self.holds(&route, pool, Access::Read)? {
                return visit(&mut locked);
            }
        }
        Ok(())
    }
}

/// Ends the counting of what a store has under that key.
fn leave_account(engine: &Engine, key: &[u8]) {
    let slot = engine.store().directory.read().names.get(key).cloned();
    if let Some(mut queue) = slot.as_ref().and_then(|slot| engine.store().lock_as_is(slot)) {
        queue.leave_account();
    }
}
