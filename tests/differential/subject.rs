//! The kinds of subject, and how each is opened.

#[path = "../support/subject.rs"]
mod shared;

use std::sync::Arc;

use zaqar_sled::{Clock, Config, Durability, SimulatedDisk};

use crate::calls::Case;

pub(crate) use shared::Subject;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Engine,
    /// An engine whose clock advances at each reading.
    Ticking,
    Pooled,
}

impl Subject {
    /// Opens the case's subject for the `opening`th time.
    pub(crate) fn open(case: &Case, clock: &Arc<dyn Clock>, disk: &SimulatedDisk, opening: u64) -> Self {
        let config = Config::new().disk(Arc::new(disk.clone())).clock(clock.clone()).background(false);
        let config = config.durability(if case.buffered { Durability::Buffered } else { Durability::Sync });
        let config = config.limits(case.limits()).checksums(case.checksums);
        let config = config.segment_size(case.segment_bytes).memory(case.memory);
        // Idle queues leave memory with every snapshot.
        let config = if case.buffered { config.queue_memory(0) } else { config };
        match case.kind {
            Kind::Engine | Kind::Ticking => Self::Engine(config.open("/store").expect("the store opens")),
            // The choice of pools has to repeat when a failing case is made smaller; ids must not repeat, so every
            // opening has its own.
            Kind::Pooled => Self::Pooled(config.seed(opening).open_pooled("/store").expect("the stores open")),
        }
    }
}
