//! The rows of the queue.
//!
//! | Table | Key | Value |
//! |---|---|---|
//! | queues | name | number of the queue, 4 bytes |
//! | messages | number of the queue, 4 bytes; of the message, 8 | instant of its expiry, 8; body |
//! | claims | the message's | number of the claim, 8; instant when the lease ends, 8 |
//! | expiries | instant of the expiry, 8; the message's key, 12 | none |
//!
//! A claim's row is apart from the message's, so that a claim does not write bodies. Numbers are big-endian, so that keys
//! have the order of the numbers; instants are milliseconds since 1970.

use std::fmt;

use crate::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    Queues,
    Messages,
    Claims,
    Expiries,
}

impl Table {
    pub(crate) const ALL: [Self; 4] = [Self::Queues, Self::Messages, Self::Claims, Self::Expiries];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queues => "queues",
            Self::Messages => "messages",
            Self::Claims => "claims",
            Self::Expiries => "expiries",
        }
    }
}

/// A key, in place: a batch of ten messages has thirty keys.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    bytes: [u8; Self::MOST],
    length: usize,
}

impl Key {
    /// Bytes of the longest key.
    const MOST: usize = 32;

    pub(crate) fn queue(name: &str) -> Result<Self> {
        if name.len() > Self::MOST {
            return Err(format!("the queue's name {name} is longer than {} bytes", Self::MOST).into());
        }
        Ok(Self::of(&[name.as_bytes()]))
    }

    /// Of a message and of its claim.
    pub(crate) fn message(queue: u32, message: u64) -> Self {
        Self::of(&[&queue.to_be_bytes(), &message.to_be_bytes()])
    }

    pub(crate) fn expiry(at: u64, queue: u32, message: u64) -> Self {
        Self::of(&[&at.to_be_bytes(), &queue.to_be_bytes(), &message.to_be_bytes()])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut key = Self { bytes: [0; Self::MOST], length: 0 };
        for part in parts {
            for (to, from) in key.bytes.iter_mut().skip(key.length).zip(*part) {
                *to = *from;
            }
            key.length += part.len();
        }
        key
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// One row that a batch puts or removes.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) table: Table,
    pub(crate) key: Key,
    /// `None` removes the row.
    pub(crate) value: Option<Vec<u8>>,
}

impl Write {
    pub(crate) fn put(table: Table, key: Key, value: Vec<u8>) -> Self {
        Self { table, key, value: Some(value) }
    }

    pub(crate) fn remove(table: Table, key: Key) -> Self {
        Self { table, key, value: None }
    }
}

pub(crate) fn pair(first: u64, rest: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(8 + rest.len());
    value.extend_from_slice(&first.to_be_bytes());
    value.extend_from_slice(rest);
    value
}

/// The number at the beginning of a row's key or value, and the rest.
pub(crate) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

/// The queue and the message of a key.
pub(crate) fn message_of(key: &[u8]) -> Option<(u32, u64)> {
    let (queue, rest) = key.split_first_chunk()?;
    Some((u32::from_be_bytes(*queue), number(rest)?.0))
}
