//! The table of results and its targets.

use std::borrow::Cow;
use std::fmt;

use crate::rounds::{Pairs, median};

#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    failed: Vec<String>,
}

/// One row: a measurement and its reference.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: Cow<'static, str>,
    pub(crate) unit: Unit,
    pub(crate) beside: &'static str,
    pub(crate) pairs: Pairs,
    pub(crate) target: Option<Target>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    MessagesASecond,
    CallsASecond,
    Seconds,
    Bytes,
    BytesAQueue,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// At least so much of the reference.
    Ratio(f64),
    /// At least so many a second.
    Rate(f64),
    /// At least so many a second in every round, not only in the median one.
    Sustained(f64),
    /// In less than so many seconds.
    Within(f64),
    /// At most so many times the reference.
    Times(f64),
    /// At most so many bytes.
    Bytes(f64),
    /// Not farther from the reference than this part of it.
    Near(f64),
}

impl Table {
    /// Adds a row and prints it.
    pub(crate) fn add(&mut self, row: Row) {
        if self.rows.is_empty() {
            println!("{HEAD}\n{RULE}");
        }
        println!("{row}");
        self.rows.push(row);
    }

    pub(crate) fn missed(&self) -> bool {
        !self.failed.is_empty() || self.rows.iter().any(|row| row.met() == Some(false))
    }

    /// Records that a group failed; the other groups are measured anyway.
    pub(crate) fn fail(&mut self, group: &str, error: &dyn std::error::Error) {
        let failed = format!("{group} ({error})");
        println!("failed: {failed}");
        self.failed.push(failed);
    }
}

impl Row {
    /// A row without a reference.
    pub(crate) fn of(
        name: impl Into<Cow<'static, str>>,
        unit: Unit,
        measured: Vec<f64>,
        target: impl Into<Option<Target>>,
    ) -> Self {
        let pairs = Pairs { measured, reference: Vec::new() };
        Self { name: name.into(), unit, beside: "none", pairs, target: target.into() }
    }

    /// Adds a reference to the row.
    pub(crate) fn beside(mut self, what: &'static str, reference: Vec<f64>) -> Self {
        (self.beside, self.pairs.reference) = (what, reference);
        self
    }

    fn met(&self) -> Option<bool> {
        let value = median(&self.pairs.measured);
        self.target.map(|target| match target {
            Target::Ratio(least) => self.pairs.ratio() >= least,
            Target::Rate(least) => value >= least,
            Target::Sustained(least) => self.pairs.measured.iter().all(|value| *value >= least),
            Target::Within(most) => value < most,
            Target::Times(most) => self.pairs.ratio() <= most,
            Target::Bytes(most) => value <= most,
            Target::Near(part) => (self.pairs.ratio() - 1.0).abs() <= part,
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missed = self.rows.iter().filter(|row| row.met() == Some(false)).map(|row| &*row.name);
        let missed: Vec<_> = self.failed.iter().map(String::as_str).chain(missed).collect();
        match missed.as_slice() {
            [] => write!(f, "every target is met"),
            missed => write!(f, "missed: {}", missed.join("; ")),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pairs { measured, reference } = &self.pairs;
        let value = |value: f64| self.unit.show(value);
        let low = measured.iter().copied().fold(f64::INFINITY, f64::min);
        let high = measured.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let spread = format!("{}-{}", value(low), value(high));
        let (beside, ratio) = if reference.is_empty() {
            (String::new(), String::new())
        } else {
            (value(median(reference)), format!("{:.2}", self.pairs.ratio()))
        };
        let target = self.target.map(|target| target.to_string()).unwrap_or_default();
        let verdict = self.met().map_or("", |met| if met { "met" } else { "MISSED" });
        let (median, name, against) = (value(median(measured)), &self.name, self.beside);
        write!(
            f,
            "| {name:<44} | {median:>11} | {spread:>21} | {beside:>11} | {ratio:>6} | {target:<14} | {verdict:<6} | {against} |"
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(least) => write!(f, ">= {least:.2}"),
            Self::Rate(least) => write!(f, ">= {}", Unit::CallsASecond.show(*least)),
            Self::Sustained(least) => write!(f, "each >= {}", Unit::CallsASecond.show(*least)),
            Self::Within(most) => write!(f, "< {}", Unit::Seconds.show(*most)),
            Self::Times(most) => write!(f, "<= {most} x"),
            Self::Bytes(most) => write!(f, "<= {}", Unit::Bytes.show(*most)),
            Self::Near(part) => write!(f, "within {:.0}%", part * 100.0),
        }
    }
}

impl Unit {
    fn show(self, value: f64) -> String {
        let suffix = if self == Self::MessagesASecond { " m/s" } else { "/s" };
        match (self, value) {
            (Self::Seconds, ..1e-5) => format!("{:.1} us", value * 1e6),
            (Self::Seconds, ..0.001) => format!("{:.0} us", value * 1e6),
            (Self::Seconds, ..0.01) => format!("{:.1} ms", value * 1e3),
            (Self::Seconds, ..1.0) => format!("{:.0} ms", value * 1e3),
            (Self::Seconds, _) => format!("{value:.2} s"),
            (Self::BytesAQueue, _) => format!("{value:.0} B/queue"),
            (Self::Bytes, ..1e6) => format!("{:.0} KiB", value / 1024.0),
            (Self::Bytes, _) => format!("{:.0} MiB", value / 1_048_576.0),
            (_, ..1e3) => format!("{value:.0}{suffix}"),
            (_, ..1e6) => format!("{:.1}k{suffix}", value / 1e3),
            _ => format!("{:.2}M{suffix}", value / 1e6),
        }
    }
}

const HEAD: &str = "| row                                          |      median |        lowest-highest |   reference |  ratio | target         |        | reference is |";
const RULE: &str = "|---|---:|---:|---:|---:|---|---|---|";
