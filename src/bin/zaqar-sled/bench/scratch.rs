//! The directory that holds the files of a run.
//!
//! 1. It is new, so nothing else is in it, and it is removed when it is dropped: at the end, after a failure, a panic or
//!    a signal. Only a kill leaves it behind.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::bare;
use super::queue_load::{self, LARGEST_BODY};
use crate::failure::Failure;
use crate::say;

/// The directory of a run.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new directory in `parent`, which must have so many bytes of free space.
    pub(crate) fn new(parent: &Path, needed: u64) -> Result<Self, Failure> {
        let failed = |source| Failure::NoScratch { path: parent.to_owned(), source };
        if !fs::metadata(parent).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let free = free_space(parent).map_err(failed)?;
        if free < needed {
            return Err(Failure::NoSpace { path: parent.to_owned(), free, needed });
        }
        let path = parent.join(format!("{PREFIX}{}", Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a panic, a thread of the store may still make a file meanwhile.
        let removed = (0..TRIES).map(|_| fs::remove_dir_all(&self.0)).find(|removed| !is_filled_again(removed));
        if let Some(Err(error)) = removed {
            say(format_args!("the directory {} is left: {error}", self.0.display()));
        }
    }
}

fn is_filled_again(removed: &io::Result<()>) -> bool {
    removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty)
}

/// The bytes that are free for this user.
pub(crate) fn free_space(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The most space that a run takes with bodies of so many bytes: the journal, what is live with its garbage and its
/// snapshots, and the files beside. At most 1 GiB.
pub(crate) fn space(body_bytes: u64) -> u64 {
    JOURNAL_BYTES + 3 * queue_load::live_bytes(body_bytes.min(LARGEST_BODY)) + bare::SPACE + OTHER_BYTES
}

const PREFIX: &str = "zaqar-sled-bench-";
const TRIES: usize = 10;
/// The default of `Config::journal_max`, and two segments.
const JOURNAL_BYTES: u64 = (256 + 32) << 20;
/// The reserve, most of it for claims whose messages are deleted; the trees, and a segment of page files.
const OTHER_BYTES: u64 = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_gone_with_its_content_also_after_a_panic() -> Result<(), Failure> {
        let parent = tempfile::tempdir().unwrap();
        let made = Scratch::new(parent.path(), 0)?;
        fs::create_dir(made.path().join("inner")).unwrap();
        fs::write(made.path().join("inner/file"), "content").unwrap();
        let panicked = std::thread::spawn(move || {
            let _made = made;
            panic!("as a bug would");
        });
        assert!(panicked.join().is_err());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        Ok(())
    }

    #[test]
    fn too_little_space_is_told_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let refused = Scratch::new(parent.path(), u64::MAX);
        assert!(matches!(refused, Err(Failure::NoSpace { needed: u64::MAX, .. })), "{refused:?}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_space_is_bounded() {
        assert!(space(1) > JOURNAL_BYTES && space(256) < 512 << 20, "{}", space(256));
        assert!(space(LARGEST_BODY) < 1 << 30 && space(u64::MAX) == space(LARGEST_BODY));
    }
}
