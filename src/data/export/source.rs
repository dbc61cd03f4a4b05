//! The driver that is exported.

use std::collections::BTreeSet;

use crate::data::backend::Backend;
use crate::model::error::Result;
use crate::state::Registry;

/// The export of a driver.
pub(crate) struct Export<'a, B> {
    pub(crate) backend: &'a B,
    /// The highest incarnation of any number.
    pub(crate) incarnation: u32,
    /// Whether the export goes on: asked before each page.
    pub(crate) goes_on: &'a dyn Fn() -> Result<()>,
    /// Whether the claims and messages of the queue with this key are left out: by the control store's registry.
    pub(crate) is_left_out: fn(&Registry, &[u8]) -> bool,
}

/// What an export of a pooled driver covers. Mappings are written before queues, which calls create and move meanwhile.
pub(super) struct Scope {
    /// Queues from this number on are left out.
    pub(super) first_new: u64,
    /// The queues whose mapping, as it was written, is to a pool that keeps nothing.
    pub(super) lost: BTreeSet<Vec<u8>>,
}

impl Scope {
    /// Whether there is a queue with that key which is left out because it is new.
    pub(super) fn is_new<B: Backend>(&self, export: &Export<'_, B>, key: &[u8]) -> Result<bool> {
        let found = export.backend.control_store().find_key(key)?;
        Ok(export.backend.is_pooled() && found.is_some_and(|slot| slot.number >= self.first_new))
    }

    /// Whether the content of the queue with that key is left out.
    pub(super) fn is_lost<B: Backend>(&self, export: &Export<'_, B>, key: &[u8]) -> bool {
        self.lost.contains(key) || (export.is_left_out)(&export.backend.control_store().registry.read(), key)
    }
}
