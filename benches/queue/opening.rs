//! Opening a store of a million messages, after a kill and after a clean close.

use std::fs;
use std::path::Path;
use std::time::Instant;

use zaqar_sled::{ClaimOptions, ClientId, Durability, Engine, Metadata, Project, RecoverySource};

use crate::Result;
use crate::child::{self, Arguments};
use crate::rounds::{Pairs, Rounds};
use crate::scratch::{self, fill};
use crate::table::{Row, Table, Target, Unit};

/// The job of the process that is killed.
pub(crate) const FILL: &str = "fill-until-killed";

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    let (folder, unit) = (scratch::folder()?, Unit::Seconds);
    let killed = folder.path().join("killed");
    child::run_and_kill(FILL, &[&killed.display()])?;
    let [mut rebuild, mut close, mut clean] = [(); 3].map(|()| Pairs::default());
    for _ in 0..ROUNDS.min(rounds.count) {
        let copy = folder.path().join("copy");
        copy_all(&killed, &copy)?;
        rebuild.measured.push(opened(&copy, RecoverySource::Journal, |engine, took| {
            let closing = Instant::now();
            engine.close()?;
            close.measured.push(closing.elapsed().as_secs_f64());
            Ok(took)
        })?);
        rebuild.reference.push(read_all(&killed)?);
        close.reference.push(write_all(&copy)?);
        clean.measured.push(opened(&copy, RecoverySource::Trees, |_, took| Ok(took))?);
        clean.reference.push(read_all(&copy)?);
        fs::remove_dir_all(&copy)?;
    }
    let target = Some(Target::Within(3.0));
    let (name, beside) = ("open 1M in 10 queues after a kill, first claim", "reading its files");
    table.add(Row { name: name.into(), unit, beside, pairs: rebuild, target });
    let (name, beside) = ("close it: everything into the trees", "writing and syncing as many bytes");
    table.add(Row { name: name.into(), unit, beside, pairs: close, target: None });
    let (name, beside) = ("open it after the close, first claim", "reading its files");
    let target = Some(Target::Within(0.1));
    table.add(Row { name: name.into(), unit, beside, pairs: clean, target });
    Ok(())
}

/// The seconds from opening to the first claim, by way of `then`.
fn opened(path: &Path, source: RecoverySource, then: impl FnOnce(&Engine, f64) -> Result<f64>) -> Result<f64> {
    let started = Instant::now();
    let engine = scratch::open(path, Durability::Buffered)?;
    let claim = engine.queue(Project::none(), "0")?.claim(ClaimOptions::new())?;
    let took = started.elapsed().as_secs_f64();
    claim.ok_or("nothing to claim")?.release()?;
    let (found, messages) = (engine.recovery(), engine.status().messages());
    if found.source() != source || messages != MESSAGES {
        return Err(format!("not the store that was left: {messages} messages, {found}").into());
    }
    then(&engine, took)
}

/// The work of the process before it is killed: fills a store.
pub(crate) fn fill_until_killed(arguments: &Arguments) -> Result<()> {
    let engine = scratch::open(Path::new(arguments.text(0)?), Durability::Buffered)?;
    let client = ClientId::random();
    let queues = (0..QUEUES).map(|number| engine.queue(Project::none(), number.to_string()));
    let queues = queues.collect::<zaqar_sled::Result<Vec<_>>>()?;
    queues.iter().try_for_each(|queue| queue.create(Metadata::new()).map(drop))?;
    for _ in 0..MESSAGES / QUEUES / TURN {
        queues.iter().try_for_each(|queue| fill(queue, client, TURN))?;
    }
    child::until_killed()
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// The seconds that reading every file under `path` takes.
fn read_all(path: &Path) -> Result<f64> {
    let started = Instant::now();
    let mut buffer = vec![0; 1 << 20];
    for file in files(path)? {
        let mut file = fs::File::open(file)?;
        while std::io::Read::read(&mut file, &mut buffer)? > 0 {}
    }
    Ok(started.elapsed().as_secs_f64())
}

/// The seconds that writing and syncing as many bytes as the trees under `path` takes.
fn write_all(path: &Path) -> Result<f64> {
    let bytes: u64 = files(path)?
        .iter()
        .filter(|file| file.to_string_lossy().contains("trees-"))
        .try_fold(0, |sum, file| -> Result<u64> { Ok(sum + fs::metadata(file)?.len()) })?;
    let started = Instant::now();
    let mut bare = crate::bare::Bare::growing(path)?;
    for _ in 0..bytes >> 20 {
        bare.write(1 << 20)?;
    }
    bare.sync()?;
    let took = started.elapsed().as_secs_f64();
    bare.restart()?;
    Ok(took)
}

fn files(path: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(self::files(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

const MESSAGES: u64 = 1_000_000;
const QUEUES: u64 = 10;
/// Messages one queue gets before it is the next one's turn.
const TURN: u64 = 1_000;
const ROUNDS: usize = 3;
