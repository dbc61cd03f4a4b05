//! Why a message can or cannot be claimed. The queue has been advanced to now.

use crate::model::error::Result;
use crate::model::settings::ParsedSettings;
use crate::model::ttl::FOREVER;
use crate::model::{Availability, ClaimId, Explanation, MessageId, Pause, Timestamp};

use super::bucket::Quota;
use super::page::{Hold, Page};
use super::page_content::MessageSlot;
use super::queue::Queue;

impl Queue {
    /// Explains the message by the queue's settings. Sequences from `unassigned` on have not been assigned.
    pub(crate) fn explain(
        &self,
        id: MessageId,
        settings: &ParsedSettings,
        unassigned: u64,
        now: u64,
    ) -> Result<Explanation> {
        if id.queue != self.number() {
            return Ok(Explanation::without_message(Availability::OtherQueue));
        }
        if id.sequence >= unassigned {
            return Ok(Explanation::without_message(Availability::NeverPosted));
        }
        let place = match self.locate(id.sequence) {
            Err(error) if error.is_corrupt() => return Ok(Explanation::without_message(Availability::Damaged)),
            located => located?,
        };
        let found = place.and_then(|(page, index)| Some((page, index, page.slot(index)?)));
        let gone = || Explanation::without_message(Availability::Gone);
        Ok(found.map_or_else(gone, |(page, index, slot)| self.explain_slot(page, index, slot, settings, now)))
    }

    fn explain_slot(
        &self,
        page: &Page,
        index: usize,
        slot: &MessageSlot,
        settings: &ParsedSettings,
        now: u64,
    ) -> Explanation {
        let instant = Timestamp::from_millis;
        let holder = page.holder(index).and_then(|number| self.claims().get(number));
        let (availability, since) = if let Some(claim) = holder {
            let (claim, until, start) = (ClaimId::from_bytes(claim.id), instant(claim.expires), claim.start());
            (Availability::Claimed { claim, until }, Some(start))
        } else if page.hold(index) == Hold::Delayed {
            let posted = (slot.claim_count == 0).then(|| slot.created());
            (Availability::Delayed { until: instant(slot.hold) }, posted)
        } else {
            (if_free(slot.claim_count, settings, Quota::of(settings, self.bucket(), now)), slot.free_since())
        };
        let expires = Some(slot.expires()).filter(|expires| *expires != FOREVER);
        Explanation { availability, since: since.map(instant), expires: expires.map(instant) }
    }
}

/// What the next claim does with a free message that was claimed so often.
fn if_free(claim_count: u32, settings: &ParsedSettings, quota: Option<Quota>) -> Availability {
    if settings.pause.is_some_and(Pause::stops_claims) {
        return Availability::Paused;
    }
    if let Some(quota) = quota.filter(|quota| quota.available() == 0) {
        return Availability::OverRate { until: Timestamp::from_millis(quota.next()) };
    }
    let is_worn_out = settings.most_claims().is_some_and(|most| claim_count >= most);
    match settings.dead_letter_queue.clone().filter(|_| is_worn_out) {
        Some(dead_letter_queue) => Availability::WornOut { dead_letter_queue },
        None => Availability::Waiting,
    }
}
