//! A thread of a history: its calls, with the ids and claims that it knows.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use zaqar_sled::{
    BatchStep, ClaimId, ClaimOptions, ClientId, Error, ExtendedDriver, Message, MessageId, MessageListOptions,
    Metadata, NewMessage, Project, QueueName, Result, Retry,
};

use crate::search::Made;
use crate::spec::{Answer, Call, Name, Rule, Seen};
use crate::turbulence::random;
use crate::world::{Kind, queue_name};

pub(crate) struct Caller<'a> {
    driver: &'a dyn ExtendedDriver,
    pub(crate) kind: Kind,
    project: &'a Project,
    /// Numbers beginnings and ends.
    ticks: &'a AtomicU64,
    /// Numbers messages.
    bodies: &'a AtomicU32,
    ids: Vec<(Name, MessageId)>,
    claims: Vec<(Name, ClaimId)>,
    made: Vec<Made>,
}

impl<'a> Caller<'a> {
    pub(crate) fn new(
        driver: &'a dyn ExtendedDriver,
        kind: Kind,
        project: &'a Project,
        ticks: &'a AtomicU64,
        bodies: &'a AtomicU32,
    ) -> Self {
        Self { driver, kind, project, ticks, bodies, ids: Vec::new(), claims: Vec::new(), made: Vec::new() }
    }

