//! Metrics: what a store has done since it was opened, and how long that took.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::PoolName;

/// What a store has done since it was opened, how long its disk took, and its sizes: for graphs and alarms.
///
/// The numbers of messages are counters: they only rise, and begin at 0 when the store is opened. The names of the fields
/// are those in JSON. [`docs::metrics`](crate::docs::metrics) lists them with their names for Prometheus, which stay the
/// same within a major version.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// jobs.post(ClientId::random(), &[NewMessage::new("work"), NewMessage::new("more")])?;
/// let claim = jobs.claim(ClaimOptions::new().limit(1))?.expect("a job waits");
/// claim.delete(&claim.messages()[0])?;
///
/// let metrics = engine.metrics();
/// assert_eq!((metrics.posted_messages, metrics.posted_bytes), (2, 8));
/// assert_eq!((metrics.claimed_messages, metrics.deleted_messages), (1, 1));
/// assert_eq!((metrics.messages, metrics.queues), (1, 1));
/// assert!(metrics.journal_syncs.count() >= 3); // each change was synced
/// let text = metrics.to_prometheus();
/// assert!(text.contains("zaqar_posted_messages_total 2\n"));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Metrics {
    /// The pool that has the store; `None` for a store of its own, and for a control store.
    #[serde(serialize_with = "name_of", skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolName>,
    /// Messages that were posted.
    pub posted_messages: u64,
    /// Bytes of their bodies and headers.
    pub posted_bytes: u64,
    /// Messages that claims took.
    pub claimed_messages: u64,
    /// Those of them that had been claimed before.
    pub redelivered_messages: u64,
    /// Messages of claims that were given back with a delay or a reason.
    pub retried_messages: u64,
    /// Messages that were deleted, popped or purged, or whose queue was deleted.
    pub deleted_messages: u64,
    /// Messages that expired, as far as they have been collected.
    pub expired_messages: u64,
    /// Messages that claims moved to dead-letter queues.
    pub dead_lettered_messages: u64,
    /// Dead letters that were put back.
    pub redriven_messages: u64,
    /// Syncs of the journal: the wait of a change at [`Durability::Sync`](crate::Durability::Sync) is one or two of them.
    pub journal_syncs: Timings,
    /// Snapshots that were written.
    pub snapshots: Timings,
    /// Checkpoints of the trees.
    pub checkpoints: Timings,
    /// Queues now.
    pub queues: u64,
    /// Messages in all queues now, including expired ones that are not collected yet.
    pub messages: u64,
    /// What they weigh: the bytes of their bodies and headers, and 64 bytes each.
    pub live_bytes: u64,
    /// Claims now.
    pub claims: u64,
    /// Subscriptions now.
    pub subscriptions: u64,
    /// Calls that wait for messages or for room now.
    pub waiting_calls: u64,
    /// Changes that are not synced yet: a power cut could lose them.
    pub unsynced_changes: u64,
    /// Bytes of messages in memory.
    pub memory_bytes: u64,
    /// Bytes of the journal's segments on disk, without those that wait to be used.
    pub journal_bytes: u64,
    /// Bytes of the page files.
    pub page_file_bytes: u64,
    /// Messages in damaged pages.
    pub damaged_messages: u64,
    /// 1 if a failure has stopped all changes, else 0.
    pub poisoned: u64,
}

/// How often something was done, and how long that took.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// engine.snapshot()?;
/// let snapshots = engine.metrics().snapshots;
/// assert_eq!(snapshots.count(), 1);
/// assert!(snapshots.quantile(0.99) >= snapshots.quantile(0.5));
/// assert!(snapshots.total() <= snapshots.quantile(1.0));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Timings {
    /// How many took up to 2^n microseconds, and more than half of that; the last has all that took longer.
    pub(crate) by_log2_micros: Vec<u64>,
    pub(crate) total_micros: u64,
}

impl Timings {
    /// How often it was done.
    pub fn count(&self) -> u64 {
        self.by_log2_micros.iter().sum()
    }

