//! Bookmarks.

use proptest::prelude::*;
use zaqar_sled::{BatchStep, Body, BookmarkCondition, BookmarkName, BookmarkRecord, ExtendedDriver, ListOptions};

use crate::batches::Step;
use crate::calls::{BUSIEST, PROJECTS, project_of};
use crate::pair::{Check, Pair, equal};

#[derive(Clone, Debug)]
pub(crate) enum BookmarkOp {
    Get(BookmarkRef),
    Set(BookmarkRef, Expected, usize),
    Delete(BookmarkRef, Expected),
    /// Of a project, after the name of that number.
    List(usize, Option<usize>, usize),
}

/// A project and a name, by number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookmarkRef(usize, usize);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Any,
    Missing,
    /// The version it has.
    Present,
    /// One of the versions seen so far, counted back from the newest.
    Seen(usize),
}

const NAMES: [&str; 3] = ["offset", "orders", "a"];

pub(crate) fn bookmark_op() -> impl Strategy<Value = BookmarkOp> {
    let name = prop::option::of(0..NAMES.len());
    prop_oneof![
        1 => bookmark_ref().prop_map(BookmarkOp::Get),
        6 => (bookmark_ref(), expected(), bytes()).prop_map(|(at, expected, bytes)| BookmarkOp::Set(at, expected, bytes)),
        2 => (bookmark_ref(), expected()).prop_map(|(at, expected)| BookmarkOp::Delete(at, expected)),
        1 => (0..PROJECTS.len(), name, 0_usize..4).prop_map(|(project, after, limit)| BookmarkOp::List(project, after, limit)),
    ]
}

pub(crate) fn bookmark_step() -> impl Strategy<Value = Step> {
    (bookmark_ref(), expected(), prop::option::weighted(0.8, bytes()))
        .prop_map(|(at, expected, bytes)| Step::Bookmark(at, expected, bytes))
}

fn bookmark_ref() -> impl Strategy<Value = BookmarkRef> {
    (0..PROJECTS.len(), 0..NAMES.len()).prop_map(|(project, name)| BookmarkRef(project, name))
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        4 => Just(Expected::Any),
        1 => Just(Expected::Missing),
        5 => Just(Expected::Present),
        1 => (0_usize..5).prop_map(Expected::Seen),
    ]
}

fn bytes() -> impl Strategy<Value = usize> {
    prop_oneof![10 => 0_usize..200, 2 => 1_000_usize..5_000, 1 => Just(64 << 10), 1 => Just((64 << 10) + 1)]
}

impl Pair<'_> {
    pub(crate) fn call_bookmarks(&mut self, op: &BookmarkOp) -> Check {
        match op {
            BookmarkOp::Get(at) => {
                let (project, name) = (project_of(at.0), at.name());
                self.both(
                    |driver| driver.bookmarks().get(&project, &name),
                    |pair, engine, model| {
                        let found =
                            engine.iter().zip(model).try_for_each(|(engine, model)| pair.same_one(engine, model));
                        found.and_then(|()| equal(engine.is_some(), model.is_some()))
                    },
                )
            }
            BookmarkOp::Set(at, expected, bytes) => {
                let (project, name, value) = (project_of(at.0), at.name(), self.value(*bytes));
                let (ours, theirs) = self.conditions(*at, *expected);
                self.each(
                    |engine| engine.bookmarks().set(&project, &name, &value, ours),
                    |model| model.bookmarks().set(&project, &name, &value, theirs),
                    |pair, engine, model| pair.versions.meet(BUSIEST, *engine, *model),
                )
            }
            BookmarkOp::Delete(at, expected) => {
                let (project, name) = (project_of(at.0), at.name());
                let (ours, theirs) = self.conditions(*at, *expected);
                self.each(
                    |engine| engine.bookmarks().delete(&project, &name, ours),
                    |model| model.bookmarks().delete(&project, &name, theirs),
                    |_, engine, model| equal(engine, model),
                )
            }
            BookmarkOp::List(project, after, limit) => {
                let after = after.map(|after| BookmarkRef(*project, after).name().into());
                self.list_bookmarks(*project, &ListOptions::new().marker(after).limit(*limit))
            }
        }
    }

    pub(crate) fn compare_bookmarks(&mut self, limit: usize) -> Check {
        (0..PROJECTS.len()).try_for_each(|project| self.list_bookmarks(project, &ListOptions::new().limit(limit)))
    }

    fn list_bookmarks(&mut self, project: usize, options: &ListOptions<zaqar_sled::BookmarkMarker>) -> Check {
        let project = project_of(project);
        self.both(
            |driver| driver.bookmarks().list(&project, options),
            |pair, engine, model| {
                equal((engine.items.len(), &engine.next), (model.items.len(), &model.next))?;
                engine.items.iter().zip(&model.items).try_for_each(|(engine, model)| pair.same_one(engine, model))
            },
        )
    }

    fn same_one(&mut self, engine: &BookmarkRecord, model: &BookmarkRecord) -> Check {
        equal((engine.name(), engine.value()), (model.name(), model.value()))?;
        equal(engine.changed(), model.changed())?;
        self.versions.meet(BUSIEST, engine.version(), model.version())
    }

    /// A step for the engine, and one for the model.
    pub(crate) fn bookmark_step(
        &mut self,
        at: BookmarkRef,
        expected: Expected,
        bytes: Option<usize>,
    ) -> (BatchStep, BatchStep) {
        let (ours, theirs) = self.conditions(at, expected);
        let value = bytes.map(|bytes| self.value(bytes));
        let step = |condition| {
            let (project, bookmark) = (project_of(at.0), at.name());
            match value.clone() {
                Some(value) => BatchStep::SetBookmark { project, bookmark, condition, value },
                None => BatchStep::DeleteBookmark { project, bookmark, condition },
            }
        };
        (step(ours), step(theirs))
    }

    /// A value that no other has.
    fn value(&mut self, bytes: usize) -> Body {
        self.posted += 1;
        let mut value = self.posted.to_string().into_bytes();
        value.resize(bytes.max(value.len()), b'-');
        value.into()
    }

    /// The condition for the engine, and for the model.
    fn conditions(&self, at: BookmarkRef, expected: Expected) -> (BookmarkCondition, BookmarkCondition) {
        let versions = match expected {
            Expected::Any => return (BookmarkCondition::Any, BookmarkCondition::Any),
            Expected::Missing => None,
            Expected::Present => {
                let read = self.model.bookmarks().get(&project_of(at.0), &at.name());
                read.ok().flatten().map(|read| self.versions.pair_of(read.version()).unwrap_or((7, 7)))
            }
            Expected::Seen(back) => self.versions.pick(back),
        };
        (versions.map(|versions| versions.0).into(), versions.map(|versions| versions.1).into())
    }
}

impl BookmarkRef {
    fn name(self) -> BookmarkName {
        BookmarkName::new(NAMES[self.1]).unwrap()
    }
}
