//! The records of the state: queues, entries of pages, claims.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::claims::Claim;
use super::dirty::Tombstones;
use super::frozen::FrozenQueue;
use super::page::PageEntry;
use super::page_content::Owner;
use crate::disk::trees::Tree;
use crate::model::error::Result;
use crate::storage::keys;
use crate::storage::records::{Digested, Record, seal};

/// A queue, under its project and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRecord<'a> {
    pub(crate) number: u64,
    pub(crate) next: u64,
    /// The last operation that is in this record and the queue's pages and claims.
    pub(crate) lsn: u64,
    /// The messages that have expired.
    pub(crate) expired: u64,
    /// `None` if nothing was handed out under a rate.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) metadata: Cow<'a, str>,
}

/// The queue's own record.
pub(crate) fn queue(frozen: &FrozenQueue) -> Result<Record> {
    let record = QueueRecord {
        number: frozen.number,
        next: frozen.next,
        lsn: frozen.lsn,
        expired: frozen.expired,
        bucket: frozen.bucket,
        metadata: frozen.description.metadata.to_json().into(),
    };
    seal(Tree::Queues, keys::queue(&frozen.project, &frozen.name), &record)
}

/// The mark that the archive's record of a queue is void; only snapshots have it.
pub(crate) fn void(key: &[u8]) -> Result<Record> {
    seal(Tree::Meta, keys::void(key), &())
}

/// A page's entry in the directory.
pub(crate) fn page(of: Owner<'_>, first: u64, entry: &PageEntry) -> Result<Record> {
    seal(Tree::Messages, keys::page(of.key, of.number, first), entry)
}

pub(crate) fn claim(of: Owner<'_>, number: u64, claim: &Claim) -> Result<Record> {
    seal(Tree::Claims, keys::claim(of.key, of.number, number), claim)
}

/// Claims without messages, by their numbers; they are all that there are of their group.
pub(crate) fn spent_claims(of: Owner<'_>, group: u64, claims: &[(u64, Claim)]) -> Result<Record> {
    seal(Tree::Claims, keys::spent_claims(of.key, of.number, group), &claims)
}

/// Removes a queue's removed records from the trees.
pub(crate) fn remove(of: Owner<'_>, tombstones: &Tombstones, trees: &mut Digested) -> Result<()> {
    let Tombstones { pages, claims, spent } = tombstones;
    pages.iter().try_for_each(|first| trees.remove(Tree::Messages, &keys::page(of.key, of.number, *first)))?;
    claims.iter().try_for_each(|number| trees.remove(Tree::Claims, &keys::claim(of.key, of.number, *number)))?;
    spent.iter().try_for_each(|group| trees.remove(Tree::Claims, &keys::spent_claims(of.key, of.number, *group)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Page;
    use crate::state::page_content::{Content, IncomingMessage};
    use crate::state::sequences::Sequences;
    use crate::storage::budget::Budget;
    use crate::storage::codec::{self, hex};
    use crate::storage::page_files::{Form, ImageLocation};
    use crate::storage::records;

    const OWNER: Owner<'_> = Owner { number: 5, key: &[0, b'q', 0, 1] };

    fn entry() -> PageEntry {
        let location = ImageLocation::new(1, (2, 3), 4, Form::Page);
        let mut page = Page::new(7, Content::new(&Budget::unlimited()));
        page.push(7, &IncomingMessage::sample(b"ab"));
        page.entry().at(location)
    }

    #[test]
    fn golden_bytes_of_every_record() {
        for (bucket, bytes) in [(None, "00"), (Some(Bucket { at: 9, lacks: 1_000 }), "0109fbe803")] {
            let queue = QueueRecord { number: 5, next: 6, lsn: 7, expired: 8, bucket, metadata: "{}".into() };
            let sealed = records::seal(Tree::Queues, vec![0, b'q', 0, 1], &queue).unwrap();
            assert_eq!(hex(&sealed.value[5..]), format!("05060708{bytes}027b7d"));
        }
        assert_eq!(hex(&page(OWNER, 7, &entry()).unwrap().value[5..]), "010000020242020100 01020304".replace(' ', ""));
        let one = Claim::new([9; 16], 1, 2, [7].into_iter().collect(), 1);
        assert_eq!(hex(&claim(OWNER, 8, &one).unwrap().value[5..]), format!("{}0102010701", "09".repeat(16)));
        let spent = |number| (number, Claim::new([9; 16], 1, 2, Sequences::default(), 0));
        let group = spent_claims(OWNER, 512, &[spent(513), spent(600)]).unwrap();
        let (one, another) = (format!("fb0102{}010200", "09".repeat(16)), format!("fb5802{}010200", "09".repeat(16)));
        assert_eq!(hex(&group.value[5..]), format!("02{one}{another}"));
        // Of any 512 claims, so that the trees keep the record in a segment.
        let longest = |number| (u64::MAX - number, Claim::new([9; 16], u64::MAX, u64::MAX, Sequences::default(), 0));
        let full: Vec<_> = (0..512).rev().map(longest).collect();
        assert!(spent_claims(OWNER, u64::MAX - 511, &full).unwrap().value.len() < 24 << 10);
    }

    #[test]
    fn a_record_counts_only_whole_and_under_its_own_key() {
        let record = page(OWNER, 7, &entry()).unwrap();
        let body = records::open(record.tree, &record.key, &record.value).unwrap();
        assert_eq!(codec::decode::<PageEntry>(body), Ok(entry()));
        assert!(records::open(record.tree, b"other", &record.value).is_err());
        assert!(records::open(Tree::Claims, &record.key, &record.value).is_err());
        for bit in 0..record.value.len() * 8 {
            let mut bad = record.value.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(records::open(record.tree, &record.key, &bad).is_err(), "bit {bit}");
        }
    }
}
