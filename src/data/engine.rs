//! An engine as the controllers see it: one store.

use super::backend::{Access, Answer, Backend, NamedQueue, Other};
use super::dead_letters::{DeadLetterQueue, TargetQueue};
use super::pauses::redescribe;
use super::projects::visit_slots;
use super::queues::missing;
use crate::engine::Engine;
use crate::model::error::Result;
use crate::model::{Durability, Metadata, Project, QueueName};
use crate::state::Description;
use crate::store::{Locked, Store, Together};

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

    fn has_queue(&self, project: &Project, name: &QueueName) -> Result<bool> {
        Ok(self.store().enter()?.find(project, name)?.is_some())
    }

    fn redescribe(
        &self,
        project: &Project,
        name: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        let store = self.store().enter_queue(project, name)?;
        let lsn = store.with_queue(project, name, |queue| redescribe(queue, change))?;
        store.wake_all_of(project, name);
        store.wait_durable(lsn.ok_or_else(|| missing(project, name))?, self.durability())
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
        let done = store.with_queue(project, name, |queue| {
            queue.join_account();
            call(queue)
        });
        store.keep_within_budget();
        let done = done?;
        let wake = |most| store.wake(project, name, most);
        done.map(|done| done.wait_durable(&store, self.durability(), wake)).transpose()
    }

    fn with_queues<R>(
        &self,
        named: &[NamedQueue<'_>],
        call: impl FnOnce(&mut Together<'_>) -> Result<(Answer<R>, Vec<usize>)>,
    ) -> Result<R> {
        let store = self.store().enter()?;
        if named.iter().any(|queue| queue.access == Access::Fill) {
            store.wait_for_admission()?;
        }
        let done = with_locked(&store, named, call);
        store.keep_within_budget();
        let (done, wake) = done?;
        named.iter().zip(wake).for_each(|(queue, most)| store.wake(queue.project, queue.name, most));
        done.wait_durable(&store, self.durability(), |_| {})
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

    fn write_out(&self, project: &Project, name: &QueueName) -> Result<()> {
        let store = self.store().enter()?;
        store.find(project, name)?.map_or(Ok(()), |slot| store.write_out(&slot))
    }

    fn next_subscribed(&self, after: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let store = self.store().enter()?;
        Ok(store.registry.read().subscriptions.next_queue(after))
    }

    fn engines(&self) -> Vec<Engine> {
        vec![self.clone()]
    }

    fn visit_queues(&self, project: &Project, visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>) -> Result<()> {
        visit_slots(self.store(), &self.store().slots_of(project), visit)
    }

    fn with_other_queue<R>(
        &self,
        project: &Project,
        name: &QueueName,
        other: Other<'_>,
        call: impl FnOnce(&mut Locked<'_>, DeadLetterQueue<'_>) -> Result<Answer<R>>,
    ) -> Result<Option<R>> {
        let store = self.store().enter()?;
        let Some(slot) = store.find(project, name)? else { return Ok(None) };
        let to = |description: &Description| other.name(&description.settings);
        let Some(target) = slot.description().and_then(|description| to(&description)) else { return Ok(None) };
        let there = store.find(project, &target)?;
        if other.has_to_exist() {
            if there.is_none() {
                return Ok(None);
            }
            store.wait_for_admission()?;
        }
        let Some((mut queue, mut locked)) = store.lock_with(&slot, there.as_ref())? else { return Ok(None) };
        queue.join_account();
        locked.iter_mut().for_each(Locked::join_account);
        if to(queue.description()).as_ref() != Some(&target) {
            return Ok(None);
        }
        let missing = || TargetQueue::Missing { project: project.clone(), name: target.clone(), number: None };
        let dead = DeadLetterQueue { target: locked.map_or_else(missing, TargetQueue::Present), destination: None };
        let done = call(&mut queue, dead);
        drop(queue);
        store.keep_within_budget();
        done?.wait_durable(&store, self.durability(), |moved| store.wake(project, &target, moved)).map(Some)
    }
}

/// Runs a call on the queues of these names, all locked.
fn with_locked<R>(
    store: &Store,
    named: &[NamedQueue<'_>],
    call: impl FnOnce(&mut Together<'_>) -> Result<R>,
) -> Result<R> {
    loop {
        let slots = named.iter().map(|queue| store.find(queue.project, queue.name)).collect::<Result<Vec<_>>>()?;
        let slots: Vec<_> = slots.iter().map(Option::as_ref).collect();
        // Otherwise one of them was deleted between the look-up and the lock.
        if let Some(mut queues) = store.lock_all(&slots)? {
            queues.join_accounts();
            return call(&mut queues);
        }
    }
}
