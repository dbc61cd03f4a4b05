//! The store's ordered trees, which hold the records of the last checkpoint.
//!
//! 1. Keys of a tree are ordered as byte strings.
//! 2. After a power cut the content of a tree is valid only if [`Disk::sync_trees`](crate::disk::Disk::sync_trees)
//!    succeeded after the last change; `flush` alone is no promise.

mod memory;
pub(crate) mod sled;
mod worker;

use std::fmt;

pub(crate) use memory::{MemoryTrees, size};

use crate::Result;

/// One of the store's ordered trees.
///
/// ```
/// use zaqar_sled::disk::Tree;
///
/// let names = Tree::ALL.map(Tree::name);
/// assert_eq!(names[..4], ["meta", "queues", "messages", "claims"]);
/// assert_eq!(names[4..], ["subscriptions", "catalogue", "pools", "flavors", "bookmarks"]);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Tree {
    /// Facts about the trees as a whole: format, generation.
    Meta,
    /// Queues, their metadata and counters.
    Queues,
    /// Pages of messages.
    Messages,
    /// Live claims.
    Claims,
    /// Subscriptions of queues.
    Subscriptions,
    /// The catalogue: the pool of each queue.
    Catalogue,
    /// Stores that hold queues.
    Pools,
    /// Names for groups of pools.
    Flavors,
    /// Small named values.
    Bookmarks,
}

impl Tree {
    /// Every tree, in the order of the type.
    pub const ALL: [Self; 9] = [
        Self::Meta,
        Self::Queues,
        Self::Messages,
        Self::Claims,
        Self::Subscriptions,
        Self::Catalogue,
        Self::Pools,
        Self::Flavors,
        Self::Bookmarks,
    ];

    /// The name the tree is stored under.
    ///
    /// ```
    /// assert_eq!(zaqar_sled::disk::Tree::Queues.name(), "queues");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Queues => "queues",
            Self::Messages => "messages",
            Self::Claims => "claims",
            Self::Subscriptions => "subscriptions",
            Self::Catalogue => "catalogue",
            Self::Pools => "pools",
            Self::Flavors => "flavors",
            Self::Bookmarks => "bookmarks",
        }
    }
}

impl Tree {
    /// The number the tree has on disk.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Self::Meta => 0,
            Self::Queues => 1,
            Self::Messages => 2,
            Self::Claims => 3,
            Self::Subscriptions => 4,
            Self::Catalogue => 5,
            Self::Pools => 6,
            Self::Flavors => 7,
            Self::Bookmarks => 8,
        }
    }

    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|tree| tree.tag() == tag)
    }
}

/// The callback that a scan calls with each key and its value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// One change of a tree: a key with its new value, or without one.
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk, Tree, TreeChange};
///
/// let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
/// let (tree, key) = (Tree::Queues, b"key".to_vec());
/// let put = TreeChange { tree, key: key.clone(), value: Some(b"value".to_vec()) };
/// let remove = TreeChange { tree, key, value: None };
/// assert_eq!(trees.change(vec![put, remove])?, [None, Some(b"value".to_vec())]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeChange {
    /// The tree.
    pub tree: Tree,
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

