//! `bench`: what this machine and this disk give.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use zaqar_sled::{Config, Durability};

use crate::arguments;
use crate::bench::{self, Figures, LARGEST_BODY, MOST_THREADS, Machine, Measurement, Report, Scratch, Slices, Stop};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity;
use crate::say;
use crate::waiting::Waiting;

/// The arguments of `bench`.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The directory in which the store is made and removed again; its disk is measured.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// The time of all measurements together, in seconds, up to 600.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,

    /// The size of a body, up to 16KiB.
    #[arg(long, value_name = "SIZE", default_value = "256", value_parser = parse_body)]
    body: u64,

    /// Number of threads of the last measurement, up to 64 [default: one for each core].
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST_THREADS as u64))]
    threads: Option<usize>,

    #[command(flatten)]
    output: Output,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let stop = Stop::at_signals()?;
        let scratch = Scratch::new(&self.dir, bench::space(self.body))?;
        let report = self.measure(scratch.path(), &stop);
        drop(scratch);
        if let Some(signal) = stop.signal() {
            say(format_args!("stopped; nothing is left in {}", self.dir.display()));
            return Ok(ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)));
        }
        self.output.document(&report?, Report::shown)?;
        Ok(Exit::Done.into())
    }

    /// The store is closed when this returns.
    fn measure(&self, folder: &Path, stop: &Stop) -> Result<Report, Failure> {
        let _waiting = Waiting::on("measuring");
        let (machine, threads) = (Machine::of(&self.dir), self.threads());
        let all = Measurement::all(threads);
        let each = Duration::from_secs(self.seconds) / u32::try_from(all.len()).unwrap_or(u32::MAX);
        let slices = Slices::new(each, stop.clone());
        let body = bench::random_bytes(usize::try_from(self.body).unwrap_or(usize::MAX));
        let store = folder.join("store");
        let opened = Config::new().durability(Durability::Buffered).open(&store);
        let engine = opened.map_err(|source| Failure::of_store(&store, source))?;
        let going = all.iter().take_while(|_| !stop.is_set());
        let measured = going.map(|measurement| bench::compare(measurement, &engine, folder, &body, &slices));
        let measurements = measured.collect::<Result<Vec<Figures>, _>>();
        let closed = engine.close();
        let (version, body_bytes, seconds) = (env!("CARGO_PKG_VERSION"), self.body, self.seconds);
        let (measurements, debug_build) = (measurements?, cfg!(debug_assertions));
        closed?;
        Ok(Report { version, debug_build, machine, body_bytes, threads, seconds, measurements })
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| arguments::cores().min(MOST_THREADS))
    }
}

fn parse_body(text: &str) -> Result<u64, String> {
    let bytes = quantity::parse_size(text)?;
    let is_fit = (1..=LARGEST_BODY).contains(&bytes);
    if is_fit { Ok(bytes) } else { Err(format!("not between 1 and {LARGEST_BODY} bytes")) }
}
