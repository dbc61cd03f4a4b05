//! The driver that is exported.

use crate::model::error::Result;

/// The export of a driver.
pub(crate) struct Export<'a, B> {
    pub(crate) backend: &'a B,
    /// The highest incarnation of any number.
    pub(crate) incarnation: u32,
    /// Whether the export goes on: asked before each page.
    pub(crate) goes_on: &'a dyn Fn() -> Result<()>,
    /// Whether the claims and messages of the queue with this key are left out.
    pub(crate) is_left_out: &'a dyn Fn(&[u8]) -> bool,
}
