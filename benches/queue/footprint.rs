//! The memory and disk space of a process and its store, and waiting until they are idle.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use zaqar_sled::Engine;

use crate::Result;

/// Bytes of this process in memory.
pub(crate) fn memory() -> Result<f64> {
    of_status("VmRSS:")
}

/// The most of this process that was in memory so far.
pub(crate) fn peak_memory() -> Result<f64> {
    of_status("VmHWM:")
}

/// The allocated bytes of the files under `path`, which may differ from their lengths.
pub(crate) fn disk(path: &Path) -> Result<f64> {
    let mut blocks = 0;
    each_file(path, &mut |file| blocks += file.blocks())?;
    // A block is 512 bytes here, whatever the file system's are.
    Ok(to_f64(blocks * 512))
}

/// Watches the disk space during other work.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Watch {
    pub(crate) fn start(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, path) = (stop.clone(), path.to_owned());
        let thread = thread::spawn(move || watch(&path, &stopped));
        Self { stop, thread }
    }

    /// The most that was on disk.
    pub(crate) fn end(self) -> Result<f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the watch panicked".into())
    }
}

/// Waits until housekeeping is idle: no change on disk, and no thread works. Returns the seconds until then.
///
/// Gives up after a minute.
pub(crate) fn rest(engine: &Engine, path: &Path) -> Result<f64> {
    let started = Instant::now();
    let (mut since, mut seen, mut worked) = (started, state(engine, path)?, ticks()?);
    while since.elapsed() < QUIET && started.elapsed() < PATIENCE {
        thread::sleep(LOOK);
        let now = state(engine, path)?;
        if now != seen || ticks()? > worked + FEW_TICKS {
            (since, seen, worked) = (Instant::now(), now, ticks()?);
        }
    }
    Ok((since - started).as_secs_f64())
}

/// A count as a float; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}

/// The state that housekeeping changes.
fn state(engine: &Engine, path: &Path) -> Result<impl PartialEq + use<>> {
    let status = engine.status();
    let written = (status.appended_lsn(), status.checkpoint_lsn(), status.snapshot_lsn());
    let pages = (status.memory_bytes(), status.cold_pages(), status.page_file_bytes());
    Ok((disk(path)?, status.journal_bytes(), written, pages))
}

/// Calls `see` with every file under `path` that still exists when it is visited.
fn each_file(path: &Path, see: &mut impl FnMut(&fs::Metadata)) -> Result<()> {
    let gone = |e: &std::io::Error| e.kind() == ErrorKind::NotFound;
    let mut folders: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(e) if gone(&e) => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Err(e) if gone(&e) => {}
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                found => see(&found?),
            }
        }
    }
    Ok(())
}

fn watch(path: &Path, stopped: &AtomicBool) -> f64 {
    let mut most = 0.0_f64;
    while !stopped.load(Ordering::Relaxed) {
        // A failed measurement is ignored; the next one follows.
        most = most.max(disk(path).unwrap_or(0.0));
        thread::sleep(LOOK);
    }
    most
}

/// A line of `/proc/self/status`, in bytes.
fn of_status(key: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).ok_or("no such line in the status")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(to_f64(kib << 10))
}

/// The processor time of this process, in ticks of 10 ms.
fn ticks() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name, which may hold anything but ends with the last bracket.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?)
}

const LOOK: Duration = Duration::from_millis(50);
/// The time without a change that counts as idle: three times the longest wait of the engine itself.
const QUIET: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(60);
/// The measurement itself takes a little time.
const FEW_TICKS: u64 = 10;

/// A mebibyte.
pub(crate) const MIB: f64 = 1_048_576.0;
