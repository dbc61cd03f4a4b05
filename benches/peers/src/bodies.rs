//! Message bodies that differ, half random and half not: about 2:1 compressible.

use std::time::Duration;

use crate::store::Body;

/// Bodies in turns.
pub(crate) struct Bodies {
    all: Vec<Body>,
    next: usize,
}

impl Bodies {
    /// Bodies of so many bytes, a multiple of 16.
    pub(crate) fn of(bytes: usize) -> Self {
        let count = (POOL_BYTES / bytes).clamp(16, 1000);
        Self { all: (0..count as u64).map(|seed| body(seed, bytes)).collect(), next: 0 }
    }

    /// The next bodies.
    pub(crate) fn next(&mut self, count: usize) -> &[Body] {
        if self.next + count > self.all.len() {
            self.next = 0;
        }
        let from = self.next;
        self.next += count;
        self.all.get(from..from + count).unwrap_or_default()
    }
}

fn body(seed: u64, bytes: usize) -> Body {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut body = Vec::with_capacity(bytes);
    while body.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        body.extend_from_slice(&state.to_le_bytes());
        body.extend_from_slice(b"\"value\":");
    }
    body.into()
}

/// A time to live and a lease that no run outlasts.
pub(crate) const LONG: Duration = Duration::from_hours(1);
/// Bytes of a message, where a unit does not say otherwise.
pub(crate) const USUAL: usize = 256;
const POOL_BYTES: usize = 8 << 20;
