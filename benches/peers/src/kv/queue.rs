//! The queue on a key-value store: posts, claims, deletes, listings, statistics and expiry.
//!
//! A post writes each message and its row in the order of expiry. A claim reads the messages from the queue's head on and
//! writes one small row for each. A delete reads the claim's rows and removes three rows for each message. Each call is one
//! batch. The cost of a claim does not depend on the claimed and deleted messages before the head.

use std::cell::Cell;
use std::collections::HashMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::rows::{Key, Table, Write, message_of, number, pair};
use super::state::{Head, State, claim_of, scan_claims};
use super::{Commits, Map};
use crate::Result;
use crate::group::Group;
use crate::instant::{millis, now};
use crate::store::{Body, Claim, Queue, Stats, Store};
use crate::syncing::Syncing;

pub(crate) struct KvStore {
    shared: Arc<Shared>,
    /// Dropped first when the store is closed.
    syncing: Option<Syncing>,
}

struct Shared {
    map: Box<dyn Map>,
    group: Option<Group<Write>>,
    queues: Mutex<Queues>,
    next_claim: AtomicU64,
}

/// The queues that are in use.
#[derive(Default)]
struct Queues {
    by_name: HashMap<String, Arc<State>>,
    by_number: HashMap<u32, Arc<State>>,
}

impl KvStore {
    pub(crate) fn boxed(map: impl Map + 'static) -> Box<dyn Store> {
        let commits = map.commits();
        let shared = Arc::new(Shared {
            map: Box::new(map),
            group: (commits == Commits::Shared).then(Group::default),
            queues: Mutex::default(),
            // Above those of every earlier process, which began earlier and made less than 1000 in a millisecond.
            next_claim: AtomicU64::new(now() << 10),
        });
        let syncing =
            (commits == Commits::SyncedLater).then(|| Syncing::start(&shared, |shared: &Shared| shared.map.sync()));
        Box::new(Self { shared, syncing })
    }
}

impl Store for KvStore {
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>> {
        let mut queues = self.shared.queues.lock();
        let state = match queues.by_name.get(name) {
            Some(state) => Arc::clone(state),
            None => self.shared.open_queue(name, &mut queues)?,
        };
        Ok(Box::new(KvQueue { shared: Arc::clone(&self.shared), state }))
    }

    fn expire(&self) -> Result<bool> {
        // Where the next rows are: before it, some stores go through every row that was removed.
        let mut from = Key::expiry(0, 0, 0);
        while self.shared.sweep(now(), &mut from)? {}
        Ok(true)
    }

    fn close(mut self: Box<Self>) -> Result<()> {
        drop(self.syncing.take());
        self.shared.map.sync()
    }
}

impl Shared {
    fn write(&self, batch: Vec<Write>) -> Result<()> {
        match &self.group {
            Some(group) => group.wait(group.add(batch), |batch| self.map.write(batch)),
            None => self.map.write(&batch),
        }
    }

    fn open_queue(&self, name: &str, queues: &mut Queues) -> Result<Arc<State>> {
        let key = Key::queue(name)?;
        if let Some(number) = self.map.get(Table::Queues, key.as_ref())? {
            let state = self.state(number_of(&number)?, queues)?;
            queues.by_name.insert(name.to_owned(), Arc::clone(&state));
            return Ok(state);
        }
        let counter = Key::queue(COUNTER)?;
        let number = self.map.get(Table::Queues, counter.as_ref())?.map_or(Ok(0), |number| number_of(&number))?;
        self.write(vec![
            Write::put(Table::Queues, counter, (number + 1).to_be_bytes().to_vec()),
            Write::put(Table::Queues, key, number.to_be_bytes().to_vec()),
        ])?;
        let state = Arc::new(State::new(number));
        queues.by_name.insert(name.to_owned(), Arc::clone(&state));
        queues.by_number.insert(number, Arc::clone(&state));
        Ok(state)
    }

    fn state(&self, number: u32, queues: &mut Queues) -> Result<Arc<State>> {
        if let Some(state) = queues.by_number.get(&number) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(State::load(&*self.map, number)?);
        queues.by_number.insert(number, Arc::clone(&state));
        Ok(state)
    }

    /// Removes up to [`SWEPT`] expired messages. Returns whether there may be more.
    fn sweep(&self, now: u64, from: &mut Key) -> Result<bool> {
        let mut expired = Vec::new();
        let to = Key::expiry(now, u32::MAX, u64::MAX);
        self.map.scan(Table::Expiries, from.as_ref(), to.as_ref(), &mut |key, _| {
            expired.extend(number(key).and_then(|(at, rest)| Some((at, message_of(rest)?))));
            expired.len() < SWEPT
        })?;
        if let Some((at, (queue, message))) = expired.last() {
            *from = Key::expiry(*at, *queue, *message);
        }
        let mut swept: Vec<(Arc<State>, u64)> = Vec::new();
        let mut batch = Vec::new();
        for (at, (queue, message)) in &expired {
            let state = self.state(*queue, &mut self.queues.lock())?;
            let mut book = state.book.lock();
            if !book.busy.contains(message) {
                book.busy.push(*message);
                drop(book);
                batch.extend(removals(*queue, *message, *at));
                swept.push((state, *message));
            }
        }
        self.write(batch)?;
        for (state, message) in &swept {
            let mut book = state.book.lock();
            book.end_busy(&[*message]);
            book.forget_counts();
        }
        Ok(!swept.is_empty() && expired.len() >= SWEPT)
    }
}

