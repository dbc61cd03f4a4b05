//! An engine as the controllers see it: one store.

use super::backend::{Access, Answer, Backend, Claimed};
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{ClaimOptions, Durability, Project, QueueName};
use crate::store::{Locked, Store};

impl Backend for Engine {
    fn control_store(&self) -> &Store {
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
        call: impl FnOnce(&mut Locked<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let store = self.store().enter_queue(project, name)?;
        if access == Access::Fill {
            store.wait_for_admission()?;
        }
        let done = store.with_queue(project, name, call);
        store.keep_within_budget();
        let done = done?;
        let wake = |most| store.wake(project, name, most);
        done.map(|done| done.wait_durable(&store, self.durability(), wake)).transpose()
    }

    fn with_subscriptions<R>(
        &self,
        project: &Project,
        name: &QueueName,
        _: Access,
        call: impl FnOnce(&Store, u64) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let store = self.store().enter_queue(project, name)?;
        call(&store, 0)?.wait_durable(&store, self.durability(), |_| {}).map(Some)
    }

    fn claim_and_move(&self, project: &Project, name: &QueueName, options: &ClaimOptions) -> Result<Option<Claimed>> {
        self.move_within(project, name, options)
    }
}
