//! The claim controller of the model: contract 7.

use super::{ReferenceModel, Store};
use crate::contract::Claims;
use crate::data::claims::check_claimable;
use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::{ClaimId, ClaimOptions, ClaimRecord, Pause, Project, QueueName, Timestamp};

impl ReferenceModel {
    pub(super) fn check_claim(&self, options: &ClaimOptions, now: Timestamp) -> Result<()> {
        self.limits.check_claim(options)?;
        check_times(now, "ttl", &[options.ttl, options.grace])
    }

    pub(super) fn renew_at(
        &self,
        store: &mut Store,
        now: Timestamp,
        project: &Project,
        queue: &QueueName,
        id: ClaimId,
        options: &ClaimOptions,
    ) -> Result<()> {
        let source = store.contents(project, queue)?.filter(|queue| queue.live_claim(id, now).is_some());
        let source = source.ok_or_else(|| no_claim(project, queue, id))?;
        self.check_claim(&options.clone().limit(1), now)?;
        source.renew(id, options, now);
        Ok(())
    }
}

impl Claims for ReferenceModel {
    fn create(&self, project: &Project, queue: &QueueName, options: &ClaimOptions) -> Result<Option<ClaimRecord>> {
        check_claimable(queue)?;
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.check_claim(options, now)?;
        let id = store.new_claim_id();
        let Some(source) = store.contents(project, queue)? else {
            return Ok(None);
        };
        if source.settings.pause.is_some_and(Pause::stops_claims) {
            return Ok(None);
        }
        let dead = source.claim(queue, id, options, now);
        let record = source.claim_record(id, now);
        if let Some(name) = source.settings.dead_letter_queue.clone().filter(|_| !dead.is_empty()) {
            store.send(project, &name, dead, now);
        }
        Ok(record)
    }

    fn get(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<ClaimRecord> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let source = store.contents(project, queue)?.filter(|queue| queue.live_claim(*id, now).is_some());
        source.and_then(|queue| queue.claim_record(*id, now)).ok_or_else(|| no_claim(project, queue, *id))
    }

    fn update(&self, project: &Project, queue: &QueueName, id: &ClaimId, options: &ClaimOptions) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.renew_at(&mut store, now, project, queue, *id, options)
    }

    fn delete(&self, project: &Project, queue: &QueueName, id: &ClaimId) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        if let Some(queue) = store.contents(project, queue)? {
            queue.release(*id, now);
        }
        Ok(())
    }
}

pub(super) fn no_claim(project: &Project, queue: &QueueName, id: ClaimId) -> Error {
    Error::ClaimDoesNotExist { project: project.clone(), queue: queue.clone(), id }
}
