//! The quotas of projects in the model: what a project holds is counted whenever it matters.

use super::queue::MessageModel;
use super::{ReferenceModel, Store};
use crate::contract::Projects;
use crate::data::bounds::Load;
use crate::model::error::{Error, Result};
use crate::model::{BatchStep, Project, ProjectQuota, ProjectUsage, Timestamp};

impl Projects for ReferenceModel {
    fn set_quota(&self, project: &Project, quota: &ProjectQuota) -> Result<()> {
        let (mut store, _) = self.enter()?;
        self.limits.check_project(project)?;
        store.quotas.insert(project.clone(), *quota);
        Ok(())
    }

    fn quota(&self, project: &Project) -> Result<ProjectQuota> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        Ok(store.quotas.get(project).copied().unwrap_or_default())
    }

    fn usage(&self, project: &Project) -> Result<ProjectUsage> {
        let (mut store, now) = self.enter()?;
        self.limits.check_project(project)?;
        let Load { messages, bytes } = store.held(project, now);
        Ok(ProjectUsage { queues: store.count_queues(project), messages, bytes })
    }
}

impl Store {
    /// The messages of the project's queues and topics that callers can see.
    fn held(&mut self, project: &Project, now: Timestamp) -> Load {
        let names: Vec<_> = self.queues.keys().filter(|(of, _)| of == project).map(|(_, name)| name.clone()).collect();
        let mut load = Load::default();
        for name in names {
            // The messages of a queue without a registered pool cannot be reached.
            if let Ok(Some(queue)) = self.contents(project, &name) {
                load = queue.live(now).map(MessageModel::load).fold(load, Load::and);
            }
        }
        load
    }

    fn count_queues(&self, project: &Project) -> u64 {
        self.queues.keys().filter(|(of, _)| of == project).count() as u64
    }

    /// Checks that the project may have another queue or topic.
    pub(super) fn check_new_queue(&self, project: &Project) -> Result<()> {
        let limit = self.quotas.get(project).and_then(|quota| quota.max_queues);
        match limit.filter(|limit| self.count_queues(project) >= *limit) {
            Some(limit) => Err(full(project, "queues", limit)),
            None => Ok(()),
        }
    }

    /// Checks that the projects that the steps have posted to hold no more than they may.
    pub(super) fn check_quotas(&mut self, steps: &[BatchStep], now: Timestamp) -> Result<()> {
        let posts = |step: &&BatchStep| matches!(step, BatchStep::Post { messages, .. } if !messages.is_empty());
        let mut projects: Vec<_> = steps.iter().filter(posts).map(BatchStep::project).collect();
        projects.sort_unstable();
        projects.into_iter().try_for_each(|project| self.check_quota(project, now))
    }

    /// Checks that the project holds no more messages than it may.
    pub(super) fn check_quota(&mut self, project: &Project, now: Timestamp) -> Result<()> {
        let Some(quota) = self.quotas.get(project).copied() else { return Ok(()) };
        let load = self.held(project, now);
        for (what, limit, size) in
            [("messages", quota.max_messages, load.messages), ("bytes", quota.max_bytes, load.bytes)]
        {
            if let Some(limit) = limit.filter(|limit| size > *limit) {
                return Err(full(project, what, limit));
            }
        }
        Ok(())
    }
}

fn full(project: &Project, what: &'static str, limit: u64) -> Error {
    Error::ProjectIsFull { project: project.clone(), what, limit }
}
