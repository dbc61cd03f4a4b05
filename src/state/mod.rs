//! The state: the result of applying the journal's operations in order.

mod allowance;
mod audit;
mod bucket;
mod claims;
mod contents;
pub(crate) mod costs;
mod dirty;
pub(crate) mod entries;
pub(crate) mod envelope;
mod explaining;
mod frozen;
mod idle;
mod listing;
mod load;
mod message_slot;
pub(crate) mod op;
pub(crate) mod outbox_header;
pub(crate) mod page;
mod page_builder;
pub(crate) mod page_content;
pub(crate) mod posted;
mod queue;
mod reader;
mod reasons;
mod registry;
pub(crate) mod sequences;
mod u48;

pub(crate) use allowance::Allowance;
pub(crate) use bucket::{Bucket, Quota};
pub(crate) use claims::Claim;
pub(crate) use contents::{Contents, Obstacle};
pub(crate) use dirty::Tombstones;
pub(crate) use frozen::FrozenQueue;
pub(crate) use idle::{Activity, Idle, LoadedQueue, idle_bytes};
pub(crate) use load::Load;
pub(crate) use page::{FrozenPage, Hold, Page, PageEntry};
pub(crate) use page_builder::PageBuilder;
pub(crate) use queue::{Description, Freed, OUTBOX, Purpose, Queue, Sizes, Totals};
pub(crate) use reader::Reading;
pub(crate) use registry::{
    BookmarkRow, FlavorRow, Mapping, PARTS, Part, PoolRow, QuotaRow, Registry, Removal, SubscriptionRow, pool_name,
};
