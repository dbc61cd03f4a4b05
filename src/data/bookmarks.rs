//! The bookmarks of the control store.

use std::collections::BTreeSet;

use crate::contract::Bookmarks;
use crate::model::error::{Error, Result};
use crate::model::{
    BatchStep, Body, BookmarkCondition, BookmarkMarker, BookmarkName, BookmarkRecord, ListOptions, Page, Project,
};
use crate::state::costs::bookmark_bytes;
use crate::state::op::{BookmarkChange, Bookmarked, Step};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{LockedRegistry, Store, Together};

use super::backend::{Answer, Backend};

impl<S: Backend> Bookmarks for S {
    fn get(&self, project: &Project, name: &BookmarkName) -> Result<Option<BookmarkRecord>> {
        self.with_queues(&[], |_| {
            let store = self.control_store();
            store.limits.check_project(project)?;
            let registry = store.registry.read();
            let found = registry.bookmarks.get(&key(project, name));
            Ok((Answer::at_once(found.map(|row| row.record(name.clone()))), Vec::new()))
        })
    }

    fn set(&self, project: &Project, name: &BookmarkName, value: &Body, condition: BookmarkCondition) -> Result<u64> {
        let (_, version) = change(self, project, name, Some(value), condition)?;
        // A value that is set always gets one.
        Ok(version.unwrap_or_default())
    }

    fn delete(&self, project: &Project, name: &BookmarkName, condition: BookmarkCondition) -> Result<bool> {
        change(self, project, name, None, condition).map(|(changed, _)| changed)
    }

    fn list(
        &self,
        project: &Project,
        options: &ListOptions<BookmarkMarker>,
    ) -> Result<Page<BookmarkRecord, BookmarkMarker>> {
        let items = self.with_queues(&[], |_| {
            let store = self.control_store();
            store.limits.check_project(project)?;
            store.limits.check_page_limit(options.limit)?;
            let (prefix, after) = (keys::project(project), options.marker.as_ref());
            let after = after.map(|marker| key(project, marker.name()));
            let registry = store.registry.read();
            let rows = registry.bookmarks.range(&prefix, after.as_deref()).take(options.most());
            // The key was made from a name.
            let named = rows.filter_map(|(key, row)| Some((keys::parse_named(key)?.1, row)));
            let items = named.map(|(name, row)| Ok(row.record(BookmarkName::new(name)?)));
            Ok((Answer::at_once(items.collect::<Result<Vec<_>>>()?), Vec::new()))
        })?;
        let next = items.last().map(|record| record.name.clone().into());
        Ok(Page { items, next })
    }
}

/// Sets a bookmark, or deletes it. Returns whether there was something to change, and the new version.
fn change<S: Backend>(
    backend: &S,
    project: &Project,
    name: &BookmarkName,
    value: Option<&Body>,
    condition: BookmarkCondition,
) -> Result<(bool, Option<u64>)> {
    backend.with_queues(&[], |queues| {
        let store = backend.control_store();
        let mut plan = BookmarkPlan::new(store, queues);
        plan.add(project, name, value, condition)?;
        let changes = !plan.is_empty();
        let answer = plan.record(queues, Growth::Frees, Vec::new(), |version| (changes, version))?;
        Ok((answer, Vec::new()))
    })
}

/// Changes of bookmarks that have been checked, under the lock of the registry.
pub(super) struct BookmarkPlan<'s> {
    store: &'s Store,
    registry: LockedRegistry<'s>,
    changes: Vec<BookmarkChange<'s>>,
    named: BTreeSet<(&'s Project, &'s BookmarkName)>,
    growth: Growth,
    /// The size of all bookmarks with the changes so far.
    bytes: u64,
}

impl<'s> BookmarkPlan<'s> {
    /// Locks the registry, after the queues, at their time.
    fn new(store: &'s Store, queues: &Together<'_>) -> Self {
        let registry = store.lock_registry_as_is(|store| queues.now().unwrap_or_else(|| store.now()));
        let bytes = registry.bookmarks.bytes();
        Self { store, registry, changes: Vec::new(), named: BTreeSet::new(), growth: Growth::Frees, bytes }
    }