/// A set of open ordered trees, from [`Disk::trees`](crate::disk::Disk::trees).
///
/// Each call is atomic; two calls together are not. Any call may fail with
/// [`Trees`](crate::Error::Trees), [`Io`](crate::Error::Io) or
/// [`StorageFull`](crate::Error::StorageFull).
///
/// ```
/// use std::path::Path;
/// use zaqar_sled::disk::{Disk, SimulatedDisk, Tree};
///
/// let disk = SimulatedDisk::new();
/// let trees = disk.trees(Path::new("/store/trees"))?;
/// trees.insert(Tree::Queues, b"b", b"2")?;
/// trees.insert(Tree::Queues, b"a", b"1")?;
/// assert_eq!(trees.insert(Tree::Queues, b"a", b"3")?, Some(b"1".to_vec()));
///
/// let mut seen = Vec::new();
/// trees.scan(Tree::Queues, &mut |key, value| {
///     seen.push((key.to_vec(), value.to_vec()));
///     Ok(())
/// })?;
/// assert_eq!(seen, [(b"a".to_vec(), b"3".to_vec()), (b"b".to_vec(), b"2".to_vec())]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Trees: Send + Sync + fmt::Debug {
    /// The value of `key`; `None` if the tree does not have the key.
    ///
    /// Cost: O(log n).
    ///
    /// # Errors
    /// those of every call of this trait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// trees.insert(Tree::Pools, b"key", b"value")?;
    /// assert_eq!(trees.get(Tree::Pools, b"key")?.as_deref(), Some(&b"value"[..]));
    /// assert_eq!(trees.get(Tree::Flavors, b"key")?, None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Stores `value` under `key` and returns the value that it replaced.
    ///
    /// Cost: O(log n).
    ///
    /// # Errors
    /// those of every call of this trait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// assert_eq!(trees.insert(Tree::Pools, b"key", b"one")?, None);
    /// assert_eq!(trees.insert(Tree::Pools, b"key", b"two")?, Some(b"one".to_vec()));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn insert(&self, tree: Tree, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Removes `key` and returns its value.
    ///
    /// Cost: O(log n).
    ///
    /// # Errors
    /// those of every call of this trait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// trees.insert(Tree::Pools, b"key", b"one")?;
    /// assert_eq!(trees.remove(Tree::Pools, b"key")?, Some(b"one".to_vec()));
    /// assert_eq!(trees.remove(Tree::Pools, b"key")?, None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn remove(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Makes the changes in their order and returns the value that each of them replaced. The call
    /// is not atomic.
    ///
    /// Cost: O(log n) for each change.
    ///
    /// # Errors
    /// those of every call of this trait. The changes before the failure are made.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// let put = |value: &[u8]| TreeChange {
    ///     tree: Tree::Pools,
    ///     key: b"key".to_vec(),
    ///     value: Some(value.to_vec()),
    /// };
    /// let replaced = trees.change(vec![put(b"one"), put(b"two")])?;
    /// assert_eq!(replaced, [None, Some(b"one".to_vec())]);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn change(&self, changes: Vec<TreeChange>) -> Result<Vec<Option<Vec<u8>>>> {
        let make = |TreeChange { tree, key, value }: TreeChange| match value {
            Some(value) => self.insert(tree, &key, &value),
            None => self.remove(tree, &key),
        };
        changes.into_iter().map(make).collect()
    }

    /// Visits every key in ascending order. Concurrent changes may or may not be seen. No lock is held while `visit`
    /// runs.
    ///
    /// Cost: O(n).
    ///
    /// # Errors
    /// those of every call of this trait, and the first error of `visit`, which ends the scan.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// trees.insert(Tree::Pools, b"b", b"2")?;
    /// trees.insert(Tree::Pools, b"a", b"1")?;
    /// let mut keys = Vec::new();
    /// trees.scan(Tree::Pools, &mut |key, _| {
    ///     keys.extend_from_slice(key);
    ///     Ok(())
    /// })?;
    /// assert_eq!(keys, b"ab");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn scan(&self, tree: Tree, visit: &mut Visit<'_>) -> Result<()>;

    /// Hands every change to the operating system, so that it survives the death of the process. To
    /// survive a power cut, it also needs [`Disk::sync_trees`](crate::disk::Disk::sync_trees).
    ///
    /// Cost: O(changes since the last flush).
    ///
    /// # Errors
    /// those of every call of this trait.
    ///
    /// # Example
    ///
    /// ```
    /// # use std::path::Path;
    /// # use zaqar_sled::disk::*;
    /// # let trees = SimulatedDisk::new().trees(Path::new("/trees"))?;
    /// trees.insert(Tree::Pools, b"key", b"one")?;
    /// trees.flush()?;
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    fn flush(&self) -> Result<()>;
}