    /// Another caller with the same knowledge.
    pub(crate) fn fork<'b>(&self, driver: &'b dyn ExtendedDriver) -> Caller<'b>
    where
        'a: 'b,
    {
        Caller {
            driver,
            kind: self.kind,
            project: self.project,
            ticks: self.ticks,
            bodies: self.bodies,
            ids: self.ids.clone(),
            claims: self.claims.clone(),
            made: Vec::new(),
        }
    }

    pub(crate) fn made(self) -> Vec<Made> {
        self.made
    }

    pub(crate) fn call(&mut self, call: Call) {
        let began = self.ticks.fetch_add(1, Ordering::SeqCst);
        let answer = self.perform(&call).unwrap_or_else(|error| answer_of(&error, &call));
        let ended = self.ticks.fetch_add(1, Ordering::SeqCst);
        self.learn(call.shows(), &answer);
        self.made.push(Made { call, answer, began, ended });
    }

    pub(crate) fn post(&mut self, name: Name) {
        let count = 1 + u32::try_from(random(2)).unwrap_or(0);
        let first = self.bodies.fetch_add(count, Ordering::Relaxed);
        self.call(Call::Post(name, (first..first + count).collect()));
    }

    pub(crate) fn claim_and_release(&mut self) {
        self.call(Call::Claim(Name::Work, 2));
        if let Some(&(name, claim)) = self.claims.last() {
            self.call(Call::Release(name, claim));
        }
    }

    /// Makes a random call; calls that conflict with others are more frequent.
    pub(crate) fn call_any(&mut self) {
        let name = self.any_name();
        let limit = 1 + usize::try_from(random(3)).unwrap_or(0);
        let call = match random(100) {
            0..13 => return self.post(name),
            13..38 => Call::Claim(Name::Work, limit),
            38..44 => Call::Pop(name, limit),
            44..55 => self.any_delete(),
            55..58 => self.any_bulk_delete(),
            93..95 if self.kind != Kind::TwoPools => self.any_forward(),
            58..62 => self.with_claim(Call::Release),
            62..64 => self.with_claim(Call::Renew),
            64..67 => self.with_held(Call::Retry),
            67..68 => self.with_held(Call::Split),
            68..71 => self.with_claim(Call::Read),
            71..76 => Call::List(name, random(2) == 0),
            76..80 => Call::Stats(name),
            80..88 => Call::SetMetadata(Name::Work, super::world::any_rule()),
            88..90 => Call::Metadata(name),
            90..91 => Call::Exists(name),
            91..93 => Call::DeleteQueue(self.any_deletable()),
            _ => {
                let name = self.any_deletable();
                Call::Create(name, if name == Name::Work { super::world::any_rule() } else { None })
            }
        };
        self.call(call);
    }

    /// A queue name; where dead letters are delivered later, no call reads their queues.
    fn any_name(&self) -> Name {
        match random(10) {
            0 | 1 if self.kind != Kind::TwoPools => Name::Dead,
            2 if self.kind != Kind::TwoPools => Name::Other,
            _ => Name::Work,
        }
    }

    fn any_deletable(&self) -> Name {
        if self.kind.keeps_dead_letter_queues() { Name::Work } else { self.any_name() }
    }

    fn any_delete(&self) -> Call {
        let Some((name, id)) = pick(&self.ids) else { return Call::List(Name::Work, true) };
        let claim = if random(4) == 0 { None } else { pick(&self.claims).map(|(_, claim)| claim) };
        if random(5) == 0 { Call::Get(name, id) } else { Call::Delete(name, id, claim) }
    }

    fn any_forward(&self) -> Call {
        let body = self.bodies.fetch_add(1, Ordering::Relaxed);
        match self.any_delete() {
            Call::Delete(name, id, claim) => Call::Forward(name, id, claim, body),
            call => call,
        }
    }

    fn any_bulk_delete(&self) -> Call {
        let Some((name, _)) = pick(&self.ids) else { return Call::Stats(Name::Work) };
        let ids = (0..2).filter_map(|_| pick(&self.ids)).filter(|(of, _)| *of == name).map(|(_, id)| id);
        let claims = (0..random(3)).filter_map(|_| pick(&self.claims)).map(|(_, claim)| claim);
        Call::BulkDelete(name, ids.collect(), claims.collect())
    }

    fn with_claim(&self, call: fn(Name, ClaimId) -> Call) -> Call {
        pick(&self.claims).map_or(Call::Claim(Name::Work, 1), |(name, claim)| call(name, claim))
    }

    fn with_held(&self, call: fn(Name, ClaimId, MessageId) -> Call) -> Call {
        let claim = pick(&self.claims).map(|(_, claim)| claim);
        let held = pick(&self.ids).and_then(|(name, id)| Some(call(name, claim?, id)));
        held.unwrap_or(Call::Claim(Name::Work, 1))
    }

    fn learn(&mut self, name: Name, answer: &Answer) {
        match answer {
            Answer::Ids(ids) => self.ids.extend(ids.iter().map(|id| (name, *id))),
            Answer::Messages(seen) => self.ids.extend(seen.iter().map(|message| (name, message.id))),
            Answer::Claimed(Some((claim, seen))) => {
                self.ids.extend(seen.iter().map(|message| (name, message.id)));
                self.claims.push((name, *claim));
            }
            _ => {}
        }
    }

    fn perform(&self, call: &Call) -> Result<Answer> {
        let (project, name) = (self.project, &queue_name(call.name()));
        let messages = self.driver.messages();
        Ok(match call {
            Call::Post(_, bodies) => Answer::Ids(messages.post(project, name, CLIENT, &new(bodies))?),
            Call::Pop(_, limit) => Answer::Messages(seen(&messages.pop(project, name, *limit)?)),
            Call::Get(_, id) => Answer::Messages(seen(&[messages.get(project, name, id)?])),
            Call::Delete(_, id, claim) => {
                messages.delete(project, name, id, claim.as_ref())?;
                Answer::Done
            }
            Call::BulkDelete(_, ids, claims) => {
                messages.bulk_delete(project, name, ids, claims)?;
                Answer::Done
            }
            Call::Forward(_, id, claim, body) => {
                let (project, queue, messages) = (project.clone(), name.clone(), vec![*id]);
                let delete = BatchStep::Delete { project: project.clone(), queue, messages, claim: *claim };
                let (queue, messages) = (queue_name(Name::Other), new(&[*body]));
                let post = BatchStep::Post { project, queue, client: CLIENT, messages };
                Answer::Ids(self.driver.batches().commit(&[delete, post])?.posted().concat())
            }
            Call::List(_, claimed) => {
                let options = MessageListOptions::new().limit(0).echo(true).include_claimed(*claimed);
                Answer::Messages(seen(&messages.list(project, name, &options)?.items))
            }
            Call::Claim(..)
            | Call::Read(..)
            | Call::Release(..)
            | Call::Renew(..)
            | Call::Retry(..)
            | Call::Split(..) => self.on_claims(name, call)?,
            _ => self.on_queues(name, call)?,
        })
    }

    fn on_claims(&self, name: &QueueName, call: &Call) -> Result<Answer> {
        let (project, claims) = (self.project, self.driver.claims());
        let options = ClaimOptions::new().ttl(Duration::from_secs(3600)).grace(Duration::from_secs(60));
        Ok(match call {
            Call::Claim(_, limit) => {
                let claim = claims.create(project, name, &options.limit(*limit))?;
                Answer::Claimed(claim.map(|claim| (claim.id(), seen(claim.messages()))))
            }
            Call::Read(_, claim) => Answer::Messages(seen(claims.get(project, name, claim)?.messages())),
            Call::Release(_, claim) => {
                claims.delete(project, name, claim)?;
                Answer::Done
            }
            Call::Renew(_, claim) => {
                claims.update(project, name, claim, &options)?;
                Answer::Done
            }
            Call::Retry(_, claim, id) => {
                Answer::Is(self.driver.retries().retry(project, name, claim, &[Retry::new(*id)])? == 1)
            }
            Call::Split(_, claim, id) => {
                let split = self.driver.retries().split(project, name, claim, &[*id], &options)?;
                Answer::Claimed(split.map(|claim| (claim.id(), seen(claim.messages()))))
            }
            other => unreachable!("{other:?} is about no claim"),
        })
    }

    fn on_queues(&self, name: &QueueName, call: &Call) -> Result<Answer> {
        let (project, queues) = (self.project, self.driver.queues());
        Ok(match call {
            Call::Stats(_) => {
                let stats = queues.stats(project, name)?;
                let (oldest, newest) = (stats.oldest(), stats.newest());
                let id = |stat: &zaqar_sled::MessageStat| stat.id();
                let (oldest, newest) = (oldest.map(id), newest.map(id));
                Answer::Stats { claimed: stats.claimed(), free: stats.free(), oldest, newest }
            }
            Call::SetMetadata(_, rule) => {
                queues.set_metadata(project, name, &metadata(*rule)?)?;
                Answer::Done
            }
            Call::Metadata(_) => Answer::Metadata(rule(&queues.get_metadata(project, name)?)?),
            Call::Exists(_) => Answer::Is(queues.exists(project, name)?),
            Call::DeleteQueue(_) => {
                queues.delete(project, name)?;
                Answer::Done
            }
            Call::Create(_, rule) => Answer::Is(queues.create(project, name, &metadata(*rule)?)?),
            other => unreachable!("{other:?} is about no queue"),
        })
    }
}

