//! Bookmarks.

use arbitrary::Arbitrary;
use zaqar_sled::{
    BatchStep, Body, BookmarkCondition, BookmarkName, BookmarkRecord, ExtendedDriver, ListOptions, Project,
};

use crate::compare::{both, same};
use crate::operation::Name;
use crate::registration::Few;
use crate::world::World;

#[derive(Debug, Clone, Arbitrary)]
pub enum BookmarkCall {
    Get(Named),
    Set(Change),
    Delete(Change),
    List { project: bool, after: Option<Few<3>>, limit: u8 },
}

/// A project and a name, by number.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct Named {
    project: bool,
    name: Few<3>,
}

#[derive(Debug, Clone, Arbitrary)]
pub struct Change {
    at: Named,
    expected: Expected,
    value: Vec<u8>,
    /// How much longer the value is.
    padding: Option<Few<3>>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Expected {
    Any,
    Missing,
    Present,
    Seen(u8),
}

impl Named {
    fn parts(self) -> (Project, BookmarkName) {
        let project = if self.project { Name(0).parts().0 } else { Project::none() };
        (project, named(self.name))
    }
}

fn named(name: Few<3>) -> BookmarkName {
    BookmarkName::new(["offset", "a", "orders"][name.0]).expect("a name")
}

impl Change {
    fn value(&self) -> Body {
        let mut value = self.value.clone();
        let longer = self.padding.map_or(0, |padding| [500, 60 << 10, 70 << 10][padding.0]);
        value.resize(value.len() + longer, 7);
        value.into()
    }
}

impl World {
    pub(crate) fn act_on_bookmarks(&mut self, call: &BookmarkCall) {
        let driver = self.subject.data();
        let (ours, model) = (driver.bookmarks(), self.model.bookmarks());
        match call {
            BookmarkCall::Get(at) => {
                let (project, name) = at.parts();
                let Some((ours, model)) = both(ours.get(&project, &name), model.get(&project, &name)) else { return };
                assert_eq!(ours.is_some(), model.is_some());
                ours.iter().zip(&model).for_each(|(ours, model)| self.assert_same_bookmark(ours, model));
            }
            BookmarkCall::Set(change) => {
                let ((project, name), value) = (change.at.parts(), change.value());
                let (left, right) = self.conditions(change);
                let set = (ours.set(&project, &name, &value, left), model.set(&project, &name, &value, right));
                self.versions.extend(both(set.0, set.1));
            }
            BookmarkCall::Delete(change) => {
                let (project, name) = change.at.parts();
                let (left, right) = self.conditions(change);
                same(ours.delete(&project, &name, left), model.delete(&project, &name, right));
            }
            BookmarkCall::List { project, after, limit } => {
                let project = Named { project: *project, name: Few(0) }.parts().0;
                let options = ListOptions::new().marker(after.map(|after| named(after).into()));
                self.compare_listing(&project, &options.limit(usize::from(*limit)));
            }
        }
    }

    pub(crate) fn compare_bookmarks(&self) {
        for project in [false, true] {
            let project = Named { project, name: Few(0) }.parts().0;
            self.compare_listing(&project, &ListOptions::new().limit(0));
        }
    }

    fn compare_listing(&self, project: &Project, options: &ListOptions<zaqar_sled::BookmarkMarker>) {
        let ours = self.subject.data().bookmarks().list(project, options);
        let Some((ours, model)) = both(ours, self.model.bookmarks().list(project, options)) else { return };
        assert_eq!((ours.items.len(), &ours.next), (model.items.len(), &model.next));
        ours.items.iter().zip(&model.items).for_each(|(ours, model)| self.assert_same_bookmark(ours, model));
    }

    fn assert_same_bookmark(&self, ours: &BookmarkRecord, model: &BookmarkRecord) {
        let told = |read: &BookmarkRecord| (read.name().clone(), read.value().clone(), read.changed());
        assert_eq!(told(ours), told(model));
        assert!(self.versions.contains(&(ours.version(), model.version())), "{ours:?} {model:?}");
    }

    /// A step for the subject, and one for the model.
    pub(crate) fn bookmark_step(&self, change: &Change, deletes: bool) -> (BatchStep, BatchStep) {
        let step = |condition| {
            let ((project, bookmark), value) = (change.at.parts(), change.value());
            match deletes {
                true => BatchStep::DeleteBookmark { project, bookmark, condition },
                false => BatchStep::SetBookmark { project, bookmark, condition, value },
            }
        };
        let (ours, model) = self.conditions(change);
        (step(ours), step(model))
    }

    /// The condition for the subject, and for the model.
    fn conditions(&self, change: &Change) -> (BookmarkCondition, BookmarkCondition) {
        let (project, name) = change.at.parts();
        let versions = match change.expected {
            Expected::Any => return (BookmarkCondition::Any, BookmarkCondition::Any),
            Expected::Missing => None,
            Expected::Present => {
                let read = self.model.bookmarks().get(&project, &name).ok().flatten();
                read.and_then(|read| self.versions.iter().find(|(_, model)| *model == read.version()).copied())
            }
            Expected::Seen(back) => {
                let count = self.versions.len();
                (count > 0).then(|| self.versions[count - 1 - usize::from(back) % count])
            }
        };
        (versions.map(|versions| versions.0).into(), versions.map(|versions| versions.1).into())
    }
}
