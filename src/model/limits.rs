//! The sizes and times that a store accepts: the hard limits of the engine, or Zaqar's tighter limits.
//!
//! A size over its limit is `TooLarge`, every other violation is `InvalidArgument`. A check looks at
//! each argument once and does not use the store.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::names::valid::MAX_NAME_LEN;
use super::settings::{
    DEAD_LETTER_QUEUE, DEAD_LETTER_TTL, DEFAULT_DELAY, DEFAULT_TTL, MAX_POST_SIZE, ParsedSettings, RETRY, SUBSCRIBED,
};
use super::{
    ClaimOptions, Headers, Metadata, NewMessage, Project, QueueName, Retry, Subscriber, Timestamp, Ttl, check_reasons,
};
use crate::model::error::{Error, Result};

/// The sizes and times that a store accepts from its callers (contract 13).
///
/// | | [`default`](Limits::default): hard limits | [`zaqar`](Limits::zaqar) |
/// |---|---|---|
/// | queue name | 1–512 bytes | 1–64 of `[A-Za-z0-9_.-]` |
/// | project | 512 bytes | 256 characters |
/// | metadata | 1 MiB of JSON | 64 KiB |
/// | body | 64 MiB | 256 KiB |
/// | one post | 128 MiB of bodies and headers | 1 message or more, 256 KiB of bodies and headers |
/// | message ttl | any, or forever | 60 s–14 days |
/// | ttl of a message without one, by a handle | forever | 3600 s |
/// | delay | any | 0–900 s |
/// | claim ttl, grace | any | 60 s–12 h |
/// | claim, pop | 1 or more | 1–20 |
/// | page, ids in bulk | any; page 0 means no limit | 1–20 |
/// | subscription ttl | any | 60 s or more |
/// | subscriber | any text | `http`, `https`, `mailto`, `trust+http`, `trust+https` |
/// | options, capabilities | 1 MiB of JSON | 64 KiB |
///
/// A size over its limit gives [`is_too_large`](crate::Error::is_too_large), anything else
/// [`is_invalid`](crate::Error::is_invalid). A queue's `_max_messages_post_size` may lower the size
/// of a post further.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// let engine = Config::new().disk(disk).limits(Limits::zaqar()).open("store")?;
/// # let orders = engine.queue(Project::named("shop")?, "orders")?;
/// # orders.create(Metadata::new())?;
/// let short = NewMessage::new("a").ttl(std::time::Duration::from_secs(59));
/// assert!(orders.post(ClientId::random(), &[short]).unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
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
    default_ttl: Ttl,
    delay: RangeInclusive<Duration>,
    claim_ttl: RangeInclusive<Duration>,
    claim_grace: RangeInclusive<Duration>,
    claim_limit: RangeInclusive<usize>,
    page_limit: RangeInclusive<usize>,
    bulk_ids: RangeInclusive<usize>,
    subscription_ttl: RangeInclusive<Duration>,
}

impl Limits {
    /// The limits of Zaqar's front end as Zaqar ships it (contract 13).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).limits(Limits::zaqar()).open("store")?;
    /// let long = QueueName::new("x".repeat(65))?;
    /// let refused = engine.queues().create(&Project::none(), &long, &Metadata::new());
    /// assert!(refused.unwrap_err().is_too_large());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub const fn zaqar() -> Self {
        Self {
            zaqar_names: true,
            name_max: 64,
            project_max: 256,
            metadata_max: 64 << 10,
            body_max: 256 << 10,
            post_max: 256 << 10,
            post_count: 1..=usize::MAX,
            message_ttl: MINUTE..=Duration::from_secs(14 * 24 * 60 * 60),
            default_ttl: Ttl::For(Duration::from_secs(60 * 60)),
            delay: Duration::ZERO..=Duration::from_secs(15 * 60),
            claim_ttl: MINUTE..=Duration::from_secs(12 * 60 * 60),
            claim_grace: MINUTE..=Duration::from_secs(12 * 60 * 60),
            claim_limit: 1..=20,
            page_limit: 1..=20,
            bulk_ids: 1..=20,
            subscription_ttl: MINUTE..=Duration::MAX,
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
            default_ttl: Ttl::Forever,
            delay: ANY,
            claim_ttl: ANY,
            claim_grace: ANY,
            claim_limit: 1..=usize::MAX,
            page_limit: 0..=usize::MAX,
            bulk_ids: 0..=usize::MAX,
            subscription_ttl: ANY,
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
        let len = if self.zaqar_names { name.chars().count() } else { name.len() };
        check_size("project length", len as u64, self.project_max as u64)
    }

    /// `json_len` is the length of the metadata's JSON text in bytes.
    pub(crate) fn check_metadata(&self, json_len: usize) -> Result<()> {
        check_size("metadata bytes", json_len as u64, self.metadata_max)
    }

