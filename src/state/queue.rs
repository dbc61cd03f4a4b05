//! A queue in memory: the result of the journal's operations.
//!
//! 1. Pages are keyed by their first sequence and do not overlap; none is empty.
//! 2. `ready` names exactly the pages with a message that a claim may take.
//! 3. `deadlines` holds every live claim's end, and the `due` of every page in which something falls due.
//! 4. `total`, `claimed`, `delayed`, `weight` and `pages` are the sums over the pages. `expired` counts what time has
//!    removed since the queue was created or last purged, in this store and before a move to it.
//! 5. After [`Queue::advance`]`(now)` has succeeded, no item that expired by `now` is left.
//! 6. [`Queue::apply`] depends only on the operation and this queue, and cannot fail after [`Queue::prepare`] has
//!    succeeded.
//! 7. `hot` names exactly the pages whose content is in memory.
//! 8. `damaged` names exactly the pages that the indexes have as damaged. Damage that was found since the queue was
//!    locked is in `found`, and is added to the indexes before any other change.
//! 9. `dirty` lists exactly the records that differ from the trees (see [`dirty`](super::dirty)); a listed page has a
//!    flag too.
//!
//! Cost: O(log pages) to find a message or the next claimable one, however many claimed, delayed or deleted ones come
//! before it; and one read for each page that is not in memory.

mod applying;
mod compacting;
mod damage;
mod eviction;
mod expiring;
mod loading;
mod salvaging;
mod storing;
mod totals;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use crate::model::error::{Error, Result};
use crate::model::numbering::{first_of, incarnation_of};
use crate::model::settings::ParsedSettings;
use crate::model::ttl::FOREVER;
use crate::model::{Metadata, Project, QueueName};
use crate::state::op::{Bookmarked, NewQueue, Op};
use crate::state::sequences::{Portions, Sequences};
use crate::storage::budget::Budget;

use super::bucket::Bucket;
use super::claims::{Claim, Claims};
use super::dirty::{Dirty, DirtyRecords};
use super::page::{Lease, Page, bits};
use super::page_content::Content;

pub(crate) use eviction::Purpose;
pub(crate) use expiring::Freed;
pub(crate) use totals::{Sizes, Totals};

/// The number of the outbox, the queue of dead letters for other stores. The number has no incarnation, so no other
/// queue has it.
pub(crate) const OUTBOX: u64 = 1;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on one another")]
pub(crate) struct Queue {
    number: u64,
    project: Project,
    name: QueueName,
    description: Arc<Description>,
    /// LSN of the last operation applied.
    lsn: u64,
    /// The next sequence, unless the incarnation has moved past it.
    next: u64,
    deleted: bool,
    budget: Arc<Budget>,
    pages: BTreeMap<u64, Box<Page>>,
    hot: RefCell<BTreeSet<u64>>,
    /// Pages read since it was locked.
    read: RefCell<Vec<u64>>,
    ready: BTreeSet<u64>,
    claims: Claims,
    deadlines: BTreeSet<(u64, Due)>,
    totals: Totals,
    bucket: Option<Bucket>,
    dirty: DirtyRecords,
    damaged: BTreeSet<u64>,
    /// Pages found to be damaged, or not to be any more.
    found: RefCell<Vec<u64>>,
    /// Set if there were damaged pages: a claim may count their lost messages until it ends.
    had_damage: bool,
    /// Whether it was used since the last time pages were to be evicted.
    pub(crate) touched: bool,
    /// A change that was applied could not be applied whole.
    broken: bool,
    /// Whether the record is in an archive and has not changed since.
    archived: bool,
}

/// A queue's metadata and the settings in its reserved keys.
#[derive(Debug, Default)]
pub(crate) struct Description {
    pub(crate) metadata: Metadata,
    pub(crate) settings: ParsedSettings,
}

/// An item that falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Claim(u64),
    Page(u64),
}

/// The contribution of a page to the queue's indexes and totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PageContribution {
    due: u64,
    ready: bool,
    totals: Totals,
}

impl PageContribution {
    const NOTHING: Self = Self {
        due: u64::MAX,
        ready: false,
        totals: Totals { total: 0, claimed: 0, delayed: 0, weight: 0, pages: 0, claims: 0, expired: 0 },
    };

