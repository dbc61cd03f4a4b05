//! Instants in milliseconds since 1970, as the stores keep them.

use std::time::{Duration, SystemTime};

pub(crate) fn now() -> u64 {
    millis(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
