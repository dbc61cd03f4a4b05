//! Bookmarks in the model.

use super::{ReferenceModel, Store};
use crate::contract::Bookmarks;
use crate::data::bookmarks::{check_condition, check_value};
use crate::model::error::Result;
use crate::model::{
    Body, BookmarkCondition, BookmarkMarker, BookmarkName, BookmarkRecord, ListOptions, Page, Project, Timestamp,
};

impl Bookmarks for ReferenceModel {
    fn get(&self, project: &Project, name: &BookmarkName) -> Result<Option<BookmarkRecord>> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        Ok(store.bookmarks.get(&(project.clone(), name.clone())).cloned())
    }

    fn set(&self, project: &Project, name: &BookmarkName, value: &Body, condition: BookmarkCondition) -> Result<u64> {
        let (mut store, now) = self.enter()?;
        self.change_at(&mut store, now, (project, name), Some(value), condition)?;
        store.bookmarks_set = store.bookmarks_set.saturating_add(1);
        Ok(store.bookmarks_set)
    }

    fn delete(&self, project: &Project, name: &BookmarkName, condition: BookmarkCondition) -> Result<bool> {
        let (mut store, now) = self.enter()?;
        self.change_at(&mut store, now, (project, name), None, condition)
    }

    fn list(
        &self,
        project: &Project,
        options: &ListOptions<BookmarkMarker>,
    ) -> Result<Page<BookmarkRecord, BookmarkMarker>> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        self.limits.check_page_limit(options.limit)?;
        let after = options.marker.as_ref().map(BookmarkMarker::name);
        let own = store.bookmarks.iter().filter(|((owner, name), _)| owner == project && Some(name) > after);
        let items: Vec<BookmarkRecord> = own.map(|(_, record)| record.clone()).take(options.most()).collect();
        let next = items.last().map(|record| record.name().clone().into());
        Ok(Page { items, next })
    }
}

impl ReferenceModel {
    /// Sets a bookmark to the next version, or deletes it; returns whether it was there.
    pub(super) fn change_at(
        &self,
        store: &mut Store,
        now: Timestamp,
        (project, name): (&Project, &BookmarkName),
        value: Option<&Body>,
        condition: BookmarkCondition,
    ) -> Result<bool> {
        self.limits.check_project(project)?;
        check_value(value)?;
        let key = (project.clone(), name.clone());
        let before = store.bookmarks.get(&key).map(BookmarkRecord::version);
        check_condition(project, name, condition, before)?;
        match value {
            Some(value) => {
                let version = store.bookmarks_set.saturating_add(1);
                let record = BookmarkRecord { name: name.clone(), value: value.clone(), version, changed: now };
                store.bookmarks.insert(key, record);
            }
            None => drop(store.bookmarks.remove(&key)),
        }
        Ok(before.is_some())
    }
}
