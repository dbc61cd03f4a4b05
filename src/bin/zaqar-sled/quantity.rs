//! Durations and sizes as people write them.

use std::time::Duration;

use bytesize::ByteSize;
use zaqar_sled::Ttl;

/// Reads a time to live: a duration, or `forever`.
pub(crate) fn parse_ttl(text: &str) -> Result<Ttl, String> {
    if text == "forever" { Ok(Ttl::Forever) } else { parse_duration(text).map(Ttl::For) }
}

/// `30s`, `1h 30m`, or a number of seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; write for example 30s, 5m or 1h 30m"))
}

/// `64MiB`, `10kB`, or a number of bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    text.parse()
        .map(|size: ByteSize| size.as_u64())
        .map_err(|error| format!("{error}; write for example 64MiB or 10kB"))
}

/// A duration in whole seconds, with all its units.
pub(crate) fn duration(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// An age: its two largest units.
pub(crate) fn age(age: Duration) -> String {
    units(age, 2)
}

/// An age where space is scarce: its largest unit.
pub(crate) fn short_age(age: Duration) -> String {
    units(age, 1)
}

fn units(time: Duration, most: usize) -> String {
    let whole = duration(time);
    whole.split(' ').take(most).collect::<Vec<_>>().join(" ")
}

/// `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// A number where space is scarce: `12.3M`.
pub(crate) fn short_count(count: u64) -> String {
    let mut scaled = (count, 0);
    for suffix in ["", "k", "M", "G", "T", "P"] {
        let (whole, tenth) = scaled;
        if whole < 1000 {
            let has_tenth = !suffix.is_empty() && whole < 100;
            return if has_tenth { format!("{whole}.{tenth}{suffix}") } else { format!("{whole}{suffix}") };
        }
        scaled = (whole / 1000, whole % 1000 / 100);
    }
    count.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("30s", 30), ("30", 30), ("1h 30m", 5400), ("1h30m", 5400), ("2days", 172_800), ("0", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "-1s", "five", "5x", "1.5.5s"] {
            assert!(parse_duration(text).unwrap_err().contains("for example 30s"), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("10kB", 10_000), ("7", 7), ("1.5KiB", 1536)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "many", "5x"] {
            assert!(parse_size(text).unwrap_err().contains("for example 64MiB"), "{text}");
        }
    }

    #[test]
    fn figures_are_shown_with_their_unit() {
        let seconds = Duration::from_millis(93_784_999);
        assert_eq!(
            (duration(seconds), age(seconds), short_age(seconds)),
            ("1day 2h 3m 4s".into(), "1day 2h".into(), "1day".into())
        );
        assert_eq!((age(Duration::ZERO), age(Duration::from_millis(999))), ("0s".into(), "0s".into()));
        assert_eq!([0, 1023, 1024, 3 << 29].map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 GiB"]);
        assert_eq!([0, 1, 2].map(|count| counted(count, "claim")), ["0 claims", "1 claim", "2 claims"]);
        let counts = [0, 999, 1000, 12_345, 99_999, 123_456, 5_000_000, u64::MAX];
        let shown = ["0", "999", "1.0k", "12.3k", "99.9k", "123k", "5.0M", "18446744073709551615"];
        assert_eq!(counts.map(short_count), shown);
    }
}
