//! Diagnostics: answers for the people who operate queues.

use crate::contract::Diagnostics;
use crate::model::error::Result;
use crate::model::{
    ClaimEntry, ClaimId, ClaimMarker, Explanation, ListOptions, MessageId, Page, Project, QueueName, Timestamp,
};
use crate::state::Claim;
use crate::storage::keys;

use super::backend::{Access, Answer, Backend};
use super::queues::missing;

impl<S: Backend> Diagnostics for S {
    fn explain(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Explanation> {
        let explained = self.with_queue(project, queue, Access::Read, |queue| {
            let (description, unassigned) = (queue.description().clone(), queue.unassigned());
            queue.explain(*id, &description.settings, unassigned, queue.now()).map(Answer::at_once)
        })?;
        explained.ok_or_else(|| missing(project, queue))
    }

    fn list_claims(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<ClaimMarker>,
    ) -> Result<Page<ClaimEntry, ClaimMarker>> {
        self.control_store().limits.check_page_limit(options.limit)?;
        let listed = self.with_queue(project, queue, Access::Read, |queue| {
            let live = queue.claims().behind(options.marker.map(|marker| marker.0)).take(options.most());
            Ok(Answer::at_once(live.map(|(number, claim)| entry(number, claim, queue.now())).collect::<Vec<_>>()))
        })?;
        let items = listed.ok_or_else(|| missing(project, queue))?;
        let next = items.last().map(ClaimEntry::marker);
        Ok(Page { items, next })
    }

    fn list_projects(&self, options: &ListOptions<Project>) -> Result<Page<Project, Project>> {
        let store = self.control_store().enter()?;
        store.limits.check_page_limit(options.limit)?;
        // The outbox is not a queue of a project.
        let outbox = keys::queue(&Project::none(), &QueueName::outbox());
        let (mut items, mut last) = (Vec::new(), options.marker.clone());
        while items.len() < options.most() {
            let behind = last.as_ref().map(keys::behind_project).unwrap_or_default();
            let mut next = None;
            for start in keys::QUEUES.iter().filter(|start| behind.first() <= start.first()) {
                if next.is_none() {
                    let after = if behind.starts_with(start) { &behind } else { &start[..] };
                    next = store.list(start, after, 1, |key| key != outbox)?.pop();
                }
            }
            let Some((project, _)) = next.and_then(|queue| keys::parse_queue(queue.key())) else { break };
            items.push(project.clone());
            last = Some(project);
        }
        let next = items.last().cloned();
        Ok(Page { items, next })
    }
}

fn entry(number: u64, claim: &Claim, now: u64) -> ClaimEntry {
    ClaimEntry {
        id: ClaimId::from_bytes(claim.id),
        number,
        ttl: claim.ttl,
        age: claim.age(now),
        expires: Timestamp::from_millis(claim.expires),
        messages: claim.left.into(),
    }
}
