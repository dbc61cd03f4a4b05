//! The changes of the registry: subscriptions, pools, flavors, the catalogue, and the accounts of a pooled driver.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Source;
use crate::model::{Project, QueueName};
use crate::state::{BookmarkRow, FlavorRow, PoolRow, QuotaRow, SubscriptionRow};
use crate::storage::keys;

/// The variants' order is the format on disk: new ones go at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change<'a> {
    /// A new subscription; its life is counted from the operation's time.
    Subscribe {
        #[serde(borrow)]
        address: Address<'a>,
        id: [u8; 16],
        subscriber: Cow<'a, str>,
        ttl: u64,
        options: Cow<'a, str>,
    },
    /// The given fields change; a ttl counts from the operation's time.
    UpdateSubscription {
        #[serde(borrow)]
        address: Address<'a>,
        id: [u8; 16],
        subscriber: Option<Cow<'a, str>>,
        ttl: Option<u64>,
        options: Option<Cow<'a, str>>,
    },
    ConfirmSubscription {
        #[serde(borrow)]
        address: Address<'a>,
        id: [u8; 16],
        confirmed: bool,
    },
    Unsubscribe {
        #[serde(borrow)]
        address: Address<'a>,
        id: [u8; 16],
    },
    PutPool {
        name: Cow<'a, str>,
        pool: PoolRow,
    },
    DeletePool {
        name: Cow<'a, str>,
    },
    DropPools,
    PutFlavor {
        project: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        flavor: FlavorRow,
    },
    DeleteFlavor {
        project: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
    },
    DropFlavors,
    /// The queue's sequences in that pool start no lower than the incarnation `least_incarnation`.
    Map {
        #[serde(borrow)]
        address: Address<'a>,
        pool: Cow<'a, str>,
        least_incarnation: u32,
        /// The queue's number, if it has been made.
        queue: Option<u64>,
    },
    Unmap {
        #[serde(borrow)]
        address: Address<'a>,
    },
    DropCatalogue,
    /// This store is a pool of that control store from now on.
    Join {
        control: [u8; 16],
    },
    /// A pool, or a mapping, was given that incarnation for its sequences.
    Allot {
        incarnation: u32,
    },
    /// The pool `to` gets a copy of the queue, which has to be removed if the move does not finish.
    BeginMove {
        #[serde(borrow)]
        address: Address<'a>,
        queue: u64,
        to: Cow<'a, str>,
        /// The id of the store that `to` has; none for one that is not there again after an opening.
        store: Option<[u8; 16]>,
    },
    /// The copy is valid; the side in the pool `from` has to be removed.
    FinishMove {
        #[serde(borrow)]
        address: Address<'a>,
        queue: u64,
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        least_incarnation: u32,
        /// The id of the store that `from` has.
        store: Option<[u8; 16]>,
    },
    /// The pending removal from the pool is done.
    Removed {
        pool: Cow<'a, str>,
        queue: u64,
    },
    /// The source stores of these dead letters do not have them any more.
    Forget {
        sources: Vec<Source>,
    },
    /// The pool's store has that id: no other is taken for it.
    KeepStore {
        name: Cow<'a, str>,
        store: [u8; 16],
    },
    /// The pool's store is given up: the next that is found or made is the pool's.
    GiveUpStore {
        name: Cow<'a, str>,
    },
    /// Subscriptions that the control store had of a queue that is now mapped to this pool.
    TakeSubscriptions {
        #[serde(borrow)]
        address: Address<'a>,
        subscriptions: Vec<([u8; 16], SubscriptionRow)>,
    },
    /// A bookmark of another store, with its version.
    TakeBookmark {
        project: Option<Cow<'a, str>>,
        name: Cow<'a, str>,
        bookmark: BookmarkRow,
    },
    /// What a project may hold; none for a project without limits.
    SetQuota {
        project: Option<Cow<'a, str>>,
        quota: Option<QuotaRow>,
    },
}

/// A queue by its name, as it is [stored](QueueName::stored).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address<'a> {
    pub(crate) project: Option<Cow<'a, str>>,
    pub(crate) queue: Cow<'a, str>,
}

impl<'a> Address<'a> {
    pub(crate) fn of(project: &'a Project, queue: &'a QueueName) -> Self {
        Self { project: project.name().map(Into::into), queue: queue.stored() }
    }

