//! The operations on subscriptions, pools, flavors and the catalogue. All arguments are chosen from a few.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use zaqar_sled::{
    FlavorName, FlavorUpdate, Metadata, NewFlavor, NewPool, PoolGroup, PoolName, PoolUpdate, PoolUri, Subscriber,
    SubscriptionUpdate,
};

use crate::operation::{Known, Name, Time};

#[derive(Debug, Clone, Arbitrary)]
pub enum Subscribing {
    Create { subscriber: Few<3>, ttl: Time, options: Options },
    Get { id: Known },
    Exists { id: Known },
    List { marker: Option<Known>, limit: Few<4> },
    Update { id: Known, subscriber: Option<Few<3>>, ttl: Option<Time>, options: Option<Options> },
    Delete { id: Known },
    Confirm { id: Known, confirmed: bool },
    GetWithSubscriber { subscriber: Few<3> },
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Pooling {
    Create { name: Few<4>, uri: Few<12>, weight: i8, group: Option<Few<2>>, options: Options },
    Get { name: Few<4>, detailed: bool },
    Exists { name: Few<4> },
    List { marker: Option<Few<4>>, limit: Few<4>, detailed: bool },
    ByGroup { group: Option<Few<2>>, detailed: bool },
    Update { name: Few<4>, change: PoolChange },
    Delete { name: Few<4> },
    Capabilities { group: Option<Few<2>>, name: Option<Few<4>> },
    DropAll,
}

#[derive(Debug, Clone, Arbitrary)]
pub struct PoolChange {
    uri: Option<Few<12>>,
    weight: Option<i8>,
    group: Option<Option<Few<2>>>,
    options: Option<Options>,
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Flavoring {
    Create {
        named: bool,
        name: Few<3>,
        group: Option<Few<2>>,
        capabilities: Options,
    },
    /// Gets the flavor and its pools.
    Get {
        named: bool,
        name: Few<3>,
        detailed: bool,
    },
    Exists {
        named: bool,
        name: Few<3>,
    },
    List {
        named: bool,
        marker: Option<Few<3>>,
        limit: Few<4>,
        detailed: bool,
    },
    Update {
        named: bool,
        name: Few<3>,
        group: Option<Few<2>>,
        capabilities: Option<Options>,
    },
    Delete {
        named: bool,
        name: Few<3>,
    },
    DropAll,
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Mapping {
    Insert { queue: Name, pool: Few<4> },
    Get { queue: Name },
    Exists { queue: Name },
    List { named: bool },
    Update { queue: Name, pool: Option<Few<4>> },
    Delete { queue: Name },
    DropAll,
    Health,
}

/// One of `N` values.
#[derive(Debug, Clone, Copy)]
pub struct Few<const N: usize>(pub usize);

impl<const N: usize> Arbitrary<'_> for Few<N> {
    fn arbitrary(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self(usize::from(input.arbitrary::<u8>()?) % N))
    }
}

/// Options of a subscription or a pool; some have no meaning for a pool.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Options {
    None,
    Some,
    Settings,
    Meaningless,
}

impl Options {
    pub fn metadata(self) -> Metadata {
        let text = match self {
            Self::None => "{}",
            Self::Some => r#"{"b": [1, 1.0, null], "a": {"$x.y": "Ä"}}"#,
            Self::Settings => r#"{"durability": "buffered", "memory": 1000000}"#,
            Self::Meaningless => r#"{"memory": "much"}"#,
        };
        Metadata::from_json(text).expect("an object")
    }
}

impl Few<3> {
    pub fn subscriber(self) -> Subscriber {
        Subscriber::new(["http://a.example", "mailto:b@example.com", "c"][self.0]).expect("not empty")
    }

    /// The first has the name of a group.
    pub fn flavor(self) -> FlavorName {
        FlavorName::new(["g", "plain", "ä"][self.0]).expect("a valid name")
    }
}

impl Few<4> {
    pub fn pool(self) -> PoolName {
        PoolName::new(["p", "q", "r", "ö"][self.0]).expect("a valid name")
    }
}

impl Few<2> {
    pub fn group(self) -> PoolGroup {
        PoolGroup::new(["g", "h"][self.0]).expect("a valid name")
    }
}

impl Few<12> {
    /// Of few stores, some written in several ways. An engine opens none of them.
    fn uri(self) -> PoolUri {
        let uris = [
            "sled:/fuzz/1",
            "sled:/fuzz/2",
            "sled:/fuzz/3",
            "sled:///fuzz/./1?durability=buffered",
            "sled:/fuzz/none/../2/",
            "memory:1",
            "memory:2",
            "memory:1?memory=5000000",
            "localhost",
            "localhost:1",
            "plain",
            "/fuzz/1",
        ];
        PoolUri::new(uris[self.0]).expect("a valid URI")
    }
}

impl Subscribing {
    pub fn update(subscriber: Option<Few<3>>, ttl: Option<Time>, options: Option<Options>) -> SubscriptionUpdate {
        let mut update = SubscriptionUpdate::new();
        update.subscriber = subscriber.map(Few::subscriber);
        update.ttl = ttl.map(Duration::from);
        update.options = options.map(Options::metadata);
        update
    }
}

impl Pooling {
    pub fn pool(uri: Few<12>, weight: i8, group: Option<Few<2>>, options: Options) -> NewPool {
        let pool = NewPool::new(uri.uri()).weight(weight.into()).options(options.metadata());
        pool.group(group.map(Few::<2>::group))
    }
}

impl PoolChange {
    pub fn update(&self) -> PoolUpdate {
        let mut update = PoolUpdate::new();
        update.uri = self.uri.map(Few::uri);
        update.weight = self.weight.map(i64::from);
        update.group = self.group.map(|group| group.map(Few::<2>::group));
        update.options = self.options.map(Options::metadata);
        update
    }
}

impl Flavoring {
    pub fn flavor(group: Option<Few<2>>, capabilities: Options) -> NewFlavor {
        let flavor = group.map_or_else(NewFlavor::new, |group| NewFlavor::of(group.group()));
        flavor.capabilities(capabilities.metadata())
    }

    pub fn update(group: Option<Few<2>>, capabilities: Option<Options>) -> FlavorUpdate {
        let mut update = FlavorUpdate::new();
        update.pool_group = group.map(Few::<2>::group);
        update.capabilities = capabilities.map(Options::metadata);
        update
    }
}