    /// Checks that the defaults which a queue sets for its messages are allowed for messages.
    pub(crate) fn check_settings(&self, settings: &ParsedSettings) -> Result<()> {
        if let Some(name) = &settings.dead_letter_queue {
            let named = |error: Error| Error::invalid(DEAD_LETTER_QUEUE, error.to_string());
            self.check_queue_name(name).map_err(named)?;
        }
        for name in settings.subscribed.iter().flat_map(|names| names.iter()) {
            self.check_queue_name(name).map_err(|error| Error::invalid(SUBSCRIBED, error.to_string()))?;
        }
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
        if let Some(retry) = &settings.retry {
            check_time(RETRY, retry.longest(), &self.delay)?;
        }
        match settings.max_post_size {
            // The hard limit applies in any case; only Zaqar refuses a larger setting.
            Some(size) if self.zaqar_names && size > self.post_max => {
                Err(Error::invalid(MAX_POST_SIZE, format!("must be at most {}", self.post_max)))
            }
            _ => Ok(()),
        }
    }

    /// Every message must already have a ttl. `max_post_size` is the queue's own, in bytes.
    pub(crate) fn check_post(&self, messages: &[NewMessage], max_post_size: Option<u64>) -> Result<()> {
        check_count("messages", messages.len(), &self.post_count)?;
        for message in messages {
            let ttl = message.ttl.ok_or_else(|| Error::invalid("ttl", "is missing"))?;
            self.check_message_ttl(ttl)?;
            check_time("delay", message.delay.unwrap_or_default(), &self.delay)?;
            check_size("body bytes", message.body().len() as u64, self.body_max)?;
            message.headers.check()?;
        }
        let size = messages.iter().fold(0_u64, |sum, m| sum.saturating_add(m.size()));
        let limit = max_post_size.map_or(self.post_max, |limit| limit.min(self.post_max));
        check_size("post bytes", size, limit)
    }

    /// Checks a message that was accepted elsewhere: its times are what has become of it.
    pub(crate) fn check_imported(&self, body_bytes: usize, headers: &Headers) -> Result<()> {
        check_size("body bytes", body_bytes as u64, self.body_max)?;
        headers.check()
    }

    pub(super) fn check_message_ttl(&self, ttl: Ttl) -> Result<()> {
        match ttl {
            Ttl::For(ttl) => check_time("ttl", ttl, &self.message_ttl),
            Ttl::Forever if *self.message_ttl.end() == Duration::MAX => Ok(()),
            Ttl::Forever => {
                let most = self.message_ttl.end().as_secs();
                Err(Error::invalid("ttl", format!("forever is more than {most} seconds")))
            }
        }
    }

    /// The ttl of a message that was posted by a handle without one, to a queue without a default.
    pub(crate) const fn default_ttl(&self) -> Ttl {
        self.default_ttl
    }

    pub(crate) fn check_claim(&self, options: &ClaimOptions) -> Result<()> {
        check_time("ttl", options.ttl, &self.claim_ttl)?;
        check_time("grace", options.grace, &self.claim_grace)?;
        check_count("limit", options.limit, &self.claim_limit)
    }

    /// Checks the given fields of a new or changed subscription.
    pub(crate) fn check_subscription(
        &self,
        subscriber: Option<&Subscriber>,
        ttl: Option<Duration>,
        options: Option<&Metadata>,
    ) -> Result<()> {
        let known = |subscriber: &Subscriber| subscriber.scheme().is_some_and(|scheme| SCHEMES.contains(&scheme));
        if self.zaqar_names && !subscriber.is_none_or(known) {
            return Err(Error::invalid("subscriber", format!("its scheme must be one of {}", SCHEMES.join(", "))));
        }
        ttl.map_or(Ok(()), |ttl| check_time("ttl", ttl, &self.subscription_ttl))?;
        options.map_or(Ok(()), |options| self.check_metadata(options.to_json().len()))
    }

