//! Diagnostics in the model.

use super::ReferenceModel;
use super::queue::{MessageModel, QueueModel};
use super::queues::no_queue;
use crate::contract::Diagnostics;
use crate::model::error::Result;
use crate::model::{Availability, Explanation, MessageId, Project, QueueName, Timestamp};

impl Diagnostics for ReferenceModel {
    fn explain(&self, project: &Project, queue: &QueueName, id: &MessageId) -> Result<Explanation> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        let source = store.contents(project, queue)?.ok_or_else(|| no_queue(project, queue))?;
        let nothing = |availability| Ok(Explanation::without_message(availability));
        match source.find(id, now) {
            Some(message) => Ok(explain(source, message, now)),
            None if id.queue != source.number => nothing(Availability::OtherQueue),
            None if id.sequence > source.posted => nothing(Availability::NeverPosted),
            None => nothing(Availability::Gone),
        }
    }
}

fn explain(queue: &QueueModel, message: &MessageModel, now: Timestamp) -> Explanation {
    let was_claimed = message.claim_count > 0;
    let holder = message.claim.and_then(|id| Some((id, queue.live_claim(id, now)?)));
    let (availability, since) = match holder {
        Some((claim, live)) => (Availability::Claimed { claim, until: live.expires }, Some(live.start())),
        None if message.is_delayed(now) => {
            (Availability::Delayed { until: message.ready }, Some(message.created).filter(|_| !was_claimed))
        }
        None => (if_free(queue, message), Some(message.ready).filter(|_| !was_claimed || message.was_delayed_again)),
    };
    Explanation { availability, since, expires: message.expires }
}

fn if_free(queue: &QueueModel, message: &MessageModel) -> Availability {
    let settings = &queue.settings;
    match (&settings.dead_letter_queue, settings.most_claims()) {
        (Some(name), Some(most)) if message.claim_count >= most => {
            Availability::WornOut { dead_letter_queue: name.clone() }
        }
        _ => Availability::Waiting,
    }
}
