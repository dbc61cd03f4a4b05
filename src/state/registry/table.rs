//! The rows of one tree, or of a part of a tree, by key.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::disk::trees::Tree;
use crate::model::error::Result;
use crate::state::dirty::DirtySet;
use crate::storage::codec;
use crate::storage::records::{self, Record};
use crate::storage::reserve::RECORD_BYTES;

/// A map in memory with the changes that the trees lack (see [`dirty`](crate::state::dirty)).
///
/// Putting and removing rows again gives the same rows, so a replay may start before the loaded state.
#[derive(Debug)]
pub(crate) struct Table<V> {
    tree: Tree,
    rows: BTreeMap<Vec<u8>, V>,
    dirty: DirtySet<Vec<u8>>,
    /// What the rows take as records, about.
    bytes: u64,
}

/// A row to write to the trees; `None` removes the key.
pub(crate) type Changed = (Tree, Vec<u8>, Option<Record>);

impl<V: Serialize + DeserializeOwned> Table<V> {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree, rows: BTreeMap::new(), dirty: DirtySet::unstored(), bytes: 0 }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        self.rows.get(key)
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.rows.contains_key(key)
    }

    pub(crate) fn insert(&mut self, key: Vec<u8>, row: V) -> Option<V> {
        self.bytes = self.bytes.saturating_add(weigh(&key, &row));
        let before = self.rows.insert(key.clone(), row);
        if let Some(before) = &before {
            self.bytes = self.bytes.saturating_sub(weigh(&key, before));
            self.dirty.change(key.as_slice());
        } else {
            self.dirty.add(key);
        }
        before
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<V> {
        let row = self.rows.remove(key)?;
        self.bytes = self.bytes.saturating_sub(weigh(key, &row));
        self.dirty.remove(key);
        Some(row)
    }

    /// Changes a row in place, if it is there.
    pub(crate) fn update<R>(&mut self, key: &[u8], change: impl FnOnce(&mut V) -> R) -> Option<R> {
        let row = self.rows.get_mut(key)?;
        self.dirty.change(key);
        let before = weigh(key, row);
        let changed = change(row);
        self.bytes = self.bytes.saturating_add(weigh(key, row)).saturating_sub(before);
        Some(changed)
    }

    /// Removes all rows and hands them over.
    pub(crate) fn drain(&mut self) -> BTreeMap<Vec<u8>, V> {
        self.dirty.remove_all(self.rows.keys().cloned());
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }

    /// What the rows take as records, about.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.rows.iter().map(|(key, row)| (key.as_slice(), row))
    }

    /// The rows whose keys begin with `prefix`, after `after`.
    pub(crate) fn range<'a, 'k>(
        &'a self,
        prefix: &'k [u8],
        after: Option<&'k [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a V)> + use<'a, 'k, V> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let rows = self.rows.range::<[u8], _>((start, Bound::Unbounded));
        rows.map(|(key, row)| (key.as_slice(), row)).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Puts a row read back in.
    pub(crate) fn load(&mut self, key: &[u8], body: &[u8]) -> Result<(), String> {
        let row: V = codec::decode(body)?;
        self.bytes = self.bytes.saturating_add(weigh(key, &row));
        if let Some(before) = self.rows.insert(key.to_vec(), row) {
            self.bytes = self.bytes.saturating_sub(weigh(key, &before));
        }
        Ok(())
    }

    /// Up to `most` records from the first key after `after`.
    pub(crate) fn records(&self, after: Option<&[u8]>, most: usize) -> Result<Vec<Record>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.rows.range::<[u8], _>((start, Bound::Unbounded)).take(most);
        rows.map(|(key, row)| records::seal(self.tree, key.clone(), row)).collect()
    }

    /// Whether there are changes that the trees lack.
    pub(crate) fn has_changes(&self) -> bool {
        self.dirty.len(self.rows.len()) > 0
    }

    /// Takes the changes that the trees lack, and continues as if the trees had them.
    pub(crate) fn take_changes(&mut self) -> Result<Vec<Changed>> {
        let changed = self.dirty.take(self.rows.keys().cloned());
        let record = |key: Vec<u8>| {
            let row = self.rows.get(&key).map(|row| records::seal(self.tree, key.clone(), row)).transpose()?;
            Ok((self.tree, key, row))
        };
        changed.into_iter().map(record).collect()
    }

    /// The records that the trees must have as they are.
    pub(crate) fn unchanged(&self) -> Result<Vec<Record>> {
        let rows = self.rows.iter().filter(|(key, _)| self.dirty.is_stored(*key));
        rows.map(|(key, row)| records::seal(self.tree, key.clone(), row)).collect()
    }

    /// Marks the trees as empty.
    pub(crate) fn forget_stored(&mut self) {
        self.dirty = DirtySet::unstored();
    }

    /// Marks the loaded rows as equal to the trees.
    pub(crate) fn mark_stored(&mut self) {
        self.dirty = DirtySet::clean();
    }
}

