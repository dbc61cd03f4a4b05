//! Listing the messages of a queue, by marker and limit. The queue has been advanced to `now`.

use crate::model::error::Result;
use crate::model::{MAX_BYTES, Message, MessageListOptions};

use super::allowance::Allowance;
use super::page::Page;
use super::queue::Queue;
use super::reader::Reading;

impl Queue {
    /// The messages behind the marker.
    pub(crate) fn list(&mut self, options: &MessageListOptions, now: u64) -> Result<Vec<Message>> {
        let mut after = options.marker.and_then(|marker| marker.position_in(self.number()));
        let (limit, bytes) = if options.limit == 0 { (usize::MAX, u64::MAX) } else { (options.limit, MAX_BYTES) };
        let at_first = usize::try_from(self.totals().total).unwrap_or(usize::MAX).min(limit).min(EXPECTED);
        let mut reading = Reading::with_capacity(self, now, at_first);
        let mut allowance = Allowance::new(options.max_bytes.unwrap_or(bytes));
        loop {
            let last = self.list_portion(options, after, limit, &mut allowance, &mut reading)?;
            if last.is_none() || reading.len() >= limit {
                return Ok(reading.finish());
            }
            after = last;
            // A long read does not fill memory with the pages it has read.
            self.release_read_pages();
        }
    }

    /// Reads the next messages behind `after`, up to so many that those passed over count too; returns the last of
    /// these, or `None` where the page ends.
    fn list_portion(
        &self,
        options: &MessageListOptions,
        after: Option<u64>,
        limit: usize,
        allowance: &mut Allowance,
        reading: &mut Reading,
    ) -> Result<Option<u64>> {
        let hidden = if options.echo { None } else { options.client.map(|client| *client.as_bytes()) };
        let shown =
            |page: &Page, index: usize| hidden.is_none() || page.slot(index).map(|slot| page.client(slot)) != hidden;
        let (claimed, delayed) = (options.include_claimed, options.include_delayed);
        let chosen = move |page: &Page| {
            let without = |include: bool, set: u128| if include { u128::MAX } else { !set };
            page.live() & without(claimed, page.claimed()) & without(delayed, page.delayed())
        };
        // Only the second way skips hidden messages by the index, and with them damaged pages.
        let places: Places<'_> = if claimed || delayed || self.has_damage() {
            Box::new(self.alive_after(after, chosen))
        } else {
            Box::new(self.claimable_after(after))
        };
        let (mut last, mut looked_at) = (None, 0_u64);
        for place in places.take(PORTION) {
            let (page, index) = place?;
            let bytes = page.slot(index).map_or(0, |slot| page.size(slot));
            if shown(page, index) {
                if !allowance.admits(bytes) {
                    return Ok(None);
                }
                reading.push(self, page, index);
            }
            last = Some(page.sequence(index));
            looked_at = looked_at.saturating_add(bytes as u64);
            if reading.len() >= limit || looked_at >= PORTION_BYTES {
                break;
            }
        }
        Ok(last)
    }
}

type Places<'a> = Box<dyn Iterator<Item = Result<(&'a Page, usize)>> + 'a>;

/// The most messages for which a listing makes room before it has found them.
const EXPECTED: usize = 128;
/// The number of messages that a listing visits before it evicts the pages it has read.
const PORTION: usize = 1024;
const PORTION_BYTES: u64 = 1 << 20;
