//! The state: what applying the journal's operations in order adds up to.

mod audit;
mod claims;
mod contents;
mod page;
mod queue;
mod reader;

pub(crate) use audit::Violation;
pub(crate) use claims::Claim;
pub(crate) use contents::{Contents, Snapshot};
pub(crate) use page::{Arrival, Hold, Page, PageRecord};
pub(crate) use queue::{Changes, Description, Freed, Queue, Totals, first_of, incarnation_of};
pub(crate) use reader::Reading;
