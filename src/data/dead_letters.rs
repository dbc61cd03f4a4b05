//! Moving messages to another queue: to the dead-letter queue of a claim, in the claim's own operation, or back.

use crate::model::error::Result;
use crate::model::numbering::first_of;
use crate::model::{DeadLetterOrigin, MessageId, Project, QueueName, Timestamp};
use crate::state::op::{DeadLetter, DeadLetters, NewClaim, NewQueue, Op};
use crate::state::outbox_header::{Destination, OutboxHeader};
use crate::state::{self, envelope};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Locked, Place};

/// The queue that gets the messages in the store of their source: the dead-letter queue, or the outbox.
pub(crate) struct DeadLetterQueue<'a> {
    pub(crate) target: TargetQueue<'a>,
    /// If the target is an outbox: the dead letters' destination, and the store that they are assigned to.
    pub(crate) destination: Option<(Destination, Option<[u8; 16]>)>,
}

pub(crate) enum TargetQueue<'a> {
    Present(Locked<'a>),
    /// The claim creates it, unless another call has created it. Without a number it gets the next one.
    Missing {
        project: Project,
        name: QueueName,
        number: Option<u64>,
    },
}

/// What becomes of a message that moves, by its sequence and the time of the move.
pub(super) type Change<'a> = dyn Fn(u64, DeadLetter<'static>, u64) -> Result<DeadLetter<'static>> + 'a;

impl DeadLetterQueue<'_> {
    /// Records a claim that moves messages here, each as `change` returns it for its sequence and the present time. `None`
    /// if another call has created the missing target.
    pub(super) fn record(
        self,
        queue: &mut Locked<'_>,
        mut claim: NewClaim<'static>,
        growth: Growth,
        change: &Change<'_>,
    ) -> Result<Option<(Op<'static>, u64)>> {
        let messages = self.changed(queue, &claim, change)?;
        match self.target {
            TargetQueue::Present(mut target) => {
                let first = target.allot_here(claim.moved.len())?;
                claim.dead = Some(DeadLetters { target: target.number(), create: None, first, messages });
                let (op, store, now) = (Op::Claim(claim), queue.store(), queue.now());
                let lsn = store.record(growth, now, &op, &mut [queue.state(), target.state()])?;
                Ok(Some((op, lsn)))
            }
            TargetQueue::Missing { project, name, number } => {
                record_with_new_target(queue, (&project, &name, number), claim, messages, growth)
            }
        }
    }

    /// The messages that the claim moves, as they arrive here.
    fn changed(
        &self,
        queue: &Locked<'_>,
        claim: &NewClaim<'_>,
        change: &Change<'_>,
    ) -> Result<Vec<DeadLetter<'static>>> {
        let mut dead_letters = Vec::with_capacity(claim.moved.len());
        for sequence in claim.moved.iter() {
            let copied = queue.locate(sequence)?.and_then(|(page, index)| DeadLetter::copied(page, index));
            let Some(message) = copied else { continue };
            let mut dead_letter = change(sequence, message, queue.now())?;
            if let Some((destination, assigned)) = &self.destination {
                let source = (queue.number(), sequence);
                OutboxHeader { source, destination: destination.clone(), assigned: *assigned }
                    .prepend_to(&mut dead_letter)?;
            }
            dead_letters.push(dead_letter);
        }
        Ok(dead_letters)
    }
}

/// A message as it arrives in the dead-letter queue: with its origin, and with the time to live that its queue gives to
/// dead letters.
pub(super) fn buried(
    name: &QueueName,
    id: MessageId,
    message: DeadLetter<'static>,
    new_ttl: Option<u64>,
    now: u64,
) -> Result<DeadLetter<'static>> {
    let headers = envelope::decode(&message.envelope).unwrap_or_default().headers;
    let origin = DeadLetterOrigin {
        queue: name.clone(),
        id,
        claim_count: message.claim_count,
        reason: message.failure.as_deref().map(str::to_owned),
        moved: Timestamp::from_millis(now),
        ttl: message.ttl,
    };
    let latest = Timestamp::MAX.as_millis();
    Ok(DeadLetter {
        expires: new_ttl.map_or(message.expires, |ttl| now.saturating_add(ttl).min(latest)),
        ttl: new_ttl.unwrap_or(message.ttl),
        envelope: envelope::encode(&headers, Some(&origin))?.into(),
        ..message
    })
}

/// Records a claim that creates its target. `None` if another call has created the queue. The directory is locked only
/// for the insertion, after all pages have been read.
fn record_with_new_target(
    queue: &mut Locked<'_>,
    (project, name, number): (&Project, &QueueName, Option<u64>),
    mut claim: NewClaim<'static>,
    messages: Vec<DeadLetter<'static>>,
    growth: Growth,
) -> Result<Option<(Op<'static>, u64)>> {
    let store = queue.store();
    let Place::Free(mut directory) = store.lock_place(&keys::queue(project, name))? else { return Ok(None) };
    let new = match number {
        Some(number) => NewQueue::new(number, project, name, "{}"),
        None => directory.new_queue(store, project, name, "{}")?,
    };
    let mut target = state::Queue::from_new(&new, 0, &store.budget)?;
    let (target_number, first) = (new.number, first_of(store.incarnation()));
    claim.dead = Some(DeadLetters { target: target_number, create: Some(new.into_owned()), first, messages });
    let (op, now) = (Op::Claim(claim), queue.now());
    let lsn = store.record(growth, now, &op, &mut [queue.state(), &mut target])?;
    let totals = target.totals();
    let due = target.next_due();
    let slot = directory.insert(target, &store.budget);
    store.join_new(&slot, totals, due);
    drop(directory);
    store.adopt(&slot, totals);
    Ok(Some((op, lsn)))
}
