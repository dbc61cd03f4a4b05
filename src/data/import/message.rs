//! A message of an export, checked.

use crate::data::export::line::{MessageLine, OriginLine, hex};
use crate::model::error::{Error, Result};
use crate::model::retry::REASON_BYTES;
use crate::model::ttl::FOREVER;
use crate::model::{Checksum, DeadLetterOrigin, Limits, QueueName, Timestamp};
use crate::state::envelope;
use crate::state::page_content::IncomingMessage;

/// The parts of a message that are not in its line as they are stored.
pub(super) struct Decoded<'a> {
    body: std::borrow::Cow<'a, [u8]>,
    envelope: Vec<u8>,
}

impl<'a> Decoded<'a> {
    /// Checks everything about a message but its id and its claim.
    pub(super) fn of(line: &'a MessageLine<'_>, limits: &Limits) -> Result<Self> {
        let body = line.body.bytes().map_err(|reason| Error::invalid("body", reason))?;
        limits.check_imported(body.len(), &line.headers)?;
        if line.md5.as_ref().is_some_and(|md5| *md5 != hex(Checksum::of(&body).0)) {
            return Err(Error::invalid("md5", "it is not that of the body"));
        }
        check_times(line)?;
        check_claims(line)?;
        let origin = line.origin.as_ref().map(origin).transpose()?;
        Ok(Self { body, envelope: envelope::encode(&line.headers, origin.as_ref())? })
    }

    /// The message as it is stored.
    pub(super) fn message(&'a self, line: &'a MessageLine<'_>) -> IncomingMessage<'a> {
        let claimed = (line.first_claimed.unwrap_or(0), line.last_claimed.unwrap_or(0));
        IncomingMessage {
            created: line.created,
            expires: line.expires.unwrap_or(FOREVER),
            ttl: line.ttl.unwrap_or(FOREVER),
            ready_at: line.delayed_until.unwrap_or(0),
            claim_count: line.claim_count,
            claimed,
            failure: line.last_failure.as_deref(),
            client: *line.client.as_bytes(),
            // It was compared.
            checksum: line.md5.as_ref().map(|_| Checksum::of(&self.body).0),
            envelope: &self.envelope,
            body: &self.body,
        }
    }
}

fn check_times(line: &MessageLine<'_>) -> Result<()> {
    let times = [Some(line.created), line.ttl, line.expires, line.delayed_until, line.first_claimed, line.last_claimed];
    check_instants(&times)?;
    if line.ttl.is_some() != line.expires.is_some() {
        return Err(Error::invalid("expires", "a message that has a ttl has an end, and no other has"));
    }
    if line.delayed_until.is_some_and(|end| end <= line.created) {
        return Err(Error::invalid("delayed_until", "it is not after the message's creation"));
    }
    Ok(())
}

fn check_claims(line: &MessageLine<'_>) -> Result<()> {
    let was_claimed = line.claim_count > 0;
    if [line.first_claimed.is_some(), line.last_claimed.is_some()] != [was_claimed; 2] {
        return Err(Error::invalid("first_claimed", "a message that was claimed has both times, and no other has one"));
    }
    if line.first_claimed > line.last_claimed {
        return Err(Error::invalid("last_claimed", "the times of the claims are not in their order"));
    }
    if !was_claimed && (line.claim.is_some() || line.last_failure.is_some()) {
        return Err(Error::invalid("claim_count", "the message was never claimed"));
    }
    if line.claim.is_some() && line.delayed_until.is_some() {
        return Err(Error::invalid("delayed_until", "a message under a claim is not delayed"));
    }
    match &line.last_failure {
        Some(reason) if reason.len() > REASON_BYTES => {
            Err(Error::TooLarge { what: "reason bytes", size: reason.len() as u64, limit: REASON_BYTES as u64 })
        }
        _ => Ok(()),
    }
}

fn origin(line: &OriginLine<'_>) -> Result<DeadLetterOrigin> {
    check_instants(&[Some(line.moved), line.ttl])?;
    Ok(DeadLetterOrigin {
        queue: QueueName::new(&line.queue)?,
        id: line.id,
        claim_count: line.claim_count,
        reason: line.reason.as_ref().map(|reason| reason.clone().into_owned()),
        moved: Timestamp::from_millis(line.moved),
        ttl: line.ttl.unwrap_or(FOREVER),
    })
}

/// Checks that none of the times is after the last one that there is.
pub(super) fn check_instants(times: &[Option<u64>]) -> Result<()> {
    match times.iter().flatten().find(|time| **time > Timestamp::MAX.as_millis()) {
        Some(_) => Err(Error::invalid("time", "is after the year 9999")),
        None => Ok(()),
    }
}
