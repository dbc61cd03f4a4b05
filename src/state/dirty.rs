//! The dirty set: the records of the state that differ from the trees.
//!
//! A *record* is the value of one key in the trees: a queue's own record, a page's entry, a claim, a row of the
//! registry. Each is in one of five situations:
//!
//! | In the state | In the trees | Listed as | The next checkpoint |
//! |---|---|---|---|
//! | yes | the same | – | does nothing |
//! | yes | nothing | [`New`](Dirty::New) | writes it |
//! | yes | something else | [`Stale`](Dirty::Stale) | writes it |
//! | no | something | [`Stale`](Dirty::Stale), a *tombstone* | removes it |
//! | no | nothing | – | does nothing |
//!
//! 1. A record that is not listed is equal in the state and in the trees, or in neither.
//! 2. A record that is added and removed between two checkpoints leaves nothing behind.
//! 3. While the trees have none of a set's records, all records are new, and none is listed. So a queue that no
//!    checkpoint has reached yet, and trees that are filled again, cost nothing.
//! 4. A checkpoint takes the set, which is empty from then on, and writes the listed records. A checkpoint beside calls
//!    leaves claims without messages in the set. A checkpoint that fails abandons its trees, and the next trees are
//!    empty: every record is new again.
//!
//! Cost: O(log n) for each change, n being the listed records; about 20 B for each record listed by number.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// The difference between a record and the trees' value of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dirty {
    /// The trees have no value of the key.
    New,
    /// The trees have another value, or a value of a removed record.
    Stale,
}

/// The records of one kind that differ from the trees, by key.
#[derive(Debug, Clone)]
pub(crate) struct DirtySet<K> {
    /// `None` while the trees have no such record at all.
    listed: Option<BTreeMap<K, Dirty>>,
}

impl<K: Ord> DirtySet<K> {
    /// The set of records of which the trees have none.
    pub(crate) fn unstored() -> Self {
        Self { listed: None }
    }

    /// The set of records that are equal in the trees.
    pub(crate) fn clean() -> Self {
        Self { listed: Some(BTreeMap::new()) }
    }

    /// Lists a new record.
    pub(crate) fn add(&mut self, key: K) {
        if let Some(listed) = &mut self.listed {
            // If the trees still have a removed record of that key, the new one replaces it.
            listed.entry(key).or_insert(Dirty::New);
        }
    }

