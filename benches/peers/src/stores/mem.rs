//! Maps under one mutex, without a disk: what the work costs when nothing is kept.

use std::path::Path;

use crate::Result;
use crate::maps::Maps;
use crate::store::{Kind, Role, Safety, Store};

pub(super) const KIND: Kind = Kind {
    name: "mem",
    role: Role::Bound,
    lacks: &[],
    open,
    killed: "lost",
    power_loss: "lost",
    how: "a bound, not a store",
};

#[expect(clippy::unnecessary_wraps, reason = "opening other stores may fail")]
fn open(_: &Path, _: Safety) -> Result<Box<dyn Store>> {
    Ok(Maps::boxed(None))
}
