//! The units of work. Each run of a unit begins with an empty directory.
//!
//! Bodies have 256 bytes, there is one queue and one thread, unless the unit says otherwise. Units at D1 have the prefix
//! `d1`. The amounts of the quick and of the full form are in `scale`.

mod claims;
mod disk;
mod filled;
mod growth;
mod posts;
mod queues;
mod reads;
mod scale;
pub(crate) mod sustained;
mod threads;

use std::path::Path;

pub(crate) use scale::Scale;

use crate::Result;
use crate::figure::Figure;
use crate::store::{Kind, Role, Safety, Store};

pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) safety: Safety,
    /// Whether a run takes so long that it is not repeated as often as the others.
    pub(crate) long: bool,
    /// Whether a store can do it.
    pub(crate) suits: fn(&Kind) -> bool,
    pub(crate) run: fn(&Place<'_>) -> Result<Vec<Figure>>,
}

/// Where a unit runs.
pub(crate) struct Place<'a> {
    pub(crate) unit: &'static str,
    pub(crate) kind: &'static Kind,
    pub(crate) directory: &'a Path,
    pub(crate) safety: Safety,
    pub(crate) scale: &'a Scale,
}

impl Place<'_> {
    pub(crate) fn open(&self) -> Result<Box<dyn Store>> {
        (self.kind.open)(self.directory, self.safety)
    }
}

pub(crate) const ALL: &[Unit] = &[
    short("w1", "post 1 message a call", posts::one),
    short("w2", "post 10 a call", posts::ten),
    short("w3", "claim 10, then delete each of the 10 with its claim, one call each", claims::one_by_one),
    short("w3b", "claim 10, then delete the 10 in one call", claims::in_bulk),
    short("w4", "post 10, claim 10, delete the 10 in one call, over a queue in which others wait", claims::cycle),
    short("w4r", "w4, and the claim is released at the end", claims::cycle_and_release),
    Unit {
        suits: |kind| !kind.lacks.contains(&"pages"),
        ..short("w5", "list by pages of 10 with a marker", reads::list)
    },
    short("w6", "counts of a queue, half of it claimed; `behind`: claim 1 behind that half", reads::stats),
    short("w7", "4 threads post 10 a call, 4 claim 10 and delete them in one call, on one queue", threads::one_queue),
    short("w7q", "w7 over 1000 queues", threads::many_queues),
    synced("d1-w1", "post 1 message a call", posts::one),
    synced("d1-w3b", "claim 10, then delete the 10 in one call", claims::in_bulk),
    synced("d1-g8", "8 threads post 1 message a call", threads::eight_posters),
    synced("d1-g32", "32 threads post 1 message a call", threads::thirty_two_posters),
    synced("d1-w7", "4 threads post 10 a call, 4 claim 10 and delete them in one call", threads::one_queue),
    short("wb", "post 1, claim 1, delete 1, with bodies of 64 B, 1, 64 and 256 KiB", claims::bodies),
    long("w9", "open a store of 100 queues and make the first claim", |kind| kind.role.keeps_files(), disk::opening),
    long("w10", "create queues, and post one message in each", |kind| kind.role != Role::Server, queues::create),
    long(
        "w11",
        "disk space of a message; disk space left when all are gone",
        |kind| kind.role.keeps_files(),
        disk::space,
    ),
    long("grow", "w2, w4 and w3b with more and more messages waiting", |kind| kind.role != Role::Server, growth::grow),
    long(
        "sust",
        "post by 10 with no reader, then claim and delete by 10 and release",
        |kind| kind.role.keeps_files(),
        sustained::run,
    ),
];

const fn short(name: &'static str, what: &'static str, run: fn(&Place<'_>) -> Result<Vec<Figure>>) -> Unit {
    Unit { name, what, safety: Safety::Killed, long: false, suits: |_| true, run }
}

const fn synced(name: &'static str, what: &'static str, run: fn(&Place<'_>) -> Result<Vec<Figure>>) -> Unit {
    Unit { name, what, safety: Safety::PowerLoss, long: false, suits: |_| true, run }
}

const fn long(
    name: &'static str,
    what: &'static str,
    suits: fn(&Kind) -> bool,
    run: fn(&Place<'_>) -> Result<Vec<Figure>>,
) -> Unit {
    Unit { name, what, safety: Safety::Killed, long: true, suits, run }
}
