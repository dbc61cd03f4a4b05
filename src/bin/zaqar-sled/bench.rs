//! The measurements of `zaqar-sled bench`: calls of a store beside bare system calls, in turns.

mod bare;
mod comparison;
mod figures;
mod histogram;
mod machine;
mod measurement;
mod noise;
mod queue_load;
mod scratch;
mod slices;
mod stop;
mod tally;

pub(crate) use comparison::compare;
pub(crate) use figures::{Figures, Report};
pub(crate) use machine::Machine;
pub(crate) use measurement::Measurement;
pub(crate) use noise::random_bytes;
pub(crate) use queue_load::LARGEST_BODY;
pub(crate) use scratch::{Scratch, space};
pub(crate) use slices::Slices;
pub(crate) use stop::Stop;

/// The most threads.
pub(crate) const MOST_THREADS: usize = 64;
