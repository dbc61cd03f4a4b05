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

    /// A move to another pool changes the order of the claims, so in a pooled driver they are listed whole.
    pub(crate) fn list_claims(&mut self, queue_ref: QueueRef, limit: usize) -> Check {
        let is_pooled = self.case.is_pooled();
        let limit = if is_pooled && !self.case.zaqar_limits { 0 } else { limit };
        let (project, name, options) = (queue_ref.project(), queue_ref.name(), ListOptions::new().limit(limit));
        self.both(
            |driver| driver.diagnostics().list_claims(&project, &name, &options),
            |pair, engine: &Page<ClaimEntry, ClaimMarker>, model: &Page<ClaimEntry, ClaimMarker>| {
                equal((engine.items.len(), engine.next.is_some()), (model.items.len(), model.next.is_some()))?;
                let told = |claim: &ClaimEntry| (claim.ttl(), claim.age(), claim.expires(), claim.messages());
                let mut engines = Vec::new();
                for claim in &engine.items {
                    let id = pair.claims.of_engine.get(&claim.id()).ok_or("a claim that no call has made")?;
                    engines.push((*id, told(claim)));
                }
                let mut models: Vec<_> = model.items.iter().map(|claim| (claim.id(), told(claim))).collect();
                if is_pooled {
                    engines.sort_by_key(|claim| claim.0);
                    models.sort_by_key(|claim| claim.0);
                }
                if is_pooled && pair.case.zaqar_limits { Ok(()) } else { equal(engines, models) }
            },
        )
    }

    pub(crate) fn list_projects(&mut self, marker: Option<usize>, limit: usize) -> Check {
        let options = ListOptions::new().marker(marker.map(project_of)).limit(limit);
        self.both(|driver| driver.diagnostics().list_projects(&options), same)
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
