//! One queue of the model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::rates::HandOuts;
use super::store_location::StoreLocation;
use crate::data::bounds::Load;
use crate::model::settings::ParsedSettings;
use crate::model::time::millis;
use crate::model::ttl::FOREVER;
use crate::model::{
    Body, Checksum, ClaimEntry, ClaimId, ClaimOptions, ClaimRate, ClaimRecord, ClientId, DeadLetterOrigin, Envelope,
    Message, MessageId, MessageStat, Metadata, NewMessage, QueueName, QueueStats, Timestamp, Ttl,
};
use crate::state::envelope::encode;

#[derive(Clone)]
pub(super) struct QueueModel {
    pub(super) number: u64,
    pub(super) metadata: Metadata,
    pub(super) settings: ParsedSettings,
    /// The messages in the order of their posts. Expired ones stay until a `gc`.
    pub(super) messages: Vec<MessageModel>,
    pub(super) claims: BTreeMap<ClaimId, ClaimModel>,
    pub(super) posted: u64,
    /// The expired messages that were dropped, by their location.
    expired: BTreeMap<StoreLocation, u64>,
    /// What the claim rate counts, by location.
    hand_outs: BTreeMap<StoreLocation, HandOuts>,
    /// The location of the messages and claims that the current call uses.
    location: StoreLocation,
}

#[derive(Clone)]
pub(super) struct MessageModel {
    pub(super) sequence: u64,
    location: StoreLocation,
    pub(super) created: Timestamp,
    /// `None` if it lives until it is deleted.
    pub(super) expires: Option<Timestamp>,
    /// The end of the delay, until which claims and plain listings do not show the message.
    pub(super) ready: Timestamp,
    /// In milliseconds, as shown.
    pub(super) ttl: u64,
    pub(super) client: ClientId,
    pub(super) body: Body,
    pub(super) checksum: Option<Checksum>,
    /// The last claim of the message, which may have ended.
    pub(super) claim: Option<ClaimId>,
    pub(super) claim_count: u32,
    /// In milliseconds: when it was claimed first and last.
    claimed: (u64, u64),
    /// Whether it was given back with a delay, and has not been claimed since.
    pub(super) was_delayed_again: bool,
    /// Why it was last given back, except for a lease that has run out since.
    failure: Option<Arc<str>>,
    envelope: Envelope,
}

#[derive(Clone)]
pub(super) struct ClaimModel {
    location: StoreLocation,
    /// In milliseconds.
    ttl: u64,
    pub(super) expires: Timestamp,
}

impl ClaimModel {
    /// When the claim was created or last renewed.
    pub(super) fn start(&self) -> Timestamp {
        Timestamp::from_millis(self.expires.as_millis().saturating_sub(self.ttl))
    }
}

impl MessageModel {
    pub(super) fn posted(message: &NewMessage, client: ClientId, checksums: bool, now: Timestamp) -> Self {
        let ttl = message.ttl.unwrap_or(Ttl::Forever);
        Self {
            sequence: 0, // this and the location are given by the queue it is added to
            location: None,
            created: now,
            expires: ttl.duration().map(|ttl| now.saturating_add(ttl)),
            ready: now.saturating_add(message.delay.unwrap_or_default()),
            ttl: ttl.as_millis(),
            client,
            body: message.body().clone(),
            checksum: checksums.then(|| message.checksum()).flatten(),
            claim: None,
            claim_count: 0,
            claimed: (0, 0),
            was_delayed_again: false,
            failure: None,
            envelope: Envelope { headers: message.headers.clone(), origin: None },
        }
    }

    /// The location of the message.
    pub(super) fn location(&self) -> StoreLocation {
        self.location.clone()
    }

    pub(super) fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub(super) fn is_delayed(&self, now: Timestamp) -> bool {
        now < self.ready
    }

