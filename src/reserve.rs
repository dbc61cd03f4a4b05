//! Room on the disk that is held back, and who may use it.
//!
//! One file, [`RESERVE`], holds room that nobody else can take; whoever may use it shortens the file and takes what has come
//! free. How long it has to be follows from what is stored: every message, claim and record has paid for its own removal
//! by the time it is stored, and beside that there is room for a snapshot of the directory, and for opening the store.
//!
//! | Need | Goes on while as much is held as | May shorten the file to |
//! |---|---|---|
//! | [`Grow`](Need::Grow): posts, creates | the next row, room for leases, and pages not yet written out | – |
//! | [`Lease`](Need::Lease): claims, renewals, releases | opening, removals, a snapshot | – |
//! | [`Pages`](Need::Pages): those a snapshot needs | – | opening, removals, a snapshot |
//! | [`Snapshot`](Need::Snapshot), manifest | – | opening, removals |
//! | [`Free`](Need::Free): whatever takes away | – | opening, a small snapshot |
//! | [`Open`](Need::Open) | – | nothing |
//!
//! 1. What adds to the store is refused before anything is written unless its row is held with what it adds.
//! 2. So whatever was accepted can be taken away one by one; and once it has been, a snapshot fits, which gives the room of
//!    journal and page files back.
//!
//! Cost: a few loads a change; one allocation for every quarter the store grows by.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::budget::Budget;
use crate::disk::{Disk, DiskFile};
use crate::error::{Error, Result};
use crate::lock::{Mutex, Rank};
use crate::op::Op;
use crate::state::Totals;

/// The file that holds room back, in the store's directory.
pub(crate) const RESERVE: &str = "RESERVE";

/// What room is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Grow,
    Lease,
    Pages,
    Snapshot,
    Free,
    Open,
}

#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    segment_bytes: u64,
    /// The file, once there is one; who changes its length holds this.
    file: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Its length.
    held: AtomicU64,
    /// Set while less is held than is wanted, since the disk is full.
    short: AtomicBool,
    budget: Arc<Budget>,
    /// What it takes to remove all messages and claims, one by one.
    removals: AtomicU64,
    /// What the entries of pages and claims take in a snapshot.
    entries: AtomicU64,
    /// What the records of queues and of the registry take in a snapshot, and at most to remove.
    records: AtomicU64,
}

impl Reserve {
    /// The reserve of the store in `root`, as a former run has left it. Nothing is written.
    pub(crate) fn open(disk: &Arc<dyn Disk>, root: &Path, segment_bytes: u64, budget: &Arc<Budget>) -> Self {
        let path = root.join(RESERVE);
        // Without it room is taken from what is free.
        let file = disk.open(&path).ok();
        let held = file.as_ref().and_then(|file| file.len().ok()).unwrap_or(0);
        // Memory has no room that could be held back.
        let held = if disk.is_durable() { held } else { u64::MAX };
        Self {
            disk: disk.clone(),
            path,
            segment_bytes,
            file: Mutex::new(Rank::Reserve, file),
            held: AtomicU64::new(held),
            short: AtomicBool::new(false),
            budget: budget.clone(),
            removals: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            records: AtomicU64::new(0),
        }
    }