    /// How long all of them took together.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.total_micros)
    }

    /// The time within which that share of them was done, 0 to 1: exact to a factor of 2, from above. Zero if there were
    /// none; about 18 minutes is the longest time that is told.
    pub fn quantile(&self, share: f64) -> Duration {
        let count = self.count();
        let mut seen = 0_u64;
        for (upper, within) in self.buckets() {
            seen = seen.saturating_add(within);
            // Of at least one.
            #[allow(clippy::cast_precision_loss, reason = "a share of a count needs no more")]
            if seen > 0 && seen as f64 >= share * count as f64 {
                return upper;
            }
        }
        Duration::ZERO
    }

    /// The bounds, each with the number that took up to it, and longer than the bound before. The last has all that took
    /// longer too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let snapshots = engine.metrics().snapshots;
    /// for (upper, count) in snapshots.buckets() {
    ///     println!("{count} within {upper:?}");
    /// }
    /// assert_eq!(snapshots.buckets().map(|(_, count)| count).sum::<u64>(), snapshots.count());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        (0_u32..).map(|log2| Duration::from_micros(1 << log2)).zip(self.by_log2_micros.iter().copied())
    }
}

impl Metrics {
    /// The metrics as text in the exposition format of Prometheus (version 0.0.4).
    ///
    /// Cost: about 100 lines.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let text = engine.metrics().to_prometheus();
    /// assert!(text.starts_with("# HELP zaqar_posted_messages_total "));
    /// assert!(text.contains("\n# TYPE zaqar_journal_sync_seconds histogram\n"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn to_prometheus(&self) -> String {
        Self::all_to_prometheus(std::slice::from_ref(self))
    }

    /// The metrics of several stores as one such text; those of a pool have the label `pool`.
    ///
    /// Cost: about 100 lines for each store.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let driver = Config::new().disk(disk).open_pooled("control")?;
    /// driver.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/one".parse()?))?;
    /// let text = Metrics::all_to_prometheus(&driver.metrics());
    /// assert!(text.contains("zaqar_messages{pool=\"one\"} 0\n"));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn all_to_prometheus(all: &[Self]) -> String {
        let mut text = String::new();
        for Scalar { name, kind, help, of } in SCALARS {
            head(&mut text, name, kind, help);
            for metrics in all {
                line(&mut text, name, &metrics.labels(None), of(metrics));
            }
        }
        for Histogram { name, help, of } in HISTOGRAMS {
            head(&mut text, name, "histogram", help);
            for metrics in all {
                metrics.write_histogram(&mut text, name, of(metrics));
            }
        }
        text
    }

    fn write_histogram(&self, text: &mut String, name: &str, timings: &Timings) {
        let (bucket, mut within) = (format!("{name}_bucket"), 0_u64);
        let finite = timings.by_log2_micros.len().saturating_sub(1);
        for (upper, count) in timings.buckets().take(finite) {
            within = within.saturating_add(count);
            line(text, &bucket, &self.labels(Some(&upper.as_secs_f64().to_string())), within);
        }
        let within = timings.count();
        line(text, &bucket, &self.labels(Some("+Inf")), within);
        line(text, &format!("{name}_sum"), &self.labels(None), timings.total().as_secs_f64());
        line(text, &format!("{name}_count"), &self.labels(None), within);
    }

    fn labels(&self, upper: Option<&str>) -> String {
        let pool = self.pool.as_ref().map(|pool| format!("pool=\"{}\"", escaped(pool.as_str())));
        let upper = upper.map(|upper| format!("le=\"{upper}\""));
        let all: Vec<String> = pool.into_iter().chain(upper).collect();
        if all.is_empty() { String::new() } else { format!("{{{}}}", all.join(",")) }
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    // A string takes everything.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(text: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// A label's value, as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[allow(clippy::ref_option, reason = "serde calls it so")]
fn name_of<S: serde::Serializer>(pool: &Option<PoolName>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(pool.as_ref().map_or("", PoolName::as_str))
}

/// A counter or a gauge.
struct Scalar {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&Metrics) -> u64,
}

struct Histogram {
    name: &'static str,
    help: &'static str,
    of: fn(&Metrics) -> &Timings,
}

const fn counter(name: &'static str, help: &'static str, of: fn(&Metrics) -> u64) -> Scalar {
    Scalar { name, kind: "counter", help, of }
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&Metrics) -> u64) -> Scalar {
    Scalar { name, kind: "gauge", help, of }
}