    /// The extension rule of contract 7.1: only a message that would expire before the claim is extended.
    fn extend(&mut self, options: &ClaimOptions, now: Timestamp) {
        let claim_ends = now.saturating_add(options.ttl);
        if self.expires.is_some_and(|expires| expires < claim_ends) {
            self.ttl = millis(options.ttl).saturating_add(millis(options.grace));
            self.expires = Some(claim_ends.saturating_add(options.grace));
        }
    }

    /// The message as it arrives in the dead-letter queue.
    fn dead(mut self, source: (&QueueName, u64), ttl: Option<u64>, now: Timestamp) -> Self {
        self.envelope.origin = Some(DeadLetterOrigin {
            queue: source.0.clone(),
            id: MessageId::new(source.1, self.sequence),
            claim_count: self.claim_count,
            reason: self.failure.as_deref().map(str::to_owned),
            moved: now,
            ttl: self.ttl,
        });
        if let Some(ttl) = ttl {
            self.ttl = ttl;
            self.expires = Some(now.saturating_add(Duration::from_millis(ttl)));
        }
        (self.claim, self.ready, self.was_delayed_again) = (None, self.created, false);
        self
    }
}

impl MessageModel {
    /// Bytes of its body and headers.
    fn size(&self) -> u64 {
        (self.body.len() as u64).saturating_add(self.envelope.headers.bytes())
    }

    /// What it counts for the bounds of its queue: its envelope and its checksum as they are stored.
    pub(super) fn load(&self) -> Load {
        // The numbers in a store's ids are large, and take as many bytes as the largest.
        let id = MessageId::new(u64::MAX, u64::MAX);
        let origin = self.origin().map(|origin| DeadLetterOrigin { id, ..origin.clone() });
        let envelope = encode(&self.envelope.headers, origin.as_ref()).map_or(0, |bytes| bytes.len());
        Load::default().plus_new(self.body.len(), envelope, self.checksum.is_some())
    }

    /// Where it comes from, if it is a dead letter.
    pub(super) fn origin(&self) -> Option<&DeadLetterOrigin> {
        self.envelope.origin.as_ref()
    }

    /// The message as it arrives in the queue that it is put back into.
    pub(super) fn revived(mut self, ttl: Option<Ttl>, now: Timestamp) -> Self {
        let before = self.envelope.origin.as_ref().map_or(self.ttl, |origin| origin.ttl);
        self.ttl = ttl.map_or(before, Ttl::as_millis);
        self.expires = (self.ttl != FOREVER).then(|| now.saturating_add(Duration::from_millis(self.ttl)));
        (self.claim, self.ready, self.was_delayed_again) = (None, self.created, false);
        (self.claim_count, self.claimed, self.failure, self.envelope.origin) = (0, (0, 0), None, None);
        self
    }
}