    /// Lists a changed record.
    pub(crate) fn change<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        if let Some(listed) = self.listed.as_mut().filter(|listed| !listed.contains_key(key)) {
            listed.insert(key.to_owned(), Dirty::Stale);
        }
    }

    /// Lists a removed record.
    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        let Some(listed) = &mut self.listed else { return };
        match listed.get(key) {
            None => drop(listed.insert(key.to_owned(), Dirty::Stale)),
            Some(Dirty::New) => drop(listed.remove(key)),
            Some(Dirty::Stale) => {}
        }
    }

    /// Lists the removal of every record; `there` are the former ones, in order. This is cheaper than one by one.
    pub(crate) fn remove_all(&mut self, there: impl Iterator<Item = K>) {
        let Some(listed) = &mut self.listed else { return };
        let unlisted = there.filter(|key| !listed.contains_key(key)).map(|key| (key, Dirty::Stale));
        let mut tombstones: BTreeMap<K, Dirty> = unlisted.collect();
        listed.retain(|_, dirty| *dirty == Dirty::Stale);
        listed.append(&mut tombstones);
    }

    /// Whether an existing record is equal in the trees.
    pub(crate) fn is_stored<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.listed.as_ref().is_some_and(|listed| !listed.contains_key(key))
    }

    /// Whether the trees have none of the records.
    pub(crate) fn is_unstored(&self) -> bool {
        self.listed.is_none()
    }

    /// Whether every record listed as new exists.
    pub(crate) fn lists_new(&self, is_there: impl Fn(&K) -> bool) -> bool {
        let listed = self.listed.iter().flatten();
        listed.filter(|(_, dirty)| **dirty == Dirty::New).all(|(key, _)| is_there(key))
    }

    /// Whether no record is listed.
    pub(crate) fn is_empty(&self) -> bool {
        self.listed.as_ref().is_none_or(BTreeMap::is_empty)
    }

    /// The number of records that differ; `there` is the number of records in the state.
    pub(crate) fn len(&self, there: usize) -> usize {
        self.listed.as_ref().map_or(there, BTreeMap::len)
    }

    /// Takes the keys of all records that differ, and continues as if the trees had the current records; `there` are
    /// those in the state. Keys that are taken and not there have to be removed from the trees.
    pub(crate) fn take(&mut self, there: impl Iterator<Item = K>) -> Vec<K> {
        self.take_some(there, |_| true)
    }

    /// As [`Self::take`], but takes only the keys that `choose` chooses. The others stay listed.
    pub(crate) fn take_some(&mut self, there: impl Iterator<Item = K>, choose: impl Fn(&K) -> bool) -> Vec<K> {
        let (taken, left): (BTreeMap<K, Dirty>, _) = match std::mem::replace(self, Self::clean()).listed {
            Some(listed) => listed.into_iter().partition(|(key, _)| choose(key)),
            None => there.map(|key| (key, Dirty::New)).partition(|(key, _)| choose(key)),
        };
        self.listed = Some(left);
        taken.into_keys().collect()
    }

    /// The keys in the trees of records that are removed together; `there` are those in the state.
    pub(crate) fn into_tombstones(self, there: impl Iterator<Item = K>) -> Vec<K> {
        let Some(listed) = self.listed else { return Vec::new() };
        let mut stored: Vec<K> = there.filter(|key| !listed.contains_key(key)).collect();
        stored.extend(listed.into_iter().filter(|(_, dirty)| *dirty == Dirty::Stale).map(|(key, _)| key));
        stored
    }
}

/// The records of a queue that differ from the trees. A page is listed by its first sequence, a claim by its number, and
/// claims without messages by their group.
#[derive(Debug)]
pub(crate) struct DirtyRecords {
    /// The queue's own record, which exists as long as the queue. While it is new, the trees have no pages or claims
    /// either.
    pub(super) record: Option<Dirty>,
    pub(super) pages: DirtySet<u64>,
    pub(super) claims: DirtySet<u64>,
    pub(super) spent: DirtySet<u64>,
}

/// The records to remove from the trees: pages by their first sequences, claims by their numbers, claims without
/// messages by their groups.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    pub(crate) pages: Vec<u64>,
    pub(crate) claims: Vec<u64>,
    pub(crate) spent: Vec<u64>,
}

impl DirtyRecords {
    /// The set of a queue without pages and claims, whose own record differs from the trees by `record`.
    pub(super) fn of(record: Option<Dirty>) -> Self {
        let set = || if record == Some(Dirty::New) { DirtySet::unstored() } else { DirtySet::clean() };
        Self { record, pages: set(), claims: set(), spent: set() }
    }

    /// Lists a change of the queue's own record.
    pub(super) fn change_record(&mut self) {
        self.record.get_or_insert(Dirty::Stale);
    }