    /// The key of the queue's record.
    pub(crate) fn key(&self) -> Vec<u8> {
        keys::stored_queue(self.project.as_deref(), &self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Bucket;
    use crate::state::op::{Import, ImportedPage, JournalEntry, NewQueue, Op, Received};
    use crate::state::page::PageRecord;
    use crate::state::reasons::Reasons;
    use crate::storage::codec;

    fn address() -> Address<'static> {
        Address { project: Some("p".into()), queue: "q".into() }
    }

    fn bytes(op: Op<'_>) -> String {
        let entry = JournalEntry { time: 1, op };
        let mut bytes = Vec::new();
        codec::encode_into(&entry, &mut bytes).unwrap();
        assert_eq!(codec::decode::<JournalEntry<'_>>(&bytes).as_ref(), Ok(&entry));
        codec::hex(&bytes)
    }

    fn golden(change: Change<'_>) -> String {
        let bytes = bytes(Op::Registry(change));
        bytes.strip_prefix("010a").unwrap().to_owned()
    }

    #[test]
    fn golden_bytes_of_every_change_of_subscriptions() {
        let (id, hex) = ([9; 16], "09".repeat(16));
        let (subscriber, options) = ("s".into(), "{}".into());
        let subscribe = Change::Subscribe { address: address(), id, subscriber, ttl: 5, options };
        assert_eq!(golden(subscribe), format!("0001017001 71{hex}017305027b7d").replace(' ', ""));
        let update =
            Change::UpdateSubscription { address: address(), id, subscriber: None, ttl: Some(7), options: None };
        assert_eq!(golden(update), format!("0101017001 71{hex}00010700").replace(' ', ""));
        let confirm = Change::ConfirmSubscription { address: address(), id, confirmed: true };
        assert_eq!(golden(confirm), format!("0201017001 71{hex}01").replace(' ', ""));
        assert_eq!(golden(Change::Unsubscribe { address: address(), id }), format!("030101700171{hex}"));
    }

    #[test]
    fn golden_bytes_of_every_change_of_the_control_plane() {
        let pool = PoolRow { uri: "u".into(), weight: -1, group: Some("g".into()), options: "{}".into(), store: None };
        assert_eq!(golden(Change::PutPool { name: "n".into(), pool }), "04016e017501010167027b7d00");
        assert_eq!(golden(Change::DeletePool { name: "n".into() }), "05016e");
        assert_eq!(golden(Change::DropPools), "06");
        let flavor = FlavorRow { pool_group: "g".into(), capabilities: "{}".into() };
        assert_eq!(golden(Change::PutFlavor { project: None, name: "f".into(), flavor }), "070001660167027b7d");
        assert_eq!(golden(Change::DeleteFlavor { project: None, name: "f".into() }), "08000166");
        assert_eq!(golden(Change::DropFlavors), "09");
        assert_eq!(
            golden(Change::Map { address: address(), pool: "n".into(), least_incarnation: 3, queue: Some(5) }),
            "0a0101700171016e030105"
        );
        assert_eq!(golden(Change::Unmap { address: address() }), "0b0101700171");
        assert_eq!(golden(Change::DropCatalogue), "0c");
        assert_eq!(golden(Change::Join { control: [7; 16] }), format!("0d{}", "07".repeat(16)));
        assert_eq!(golden(Change::Allot { incarnation: 4 }), "0e04");
        let begin = Change::BeginMove { address: address(), queue: 5, to: "t".into(), store: Some([7; 16]) };
        assert_eq!(golden(begin), format!("0f010170017105017401{}", "07".repeat(16)));
        let (from, to) = ("f".into(), "t".into());
        let finish = Change::FinishMove { address: address(), queue: 5, from, to, least_incarnation: 6, store: None };
        assert_eq!(golden(finish), "10010170017105016601 740600".replace(' ', ""));
        assert_eq!(golden(Change::Removed { pool: "n".into(), queue: 5 }), "11016e05");
        assert_eq!(golden(Change::Forget { sources: vec![(1, 2)] }), "12010102");
        let keep = Change::KeepStore { name: "n".into(), store: [7; 16] };
        assert_eq!(golden(keep), format!("13016e{}", "07".repeat(16)));
        assert_eq!(golden(Change::GiveUpStore { name: "n".into() }), "14016e");
        let (subscriber, options) = ("s".into(), "{}".into());
        let row = SubscriptionRow { subscriber, ttl: 1, created: 2, expires: 3, options, confirmed: true };
        let take = Change::TakeSubscriptions { address: address(), subscriptions: vec![([9; 16], row)] };
        let hex = "09".repeat(16);
        assert_eq!(golden(take), format!("15010170017101{hex}0173010203027b7d01"));
        let bookmark = BookmarkRow { version: 5, changed: 6, value: b"v".to_vec() };
        assert_eq!(
            golden(Change::TakeBookmark { project: None, name: "b".into(), bookmark }),
            "160001620506 0176".replace(' ', "")
        );
        let quota = Some(QuotaRow { queues: Some(1), messages: None, bytes: Some(2) });
        assert_eq!(golden(Change::SetQuota { project: Some("p".into()), quota }), "17010170010101000102");
        assert_eq!(golden(Change::SetQuota { project: None, quota: None }), "170000");
    }

    #[test]
    fn golden_bytes_of_the_operations_that_go_with_them() {
        assert_eq!(bytes(Op::Clear { address: address(), queue: Some((5, 8)) }), "010b0101700171010508");
        let new = NewQueue { number: 5, project: None, name: "q".into(), metadata: "{}".into() };
        assert_eq!(bytes(Op::Register { new, pool: "n".into(), least_incarnation: 2 }), "010c05000171027b7d016e02");
        let unregister = Op::Unregister { address: address(), queue: 5, pool: None, store: None };
        assert_eq!(bytes(unregister), "010d0101700171050000");
        let (metadata, pool) = ("{}".into(), "n".into());
        let remap = Op::Remap { address: address(), queue: 5, metadata, pool, least_incarnation: 2 };
        assert_eq!(bytes(remap), "01100101700171 05027b7d016e02".replace(' ', ""));
        let received = Received { queue: 5, first: 7, from: [8; 16], sources: vec![(1, 2)], messages: Vec::new() };
        assert_eq!(bytes(Op::Receive(received)), format!("010e0507{}01010200", "08".repeat(16)));
        let record =
            PageRecord { bodies_bytes: 1, clients: Vec::new(), slots: Vec::new(), reasons: Reasons::default() };
        let page = ImportedPage { first: 7, record, bodies: b"b".as_slice().into() };
        let import = Import {
            queue: 5,
            next: 8,
            expired: 9,
            bucket: Some(Bucket { at: 2, lacks: 3 }),
            claims: Vec::new(),
            pages: vec![page],
            address: address(),
            subscriptions: Vec::new(),
        };
        assert_eq!(bytes(Op::Import(import)), "010f050809010203000107010000000162 010170017100".replace(' ', ""));
    }
}