impl QueueModel {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            metadata: Metadata::new(),
            settings: ParsedSettings::default(),
            messages: Vec::new(),
            claims: BTreeMap::new(),
            posted: 0,
            expired: BTreeMap::new(),
            hand_outs: BTreeMap::new(),
            location: None,
        }
    }

    /// The queue with its contents at the location.
    pub(super) fn at(&mut self, location: StoreLocation) -> &mut Self {
        self.location = location;
        self
    }

    /// Drops the contents of locations that no longer exist.
    pub(super) fn forget(&mut self, is_removed: impl Fn(&StoreLocation) -> bool) {
        self.messages.retain(|message| !is_removed(&message.location));
        self.claims.retain(|_, claim| !is_removed(&claim.location));
        self.expired.retain(|location, _| !is_removed(location));
        self.hand_outs.retain(|location, _| !is_removed(location));
    }

    /// Whether there are messages or claims.
    pub(super) fn is_in_use(&self, now: Timestamp) -> bool {
        let is_live = |claim: &ClaimModel| claim.location == self.location && now < claim.expires;
        self.live(now).next().is_some() || self.claims.values().any(is_live)
    }

    /// Moves all contents from one location to another.
    pub(super) fn relocate(&mut self, here: &StoreLocation, there: &StoreLocation) {
        let messages = self.messages.iter_mut().map(|message| &mut message.location);
        let claims = self.claims.values_mut().map(|claim| &mut claim.location);
        messages.chain(claims).filter(|location| *location == here).for_each(|location| location.clone_from(there));
        let expired = self.expired.remove(here).unwrap_or_default();
        self.count_expired(there.clone(), expired);
        if let Some(hand_outs) = self.hand_outs.remove(here) {
            self.hand_outs.insert(there.clone(), hand_outs);
        }
    }

    fn count_expired(&mut self, location: StoreLocation, messages: u64) {
        let count = self.expired.entry(location).or_default();
        *count = count.saturating_add(messages);
    }

    /// Adds a message to the end.
    pub(super) fn push(&mut self, message: MessageModel) -> MessageId {
        self.posted = self.posted.saturating_add(1);
        self.messages.push(MessageModel { sequence: self.posted, location: self.location.clone(), ..message });
        MessageId::new(self.number, self.posted)
    }

    pub(super) fn live(&self, now: Timestamp) -> impl DoubleEndedIterator<Item = &MessageModel> {
        self.messages.iter().filter(move |message| message.location == self.location && message.is_live(now))
    }

    pub(super) fn find(&self, id: &MessageId, now: Timestamp) -> Option<&MessageModel> {
        let found = self.live(now).find(|message| message.sequence == id.sequence);
        found.filter(|_| id.queue == self.number)
    }

    pub(super) fn live_claim(&self, id: ClaimId, now: Timestamp) -> Option<&ClaimModel> {
        self.claims.get(&id).filter(|claim| claim.location == self.location && now < claim.expires)
    }

    /// The live claim the message is under.
    pub(super) fn claim_of(&self, message: &MessageModel, now: Timestamp) -> Option<ClaimId> {
        message.claim.filter(|claim| self.live_claim(*claim, now).is_some())
    }

    /// The messages that a claim or a pop would take now.
    pub(super) fn claimable(&self, limit: usize, bytes: u64, now: Timestamp) -> Vec<MessageModel> {
        let free = |message: &&MessageModel| !message.is_delayed(now) && self.claim_of(message, now).is_none();
        within(bytes, self.live(now).filter(free).take(limit)).cloned().collect()
    }

    /// How many messages the claim rate lets a call hand out.
    pub(super) fn allowed(&self, now: Timestamp) -> usize {
        self.claim_rate(now).map_or(usize::MAX, |rate| usize::try_from(rate.available).unwrap_or(usize::MAX))
    }

    pub(super) fn claim_rate(&self, now: Timestamp) -> Option<ClaimRate> {
        let (rate, none) = (self.settings.rate?, HandOuts::default());
        Some(self.hand_outs.get(&self.location).unwrap_or(&none).shown(rate, now))
    }

    /// Counts messages that are handed out.
    pub(super) fn hand_out(&mut self, messages: usize, now: Timestamp) {
        if let Some(rate) = self.settings.rate.filter(|_| messages > 0) {
            self.hand_outs.entry(self.location.clone()).or_default().add(rate, now, messages);
        }
    }

    pub(super) fn remove(&mut self, sequences: &[u64]) {
        self.messages.retain(|message| !sequences.contains(&message.sequence));
    }

    /// Claims messages of the queue of that name under the id; returns the messages that go to the dead-letter queue
    /// instead.
    pub(super) fn claim(
        &mut self,
        name: &QueueName,
        id: ClaimId,
        options: &ClaimOptions,
        now: Timestamp,
    ) -> Vec<MessageModel> {
        let most = self.settings.most_claims();
        let allowed = self.allowed(now);
        if allowed == 0 {
            return Vec::new();
        }
        let (mut dead, mut taken) = (Vec::new(), Vec::new());
        for message in self.claimable(options.limit, options.max_bytes, now) {
            if most.is_some_and(|most| message.claim_count >= most) {
                dead.push(message);
            } else if taken.len() < allowed {
                taken.push(message);
            } else {
                break;
            }
        }
        self.remove(&sequences(&dead));
        self.hand_out(taken.len(), now);
        if !taken.is_empty() {
            self.hold(&sequences(&taken), id, now);
            self.renew(id, options, now);
        }
        let (source, ttl) = ((name, self.number), self.settings.dead_letter_ttl);
        let failed = |message: MessageModel| MessageModel { failure: self.failure_of(&message, now), ..message };
        dead.into_iter().map(|message| failed(message).dead(source, ttl, now)).collect()
    }

    fn hold(&mut self, sequences: &[u64], id: ClaimId, now: Timestamp) {
        self.claims.insert(id, ClaimModel { location: self.location.clone(), ttl: 0, expires: now });
        for index in 0..self.messages.len() {
            let Some(message) = self.messages.get(index).filter(|message| sequences.contains(&message.sequence)) else {
                continue;
            };
            let (failure, time) = (self.failure_of(message, now), now.as_millis());
            let Some(message) = self.messages.get_mut(index) else { continue };
            message.failure = failure;
            (message.claim, message.was_delayed_again) = (Some(id), false);
            message.claimed = (if message.claim_count == 0 { time } else { message.claimed.0 }, time);
            message.claim_count = message.claim_count.saturating_add(1);
        }
    }

    /// Restarts the claim's time now, and extends its messages' lives where necessary.
    pub(super) fn renew(&mut self, id: ClaimId, options: &ClaimOptions, now: Timestamp) {
        let (ttl, expires) = (millis(options.ttl), now.saturating_add(options.ttl));
        self.claims.insert(id, ClaimModel { location: self.location.clone(), ttl, expires });
        let held = self.messages.iter_mut().filter(|message| message.claim == Some(id) && message.is_live(now));
        held.for_each(|message| message.extend(options, now));
    }

    /// Why the message was last given back. A message that is still marked with a claim that has ended was under it
    /// until its end.
    fn failure_of(&self, message: &MessageModel, now: Timestamp) -> Option<Arc<str>> {
        let has_lapsed = message.claim.is_some() && self.claim_of(message, now).is_none();
        if has_lapsed { Some(Message::LEASE_RAN_OUT.into()) } else { message.failure.clone() }
    }

    /// Gives a claimed message back.
    pub(super) fn give_back(&mut self, sequence: u64, delay: Duration, reason: Option<&str>, now: Timestamp) {
        for message in self.messages.iter_mut().filter(|message| message.sequence == sequence) {
            (message.claim, message.ready) = (None, now.saturating_add(delay));
            message.was_delayed_again = message.ready > now;
            if let Some(reason) = reason {
                message.failure = Some(reason.into());
            }
        }
    }

    /// Puts claimed messages under another claim.
    pub(super) fn hand_over(&mut self, sequences: &[u64], into: ClaimId) {
        let taken = self.messages.iter_mut().filter(|message| sequences.contains(&message.sequence));
        taken.for_each(|message| message.claim = Some(into));
    }

    /// Ends the claim.
    pub(super) fn release(&mut self, id: ClaimId, now: Timestamp) {
        if self.live_claim(id, now).is_some() {
            let held = self.messages.iter_mut().filter(|message| message.claim == Some(id));
            held.for_each(|message| message.claim = None);
        }
        self.claims.retain(|other, claim| *other != id || claim.location != self.location);
    }

    /// The claim with its messages. A claim with a ttl of zero is still returned to the call that created it.
    pub(super) fn claim_record(&self, id: ClaimId, now: Timestamp) -> Option<ClaimRecord> {
        let claim = self.claims.get(&id)?;
        let held = self.live(now).filter(|message| message.claim == Some(id));
        let show = |message: &MessageModel| Message { claim: Some(id), ..self.record(message, now) };
        Some(ClaimRecord {
            id,
            ttl: claim.ttl,
            age: now.as_millis().saturating_sub(claim.start().as_millis()),
            messages: held.map(show).collect(),
        })
    }

    /// The claim in a listing, if it is live.
    pub(super) fn claim_entry(&self, id: ClaimId, number: u64, now: Timestamp) -> Option<ClaimEntry> {
        let claim = self.live_claim(id, now)?;
        let messages = self.live(now).filter(|message| message.claim == Some(id)).count() as u64;
        let age = now.as_millis().saturating_sub(claim.start().as_millis());
        Some(ClaimEntry { id, number, ttl: claim.ttl, age, expires: claim.expires, messages })
    }

    /// The message as a caller sees it.
    pub(super) fn record(&self, message: &MessageModel, now: Timestamp) -> Message {
        Message {
            id: MessageId::new(self.number, message.sequence),
            created: message.created,
            read_at: now,
            ttl: message.ttl,
            body: message.body.clone(),
            claim: self.claim_of(message, now),
            claim_count: message.claim_count,
            claimed: message.claimed,
            failure: self.failure_of(message, now),
            checksum: message.checksum,
            envelope: (!message.envelope.is_empty()).then(|| Arc::new(message.envelope.clone())),
        }
    }

    pub(super) fn stats(&self, now: Timestamp) -> QueueStats {
        let total = self.live(now).count() as u64;
        let claimed = self.live(now).filter(|message| self.claim_of(message, now).is_some()).count() as u64;
        let stat = |message: &MessageModel| MessageStat {
            id: MessageId::new(self.number, message.sequence),
            created: message.created,
            read_at: now,
        };
        QueueStats {
            claimed,
            free: total.saturating_sub(claimed),
            delayed: self.live(now).filter(|message| message.is_delayed(now)).count() as u64,
            expired: self
                .expired
                .get(&self.location)
                .copied()
                .unwrap_or_default()
                .saturating_add(self.expired_now(now)),
            oldest: self.live(now).next().map(stat),
            newest: self.live(now).next_back().map(stat),
            claim_rate: self.claim_rate(now),
        }
    }

    /// The expired messages that are still here.
    fn expired_now(&self, now: Timestamp) -> u64 {
        let here = self.messages.iter().filter(|message| message.location == self.location);
        here.filter(|message| !message.is_live(now)).count() as u64
    }

    /// Drops all messages and claims; returns the number of messages.
    pub(super) fn clear(&mut self, now: Timestamp) -> u64 {
        let count = self.live(now).count() as u64;
        self.expired.remove(&self.location);
        self.messages.retain(|message| message.location != self.location);
        self.claims.retain(|_, claim| claim.location != self.location);
        count
    }

    /// Drops expired messages and claims, and returns how many.
    pub(super) fn drop_expired(&mut self, now: Timestamp) -> (usize, usize) {
        let before = (self.messages.len(), self.claims.len());
        self.count_expired(self.location.clone(), self.expired_now(now));
        self.messages.retain(|message| message.location != self.location || message.is_live(now));
        self.claims.retain(|_, claim| claim.location != self.location || now < claim.expires);
        (before.0.saturating_sub(self.messages.len()), before.1.saturating_sub(self.claims.len()))
    }
}

/// The first messages whose bodies and headers, without the first one's, are at most `bytes` together.
pub(super) fn within<'a>(
    bytes: u64,
    messages: impl Iterator<Item = &'a MessageModel>,
) -> impl Iterator<Item = &'a MessageModel> {
    let mut sum = None;
    messages.take_while(move |message| {
        let more = sum.map_or(0, |sum: u64| sum.saturating_add(message.size()));
        sum = Some(more);
        more <= bytes
    })
}

pub(super) fn sequences(messages: &[MessageModel]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}
