//! An engine as the controllers see it: one store.

use super::site::{Access, Claimed, Done, Site};
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{ClaimOptions, Durability, Project, QueueName};
use crate::store::{Locked, Store};

impl Site for Engine {
    fn home(&self) -> &Store {
        self.store()
    }

    fn durability(&self) -> Durability {
        Self::durability(self)
    }

    fn is_pooled(&self) -> bool {
        false
    }

    fn with_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        access: Access,
        call: impl FnOnce(&mut Locked<'_>) -> Result<Done<R>>,
    ) -> Result<Option<R>> {
        let store = self.store().enter_queue(project, name)?;
        if access == Access::Fill {
            store.await_room()?;
        }
        let done = store.with_queue(project, name, call);
        store.keep_within_budget();
        let done = done?;
        let wake = |most| store.wake(project, name, most);
        done.map(|done| done.settle(&store, self.durability(), wake)).transpose()
    }

    fn with_subscriptions<R>(
        &self,
        project: &Project,
        name: &QueueName,
        _: Access,
        call: impl FnOnce(&Store, u64) -> Result<Done<R>>,
    ) -> Result<Option<R>> {
        let store = self.store().enter_queue(project, name)?;
        call(&store, 0)?.settle(&store, self.durability(), |_| {}).map(Some)
    }

    fn claim_and_move(&self, project: &Project, name: &QueueName, options: &ClaimOptions) -> Result<Option<Claimed>> {
        self.move_within(project, name, options)
    }
}
