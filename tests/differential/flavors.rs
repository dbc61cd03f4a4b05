//! Flavors: the operations, their choice, and the calls on both.

use proptest::prelude::*;
use proptest::sample::select;
use zaqar_sled::{FlavorName, FlavorUpdate, ListOptions, NewFlavor};

use crate::calls::{PROJECTS, json, project_of};
use crate::pair::{Check, Pair, same};
use crate::pools::{GROUPS, group_of};

/// Projects, names and groups are numbers here.
#[derive(Clone, Debug)]
pub(crate) enum FlavorOp {
    Create(Flavored, Option<usize>, &'static str),
    /// Gets the flavor, whether it exists, and its pools.
    Get(Flavored, bool),
    List {
        project: usize,
        marker: Option<usize>,
        limit: usize,
        detailed: bool,
    },
    Update(Flavored, Option<usize>, Option<&'static str>),
    Delete(Flavored),
    DropAll,
}

/// A project and a flavor's name in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flavored(usize, usize);

/// One has the name of a group.
const FLAVORS: [&str; 3] = ["gold", "plain", "a b"];
const CAPABILITIES: [&str; 3] = ["{}", r#"{"speed": "high"}"#, r#"{"FIFO": 1, "nested": {"a.b": null}}"#];

pub(crate) fn flavor_op() -> impl Strategy<Value = FlavorOp> {
    let group = || prop_oneof![1 => Just(None), 3 => (0..GROUPS.len()).prop_map(Some)];
    let capabilities = || select(CAPABILITIES.to_vec());
    let list = (0..PROJECTS.len(), prop::option::of(0..FLAVORS.len()), 0_usize..4, any::<bool>());
    prop_oneof![
        9 => (flavored(), group(), capabilities())
            .prop_map(|(flavor, group, capabilities)| FlavorOp::Create(flavor, group, capabilities)),
        3 => (flavored(), any::<bool>()).prop_map(|(flavor, detailed)| FlavorOp::Get(flavor, detailed)),
        2 => list.prop_map(|(project, marker, limit, detailed)| FlavorOp::List { project, marker, limit, detailed }),
        5 => (flavored(), group(), prop::option::of(capabilities()))
            .prop_map(|(flavor, group, capabilities)| FlavorOp::Update(flavor, group, capabilities)),
        2 => flavored().prop_map(FlavorOp::Delete),
        1 => prop_oneof![3 => flavored().prop_map(FlavorOp::Delete), 1 => Just(FlavorOp::DropAll)],
    ]
}

fn flavored() -> impl Strategy<Value = Flavored> {
    (0..PROJECTS.len(), 0..FLAVORS.len()).prop_map(|(project, name)| Flavored(project, name))
}

impl Pair<'_> {
    pub(crate) fn call_flavors(&mut self, op: &FlavorOp) -> Check {
        match op {
            FlavorOp::Create(flavored, group, capabilities) => {
                let (project, name) = (project_of(flavored.0), flavored.name());
                let flavor = group.map_or_else(NewFlavor::new, |group| NewFlavor::of(group_of(group)));
                let flavor = flavor.capabilities(json(capabilities));
                self.both_controls(|driver| driver.flavors().create(&project, &name, &flavor), same)
            }
            FlavorOp::Get(flavored, detailed) => self.get_flavor(*flavored, *detailed),
            FlavorOp::List { project, marker, limit, detailed } => {
                let marker = marker.map(|name| FlavorName::new(FLAVORS[name]).unwrap().into());
                let options = ListOptions::new().marker(marker).limit(*limit).detailed(*detailed);
                self.both_controls(|driver| driver.flavors().list(&project_of(*project), &options), same)
            }
            FlavorOp::Update(flavored, group, capabilities) => {
                let (project, name) = (project_of(flavored.0), flavored.name());
                let mut update = FlavorUpdate::new();
                update.pool_group = group.map(group_of);
                update.capabilities = capabilities.map(json);
                self.both_controls(|driver| driver.flavors().update(&project, &name, &update), same)
            }
            FlavorOp::Delete(flavored) => {
                let (project, name) = (project_of(flavored.0), flavored.name());
                self.both_controls(|driver| driver.flavors().delete(&project, &name), same)
            }
            FlavorOp::DropAll => self.both_controls(|driver| driver.flavors().drop_all(), same),
        }
    }

    fn get_flavor(&mut self, flavored: Flavored, detailed: bool) -> Check {
        let (project, name) = (project_of(flavored.0), flavored.name());
        self.both_controls(|driver| driver.flavors().exists(&project, &name), same)?;
        self.both_controls(|driver| driver.flavors().get(&project, &name, detailed), same)?;
        self.both_controls(
            |driver| {
                let flavor = driver.flavors().get(&project, &name, false)?;
                driver.pools().get_pools_by_flavor(Some(&flavor), detailed)
            },
            same,
        )
    }

    pub(crate) fn compare_flavors(&mut self, limit: usize) -> Check {
        for project in 0..PROJECTS.len() {
            self.call_flavors(&FlavorOp::List { project, marker: None, limit, detailed: true })?;
            for name in 0..FLAVORS.len() {
                self.get_flavor(Flavored(project, name), true)?;
            }
        }
        Ok(())
    }
}

impl Flavored {
    fn name(self) -> FlavorName {
        FlavorName::new(FLAVORS[self.1]).unwrap()
    }
}
