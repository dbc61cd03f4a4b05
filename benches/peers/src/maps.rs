//! Queues in maps under one mutex, with an optional log of every change.

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::Result;
use crate::group::Turn;
use crate::instant::{millis, now};
use crate::store::{Body, Claim, Queue, Stats, Store};

/// Where changes are recorded.
pub(crate) trait Log: Send + Sync {
    /// Records a change. Records keep the order of these calls.
    fn add(&self, record: &[u8]) -> Result<Option<Turn>>;

    /// Returns when the record survives what it has to.
    fn wait(&self, turn: Turn) -> Result<()>;
}

pub(crate) struct Maps(Arc<Shared>);

struct Shared {
    content: Mutex<Content>,
    log: Option<Box<dyn Log>>,
}

#[derive(Default)]
struct Content {
    names: HashMap<String, usize>,
    queues: Vec<Messages>,
    /// The messages that expire at an instant, by queue; some are gone already.
    expiries: BTreeMap<u64, Vec<(usize, u64)>>,
    next_claim: u64,
    /// Whether changes are recorded.
    logged: bool,
    record: Vec<u8>,
}

#[derive(Default)]
struct Messages {
    live: BTreeMap<u64, Entry>,
    next: u64,
    /// No message before it is free, unless a lease has ended since.
    head: u64,
    /// The instant when the first lease ends.
    rewind_at: Option<u64>,
    claimed: u64,
}

struct Entry {
    expires: u64,
    /// The claim, and the end of its lease.
    claim: Option<(u64, u64)>,
    body: Body,
}

impl Maps {
    pub(crate) fn boxed(log: Option<Box<dyn Log>>) -> Box<dyn Store> {
        let content = Content { logged: log.is_some(), ..Content::default() };
        Box::new(Self(Arc::new(Shared { content: Mutex::new(content), log })))
    }
}

impl Store for Maps {
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>> {
        let mut content = self.0.content.lock();
        let new = content.queues.len();
        let number = *content.names.entry(name.to_owned()).or_insert(new);
        if number == new {
            content.queues.push(Messages::default());
            self.0.change(content, |content| {
                content.begin(b'q', number).note(name.as_bytes());
            })?;
        }
        Ok(Box::new(MapQueue { shared: Arc::clone(&self.0), number }))
    }

