//! The stores, one file each.

#[cfg(feature = "servers")]
mod beanstalkd;
mod fjall;
mod lmdb;
mod mem;
mod memlog;
mod ours;
mod redb;
#[cfg(feature = "servers")]
mod redis;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sled;
mod sqlite;

use crate::store::Kind;

/// All stores of this build, zaqar-sled first.
pub(crate) const ALL: &[Kind] = &[
    ours::KIND,
    mem::KIND,
    memlog::KIND,
    lmdb::KIND,
    fjall::KIND,
    redb::KIND,
    sqlite::KIND,
    sled::KIND,
    #[cfg(feature = "rocksdb")]
    rocksdb::KIND,
    #[cfg(feature = "servers")]
    redis::KIND,
    #[cfg(feature = "servers")]
    beanstalkd::KIND,
];

pub(crate) fn named(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}