    /// The bookmarks of a batch's steps; `None` if there are none.
    pub(super) fn of(store: &'s Store, queues: &Together<'_>, steps: &[&'s BatchStep]) -> Result<Option<Self>> {
        if steps.iter().all(|step| step.bookmark().is_none()) {
            return Ok(None);
        }
        let mut plan = Self::new(store, queues);
        for step in steps {
            match step {
                BatchStep::SetBookmark { project, bookmark, condition, value } => {
                    plan.add(project, bookmark, Some(value), *condition)?;
                }
                BatchStep::DeleteBookmark { project, bookmark, condition } => {
                    plan.add(project, bookmark, None, *condition)?;
                }
                BatchStep::Post { .. }
                | BatchStep::Delete { .. }
                | BatchStep::Renew { .. }
                | BatchStep::Release { .. } => {}
            }
        }
        Ok(Some(plan))
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Checks a change and adds it. `None` as the value deletes the bookmark.
    fn add(
        &mut self,
        project: &'s Project,
        name: &'s BookmarkName,
        value: Option<&'s Body>,
        condition: BookmarkCondition,
    ) -> Result<()> {
        if !self.named.insert((project, name)) {
            return Err(named_twice(name));
        }
        self.store.limits.check_project(project)?;
        check_value(value)?;
        let key = key(project, name);
        let before = self.registry.bookmarks.get(&key);
        check_condition(project, name, condition, before.map(|row| row.version))?;
        let bytes_before = before.map_or(0, |row| bookmark_bytes(key.len(), row.value.len()));
        self.bytes = self.bytes.saturating_sub(bytes_before);
        if let Some(value) = value {
            let bytes = bookmark_bytes(key.len(), value.len());
            self.bytes = self.bytes.saturating_add(bytes);
            let grows = bytes > bytes_before;
            if grows {
                check_bytes_of_all(self.bytes)?;
            }
            self.growth = self.growth.min(if grows { Growth::Grows } else { Growth::Leases });
        }
        if value.is_some() || bytes_before > 0 {
            self.push(project, name, value.map(Body::as_bytes));
        }
        Ok(())
    }

    /// Records the changes, together with the steps of a batch whose effect on the store's size is `growth`. The answer is
    /// made from the version of the bookmarks that are set.
    pub(super) fn record<R>(
        mut self,
        queues: &mut Together<'_>,
        growth: Growth,
        steps: Vec<Step<'_>>,
        answer: impl FnOnce(Option<u64>) -> R,
    ) -> Result<Answer<R>> {
        if self.changes.is_empty() && steps.is_empty() {
            return Ok(Answer::seen(answer(None)));
        }
        let sets = self.changes.iter().any(|change| change.value.is_some());
        // That of the run, which is durable; one that was allotted since need not be.
        let incarnation = self.store.context.incarnation;
        let changed = Bookmarked { bookmarks: self.changes, incarnation, steps };
        let (lsn, version) = queues.record_with(&mut self.registry, growth.min(self.growth), changed)?;
        Ok(Answer::changed(answer(sets.then_some(version)), lsn))
    }

    fn push(&mut self, project: &'s Project, name: &'s BookmarkName, value: Option<&'s [u8]>) {
        let project = project.name().map(Into::into);
        self.changes.push(BookmarkChange { project, name: name.as_str().into(), value: value.map(Into::into) });
    }
}

/// # Errors
/// `TooLarge`.
pub(crate) fn check_value(value: Option<&Body>) -> Result<()> {
    let (size, limit) = (value.map_or(0, |value| value.len() as u64), BookmarkRecord::MOST_BYTES);
    if size > limit { Err(Error::TooLarge { what: "bytes of a bookmark", size, limit }) } else { Ok(()) }
}

/// # Errors
/// `BookmarkChanged`.
pub(crate) fn check_condition(
    project: &Project,
    name: &BookmarkName,
    condition: BookmarkCondition,
    version: Option<u64>,
) -> Result<()> {
    if condition.holds(version) {
        return Ok(());
    }
    Err(Error::BookmarkChanged { project: project.clone(), bookmark: name.clone(), version })
}

/// Two steps of a batch change the same bookmark: the second could not name the version that the first sets.
pub(crate) fn named_twice(name: &BookmarkName) -> Error {
    Error::invalid("steps", format!("bookmark {name:?} is changed twice"))
}

pub(super) fn check_bytes_of_all(size: u64) -> Result<()> {
    let (what, limit) = ("bytes of all bookmarks of the store", BookmarkRecord::MOST_BYTES_OF_ALL);
    if size > limit { Err(Error::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn key(project: &Project, name: &BookmarkName) -> Vec<u8> {
    keys::named(project.name(), name.as_str())
}
