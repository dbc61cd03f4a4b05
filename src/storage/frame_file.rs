//! A file of frames like the journal's, one after another: the form of a snapshot and of an archive.
//!
//! The frames are numbered from 1 in place of LSNs, so that a frame is valid only in its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::disk::{Disk, DiskFile};
use crate::model::error::{Error, Result};
use crate::storage::codec;
use crate::storage::journal::frame::{self, HEADER_BYTES, MAX_BODY_BYTES, Stamp};
use crate::storage::journal::frame_buffer;
use crate::storage::journal::naming::SegmentId;
use crate::storage::journal::scan::Damage;
use crate::storage::reserve::{Need, Reserve};

const BUFFER_BYTES: usize = 1 << 20;

/// The disk space that a file takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Space<'a> {
    /// Free space only.
    Free(&'a Reserve),
    /// What the reserve holds back for a snapshot, if the disk has no other space.
    Reserved(&'a Reserve),
}

impl Space<'_> {
    fn take<T>(self, bytes: u64, work: impl FnMut() -> Result<T>) -> Result<T> {
        match self {
            Self::Free(reserve) => reserve.take_free(work),
            Self::Reserved(reserve) => reserve.spend(Need::Snapshot, bytes, work),
        }
    }
}

/// A file being written.
#[derive(Debug)]
pub(crate) struct FrameWriter<'a> {
    file: Arc<dyn DiskFile>,
    /// What it is, for errors.
    kind: &'static str,
    id: SegmentId,
    frames: u64,
    buffer: Vec<u8>,
    written: u64,
    space: Space<'a>,
}

impl<'a> FrameWriter<'a> {
    pub(crate) fn create(
        (disk, path): (&dyn Disk, &Path),
        kind: &'static str,
        id: SegmentId,
        space: Space<'a>,
    ) -> Result<Self> {
        let file = space.take(0, || disk.create(path).map_err(|e| Error::io(kind, e)))?;
        Ok(Self { file, kind, id, frames: 0, buffer: Vec::new(), written: 0, space })
    }

    /// The place of the next frame: its number and its offset.
    pub(crate) fn next(&self) -> (u64, u64) {
        (self.frames.saturating_add(1), self.written.saturating_add(self.buffer.len() as u64))
    }

    /// Appends a frame.
    pub(crate) fn push(&mut self, part: &impl Serialize) -> Result<()> {
        let mut bytes = frame_buffer(Vec::new());
        codec::encode_into(part, &mut bytes)?;
        let checksum = frame::body_checksum(&bytes)?;
        self.frames = self.frames.saturating_add(1);
        frame::seal(&mut bytes, self.id, Stamp { lsn: self.frames, incarnation: 0, synced: 0 }, checksum);
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.write_out() } else { Ok(()) }
    }

    /// Syncs; returns the file's size.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.write_out()?;
        self.file.sync_data().map_err(|e| Error::io(self.kind, e))?;
        Ok(self.written)
    }

    fn write_out(&mut self) -> Result<()> {
        let bytes = self.buffer.len() as u64;
        let write = || self.file.write_all_at(&self.buffer, self.written).map_err(|e| Error::io(self.kind, e));
        self.space.take(bytes, write)?;
        self.written = self.written.saturating_add(bytes);
        self.buffer.clear();
        Ok(())
    }
}

/// The damage of a file, or the error that prevented reading it.
#[derive(Debug)]
pub(crate) enum Fault {
    Damaged(Damage),
    Failed(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Damaged(damage) => damage.into(),
            Fault::Failed(error) => error,
        }
    }
}

/// Opens a file for reading; a missing one is damage.
pub(crate) fn open(disk: &dyn Disk, path: &Path, kind: &str) -> Result<Arc<dyn DiskFile>, Fault> {
    disk.open_read(path).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotFound {
            Fault::Damaged(Damage { file: path.into(), offset: 0, reason: format!("the {kind} is missing") })
        } else {
            Fault::Failed(Error::file("opening", path, cause))
        }
    })
}

/// The frames of a file from an offset on, through a window that grows only for a frame that needs it.
#[derive(Debug)]
pub(crate) struct FrameReader<'a> {
    file: &'a dyn DiskFile,
    path: &'a Path,
    id: SegmentId,
    window: Vec<u8>,
    /// The offset in the window at which the next frame starts.
    at: usize,
    /// The offset in the file at which the window starts.
    offset: u64,
    /// The number of the last frame.
    number: u64,
    /// The least bytes that are read at once.
    ahead: usize,
}

impl<'a> FrameReader<'a> {
    /// A reader of the whole file.
    pub(crate) fn new(file: &'a dyn DiskFile, path: &'a Path, id: SegmentId) -> Self {
        Self { file, path, id, window: Vec::new(), at: 0, offset: 0, number: 0, ahead: BUFFER_BYTES }
    }

    /// A reader from frame `number` on, which is at `offset`.
    pub(crate) fn from(self, (number, offset): (u64, u64)) -> Self {
        Self { offset, number: number.saturating_sub(1), ..self }
    }

    /// Reads at least `bytes` at once.
    pub(crate) fn by(self, bytes: usize) -> Self {
        Self { ahead: bytes, ..self }
    }

    /// The next frame's offset and body.
    pub(crate) fn next(&mut self) -> Result<(u64, &[u8]), Fault> {
        let needed = self.peek(HEADER_BYTES)?;
        let body_bytes = u32::from_le_bytes(codec::array_at(needed, 0).unwrap_or_default()) as usize;
        self.peek(HEADER_BYTES.saturating_add(body_bytes.min(MAX_BODY_BYTES)))?;
        let offset = self.offset.saturating_add(self.at as u64);
        self.number = self.number.saturating_add(1);
        let start = self.at;
        let frame = self.window.get(start..).and_then(|bytes| frame::parse(bytes, self.id));
        let Some(frame) = frame.filter(|frame| frame.stamp.lsn == self.number) else {
            let reason = "no frame that follows the one before".into();
            return Err(Fault::Damaged(Damage { file: PathBuf::from(self.path), offset, reason }));
        };
        self.at = self.at.saturating_add(frame.bytes());
        Ok((offset, frame.body))
    }

    /// Makes sure that the window has `bytes` from the next frame on, or all up to the end of the file.
    fn peek(&mut self, bytes: usize) -> Result<&[u8], Fault> {
        if self.window.len().saturating_sub(self.at) < bytes {
            self.window.drain(..self.at);
            self.offset = self.offset.saturating_add(self.at as u64);
            self.at = 0;
            let filled = self.fill(bytes.max(self.ahead));
            filled.map_err(|e| Fault::Failed(Error::file_at("reading", self.path, self.offset, e)))?;
        }
        Ok(self.window.get(self.at..).unwrap_or_default())
    }

    fn fill(&mut self, bytes: usize) -> std::io::Result<()> {
        // A damaged length must not allocate more memory than the file has bytes.
        let there = self.file.len()?.saturating_sub(self.offset);
        let bytes = bytes.min(usize::try_from(there).unwrap_or(usize::MAX));
        let mut filled = self.window.len();
        self.window.resize(bytes.max(filled), 0);
        while let Some(rest) = self.window.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, self.offset.saturating_add(filled as u64))? {
                0 => break,
                read => filled = filled.saturating_add(read),
            }
        }
        self.window.truncate(filled);
        Ok(())
    }
}
