//! Claim rates in the model: by all messages that were handed out, without a bucket.
//!
//! A message may be handed out if, in every time that ends now, no more than the burst and the messages that the rate
//! brings in that time have been handed out, this one included. The model looks at each of these times.

use crate::model::{ClaimRate, Rate, Timestamp};

/// What was handed out, since the last instant at which nothing of it mattered any more.
#[derive(Clone, Default)]
pub(super) struct HandOuts {
    /// The setting in force at the last one.
    rate: Option<Rate>,
    /// The instants, and how many thousandths of messages.
    all: Vec<(Timestamp, i128)>,
}

impl HandOuts {
    /// The thousandths of messages that may be handed out.
    fn allowed(&self, rate: Rate, now: Timestamp) -> i128 {
        let (burst, mut handed_out) = (thousandths(rate.burst.get()), 0);
        let mut least = burst;
        for (since, count) in self.under(rate).iter().rev() {
            handed_out += count;
            let millis = i128::from(now.as_millis()) - i128::from(since.as_millis());
            least = least.min(burst + i128::from(rate.per_second.get()) * millis - handed_out);
        }
        least
    }

    /// What counts under a setting. Under another one than that of the last messages, it is what was over the rate when
    /// these were handed out, at most the burst, as if it had been handed out with them.
    fn under(&self, rate: Rate) -> Vec<(Timestamp, i128)> {
        match (self.rate.filter(|before| *before != rate), self.all.last()) {
            (Some(before), Some((last, _))) => {
                let over = thousandths(before.burst.get()) - self.allowed(before, *last);
                vec![(*last, over.min(thousandths(rate.burst.get())))]
            }
            _ => self.all.clone(),
        }
    }

    /// As callers see it.
    pub(super) fn shown(&self, rate: Rate, now: Timestamp) -> ClaimRate {
        ClaimRate {
            per_second: rate.per_second.get(),
            burst: rate.burst.get(),
            available: u32::try_from(self.allowed(rate, now).div_euclid(1_000).max(0)).unwrap_or(u32::MAX),
            next: self.next(rate, now),
        }
    }

    /// Counts messages that are handed out.
    pub(super) fn add(&mut self, rate: Rate, now: Timestamp, messages: usize) {
        let is_at_rest = self.allowed(rate, now) == thousandths(rate.burst.get());
        self.all = if is_at_rest { Vec::new() } else { self.under(rate) };
        self.rate = Some(rate);
        self.all.push((now, messages as i128 * 1_000));
    }

    /// The first instant from `now` on at which a message may be handed out: found by trying.
    fn next(&self, rate: Rate, now: Timestamp) -> Timestamp {
        let is_allowed = |at: &Timestamp| self.allowed(rate, *at) >= 1_000;
        let after = |millis: u64| Timestamp::from_millis(now.as_millis().saturating_add(millis));
        let (mut least, mut most) = (0, 1);
        while !is_allowed(&after(most)) {
            if after(most) >= Timestamp::MAX {
                return Timestamp::MAX.max(now);
            }
            most *= 2;
        }
        while least < most {
            let middle = least + (most - least) / 2;
            if is_allowed(&after(middle)) {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        after(least)
    }
}

fn thousandths(messages: u32) -> i128 {
    i128::from(messages) * 1_000
}