    pub(crate) fn check_retries(&self, retries: &[Retry]) -> Result<()> {
        self.check_ids(retries.len())?;
        let delays = retries.iter().filter_map(|retry| retry.delay);
        delays.into_iter().try_for_each(|delay| check_time("delay", delay, &self.delay))?;
        check_reasons(retries)
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

const SCHEMES: [&str; 5] = ["http", "https", "mailto", "trust+http", "trust+https"];

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

/// Whether these durations, one after the other, may end after the last date, whatever the time is now. Readings of the
/// clock with less than a century left do not count (see `clock`), so shorter durations need no reading.
pub(crate) fn are_long(durations: &[Duration]) -> bool {
    durations.iter().try_fold(Duration::ZERO, |sum, duration| sum.checked_add(*duration)).is_none_or(|sum| sum > LONG)
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

/// Half of a century.
const LONG: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TICK: Duration = Duration::from_millis(1);

    fn name(text: &str) -> QueueName {
        QueueName::new(text).unwrap()
    }

    fn message(ttl: Duration) -> NewMessage {
        NewMessage::new(b"42").ttl(ttl)
    }

    fn sized(bytes: usize) -> NewMessage {
        NewMessage::new(vec![b'x'; bytes]).ttl(Duration::from_mins(1))
    }

    fn settings(json: &str) -> ParsedSettings {
        ParsedSettings::parse(&Metadata::from_json(json).unwrap()).unwrap()
    }

    /// Asserts that the bounds are allowed and that the values next to them are invalid arguments.
    fn assert_range<T: Copy>(check: impl Fn(T) -> Result<()>, inside: [T; 2], outside: &[T]) {
        assert!(inside.into_iter().all(|value| check(value).is_ok()));
        for value in outside {
            assert!(check(*value).unwrap_err().is_invalid());
        }
    }

    #[test]
    fn zaqar_names_are_64_word_characters() {
        let limits = Limits::zaqar();
        let check = |text: &str| limits.check_queue_name(&name(text));
        assert!(check("aZ09_-.").is_ok());
        assert!(check(&"x".repeat(64)).is_ok());
        assert!(check(&"x".repeat(65)).unwrap_err().is_too_large());
        for bad in ["a b", "a/b", "ä", "a\0", "a,"] {
            assert!(check(bad).unwrap_err().is_invalid());
            assert!(Limits::default().check_queue_name(&name(bad)).is_ok());
        }
        assert!(Limits::default().check_queue_name(&name(&"x".repeat(512))).is_ok());
    }

    #[test]
    fn zaqar_projects_are_256_characters() {
        let limits = Limits::zaqar();
        let check = |text: String| limits.check_project(&Project::named(text).unwrap());
        assert!(check("ä".repeat(256)).is_ok());
        assert!(check("x".repeat(257)).unwrap_err().is_too_large());
        assert!(limits.check_project(&Project::none()).is_ok());
        let long = Project::named("x".repeat(512)).unwrap();
        assert!(Limits::default().check_project(&long).is_ok());
    }

    #[test]
    fn metadata_has_a_size() {
        for (limits, most) in [(Limits::zaqar(), 65_536), (Limits::default(), 1 << 20)] {
            assert!(limits.check_metadata(most).is_ok());
            assert!(limits.check_metadata(most + 1).unwrap_err().is_too_large());
        }
    }

    #[test]
    fn a_post_needs_a_message_only_by_zaqars_limits() {
        assert!(Limits::default().check_post(&[], None).is_ok());
        assert!(Limits::zaqar().check_post(&[], None).unwrap_err().is_invalid());
    }

    #[test]
    fn a_message_must_have_a_ttl_by_now() {
        let error = Limits::default().check_post(&[message(SECOND), NewMessage::new("")], None).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { name, .. } if name == "ttl"));
    }

    #[test]
    fn a_post_has_a_size_the_queue_may_lower_but_not_raise() {
        let limits = Limits::zaqar();
        let half = 131_072;
        assert!(limits.check_post(&[sized(half), sized(half)], None).is_ok());
        let over = [sized(half), sized(half), sized(1)];
        for most in [None, Some(u64::MAX)] {
            assert!(limits.check_post(&over, most).unwrap_err().is_too_large());
        }
        assert!(limits.check_post(&[sized(5), sized(5)], Some(10)).is_ok());
        let error = limits.check_post(&[sized(5), sized(6)], Some(10));
        assert!(matches!(error, Err(Error::TooLarge { size: 11, limit: 10, .. })));
    }

    #[test]
    fn bodies_and_calls_have_hard_caps() {
        const MIB: usize = 1 << 20;
        let limits = Limits::default();
        let check = |messages: &[NewMessage]| limits.check_post(messages, None);
        let largest = sized(64 * MIB);
        assert!(check(&[largest.clone(), largest.clone()]).is_ok());
        let over = check(&[largest.clone(), largest, sized(1)]);
        assert!(over.unwrap_err().is_too_large());
        assert!(check(&[sized(64 * MIB + 1)]).unwrap_err().is_too_large());
    }

    #[test]
    fn zaqars_times_have_bounds() {
        let limits = Limits::zaqar();
        let (minute, fortnight) = (Duration::from_mins(1), Duration::from_hours(336));
        let just_less = Duration::from_millis(59_999);
        let ttl = |ttl| limits.check_post(&[message(ttl)], None);
        let outside = [Duration::ZERO, just_less, fortnight + TICK];
        assert_range(ttl, [minute, fortnight], &outside);
        let forever = [NewMessage::new("42").ttl(Ttl::Forever)];
        assert!(limits.check_post(&forever, None).unwrap_err().is_invalid());
        assert!(Limits::default().check_post(&forever, None).is_ok());

        let delay = |delay| limits.check_post(&[message(minute).delay(delay)], None);
        let most = Duration::from_mins(15);
        assert_range(delay, [Duration::ZERO, most], &[most + TICK]);

        let most = Duration::from_hours(12);
        let outside = [just_less, most + TICK];
        let ttl = |ttl| limits.check_claim(&ClaimOptions::new().ttl(ttl));
        assert_range(ttl, [minute, most], &outside);
        let grace = |grace| limits.check_claim(&ClaimOptions::new().grace(grace));
        assert_range(grace, [minute, most], &outside);
    }

