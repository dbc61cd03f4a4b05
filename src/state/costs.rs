//! The disk space that the reserve has to hold for operations, and for the state they produce.

use super::op::{Op, Step};
use super::queue::Totals;
use crate::storage::reserve::{RECORD_BYTES, ReserveDemand};

/// The bytes that an operation adds to the needed reserve, for queues whose key has `key_bytes` bytes.
pub(crate) fn price(op: &Op<'_>, frame_bytes: u64, key_bytes: u64) -> u64 {
    let messages = |count: usize, bytes: u64| {
        let pages = 2 + bytes / PAGE_BODIES + count as u64 / PAGE_MESSAGES;
        (count as u64).saturating_mul(REMOVAL_BYTES).saturating_add(pages.saturating_mul(ENTRY_BYTES + key_bytes))
    };
    let claim = |taken: usize| (CLAIM_BYTES + key_bytes).saturating_add((taken as u64).saturating_mul(CLAIMED_BYTES));
    let added = |steps: &[Step<'_>]| {
        steps.iter().fold(0, |sum: u64, step| match step {
            Step::Post { messages: posted, .. } => {
                let bytes = posted.iter().fold(0, |sum: u64, one| sum.saturating_add(one.size() as u64));
                sum.saturating_add(messages(posted.len(), bytes))
            }
            // The other steps add nothing.
            Step::Renew { .. } | Step::Release { .. } | Step::Delete { .. } => sum,
        })
    };
    match op {
        Op::Post { messages: posted, .. } => messages(posted.len(), frame_bytes),
        Op::Receive(received) => messages(received.messages.len(), frame_bytes),
        Op::Import(import) => messages(import.pages.len().saturating_mul(128), frame_bytes),
        Op::Claim(new) => {
            let moved = new.dead.as_ref().map_or(0, |dead| messages(dead.messages.len(), frame_bytes));
            claim(new.taken.len()).saturating_add(moved)
        }
        Op::SplitClaim(split) => claim(split.taken.len()),
        Op::Batch(steps) => added(steps),
        Op::Bookmark(changed) => {
            let bookmarks = changed.bookmarks.iter().map(|change| {
                let value = change.value.as_ref().map_or(0, |value| value.len());
                bookmark_bytes(change.key().len(), value).saturating_mul(2)
            });
            bookmarks.fold(added(&changed.steps), u64::saturating_add)
        }
        Op::RenewClaim { .. } | Op::ReleaseClaim { .. } | Op::Time => 0,
        _ => frame_bytes.saturating_add(RECORD_BYTES).saturating_mul(2),
    }
}

/// The record bytes of the queue that an operation creates.
pub(crate) fn made_by(op: &Op<'_>) -> u64 {
    let made = match op {
        Op::CreateQueue(new) | Op::Register { new, .. } => Some(new),
        Op::Claim(claim) => claim.dead.as_ref().and_then(|dead| dead.create.as_ref()),
        _ => None,
    };
    made.map_or(0, |new| {
        let project = new.project.as_ref().map_or(0, |project| project.len());
        queue_bytes(project.saturating_add(new.name.len()), new.metadata.len())
    })
}

/// The most bytes of a bookmark's record.
pub(crate) fn bookmark_bytes(key: usize, value: usize) -> u64 {
    // Version, time and length as integers.
    (key as u64).saturating_add(value as u64).saturating_add(RECORD_BYTES + 24)
}

/// The approximate bytes of a queue's record: its key and its metadata.
pub(crate) fn queue_bytes(key: usize, metadata: usize) -> u64 {
    (key as u64).saturating_add(metadata as u64).saturating_add(RECORD_BYTES)
}

/// The approximate bytes of the record that an archive's record of a queue is void.
pub(crate) fn void_bytes(key: u64) -> u64 {
    key.saturating_add(RECORD_BYTES)
}

/// The bytes of the reserve that a queue's messages and claims need: far less than 2^64.
pub(crate) fn reserve_demand(totals: Totals, key: &[u8]) -> ReserveDemand {
    // Every entry of a page or a claim begins with it.
    let key = key.len() as u64;
    let claims = totals.claims.wrapping_mul(CLAIM_BYTES / 2);
    let claimed = totals.claimed.wrapping_mul(CLAIMED_BYTES);
    ReserveDemand {
        removals: totals.total.wrapping_mul(REMOVAL_BYTES).wrapping_add(claims),
        entries: totals
            .pages
            .wrapping_mul(ENTRY_BYTES)
            .wrapping_add(claims)
            .wrapping_add(claimed)
            .wrapping_add(totals.total.wrapping_mul(PLACED_BYTES))
            .wrapping_add(totals.pages.wrapping_add(totals.claims).wrapping_mul(key)),
    }
}

