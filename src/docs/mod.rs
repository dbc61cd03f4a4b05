//! The manual.
//!
//! - [`guide`]: what a program does with a queue, step by step. Read this first.
//! - [`contract`]: each method of Zaqar's storage interface and its Rust counterpart. The rules are in
//!   [`DataDriver`](crate::DataDriver#rules-of-every-method).
//! - [`design`]: how the engine works inside.
//! - [`bounds`]: the most memory, disk space and files that a store uses.
//! - [`workers`]: processing messages in threads, stopping, and async programs.
//! - [`backup`]: taking backups of a store in use, and restoring them.
//! - [`export`]: a store as lines of JSON, and stores that are made of them.
//! - [`metrics`]: what a store counts and measures, for graphs and alarms.
//! - [`pools`]: how several pools work together, and what a failure between two stores leaves.
//! - [`comparison`]: other stores, what each is better at, and what sled does here.
//! - [`processes`]: opening, closing, and other processes.
//! - [`format`](mod@format): the files and their bytes.
//! - [`tool`]: the command-line program, command by command.
//! - [`testing`]: how the crate is tested.
//! - [`glossary`]: the terms.
//! - [`changelog`]: what changed from version to version.

pub mod backup {
    #![doc = include_str!("backup.md")]
}

pub mod bounds {
    #![doc = include_str!("bounds.md")]
}

pub mod changelog {
    #![doc = include_str!("changelog.md")]
}

pub mod comparison {
    #![doc = include_str!("comparison.md")]
}

pub mod contract {
    #![doc = include_str!("contract.md")]
    #![doc = "\n## A message's life\n"]
    #![doc = include_str!("message.svg")]
}

pub mod design {
    #![doc = include_str!("design.md")]
    #![doc = "\n## The files of a store\n"]
    #![doc = include_str!("files.svg")]
}

pub mod export {
    #![doc = include_str!("export.md")]
}

pub mod glossary {
    #![doc = include_str!("glossary.md")]
}

pub mod guide {
    #![doc = include_str!("guide.md")]
}

pub mod metrics {
    #![doc = include_str!("metrics.md")]
}

pub mod pools {
    #![doc = include_str!("pools.md")]
    #![doc = "\n## Two pools\n"]
    #![doc = include_str!("pools.svg")]
}

pub mod processes {
    #![doc = include_str!("processes.md")]
}

pub mod format {
    #![doc = include_str!("format.md")]
}

pub mod testing {
    #![doc = include_str!("testing.md")]
}

pub mod tool {
    #![doc = include_str!("tool.md")]
}

pub mod workers {
    #![doc = include_str!("workers.md")]
}
