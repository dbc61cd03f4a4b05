//! The contract for calls one after the other, without time: the allowed answers of a call, and the state after it.

use std::collections::{BTreeMap, BTreeSet};

use zaqar_sled::{ClaimId, MessageId};

/// Which of the queues of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Name {
    Work,
    Dead,
    Other,
}

/// A queue's dead-letter rule: the claim count, and the dead-letter queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Rule {
    pub(crate) most: u32,
    pub(crate) to: Name,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    Post(Name, Vec<u32>),
    Claim(Name, usize),
    Pop(Name, usize),
    Get(Name, MessageId),
    Delete(Name, MessageId, Option<ClaimId>),
    BulkDelete(Name, Vec<MessageId>, Vec<ClaimId>),
    Read(Name, ClaimId),
    Release(Name, ClaimId),
    Renew(Name, ClaimId),
    /// Gives one message of a claim back.
    Retry(Name, ClaimId, MessageId),
    /// Puts one message of a claim under a new one.
    Split(Name, ClaimId, MessageId),
    /// A batch: deletes a message, with its claim if one is given, and posts one to the queue `Other`.
    Forward(Name, MessageId, Option<ClaimId>, u32),
    /// A listing, with or without claimed messages.
    List(Name, bool),
    Stats(Name),
    SetMetadata(Name, Option<Rule>),
    Metadata(Name),
    Exists(Name),
    DeleteQueue(Name),
    Create(Name, Option<Rule>),
}

/// A message as an answer shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub(crate) id: MessageId,
    pub(crate) body: u32,
    pub(crate) claim: Option<ClaimId>,
    pub(crate) count: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Done,
    Is(bool),
    Ids(Vec<MessageId>),
    Messages(Vec<Seen>),
    Claimed(Option<(ClaimId, Vec<Seen>)>),
    Stats { claimed: u64, free: u64, oldest: Option<MessageId>, newest: Option<MessageId> },
    Metadata(Option<Rule>),
    NoQueue,
    NoMessage,
    NoClaim,
    IsClaimed,
    NotClaimed,
    NotClaimedBy,
    Conflict,
}