    /// Whether pages or claims are listed.
    pub(super) fn has_entries(&self) -> bool {
        !self.pages.is_empty() || !self.claims.is_empty() || !self.spent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Records with their contents, and trees that checkpoints write.
    #[derive(Debug, Default)]
    struct Model {
        state: BTreeMap<u64, u32>,
        trees: BTreeMap<u64, u32>,
        writes: u32,
    }

    impl Model {
        fn checkpoint(&mut self, dirty: &mut DirtySet<u64>) -> Vec<u64> {
            let keys = dirty.take(self.state.keys().copied());
            for key in &keys {
                match self.state.get(key) {
                    Some(record) => drop(self.trees.insert(*key, *record)),
                    None => assert!(self.trees.remove(key).is_some(), "a tombstone of what the trees never had: {key}"),
                }
            }
            keys
        }

        fn change(&mut self, dirty: &mut DirtySet<u64>, key: u64, turn: u32) {
            self.writes += 1;
            match turn % 5 {
                0 | 1 => {
                    let there = self.state.insert(key, self.writes).is_some();
                    if there { dirty.change(&key) } else { dirty.add(key) }
                }
                2 | 3 if self.state.remove(&key).is_some() => dirty.remove(&key),
                _ if key < 2 => {
                    dirty.remove_all(self.state.keys().copied());
                    self.state.clear();
                }
                _ => {}
            }
        }

        /// Exactly the differing records are listed, each with its difference.
        fn check(&self, dirty: &DirtySet<u64>) {
            let keys: BTreeSet<u64> = self.state.keys().chain(self.trees.keys()).copied().collect();
            for key in keys {
                let (here, there) = (self.state.get(&key), self.trees.get(&key));
                let expected = match (here, there) {
                    (here, there) if here == there => None,
                    (Some(_), None) => Some(Dirty::New),
                    _ => Some(Dirty::Stale),
                };
                match &dirty.listed {
                    Some(listed) => assert_eq!(listed.get(&key).copied(), expected, "{key}: {here:?}, {there:?}"),
                    None => assert_eq!(there, None),
                }
                assert!(here.is_none() || dirty.is_stored(&key) == expected.is_none());
            }
            let differing = dirty.listed.as_ref().map_or(0, BTreeMap::len);
            assert_eq!(dirty.is_empty(), differing == 0);
            let gone: BTreeSet<u64> = dirty.clone().into_tombstones(self.state.keys().copied()).into_iter().collect();
            assert_eq!(gone, self.trees.keys().copied().collect(), "what the trees have goes, and nothing else");
        }
    }

    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    #[test]
    fn after_every_checkpoint_the_trees_have_exactly_what_the_state_has() {
        for mut seed in 0..200 {
            let (mut model, mut dirty) = (Model::default(), DirtySet::unstored());
            for _ in 0..300 {
                let (key, turn) = (random(&mut seed) % 12, u32::try_from(random(&mut seed)).unwrap());
                model.change(&mut dirty, key, turn);
                model.check(&dirty);
                if turn % 17 == 0 {
                    model.checkpoint(&mut dirty);
                    assert_eq!(model.trees, model.state);
                    model.check(&dirty);
                }
                if turn % 97 == 0 {
                    // New trees.
                    (dirty, model.trees) = (DirtySet::unstored(), BTreeMap::new());
                }
            }
        }
    }

    #[test]
    fn a_record_that_is_not_taken_stays_listed_as_it_was() {
        let mut dirty = DirtySet::unstored();
        assert_eq!(dirty.take_some([1, 2, 3].into_iter(), |key| *key != 2), [1, 3]);
        assert!(dirty.is_stored(&1) && !dirty.is_stored(&2) && !dirty.is_unstored());
        dirty.change(&3);
        assert_eq!(dirty.take_some(std::iter::empty(), |_| false), [0; 0]);
        assert_eq!(dirty.len(3), 2);
        // The trees have nothing of 2, and an older value of 3.
        dirty.remove(&2);
        dirty.remove(&3);
        assert_eq!(dirty.take(std::iter::empty()), [3]);
    }

    #[test]
    fn what_comes_and_goes_between_two_checkpoints_leaves_nothing() {
        let mut dirty = DirtySet::clean();
        dirty.add(1);
        dirty.change(&1);
        dirty.remove(&1);
        assert!(dirty.is_empty());
        // A record that the trees have must also be removed there, whatever happens in between.
        dirty.remove(&2);
        dirty.add(2);
        dirty.remove(&2);
        assert_eq!(dirty.take(std::iter::empty()), [2]);
        assert!(dirty.is_empty());
    }

    #[test]
    fn nothing_is_listed_while_the_trees_have_nothing() {
        let mut dirty = DirtySet::unstored();
        dirty.add(1);
        dirty.change(&1);
        dirty.add(2);
        dirty.remove(&2);
        assert!(dirty.is_empty() && !dirty.is_stored(&1));
        assert_eq!((dirty.len(1), dirty.clone().into_tombstones([1].into_iter())), (1, vec![]));
        assert_eq!(dirty.take([1].into_iter()), [1]);
        assert!(dirty.is_stored(&1) && dirty.len(1) == 0);
    }
}
