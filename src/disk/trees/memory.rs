//! The trees as maps in memory.
//!
//! Plain contents without a lock: the simulated disk owns them, and puts faults, power loss and the
//! [`Trees`](super::Trees) interface around them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::Tree;

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// The contents of all trees.
#[derive(Clone, Default, Debug)]
pub(crate) struct MemoryTrees {
    trees: BTreeMap<Tree, BTreeMap<Vec<u8>, Vec<u8>>>,
    bytes: u64,
}

impl MemoryTrees {
    /// Bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, tree: Tree, key: &[u8]) -> Option<&[u8]> {
        self.trees.get(&tree)?.get(key).map(Vec::as_slice)
    }

    /// Sets `key` to `value`, or removes the key; returns the former value.
    pub(crate) fn set(&mut self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let map = self.trees.entry(tree).or_default();
        let old = match value {
            Some(value) => map.insert(key.to_vec(), value.to_vec()),
            None => map.remove(key),
        };
        self.bytes += value.map_or(0, |value| size(key, value));
        self.bytes -= old.as_deref().map_or(0, |old| size(key, old));
        old
    }

    /// Up to `limit` entries in ascending order, from the first key after `after`.
    pub(crate) fn page(&self, tree: Tree, after: Option<&[u8]>, limit: usize) -> Vec<Entry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.trees
            .get(&tree)
            .into_iter()
            .flat_map(|map| map.range::<[u8], _>((from, Bound::Unbounded)))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// The bytes that an entry counts for.
pub(crate) fn size(key: &[u8], value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_returns_what_it_replaces_and_keeps_the_bytes_exact() {
        let mut trees = MemoryTrees::default();
        assert_eq!(trees.set(Tree::Meta, b"k", Some(b"one")), None);
        assert_eq!(trees.bytes(), 4);
        assert_eq!(trees.set(Tree::Meta, b"k", Some(b"2")), Some(b"one".to_vec()));
        assert_eq!(trees.bytes(), 2);
        assert_eq!(trees.get(Tree::Meta, b"k"), Some(&b"2"[..]));
        assert_eq!(trees.get(Tree::Claims, b"k"), None);
        assert_eq!(trees.set(Tree::Meta, b"k", None), Some(b"2".to_vec()));
        assert_eq!(trees.set(Tree::Meta, b"k", None), None);
        assert_eq!(trees.bytes(), 0);
    }

    #[test]
    fn pages_follow_each_other_in_ascending_order() {
        let mut trees = MemoryTrees::default();
        for key in [b"c", b"a", b"b"] {
            trees.set(Tree::Queues, key, Some(key));
        }
        let keys = |after: Option<&[u8]>| -> Vec<Vec<u8>> {
            let page = trees.page(Tree::Queues, after, 2);
            page.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys(None), [b"a", b"b"]);
        assert_eq!(keys(Some(b"b")), [b"c"]);
        assert!(keys(Some(b"c")).is_empty());
    }
}