/// The message of an id: its queue and the posted number. A dead letter has an id in each of its two queues.
pub(crate) type Ids = BTreeMap<MessageId, (Name, u32)>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct State {
    queues: BTreeMap<Name, Queue>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Queue {
    rule: Option<Rule>,
    messages: Vec<Message>,
    claims: BTreeSet<ClaimId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Message {
    body: u32,
    claim: Option<ClaimId>,
    count: u32,
}

/// The differences between the drivers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Lists of a queue that is not there are empty, not an error.
    pub(crate) pooled: bool,
    /// Set if dead letters arrive later and in any order; then no call reads them before the end.
    pub(crate) dead_letters_travel: bool,
}

impl State {
    /// The state after the call, if the call may give that answer now.
    pub(crate) fn after(&self, call: &Call, answer: &Answer, ids: &Ids, rules: Rules) -> Option<Self> {
        let mut next = self.clone();
        next.make(call, answer, ids, rules).then_some(next)
    }

    fn make(&mut self, call: &Call, answer: &Answer, ids: &Ids, rules: Rules) -> bool {
        match call {
            Call::Create(name, rule) => return self.create(*name, *rule, answer),
            Call::Exists(name) => return *answer == Answer::Is(self.queues.contains_key(name)),
            Call::DeleteQueue(name) => {
                self.queues.remove(name);
                return *answer == Answer::Done;
            }
            Call::Claim(name, limit) => return self.claim(*name, *limit, answer),
            Call::Forward(name, id, claim, body) => return self.forward((*name, *id, *claim), *body, ids, answer),
            _ => {}
        }
        let Some(queue) = self.queues.get_mut(&call.name()) else { return *answer == missing(call, rules) };
        match call {
            Call::Post(_, bodies) => queue.post(bodies, answer),
            Call::Pop(_, limit) => queue.pop(*limit, answer),
            Call::Get(_, id) => queue.get(*id, ids, answer),
            Call::Delete(_, id, claim) => queue.delete(*id, *claim, ids, answer),
            Call::BulkDelete(_, messages, claims) => queue.bulk_delete(messages, claims, ids, answer),
            Call::Read(_, claim) => queue.read(*claim, answer),
            Call::Release(_, claim) => {
                queue.release(*claim);
                *answer == Answer::Done
            }
            Call::Renew(_, claim) => {
                *answer == if queue.claims.contains(claim) { Answer::Done } else { Answer::NoClaim }
            }
            Call::Retry(_, claim, id) => queue.retry(*claim, *id, ids, answer),
            Call::Split(_, claim, id) => queue.split(*claim, *id, ids, answer),
            Call::List(name, claimed) => {
                let in_any_order = rules.dead_letters_travel && *name != Name::Work;
                queue.list(*claimed, in_any_order, answer)
            }
            Call::Stats(name) => queue.stats(*name, ids, answer),
            Call::SetMetadata(_, rule) => {
                queue.rule = *rule;
                *answer == Answer::Done
            }
            Call::Metadata(_) => *answer == Answer::Metadata(queue.rule),
            Call::Create(..) | Call::Exists(_) | Call::DeleteQueue(_) | Call::Claim(..) | Call::Forward(..) => false,
        }
    }

    /// The deletion and the post, one after the other, or neither. Under a claim, the message has to exist.
    fn forward(
        &mut self,
        (name, id, claim): (Name, MessageId, Option<ClaimId>),
        body: u32,
        ids: &Ids,
        answer: &Answer,
    ) -> bool {
        let mut next = self.clone();
        let source = next.queues.get(&name);
        if let Some(claim) = claim
            && source.is_none_or(|queue| queue.find(id, ids).is_none())
        {
            let lives = source.is_some_and(|queue| queue.claims.contains(&claim));
            return *answer == if lives { Answer::NoMessage } else { Answer::NoClaim };
        }
        if let Some(source) = next.queues.get_mut(&name)
            && !source.delete(id, claim, ids, &Answer::Done)
        {
            return source.delete(id, claim, ids, answer);
        }
        let Some(target) = next.queues.get_mut(&Name::Other) else { return *answer == Answer::NoQueue };
        let is_posted = target.post(&[body], answer);
        *self = next;
        is_posted
    }

    fn create(&mut self, name: Name, rule: Option<Rule>, answer: &Answer) -> bool {
        let is_new = !self.queues.contains_key(&name);
        if is_new {
            self.queues.insert(name, Queue { rule, ..Queue::default() });
        }
        *answer == Answer::Is(is_new)
    }

    fn claim(&mut self, name: Name, limit: usize, answer: &Answer) -> bool {
        let Answer::Claimed(claimed) = answer else { return false };
        let Some(queue) = self.queues.get_mut(&name) else { return claimed.is_none() };
        let worn_out = |message: &Message| queue.rule.is_some_and(|rule| message.count >= rule.most);
        let chosen: Vec<Message> = queue.free().take(limit).copied().collect();
        let (dead, mut taken): (Vec<Message>, Vec<Message>) = chosen.into_iter().partition(worn_out);
        queue.messages.retain(|message| !dead.contains(message));
        if let Some((id, _)) = claimed {
            taken.iter_mut().for_each(|message| (message.claim, message.count) = (Some(*id), message.count + 1));
            let is_taken = |message: &&mut Message| taken.iter().any(|one| one.body == message.body);
            for message in queue.messages.iter_mut().filter(is_taken) {
                (message.claim, message.count) = (Some(*id), message.count + 1);
            }
            queue.claims.insert(*id);
        }
        if let Some(rule) = queue.rule.filter(|_| !dead.is_empty()) {
            let dead_letters = dead.iter().map(|message| Message { claim: None, ..*message });
            self.queues.entry(rule.to).or_default().messages.extend(dead_letters);
        }
        match claimed {
            None => taken.is_empty(),
            Some((_, seen)) => !taken.is_empty() && are(seen, &taken),
        }
    }
}

impl Queue {
    fn free(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.claim.is_none())
    }

    fn find(&self, id: MessageId, ids: &Ids) -> Option<&Message> {
        let (_, body) = ids.get(&id)?;
        self.messages.iter().find(|message| message.body == *body)
    }

    fn remove(&mut self, bodies: &[u32]) {
        self.messages.retain(|message| !bodies.contains(&message.body));
    }

    fn post(&mut self, bodies: &[u32], answer: &Answer) -> bool {
        self.messages.extend(bodies.iter().map(|&body| Message { body, claim: None, count: 0 }));
        matches!(answer, Answer::Ids(ids) if ids.len() == bodies.len())
    }

    fn pop(&mut self, limit: usize, answer: &Answer) -> bool {
        let popped: Vec<Message> = self.free().take(limit).copied().collect();
        self.remove(&bodies(&popped));
        matches!(answer, Answer::Messages(seen) if are(seen, &popped))
    }

    fn get(&self, id: MessageId, ids: &Ids, answer: &Answer) -> bool {
        match (self.find(id, ids), answer) {
            (None, Answer::NoMessage) => true,
            (Some(message), Answer::Messages(seen)) => are(seen, &[*message]),
            _ => false,
        }
    }

    /// Contract 6.6.
    fn delete(&mut self, id: MessageId, claim: Option<ClaimId>, ids: &Ids, answer: &Answer) -> bool {
        let Some(message) = self.find(id, ids).copied() else { return *answer == Answer::Done };
        let expected = match (claim, message.claim) {
            (None, Some(_)) => Answer::IsClaimed,
            (Some(_), None) => Answer::NotClaimed,
            (Some(given), Some(holder)) if given != holder && self.claims.contains(&given) => Answer::NotClaimedBy,
            (Some(given), Some(holder)) if given != holder => Answer::NoClaim,
            _ => {
                self.remove(&[message.body]);
                Answer::Done
            }
        };
        *answer == expected
    }

    /// Contract 6.7.
    fn bulk_delete(&mut self, messages: &[MessageId], claims: &[ClaimId], ids: &Ids, answer: &Answer) -> bool {
        let mut found = Vec::new();
        for message in messages.iter().filter_map(|id| self.find(*id, ids)) {
            match message.claim {
                _ if claims.is_empty() => {}
                None => return *answer == Answer::NotClaimed,
                Some(holder) if !claims.contains(&holder) => return *answer == Answer::Conflict,
                Some(_) => {}
            }
            found.push(message.body);
        }
        self.remove(&found);
        *answer == Answer::Done
    }

    fn read(&self, claim: ClaimId, answer: &Answer) -> bool {
        if !self.claims.contains(&claim) {
            return *answer == Answer::NoClaim;
        }
        let held: Vec<Message> = self.messages.iter().filter(|message| message.claim == Some(claim)).copied().collect();
        matches!(answer, Answer::Messages(seen) if are(seen, &held))
    }

    fn release(&mut self, claim: ClaimId) {
        self.claims.remove(&claim);
        self.messages
            .iter_mut()
            .filter(|message| message.claim == Some(claim))
            .for_each(|message| message.claim = None);
    }

    /// The message of that id, if it exists and is under the claim; otherwise the answer.
    fn held(&mut self, claim: ClaimId, id: MessageId, ids: &Ids) -> Result<&mut Message, Option<Answer>> {
        if !self.claims.contains(&claim) {
            return Err(Some(Answer::NoClaim));
        }
        let body = self.find(id, ids).ok_or(None)?.body;
        let message = self.messages.iter_mut().find(|message| message.body == body).ok_or(None)?;
        match message.claim {
            Some(holder) if holder == claim => Ok(message),
            Some(_) => Err(Some(Answer::NotClaimedBy)),
            None => Err(Some(Answer::NotClaimed)),
        }
    }

    fn retry(&mut self, claim: ClaimId, id: MessageId, ids: &Ids, answer: &Answer) -> bool {
        let held = self.held(claim, id, ids).map(|message| message.claim = None);
        *answer == held.map_or_else(|other| other.unwrap_or(Answer::Is(false)), |()| Answer::Is(true))
    }

    fn split(&mut self, claim: ClaimId, id: MessageId, ids: &Ids, answer: &Answer) -> bool {
        match (self.held(claim, id, ids), answer) {
            (Ok(message), Answer::Claimed(Some((into, seen)))) => {
                message.claim = Some(*into);
                let is_it = are(seen, &[*message]);
                self.claims.insert(*into);
                is_it
            }
            (Err(None), answer) => *answer == Answer::Claimed(None),
            (Err(Some(expected)), answer) => *answer == expected,
            (Ok(_), _) => false,
        }
    }

    fn list(&self, claimed: bool, in_any_order: bool, answer: &Answer) -> bool {
        let mut shown: Vec<Message> =
            self.messages.iter().filter(|message| claimed || message.claim.is_none()).copied().collect();
        let Answer::Messages(seen) = answer else { return false };
        let mut seen = seen.clone();
        if in_any_order {
            shown.sort_by_key(|message| message.body);
            seen.sort_by_key(|message| message.body);
        }
        are(&seen, &shown)
    }

    fn stats(&self, name: Name, ids: &Ids, answer: &Answer) -> bool {
        let Answer::Stats { claimed, free, oldest, newest } = answer else { return false };
        let held = self.messages.iter().filter(|message| message.claim.is_some()).count() as u64;
        // The id of a dead letter is seen only here.
        let is = |id: &Option<MessageId>, message: Option<&Message>| match (id, message) {
            (None, None) => true,
            (Some(id), Some(message)) => ids.get(id).is_none_or(|known| *known == (name, message.body)),
            _ => false,
        };
        *claimed == held
            && *free == self.messages.len() as u64 - held
            && is(oldest, self.messages.first())
            && is(newest, self.messages.last())
    }
}