const SCALARS: [Scalar; 21] = [
    counter("zaqar_posted_messages_total", "Messages that were posted.", |m| m.posted_messages),
    counter("zaqar_posted_bytes_total", "Bytes of the bodies and headers that were posted.", |m| m.posted_bytes),
    counter("zaqar_claimed_messages_total", "Messages that claims took.", |m| m.claimed_messages),
    counter("zaqar_redelivered_messages_total", "Claimed messages that had been claimed before.", |m| {
        m.redelivered_messages
    }),
    counter("zaqar_retried_messages_total", "Messages of claims that were given back.", |m| m.retried_messages),
    counter("zaqar_deleted_messages_total", "Messages that were deleted, popped or purged.", |m| m.deleted_messages),
    counter("zaqar_expired_messages_total", "Messages that expired.", |m| m.expired_messages),
    counter("zaqar_dead_lettered_messages_total", "Messages that moved to dead-letter queues.", |m| {
        m.dead_lettered_messages
    }),
    counter("zaqar_redriven_messages_total", "Dead letters that were put back.", |m| m.redriven_messages),
    gauge("zaqar_queues", "Queues.", |m| m.queues),
    gauge("zaqar_messages", "Messages in all queues.", |m| m.messages),
    gauge("zaqar_live_bytes", "Weight of the messages in all queues.", |m| m.live_bytes),
    gauge("zaqar_claims", "Claims.", |m| m.claims),
    gauge("zaqar_subscriptions", "Subscriptions.", |m| m.subscriptions),
    gauge("zaqar_waiting_calls", "Calls that wait for messages or for room.", |m| m.waiting_calls),
    gauge("zaqar_unsynced_changes", "Changes that are not synced yet.", |m| m.unsynced_changes),
    gauge("zaqar_memory_bytes", "Bytes of messages in memory.", |m| m.memory_bytes),
    gauge("zaqar_journal_bytes", "Bytes of the journal on disk.", |m| m.journal_bytes),
    gauge("zaqar_page_file_bytes", "Bytes of the page files.", |m| m.page_file_bytes),
    gauge("zaqar_damaged_messages", "Messages in damaged pages.", |m| m.damaged_messages),
    gauge("zaqar_poisoned", "1 if a failure has stopped all changes.", |m| m.poisoned),
];

const HISTOGRAMS: [Histogram; 3] = [
    Histogram { name: "zaqar_journal_sync_seconds", help: "Syncs of the journal.", of: |m| &m.journal_syncs },
    Histogram { name: "zaqar_snapshot_seconds", help: "Snapshots that were written.", of: |m| &m.snapshots },
    Histogram { name: "zaqar_checkpoint_seconds", help: "Checkpoints of the trees.", of: |m| &m.checkpoints },
];

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn timings(by_log2_micros: &[u64], total_micros: u64) -> Timings {
        Timings { by_log2_micros: by_log2_micros.to_vec(), total_micros }
    }

    #[test]
    fn a_quantile_is_the_bound_below_which_that_share_was() {
        let some = timings(&[0, 0, 5, 4, 0, 1], 70);
        let quantile = |share| some.quantile(share).as_micros();
        assert_eq!([0.0, 0.5, 0.51, 0.9, 0.91, 1.0].map(quantile), [4, 4, 8, 8, 32, 32]);
        assert_eq!(timings(&[0, 0], 0).quantile(0.5), Duration::ZERO);
        assert_eq!((some.count(), some.total().as_micros()), (10, 70));
    }

    #[test]
    fn the_text_has_each_metric_once_and_each_store_in_it() {
        let pool = Some(PoolName::new("a\"b\\c\nd").unwrap());
        let journal_syncs = timings(&[1, 0, 2], 9);
        let all = [
            Metrics { posted_messages: 3, ..Metrics::default() },
            Metrics { pool, journal_syncs, ..Metrics::default() },
        ];
        let text = Metrics::all_to_prometheus(&all);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "# HELP zaqar_posted_messages_total Messages that were posted.",
                "# TYPE zaqar_posted_messages_total counter",
                "zaqar_posted_messages_total 3",
                r#"zaqar_posted_messages_total{pool="a\"b\\c\nd"} 0"#,
            ]
        );
        let heads = lines.iter().filter(|line| line.starts_with("# TYPE")).count();
        assert_eq!(heads, SCALARS.len() + HISTOGRAMS.len());
        let of = |suffix: &str| -> Vec<&str> {
            let name = format!("zaqar_journal_sync_seconds_{suffix}");
            lines.iter().copied().filter(|line| line.starts_with(&name) && line.contains("pool=")).collect()
        };
        let ends: Vec<String> = of("bucket").iter().map(|line| line[line.find("le=").unwrap()..].to_owned()).collect();
        assert_eq!(ends, [r#"le="0.000001"} 1"#, r#"le="0.000002"} 1"#, r#"le="+Inf"} 3"#]);
        assert!(of("sum")[0].ends_with(" 0.000009") && of("count")[0].ends_with(" 3"));
    }
}
