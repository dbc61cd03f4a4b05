//! The longer pages: the contract as a table, how the engine works inside, what it needs at most, how pools work together,
//! what opening, closing and other processes do, what is written, how it is tested, and what the words mean.

pub mod bounds {
    #![doc = include_str!("bounds.md")]
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

pub mod glossary {
    #![doc = include_str!("glossary.md")]
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
