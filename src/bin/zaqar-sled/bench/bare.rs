//! The bare counterparts: the system calls that a call of the store cannot do without.
//!
//! 1. A file is never longer than [`SPACE`]: a slice ends when its file is full.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::Mutex;

use super::noise::random_bytes;
use super::slices::Work;
use super::stop::Stop;
use crate::failure::Failure;

/// A file that is written front to back.
#[derive(Debug)]
pub(crate) struct Bare {
    file: File,
    /// The bytes of each write of a call.
    writes: Vec<usize>,
    bytes: Vec<u8>,
    offset: Mutex<u64>,
    /// Whether each call is synced.
    is_synced: bool,
}

impl Bare {
    /// A file that grows with every write.
    pub(crate) fn growing(folder: &Path, writes: Vec<usize>) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(folder.join(FILE))?;
        let bytes = random_bytes(writes.iter().copied().max().unwrap_or(0));
        Ok(Self { file, writes, bytes, offset: Mutex::default(), is_synced: false })
    }

    /// A file that was written out before, as the segments of a journal are, whose calls are synced.
    pub(crate) fn synced(folder: &Path, writes: Vec<usize>, stop: &Stop) -> io::Result<Self> {
        let bare = Self { is_synced: true, ..Self::growing(folder, writes)? };
        let zeros = vec![0; 1 << 20];
        for offset in (0..SPACE).step_by(zeros.len()).take_while(|_| !stop.is_set()) {
            bare.file.write_all_at(&zeros, offset)?;
        }
        bare.file.sync_all()?;
        Ok(bare)
    }

    /// Begins at the start of the file again; says how many calls it has space for.
    fn restart(&self) -> io::Result<u64> {
        *self.offset.lock() = 0;
        if !self.is_synced {
            self.file.set_len(0)?;
        }
        let call_bytes = self.writes.iter().sum::<usize>() as u64;
        Ok((SPACE / call_bytes.max(1)).max(1))
    }

    /// The writes of a call, and their sync.
    fn write_and_sync(&self) -> io::Result<()> {
        let mut offset = self.offset.lock();
        for bytes in &self.writes {
            let bytes = self.bytes.get(..*bytes).unwrap_or(&self.bytes);
            self.file.write_all_at(bytes, *offset)?;
            *offset += bytes.len() as u64;
        }
        if self.is_synced { self.file.sync_data() } else { Ok(()) }
    }
}

impl Work for Bare {
    fn prepare(&self, _: &Stop) -> Result<u64, Failure> {
        self.restart().map_err(failed)
    }

    fn call(&self) -> Result<(), Failure> {
        self.write_and_sync().map_err(failed)
    }
}

fn failed(source: io::Error) -> Failure {
    Failure::Path { path: "the file of the bare calls".into(), source }
}

/// The longest that a file gets, in bytes.
pub(crate) const SPACE: u64 = 32 << 20;

const FILE: &str = "bare";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_file_has_the_bytes_of_the_calls_and_starts_again_empty() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let bare = Bare::growing(folder.path(), vec![100, 20])?;
        let len = || Ok::<_, io::Error>(folder.path().join(FILE).metadata()?.len());
        assert_eq!(bare.restart()?, SPACE / 120);
        (0..5).try_for_each(|_| bare.write_and_sync())?;
        assert_eq!(len()?, 600);
        bare.restart()?;
        assert_eq!(len()?, 0);
        Ok(())
    }

    #[test]
    fn synced_calls_are_in_space_that_was_written_out() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let bare = Bare::synced(folder.path(), vec![64], &Stop::default())?;
        assert_eq!(bare.restart()?, SPACE / 64);
        (0..40).try_for_each(|_| bare.write_and_sync())?;
        let content = std::fs::read(folder.path().join(FILE))?;
        assert_eq!(content.len() as u64, SPACE);
        assert!(content[..2560].chunks(64).all(|written| written == bare.bytes));
        assert!(content[2560..].iter().all(|byte| *byte == 0));
        Ok(())
    }
}