    /// Takes a change of what a queue holds into the account.
    pub(crate) fn count(&self, before: Totals, after: Totals) {
        // Wrapping: the difference is right whichever is larger.
        let removals = removal_of(after).wrapping_sub(removal_of(before));
        let entries = entries_of(after).wrapping_sub(entries_of(before));
        for (sum, change) in [(&self.removals, removals), (&self.entries, entries)] {
            // Most changes leave one of the two as it is, and then nobody waits for its cache line.
            if change != 0 {
                sum.fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// Records of so many bytes were stored.
    pub(crate) fn add_records(&self, bytes: u64) {
        if bytes > 0 {
            self.records.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// What was stored in records of `before` bytes takes `after` now.
    pub(crate) fn change_records(&self, before: u64, after: u64) {
        let changed = |records: u64| Some(records.saturating_add(after).saturating_sub(before));
        let _ = self.records.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed);
    }

    /// The registry had `before` rows, and has `after` since a change of so many bytes.
    pub(crate) fn count_rows(&self, before: u64, after: u64, bytes: u64) {
        let row = |count: u64| count.saturating_mul(RECORD_BYTES);
        if after > before {
            self.add_records(row(after - before).saturating_add(bytes));
        } else {
            self.change_records(row(before - after), 0);
        }
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// What a snapshot of the directory takes, about.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.entries.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// What it takes to remove everything one by one.
    pub(crate) fn removal_bytes(&self) -> u64 {
        self.removals.load(Ordering::Relaxed).saturating_add(self.records())
    }

    /// Bytes held back.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether less is held than is wanted, since the disk is full.
    pub(crate) fn is_short(&self) -> bool {
        self.short.load(Ordering::Acquire)
    }

    /// What is to be left to the tiers below.
    fn floor(&self, need: Need) -> u64 {
        let removals = OPENING.saturating_add(self.removal_bytes());
        let lease = removals.saturating_add(self.snapshot_bytes()).saturating_add(LEAST_SNAPSHOT);
        match need {
            Need::Open => 0,
            Need::Free => OPENING + LEAST_SNAPSHOT,
            Need::Snapshot => removals,
            Need::Pages | Need::Lease => lease,
            Need::Grow => {
                let pages = self.budget.used().min(self.segment_bytes);
                let leases = (self.segment_bytes / 4).clamp(LEASES, MOST_LEASES);
                lease.saturating_add(leases).saturating_add(pages)
            }
        }
    }

    /// Sees to it that everything above `need` is held when `bytes` more are stored.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no room for it.
    pub(crate) fn require(&self, need: Need, bytes: u64) -> Result<()> {
        let wanted = self.floor(need).saturating_add(bytes);
        if self.held() >= wanted {
            return Ok(());
        }
        // Ahead of what is wanted, so that this is seldom asked for.
        let grown = self
            .grow(wanted.saturating_add(self.ahead(wanted)))
            .or_else(|error| if error.is_full() { self.grow(wanted) } else { Err(error) });
        self.short.store(grown.as_ref().is_err_and(Error::is_full), Ordering::Release);
        grown
    }

    /// Holds what is wanted now, as far as the disk has room, and no more than that.
    pub(crate) fn hold(&self) {
        // What cannot be had is asked for again by whoever needs it.
        let held = self.require(Need::Grow, 0);
        let wanted = self.floor(Need::Grow);
        let ample = wanted.saturating_add(self.ahead(wanted));
        if held.is_ok() && self.held() / 2 > ample && self.held() < u64::MAX {
            self.shorten(ample);
        }
    }

    fn ahead(&self, wanted: u64) -> u64 {
        (wanted / 4).clamp((self.segment_bytes / 4).min(LEAST_AHEAD), MOST_AHEAD)
    }

    fn grow(&self, to: u64) -> Result<()> {
        let mut file = self.file.lock();
        if self.held() >= to {
            return Ok(());
        }
        let there = match &*file {
            Some(there) => there.clone(),
            None => self.disk.create(&self.path).map_err(|cause| Error::io("holding room back", cause))?,
        };
        *file = Some(there.clone());
        if let Err(cause) = there.allocate(to) {
            // A part of it may have been had.
            let _ = there.set_len(self.held());
            return Err(Error::io("holding room back", cause));
        }
        self.held.store(to, Ordering::Relaxed);
        Ok(())
    }

    fn shorten(&self, to: u64) -> bool {
        let file = self.file.lock();
        let shorter = file.as_ref().is_some_and(|file| self.held() > to && file.set_len(to).is_ok());
        if shorter {
            self.held.store(to, Ordering::Relaxed);
        }
        shorter
    }

    /// Lets at least `bytes` come free for `need`; false when that would be more than it may use.
    fn release(&self, need: Need, bytes: u64) -> bool {
        let floor = self.floor(need);
        let bytes = bytes.next_multiple_of(BLOCK).saturating_add(BLOCK);
        let left = self.held().saturating_sub(bytes).max(floor);
        self.held() > left && self.shorten(left)
    }

    /// What `need` may use of what is held.
    pub(crate) fn usable(&self, need: Need) -> u64 {
        self.held().saturating_sub(self.floor(need))
    }

    /// Does `work`, which takes about `bytes` of room; where the disk has none, with what is held back for `need`.
    pub(crate) fn spend<T>(&self, need: Need, bytes: u64, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut done = work();
        for _ in 0..TRIES {
            if !done.as_ref().is_err_and(Error::is_full) || !self.release(need, bytes) {
                break;
            }
            self.short.store(true, Ordering::Release);
            done = work();
        }
        done
    }
}

/// What an operation adds to what has to be held.
pub(crate) fn price(op: &Op<'_>, frame_bytes: u64) -> u64 {
    let messages = |count: usize| {
        let pages = 2 + frame_bytes / PAGE_BODIES + count as u64 / PAGE_MESSAGES;
        (count as u64).saturating_mul(REMOVAL_BYTES).saturating_add(pages.saturating_mul(ENTRY_BYTES))
    };
    let claim = |taken: usize| CLAIM_BYTES.saturating_add((taken as u64).saturating_mul(CLAIMED_BYTES));
    match op {
        Op::Post { messages: posted, .. } => messages(posted.len()),
        Op::Receive(received) => messages(received.letters.len()),
        Op::Import(import) => messages(import.pages.len().saturating_mul(128)),
        Op::Claim(new) => {
            let letters = new.dead.as_ref().map_or(0, |dead| messages(dead.messages.len()));
            claim(new.taken.len()).saturating_add(letters)
        }
        Op::RenewClaim { .. } | Op::ReleaseClaim { .. } | Op::Time => 0,
        _ => frame_bytes.saturating_add(RECORD_BYTES).saturating_mul(2),
    }
}

/// The queue that an operation makes, as a record.
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

/// A queue's record: its key, about, and its metadata.
pub(crate) fn queue_bytes(key: usize, metadata: usize) -> u64 {
    (key as u64).saturating_add(metadata as u64).saturating_add(RECORD_BYTES)
}

fn removal_of(totals: Totals) -> u64 {
    totals.total.saturating_mul(REMOVAL_BYTES).saturating_add(totals.claims.saturating_mul(CLAIM_BYTES / 2))
}

fn entries_of(totals: Totals) -> u64 {
    let claims = totals.claims.saturating_mul(CLAIM_BYTES / 2);
    let claimed = totals.claimed.saturating_mul(CLAIMED_BYTES);
    totals.pages.saturating_mul(ENTRY_BYTES).saturating_add(claims).saturating_add(claimed)
}

/// The frame that deletes one message takes 62 B, and a segment's end may stay unused.
const REMOVAL_BYTES: u64 = 80;
/// A page's entry in a snapshot.
const ENTRY_BYTES: u64 = 224;
/// A claim's entry in a snapshot, and as much for its end.
const CLAIM_BYTES: u64 = 256;
/// What a claim's entry takes for each of its messages that does not follow the one before.
const CLAIMED_BYTES: u64 = 16;
/// What surrounds a record.
pub(crate) const RECORD_BYTES: u64 = 128;
/// What makes a new page.
const PAGE_BODIES: u64 = 8 << 10;
const PAGE_MESSAGES: u64 = 64;

/// Two openings: the first segment of a run, twice, and the manifest.
const OPENING: u64 = 40 << 10;
/// A snapshot of a store in which next to nothing is left.
const LEAST_SNAPSHOT: u64 = 16 << 10;
/// What claims may still add when posts are refused: a quarter of a segment, within these.
const LEASES: u64 = 8 << 10;
const MOST_LEASES: u64 = 1 << 20;
/// As much is held beyond what is wanted, at least, unless segments are small, and at most.
const LEAST_AHEAD: u64 = 256 << 10;
const MOST_AHEAD: u64 = 4 << 20;
/// What file systems give room out in.
const BLOCK: u64 = 4 << 10;
/// How often room that was let go of is tried for, before somebody else has got it.
const TRIES: u32 = 8;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::codec;
    use crate::disk::SimulatedDisk;
    use crate::journal::frame::HEADER_BYTES;
    use crate::model::{ClaimOptions, ClientId, Metadata, NewMessage, Project};
    use crate::op::Entry;
    use crate::{Config, Engine};

    fn frame_bytes(op: Op<'_>) -> u64 {
        let mut bytes = Vec::new();
        codec::encode_into(&Entry { time: 253_402_300_799_999, op }, &mut bytes).unwrap();
        (bytes.len() + HEADER_BYTES) as u64
    }

    #[test]
    fn a_message_has_paid_for_its_own_removal_and_a_claim_for_its_end() {
        let delete = Op::Delete { queue: u64::MAX, messages: [u64::MAX - 1].into_iter().collect() };
        assert!(frame_bytes(delete) <= REMOVAL_BYTES * 9 / 10);
        let release = Op::ReleaseClaim { queue: u64::MAX, claim: [255; 16] };
        assert!(frame_bytes(release) + frame_bytes(Op::Time) <= CLAIM_BYTES / 2);
        let op = Op::DeleteQueue { queue: u64::MAX };
        assert!(frame_bytes(op) <= RECORD_BYTES);
    }

    fn store(disk: &SimulatedDisk) -> Engine {
        Config::new().disk(Arc::new(disk.clone())).background(false).segment_size(64 << 10).open("/store").unwrap()
    }

    #[test]
    fn a_snapshot_takes_no_more_than_was_thought() {
        let disk = SimulatedDisk::new();
        let engine = store(&disk);
        for n in 0..60 {
            let queue = engine.queue(Project::none(), format!("a queue of some name {n}")).unwrap();
            queue.create(Metadata::new().with("key", "value".repeat(n)).unwrap()).unwrap();
            for bytes in [1, 300, 20_000] {
                let message = NewMessage::new(vec![7; bytes]).ttl(Duration::from_mins(1)).delay(Duration::ZERO);
                queue.post(ClientId::from_bytes([1; 16]), &vec![message; n]).unwrap();
            }
            for limit in 1..4 {
                drop(queue.claim(ClaimOptions::new().limit(limit)).unwrap());
            }
            if n % 3 == 0 {
                queue.set_metadata(&Metadata::new().with("other", "value".repeat(2 * n)).unwrap()).unwrap();
            }
        }
        let thought = engine.store().reserve.snapshot_bytes();
        engine.base().unwrap();
        let base = disk.list_all().into_iter().find(|path| path.extension().is_some_and(|end| end == "base")).unwrap();
        let takes = disk.size(&base).unwrap();
        assert!(takes <= thought + LEAST_SNAPSHOT && thought < 3 * takes, "{takes} bytes, {thought} were thought");
        let found = engine.store().reserve.snapshot_bytes();
        assert!(
            takes <= found + LEAST_SNAPSHOT && found <= thought + LEAST_SNAPSHOT,
            "{takes} bytes, {found} of {thought} afterwards"
        );
        // And the same when it is opened again, however it was left.
        let disk = disk.kill();
        drop(engine);
        let engine = store(&disk);
        let again = engine.store().reserve.snapshot_bytes();
        assert!(takes <= again + LEAST_SNAPSHOT && again <= 2 * thought, "{takes} bytes, {again} after a kill");
    }

    #[test]
    fn what_needs_more_than_is_held_is_refused_and_what_is_held_can_be_spent() {
        let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new());
        let reserve = Reserve::open(&disk, Path::new("/"), 4 << 10, &Budget::unlimited());
        reserve.require(Need::Grow, 1_000).unwrap();
        let held = reserve.held();
        assert_eq!(disk.size(Path::new("/RESERVE")).unwrap(), held);
        let mut tries = 0;
        let spent = reserve.spend(Need::Open, 5_000, || {
            tries += 1;
            if tries > 3 { Ok(()) } else { Err(Error::io("full", std::io::ErrorKind::StorageFull.into())) }
        });
        assert!(spent.is_ok() && reserve.is_short());
        assert_eq!(reserve.held(), disk.size(Path::new("/RESERVE")).unwrap());
        assert_eq!(reserve.held(), held - 3 * 12 * 1024);
        let refused = reserve.spend(Need::Snapshot, 1_000, || -> Result<()> {
            Err(Error::io("full", std::io::ErrorKind::StorageFull.into()))
        });
        assert!(refused.unwrap_err().is_full());
        assert!(reserve.held() >= OPENING.min(held - 3 * 12 * 1024));
        reserve.hold();
        assert!(reserve.held() >= held - 2_000 && !reserve.is_short());
    }
}
