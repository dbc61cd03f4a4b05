//! The byte form of a message's envelope, which is stored before its body. An empty envelope has no bytes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::model::error::Result;
use crate::model::{DeadLetterOrigin, Envelope, Headers, MessageId, QueueName, Timestamp};
use crate::storage::codec;

#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    headers: Cow<'a, Headers>,
    origin: Option<StoredOrigin<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredOrigin<'a> {
    queue: Cow<'a, str>,
    id: MessageId,
    claim_count: u32,
    reason: Option<Cow<'a, str>>,
    /// In engine milliseconds, as the ttl.
    moved: u64,
    ttl: u64,
}

/// The bytes of an envelope.
pub(crate) fn encode(headers: &Headers, origin: Option<&DeadLetterOrigin>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if headers.is_empty() && origin.is_none() {
        return Ok(bytes);
    }
    let origin = origin.map(|origin| StoredOrigin {
        queue: origin.queue.as_str().into(),
        id: origin.id,
        claim_count: origin.claim_count,
        reason: origin.reason.as_deref().map(Into::into),
        moved: origin.moved.as_millis(),
        ttl: origin.ttl,
    });
    codec::encode_into(&Stored { headers: Cow::Borrowed(headers), origin }, &mut bytes)?;
    Ok(bytes)
}

/// The envelope with these bytes; the error says what is inconsistent.
pub(crate) fn decode(bytes: &[u8]) -> Result<Envelope, String> {
    if bytes.is_empty() {
        return Ok(Envelope::EMPTY);
    }
    let Stored { headers, origin } = codec::decode(bytes)?;
    let origin = origin.map(StoredOrigin::restore).transpose()?;
    Ok(Envelope { headers: headers.into_owned(), origin })
}

impl StoredOrigin<'_> {
    fn restore(self) -> Result<DeadLetterOrigin, String> {
        Ok(DeadLetterOrigin {
            queue: QueueName::new(&*self.queue).map_err(|error| error.to_string())?,
            id: self.id,
            claim_count: self.claim_count,
            reason: self.reason.map(Cow::into_owned),
            moved: Timestamp::from_millis(self.moved),
            ttl: self.ttl,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_and_every_envelope_comes_back() {
        let headers = Headers::new().with("a", "b");
        let origin = DeadLetterOrigin {
            queue: QueueName::new("q").unwrap(),
            id: MessageId::new(5, 7),
            claim_count: 2,
            reason: Some("r".into()),
            moved: Timestamp::from_millis(9),
            ttl: 60,
        };
        for (headers, origin, bytes) in [
            (Headers::new(), None, ""),
            (headers.clone(), None, "010161016200"),
            (Headers::new(), Some(origin.clone()), "000101710507020101 72093c"),
            (headers, Some(origin), "0101610162010171050702010172 093c"),
        ] {
            let encoded = encode(&headers, origin.as_ref()).unwrap();
            assert_eq!(codec::hex(&encoded), bytes.replace(' ', ""));
            assert_eq!(decode(&encoded), Ok(Envelope { headers, origin }));
            for cut in 1..encoded.len() {
                assert!(decode(&encoded[..cut]).is_err(), "cut at {cut}");
            }
        }
    }
}
