//! A backlog that grows without a reader and is drained afterwards, in a process of its own, so that its memory can be
//! measured.

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use super::claims::take;
use super::disk::{MEBIBYTE, bytes_under};
use super::{Place, Scale};
use crate::bodies::{Bodies, LONG, USUAL};
use crate::figure::{Figure, Measure, to_f64};
use crate::store::Safety;
use crate::{Result, stores};

/// Runs this program as a child, which prints its figures.
pub(super) fn run(place: &Place<'_>) -> Result<Vec<Figure>> {
    let mut child = Command::new(env::current_exe()?);
    child.args(["child", place.scale.name, place.kind.name]).arg(place.directory);
    let output = child.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let values = String::from_utf8(output.stdout)?;
    let mut figures = Vec::new();
    for ((name, measure), value) in FIGURES.into_iter().zip(values.lines()) {
        figures.push(Figure::new(format!("{}-{name}", place.unit), value.parse()?, measure));
    }
    Ok(figures)
}

/// The child.
pub(crate) fn serve(scale: &Scale, store: &str, directory: &Path) -> Result<()> {
    let kind = stores::named(store).ok_or("no such store")?;
    let store = (kind.open)(directory, Safety::Killed)?;
    let queue = store.queue("queue")?;
    let mut bodies = Bodies::of(USUAL);
    let (started, mut slowest, mut window, mut in_window) = (Instant::now(), f64::INFINITY, Instant::now(), 0);
    for _ in 0..scale.sustained / 10 {
        queue.post(bodies.next(10), LONG)?;
        in_window += 10;
        if window.elapsed() >= scale.window {
            slowest = slowest.min(to_f64(in_window) / window.elapsed().as_secs_f64());
            (window, in_window) = (Instant::now(), 0);
        }
    }
    let posted = to_f64(scale.sustained) / started.elapsed().as_secs_f64();
    let peak = to_f64(bytes_under(directory)?) / MEBIBYTE;
    let started = Instant::now();
    let end = |claim: Box<dyn crate::store::Claim>| {
        claim.delete_all()?;
        claim.release()
    };
    while take(&*queue, 10, end)? > 0 {}
    let drained = to_f64(scale.sustained) / started.elapsed().as_secs_f64();
    drop(queue);
    store.close()?;
    let rest = to_f64(bytes_under(directory)?) / MEBIBYTE;
    for value in [posted, slowest.min(posted), drained, resident_peak()?, peak, rest] {
        println!("{value}");
    }
    Ok(())
}

/// The most memory that this process ever had, in MiB.
fn resident_peak() -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

const FIGURES: [(&str, Measure); 6] = [
    ("post", Measure::PerSecond),
    ("slowest", Measure::PerSecond),
    ("drain", Measure::PerSecond),
    ("memory", Measure::Mebibytes),
    ("disk", Measure::Mebibytes),
    ("disk-after", Measure::Mebibytes),
];