/// The frame that deletes one message takes 62 B, one that pops it 67 B, and a segment's end may stay unused.
const REMOVAL_BYTES: u64 = 80;
/// A page's entry in a snapshot.
const ENTRY_BYTES: u64 = 240;
/// The bytes of a page's entry for each message, and for as many removed ones, if there are gaps.
const PLACED_BYTES: u64 = 4;
/// A claim's entry in a snapshot, and as much for its end.
const CLAIM_BYTES: u64 = 256;
/// The bytes of a claim's entry for each message that does not follow the one before.
const CLAIMED_BYTES: u64 = 16;
/// The bodies, and the messages, after which a new page begins.
const PAGE_BODIES: u64 = 8 << 10;
const PAGE_MESSAGES: u64 = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::disk::{Disk, SimulatedDisk};
    use crate::model::{ClaimOptions, ClientId, Metadata, NewMessage, Project};
    use crate::state::op::JournalEntry;
    use crate::storage::codec;
    use crate::storage::journal::frame::HEADER_BYTES;
    use crate::storage::reserve::LEAST_SNAPSHOT;
    use crate::{Config, Engine};

    fn frame_bytes(op: Op<'_>) -> u64 {
        let mut bytes = Vec::new();
        codec::encode_into(&JournalEntry { time: 253_402_300_799_999, op }, &mut bytes).unwrap();
        (bytes.len() + HEADER_BYTES) as u64
    }

    #[test]
    fn a_message_has_paid_for_its_own_removal_and_a_claim_for_its_end() {
        let delete = Op::Delete { queue: u64::MAX, messages: [u64::MAX - 1].into_iter().collect() };
        assert!(frame_bytes(delete) <= REMOVAL_BYTES * 9 / 10);
        let pop = Op::Pop { queue: u64::MAX, messages: [u64::MAX - 1].into_iter().collect(), lacks: u32::MAX };
        assert!(frame_bytes(pop) <= REMOVAL_BYTES * 9 / 10);
        let release = Op::ReleaseClaim { queue: u64::MAX, claim: [255; 16] };
        assert!(frame_bytes(release) + frame_bytes(Op::Time) <= CLAIM_BYTES / 2);
        let op = Op::DeleteQueue { queue: u64::MAX };
        assert!(frame_bytes(op) <= RECORD_BYTES);
    }

    fn store(disk: &SimulatedDisk) -> Engine {
        Config::new().disk(Arc::new(disk.clone())).background(false).segment_size(64 << 10).open("/store").unwrap()
    }

    #[test]
    fn a_snapshot_takes_no_more_than_was_estimated() {
        let disk = SimulatedDisk::new();
        let engine = store(&disk);
        for n in 0..60 {
            let queue = engine.queue(Project::none(), format!("a queue of some name {n}")).unwrap();
            queue.create(Metadata::new().with("key", "value".repeat(n)).unwrap()).unwrap();
            for bytes in [1, 300, 20_000] {
                let message = NewMessage::new(vec![7; bytes]).ttl(Duration::from_mins(1)).delay(Duration::ZERO);
                queue.post(ClientId::from_bytes([1; 16]), &vec![message; n]).unwrap();
            }
            // A page with gaps, whose entry says where they are.
            let small = NewMessage::new("x").ttl(Duration::from_mins(1));
            let posted = queue.post(ClientId::from_bytes([1; 16]), &vec![small; 60]).unwrap();
            let chosen = posted.into_iter().enumerate().filter(|(index, _)| index % 3 > 0);
            queue.bulk_delete(&chosen.map(|(_, id)| id).collect::<Vec<_>>()).unwrap();
            for limit in 1..4 {
                drop(queue.claim(ClaimOptions::new().limit(limit)).unwrap());
            }
            if n % 3 == 0 {
                queue.set_metadata(&Metadata::new().with("other", "value".repeat(2 * n)).unwrap()).unwrap();
            }
        }
        let estimated = engine.store().reserve.snapshot_bytes();
        engine.snapshot().unwrap();
        let snapshot =
            disk.list_all().into_iter().find(|path| path.extension().is_some_and(|end| end == "base")).unwrap();
        let takes = disk.size(&snapshot).unwrap();
        assert!(
            takes <= estimated + LEAST_SNAPSHOT && estimated < 3 * takes,
            "{takes} bytes, {estimated} were estimated"
        );
        let found = engine.store().reserve.snapshot_bytes();
        assert!(
            takes <= found + LEAST_SNAPSHOT && found <= estimated + LEAST_SNAPSHOT,
            "{takes} bytes, {found} of {estimated} afterwards"
        );
        // The same after another opening, also after a kill.
        let disk = disk.kill();
        drop(engine);
        let engine = store(&disk);
        let again = engine.store().reserve.snapshot_bytes();
        assert!(takes <= again + LEAST_SNAPSHOT && again <= 2 * estimated, "{takes} bytes, {again} after a kill");
    }
}
