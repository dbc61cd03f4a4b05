//! What a store accepts: the hard caps of the engine, or Zaqar's limits within them.
//!
//! Sizes past a limit are `TooLarge`, all else is `InvalidArgument`. Each check costs one look at
//! each argument and knows nothing of the store.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::MAX_NAME_LEN;
use super::settings::{DEAD_LETTER_TTL, DEFAULT_DELAY, DEFAULT_TTL, MAX_POST_SIZE, QueueSettings};
use super::{ClaimOptions, NewMessage, Project, QueueName, Timestamp};
use crate::error::{Error, Result};

/// What a store accepts.
///
/// | | [`default`](Limits::default): hard caps | [`zaqar`](Limits::zaqar) |
/// |---|---|---|
/// | queue name | 1–512 bytes | 1–64 of `[A-Za-z0-9_.-]` |
/// | project | 512 bytes | 256 characters |
/// | metadata | 1 MiB of JSON | 64 KiB |
/// | body | 64 MiB | 256 KiB |
/// | one post | 128 MiB of bodies | 1 message, 256 KiB of bodies |
/// | message ttl | any | 60 s–14 days |
/// | delay | any | 0–900 s |
/// | claim ttl, grace | any | 60 s–12 h |
/// | claim, pop | 1 or more | 1–20 |
/// | page, ids in bulk | any, 0 is no limit | 1–20 |
///
/// A queue's `_max_messages_post_size` may lower the size of a post further.
///
/// ```
/// use zaqar_sled::Limits;
///
/// assert_ne!(Limits::zaqar(), Limits::default());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    zaqar_names: bool,
    /// In bytes by default, in characters by Zaqar's.
    name_max: usize,
    project_max: usize,
    metadata_max: u64,
    body_max: u64,
    post_max: u64,
    post_count: RangeInclusive<usize>,
    message_ttl: RangeInclusive<Duration>,
    delay: RangeInclusive<Duration>,
    claim_ttl: RangeInclusive<Duration>,
    claim_grace: RangeInclusive<Duration>,
    claim_limit: RangeInclusive<usize>,
    page_limit: RangeInclusive<usize>,
    bulk_ids: RangeInclusive<usize>,
}

impl Limits {
    /// The limits Zaqar's front end enforces as it is shipped.
    pub const fn zaqar() -> Self {
        Self {
            zaqar_names: true,
            name_max: 64,
            project_max: 256,
            metadata_max: 64 << 10,
            body_max: 256 << 10,
            post_max: 256 << 10,
            post_count: 1..=usize::MAX,
            message_ttl: Duration::from_secs(60)..=Duration::from_secs(1_209_600),
            delay: Duration::ZERO..=Duration::from_secs(900),
            claim_ttl: Duration::from_secs(60)..=Duration::from_secs(43_200),
            claim_grace: Duration::from_secs(60)..=Duration::from_secs(43_200),
            claim_limit: 1..=20,
            page_limit: 1..=20,
            bulk_ids: 1..=20,
        }
    }

    const fn hard() -> Self {
        const ANY: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;
        Self {
            zaqar_names: false,
            name_max: MAX_NAME_LEN,
            project_max: MAX_NAME_LEN,
            metadata_max: 1 << 20,
            body_max: 64 << 20,
            post_max: 128 << 20,
            post_count: 0..=usize::MAX,
            message_ttl: ANY,
            delay: ANY,
            claim_ttl: ANY,
            claim_grace: ANY,
            claim_limit: 1..=usize::MAX,
            page_limit: 0..=usize::MAX,
            bulk_ids: 0..=usize::MAX,
        }
    }

    pub(crate) fn check_queue_name(&self, name: &QueueName) -> Result<()> {
        let name = name.as_str();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        check_size("queue name length", name.len() as u64, self.name_max as u64)?;
        if self.zaqar_names && !name.chars().all(is_word) {
            let reason = "may only have letters, digits, dots, hyphens and underscores";
            return Err(Error::invalid("queue name", reason));
        }
        Ok(())
    }

    pub(crate) fn check_project(&self, project: &Project) -> Result<()> {
        let name = project.name().unwrap_or_default();
        let len = if self.zaqar_names {
            name.chars().count()
        } else {
            name.len()
        };
        check_size("project length", len as u64, self.project_max as u64)
    }

