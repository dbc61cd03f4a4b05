//! The record of what callers know about messages, and its comparison with what a store holds.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// The messages of a store, or of a queue, as the answers of the calls tell.
///
/// 1. A message whose post was acknowledged exists with its content until a call removes it.
/// 2. A message whose removal was acknowledged exists never again, and no second caller takes it.
/// 3. No message exists, or was taken, that no call posted.
/// 4. No id is given out twice.
///
/// A call of unknown outcome makes an allowance: for so many messages that no answer named, for so many missing ones,
/// or for one particular message to be missing.
#[derive(Debug, Clone)]
pub(crate) struct Ledger<Id, Content = ()> {
    /// The messages that exist, unless a call of unknown outcome removed them.
    live: BTreeMap<Id, Content>,
    /// Every id that a post returned.
    shown: BTreeSet<Id>,
    /// The messages whose removal was acknowledged.
    gone: BTreeSet<Id>,
    /// The messages that may be missing.
    doubtful: BTreeSet<Id>,
    /// How many messages may exist or have been taken that no post returned.
    more: usize,
    /// How many messages may be missing beside the doubtful ones.
    fewer: usize,
}

impl<Id, Content> Default for Ledger<Id, Content> {
    fn default() -> Self {
        Self {
            live: BTreeMap::new(),
            shown: BTreeSet::new(),
            gone: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            more: 0,
            fewer: 0,
        }
    }
}

impl<Id: Ord + Clone + Debug, Content> Ledger<Id, Content> {
    /// Records an acknowledged post. Another caller's answer may already have said that the message is gone.
    pub(crate) fn posted(&mut self, messages: impl IntoIterator<Item = (Id, Content)>) {
        for (id, content) in messages {
            assert!(self.shown.insert(id.clone()), "{id:?} was given out twice");
            if !self.gone.contains(&id) {
                self.live.insert(id, content);
            }
        }
    }

    /// Records an acknowledged deletion, which may be of a message that was removed before. Returns whether the message
    /// was to be there.
    pub(crate) fn removed(&mut self, id: &Id) -> bool {
        self.gone.insert(id.clone());
        self.live.remove(id).is_some()
    }

    /// Records that a caller was given the message and that no other caller may be given it.
    pub(crate) fn taken(&mut self, id: &Id) {
        assert!(self.gone.insert(id.clone()), "{id:?} was taken twice");
        self.live.remove(id);
    }

    /// Records that all messages were removed.
    pub(crate) fn emptied(&mut self) {
        self.gone.extend(std::mem::take(&mut self.live).into_keys());
    }

    /// Allows for posts of unknown outcome, of so many messages together.
    pub(crate) fn may_have_posted(&mut self, count: usize) {
        self.more = self.more.saturating_add(count);
    }

    /// Allows for removals of unknown outcome, of so many messages of any kind together.
    pub(crate) fn may_have_taken(&mut self, count: usize) {
        self.fewer = self.fewer.saturating_add(count);
    }

    /// Allows for the absence of a message: its removal has an unknown outcome, or it may have expired.
    pub(crate) fn may_be_missing(&mut self, id: Id) {
        self.doubtful.insert(id);
    }

    /// The messages that are to be there, unless allowances permit otherwise.
    pub(crate) fn live(&self) -> &BTreeMap<Id, Content> {
        &self.live
    }

    pub(crate) fn is_gone(&self, id: &Id) -> bool {
        self.gone.contains(id)
    }

    /// The messages whose removal was acknowledged.
    pub(crate) fn gone(&self) -> &BTreeSet<Id> {
        &self.gone
    }

    /// The number of ids that were given out.
    pub(crate) fn shown(&self) -> usize {
        self.shown.len()
    }

    /// Asserts that a message is to be there, with this content.
    pub(crate) fn assert_live<Found>(&self, id: &Id, found: &Found, context: &str)
    where
        Content: PartialEq<Found>,
        Found: ?Sized,
    {
        let Some(posted) = self.live.get(id) else { panic!("{context}: {id:?} is not to be there") };
        assert!(posted == found, "{context}: {id:?} has another content");
    }

    /// Asserts that a message was posted, with this content if the ledger still has it. The message may be removed.
    pub(crate) fn assert_known<Found>(&self, id: &Id, found: &Found, context: &str)
    where
        Content: PartialEq<Found>,
        Found: ?Sized,
    {
        match self.live.get(id) {
            Some(posted) => assert!(posted == found, "{context}: {id:?} has another content"),
            None => assert!(self.gone.contains(id), "{context}: {id:?} never was"),
        }
    }

    /// How many of these messages, which a store holds, and of the removed ones were posted by calls without an answer.
    pub(crate) fn unknown<'i>(&'i self, held: impl IntoIterator<Item = &'i Id>) -> usize {
        held.into_iter().chain(&self.gone).filter(|id| !self.shown.contains(id)).count()
    }

    /// Asserts that a store which holds these messages, and no others, agrees with the answers.
    pub(crate) fn check<Found>(&self, held: impl IntoIterator<Item = (Id, Found)>, context: &str)
    where
        Content: PartialEq<Found>,
    {
        let mut found = BTreeMap::new();
        for (id, content) in held {
            assert!(!self.gone.contains(&id), "{context}: {id:?} has come back");
            let same = self.live.get(&id).is_none_or(|posted| *posted == content);
            assert!(same, "{context}: {id:?} has another content");
            assert!(found.insert(id.clone(), content).is_none(), "{context}: {id:?} is there twice");
        }
        let unknown = self.unknown(found.keys());
        assert!(unknown <= self.more, "{context}: {unknown} that no call posted, {} may be", self.more);
        let missing = |id: &&Id| !found.contains_key(id) && !self.doubtful.contains(id);
        let missing: Vec<&Id> = self.live.keys().filter(missing).collect();
        let (count, all, allowed) = (missing.len(), self.live.len(), self.fewer);
        assert!(count <= allowed, "{context}: {count} of {all} are lost, {allowed} may be: {:?}", missing.first());
    }

    /// Takes what a store holds, which was checked, as the outcome of all calls so far: there are no allowances any
    /// more.
    pub(crate) fn settle(&mut self, found: impl IntoIterator<Item = (Id, Content)>) {
        let before = std::mem::take(&mut self.live);
        self.live.extend(found);
        let missing = before.into_keys().filter(|id| !self.live.contains_key(id));
        self.gone.extend(missing);
        self.shown.extend(self.live.keys().chain(&self.gone).cloned());
        self.doubtful.clear();
        (self.more, self.fewer) = (0, 0);
    }
}
