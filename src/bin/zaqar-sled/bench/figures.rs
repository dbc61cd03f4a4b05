//! The figures, as a table and as JSON.

use std::time::Duration;

use serde::Serialize;

use super::machine::Machine;
use super::measurement::Measurement;
use super::tally::Tally;
use crate::grid::{self, Cell, Grid, Kind};
use crate::plain;
use crate::quantity::{counted, size};

/// The whole report; with [`Figures`] these are the fields of the JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    /// Whether the program was built without optimisation, so that it is slower than it could be.
    pub(crate) debug_build: bool,
    #[serde(flatten)]
    pub(crate) machine: Machine,
    pub(crate) body_bytes: u64,
    pub(crate) threads: usize,
    pub(crate) seconds: u64,
    pub(crate) measurements: Vec<Figures>,
}

/// The figures of one measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    name: &'static str,
    durability: &'static str,
    threads: usize,
    messages_per_call: usize,
    calls: u64,
    calls_per_s: u64,
    messages_per_s: u64,
    median_s: f64,
    p99_s: f64,
    worst_s: f64,
    bare_calls: u64,
    bare_calls_per_s: u64,
    /// Rounded to a thousandth; absent if there was no call.
    ratio: Option<f64>,
    #[serde(skip)]
    shown: String,
    #[serde(skip)]
    latencies: [Duration; 3],
}

impl Figures {
    pub(crate) fn of(measurement: &Measurement, store: &Tally, bare: &Tally) -> Self {
        let latencies = [store.latencies.percentile(50), store.latencies.percentile(99), store.latencies.longest()];
        // A bare call is one of every thread.
        let each = measurement.threads as u64;
        let [median_s, p99_s, worst_s] = latencies.map(|latency| latency.as_secs_f64());
        Self {
            name: measurement.name,
            durability: if measurement.is_synced() { "sync" } else { "buffered" },
            threads: measurement.threads,
            messages_per_call: measurement.batch,
            calls: store.calls(),
            calls_per_s: store.rate(1),
            messages_per_s: store.rate(measurement.batch as u64),
            median_s,
            p99_s,
            worst_s,
            bare_calls: bare.calls().saturating_mul(each),
            bare_calls_per_s: bare.rate(each),
            ratio: store.ratio(bare, each).map(|ratio| (ratio * 1000.0).round() / 1000.0),
            shown: measurement.shown(),
            latencies,
        }
    }

    fn cells(&self) -> [Cell; 8] {
        let [median, p99, worst] = self.latencies.map(|latency| Cell::from(latency_shown(latency)));
        [
            self.shown.clone().into(),
            Cell::count(self.calls_per_s),
            Cell::count(self.messages_per_s),
            median,
            p99,
            worst,
            Cell::count(self.bare_calls_per_s),
            self.ratio.map_or_else(Cell::nothing, |ratio| format!("{ratio:.2}").into()),
        ]
    }
}

impl Report {
    /// The machine, and below it the table.
    pub(crate) fn shown(&self) -> String {
        let width = grid::terminal_width();
        let mut grid = Grid::new(HEAD);
        self.measurements.iter().for_each(|figures| grid.push(figures.cells()));
        format!("{}\n{}", grid::facts(&self.facts(), width), grid.text(width))
    }

    fn facts(&self) -> [(&'static str, String); 3] {
        let Machine { cores, os, kernel, directory, file_system, free_bytes } = &self.machine;
        let kernel = kernel.as_ref().map_or_else(String::new, |kernel| format!(" {}", plain::name(kernel)));
        let free = free_bytes.map_or_else(|| "unknown".into(), size);
        let file_system = file_system.as_ref().map_or_else(|| "unknown file system".into(), |kind| plain::name(kind));
        let (threads, seconds) = (counted(self.threads as u64, "thread"), counted(self.seconds, "second"));
        let build = if self.debug_build { " (a debug build)" } else { "" };
        let version = format!("zaqar-sled {}{build}", self.version);
        [
            ("machine", format!("{}, {os}{kernel}", counted(*cores as u64, "core"))),
            ("disk", format!("{file_system} at {}, {free} free", plain::name(directory))),
            ("run", format!("{version}, bodies of {}, {threads}, {seconds}", size(self.body_bytes))),
        ]
    }
}

/// Three digits and the unit.
fn latency_shown(latency: Duration) -> String {
    let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "µs")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| nanos >= *unit) else { return format!("{nanos}ns") };
    let (whole, hundredths) = (nanos / unit, nanos % unit / (unit / 100).max(1));
    match whole {
        0..10 => format!("{whole}.{hundredths:02}{name}"),
        10..100 => format!("{whole}.{}{name}", hundredths / 10),
        _ => format!("{whole}{name}"),
    }
}

const HEAD: [(&str, Kind); 8] = [
    ("call", Kind::Text),
    ("calls/s", Kind::Figure),
    ("messages/s", Kind::Figure),
    ("median", Kind::Figure),
    ("99 %", Kind::Figure),
    ("worst", Kind::Figure),
    ("bare/s", Kind::Figure),
    ("ratio", Kind::Figure),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_has_three_digits() {
        let nanos = [0, 999, 1000, 12_345, 999_999, 1_050_000, 99_990_000, 2_000_000_000, 123_456_000_000];
        let shown = ["0ns", "999ns", "1.00µs", "12.3µs", "999µs", "1.05ms", "99.9ms", "2.00s", "123s"];
        assert_eq!(nanos.map(|nanos| latency_shown(Duration::from_nanos(nanos))), shown);
        assert_eq!(latency_shown(Duration::MAX), "18446744073s");
    }

    #[test]
    fn a_report_without_calls_is_shown_with_zeros() {
        let none = |measurement: &Measurement| Figures::of(measurement, &Tally::default(), &Tally::default());
        let report = Report {
            version: "1",
            debug_build: true,
            machine: Machine::of(std::path::Path::new("/nowhere")),
            body_bytes: 256,
            threads: 2,
            seconds: 1,
            measurements: Measurement::all(2).iter().map(none).collect(),
        };
        let rows = report.shown();
        assert!(
            rows.contains("post 1 by 2, sync        0           0     0ns   0ns    0ns       0      -\n"),
            "{rows}"
        );
        assert!(
            rows.contains("run      zaqar-sled 1 (a debug build), bodies of 256 B, 2 threads, 1 second\n"),
            "{rows}"
        );
        assert!(serde_json::to_string(&report).unwrap().contains("\"calls\":0,\"calls_per_s\":0"));
    }
}