struct KvQueue {
    shared: Arc<Shared>,
    state: Arc<State>,
}

/// A claimed message.
struct Held {
    number: u64,
    expires: u64,
    body: Body,
}

impl KvQueue {
    /// Leases end at `until`. The chosen messages are busy.
    fn choose(&self, limit: usize, now: u64) -> Result<Vec<Held>> {
        let mut head = self.state.head.lock();
        self.state.rewind(&*self.shared.map, &mut head, now)?;
        let (frontier, busy) = {
            let book = self.state.book.lock();
            (book.frontier(), book.busy.clone())
        };
        let mut chosen = Vec::with_capacity(limit);
        while chosen.len() < limit && head.from < frontier {
            self.choose_some(limit, now, &mut head, frontier, &busy, &mut chosen)?;
        }
        let mut book = self.state.book.lock();
        chosen.retain(|held| !book.busy.contains(&held.number));
        book.busy.extend(chosen.iter().map(|held| held.number));
        Ok(chosen)
    }

    /// Moves the head over up to [`LOOKED_AT`] claimed messages and all others up to the next.
    fn choose_some(
        &self,
        limit: usize,
        now: u64,
        head: &mut Head,
        frontier: u64,
        busy: &[u64],
        chosen: &mut Vec<Held>,
    ) -> Result<()> {
        let (map, queue) = (&*self.shared.map, self.state.number);
        let (mut leased, mut to) = (Vec::new(), frontier);
        scan_claims(map, queue, head.from, frontier, |message, until| {
            if until > now {
                leased.push(message);
            }
            if leased.len() >= LOOKED_AT {
                to = message + 1;
            }
            leased.len() < LOOKED_AT
        })?;
        let (from, end) = (Key::message(queue, head.from), Key::message(queue, to));
        let mut reached = to;
        map.scan(Table::Messages, from.as_ref(), end.as_ref(), &mut |key, value| {
            if let (Some((_, message)), Some((expires, body))) = (message_of(key), number(value))
                && expires > now
                && leased.binary_search(&message).is_err()
                && !busy.contains(&message)
            {
                chosen.push(Held { number: message, expires, body: body.into() });
                reached = message + 1;
            }
            chosen.len() < limit
        })?;
        head.from = if chosen.len() < limit { to } else { reached };
        Ok(())
    }
}

impl Queue for KvQueue {
    fn post(&self, bodies: &[Body], ttl: Duration) -> Result<()> {
        let count = bodies.len() as u64;
        let first = self.state.book.lock().begin_post(count);
        let expires = now().saturating_add(millis(ttl));
        let queue = self.state.number;
        let mut batch = Vec::with_capacity(2 * bodies.len());
        for (message, body) in (first..).zip(bodies) {
            batch.push(Write::put(Table::Messages, Key::message(queue, message), pair(expires, body.as_bytes())));
            batch.push(Write::put(Table::Expiries, Key::expiry(expires, queue, message), Vec::new()));
        }
        let written = self.shared.write(batch);
        self.state.book.lock().end_post(first, if written.is_ok() { count } else { 0 });
        written
    }

    fn claim(&self, limit: usize, lease: Duration) -> Result<Option<Box<dyn Claim>>> {
        let now = now();
        let until = now.saturating_add(millis(lease));
        let chosen = self.choose(limit, now)?;
        if chosen.is_empty() {
            return Ok(None);
        }
        let number = self.shared.next_claim.fetch_add(1, Ordering::Relaxed);
        let row = |held: &Held| {
            let key = Key::message(self.state.number, held.number);
            Write::put(Table::Claims, key, pair(number, &until.to_be_bytes()))
        };
        let written = self.shared.write(chosen.iter().map(row).collect());
        let count = if written.is_ok() { chosen.len() as u64 } else { 0 };
        let numbers: Vec<u64> = chosen.iter().map(|held| held.number).collect();
        let mut head = self.state.head.lock();
        head.rewind_at = head.rewind_at.min(until);
        let mut book = self.state.book.lock();
        book.end_busy(&numbers);
        book.count_in(|counts| (counts.free, counts.claimed) = (counts.free - count, counts.claimed + count));
        drop((book, head));
        written?;
        let (shared, state) = (Arc::clone(&self.shared), Arc::clone(&self.state));
        let left = Cell::new(chosen.len());
        Ok(Some(Box::new(KvClaim { shared, state, number, held: chosen, left })))
    }

