//! Work in a process of its own, so that its memory is measured alone and it can be killed.
//!
//! This program starts itself with `--child JOB ARGUMENT...`. The job prints its results, one name with values a line.
//! The parent reads until the output ends, or until the job prints that it is ready to be killed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use crate::Result;

/// The function of a job.
pub(crate) type Job = fn(&Arguments) -> Result<()>;

/// The arguments of a job, by position.
pub(crate) struct Arguments(Vec<String>);

/// The results that a job has printed.
#[derive(Debug, Default)]
pub(crate) struct Report(BTreeMap<String, Vec<f64>>);

/// Has the job done and waits for the end of its process.
pub(crate) fn run(job: &str, arguments: &[&dyn Display]) -> Result<Report> {
    let mut child = start(job, arguments)?;
    let (report, _) = read(&mut child)?;
    if child.wait()?.success() { Ok(report) } else { Err(format!("the job {job} failed").into()) }
}

/// Has the job done and kills its process once it has called [`until_killed`].
pub(crate) fn run_and_kill(job: &str, arguments: &[&dyn Display]) -> Result<Report> {
    let mut child = start(job, arguments)?;
    let (report, ready) = read(&mut child)?;
    child.kill()?;
    child.wait()?;
    if ready { Ok(report) } else { Err(format!("the job {job} ended before it could be killed").into()) }
}

/// Does the job this process was started for, if it was started for one.
pub(crate) fn serve(arguments: &[String], jobs: &[(&str, Job)]) -> Option<Result<()>> {
    let [flag, name, rest @ ..] = arguments else { return None };
    if flag != FLAG {
        return None;
    }
    let job = jobs.iter().find(|(known, _)| known == name);
    Some(job.map_or_else(|| Err(format!("no job {name}").into()), |(_, job)| job(&Arguments(rest.to_vec()))))
}

/// Prints a result for the parent.
pub(crate) fn say(name: &str, values: &[f64]) {
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    println!("{name} {}", values.join(" "));
}

/// Waits until the process is killed, or until the parent has ended.
pub(crate) fn until_killed() -> Result<()> {
    println!("{READY}");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

impl Arguments {
    pub(crate) fn text(&self, at: usize) -> Result<&str> {
        self.0.get(at).map(String::as_str).ok_or_else(|| "a job with too few arguments".into())
    }

    pub(crate) fn value<T: FromStr>(&self, at: usize) -> Result<T> {
        self.text(at)?.parse().map_err(|_| "an argument that is not what the job takes".into())
    }
}

impl Report {
    /// The values said under a name.
    pub(crate) fn all(&self, name: &str) -> Result<Vec<f64>> {
        self.0.get(name).cloned().ok_or_else(|| format!("the job said nothing of {name}").into())
    }

    /// The one value said under a name.
    pub(crate) fn one(&self, name: &str) -> Result<f64> {
        self.all(name)?.first().copied().ok_or_else(|| format!("the job has no value for {name}").into())
    }
}

fn start(job: &str, arguments: &[&dyn Display]) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([FLAG, job]).args(arguments.iter().map(ToString::to_string));
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

/// Reads the child's results, and whether it then waits to be killed.
fn read(child: &mut Child) -> Result<(Report, bool)> {
    let output = child.stdout.take().ok_or("a child without output")?;
    let mut report = Report::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if line == READY {
            return Ok((report, true));
        }
        let mut fields = line.split(' ');
        let name = fields.next().unwrap_or_default().to_owned();
        report.0.entry(name).or_default().extend(fields.filter_map(|field| field.parse::<f64>().ok()));
    }
    Ok((report, false))
}

/// The argument that makes a process a child.
const FLAG: &str = "--child";
const READY: &str = "ready-to-be-killed";
