//! The quotas of projects, and what they hold.

use crate::contract::Projects;
use crate::model::error::Result;
use crate::model::{Project, ProjectQuota, ProjectUsage};
use crate::state::op::{Change, Op};
use crate::state::{Load, QuotaRow};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Locked, Store};

use super::backend::{Answer, Backend};

impl<S: Backend> Projects for S {
    fn set_quota(&self, project: &Project, quota: &ProjectQuota) -> Result<()> {
        self.with_queues(&[], |_| {
            let store = self.control_store();
            store.limits.check_project(project)?;
            let _one = store.accounts().changing.lock();
            let answer = match QuotaRow::of(quota) {
                Some(row) => limit(self, store, project, row)?,
                None => unlimit(store, project)?,
            };
            // There may be room now.
            store.waiters.wake_posters(&keys::project(project));
            Ok((answer, Vec::new()))
        })
    }

    fn quota(&self, project: &Project) -> Result<ProjectQuota> {
        self.with_queues(&[], |_| {
            let store = self.control_store();
            store.limits.check_project(project)?;
            let row = store.registry.read().quotas.get(&keys::quota(project.name())).copied();
            Ok((Answer::at_once(row.map(QuotaRow::quota).unwrap_or_default()), Vec::new()))
        })
    }

    fn usage(&self, project: &Project) -> Result<ProjectUsage> {
        self.with_queues(&[], |_| {
            self.control_store().limits.check_project(project)?;
            usage(self, project).map(|usage| (Answer::at_once(usage), Vec::new()))
        })
    }
}

/// Gives a project a quota with limits, and an account, if it has none yet.
fn limit(backend: &impl Backend, store: &Store, project: &Project, row: QuotaRow) -> Result<Answer<()>> {
    let accounts = store.accounts();
    let (account, is_new) = match accounts.get(project) {
        Some(account) => (account, false),
        None => (accounts.open(project, ProjectQuota::default())?, true),
    };
    let begins = account.begin_to_limit(&row.quota());
    // Every queue is locked once: to be counted, or because a post may not have seen that it is limited now.
    let counted = if is_new || begins { count(backend, project) } else { Ok(()) };
    let recorded = counted.and_then(|()| {
        let mut registry = store.lock_registry();
        // No post is decided by the former quota any more once this one is recorded.
        let mut present = account.lock_quota();
        let lsn = registry.record(Growth::Grows, &change(project, Some(row)), &mut [])?;
        *present = row.quota();
        Ok(lsn)
    });
    if recorded.is_err() && is_new {
        accounts.close(project);
    }
    recorded.map(|lsn| Answer::changed((), lsn))
}

/// Counts the project's queues in its account, where they are not, and waits for the posts to them that have begun.
fn count(backend: &impl Backend, project: &Project) -> Result<()> {
    backend.visit_queues(project, &mut |queue| {
        queue.join_account();
        Ok(())
    })
}

/// Ends a project's quota.
fn unlimit(store: &Store, project: &Project) -> Result<Answer<()>> {
    let mut registry = store.lock_registry();
    if registry.quotas.get(&keys::quota(project.name())).is_none() {
        return Ok(Answer::seen(()));
    }
    let lsn = registry.record(Growth::Frees, &change(project, None), &mut [])?;
    // A post that has found the account is decided without limits.
    if let Some(account) = store.accounts().get(project) {
        *account.lock_quota() = ProjectQuota::default();
    }
    store.accounts().close(project);
    Ok(Answer::changed((), lsn))
}

fn change(project: &Project, quota: Option<QuotaRow>) -> Op<'_> {
    Op::Registry(Change::SetQuota { project: project.name().map(Into::into), quota })
}

fn usage(backend: &impl Backend, project: &Project) -> Result<ProjectUsage> {
    let store = backend.control_store();
    while let Some(account) = store.accounts().get(project) {
        store.count_queues_for(project)?;
        collect(backend, project)?;
        // Otherwise something has fallen due meanwhile.
        if let Some(usage) = account.usage(store.now()) {
            return Ok(usage);
        }
    }
    let counts = [keys::project(project), keys::topics(project)].map(|prefix| store.count_queues_of(&prefix));
    let [queues, topics] = counts;
    let Load { messages, bytes } = held(backend, project)?;
    Ok(ProjectUsage { queues: queues?.saturating_add(topics?), messages, bytes })
}

/// What the queues of a project without an account hold, at an instant at which nothing is due in them.
fn held(backend: &impl Backend, project: &Project) -> Result<Load> {
    loop {
        let (mut load, mut next_due) = (Load::default(), u64::MAX);
        backend.visit_queues(project, &mut |queue| {
            queue.advance_to_lock()?;
            load = load.and(Load::from(queue.totals()));
            next_due = next_due.min(queue.next_due().unwrap_or(u64::MAX));
            Ok(())
        })?;
        if next_due > backend.control_store().now() {
            return Ok(load);
        }
    }
}

/// Collects what has expired in the queues of projects that have a quota. Returns whether the next refusal may count what
/// is left, because it cannot be read.
pub(super) fn collect_expired<'p>(backend: &impl Backend, projects: impl Iterator<Item = &'p Project>) -> Result<bool> {
    let mut is_last = false;
    backend.with_queues(&[], |_| {
        for project in projects {
            is_last |= collect(backend, project).is_err();
        }
        Ok((Answer::at_once(()), Vec::new()))
    })?;
    Ok(is_last)
}

fn collect(backend: &impl Backend, project: &Project) -> Result<()> {
    let store = backend.control_store();
    let Some(account) = store.accounts().get(project) else { return Ok(()) };
    let due = account.due_by(store.now());
    if due.is_empty() {
        return Ok(());
    }
    let (engines, mut outcome) = (backend.engines(), Ok(()));
    for (slot, id) in due {
        let engine = engines.iter().find(|engine| engine.store().id() == id);
        // The lock advances the queue.
        match engine.map_or(Ok(None), |engine| engine.store().lock(&slot)) {
            Ok(Some(_)) => {}
            // Deleted, or in a pool that is not used any more.
            Ok(None) => account.forget_due(&slot),
            Err(error) => outcome = Err(error),
        }
    }
    outcome
}

/// Calls `visit` for each of these queues that is there.
pub(crate) fn visit_slots<'s>(
    store: &Store,
    slots: impl IntoIterator<Item = &'s std::sync::Arc<crate::store::QueueSlot>>,
    visit: &mut dyn FnMut(&mut Locked<'_>) -> Result<()>,
) -> Result<()> {
    slots.into_iter().try_for_each(|slot| store.lock_as_is(slot).map_or(Ok(()), |mut queue| visit(&mut queue)))
}
