//! Diagnostics in the model.

use super::ReferenceModel;
use super::queue::{MessageModel, QueueModel};
use super::queues::no_queue;
use crate::contract::Diagnostics;
use crate::model::error::Result;
use crate::model::{
    Availability, ClaimEntry, ClaimId, ClaimMarker, Explanation, ListOptions, MessageId, Page, Pause, Project,
    QueueName, Timestamp,
};

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

    fn list_claims(
        &self,
        project: &Project,
        queue: &QueueName,
        options: &ListOptions<ClaimMarker>,
    ) -> Result<Page<ClaimEntry, ClaimMarker>> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        self.limits.check_page_limit(options.limit)?;
        let source = store.contents(project, queue)?.ok_or_else(|| no_queue(project, queue))?;
        // The ids are numbers, in the order of creation.
        let live = source.claims.keys().filter_map(|id| source.claim_entry(*id, number_of(*id), now));
        let behind = live.filter(|claim| options.marker.is_none_or(|marker| marker < claim.marker()));
        let items: Vec<_> = behind.take(options.most()).collect();
        let next = items.last().map(ClaimEntry::marker);
        Ok(Page { items, next })
    }

    fn list_projects(&self, options: &ListOptions<Project>) -> Result<Page<Project, Project>> {
        let (store, _) = self.enter()?;
        self.limits.check_page_limit(options.limit)?;
        let mut items: Vec<Project> =
            store.queues.keys().filter(|(_, name)| !name.is_topic()).map(|(project, _)| project.clone()).collect();
        items.dedup();
        items.retain(|project| options.marker.as_ref().is_none_or(|marker| marker < project));
        items.truncate(options.most());
        let next = items.last().cloned();
        Ok(Page { items, next })
    }
}

/// The number in an id that the model made.
fn number_of(id: ClaimId) -> u64 {
    id.as_bytes().last_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn explain(queue: &QueueModel, message: &MessageModel, now: Timestamp) -> Explanation {
    let was_claimed = message.claim_count > 0;
    let holder = message.claim.and_then(|id| Some((id, queue.live_claim(id, now)?)));
    let (availability, since) = match holder {
        Some((claim, live)) => (Availability::Claimed { claim, until: live.expires }, Some(live.start())),
        None if message.is_delayed(now) => {
            (Availability::Delayed { until: message.ready }, Some(message.created).filter(|_| !was_claimed))
        }
        None => {
            (if_free(queue, message, now), Some(message.ready).filter(|_| !was_claimed || message.was_delayed_again))
        }
    };
    Explanation { availability, since, expires: message.expires }
}

fn if_free(queue: &QueueModel, message: &MessageModel, now: Timestamp) -> Availability {
    let settings = &queue.settings;
    if settings.pause.is_some_and(Pause::stops_claims) {
        return Availability::Paused;
    }
    if let Some(rate) = queue.claim_rate(now).filter(|rate| rate.available == 0) {
        return Availability::OverRate { until: rate.next };
    }
    match (&settings.dead_letter_queue, settings.most_claims()) {
        (Some(name), Some(most)) if message.claim_count >= most => {
            Availability::WornOut { dead_letter_queue: name.clone() }
        }
        _ => Availability::Waiting,
    }
}
