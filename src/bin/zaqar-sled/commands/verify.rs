//! `verify`: checks a store.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{PoolName, PooledDriver, Project, Verification};

use crate::exit::Exit;
use crate::failure::{Failure, Unseen};
use crate::opened::Opened;
use crate::output::{self, Output};
use crate::plain;
use crate::quantity::counted;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    /// Open the store too, and compare its trees. This may change files, and the store must not be in use.
    #[arg(long)]
    trees: bool,
}

/// The outcome.
#[derive(Debug, Default, Serialize)]
struct Report {
    sound: bool,
    queues: u64,
    messages: u64,
    records: u64,
    findings: Vec<String>,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let report = match self.check() {
            Err(Failure::Damaged { source, .. }) => Report { findings: vec![source.to_string()], ..Report::default() },
            report => report?,
        };
        output::even_unread(self.output.document(&report, Report::shown))?;
        Ok(if report.sound { Exit::Done } else { Exit::Damaged })
    }

    fn check(&self) -> Result<Report, Failure> {
        let report = self.store.look(Report::of)?;
        if !self.trees || !report.sound {
            return Ok(report);
        }
        let store = self.store.open(&Project::none(), false)?;
        let verification = match &store {
            Opened::Engine(engine) => engine.verify()?,
            Opened::Pooled(driver) => verify_all(driver)?,
        };
        store.close()?;
        Ok(Report::default().plus(None, &verification))
    }
}

/// Verifies the stores of all pools too, each of which must be open.
fn verify_all(driver: &PooledDriver) -> Result<Verification, Failure> {
    for (pool, opening) in driver.pool_recoveries() {
        opening.map_err(|error| Failure::Unseen(Unseen::of(&pool, &Failure::Store(error))))?;
    }
    Ok(driver.verify()?)
}

impl Report {
    /// The report on a store and the stores of its pools.
    fn of(view: &View) -> Result<Self, Failure> {
        let mut report = Self::default().plus(None, &view.store().verify()?);
        for (name, pool) in view.pools() {
            report = report.plus(Some(name), &pool.verify()?);
        }
        for unseen in view.unseen() {
            if unseen.exit != Exit::Damaged {
                return Err(Failure::Unseen(unseen.clone()));
            }
            report.findings.push(format!("pool {}: {}", unseen.pool, unseen.reason));
        }
        Ok(Self { sound: report.findings.is_empty(), ..report })
    }

    fn plus(mut self, pool: Option<&PoolName>, verification: &Verification) -> Self {
        let pool = pool.map(|pool| format!("pool {}: ", plain::name(pool.as_str()))).unwrap_or_default();
        self.findings.extend(verification.findings().iter().map(|finding| format!("{pool}{finding}")));
        Self {
            sound: self.findings.is_empty(),
            queues: self.queues.saturating_add(verification.queues()),
            messages: self.messages.saturating_add(verification.messages()),
            records: self.records.saturating_add(verification.records()),
            findings: self.findings,
        }
    }

    fn shown(&self) -> String {
        let trees = format!(", and {} of the trees compared", counted(self.records, "record"));
        let trees = if self.records > 0 { trees.as_str() } else { "" };
        let findings = self.findings.iter().map(|finding| plain::body(finding.as_bytes()));
        let lines =
            [format!("read {} and {}{trees}", counted(self.queues, "queue"), counted(self.messages, "message"))];
        let lines = lines.into_iter().chain(findings.map(|finding| format!("damaged: {finding}")));
        let verdict = if self.sound { "the store is sound" } else { SALVAGE };
        lines.chain([verdict.into()]).map(|line| line + "\n").collect()
    }
}

const SALVAGE: &str = "the store is damaged: an opening may mend it if it was closed cleanly, else `zaqar-sled salvage` \
                       opens it with all that is intact";
