//! The figures of all runs, and the tables of them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::Result;
use crate::figure::{Figure, Measure, median, to_f64};
use crate::store::Role;
use crate::stores;

#[derive(Default)]
pub(crate) struct Results {
    /// In the order of the units.
    rows: Vec<Row>,
    failed: Vec<String>,
}

/// One figure of all stores.
struct Row {
    name: String,
    measure: Measure,
    /// By store, the round and the value of every run.
    runs: BTreeMap<String, Vec<(u64, f64)>>,
}

/// How many times better zaqar-sled is than another store.
struct Ratio {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Results {
    /// The figures of a file that an earlier run has written.
    pub(crate) fn read(&mut self, lines: &str) -> Result<()> {
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line)?;
            let text = |name: &str| line.get(name).and_then(Value::as_str).ok_or("a line without its text");
            let value = line.get("value").and_then(Value::as_f64).ok_or("a line without a value")?;
            let round = line.get("round").and_then(Value::as_u64).ok_or("a line without a round")?;
            let measure = Measure::named(text("measure")?).ok_or("a line with an unknown measure")?;
            self.add(text("store")?, round, vec![Figure::new(text("unit")?, value, measure)]);
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, store: &str, round: u64, figures: Vec<Figure>) {
        for Figure { name, value, measure } in figures {
            let at = self.rows.iter().position(|row| row.name == name).unwrap_or(self.rows.len());
            if at == self.rows.len() {
                self.rows.push(Row { name, measure, runs: BTreeMap::new() });
            }
            if let Some(row) = self.rows.get_mut(at) {
                row.runs.entry(store.to_owned()).or_default().push((round, value));
            }
        }
    }

    pub(crate) fn fail(&mut self, failure: String) {
        eprintln!("failed: {failure}");
        self.failed.push(failure);
    }

    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Each row: zaqar-sled, the best peer and the log's bound.
    fn comparison(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\n{RULE}")?;
        self.rows.iter().try_for_each(|row| row.compare(f))?;
        let slower: Vec<&str> = self.rows.iter().filter(|row| row.is_behind()).map(|row| row.name.as_str()).collect();
        let slower = if slower.is_empty() { "nothing".to_owned() } else { slower.join(", ") };
        writeln!(f, "\nA peer is better at: {slower}.")
    }

    /// All medians: the stores are the rows, and the units are the columns of several tables.
    fn medians(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rows in self.rows.chunks(COLUMNS) {
            write!(f, "\n| store      |")?;
            rows.iter().try_for_each(|row| write!(f, " {:>WIDTH$} |", row.name))?;
            write!(f, "\n|---|")?;
            rows.iter().try_for_each(|_| f.write_str("---:|"))?;
            writeln!(f)?;
            for kind in stores::ALL {
                if rows.iter().any(|row| row.runs.contains_key(kind.name)) {
                    write!(f, "| {:<10} |", kind.name)?;
                    rows.iter().try_for_each(|row| write!(f, " {:>WIDTH$} |", row.cell(kind.name)))?;
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.comparison(f)?;
        self.medians(f)?;
        self.failed.iter().try_for_each(|failure| writeln!(f, "failed: {failure}"))
    }
}

impl Row {
    fn median(&self, store: &str) -> Option<f64> {
        let runs = self.runs.get(store)?;
        Some(median(&runs.iter().map(|(_, value)| *value).collect::<Vec<_>>()))
    }

    fn cell(&self, store: &str) -> String {
        self.median(store).map_or_else(|| "-".to_owned(), |value| self.measure.show(value))
    }

    /// The peer with the best median.
    fn best_peer(&self) -> Option<&'static str> {
        let mut best: Option<(&'static str, f64)> = None;
        for kind in stores::ALL.iter().filter(|kind| kind.role.is_peer()) {
            let Some(value) = self.median(kind.name) else { continue };
            if best.is_none_or(|(_, best)| self.measure.is_better(value, best)) {
                best = Some((kind.name, value));
            }
        }
        best.map(|(name, _)| name)
    }

    /// From the ratio of each round: the mean of zaqar-sled's runs, before and after the others, to the other's.
    fn ratio(&self, ours: &str, other: &str) -> Option<Ratio> {
        let (ours, other) = (self.runs.get(ours)?, self.runs.get(other)?);
        let mut ratios: Vec<f64> = Vec::new();
        for (round, of) in other {
            let same = || ours.iter().filter(|(at, _)| at == round).map(|(_, value)| *value);
            let mean = same().sum::<f64>() / to_f64(same().count() as u64);
            ratios.push(self.measure.ratio(mean, *of));
        }
        let (lowest, highest) =
            ratios.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(*ratio), high.max(*ratio)));
        Some(Ratio { median: median(&ratios), lowest, highest })
    }

    fn against(&self, other: &str) -> Option<Ratio> {
        self.ratio(ours()?, other)
    }

    fn is_behind(&self) -> bool {
        self.best_peer().and_then(|peer| self.against(peer)).is_some_and(|ratio| ratio.median < 1.0)
    }

    fn compare(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ours, best) = (ours().unwrap_or_default(), self.best_peer().unwrap_or("-"));
        let peer = self.against(best);
        let ratio = peer.as_ref().map_or_else(String::new, |ratio| two_digits(ratio.median));
        let range = |ratio: Ratio| format!("{}-{}", two_digits(ratio.lowest), two_digits(ratio.highest));
        let range = peer.map_or_else(String::new, range);
        let bound = self.against(BOUND).map_or_else(String::new, |ratio| two_digits(ratio.median));
        writeln!(
            f,
            "| {:<15} | {:>9} | {best:<10} | {:>9} | {ratio:>5} | {range:>11} | {:>9} | {bound:>5} |",
            self.name,
            self.cell(ours),
            self.cell(best),
            self.cell(BOUND),
        )
    }
}

fn ours() -> Option<&'static str> {
    stores::ALL.iter().find(|kind| kind.role == Role::Ours).map(|kind| kind.name)
}

fn two_digits(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.2}"),
        ..99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

const BOUND: &str = "memlog";
const COLUMNS: usize = 6;
const WIDTH: usize = 11;
const HEAD: &str = "| unit            |      ours | best peer  |      peer | ratio |       range |    memlog | ratio |";
const RULE: &str = "|---|---:|---|---:|---:|---:|---:|---:|";
