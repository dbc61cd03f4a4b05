//! The longer pages: how the engine works inside, and what it writes.

pub mod design {
    #![doc = include_str!("design.md")]
}

pub mod format {
    #![doc = include_str!("format.md")]
}
