//! Sets of the messages of a page, one bit each.

use serde::{Deserialize, Serialize};

/// Why a message is not there to be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hold {
    Free,
    Claimed,
    Delayed,
    /// Free, since the lease of its last claim ran out.
    Lapsed,
}

pub(super) fn hold(claimed: u128, delayed: u128, index: usize) -> Hold {
    match bit(index) {
        bit if claimed & delayed & bit != 0 => Hold::Lapsed,
        bit if claimed & bit != 0 => Hold::Claimed,
        bit if delayed & bit != 0 => Hold::Delayed,
        _ => Hold::Free,
    }
}

/// The indexes of the set bits, ascending.
pub(crate) fn bits(mut set: u128) -> impl Iterator<Item = usize> + Clone {
    std::iter::from_fn(move || {
        let index = set.trailing_zeros();
        set &= set.wrapping_sub(1);
        (index < u128::BITS).then_some(index as usize)
    })
}

/// The set of these indexes.
pub(crate) fn set_of(indexes: impl Iterator<Item = usize>) -> u128 {
    indexes.fold(0, |set, index| set | bit(index))
}

pub(crate) fn bit(index: usize) -> u128 {
    u32::try_from(index).ok().and_then(|index| 1_u128.checked_shl(index)).unwrap_or(0)
}
