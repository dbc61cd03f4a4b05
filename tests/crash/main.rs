//! What a store is after it was killed, lost power, was damaged or ran out of space: the promises of durability,
//! atomicity, single holders, order and no return, held against the disk's worst.

mod full;
mod kill;
mod power_loss;
mod recovery;
mod support;
