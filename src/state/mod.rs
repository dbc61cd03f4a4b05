//! The state: what applying the journal's operations in order adds up to.

mod audit;
mod claims;
mod contents;
pub(crate) mod page;
mod queue;
mod reader;

pub(crate) use claims::Claim;
pub(crate) use contents::{Contents, Snapshot};
pub(crate) use page::{Hold, Page};
pub(crate) use queue::{Description, Freed, Queue, Totals, first_of, incarnation_of};
pub(crate) use reader::Reading;
