//! The calls that explain, and the listings of claims and projects.

use zaqar_sled::{Availability, ClaimEntry, ClaimMarker, Explanation, ListOptions, Page};

use crate::calls::{Pick, QueueRef, project_of};
use crate::pair::{Check, Pair, equal, same};

impl Pair<'_> {
    pub(crate) fn explain(&mut self, queue_ref: QueueRef, id: Pick) -> Check {
        let queue_ref = self.messages.queue_of(queue_ref, id);
        let (project, name, id) = (queue_ref.project(), queue_ref.name(), self.message(id));
        self.each(
            |engine| engine.diagnostics().explain(&project, &name, &id.0),
            |model| model.diagnostics().explain(&project, &name, &id.1),
            Self::explanation,
        )
    }

    pub(crate) fn list_claims(&mut self, queue_ref: QueueRef, limit: usize) -> Check {
        let (project, name, options) = (queue_ref.project(), queue_ref.name(), ListOptions::new().limit(limit));
        self.both(
            |driver| driver.diagnostics().claims(&project, &name, &options),
            |pair, engine: &Page<ClaimEntry, ClaimMarker>, model: &Page<ClaimEntry, ClaimMarker>| {
                equal((engine.items.len(), engine.next.is_some()), (model.items.len(), model.next.is_some()))?;
                engine.items.iter().zip(&model.items).try_for_each(|(engine, model)| {
                    equal(pair.claims.of_engine.get(&engine.id()), Some(&model.id()))?;
                    let told = |claim: &ClaimEntry| (claim.ttl(), claim.age(), claim.expires(), claim.messages());
                    equal(told(engine), told(model))
                })
            },
        )
    }

    pub(crate) fn list_projects(&mut self, marker: Option<usize>, limit: usize) -> Check {
        let options = ListOptions::new().marker(marker.map(project_of)).limit(limit);
        self.both(|driver| driver.diagnostics().projects(&options), same)
    }

    fn explanation(&mut self, engine: &Explanation, model: &Explanation) -> Check {
        equal((engine.since(), engine.expires()), (model.since(), model.expires()))?;
        match (engine.availability(), model.availability()) {
            (
                Availability::Claimed { claim, until, .. },
                Availability::Claimed { claim: models_claim, until: models_until, .. },
            ) => equal((self.claims.of_engine.get(claim), until), (Some(models_claim), models_until)),
            (engine, model) => equal(engine, model),
        }
    }
}