    #[test]
    fn zaqars_counts_go_from_1_to_20() {
        let limits = Limits::zaqar();
        let claim = |limit| limits.check_claim(&ClaimOptions::new().limit(limit));
        assert_range(claim, [1, 20], &[0, 21]);
        assert_range(|limit| limits.check_pop(limit), [1, 20], &[0, 21]);
        assert_range(|limit| limits.check_page_limit(limit), [1, 20], &[0, 21]);
        assert_range(|count| limits.check_ids(count), [1, 20], &[0, 21]);
    }

    #[test]
    fn without_zaqars_limits_only_an_empty_claim_or_pop_is_refused() {
        let limits = Limits::default();
        let claim = |limit| limits.check_claim(&ClaimOptions::new().limit(limit));
        assert_range(claim, [1, usize::MAX], &[0]);
        assert_range(|limit| limits.check_pop(limit), [1, usize::MAX], &[0]);
        assert_range(|n| limits.check_page_limit(n), [0, usize::MAX], &[]);
        assert_range(|n| limits.check_ids(n), [0, usize::MAX], &[]);
        let any = ClaimOptions::new().ttl(Duration::ZERO).grace(Duration::MAX);
        assert!(limits.check_claim(&any).is_ok());
        assert!(limits.check_post(&[message(Duration::ZERO)], None).is_ok());
    }

    #[test]
    fn a_queues_defaults_must_be_valid_for_messages() {
        let limits = Limits::zaqar();
        for (key, inside, outside) in [
            (DEFAULT_TTL, [60, 1_209_600], [59, 1_209_601]),
            (DEAD_LETTER_TTL, [60, 1_209_600], [59, 1_209_601]),
            (DEFAULT_DELAY, [0, 900], [901, 902]),
            (MAX_POST_SIZE, [1, 262_144], [262_145, 262_146]),
        ] {
            let parsed = |value: i32| settings(&format!(r#"{{"{key}": {value}}}"#));
            assert!(inside.iter().all(|v| limits.check_settings(&parsed(*v)).is_ok()));
            for value in outside {
                let error = limits.check_settings(&parsed(value)).unwrap_err();
                assert!(matches!(error, Error::InvalidArgument { name, .. } if name == key));
                assert!(Limits::default().check_settings(&parsed(value)).is_ok());
            }
        }
        let unset = settings(r#"{"_dead_letter_queue_messages_ttl": 0}"#);
        assert!(limits.check_settings(&unset).is_ok());
    }

    #[test]
    fn zaqars_subscriptions_live_a_minute_and_have_a_known_scheme() {
        let limits = Limits::zaqar();
        let ttl = |ttl| limits.check_subscription(None, Some(ttl), None);
        assert_range(ttl, [Duration::from_mins(1), Duration::MAX], &[Duration::ZERO, Duration::from_millis(59_999)]);
        let check = |limits: &Limits, uri| limits.check_subscription(Some(&Subscriber::new(uri).unwrap()), None, None);
        for uri in ["http://a", "https://a", "mailto:a@b", "trust+http://a", "trust+https://a"] {
            assert!(check(&limits, uri).is_ok());
        }
        for uri in ["ftp://a", "a", "HTTP:a", ":"] {
            assert!(check(&limits, uri).unwrap_err().is_invalid());
            assert!(check(&Limits::default(), uri).is_ok());
        }
        let large = Metadata::new().with("x", "y".repeat(65_536)).unwrap();
        assert!(limits.check_subscription(None, None, Some(&large)).unwrap_err().is_too_large());
    }

    #[test]
    fn times_must_end_by_the_year_9999() {
        let now = Timestamp::from_millis(Timestamp::MAX.as_millis() - 2000);
        assert!(check_times(now, "ttl", &[SECOND, SECOND]).is_ok());
        let error = check_times(now, "ttl", &[SECOND, SECOND, TICK]).unwrap_err();
        assert!(error.is_invalid());
        assert!(check_times(now, "ttl", &[Duration::MAX, Duration::MAX]).is_err());
        assert!(check_times(now, "ttl", &[]).is_ok());
        assert!(!are_long(&[LONG / 2, LONG / 2]) && are_long(&[LONG, TICK]) && are_long(&[Duration::MAX, TICK]));
    }
}
