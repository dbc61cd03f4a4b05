//! The lines of an export. `docs::export` describes their fields.
//!
//! 1. Instants and durations are milliseconds; `null` where there is no end.
//! 2. A field that is left out has the value that most records have: none, or zero.
//! 3. An unknown field is an error: a format with other fields has another number.

use std::borrow::Cow;
use std::ops::Not;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::BodyForm;
use crate::model::error::{Error, Result};
use crate::model::{ClaimId, ClientId, Headers, MessageId, SubscriptionId};

/// The number of the format.
pub(crate) const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    Export(Header),
    #[serde(borrow)]
    Pool(PoolLine<'a>),
    #[serde(borrow)]
    Flavor(FlavorLine<'a>),
    #[serde(borrow)]
    Mapping(MappingLine<'a>),
    #[serde(borrow)]
    Bookmark(BookmarkLine<'a>),
    #[serde(borrow)]
    Quota(QuotaLine<'a>),
    #[serde(borrow)]
    Queue(QueueLine<'a>),
    Claim(ClaimLine),
    #[serde(borrow)]
    Message(Box<MessageLine<'a>>),
    #[serde(borrow)]
    Subscription(SubscriptionLine<'a>),
    End(Counts),
}

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) format: u32,
    /// The engine's time when the export began.
    pub(crate) time: u64,
    /// No number in the export, or of anything that was deleted before it, is of a later one.
    pub(crate) incarnation: u32,
    /// Whether it is of a pooled driver.
    pub(crate) pooled: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolLine<'a> {
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) uri: Cow<'a, str>,
    pub(crate) weight: i64,
    #[serde(borrow)]
    pub(crate) group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) options: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlavorLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) group: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) capabilities: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MappingLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) queue: Cow<'a, str>,
    /// Whether it is a topic.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) topic: bool,
    #[serde(borrow)]
    pub(crate) pool: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BookmarkLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) name: Cow<'a, str>,
    /// 16 hex digits: other programs may not read so large a number exactly.
    #[serde(borrow)]
    pub(crate) version: Cow<'a, str>,
    pub(crate) changed: u64,
    #[serde(borrow)]
    pub(crate) value: BodyForm<'a>,
}

/// What a project may hold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    pub(crate) max_queues: Option<u64>,
    pub(crate) max_messages: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) queue: Cow<'a, str>,
    /// Whether it is a topic.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) topic: bool,
    /// Behind the ids of all messages that the queue has had. It has the queue's number.
    pub(crate) next: MessageId,
    /// The messages that have expired.
    pub(crate) expired: u64,
    /// What its claim rate has handed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) handed_out: Option<HandedOut>,
    /// The numbers of the claims and messages that follow.
    pub(crate) claims: u64,
    pub(crate) messages: u64,
    #[serde(borrow)]
    pub(crate) metadata: &'a RawValue,
}

/// The bucket of a queue with a claim rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandedOut {
    /// When messages were last handed out.
    pub(crate) at: u64,
    /// The thousandths of a message that the bucket lacked then.
    pub(crate) lacks: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimLine {
    pub(crate) id: ClaimId,
    pub(crate) ttl: u64,
    pub(crate) expires: u64,
    /// The messages that it took, also those that were deleted since, as runs: the first id, and how many.
    pub(crate) took: Vec<(MessageId, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageLine<'a> {
    pub(crate) id: MessageId,
    pub(crate) client: ClientId,
    pub(crate) created: u64,
    pub(crate) ttl: Option<u64>,
    pub(crate) expires: Option<u64>,
    /// The end of its last delay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delayed_until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claim: Option<ClaimId>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) claim_count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_claimed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_claimed: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_failure: Option<Cow<'a, str>>,
    /// The MD5 of the body, in hex.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) md5: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    pub(crate) headers: Headers,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) origin: Option<OriginLine<'a>>,
    #[serde(borrow)]
    pub(crate) body: BodyForm<'a>,
}

/// Where a dead letter comes from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OriginLine<'a> {
    #[serde(borrow)]
    pub(crate) queue: Cow<'a, str>,
    pub(crate) id: MessageId,
    pub(crate) claim_count: u32,
    #[serde(borrow)]
    pub(crate) reason: Option<Cow<'a, str>>,
    pub(crate) moved: u64,
    pub(crate) ttl: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubscriptionLine<'a> {
    #[serde(borrow)]
    pub(crate) project: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(crate) queue: Cow<'a, str>,
    /// Whether it is a topic.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub(crate) topic: bool,
    pub(crate) id: SubscriptionId,
    #[serde(borrow)]
    pub(crate) subscriber: Cow<'a, str>,
    pub(crate) ttl: u64,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) confirmed: bool,
    #[serde(borrow)]
    pub(crate) options: &'a RawValue,
}

/// The last line: how many lines of each kind there are, and their checksum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) pools: u64,
    pub(crate) flavors: u64,
    pub(crate) mappings: u64,
    pub(crate) bookmarks: u64,
    #[serde(default, skip_serializing_if = "are_none")]
    pub(crate) quotas: u64,
    pub(crate) queues: u64,
    pub(crate) claims: u64,
    pub(crate) messages: u64,
    pub(crate) subscriptions: u64,
    /// The CRC-32 of all lines between the first and this one, in hex, with their line ends; not checked where it is
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
}

impl Counts {
    /// Counts a line.
    pub(crate) fn add(&mut self, line: &Line<'_>) {
        let count = match line {
            Line::Export(_) | Line::End(_) => return,
            Line::Pool(_) => &mut self.pools,
            Line::Flavor(_) => &mut self.flavors,
            Line::Mapping(_) => &mut self.mappings,
            Line::Bookmark(_) => &mut self.bookmarks,
            Line::Quota(_) => &mut self.quotas,
            Line::Queue(_) => &mut self.queues,
            Line::Claim(_) => &mut self.claims,
            Line::Message(_) => &mut self.messages,
            Line::Subscription(_) => &mut self.subscriptions,
        };
        *count = count.saturating_add(1);
    }
}

/// A JSON text as a part of a line.
pub(crate) fn raw(text: &str) -> Result<&RawValue> {
    serde_json::from_str(text).map_err(|error| Error::invalid("json", error.to_string()))
}

/// A checksum in hex.
pub(crate) fn hex(sum: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(sum))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn are_none(count: &u64) -> bool {
    *count == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
