//! A whole store's queues on their way into memory: records are loaded, then operations replayed over them.
//!
//! 1. A queue's record says up to which LSN its pages and claims go; operations up to there are skipped for it.
//! 2. An operation on a queue that is not there belongs to one that was deleted before the base reached it: its deletion
//!    must follow, or something is missing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec;
use crate::model::{Project, QueueName};
use crate::op::{self, NewQueue, Op};
use crate::trees::Tree;
use crate::trees::keys::{self, Part};
use crate::trees::records::{self, QueueRecord, StoreRecord};

use super::claims::Claim;
use super::page::{Page, PageRecord};
use super::queue::{Description, Queue};
use super::registry::Registry;

#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) queues: BTreeMap<u64, Queue>,
    /// The number the next queue gets, unless the incarnation has moved past it.
    pub(crate) next_queue: u64,
    pub(crate) registry: Registry,
    /// The highest time met.
    pub(crate) time: u64,
    /// What the trees said of themselves, if trees were loaded.
    pub(crate) store: Option<StoreRecord>,
    /// Bodies whose states have not come yet.
    pending: Option<PendingBodies>,
    /// Queues that operations named and that are not there.
    unknown: BTreeSet<u64>,
}

#[derive(Debug)]
struct PendingBodies {
    queue: u64,
    first: u64,
    pieces: u32,
    bytes: Vec<u8>,
}

/// A queue at one instant; taking it costs a reference a page.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) number: u64,
    pub(crate) project: Project,
    pub(crate) name: QueueName,
    pub(crate) description: Arc<Description>,
    pub(crate) next: u64,
    pub(crate) lsn: u64,
    pub(crate) pages: Vec<Arc<Page>>,
    pub(crate) claims: Vec<(u64, Claim)>,
}

impl Snapshot {
    /// The queue's own record alone.
    pub(crate) fn record_of(queue: &Queue) -> Self {
        Self {
            number: queue.number(),
            project: queue.project().clone(),
            name: queue.name().clone(),
            description: queue.description().clone(),
            next: queue.next(),
            lsn: queue.lsn(),
            pages: Vec::new(),
            claims: Vec::new(),
        }
    }

    /// Everything, standing at `lsn`.
    pub(crate) fn of(queue: &Queue, lsn: u64) -> Self {
        Self {
            lsn,
            pages: queue.pages().values().cloned().collect(),
            claims: queue.claims().iter().map(|(number, claim)| (number, claim.clone())).collect(),
            ..Self::record_of(queue)
        }
    }
}

impl Contents {
    /// Takes one record in; the error says what is wrong with it.
    pub(crate) fn load(&mut self, tree: Tree, key: &[u8], value: &[u8]) -> Result<(), String> {
        let body = records::open(tree, key, value)?;
        match tree {
            Tree::Meta if key == keys::STORE => self.store = Some(codec::decode(body)?),
            Tree::Queues => self.load_queue(key, body)?,
            Tree::Messages => self.load_page(key, body)?,
            Tree::Claims => {
                let (number, claim) = keys::parse_claim(key).ok_or("not a claim's key")?;
                let queue = self.queues.get_mut(&number).ok_or("a claim without its queue")?;
                queue.load_claim(claim, codec::decode::<Claim>(body)?);
            }
            Tree::Meta | Tree::Subscriptions | Tree::Catalogue | Tree::Pools | Tree::Flavors => {
                self.registry.load(tree, key, body)?;
            }
        }
        Ok(())
    }

    fn load_queue(&mut self, key: &[u8], body: &[u8]) -> Result<(), String> {
        let (project, name) = keys::parse_queue(key).ok_or("not a queue's key")?;
        let record: QueueRecord<'_> = codec::decode(body)?;
        let description = Description::parse(&record.metadata).map_err(|error| error.to_string())?;
        let mut queue = Queue::new(record.number, project, name, description, record.lsn);
        queue.resume_at(record.next);
        self.next_queue = self.next_queue.max(record.number.saturating_add(1));
        let twice = self.queues.insert(record.number, queue).is_some();
        if twice { Err("two queues of one number".into()) } else { Ok(()) }
    }

