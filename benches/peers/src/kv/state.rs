//! What the queue keeps in memory, so that the store has to be asked for little.
//!
//! 1. No message below `Head::from` can be claimed, unless a lease has ended since ([`Head::rewind_at`]).
//! 2. Every message below [`Book::frontier`] can be read: the numbers of posts that are being written are not below it.
//! 3. A message in `busy` is being claimed or deleted by one call; no other call does either meanwhile. So locks are held
//!    while a call chooses its messages, but not while it commits.
//! 4. [`Book::counts`] are exact when they are there.

use parking_lot::Mutex;

use super::Map;
use super::rows::{Key, Table, message_of, number};
use crate::Result;
use crate::store::Stats;

/// One queue. `head` is locked before `book`.
pub(super) struct State {
    pub(super) number: u32,
    /// Held while a claim chooses, so that claims of one queue choose in turns.
    pub(super) head: Mutex<Head>,
    /// Held for a few instructions.
    pub(super) book: Mutex<Book>,
}

pub(super) struct Head {
    pub(super) from: u64,
    /// The instant when the first lease ends: `from` has to go back then.
    pub(super) rewind_at: u64,
}

pub(super) struct Book {
    /// The number of the next message.
    next: u64,
    /// The first numbers of the posts that are being written.
    posting: Vec<u64>,
    pub(super) busy: Vec<u64>,
    /// `None` until somebody asks, in a queue that was not created by this process, and after leases have ended.
    counts: Option<Stats>,
}

impl State {
    pub(super) fn new(number: u32) -> Self {
        let (head, counts) = (Head { from: 0, rewind_at: u64::MAX }, Some(Stats { free: 0, claimed: 0 }));
        Self::with(number, head, 0, counts)
    }

    /// The state of a queue that an earlier process has left.
    pub(super) fn load(map: &dyn Map, number: u32) -> Result<Self> {
        let last = map.last_key(Table::Messages, first(number).as_ref(), end(number).as_ref())?;
        let next = last.and_then(|key| message_of(&key)).map_or(0, |(_, last)| last + 1);
        Ok(Self::with(number, Head { from: 0, rewind_at: 0 }, next, None))
    }

    fn with(number: u32, head: Head, next: u64, counts: Option<Stats>) -> Self {
        let book = Book { next, posting: Vec::new(), busy: Vec::new(), counts };
        Self { number, head: Mutex::new(head), book: Mutex::new(book) }
    }

    /// Goes back to the beginning if a lease has ended.
    pub(super) fn rewind(&self, map: &dyn Map, head: &mut Head, now: u64) -> Result<()> {
        if now < head.rewind_at {
            return Ok(());
        }
        let mut first_end = u64::MAX;
        scan_claims(map, self.number, 0, u64::MAX, |_, until| {
            if until > now {
                first_end = first_end.min(until);
            }
            true
        })?;
        *head = Head { from: 0, rewind_at: first_end };
        self.book.lock().counts = None;
        Ok(())
    }

    pub(super) fn stats(&self, map: &dyn Map, now: u64) -> Result<Stats> {
        loop {
            let mut head = self.head.lock();
            self.rewind(map, &mut head, now)?;
            let mut book = self.book.lock();
            if let Some(counts) = book.counts {
                return Ok(counts);
            }
            if book.posting.is_empty() && book.busy.is_empty() {
                let counts = self.count(map, now)?;
                book.counts = Some(counts);
                return Ok(counts);
            }
            drop((book, head));
            std::thread::yield_now();
        }
    }

    fn count(&self, map: &dyn Map, now: u64) -> Result<Stats> {
        let (mut total, mut claimed) = (0, 0);
        map.scan(Table::Messages, first(self.number).as_ref(), end(self.number).as_ref(), &mut |_, _| {
            total += 1;
            true
        })?;
        scan_claims(map, self.number, 0, u64::MAX, |_, until| {
            claimed += u64::from(until > now);
            true
        })?;
        Ok(Stats { free: total - claimed, claimed })
    }
}

impl Book {
    /// Numbers for so many messages that are about to be written.
    pub(super) fn begin_post(&mut self, count: u64) -> u64 {
        let first = self.next;
        self.next += count;
        self.posting.push(first);
        first
    }

    pub(super) fn end_post(&mut self, first: u64, written: u64) {
        self.posting.retain(|posting| *posting != first);
        self.count_in(|counts| counts.free += written);
    }

    /// The number that all messages that can be read are below.
    pub(super) fn frontier(&self) -> u64 {
        self.posting.iter().copied().min().unwrap_or(self.next)
    }

    pub(super) fn end_busy(&mut self, messages: &[u64]) {
        self.busy.retain(|busy| !messages.contains(busy));
    }

    pub(super) fn count_in(&mut self, change: impl FnOnce(&mut Stats)) {
        if let Some(counts) = &mut self.counts {
            change(counts);
        }
    }

    /// Lets the next call for them count the messages.
    pub(super) fn forget_counts(&mut self) {
        self.counts = None;
    }
}

/// Shows the claimed messages of a queue, and when their leases end.
pub(super) fn scan_claims(
    map: &dyn Map,
    queue: u32,
    from: u64,
    to: u64,
    mut visit: impl FnMut(u64, u64) -> bool,
) -> Result<()> {
    map.scan(Table::Claims, Key::message(queue, from).as_ref(), Key::message(queue, to).as_ref(), &mut |key, value| {
        match (message_of(key), claim_of(value)) {
            (Some((_, message)), Some((_, until))) => visit(message, until),
            _ => true,
        }
    })
}

/// The claim's number and the end of its lease.
pub(super) fn claim_of(value: &[u8]) -> Option<(u64, u64)> {
    let (claim, rest) = number(value)?;
    Some((claim, number(rest)?.0))
}

fn first(queue: u32) -> Key {
    Key::message(queue, 0)
}

fn end(queue: u32) -> Key {
    Key::message(queue, u64::MAX)
}
