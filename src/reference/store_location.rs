//! The locations in which the model keeps the contents of pools.

use crate::model::{Location, NewPool};

/// The location of a pool's store. `None` is the store itself, for everything that is not pooled and for pools without
/// a scheme.
pub(super) type StoreLocation = Option<Location>;

pub(super) fn location_of(pool: &NewPool) -> StoreLocation {
    match pool.uri.location() {
        Location::Default(_) => None,
        elsewhere => Some(elsewhere.clone()),
    }
}
