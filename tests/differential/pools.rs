//! Pools: the operations, their choice, and the calls on both.

use proptest::prelude::*;
use proptest::sample::select;
use zaqar_sled::{ListOptions, NewPool, PoolGroup, PoolName, PoolUpdate, PoolUri};

use crate::calls::json;
use crate::pair::{Check, Pair, same};

/// Names are numbers here.
#[derive(Clone, Debug)]
pub(crate) enum PoolOp {
    Create(usize, PoolSettings),
    /// And whether it exists.
    Get(usize, bool),
    List {
        marker: Option<usize>,
        limit: usize,
        detailed: bool,
    },
    OfGroup(Option<usize>, bool),
    Update(usize, Change),
    Delete(usize),
    Capabilities(Option<usize>, Option<usize>),
    DropAll,
}

/// The settings of a pool.
#[derive(Clone, Debug)]
pub(crate) struct PoolSettings {
    pub(crate) uri: &'static str,
    pub(crate) weight: i64,
    pub(crate) group: Option<usize>,
    pub(crate) options: &'static str,
}

/// As in a `PoolUpdate`.
#[derive(Clone, Debug)]
#[expect(clippy::option_option, reason = "to have no group is a change too")]
pub(crate) struct Change {
    pub(crate) uri: Option<&'static str>,
    pub(crate) weight: Option<i64>,
    pub(crate) group: Option<Option<usize>>,
    pub(crate) options: Option<&'static str>,
}

pub(crate) const POOLS: [&str; 4] = ["a", "b", "c", "é"];
/// One has the name of a flavor.
pub(crate) const GROUPS: [&str; 2] = ["gold", "ssd"];
/// Of few stores, some written in several ways; an engine opens none of them.
const URIS: [&str; 13] = [
    "sled:/zaqar-sled-differential/1",
    "sled:/zaqar-sled-differential/2",
    "sled:/zaqar-sled-differential/3",
    "sled:///zaqar-sled-differential/./1?durability=buffered",
    "sled:/zaqar-sled-differential/none/../2/?memory=5000000",
    "memory:1",
    "memory:2",
    "memory:3",
    "memory:1?durability=sync",
    "localhost",
    "localhost:1",
    "plain",
    "/zaqar-sled-differential/1",
];
/// Where the pools of a pooled driver mostly are.
const OWN_URIS: [&str; 4] =
    ["sled:/zaqar-sled-differential/1", "sled:/zaqar-sled-differential/2", "localhost", "memory:1"];
/// Two of the options have no meaning.
const OPTIONS: [&str; 11] = [
    "{}",
    "{}",
    "{}",
    "{}",
    "{}",
    r#"{"rack": 3}"#,
    r#"{"durability": "sync"}"#,
    r#"{"memory": 9000000, "a": null}"#,
    r#"{"durability": null}"#,
    r#"{"durability": "never"}"#,
    r#"{"memory": "much"}"#,
];

pub(crate) fn pool_op() -> impl Strategy<Value = PoolOp> {
    let (name, group) = (|| 0..POOLS.len(), || prop::option::of(0..GROUPS.len()));
    let list = (prop::option::of(name()), 0_usize..4, any::<bool>());
    prop_oneof![
        14 => (name(), pool_settings()).prop_map(|(name, settings)| PoolOp::Create(name, settings)),
        2 => (name(), any::<bool>()).prop_map(|(name, detailed)| PoolOp::Get(name, detailed)),
        2 => list.prop_map(|(marker, limit, detailed)| PoolOp::List { marker, limit, detailed }),
        2 => (group(), any::<bool>()).prop_map(|(group, detailed)| PoolOp::OfGroup(group, detailed)),
        10 => (name(), change()).prop_map(|(name, change)| PoolOp::Update(name, change)),
        4 => name().prop_map(PoolOp::Delete),
        2 => (group(), prop::option::of(name())).prop_map(|(group, name)| PoolOp::Capabilities(group, name)),
        1 => prop_oneof![3 => Just(PoolOp::Capabilities(None, None)), 1 => Just(PoolOp::DropAll)],
    ]
}

/// Registers a pool at a store of its own, where queues find it.
pub(crate) fn own_store_pool_op() -> impl Strategy<Value = PoolOp> {
    (0..POOLS.len(), select(vec![1, 1, 5, 0])).prop_map(|(name, weight)| own_store_pool(name, weight))
}

