//! The values that scenes use, and short forms of the answers.
#![allow(dead_code, unused_imports, unused_macros, reason = "each test binary uses what it needs")]

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    ClaimId, ClaimOptions, ClientId, ManualClock, Message, MessageId, MessageListOptions, Metadata, NewMessage,
    Project, QueueName, Timestamp,
};

/// Two clients that are not each other.
pub(crate) const ALICE: ClientId = ClientId::from_bytes([0xa1; 16]);
pub(crate) const BOB: ClientId = ClientId::from_bytes([0xb0; 16]);

/// The client of tests that need only one.
pub(crate) const CLIENT: ClientId = ClientId::from_bytes([7; 16]);

/// 2026-01-01T00:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

pub(crate) fn shop() -> Project {
    Project::named("shop").unwrap()
}

pub(crate) fn name_of(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

pub(crate) fn json(text: &str) -> Metadata {
    Metadata::from_json(text).unwrap()
}

/// A clock that is moved by hand.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000_000)))
}

pub(crate) const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn lasting(body: &str, ttl: u64) -> NewMessage {
    NewMessage::new(body).ttl(seconds(ttl))
}

/// A message with a delay of so many seconds and a ttl of an hour.
pub(crate) fn delayed(body: &str, delay: u64) -> NewMessage {
    lasting(body, 3600).delay(seconds(delay))
}

pub(crate) fn terms(ttl: u64, grace: u64, limit: usize) -> ClaimOptions {
    ClaimOptions::new().ttl(seconds(ttl)).grace(seconds(grace)).limit(limit)
}

/// The options of a complete listing. Without a client in them no message is left out as its own.
pub(crate) fn everything() -> MessageListOptions {
    MessageListOptions::new().limit(0).include_claimed(true).include_delayed(true)
}

pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| String::from_utf8(message.body().as_bytes().to_vec()).unwrap()).collect()
}

pub(crate) fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(Message::id).collect()
}

/// An id that names nothing: its queue number was never assigned.
pub(crate) fn no_message() -> MessageId {
    "00000000000000ff00000000000000ff".parse().unwrap()
}

/// The id of a claim that does not exist.
pub(crate) fn no_claim() -> ClaimId {
    "01234567-89ab-4def-8123-456789abcdef".parse().unwrap()
}

/// Asserts that a result is an error of that shape.
macro_rules! assert_fails {
    ($result:expr, $pattern:pat $(if $guard:expr)?) => {
        match $result {
            Err($pattern) $(if $guard)? => {}
            Err(other) => panic!("another error: {other:?}"),
            Ok(_) => panic!("it did not fail"),
        }
    };
}
pub(crate) use assert_fails;
