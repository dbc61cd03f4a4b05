//! `verify`: checks a store.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{Config, Verification};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::plain;
use crate::quantity::counted;
use crate::store_path::StorePath;

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
            Ok(verification) => Report::of(&verification),
            Err(Failure::Damaged { source, .. }) => Report { findings: vec![source.to_string()], ..Report::default() },
            Err(failure) => return Err(failure),
        };
        self.output.document(&report, Report::shown)?;
        Ok(if report.sound { Exit::Done } else { Exit::Damaged })
    }

    fn check(&self) -> Result<Verification, Failure> {
        let verification = self.store.look(|inspection| Ok(inspection.verify()?))?;
        if !self.trees || !verification.is_sound() {
            return Ok(verification);
        }
        let engine = self.store.open_engine(Config::new(), false)?;
        let verification = engine.verify()?;
        engine.close()?;
        Ok(verification)
    }
}

impl Report {
    fn of(verification: &Verification) -> Self {
        Self {
            sound: verification.is_sound(),
            queues: verification.queues(),
            messages: verification.messages(),
            records: verification.records(),
            findings: verification.findings().to_vec(),
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

const SALVAGE: &str = "the store is damaged: `zaqar-sled salvage` opens it with all that is intact";