/// The pool at a store of its own: three that are alike, and one in memory for a flavor.
pub(crate) fn own_store_pool(name: usize, weight: i64) -> PoolOp {
    let group = (name == 3).then_some(0);
    PoolOp::Create(name, PoolSettings { uri: OWN_URIS[name], weight, group, options: "{}" })
}

fn pool_settings() -> impl Strategy<Value = PoolSettings> {
    (uri(), weight(), group(), select(OPTIONS.to_vec())).prop_map(|(uri, weight, group, options)| PoolSettings {
        uri,
        weight,
        group,
        options,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let options = prop::option::weighted(0.3, select(OPTIONS.to_vec()));
    let (uri, group) = (prop::option::weighted(0.4, uri()), prop::option::weighted(0.4, group()));
    (uri, prop::option::weighted(0.4, weight()), group, options).prop_map(|(uri, weight, group, options)| Change {
        uri,
        weight,
        group,
        options,
    })
}

fn uri() -> impl Strategy<Value = &'static str> {
    select(URIS.to_vec())
}

fn weight() -> impl Strategy<Value = i64> {
    prop_oneof![6 => select(vec![0_i64, 1, 5, 100]), 1 => select(vec![-1, i64::MIN, i64::MAX])]
}

fn group() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![1 => Just(None), 2 => Just(Some(0)), 2 => Just(Some(1))]
}

impl Pair<'_> {
    pub(crate) fn call_pools(&mut self, op: &PoolOp) -> Check {
        match op {
            PoolOp::Create(name, settings) => {
                let (name, pool) = (pool_name(*name), settings.pool());
                self.both_controls(|driver| driver.pools().create(&name, &pool), same)
            }
            PoolOp::Get(name, detailed) => {
                let name = pool_name(*name);
                self.both_controls(|driver| driver.pools().exists(&name), same)?;
                self.both_controls(|driver| driver.pools().get(&name, *detailed), same)
            }
            PoolOp::List { marker, limit, detailed } => {
                let marker = marker.map(|name| pool_name(name).into());
                let options = ListOptions::new().marker(marker).limit(*limit).detailed(*detailed);
                self.both_controls(|driver| driver.pools().list(&options), same)
            }
            PoolOp::OfGroup(group, detailed) => {
                let group = group.map(group_of);
                self.both_controls(|driver| driver.pools().get_pools_by_group(group.as_ref(), *detailed), same)
            }
            PoolOp::Update(name, change) => {
                let (name, update) = (pool_name(*name), change.update());
                self.both_controls(|driver| driver.pools().update(&name, &update), same)
            }
            PoolOp::Delete(name) => {
                let name = pool_name(*name);
                self.both_controls(|driver| driver.pools().delete(&name), same)
            }
            PoolOp::Capabilities(group, name) => {
                let (group, name) = (group.map(group_of), name.map(pool_name));
                self.both_controls(|driver| driver.pools().capabilities(group.as_ref(), name.as_ref()), same)
            }
            PoolOp::DropAll => self.both_controls(|driver| driver.pools().drop_all(), same),
        }
    }

    pub(crate) fn compare_pools(&mut self, limit: usize) -> Check {
        self.call_pools(&PoolOp::List { marker: None, limit, detailed: true })?;
        for name in 0..POOLS.len() {
            self.call_pools(&PoolOp::Capabilities(None, Some(name)))?;
        }
        let groups = (0..GROUPS.len()).map(Some).chain([None]);
        for group in groups {
            self.call_pools(&PoolOp::OfGroup(group, true))?;
            self.call_pools(&PoolOp::Capabilities(group, None))?;
        }
        Ok(())
    }
}

impl PoolSettings {
    fn pool(&self) -> NewPool {
        let pool = NewPool::new(uri_of(self.uri)).weight(self.weight).options(json(self.options));
        pool.group(self.group.map(group_of))
    }
}

impl Change {
    fn update(&self) -> PoolUpdate {
        let mut update = PoolUpdate::new();
        update.uri = self.uri.map(uri_of);
        update.weight = self.weight;
        update.group = self.group.map(|group| group.map(group_of));
        update.options = self.options.map(json);
        update
    }
}

pub(crate) fn pool_name(number: usize) -> PoolName {
    PoolName::new(POOLS[number]).unwrap()
}

pub(crate) fn group_of(number: usize) -> PoolGroup {
    PoolGroup::new(GROUPS[number]).unwrap()
}

fn uri_of(text: &str) -> PoolUri {
    PoolUri::new(text).unwrap()
}
