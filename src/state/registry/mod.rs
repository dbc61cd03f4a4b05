//! The registry: subscriptions, pools, flavors, the catalogue, bookmarks, quotas, and the accounts of a pooled driver.
//!
//! 1. The registry is the result of the operations in order, and applying some of them again changes nothing. So a
//!    snapshot can be written while the registry changes, and a replay starts at the LSN at which the writing began.
//! 2. After [`Registry::advance`]`(now)` no subscription that expired by `now` is left.
//!
//! Cost: O(log rows) a change.

mod applying;
mod bookmarks;
mod control;
mod quotas;
mod subscriptions;
mod table;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::trees::Tree;
use crate::model::error::Result;
use crate::state::dirty::Dirty;
use crate::state::op::Source;
use crate::storage::records::{self, Record};
use crate::storage::{codec, keys};

pub(crate) use bookmarks::BookmarkRow;
pub(crate) use control::{FlavorRow, Mapping, PoolRow, Removal, pool_name};
pub(crate) use quotas::QuotaRow;
pub(crate) use subscriptions::{SubscriptionRow, Subscriptions};
pub(crate) use table::{Changed, Table};

#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) subscriptions: Subscriptions,
    pub(crate) pools: Table<PoolRow>,
    pub(crate) flavors: Table<FlavorRow>,
    pub(crate) catalogue: Table<Arc<Mapping>>,
    pub(crate) bookmarks: Table<BookmarkRow>,
    pub(crate) removals: Table<Removal>,
    /// The contents that queues left in pools they were mapped to.
    pub(crate) left_behind: Table<Removal>,
    /// The source ids of dead letters that may be sent again, with the stores they came from.
    pub(crate) received: Table<[u8; 16]>,
    /// What projects may hold.
    pub(crate) quotas: Table<QuotaRow>,
    head: Head,
    /// The difference of the head's record from the trees.
    head_dirty: Option<Dirty>,
}

/// The single values of the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// The last operation that is in the tables.
    lsn: u64,
    /// The number the next subscription gets, unless the incarnation has moved past it.
    next_subscription: u64,
    /// The highest incarnation given to a pool or a mapping.
    incarnation: u32,
    /// The control store this store is a pool of.
    control: Option<[u8; 16]>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            subscriptions: Subscriptions::default(),
            pools: Table::new(Tree::Pools),
            flavors: Table::new(Tree::Flavors),
            catalogue: Table::new(Tree::Catalogue),
            bookmarks: Table::new(Tree::Bookmarks),
            removals: Table::new(Tree::Meta),
            left_behind: Table::new(Tree::Meta),
            received: Table::new(Tree::Meta),
            quotas: Table::new(Tree::Meta),
            head: Head::default(),
            head_dirty: Some(Dirty::New),
        }
    }
}

/// Calls a method of every table, one after the other.
macro_rules! each_table {
    ($registry:expr, |$table:ident| $call:expr) => {{
        let registry = $registry;
        {
            let $table = &mut registry.subscriptions.rows;
            $call;
        }
        {
            let $table = &mut registry.pools;
            $call;
        }
        {
            let $table = &mut registry.flavors;
            $call;
        }
        {
            let $table = &mut registry.catalogue;
            $call;
        }
        {
            let $table = &mut registry.bookmarks;
            $call;
        }
        {
            let $table = &mut registry.removals;
            $call;
        }
        {
            let $table = &mut registry.left_behind;
            $call;
        }
        {
            let $table = &mut registry.received;
            $call;
        }
        {
            let $table = &mut registry.quotas;
            $call;
        }
    }};
}

impl Registry {
    pub(crate) fn lsn(&self) -> u64 {
        self.head.lsn
    }

    pub(crate) fn next_subscription(&self) -> u64 {
        self.head.next_subscription
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.head.incarnation
    }

    pub(crate) fn control(&self) -> Option<[u8; 16]> {
        self.head.control
    }

