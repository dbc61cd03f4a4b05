//! The promises of a storage driver.

use std::fmt;

/// One promise of a storage driver, with Zaqar's number for it (contract 4).
///
/// ```
/// assert_eq!(zaqar_sled::Capability::Durability as u8, 3);
/// assert_eq!(zaqar_sled::Capability::ALL.len(), 5);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Capability {
    /// Messages are listed and claimed in the order of their posts.
    Fifo = 1,
    /// Messages can be claimed.
    Claims = 2,
    /// Acknowledged changes survive a crash.
    Durability = 3,
    /// Every message is delivered at least once.
    Aod = 4,
    /// The driver is made for many messages a second.
    HighThroughput = 5,
}

impl Capability {
    /// All five, by number.
    pub const ALL: [Self; 5] = [Self::Fifo, Self::Claims, Self::Durability, Self::Aod, Self::HighThroughput];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of capabilities. Two sets are equal if they have the same members (contract 4).
///
/// ```
/// use zaqar_sled::{Capabilities, Capability};
///
/// let in_memory = Capabilities::all().without(Capability::Durability);
/// assert!(in_memory.contains(Capability::Fifo));
/// assert_eq!(in_memory.iter().count(), 4);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(u8);

impl Capabilities {
    /// The set of all five.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(Capabilities::all(), Capability::ALL.into_iter().collect());
    /// ```
    pub fn all() -> Self {
        Capability::ALL.into_iter().collect()
    }

    /// The same set without one capability.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(!Capabilities::all().without(Capability::Aod).contains(Capability::Aod));
    /// ```
    pub const fn without(self, capability: Capability) -> Self {
        Self(self.0 & !capability.bit())
    }

    /// Whether the capability is in the set.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(Capabilities::all().contains(Capability::Fifo));
    /// assert!(!Capabilities::default().contains(Capability::Fifo));
    /// ```
    pub const fn contains(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// The members of the set, by Zaqar's numbers.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let set = Capabilities::from_iter([Capability::Durability, Capability::Fifo]);
    /// assert!(set.iter().eq([Capability::Fifo, Capability::Durability]));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.contains(*capability))
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().fold(0, |bits, capability| bits | capability.bit()))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_compare_without_order() {
        let one = Capabilities::from_iter([Capability::Aod, Capability::Fifo]);
        let other = Capabilities::from_iter([Capability::Fifo, Capability::Aod, Capability::Aod]);
        assert_eq!(one, other);
        assert_eq!(format!("{one:?}"), "{Fifo, Aod}");
        assert_eq!(Capabilities::default().iter().count(), 0);
        assert_eq!(Capabilities::all().iter().count(), 5);
    }
}
