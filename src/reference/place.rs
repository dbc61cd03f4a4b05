//! Where the model keeps what is in a pool.

use crate::model::{Location, NewPool};

/// Where a pool's store is; `None` is the store itself, which pools without a scheme share, and all that is not pooled.
pub(super) type Place = Option<Location>;

pub(super) fn place_of(pool: &NewPool) -> Place {
    match pool.uri.location() {
        Location::Default(_) => None,
        elsewhere => Some(elsewhere.clone()),
    }
}
