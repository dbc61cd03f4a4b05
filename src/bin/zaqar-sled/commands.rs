//! The commands, one in each file.

mod backup;
mod claims;
mod dead;
mod explain;
mod get;
mod ls;
mod manual;
mod pause;
mod peek;
mod pools;
mod post;
mod purge;
mod redrive;
mod restore;
mod rm;
mod salvage;
mod stat;
mod verify;

pub(crate) use backup::Backup;
pub(crate) use claims::Claims;
pub(crate) use dead::Dead;
pub(crate) use explain::Explain;
pub(crate) use get::Get;
pub(crate) use ls::Ls;
pub(crate) use manual::{Completions, Man};
pub(crate) use pause::{Pause, Resume};
pub(crate) use peek::Peek;
pub(crate) use pools::Pools;
pub(crate) use post::Post;
pub(crate) use purge::Purge;
pub(crate) use redrive::Redrive;
pub(crate) use restore::Restore;
pub(crate) use rm::Rm;
pub(crate) use salvage::Salvage;
pub(crate) use stat::Stat;
pub(crate) use verify::Verify;