    fn of(page: &Page) -> Self {
        let totals = Totals {
            total: u64::from(page.live().count_ones()),
            claimed: u64::from(page.claimed().count_ones()),
            delayed: u64::from(page.delayed().count_ones()),
            weight: page.weight(),
            pages: u64::from(page.live() != 0),
            claims: 0,
            expired: 0,
        };
        Self { due: page.due(), ready: page.is_indexed_ready(), totals }
    }
}

impl Queue {
    pub(crate) fn new(
        number: u64,
        project: Project,
        name: QueueName,
        description: Arc<Description>,
        lsn: u64,
        budget: &Arc<Budget>,
    ) -> Self {
        Self {
            number,
            project,
            name,
            description,
            lsn,
            next: 0,
            deleted: false,
            budget: budget.clone(),
            pages: BTreeMap::new(),
            hot: RefCell::default(),
            read: RefCell::default(),
            ready: BTreeSet::new(),
            claims: Claims::new(budget),
            deadlines: BTreeSet::new(),
            totals: Totals::default(),
            bucket: None,
            dirty: DirtyRecords::of(Some(Dirty::New)),
            damaged: BTreeSet::new(),
            found: RefCell::default(),
            had_damage: false,
            touched: false,
            broken: false,
            archived: false,
        }
    }

    /// The queue that an operation creates.
    pub(crate) fn from_new(new: &NewQueue<'_>, lsn: u64, budget: &Arc<Budget>) -> Result<Self> {
        let project = new.project.as_ref().map_or_else(|| Ok(Project::none()), Project::named)?;
        let name = if new.number == OUTBOX { QueueName::outbox() } else { QueueName::from_stored(&new.name)? };
        Ok(Self::new(new.number, project, name, Description::parse(&new.metadata)?.shared(), lsn, budget))
    }

    /// Restores the next sequence, the count of expired messages, the bucket, and the difference of the queue's record
    /// from the trees.
    pub(crate) fn resume(&mut self, next: u64, expired: u64, bucket: Option<Bucket>, record: Option<Dirty>) {
        (self.next, self.totals.expired, self.bucket) = (next, expired, bucket);
        self.dirty = DirtyRecords::of(record);
    }

    /// Whether the record is in an archive and has not changed since. Its next change is journaled behind an
    /// [`Op::Recall`].
    pub(crate) fn is_archived(&self) -> bool {
        self.archived
    }

    pub(crate) fn set_archived(&mut self, archived: bool) {
        self.archived = archived;
    }