    /// The next instant at which something falls due.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.subscriptions.next_due()
    }

    /// Expires every subscription due by `now`; returns how many.
    pub(crate) fn advance(&mut self, now: u64) -> u64 {
        self.subscriptions.advance(now)
    }

    /// Whether a dead letter was received already.
    pub(crate) fn has_received(&self, source: Source) -> bool {
        self.received.contains(&keys::received(source))
    }

    /// Loads a record; the error says what is wrong with it.
    pub(crate) fn load(&mut self, tree: Tree, key: &[u8], body: &[u8]) -> Result<(), String> {
        match tree {
            Tree::Subscriptions => self.subscriptions.rows.load(key, body),
            Tree::Pools => self.pools.load(key, body),
            Tree::Flavors => self.flavors.load(key, body),
            Tree::Catalogue => self.catalogue.load(key, body),
            Tree::Bookmarks => self.bookmarks.load(key, body),
            Tree::Meta if key == keys::REGISTRY => {
                self.head = codec::decode(body)?;
                Ok(())
            }
            Tree::Meta if keys::is_removal(key) => self.removals.load(key, body),
            Tree::Meta if keys::is_left_behind(key) => self.left_behind.load(key, body),
            Tree::Meta if keys::is_received(key) => self.received.load(key, body),
            Tree::Meta if keys::is_quota(key) => self.quotas.load(key, body),
            _ => Err("a record of an unknown kind".into()),
        }
    }

    /// Whether there is a row under that key.
    pub(crate) fn has(&self, tree: Tree, key: &[u8]) -> bool {
        match tree {
            Tree::Subscriptions => self.subscriptions.rows.contains(key),
            Tree::Pools => self.pools.contains(key),
            Tree::Flavors => self.flavors.contains(key),
            Tree::Catalogue => self.catalogue.contains(key),
            Tree::Bookmarks => self.bookmarks.contains(key),
            _ if keys::is_quota(key) => self.quotas.contains(key),
            _ => self.removals.contains(key) || self.left_behind.contains(key) || self.received.contains(key),
        }
    }

    /// Sets the last operation that is in the tables: a replay applies the later ones.
    pub(crate) fn stand_at(&mut self, lsn: u64) {
        self.head.lsn = lsn;
    }

    /// Ends loading.
    pub(crate) fn settle(&mut self) -> Result<(), &'static str> {
        self.subscriptions.settle()
    }

    /// Replaces a lost head record by values from the rows and from the control store that opens the store.
    pub(crate) fn complete(&mut self, control: Option<[u8; 16]>) {
        self.head.control = self.head.control.or(control);
        let ids: Vec<[u8; 16]> =
            self.subscriptions.rows.iter().filter_map(|(key, _)| Some(keys::parse_subscription(key)?.1)).collect();
        ids.iter().for_each(|id| self.count_subscription(id));
        let highest = self.catalogue.iter().map(|(_, mapping)| mapping.least_incarnation).max();
        self.head.incarnation = self.head.incarnation.max(highest.unwrap_or(0));
        self.head_dirty.get_or_insert(Dirty::Stale);
    }

    /// The number of records in complete trees.
    pub(crate) fn records(&self) -> u64 {
        let tables = [self.subscriptions.len(), self.pools.len(), self.flavors.len(), self.catalogue.len()];
        let accounts = [self.removals.len(), self.left_behind.len(), self.received.len()];
        let others = [self.bookmarks.len(), self.quotas.len()];
        1 + tables.iter().chain(&accounts).chain(&others).sum::<usize>() as u64
    }

    /// The approximate size of all records.
    pub(crate) fn bytes(&self) -> u64 {
        let tables =
            [self.subscriptions.rows.bytes(), self.pools.bytes(), self.flavors.bytes(), self.catalogue.bytes()];
        let accounts = [self.removals.bytes(), self.left_behind.bytes(), self.received.bytes()];
        let others = [self.bookmarks.bytes(), self.quotas.bytes()];
        tables.into_iter().chain(accounts).chain(others).fold(0, u64::saturating_add)
    }

    /// Its own record, standing at `lsn`.
    pub(crate) fn head_record(&self, lsn: u64) -> Result<Record> {
        records::seal(Tree::Meta, keys::REGISTRY.to_vec(), &Head { lsn, ..self.head.clone() })
    }

    /// Up to `most` records of one of the [`PARTS`], from the first key after `after`.
    pub(crate) fn part(&self, part: Part, after: Option<&[u8]>, most: usize) -> Result<Vec<Record>> {
        match part {
            Part::Subscriptions => self.subscriptions.rows.records(after, most),
            Part::Pools => self.pools.records(after, most),
            Part::Flavors => self.flavors.records(after, most),
            Part::Catalogue => self.catalogue.records(after, most),
            Part::Bookmarks => self.bookmarks.records(after, most),
            Part::Removals => self.removals.records(after, most),
            Part::LeftBehind => self.left_behind.records(after, most),
            Part::Received => self.received.records(after, most),
            Part::Quotas => self.quotas.records(after, most),
        }
    }

    /// Every record, standing at `lsn`.
    pub(crate) fn all(&self, lsn: u64, visit: &mut dyn FnMut(Record) -> Result<()>) -> Result<()> {
        visit(self.head_record(lsn)?)?;
        for part in PARTS {
            self.part(part, None, usize::MAX)?.into_iter().try_for_each(&mut *visit)?;
        }
        Ok(())
    }

    /// Takes the changes that the trees lack.
    pub(crate) fn take_changes(&mut self) -> Result<Vec<Changed>> {
        let mut changes = Vec::new();
        each_table!(&mut *self, |table| changes.extend(table.take_changes()?));
        if self.head_dirty.take().is_some() {
            let record = self.head_record(self.head.lsn)?;
            changes.push((record.tree, record.key.clone(), Some(record)));
        }
        Ok(changes)
    }

    /// Whether there are changes that the trees lack.
    pub(crate) fn has_changes(&self) -> bool {
        self.head_dirty.is_some()
            || self.subscriptions.rows.has_changes()
            || self.pools.has_changes()
            || self.flavors.has_changes()
            || self.catalogue.has_changes()
            || self.bookmarks.has_changes()
            || self.removals.has_changes()
            || self.left_behind.has_changes()
            || self.received.has_changes()
            || self.quotas.has_changes()
    }

    /// The records that the trees must have as they are.
    pub(crate) fn unchanged(&self) -> Result<Vec<Record>> {
        let mut records = self.subscriptions.rows.unchanged()?;
        records.extend(self.pools.unchanged()?);
        records.extend(self.flavors.unchanged()?);
        records.extend(self.catalogue.unchanged()?);
        records.extend(self.bookmarks.unchanged()?);
        records.extend(self.removals.unchanged()?);
        records.extend(self.left_behind.unchanged()?);
        records.extend(self.received.unchanged()?);
        records.extend(self.quotas.unchanged()?);
        Ok(records)
    }

    /// Marks the trees as empty: the next checkpoint writes everything.
    pub(crate) fn forget_stored(&mut self) {
        each_table!(&mut *self, |table| table.forget_stored());
        self.head_dirty = Some(Dirty::New);
    }

    /// Marks the loaded rows as equal to the trees.
    pub(crate) fn mark_stored(&mut self) {
        each_table!(&mut *self, |table| table.mark_stored());
        self.head_dirty = None;
    }

    /// The first invariant that is violated.
    pub(crate) fn audit(&self) -> Option<&'static str> {
        self.subscriptions.audit()
    }
}

/// The tables, as a snapshot has them one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Subscriptions,
    Pools,
    Flavors,
    Catalogue,
    Bookmarks,
    Removals,
    LeftBehind,
    Received,
    Quotas,
}

pub(crate) const PARTS: [Part; 9] = [
    Part::Subscriptions,
    Part::Pools,
    Part::Flavors,
    Part::Catalogue,
    Part::Bookmarks,
    Part::Removals,
    Part::LeftBehind,
    Part::Received,
    Part::Quotas,
];
