//! The operations: every possible change. The journal contains operations, and the state applies them, live and in
//! recovery.
//!
//! 1. An operation contains its time and every random choice: its effect depends only on the operation and on the
//!    queues it names.
//! 2. Expiry is not an operation: it follows from time and state. [`Op::Time`] records the time at which a call met
//!    expired data.
//! 3. The order of the variants is the format on disk: new variants are added at the end.

mod bookmark;
mod change;
mod dead_letter;
mod step;
mod stored;

use std::borrow::Cow;

pub(crate) use bookmark::{BookmarkChange, Bookmarked};
pub(crate) use change::{Address, Change};
pub(crate) use dead_letter::{DeadLetter, DeadLetters, Received, Source};
use serde::{Deserialize, Serialize};
pub(crate) use step::{Step, queues_of, steps_of};
pub(crate) use stored::MOST_COPIES;

use crate::model::{Project, QueueName};
use crate::storage::keys;

use super::bucket::Bucket;
use super::claims::Claim;
use super::page::PageRecord;
pub(crate) use super::posted::Posted;
use super::registry::SubscriptionRow;
use super::sequences::Sequences;

/// An operation and the engine time at which it was decided, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalEntry<'a> {
    pub(crate) time: u64,
    #[serde(borrow)]
    pub(crate) op: Op<'a>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Op<'a> {
    /// The time has reached this operation's time.
    Time,
    #[serde(borrow)]
    CreateQueue(NewQueue<'a>),
    SetMetadata {
        queue: u64,
        metadata: Cow<'a, str>,
    },
    DeleteQueue {
        queue: u64,
    },
    /// Removes all messages and claims; the record stays. The messages are also given as sequences, all below `next`,
    /// which does not depend on earlier changes.
    Purge {
        queue: u64,
        next: u64,
        /// Whether the bucket of its claim rate is full afterwards: the queue is in another store now.
        fill: bool,
    },
    /// Messages for consecutive sequences from `first`.
    Post {
        queue: u64,
        first: u64,
        client: [u8; 16],
        /// The key of the queue's project and name if it is one message that is a page of its own, else empty: such a frame
        /// is everything about the page.
        #[serde(borrow, with = "serde_bytes")]
        key: Cow<'a, [u8]>,
        messages: Vec<Posted<'a>>,
    },
    Claim(NewClaim<'a>),
    RenewClaim {
        queue: u64,
        claim: [u8; 16],
        ttl: u64,
        grace: u64,
        /// As a new claim's.
        slack: u8,
    },
    ReleaseClaim {
        queue: u64,
        claim: [u8; 16],
    },
    /// Deleted, or popped from a queue without a claim rate.
    Delete {
        queue: u64,
        messages: Sequences,
    },
    /// Concerns no queue's messages.
    #[serde(borrow)]
    Registry(Change<'a>),
    /// Removes all subscriptions, and, if the queue's number and next sequence are given, all messages and claims, as
    /// in a purge.
    Clear {
        #[serde(borrow)]
        address: Address<'a>,
        queue: Option<(u64, u64)>,
    },
    /// A queue is created and mapped to a pool at once.
    Register {
        #[serde(borrow)]
        new: NewQueue<'a>,
        pool: Cow<'a, str>,
        least_incarnation: u32,
    },
    /// Removes a queue's record and its mapping; the side in `pool` has to be removed.
    Unregister {
        #[serde(borrow)]
        address: Address<'a>,
        queue: u64,
        pool: Option<Cow<'a, str>>,
        /// The id of the pool's store, if known.
        store: Option<[u8; 16]>,
    },
    /// Dead letters from other stores.
    #[serde(borrow)]
    Receive(Received<'a>),
    /// A part of a queue that is moved here from another store.
    #[serde(borrow)]
    Import(Import<'a>),
    /// Gives metadata and a pool to a queue that had no pool.
    Remap {
        #[serde(borrow)]
        address: Address<'a>,
        queue: u64,
        metadata: Cow<'a, str>,
        pool: Cow<'a, str>,
        least_incarnation: u32,
    },
    /// Ends claims without messages before their time; lists their numbers.
    EndClaims {
        queue: u64,
        claims: Vec<u64>,
    },
    /// Removes the messages of damaged pages: ranges of sequences without their ends.
    DropDamaged {
        queue: u64,
        ranges: Vec<(u64, u64)>,
    },
    /// Gives some messages of a claim back.
    #[serde(borrow)]
    Retry(Retried<'a>),
    /// Puts some messages of a claim under a new claim with its own times.
    SplitClaim(SplitClaim),
    /// A queue comes back from the archive, because the next operation changes it.
    Recall {
        queue: u64,
        #[serde(borrow)]
        address: Address<'a>,
    },
    /// Changes of one or more queues, together; the steps are in the order of the queues' numbers.
    #[serde(borrow, with = "stored")]
    Batch(Vec<Step<'a>>),
    /// Bookmarks change, and queues together with them.
    #[serde(borrow)]
    Bookmark(Bookmarked<'a>),
    /// Popped from a queue with a claim rate.
    Pop {
        queue: u64,
        messages: Sequences,
        /// As a claim's.
        lacks: u32,
    },
}

impl Op<'_> {
    /// Whether this posts one message that is a page of its own: then it is everything about the page.
    pub(crate) fn is_page(&self) -> bool {
        matches!(self, Self::Post { key, .. } if !key.is_empty())
    }

    /// The number of the queue this is about, if it is about one.
    pub(crate) fn queue(&self) -> Option<u64> {
        match self {
            Self::Time | Self::Registry(_) | Self::Batch(_) | Self::Bookmark(_) => None,
            Self::Clear { queue, .. } => queue.map(|(number, _)| number),
            Self::CreateQueue(new) | Self::Register { new, .. } => Some(new.number),
            Self::Claim(claim) => Some(claim.queue),
            Self::Receive(received) => Some(received.queue),
            Self::Import(import) => Some(import.queue),
            Self::Retry(retried) => Some(retried.queue),
            Self::SplitClaim(split) => Some(split.queue),
            Self::SetMetadata { queue, .. }
            | Self::DeleteQueue { queue }
            | Self::Unregister { queue, .. }
            | Self::Remap { queue, .. }
            | Self::Purge { queue, .. }
            | Self::Post { queue, .. }
            | Self::RenewClaim { queue, .. }
            | Self::ReleaseClaim { queue, .. }
            | Self::EndClaims { queue, .. }
            | Self::Delete { queue, .. }
            | Self::Pop { queue, .. }
            | Self::DropDamaged { queue, .. }
            | Self::Recall { queue, .. } => Some(*queue),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewQueue<'a> {
    pub(crate) number: u64,
    pub(crate) project: Option<Cow<'a, str>>,
    /// As it is [stored](QueueName::stored).
    pub(crate) name: Cow<'a, str>,
    pub(crate) metadata: Cow<'a, str>,
}

impl<'a> NewQueue<'a> {
    pub(crate) fn new(number: u64, project: &'a Project, name: &'a QueueName, metadata: &'a str) -> Self {
        let project = project.name().map(Into::into);
        Self { number, project, name: name.stored(), metadata: metadata.into() }
    }

    /// The key of the queue's record.
    pub(crate) fn key(&self) -> Vec<u8> {
        keys::stored_queue(self.project.as_deref(), &self.name)
    }

    pub(crate) fn into_owned(self) -> NewQueue<'static> {
        NewQueue {
            number: self.number,
            project: self.project.map(|project| project.into_owned().into()),
            name: self.name.into_owned().into(),
            metadata: self.metadata.into_owned().into(),
        }
    }
}

/// A claim on `taken`; the messages `moved` go to the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewClaim<'a> {
    pub(crate) queue: u64,
    pub(crate) claim: [u8; 16],
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
    /// The milliseconds that the claim lasts longer, because the operation's time is rounded down.
    pub(crate) slack: u8,
    pub(crate) taken: Sequences,
    pub(crate) moved: Sequences,
    #[serde(borrow)]
    pub(crate) dead: Option<DeadLetters<'a>>,
    /// What the queue's bucket lacks from now on; 0 if the queue has no claim rate or nothing is handed out.
    pub(crate) lacks: u32,
}

/// Messages of one claim that are given back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Retried<'a> {
    pub(crate) queue: u64,
    pub(crate) claim: [u8; 16],
    #[serde(borrow)]
    pub(crate) groups: Vec<GivenBack<'a>>,
}

/// Messages that are given back with the same delay and reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GivenBack<'a> {
    pub(crate) messages: Sequences,
    /// From the operation's time on; 0 for none.
    pub(crate) delay: u64,
    /// None leaves the reason of the failure before.
    pub(crate) reason: Option<Cow<'a, str>>,
}

/// The messages `taken` of `claim` are under the claim `into` from the operation's time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SplitClaim {
    pub(crate) queue: u64,
    pub(crate) claim: [u8; 16],
    pub(crate) into: [u8; 16],
    pub(crate) ttl: u64,
    pub(crate) grace: u64,
    /// As a new claim's.
    pub(crate) slack: u8,
    pub(crate) taken: Sequences,
}

/// Pages and claims as in the trees, and subscriptions. Claims come before the pages that name them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Import<'a> {
    pub(crate) queue: u64,
    /// The next sequence.
    pub(crate) next: u64,
    /// The messages that expired in the source, in one operation of a copy.
    pub(crate) expired: u64,
    /// The source's bucket, in one operation of a copy.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) claims: Vec<(u64, Claim)>,
    #[serde(borrow)]
    pub(crate) pages: Vec<ImportedPage<'a>>,
    #[serde(borrow)]
    pub(crate) address: Address<'a>,
    pub(crate) subscriptions: Vec<([u8; 16], SubscriptionRow)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportedPage<'a> {
    pub(crate) first: u64,
    pub(crate) record: PageRecord,
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) bodies: Cow<'a, [u8]>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::posted::{PostLabel, label_of_post, read_post};
    use crate::storage::budget::Budget;
    use crate::storage::codec;

    /// The bytes of an operation, as hex. A change here is a change of the format on disk.
    fn golden(op: Op<'_>) -> String {
        let entry = JournalEntry { time: 1_000, op };
        let mut bytes = Vec::new();
        codec::encode_into(&entry, &mut bytes).unwrap();
        assert_eq!(codec::decode::<JournalEntry<'_>>(&bytes).as_ref(), Ok(&entry));
        codec::hex(&bytes)
    }

    fn new_queue() -> NewQueue<'static> {
        NewQueue { number: 5, project: Some("p".into()), name: "q".into(), metadata: "{}".into() }
    }

    #[test]
    fn golden_bytes_of_every_operation() {
        let taken: Sequences = [1, 2, 3, 9].into_iter().collect();
        assert_eq!(golden(Op::Time), "fbe80300");
        assert_eq!(golden(Op::CreateQueue(new_queue())), "fbe80301050101700171027b7d");
        assert_eq!(golden(Op::SetMetadata { queue: 5, metadata: "{}".into() }), "fbe8030205027b7d");
        assert_eq!(golden(Op::DeleteQueue { queue: 5 }), "fbe8030305");
        assert_eq!(golden(Op::Purge { queue: 5, next: 8, fill: true }), "fbe80304050801");
        let posted = Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"ab".as_slice().into(),
        };
        assert_eq!(
            golden(Op::Post { queue: 5, first: 7, client: [1; 16], key: b"k".into(), messages: vec![posted] }),
            format!("fbe803050507{}016b013c000000026162", "01".repeat(16))
        );
        let dead_letter = DeadLetter {
            created: 1,
            expires: 2,
            ttl: 3,
            claim_count: 4,
            claimed: (1, 2),
            failure: Some("f".into()),
            client: [2; 16],
            checksum: Some([3; 16]),
            envelope: b"e".as_slice().into(),
            body: b"z".as_slice().into(),
        };
        let dead = DeadLetters { target: 6, create: Some(new_queue()), first: 8, messages: vec![dead_letter] };
        let claim = NewClaim {
            queue: 5,
            claim: [9; 16],
            ttl: 60,
            grace: 30,
            slack: 1,
            taken: taken.clone(),
            moved: [4].into_iter().collect(),
            dead: Some(dead),
            lacks: 1_000,
        };
        let expected = format!(
            "fbe8030605{}3c1e01020103090101040101060105{}0801010203{}{}01{}0165017afbe803",
            "09".repeat(16),
            "0101700171027b7d",
            "0401020101 66".replace(' ', ""),
            "02".repeat(16),
            "03".repeat(16)
        );
        assert_eq!(golden(Op::Claim(claim)), expected);
        assert_eq!(
            golden(Op::RenewClaim { queue: 5, claim: [9; 16], ttl: 60, grace: 30, slack: 1 }),
            format!("fbe8030705{}3c1e01", "09".repeat(16))
        );
        assert_eq!(golden(Op::ReleaseClaim { queue: 5, claim: [9; 16] }), format!("fbe8030805{}", "09".repeat(16)));
        assert_eq!(golden(Op::Delete { queue: 5, messages: taken.clone() }), "fbe803090502010309 01".replace(' ', ""));
        let pop = Op::Pop { queue: 5, messages: taken, lacks: 1_000 };
        assert_eq!(golden(pop), "fbe803180502010309 01fbe803".replace(' ', ""));
        assert_eq!(golden(Op::EndClaims { queue: 5, claims: vec![7, 9] }), "fbe8031105020709");
        let group = GivenBack { messages: [7].into_iter().collect(), delay: 9, reason: Some("r".into()) };
        let retried = Retried { queue: 5, claim: [9; 16], groups: vec![group] };
        assert_eq!(
            golden(Op::Retry(retried)),
            format!("fbe8031305{}010107010901 0172", "09".repeat(16)).replace(' ', "")
        );
        let (claim, into, taken) = ([9; 16], [8; 16], [7].into_iter().collect());
        let split = SplitClaim { queue: 5, claim, into, ttl: 60, grace: 30, slack: 1, taken };
        let ids = format!("{}{}", "09".repeat(16), "08".repeat(16));
        assert_eq!(golden(Op::SplitClaim(split)), format!("fbe8031405{ids}3c1e01010701"));
        assert_eq!(golden(Op::DropDamaged { queue: 5, ranges: vec![(7, 9)] }), "fbe803120501 0709".replace(' ', ""));
        let address = Address { project: Some("p".into()), queue: "q".into() };
        let posted = Posted {
            ttl: 60,
            delay: 0,
            checksum: None,
            envelope: b"".as_slice().into(),
            body: b"ab".as_slice().into(),
        };
        let steps = vec![
            Step::Post { queue: 5, first: 7, client: [1; 16], messages: vec![posted] },
            Step::Renew { queue: 5, claim: [9; 16], ttl: 60, grace: 30, slack: 1 },
            Step::Release { queue: 6, claim: [9; 16] },
            Step::Delete { queue: 6, messages: [7].into_iter().collect() },
        ];
        let (one, nine) = ("01".repeat(16), "09".repeat(16));
        let expected = format!("fbe80316 04 000507{one}013c000000026162 0105{nine}3c1e01 0206{nine} 0306010701");
        assert_eq!(golden(Op::Batch(steps)), expected.replace(' ', ""));
        assert_eq!(golden(Op::Recall { queue: 5, address }), "fbe80315050101700171");
    }

    #[test]
    fn the_post_of_a_message_that_is_a_page_is_the_image_of_that_page() {
        let budget = Budget::unlimited();
        let body = vec![b'x'; 20_000];
        let post = |key: &'static [u8], count: usize| {
            let posted = || Posted {
                ttl: 60,
                delay: 5,
                checksum: Some([3; 16]),
                envelope: b"".as_slice().into(),
                body: body.as_slice().into(),
            };
            let messages = (0..count).map(|_| posted()).collect();
            let op = Op::Post { queue: 5, first: 7, client: [1; 16], key: key.into(), messages };
            let is_page = op.is_page();
            let mut bytes = Vec::new();
            codec::encode_into(&JournalEntry { time: 1_000, op }, &mut bytes).unwrap();
            (bytes, is_page)
        };
        let (entry, is_page) = post(b"key", 1);
        assert!(is_page);
        assert_eq!(label_of_post(&entry), Some(PostLabel { queue: 5, first: 7, key: b"key" }));
        let content = read_post(&budget, 5, 7, &entry).unwrap();
        let slot = content.slot(0).unwrap();
        assert_eq!((content.slots().len(), content.body(slot), content.checksum(slot)), (1, &*body, Some([3; 16])));
        assert_eq!((slot.created(), slot.expires(), slot.ttl(), slot.hold), (1_000, 1_060, 60, 1_005));
        assert_eq!((content.client(slot), slot.distance(), slot.waits()), ([1; 16], 0, true));

        assert!(read_post(&budget, 5, 8, &entry).is_err() && read_post(&budget, 6, 7, &entry).is_err());
        assert!(read_post(&budget, 5, 7, &entry[..entry.len() - 1]).is_err());
        let (two, _) = post(b"key", 2);
        assert!(read_post(&budget, 5, 7, &two).is_err());
        let (small, is_page) = post(b"", 1);
        assert!(!is_page && label_of_post(&small).is_none());
        let mut other = Vec::new();
        codec::encode_into(&JournalEntry { time: 1_000, op: Op::DeleteQueue { queue: 5 } }, &mut other).unwrap();
        assert!(label_of_post(&other).is_none() && read_post(&budget, 5, 7, &other).is_err());
    }
}