    /// Whether the queue has only its record, in the state and in the trees.
    pub(crate) fn is_idle(&self) -> bool {
        let is_empty = self.pages.is_empty() && self.claims.len() == 0;
        is_empty && !self.dirty.has_entries() && !self.deleted && !self.broken
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn project(&self) -> &Project {
        &self.project
    }

    pub(crate) fn name(&self) -> &QueueName {
        &self.name
    }

    pub(crate) fn description(&self) -> &Arc<Description> {
        &self.description
    }

    pub(crate) fn lsn(&self) -> u64 {
        self.lsn
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// The approximate size of the key of the queue's project and name.
    pub(crate) fn key_bytes(&self) -> u64 {
        let project = self.project.name().map_or(0, str::len);
        project.saturating_add(self.name.as_str().len()).saturating_add(6) as u64
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals { claims: self.claims.len() as u64, ..self.totals }
    }

    /// The bucket of the queue's claim rate; `None` if nothing was handed out under one.
    pub(crate) fn bucket(&self) -> Option<Bucket> {
        self.bucket
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn pages(&self) -> &BTreeMap<u64, Box<Page>> {
        &self.pages
    }

    pub(crate) fn ready(&self) -> &BTreeSet<u64> {
        &self.ready
    }

    pub(crate) fn deadlines(&self) -> &BTreeSet<(u64, Due)> {
        &self.deadlines
    }

    /// The next instant at which something falls due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.deadlines.first().map(|(when, _)| *when)
    }

    /// The sequences for `count` new messages; `None` when their incarnation's are used up.
    pub(crate) fn allot(&self, incarnation: u32, count: usize) -> Option<u64> {
        let first = self.next.max(first_of(incarnation));
        let end = first.checked_add(count as u64)?;
        (end <= first_of(incarnation_of(first).checked_add(1)?)).then_some(first)
    }

    /// The next sequence: every lower one was assigned.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Whether a change could not be applied whole, because a page it needed was not in memory. This is a defect.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Applies the part of `op`, decided at `time` and journaled at `lsn`, that concerns this queue. Returns the number of
    /// messages that have expired by then.
    pub(crate) fn apply(&mut self, lsn: u64, time: u64, op: &Op<'_>) -> u64 {
        // A page that could not be read stays due, and the next call gets the error.
        let (before, _) = self.advance(time);
        match op {
            Op::Time | Op::CreateQueue(_) | Op::Register { .. } | Op::Registry(_) | Op::Recall { .. } => {}
            Op::SetMetadata { metadata, .. } | Op::Remap { metadata, .. } => self.describe(metadata),
            Op::DeleteQueue { .. } | Op::Unregister { .. } => self.deleted = true,
            Op::Purge { fill, .. } => {
                self.purge();
                self.bucket = self.bucket.filter(|_| !fill);
            }
            Op::Clear { .. } => self.purge(),
            Op::Post { first, client, messages, .. } => self.post(time, *first, *client, messages),
            Op::Claim(claim) if claim.queue == self.number => {
                self.claim(lsn, time, claim);
                // The outbox moves dead letters to its own end when their destination changes.
                if let Some(dead) = claim.dead.as_ref().filter(|dead| dead.target == self.number) {
                    self.deliver(dead.first, &dead.messages);
                }
            }
            Op::Claim(claim) => claim.dead.iter().for_each(|dead| self.deliver(dead.first, &dead.messages)),
            Op::Receive(received) => self.deliver(received.first, &received.messages),
            Op::Import(import) => self.import(import),
            Op::RenewClaim { claim, ttl, grace, slack, .. } => {
                self.renew(claim, Lease { now: time, slack: *slack, ttl: *ttl, grace: *grace });
            }
            Op::ReleaseClaim { claim, .. } => self.release(claim),
            Op::Retry(retried) => self.retry(time, retried),
            Op::SplitClaim(split) => self.split_claim(lsn, time, split),
            Op::Delete { messages, .. } => self.remove(messages),
            Op::Pop { messages, lacks, .. } => {
                self.remove(messages);
                self.hand_out(time, *lacks);
            }
            Op::EndClaims { claims, .. } => claims.iter().for_each(|number| self.end_spent(*number)),
            Op::DropDamaged { ranges, .. } => ranges.iter().for_each(|(from, to)| self.drop_range(*from, *to)),
            Op::Batch(steps) | Op::Bookmark(Bookmarked { steps, .. }) => self.take_steps(time, steps),
        }
        self.lsn = lsn;
        self.dirty.change_record();
        // What was posted with a ttl of zero, for example.
        let (after, _) = self.advance(time);
        before.messages.saturating_add(after.messages)
    }

    /// Changes every live message among `sequences`, a page at a time.
    fn change_each(&mut self, sequences: &Sequences, mut each: impl FnMut(&mut Page, u128)) {
        let mut rest = sequences.portions();
        while let Some((first, found)) = self.next_found(&mut rest).map(|(page, found)| (page.first(), found)) {
            // A page that cannot be read marks the queue as broken.
            self.change(first, |page| each(page, found));
        }
    }

    /// Takes sequences up to the end of the first page with live messages at some of them: the page, and these
    /// messages. `None` if there is no such page.
    ///
    /// A gap between pages is taken at once, however long it is, and costs no page.
    pub(crate) fn next_found(&self, rest: &mut Portions<'_>) -> Option<(&Page, u128)> {
        while let Some(sequence) = rest.first() {
            let page = self.pages.range(..=sequence).next_back().map(|(_, page)| &**page);
            let Some((page, last)) = page.and_then(|page| Some((page, page.last().filter(|last| sequence <= *last)?)))
            else {
                let next = self.pages.range((Bound::Excluded(sequence), Bound::Unbounded)).next();
                let end = next.map_or(u64::MAX, |(next, _)| next.saturating_sub(1));
                while rest.next_up_to(end).is_some() {}
                continue;
            };
            let mut found = 0;
            while let Some((start, count)) = rest.next_up_to(last) {
                found |= page.find_all(start, count);
            }
            if found != 0 {
                return Some((page, found));
            }
        }
        None
    }

    /// The page whose range contains `sequence`.
    pub(crate) fn page_of(&self, sequence: u64) -> Option<u64> {
        self.pages.range(..=sequence).next_back().map(|(first, _)| *first)
    }

    /// Changes a page and updates indexes, totals and the dirty set.
    fn change<R>(&mut self, first: u64, change: impl FnOnce(&mut Page) -> R) -> Option<R> {
        self.change_with(first, false, change)
    }

    /// As [`Self::change`]. A page that has lost messages drops the dead ones, after which only memory has what it has: so
    /// not if its image `is_kept`.
    fn change_with<R>(&mut self, first: u64, is_kept: bool, change: impl FnOnce(&mut Page) -> R) -> Option<R> {
        if self.pages.get(&first).is_some_and(|page| self.load_unless_damaged(page).is_err()) {
            self.broken = true;
            return None;
        }
        self.settle_damage();
        let page = self.pages.get_mut(&first)?;
        let before = PageContribution::of(page);
        let result = change(page);
        page.note_change(&mut self.dirty.pages);
        let keeps_image = page.image().is_some() && (is_kept || self.budget.keeps_images());
        let has_lost = u64::from(page.live().count_ones()) < before.totals.total;
        if has_lost && !keeps_image && page.is_sparse() {
            page.compact();
        }
        let after = PageContribution::of(page);
        if after.totals.total == 0 {
            self.dirty.pages.remove(&first);
            self.pages.remove(&first);
            self.hot.get_mut().remove(&first);
        }
        self.reindex(first, before, after);
        Some(result)
    }

    /// Adds a new page; the caller updates the indexes.
    fn insert_page(&mut self, mut page: Page) {
        let first = page.first();
        self.dirty.pages.add(first);
        page.dirty = true;
        if page.content().is_some() {
            self.hot.get_mut().insert(first);
        }
        self.pages.insert(first, Box::new(page));
    }

    /// Subtracts removed messages from their claims, one for each time a claim is named.
    fn lose_claimed(&mut self, claims: &[u64]) {
        // Nearly always those of one claim.
        for same in claims.chunk_by(|one, next| one == next) {
            let count = u32::try_from(same.len()).unwrap_or(u32::MAX);
            if let Some(number) = same.first()
                && self.claims.lose(*number, count)
            {
                self.note_spent(*number);
            }
        }
    }

    fn reindex(&mut self, first: u64, before: PageContribution, after: PageContribution) {
        let alive = after.totals.total > 0;
        if !alive && !self.damaged.is_empty() {
            self.damaged.remove(&first);
        }
        if before.due != after.due || !alive {
            self.deadlines.remove(&(before.due, Due::Page(first)));
            if alive && after.due != FOREVER {
                self.deadlines.insert((after.due, Due::Page(first)));
            }
        }
        if before.ready != after.ready {
            let _ = if after.ready { self.ready.insert(first) } else { self.ready.remove(&first) };
        }
        self.totals = self.totals.moved(before.totals, after.totals);
    }
}

impl Description {
    /// The length of the metadata's text, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        if self.metadata.is_empty() { 2 } else { self.metadata.to_json().len() }
    }

    /// To be shared; that of a queue without metadata by all of those.
    pub(crate) fn shared(self) -> Arc<Self> {
        static PLAIN: LazyLock<Arc<Description>> = LazyLock::new(Arc::default);
        if self.metadata == PLAIN.metadata { PLAIN.clone() } else { Arc::new(self) }
    }

    /// Reads metadata from its text.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let metadata = Metadata::from_json(text)?;
        let settings = ParsedSettings::parse(&metadata)?;
        Ok(Self { metadata, settings })
    }
}
