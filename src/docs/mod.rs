//! The longer pages: the contract as a table, how the engine works inside, what it needs at most, how pools work together,
//! what opening, closing and other processes do, what is written,
//! and how it is tested.

pub mod bounds {
    #![doc = include_str!("bounds.md")]
}

pub mod contract {
    #![doc = include_str!("contract.md")]
}

pub mod design {
    #![doc = include_str!("design.md")]
}

pub mod pools {
    #![doc = include_str!("pools.md")]
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
