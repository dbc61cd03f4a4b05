//! The calls that explain.

use zaqar_sled::{Availability, Explanation};

use crate::calls::{Pick, QueueRef};
use crate::pair::{Check, Pair, equal};

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
