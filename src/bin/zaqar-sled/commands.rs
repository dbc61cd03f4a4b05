//! The commands, one in each file.

mod claims;
mod ls;
mod peek;
mod stat;

pub(crate) use claims::Claims;
pub(crate) use ls::Ls;
pub(crate) use peek::Peek;
pub(crate) use stat::Stat;