    /// `json_len` is the length of the metadata's JSON text in bytes.
    pub(crate) fn check_metadata(&self, json_len: usize) -> Result<()> {
        check_size("metadata bytes", json_len as u64, self.metadata_max)
    }

    /// What a queue sets for its messages must be what they may have.
    pub(crate) fn check_settings(&self, settings: &QueueSettings) -> Result<()> {
        let times = [
            (DEFAULT_TTL, settings.default_ttl, &self.message_ttl),
            (DEAD_LETTER_TTL, settings.dead_letter_ttl, &self.message_ttl),
            (DEFAULT_DELAY, settings.default_delay, &self.delay),
        ];
        for (key, millis, range) in times {
            if let Some(millis) = millis {
                check_time(key, Duration::from_millis(millis), range)?;
            }
        }
        match settings.max_post_size {
            // The hard cap holds anyway; only Zaqar refuses to be told of a larger one.
            Some(size) if self.zaqar_names && size > self.post_max => Err(Error::invalid(
                MAX_POST_SIZE,
                format!("must be at most {}", self.post_max),
            )),
            _ => Ok(()),
        }
    }

    /// Every message must have a ttl by now. `max_post_size` is the queue's own, in bytes.
    pub(crate) fn check_post(
        &self,
        messages: &[NewMessage],
        max_post_size: Option<u64>,
    ) -> Result<()> {
        check_count("messages", messages.len(), &self.post_count)?;
        for message in messages {
            let ttl = message
                .ttl
                .ok_or_else(|| Error::invalid("ttl", "is missing"))?;
            check_time("ttl", ttl, &self.message_ttl)?;
            check_time("delay", message.delay.unwrap_or_default(), &self.delay)?;
            check_size("body bytes", message.body().len() as u64, self.body_max)?;
        }
        let size = messages
            .iter()
            .fold(0_u64, |sum, m| sum.saturating_add(m.body().len() as u64));
        let limit = max_post_size.map_or(self.post_max, |limit| limit.min(self.post_max));
        check_size("post bytes", size, limit)
    }

    pub(crate) fn check_claim(&self, options: &ClaimOptions) -> Result<()> {
        check_time("ttl", options.ttl, &self.claim_ttl)?;
        check_time("grace", options.grace, &self.claim_grace)?;
        check_count("limit", options.limit, &self.claim_limit)
    }

    pub(crate) fn check_pop(&self, limit: usize) -> Result<()> {
        check_count("limit", limit, &self.claim_limit)
    }

    pub(crate) fn check_page_limit(&self, limit: usize) -> Result<()> {
        check_count("limit", limit, &self.page_limit)
    }

    pub(crate) fn check_ids(&self, count: usize) -> Result<()> {
        check_count("ids", count, &self.bulk_ids)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::hard()
    }
}

/// The instant these durations, one after the other, end at must be a date. For a message: its ttl,
/// and apart from that its delay; for a claim: ttl and grace.
pub(crate) fn check_times(now: Timestamp, name: &str, durations: &[Duration]) -> Result<()> {
    durations
        .iter()
        .try_fold(now, |end, duration| end.checked_add(*duration))
        .map(drop)
        .ok_or_else(|| Error::invalid(name, "ends after the year 9999"))
}

fn check_size(what: &'static str, size: u64, limit: u64) -> Result<()> {
    if size > limit {
        return Err(Error::TooLarge { what, size, limit });
    }
    Ok(())
}

fn check_count(name: &str, count: usize, range: &RangeInclusive<usize>) -> Result<()> {
    if range.contains(&count) {
        return Ok(());
    }
    let reason = match (*range.start(), *range.end()) {
        (least, usize::MAX) => format!("{count} is under {least}"),
        (least, most) => format!("{count} is not from {least} to {most}"),
    };
    Err(Error::invalid(name, reason))
}

fn check_time(name: &str, time: Duration, range: &RangeInclusive<Duration>) -> Result<()> {
    if range.contains(&time) {
        return Ok(());
    }
    let (least, most) = (range.start().as_secs(), range.end().as_secs());
    let reason = format!("{time:?} is not from {least} to {most} seconds");
    Err(Error::invalid(name, reason))
}
