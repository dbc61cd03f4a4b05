//! The contents of the trees in one directory, and the changes that a power cut may remove.

use std::collections::BTreeSet;
use std::mem;

use super::random::Random;
use crate::disk::trees::{MemoryTrees, Tree, size};

/// The trees in one directory, with the changes since their last sync.
#[derive(Default)]
pub(super) struct TreeContents {
    pub(super) visible: MemoryTrees,
    unsynced: Vec<Change>,
}

impl TreeContents {
    pub(super) fn bytes(&self) -> u64 {
        self.visible.bytes()
    }

    /// Makes every change durable, except changes that a failed sync lost and that no later change replaced.
    pub(super) fn sync(&mut self) {
        let mut rewritten = BTreeSet::new();
        let mut lost = Vec::new();
        for change in mem::take(&mut self.unsynced).into_iter().rev() {
            if change.is_lost && !rewritten.contains(&(change.tree, change.key.clone())) {
                lost.push(change);
            } else {
                rewritten.insert((change.tree, change.key));
            }
        }
        lost.reverse();
        self.unsynced = lost;
    }

    /// Loses some of the changes at random: they can be read, but no later sync makes them durable.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let odds = random.odds();
        self.unsynced.iter_mut().for_each(|change| change.is_lost |= !odds.keep(random));
    }

    /// Removes the unsynced changes, except some at random.
    pub(super) fn lose_power(&mut self, random: Option<&mut Random>) {
        let unsynced = mem::take(&mut self.unsynced);
        for change in unsynced.iter().rev() {
            self.visible.set(change.tree, &change.key, change.before.as_deref());
        }
        let Some(random) = random else { return };
        let odds = random.odds();
        for change in unsynced {
            if odds.keep(random) && !change.is_lost {
                self.visible.set(change.tree, &change.key, change.after.as_deref());
            }
        }
    }

    /// The bytes by which a change of one key makes the trees larger.
    pub(super) fn growth(&self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> u64 {
        let old = self.visible.get(tree, key);
        value.map_or(0, |new| size(key, new).saturating_sub(old.map_or(0, |old| size(key, old))))
    }

    pub(super) fn set(&mut self, tree: Tree, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let before = self.visible.set(tree, key, value);
        self.unsynced.push(Change {
            tree,
            key: key.to_vec(),
            before: before.clone(),
            after: value.map(<[u8]>::to_vec),
            is_lost: false,
        });
        before
    }
}

struct Change {
    tree: Tree,
    key: Vec<u8>,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
    is_lost: bool,
}
