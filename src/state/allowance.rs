//! The bytes of bodies and headers that one call may return.

/// Admits the first message, whatever its size, and further messages while these together stay within a number of
/// bytes.
///
/// So a call needs no more memory than the largest message and that number.
#[derive(Debug)]
pub(crate) struct Allowance {
    is_untouched: bool,
    left: u64,
}

impl Allowance {
    pub(crate) fn new(bytes: u64) -> Self {
        Self { is_untouched: true, left: bytes }
    }

    /// Whether a message of so many bytes is admitted. After a refusal no later one is.
    pub(crate) fn admits(&mut self, bytes: usize) -> bool {
        if std::mem::replace(&mut self.is_untouched, false) {
            return true;
        }
        let left = self.left.checked_sub(bytes as u64);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_admitted_and_others_while_they_fit() {
        let mut allowance = Allowance::new(10);
        let admitted: Vec<bool> = [1_000, 4, 6, 0, 1].into_iter().map(|bytes| allowance.admits(bytes)).collect();
        assert_eq!(admitted, [true, true, true, true, false]);
        let mut nothing = Allowance::new(0);
        assert!(nothing.admits(5) && !nothing.admits(5));
    }
}
