//! The catalogue and the control driver's own calls: the operations, their choice, and the calls on both.

use proptest::prelude::*;
use zaqar_sled::{ControlHealth, OperationStatus};

use crate::calls::{ALL_NAMES, PROJECTS, QueueRef, project_of, queue_ref};
use crate::pair::{Check, Pair, equal, same};
use crate::pools::{POOLS, pool_name};

/// Pools and projects are numbers here; no pool need be registered.
#[derive(Clone, Debug)]
pub(crate) enum CatalogueOp {
    Insert(QueueRef, usize),
    /// And whether it exists.
    Get(QueueRef),
    List(usize),
    Update(QueueRef, Option<usize>),
    Delete(QueueRef),
    DropAll,
    /// The control driver's.
    Health,
}

pub(crate) fn catalogue_op() -> impl Strategy<Value = CatalogueOp> {
    let pool = || 0..POOLS.len();
    let update = (queue_ref(), prop::option::weighted(0.8, pool()));
    prop_oneof![
        8 => (queue_ref(), pool()).prop_map(|(queue_ref, pool)| CatalogueOp::Insert(queue_ref, pool)),
        3 => queue_ref().prop_map(CatalogueOp::Get),
        2 => (0..PROJECTS.len()).prop_map(CatalogueOp::List),
        5 => update.prop_map(|(queue_ref, pool)| CatalogueOp::Update(queue_ref, pool)),
        6 => queue_ref().prop_map(CatalogueOp::Delete),
        1 => prop_oneof![3 => Just(CatalogueOp::Health), 1 => Just(CatalogueOp::DropAll)],
    ]
}

impl Pair<'_> {
    pub(crate) fn call_catalogue(&mut self, op: &CatalogueOp) -> Check {
        match op {
            CatalogueOp::Insert(queue_ref, pool) => {
                let (project, name, pool) = (queue_ref.project(), queue_ref.name(), pool_name(*pool));
                self.both_controls(|driver| driver.catalogue().insert(&project, &name, &pool), same)
            }
            CatalogueOp::Get(queue_ref) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both_controls(|driver| driver.catalogue().exists(&project, &name), same)?;
                self.both_controls(|driver| driver.catalogue().get(&project, &name), same)
            }
            CatalogueOp::List(project) => {
                self.both_controls(|driver| driver.catalogue().list(&project_of(*project)), same)
            }
            CatalogueOp::Update(queue_ref, pool) => {
                let (project, name, pool) = (queue_ref.project(), queue_ref.name(), pool.map(pool_name));
                self.both_controls(|driver| driver.catalogue().update(&project, &name, pool.as_ref()), same)
            }
            CatalogueOp::Delete(queue_ref) => {
                let (project, name) = (queue_ref.project(), queue_ref.name());
                self.both_controls(|driver| driver.catalogue().delete(&project, &name), same)
            }
            CatalogueOp::DropAll => self.both_controls(|driver| driver.catalogue().drop_all(), same),
            CatalogueOp::Health => self.control_health(),
        }
    }

    fn control_health(&mut self) -> Check {
        self.both_controls(
            |driver| driver.health(),
            |_, engine, model| {
                let told = |health: &ControlHealth| {
                    let operations = health.operations().iter().map(|one| (one.name().to_owned(), one.succeeded()));
                    let counts = (health.queues(), health.pools(), health.flavors(), health.mapped());
                    (operations.collect::<Vec<_>>(), counts)
                };
                equal(engine.operations().iter().all(OperationStatus::succeeded), true)?;
                equal(told(engine), told(model))
            },
        )
    }

    pub(crate) fn compare_catalogue(&mut self) -> Check {
        for project in 0..PROJECTS.len() {
            self.call_catalogue(&CatalogueOp::List(project))?;
            for name in 0..ALL_NAMES {
                self.call_catalogue(&CatalogueOp::Get(QueueRef(project, name)))?;
            }
        }
        self.control_health()
    }
}