impl Call {
    /// The queue of the ids in the answer.
    pub(crate) fn shows(&self) -> Name {
        if matches!(self, Self::Forward(..)) { Name::Other } else { self.name() }
    }

    pub(crate) fn name(&self) -> Name {
        match self {
            Self::Post(name, _)
            | Self::Claim(name, _)
            | Self::Pop(name, _)
            | Self::Get(name, _)
            | Self::Delete(name, ..)
            | Self::BulkDelete(name, ..)
            | Self::Read(name, _)
            | Self::Release(name, _)
            | Self::Renew(name, _)
            | Self::Retry(name, ..)
            | Self::Split(name, ..)
            | Self::Forward(name, ..)
            | Self::List(name, _)
            | Self::Stats(name)
            | Self::SetMetadata(name, _)
            | Self::Metadata(name)
            | Self::Exists(name)
            | Self::DeleteQueue(name)
            | Self::Create(name, _) => *name,
        }
    }
}

/// The answer of a call that needs a queue, for a missing queue.
fn missing(call: &Call, rules: Rules) -> Answer {
    match call {
        Call::Delete(..) | Call::BulkDelete(..) | Call::Release(..) => Answer::Done,
        Call::Pop(..) => Answer::Messages(Vec::new()),
        Call::List(..) if rules.pooled => Answer::Messages(Vec::new()),
        Call::Read(..) | Call::Renew(..) | Call::Retry(..) | Call::Split(..) => Answer::NoClaim,
        _ => Answer::NoQueue,
    }
}

/// Whether an answer shows just these messages, in that order, which is that of their ids.
fn are(seen: &[Seen], messages: &[Message]) -> bool {
    seen.len() == messages.len()
        && seen
            .iter()
            .zip(messages)
            .all(|(seen, message)| (seen.body, seen.claim, seen.count) == (message.body, message.claim, message.count))
}

fn bodies(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.body).collect()
}
