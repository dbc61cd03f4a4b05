//! The values of the trees, and of a snapshot, which holds the same records.
//!
//! A value is a version byte (3), the CRC-32 of tree, key and body, little-endian, and the body: bincode (see `codec`).
//! The key is part of the checksum, so that a value under another key is invalid.

use serde::{Deserialize, Serialize};

use crate::disk::trees::{Tree, TreeChange, Trees, size};
use crate::model::error::Result;
use crate::storage::codec::{self, array_at, crc32, crc32_from};

const VERSION: u8 = 3;
const ENVELOPE_BYTES: usize = 5;

/// One tree, a key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) tree: Tree,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// The trees' own record; it is written last before a clean close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreRecord {
    pub(crate) store: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) lsn: u64,
    pub(crate) time: u64,
    pub(crate) next_queue: u64,
}

/// A sum over records that does not depend on their order, so that it can be updated one record at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) records: u64,
    /// Of all keys and values.
    pub(crate) bytes: u64,
    sum: u64,
}

impl Digest {
    pub(crate) fn add(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(size(key, value));
        self.sum = self.sum.wrapping_add(fingerprint(tree, key, value));
    }

    pub(crate) fn take(&mut self, tree: Tree, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.bytes = self.bytes.wrapping_sub(size(key, value));
        self.sum = self.sum.wrapping_sub(fingerprint(tree, key, value));
    }
}

fn fingerprint(tree: Tree, key: &[u8], value: &[u8]) -> u64 {
    let place = key_checksum(tree, key);
    (u64::from(place) << 32) | u64::from(crc32_from(place, value))
}

fn key_checksum(tree: Tree, key: &[u8]) -> u32 {
    crc32_from(crc32(&[tree.tag()]), key)
}

/// The record of `body` under `key`.
pub(crate) fn seal<T: Serialize>(tree: Tree, key: Vec<u8>, body: &T) -> Result<Record> {
    let mut value = vec![0; ENVELOPE_BYTES];
    codec::encode_into(body, &mut value)?;
    Ok(close(tree, key, value))
}

fn close(tree: Tree, key: Vec<u8>, mut value: Vec<u8>) -> Record {
    let checksum = crc32_from(key_checksum(tree, &key), value.get(ENVELOPE_BYTES..).unwrap_or_default());
    let envelope = [VERSION].into_iter().chain(checksum.to_le_bytes());
    value.iter_mut().zip(envelope).for_each(|(to, from)| *to = from);
    Record { tree, key, value }
}

/// The body of a value, if the value is whole; the error says what is wrong.
pub(crate) fn open<'a>(tree: Tree, key: &[u8], value: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let (Some(version), Some(checksum)) = (value.first(), array_at(value, 1)) else {
        return Err("a record is too short");
    };
    let body = value.get(ENVELOPE_BYTES..).unwrap_or_default();
    if *version != VERSION {
        return Err("a record of an unknown version");
    }
    if crc32_from(key_checksum(tree, key), body) != u32::from_le_bytes(checksum) {
        return Err("a record's checksum does not match");
    }
    Ok(body)
}

/// Trees with the digest of their records.
#[derive(Debug)]
pub(crate) struct Digested {
    pub(crate) trees: Box<dyn Trees>,
    digest: Digest,
    /// The changes that are not in the trees yet.
    pending: Vec<TreeChange>,
    pending_bytes: usize,
}

impl Digested {
    /// Trees whose records have the digest `digest`.
    pub(crate) fn new(trees: Box<dyn Trees>, digest: Digest) -> Self {
        Self { trees, digest, pending: Vec::new(), pending_bytes: 0 }
    }

    pub(crate) fn insert(&mut self, record: &Record) -> Result<()> {
        let Record { tree, key, value } = record.clone();
        self.push(TreeChange { tree, key, value: Some(value) })
    }

    pub(crate) fn remove(&mut self, tree: Tree, key: &[u8]) -> Result<()> {
        self.push(TreeChange { tree, key: key.to_vec(), value: None })
    }

    /// Writes all changes to the trees and flushes them; returns the trees' digest.
    pub(crate) fn flush(&mut self) -> Result<Digest> {
        self.write_pending()?;
        self.trees.flush()?;
        Ok(self.digest)
    }

    /// The digest of the trees' records.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    fn push(&mut self, change: TreeChange) -> Result<()> {
        self.pending_bytes += change.key.len() + change.value.as_ref().map_or(0, Vec::len);
        self.pending.push(change);
        let is_much = self.pending.len() >= MOST_PENDING || self.pending_bytes >= MOST_PENDING_BYTES;
        if is_much { self.write_pending() } else { Ok(()) }
    }

    fn write_pending(&mut self) -> Result<()> {
        let changes = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let replaced = self.trees.change(changes.clone())?;
        for (TreeChange { tree, key, value }, old) in changes.iter().zip(replaced) {
            old.into_iter().for_each(|old| self.digest.take(*tree, key, &old));
            value.iter().for_each(|value| self.digest.add(*tree, key, value));
        }
        Ok(())
    }
}

/// The number of changes in one call to the trees, so that the cost of a call does not matter.
const MOST_PENDING: usize = 256;
const MOST_PENDING_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::codec::hex;
    use crate::storage::keys;

    #[test]
    fn golden_bytes_of_the_trees_own_record() {
        let store = StoreRecord { store: [1; 16], generation: 2, lsn: 3, time: 4, next_queue: 5 };
        let sealed = seal(Tree::Meta, keys::STORE.to_vec(), &store).unwrap();
        assert_eq!(hex(&sealed.value[5..]), format!("{}02030405", "01".repeat(16)));
    }

    #[test]
    fn a_digest_forgets_what_is_taken_back() {
        let mut digest = Digest::default();
        digest.add(Tree::Claims, b"a", b"1");
        let one = digest;
        digest.add(Tree::Queues, b"b", b"2");
        assert_ne!(digest, one);
        digest.take(Tree::Queues, b"b", b"2");
        assert_eq!(digest, one);
    }
}
