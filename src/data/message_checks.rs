//! The checks of messages that are posted or deleted, alone and in batches.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::error::{Error, Result};
use crate::model::limits::check_times;
use crate::model::time::millis;
use crate::model::{ClaimId, MessageId, NewMessage, Project, QueueName, Timestamp, Ttl};
use crate::state::op::Posted;
use crate::state::{self, Hold, envelope};
use crate::store::Locked;

/// The messages as an operation has them.
pub(super) fn all_posted(messages: &[NewMessage], checksums: bool) -> Result<Vec<Posted<'_>>> {
    let mut all = Vec::with_capacity(messages.len());
    for message in messages {
        all.push(posted(message, checksums)?);
    }
    Ok(all)
}

fn posted(message: &NewMessage, checksums: bool) -> Result<Posted<'_>> {
    let headers = &message.headers;
    let envelope = if headers.is_empty() { Cow::Borrowed(&[][..]) } else { envelope::encode(headers, None)?.into() };
    Ok(Posted {
        ttl: message.ttl.map_or(0, Ttl::as_millis),
        delay: millis(message.delay.unwrap_or_default()),
        checksum: if checksums { message.checksum().map(|checksum| checksum.0) } else { None },
        envelope,
        body: message.body().as_bytes().into(),
    })
}

pub(super) fn check_message_times(now: Timestamp, messages: &[NewMessage]) -> Result<()> {
    for message in messages {
        check_times(now, "ttl", &[message.limited_ttl()])?;
        check_times(now, "delay", &[message.delay.unwrap_or_default()])?;
    }
    Ok(())
}

/// Why a message may not be deleted.
pub(super) enum Refusal {
    Claimed,
    NotClaimed,
    ClaimedByOther(ClaimId),
    NoSuchClaim(ClaimId),
    OtherClaims(ClaimId),
}

impl Refusal {
    pub(super) fn error(self, project: &Project, queue: &QueueName, id: MessageId) -> Error {
        let (project, queue) = (project.clone(), queue.clone());
        match self {
            Self::Claimed => Error::MessageIsClaimed { id },
            Self::NotClaimed => Error::MessageNotClaimed { id },
            Self::ClaimedByOther(claim) => Error::MessageNotClaimedBy { id, claim },
            Self::NoSuchClaim(id) => Error::ClaimDoesNotExist { project, queue, id },
            Self::OtherClaims(claim) => Error::ClaimDoesNotMatch { project, queue, id, claim },
        }
    }
}

/// Whether the message may be deleted by `claim`, or without one (contract 6.6, in its order). The claims numbered `ended`
/// count as ended.
pub(super) fn check_claim(
    queue: &Locked<'_>,
    page: &state::Page,
    index: usize,
    claim: Option<&ClaimId>,
    ended: &BTreeSet<u64>,
) -> Result<(), Refusal> {
    let claimed = page.holder(index).is_some_and(|number| !ended.contains(&number));
    let Some(claim) = claim else {
        return if claimed { Err(Refusal::Claimed) } else { Ok(()) };
    };
    if claim.is_nil() {
        return Err(Refusal::NoSuchClaim(*claim));
    }
    if !claimed {
        return Err(Refusal::NotClaimed);
    }
    match queue.claims().number(claim.as_bytes()).filter(|number| !ended.contains(number)) {
        Some(number) if page.held_by(index, number) => Ok(()),
        Some(_) => Err(Refusal::ClaimedByOther(*claim)),
        None => Err(Refusal::NoSuchClaim(*claim)),
    }
}

/// Whether the message is under one of the claims numbered `holders` (contract 6.7).
pub(super) fn check_claims(
    queue: &Locked<'_>,
    page: &state::Page,
    index: usize,
    holders: &[u64],
) -> Result<(), Refusal> {
    if page.hold(index) != Hold::Claimed {
        return Err(Refusal::NotClaimed);
    }
    if holders.iter().any(|number| page.held_by(index, *number)) {
        return Ok(());
    }
    let holder = page.holder(index).and_then(|number| queue.claims().get(number));
    Err(holder.map_or(Refusal::NotClaimed, |claim| Refusal::OtherClaims(ClaimId::from_bytes(claim.id))))
}
