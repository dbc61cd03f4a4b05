//! Runs the units: in every round every store takes its turn, zaqar-sled first and last, so that other load of the machine
//! affects all.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::Result;
use crate::figure::Figure;
use crate::results::Results;
use crate::store::{Kind, Role};
use crate::units::{Place, Scale, Unit};

pub(crate) struct Rounds<'a> {
    pub(crate) scale: &'a Scale,
    pub(crate) units: Vec<&'static Unit>,
    pub(crate) kinds: Vec<&'static Kind>,
    /// Where the stores are made.
    pub(crate) directory: &'a Path,
    /// Gets every figure of every run as a line of JSON.
    pub(crate) lines: Option<File>,
}

impl Rounds<'_> {
    pub(crate) fn run(mut self) -> Result<Results> {
        let mut results = Results::default();
        for unit in self.units.clone() {
            eprintln!("{}: {}", unit.name, unit.what);
            let rounds = if unit.long { self.scale.long_rounds } else { self.scale.rounds };
            for round in 0..rounds {
                for kind in self.turns(unit) {
                    match self.once(unit, kind) {
                        Ok(figures) => {
                            self.record(kind, round, &figures)?;
                            results.add(kind.name, round, figures);
                        }
                        Err(error) => results.fail(format!("{} on {}: {error}", unit.name, kind.name)),
                    }
                }
            }
        }
        Ok(results)
    }

    /// The stores that a unit suits, in the order of their turns.
    fn turns(&self, unit: &Unit) -> Vec<&'static Kind> {
        let suited = self.kinds.iter().copied().filter(|kind| (unit.suits)(kind));
        let last = self.kinds.iter().copied().filter(|kind| kind.role == Role::Ours);
        suited.chain(last).collect()
    }

    fn once(&self, unit: &'static Unit, kind: &'static Kind) -> Result<Vec<Figure>> {
        let directory = TempDir::new_in(self.directory)?;
        let place =
            Place { unit: unit.name, kind, directory: directory.path(), safety: unit.safety, scale: self.scale };
        (unit.run)(&place)
    }

    fn record(&mut self, kind: &Kind, round: u64, figures: &[Figure]) -> Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        for Figure { name, value, measure } in figures {
            let line = json!({
                "scale": self.scale.name, "unit": name, "store": kind.name, "round": round,
                "value": value, "measure": measure.name(),
            });
            writeln!(lines, "{line}")?;
        }
        Ok(())
    }
}
