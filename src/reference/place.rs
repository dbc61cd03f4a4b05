//! The places in which the model keeps the contents of pools.

use crate::model::{Location, NewPool};

/// The place of a pool's store. `None` is the store itself, for everything that is not pooled and for pools without a
/// scheme.
pub(super) type Place = Option<Location>;

pub(super) fn place_of(pool: &NewPool) -> Place {
    match pool.uri.location() {
        Location::Default(_) => None,
        elsewhere => Some(elsewhere.clone()),
    }
}