fn pick<T: Copy>(all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::try_from(random(all.len() as u64)).unwrap_or(0)])
}

fn new(bodies: &[u32]) -> Vec<NewMessage> {
    let new = |body: &u32| NewMessage::new(body.to_le_bytes().to_vec()).ttl(Duration::from_secs(86_400));
    bodies.iter().map(new).collect()
}

fn seen(messages: &[Message]) -> Vec<Seen> {
    let one = |message: &Message| Seen {
        id: message.id(),
        body: u32::from_le_bytes(message.body().as_bytes().try_into().expect("a body of ours")),
        claim: message.claim_id(),
        count: message.claim_count(),
    };
    messages.iter().map(one).collect()
}

fn metadata(rule: Option<Rule>) -> Result<Metadata> {
    let Some(Rule { most, to }) = rule else { return Ok(Metadata::new()) };
    Metadata::new().with("_max_claim_count", most)?.with("_dead_letter_queue", queue_name(to).as_str())
}

fn rule(metadata: &Metadata) -> Result<Option<Rule>> {
    let most: Option<u32> = metadata.get("_max_claim_count")?;
    let to: Option<String> = metadata.get("_dead_letter_queue")?;
    let to = match to.as_deref() {
        Some("dead") => Name::Dead,
        _ => Name::Other,
    };
    Ok(most.map(|most| Rule { most, to }))
}

/// Which answer an error is. Any other error is a failure of its own.
fn answer_of(error: &Error, call: &Call) -> Answer {
    match error {
        Error::QueueDoesNotExist { .. } => Answer::NoQueue,
        Error::MessageDoesNotExist { .. } => Answer::NoMessage,
        Error::ClaimDoesNotExist { .. } => Answer::NoClaim,
        Error::MessageIsClaimed { .. } => Answer::IsClaimed,
        Error::MessageNotClaimed { .. } => Answer::NotClaimed,
        Error::MessageNotClaimedBy { .. } => Answer::NotClaimedBy,
        Error::ClaimDoesNotMatch { .. } => Answer::Conflict,
        error => panic!("{call:?}: {error}"),
    }
}

const CLIENT: ClientId = ClientId::from_bytes([1; 16]);