    fn expire(&self) -> Result<bool> {
        let now = now();
        self.0.change(self.0.content.lock(), |content| content.expire(now))?;
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

impl Shared {
    /// Makes a change and records it under the lock; waits for the record without the lock.
    fn change<T>(&self, mut content: MutexGuard<'_, Content>, change: impl FnOnce(&mut Content) -> T) -> Result<T> {
        content.record.clear();
        let answer = change(&mut content);
        let Some(log) = self.log.as_ref().filter(|_| !content.record.is_empty()) else { return Ok(answer) };
        let turn = log.add(&content.record)?;
        drop(content);
        turn.map_or(Ok(()), |turn| log.wait(turn))?;
        Ok(answer)
    }
}

impl Content {
    /// Begins the record of a change.
    fn begin(&mut self, kind: u8, queue: usize) -> &mut Self {
        self.note(&[kind]).note(&(queue as u64).to_le_bytes())
    }

    fn note(&mut self, bytes: &[u8]) -> &mut Self {
        if self.logged {
            self.record.extend_from_slice(bytes);
        }
        self
    }

    fn note_all(&mut self, held: &[Held]) {
        for Held { number, .. } in held {
            self.note(&number.to_le_bytes());
        }
    }

    fn messages(&mut self, queue: usize) -> Result<&mut Messages> {
        Ok(self.queues.get_mut(queue).ok_or("no such queue")?)
    }

    fn post(&mut self, queue: usize, bodies: &[Body], expires: u64) -> Result<()> {
        self.begin(b'p', queue).note(&expires.to_le_bytes());
        for body in bodies {
            self.note(&(body.len() as u64).to_le_bytes()).note(body.as_bytes());
            let messages = self.messages(queue)?;
            let number = messages.next;
            messages.next += 1;
            messages.live.insert(number, Entry { expires, claim: None, body: body.clone() });
            self.expiries.entry(expires).or_default().push((queue, number));
        }
        Ok(())
    }

    fn claim(&mut self, queue: usize, limit: usize, now: u64, until: u64) -> Result<Option<(u64, Vec<Held>)>> {
        let claim = self.next_claim;
        let messages = self.messages(queue)?;
        messages.rewind(now);
        let mut held = Vec::with_capacity(limit);
        for (number, entry) in messages.live.range_mut(messages.head..) {
            if held.len() == limit {
                break;
            }
            messages.head = number + 1;
            if entry.claim.is_none() && entry.expires > now {
                entry.claim = Some((claim, until));
                held.push(Held { number: *number, body: entry.body.clone() });
            }
        }
        if held.is_empty() {
            return Ok(None);
        }
        messages.claimed += held.len() as u64;
        messages.rewind_at = Some(messages.rewind_at.map_or(until, |at| at.min(until)));
        self.next_claim += 1;
        self.begin(b'c', queue).note(&until.to_le_bytes()).note_all(&held);
        Ok(Some((claim, held)))
    }

    /// Deletes or frees messages of a claim.
    fn end(&mut self, queue: usize, claim: u64, held: &[Held], delete: bool) -> Result<()> {
        let now = now();
        let messages = self.messages(queue)?;
        messages.rewind(now);
        let foreign = |entry: &Entry| entry.claim.is_none_or(|(by, _)| by != claim);
        if held.iter().filter_map(|held| messages.live.get(&held.number)).any(foreign) {
            return Err("the claim does not hold the message".into());
        }
        for Held { number, .. } in held {
            if delete {
                messages.claimed -= u64::from(messages.live.remove(number).is_some());
            } else if let Some(entry) = messages.live.get_mut(number) {
                (entry.claim, messages.claimed) = (None, messages.claimed - 1);
                messages.head = messages.head.min(*number);
            }
        }
        self.begin(if delete { b'd' } else { b'r' }, queue).note_all(held);
        Ok(())
    }

    fn expire(&mut self, now: u64) {
        let later = self.expiries.split_off(&(now + 1));
        for (queue, number) in std::mem::replace(&mut self.expiries, later).into_values().flatten() {
            if let Some(messages) = self.queues.get_mut(queue)
                && let Some(entry) = messages.live.remove(&number)
            {
                messages.claimed -= u64::from(entry.claim.is_some());
                self.begin(b'e', queue).note(&number.to_le_bytes());
            }
        }
    }
}

impl Messages {
    fn holds_any(&self, held: &[Held]) -> bool {
        held.iter().any(|held| self.live.contains_key(&held.number))
    }

    /// Frees the messages whose leases have ended.
    fn rewind(&mut self, now: u64) {
        if self.rewind_at.is_none_or(|at| now < at) {
            return;
        }
        (self.head, self.rewind_at) = (0, None);
        for entry in self.live.values_mut() {
            match entry.claim {
                Some((_, until)) if until <= now => (entry.claim, self.claimed) = (None, self.claimed - 1),
                Some((_, until)) => self.rewind_at = Some(self.rewind_at.map_or(until, |at| at.min(until))),
                None => {}
            }
        }
    }
}

struct MapQueue {
    shared: Arc<Shared>,
    number: usize,
}

impl Queue for MapQueue {
    fn post(&self, bodies: &[Body], ttl: Duration) -> Result<()> {
        let expires = now() + millis(ttl);
        self.shared.change(self.shared.content.lock(), |content| content.post(self.number, bodies, expires))?
    }

    fn claim(&self, limit: usize, lease: Duration) -> Result<Option<Box<dyn Claim>>> {
        let now = now();
        let until = now + millis(lease);
        let content = self.shared.content.lock();
        let claim = self.shared.change(content, |content| content.claim(self.number, limit, now, until))??;
        Ok(claim.map(|(number, held)| {
            Box::new(MapClaim { shared: Arc::clone(&self.shared), queue: self.number, number, held }) as Box<dyn Claim>
        }))
    }

    fn pages(&self, limit: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_> {
        let mut marker = 0;
        Box::new(iter::from_fn(move || {
            let (now, content) = (now(), self.shared.content.lock());
            let live = content.queues.get(self.number)?.live.range(marker..);
            let page: Vec<_> = live.filter(|(_, entry)| entry.expires > now).take(limit).collect();
            marker = page.last()?.0 + 1;
            Some(Ok(page.into_iter().map(|(_, entry)| entry.body.clone()).collect()))
        }))
    }

    fn stats(&self) -> Result<Stats> {
        let mut content = self.shared.content.lock();
        let messages = content.messages(self.number)?;
        messages.rewind(now());
        let claimed = messages.claimed;
        Ok(Stats { free: messages.live.len() as u64 - claimed, claimed })
    }
}

struct Held {
    number: u64,
    body: Body,
}

struct MapClaim {
    shared: Arc<Shared>,
    queue: usize,
    number: u64,
    held: Vec<Held>,
}

impl MapClaim {
    fn end(&self, held: &[Held], delete: bool) -> Result<()> {
        let content = self.shared.content.lock();
        self.shared.change(content, |content| content.end(self.queue, self.number, held, delete))?
    }
}

impl Claim for MapClaim {
    fn bodies(&self) -> Vec<&[u8]> {
        self.held.iter().map(|held| held.body.as_bytes()).collect()
    }

    fn delete(&self, index: usize) -> Result<()> {
        self.end(self.held.get(index..=index).ok_or("the claim has less messages")?, true)
    }

    fn delete_all(&self) -> Result<()> {
        self.end(&self.held, true)
    }

    fn release(self: Box<Self>) -> Result<()> {
        let live = |content: &Content| content.queues.get(self.queue).map(|messages| messages.holds_any(&self.held));
        let content = self.shared.content.lock();
        if live(&content) == Some(true) {
            self.shared.change(content, |content| content.end(self.queue, self.number, &self.held, false))??;
        }
        Ok(())
    }
}