    fn pages(&self, limit: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_> {
        let mut marker = 0;
        Box::new(iter::from_fn(move || self.page(&mut marker, limit).transpose()))
    }

    fn stats(&self) -> Result<Stats> {
        self.state.stats(&*self.shared.map, now())
    }
}

impl KvQueue {
    fn page(&self, marker: &mut u64, limit: usize) -> Result<Option<Vec<Body>>> {
        let (now, frontier) = (now(), self.state.book.lock().frontier());
        let (from, to) = (Key::message(self.state.number, *marker), Key::message(self.state.number, frontier));
        let mut page = Vec::with_capacity(limit);
        self.shared.map.scan(Table::Messages, from.as_ref(), to.as_ref(), &mut |key, value| {
            if let (Some((_, message)), Some((expires, body))) = (message_of(key), number(value))
                && expires > now
            {
                page.push(Body::from(body));
                *marker = message + 1;
            }
            page.len() < limit
        })?;
        Ok((!page.is_empty()).then_some(page))
    }
}

struct KvClaim {
    shared: Arc<Shared>,
    state: Arc<State>,
    number: u64,
    held: Vec<Held>,
    /// Messages that this handle has not deleted; at zero, nothing remains to be released.
    left: Cell<usize>,
}

impl KvClaim {
    /// Does something with those of the messages that the claim still holds, in one batch.
    fn change(
        &self,
        messages: &[Held],
        change: impl Fn(&Held, &mut Vec<Write>),
        count: fn(&mut Stats, u64),
    ) -> Result<()> {
        let numbers: Vec<u64> = messages.iter().map(|held| held.number).collect();
        {
            let mut book = self.state.book.lock();
            if numbers.iter().any(|number| book.busy.contains(number)) {
                return Err("another call claims or deletes the message".into());
            }
            book.busy.extend(&numbers);
        }
        let outcome = self.still_held(messages).and_then(|held| {
            let mut batch = Vec::with_capacity(3 * held.len());
            for held in &held {
                change(held, &mut batch);
            }
            self.shared.write(batch).map(|()| held.len() as u64)
        });
        let mut book = self.state.book.lock();
        book.end_busy(&numbers);
        book.count_in(|counts| count(counts, outcome.as_ref().copied().unwrap_or(0)));
        outcome.map(drop)
    }

    /// Those of the messages that exist. Fails if the claim does not hold one that does.
    fn still_held<'a>(&self, messages: &'a [Held]) -> Result<Vec<&'a Held>> {
        let now = now();
        let mut still = Vec::with_capacity(messages.len());
        for held in messages {
            let key = Key::message(self.state.number, held.number);
            match self.shared.map.get(Table::Claims, key.as_ref())?.as_deref().and_then(claim_of) {
                Some((claim, until)) if claim == self.number && until > now => still.push(held),
                Some(_) => return Err("the claim does not hold the message".into()),
                // Only a delete or the sweep removes the row of a claim that is not released.
                None => {}
            }
        }
        Ok(still)
    }
}

impl Claim for KvClaim {
    fn bodies(&self) -> Vec<&[u8]> {
        self.held.iter().map(|held| held.body.as_bytes()).collect()
    }

    fn delete(&self, index: usize) -> Result<()> {
        let held = self.held.get(index..=index).ok_or("the claim has less messages")?;
        self.change(held, |held, batch| batch.extend(removals(self.state.number, held.number, held.expires)), uncount)?;
        self.left.set(self.left.get().saturating_sub(1));
        Ok(())
    }

    fn delete_all(&self) -> Result<()> {
        let remove = |held: &Held, batch: &mut Vec<Write>| {
            batch.extend(removals(self.state.number, held.number, held.expires));
        };
        self.change(&self.held, remove, uncount)?;
        self.left.set(0);
        Ok(())
    }

    fn release(self: Box<Self>) -> Result<()> {
        if self.left.get() == 0 {
            return Ok(());
        }
        let remove = |held: &Held, batch: &mut Vec<Write>| {
            batch.push(Write::remove(Table::Claims, Key::message(self.state.number, held.number)));
        };
        let free = |counts: &mut Stats, count: u64| {
            (counts.free, counts.claimed) = (counts.free + count, counts.claimed - count);
        };
        self.change(&self.held, remove, free)?;
        let mut head = self.state.head.lock();
        head.from = head.from.min(self.held.first().map_or(u64::MAX, |held| held.number));
        Ok(())
    }
}

fn uncount(counts: &mut Stats, count: u64) {
    counts.claimed -= count;
}

fn removals(queue: u32, message: u64, expires: u64) -> [Write; 3] {
    let key = Key::message(queue, message);
    [
        Write::remove(Table::Messages, key),
        Write::remove(Table::Claims, key),
        Write::remove(Table::Expiries, Key::expiry(expires, queue, message)),
    ]
}

fn number_of(value: &[u8]) -> Result<u32> {
    let bytes: [u8; 4] = value.try_into().map_err(|_| "a queue's number has not 4 bytes")?;
    Ok(u32::from_be_bytes(bytes))
}

/// The row with the number of the next queue; no queue has this name.
const COUNTER: &str = "\0";
/// Messages that one batch of the sweep removes.
const SWEPT: usize = 1000;
/// Claimed messages that a claim holds in memory while it goes on.
const LOOKED_AT: usize = 1024;
