//! The control plane: pools, flavors and the catalogue.

mod catalogue;
mod driver;
mod flavors;
mod pools;

pub(crate) use catalogue::{check_not_moving, next_incarnation};
pub(crate) use flavors::missing as missing_flavor;
