//! The values of the trees, and of a base, which holds the same records.
//!
//! A value is a version byte (1), the CRC-32 of tree, key and body, little-endian, and the body: bincode (see `codec`).
//! The key is part of the checksum, so that a value found under another key does not count.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::keys;
use super::{Tree, TreeChange, Trees, size};
use crate::codec::{self, array_at, crc32, crc32_from};
use crate::error::Result;
use crate::state::{Claim, PageEntry, Snapshot};

const VERSION: u8 = 1;
const ENVELOPE_BYTES: usize = 5;

/// One tree, a key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) tree: Tree,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A queue, under its project and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRecord<'a> {
    pub(crate) number: u64,
    pub(crate) next: u64,
    /// The last operation that is in this record and the queue's pages and claims.
    pub(crate) lsn: u64,
    pub(crate) metadata: Cow<'a, str>,
}

/// What the trees as a whole stand for; written last before a clean close.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreRecord {
    pub(crate) store: [u8; 16],
    pub(crate) generation: u64,
    pub(crate) lsn: u64,
    pub(crate) time: u64,
    pub(crate) next_queue: u64,
}

/// A sum over records that does not depend on their order: what it covers can change one record at a time.
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

/// The body of a value, if it is whole; the error says what is not.
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

/// The queue's own record.
pub(crate) fn queue(snapshot: &Snapshot) -> Result<Record> {
    let record = QueueRecord {
        number: snapshot.number,
        next: snapshot.next,
        lsn: snapshot.lsn,
        metadata: snapshot.description.metadata.to_json().into(),
    };
    seal(Tree::Queues, keys::queue(&snapshot.project, &snapshot.name), &record)
}

/// A page's entry in the directory.
pub(crate) fn page(queue: u64, first: u64, entry: &PageEntry) -> Result<Record> {
    seal(Tree::Messages, keys::page(queue, first), entry)
}

pub(crate) fn claim(queue: u64, number: u64, claim: &Claim) -> Result<Record> {
    seal(Tree::Claims, keys::claim(queue, number), claim)
}

/// Trees that keep the digest of what is written to them.
#[derive(Debug)]
pub(crate) struct Digested {
    pub(crate) trees: Box<dyn Trees>,
    digest: Digest,
    /// What is not in the trees yet.
    pending: Vec<TreeChange>,
    pending_bytes: usize,
}

impl Digested {
    /// Trees over whose records `digest` is.
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

    /// Brings everything into the trees and flushes them; returns the digest over them.
    pub(crate) fn flush(&mut self) -> Result<Digest> {
        self.write_pending()?;
        self.trees.flush()?;
        Ok(self.digest)
    }

    /// The digest over what is in the trees.
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

/// Changes handed to the trees at once, so that what each hand-over costs does not count.
const MOST_PENDING: usize = 256;
const MOST_PENDING_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::codec::hex;
    use crate::heap::Place;
    use crate::state::Page;
    use crate::state::content::{Arrival, Content};

    fn entry() -> PageEntry {
        let place = Place { segment: 1, offset: 2, bytes: 3, checksum: 4 };
        let mut page = Page::new(7, Content::new(&Budget::unlimited()));
        let (client, checksum) = ([5; 16], None);
        let arrival =
            Arrival { created: 1, expires: 2, ttl: 3, ready_at: 0, claim_count: 4, client, checksum, body: b"ab" };
        page.push(7, &arrival);
        page.entry().at(place)
    }

    #[test]
    fn golden_bytes_of_every_record() {
        let queue = QueueRecord { number: 5, next: 6, lsn: 7, metadata: "{}".into() };
        let sealed = seal(Tree::Queues, vec![0, b'q', 0, 1], &queue).unwrap();
        assert_eq!(hex(&sealed.value[5..]), "050607027b7d");
        assert_eq!(hex(&page(5, 7, &entry()).unwrap().value[5..]), "010000020242020101 01020304".replace(' ', ""));
        let one = Claim::new([9; 16], 1, 2, [7].into_iter().collect(), 1);
        assert_eq!(hex(&claim(5, 8, &one).unwrap().value[5..]), format!("{}0102010701", "09".repeat(16)));
        let store = StoreRecord { store: [1; 16], generation: 2, lsn: 3, time: 4, next_queue: 5 };
        let sealed = seal(Tree::Meta, keys::STORE.to_vec(), &store).unwrap();
        assert_eq!(hex(&sealed.value[5..]), format!("{}02030405", "01".repeat(16)));
    }

    #[test]
    fn a_record_counts_only_whole_and_under_its_own_key() {
        let record = page(5, 7, &entry()).unwrap();
        let body = open(record.tree, &record.key, &record.value).unwrap();
        assert_eq!(codec::decode::<PageEntry>(body), Ok(entry()));
        assert!(open(record.tree, b"other", &record.value).is_err());
        assert!(open(Tree::Claims, &record.key, &record.value).is_err());
        for bit in 0..record.value.len() * 8 {
            let mut bad = record.value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(record.tree, &record.key, &bad).is_err(), "bit {bit}");
        }
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