fn weigh<V: Serialize>(key: &[u8], row: &V) -> u64 {
    (key.len() as u64).saturating_add(codec::size(row)).saturating_add(RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<u8> {
        let mut table = Table::new(Tree::Pools);
        for (key, row) in [(b"a1".as_slice(), 1), (b"a2", 2), (b"b1", 3)] {
            table.insert(key.to_vec(), row);
        }
        table
    }

    #[test]
    fn ranges_stay_within_their_prefix_and_begin_after_their_marker() {
        let table = table();
        let rows = |prefix: &[u8], after: Option<&[u8]>| -> Vec<u8> {
            table.range(prefix, after).map(|(_, row)| *row).collect()
        };
        assert_eq!(rows(b"a", None), [1, 2]);
        assert_eq!(rows(b"a", Some(b"a1")), [2]);
        assert_eq!(rows(b"", None), [1, 2, 3]);
        assert_eq!(rows(b"c", None), [0_u8; 0]);
    }

    #[test]
    fn changes_are_handed_over_once_and_removals_with_them() {
        let mut table = table();
        assert_eq!(table.take_changes().unwrap().len(), 3);
        assert!(table.dirty.is_empty() && table.unchanged().unwrap().len() == 3);
        table.remove(b"a1");
        assert_eq!(table.remove(b"a1"), None);
        table.update(b"a2", |row| *row = 9);
        let changes = table.take_changes().unwrap();
        let keys: Vec<_> = changes.iter().map(|(_, key, record)| (key.as_slice(), record.is_some())).collect();
        assert_eq!(keys, [(b"a1".as_slice(), false), (b"a2", true)]);
    }

    #[test]
    fn what_comes_and_goes_between_two_checkpoints_leaves_nothing() {
        let mut table = table();
        table.remove(b"a1");
        assert_eq!(table.take_changes().unwrap().len(), 2);
        table.insert(b"c1".to_vec(), 4);
        table.update(b"c1", |row| *row = 5);
        table.remove(b"c1");
        assert!(table.dirty.is_empty());
        // A row that the trees have must also be removed there, whatever happens in between.
        table.remove(b"a2");
        table.insert(b"a2".to_vec(), 6);
        table.insert(b"c2".to_vec(), 7);
        assert_eq!(table.drain().len(), 3);
        let gone = table.take_changes().unwrap();
        assert_eq!(gone.iter().map(|(_, key, _)| key.as_slice()).collect::<Vec<_>>(), [b"a2", b"b1"]);
        table.insert(b"d".to_vec(), 1);
        table.forget_stored();
        table.remove(b"d");
        assert!(table.take_changes().unwrap().is_empty(), "new trees have nothing");
        assert_eq!(table.bytes(), 0, "nothing is there, and nothing is counted");
    }

    #[test]
    fn records_come_in_portions() {
        let table = table();
        let first = table.records(None, 2).unwrap();
        let rest = table.records(first.last().map(|record| record.key.as_slice()), 2).unwrap();
        assert_eq!((first.len(), rest.len(), rest[0].key.as_slice()), (2, 1, b"b1".as_slice()));
    }
}
