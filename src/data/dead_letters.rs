//! The dead-letter queue of a claim. Messages that were claimed too often move there in the claim's own operation.

use crate::model::error::Result;
use crate::model::numbering::first_of;
use crate::model::{Project, QueueName, Timestamp};
use crate::state::envelope::{Addressee, Envelope};
use crate::state::op::{DeadLetter, DeadLetters, NewClaim, NewQueue, Op};
use crate::state::{self, Page};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::Locked;

/// The destination of a queue's dead letters, in the same store.
pub(crate) struct DeadLetterQueue<'a> {
    pub(crate) place: Place<'a>,
    /// For an outbox: the destination, and the store that the dead letters are assigned to.
    pub(crate) onward: Option<(Addressee, Option<[u8; 16]>)>,
}

pub(crate) enum Place<'a> {
    There(Locked<'a>),
    /// The claim creates it, unless a queue of that name exists by then. Without a number it gets the next one.
    Missing {
        project: Project,
        name: QueueName,
        number: Option<u64>,
    },
}

impl DeadLetterQueue<'_> {
    /// Records a claim that moves messages here. `None` if the queue that it would create exists by now.
    pub(super) fn record(
        self,
        queue: &mut Locked<'_>,
        mut claim: NewClaim<'static>,
    ) -> Result<Option<(Op<'static>, u64)>> {
        let messages = self.letters(queue, &claim)?;
        match self.place {
            Place::There(mut target) => {
                let first = target.allot_here(claim.moved.len())?;
                claim.dead = Some(DeadLetters { target: target.number(), create: None, first, messages });
                let (op, store, now) = (Op::Claim(claim), queue.store(), queue.now());
                let lsn = store.record(Growth::Leases, now, &op, &mut [queue.state(), target.state()])?;
                Ok(Some((op, lsn)))
            }
            Place::Missing { project, name, number } => record_making(queue, &project, &name, number, claim, messages),
        }
    }

    /// The messages that the claim moves, as they arrive here.
    fn letters(&self, queue: &Locked<'_>, claim: &NewClaim<'_>) -> Result<Vec<DeadLetter<'static>>> {
        let new_ttl = queue.description().settings.dead_letter_ttl.filter(|ttl| *ttl > 0);
        let latest = Timestamp::MAX.as_millis();
        let letter = |(page, index): (&Page, usize)| {
            let slot = page.slot(index)?;
            Some(DeadLetter {
                created: slot.created,
                expires: new_ttl.map_or(slot.expires, |ttl| queue.now().saturating_add(ttl).min(latest)),
                ttl: new_ttl.unwrap_or(slot.ttl),
                claim_count: slot.claim_count,
                client: page.client(slot),
                checksum: page.checksum(slot),
                body: page.body(slot).to_vec().into(),
            })
        };
        let mut letters = Vec::with_capacity(claim.moved.len());
        for sequence in claim.moved.iter() {
            let Some(mut letter) = queue.locate(sequence)?.and_then(letter) else { continue };
            if let Some((to, assigned)) = &self.onward {
                let source = (queue.number(), sequence);
                Envelope { source, to: to.clone(), assigned: *assigned }.seal(&mut letter)?;
            }
            letters.push(letter);
        }
        Ok(letters)
    }
}

/// Records a claim that creates its dead-letter queue. `None` if the queue exists by now. The directory is locked only
/// for the insertion, after all pages have been read.
fn record_making(
    queue: &mut Locked<'_>,
    project: &Project,
    name: &QueueName,
    number: Option<u64>,
    mut claim: NewClaim<'static>,
    messages: Vec<DeadLetter<'static>>,
) -> Result<Option<(Op<'static>, u64)>> {
    let store = queue.store();
    let mut directory = store.directory.write();
    if directory.names.contains(&keys::queue(project, name)) {
        return Ok(None);
    }
    let new = match number {
        Some(number) => NewQueue::new(number, project, name, "{}"),
        None => directory.new_queue(store, project, name, "{}")?,
    };
    let mut target = state::Queue::from_new(&new, 0, &store.budget)?;
    let (target_number, first) = (new.number, first_of(store.epoch()));
    claim.dead = Some(DeadLetters { target: target_number, create: Some(new.into_owned()), first, messages });
    let (op, now) = (Op::Claim(claim), queue.now());
    let lsn = store.record(Growth::Leases, now, &op, &mut [queue.state(), &mut target])?;
    let totals = target.totals();
    let slot = directory.insert(target, &store.budget);
    drop(directory);
    store.adopt(&slot, totals);
    Ok(Some((op, lsn)))
}
