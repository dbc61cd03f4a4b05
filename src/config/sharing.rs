//! The settings that an open store is shared by.

use std::sync::Arc;

use super::Config;

impl Config {
    /// The first setting in which a store opened with these is not as one opened with `other` would be.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            ("clock", !Arc::ptr_eq(&self.clock, &other.clock)),
            ("limits", self.limits != other.limits),
            ("sync_interval", self.sync_interval != other.sync_interval),
            ("segment_size", self.segment_bytes != other.segment_bytes),
            ("memory", self.memory != other.memory),
            ("journal_max", self.journal_max != other.journal_max),
            ("queue_memory", self.queue_memory != other.queue_memory),
            ("page_files", self.page_files != other.page_files),
            ("busy_timeout", self.busy_timeout != other.busy_timeout),
            ("virtual_pool", self.virtual_pool != other.virtual_pool),
            ("seed", self.seed != other.seed),
            ("checksums", self.checksums != other.checksums),
            ("background", self.background != other.background),
            ("spawner", !Arc::ptr_eq(&self.spawner, &other.spawner)),
            ("open_pooled", (self.pooled, self.control) != (other.pooled, other.control)),
        ];
        differs.into_iter().find_map(|(setting, differs)| differs.then_some(setting))
    }
}