    fn load_page(&mut self, key: &[u8], body: &[u8]) -> Result<(), String> {
        let (queue, first, part) = keys::parse_page(key).ok_or("not a page's key")?;
        let pending = self.pending.take_if(|pending| (pending.queue, pending.first) == (queue, first));
        match part {
            Part::Bodies { piece } => {
                let mut pending = pending.unwrap_or(PendingBodies { queue, first, pieces: 0, bytes: Vec::new() });
                if pending.pieces != piece {
                    return Err("a piece of a page's bodies is missing".into());
                }
                pending.pieces = piece.saturating_add(1);
                pending.bytes.extend_from_slice(body);
                self.pending = Some(pending);
            }
            Part::States => {
                let record: PageRecord = codec::decode(body)?;
                let bodies = pending.map(|pending| pending.bytes).unwrap_or_default();
                let page = Page::from_record(first, record, bodies)?;
                let queue = self.queues.get_mut(&queue).ok_or("a page without its queue")?;
                queue.load_page(page);
            }
        }
        Ok(())
    }

    /// Ends the loading of records.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        if let Some(store) = &self.store {
            self.next_queue = self.next_queue.max(store.next_queue);
            self.time = self.time.max(store.time);
        }
        self.registry.settle()?;
        Ok(self.queues.values_mut().try_for_each(Queue::settle)?)
    }

    /// Makes sense of what could be read of a damaged base: messages without their claim are free.
    pub(crate) fn mend(&mut self) {
        self.queues.values_mut().for_each(Queue::mend);
        // What is under a key that is none is of no use to anybody.
        let _ = self.registry.settle();
    }

    /// Applies a journaled operation where it is not yet contained.
    pub(crate) fn replay(&mut self, lsn: u64, body: &[u8]) -> Result<(), String> {
        let entry: op::Entry<'_> = codec::decode(body)?;
        let time = entry.time;
        self.time = self.time.max(time);
        if self.registry.lsn() < lsn {
            self.registry.apply(lsn, time, &entry.op);
        }
        match &entry.op {
            Op::Time | Op::Registry(_) => {}
            Op::CreateQueue(new) | Op::Register { new, .. } => self.create(lsn, new)?,
            Op::DeleteQueue { queue } | Op::Unregister { queue, .. } => {
                self.queues.remove(queue);
                self.unknown.remove(queue);
            }
            Op::Claim(claim) => {
                self.apply(claim.queue, lsn, time, &entry.op);
                if let Some(dead) = &claim.dead {
                    // Made one LSN earlier, so that the letters of this operation count as not yet in it.
                    dead.create.iter().try_for_each(|new| self.create(lsn.saturating_sub(1), new))?;
                    self.apply(dead.target, lsn, time, &entry.op);
                }
            }
            op => op.queue().into_iter().for_each(|queue| self.apply(queue, lsn, time, op)),
        }
        Ok(())
    }

    fn apply(&mut self, number: u64, lsn: u64, time: u64, op: &Op<'_>) {
        match self.queues.get_mut(&number) {
            Some(queue) if queue.lsn() < lsn => queue.apply(lsn, time, op),
            Some(_) => {}
            None => drop(self.unknown.insert(number)),
        }
    }

    fn create(&mut self, lsn: u64, new: &NewQueue<'_>) -> Result<(), String> {
        self.next_queue = self.next_queue.max(new.number.saturating_add(1));
        if let Entry::Vacant(place) = self.queues.entry(new.number) {
            place.insert(Queue::from_new(new, lsn).map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    /// Ends the replay at the highest time met.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        if let Some(number) = self.unknown.first() {
            return Err(format!("operations on queue {number:#x}, which is not there and was not deleted"));
        }
        let time = self.time;
        self.queues.values_mut().for_each(|queue| {
            queue.advance(time);
        });
        self.registry.advance(time);
        let mut names = BTreeSet::new();
        let unique = self.queues.values().all(|queue| names.insert(keys::queue(queue.project(), queue.name())));
        if unique { Ok(()) } else { Err("two queues of one name".into()) }
    }
}
