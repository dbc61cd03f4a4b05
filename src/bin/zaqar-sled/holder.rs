//! The process that has a store open, as far as the system tells.
//!
//! 1. The kernel's list of locks names the process that locked the store's directory. Nothing is locked to find out.
//! 2. On some file systems (btrfs, overlays) the list has other numbers than the directory. There the process is found
//!    among those that hold some lock: it has the store's directory open and locked.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process that has a store open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: u32,
    name: Option<String>,
}

impl Holder {
    /// The process that holds the lock of the store in this directory; `None` if there is none, or it is not known, for
    /// example because it is in another container.
    pub(crate) fn of(store: &Path) -> Option<Self> {
        let store = store.canonicalize().ok()?;
        let directory = fs::metadata(&store).ok()?;
        let lockers = lockers(&fs::read_to_string("/proc/locks").ok()?, directory.dev(), directory.ino());
        let surely = lockers.iter().find(|(_, is_the_one)| *is_the_one);
        let (pid, _) = surely.or_else(|| lockers.iter().find(|(pid, _)| has_locked(*pid, &store)))?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        Some(Self { pid: *pid, name: name.map(|name| name.trim_end().to_owned()) })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " ({})", crate::plain::name(name)))
    }
}

/// The processes with an exclusive `flock`, in lines such as `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`, and
/// whether each has one on that inode.
fn lockers(locks: &str, device: u64, inode: u64) -> Vec<(u32, bool)> {
    let number = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    let words = locks.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let locker = |words: Vec<&str>| match words.as_slice() {
        ["FLOCK", _, "WRITE", pid, place, ..] => Some((pid.parse().ok()?, *place == number)),
        _ => None,
    };
    // A process of another container has the number 0.
    words.filter_map(locker).filter(|(pid, _)| *pid > 0).collect()
}

/// Whether the process has the directory open and locked, as far as this process may know.
fn has_locked(pid: u32, directory: &Path) -> bool {
    let is_locked = |number: OsString| {
        let about = fs::read_to_string(Path::new(&format!("/proc/{pid}/fdinfo")).join(number));
        about.is_ok_and(|about| about.lines().any(|line| line.starts_with("lock:") && line.contains("FLOCK")))
    };
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut here = open.filter(|file| fs::read_link(file.path()).is_ok_and(|path| path == directory));
    here.any(|file| is_locked(file.file_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_locked_the_inode_is_told_from_others() {
        let device = rustix::fs::makedev(0xfd, 1);
        let locks = "1: POSIX  ADVISORY  WRITE 11 fd:01:77 0 EOF\n2: FLOCK  ADVISORY  READ 12 fd:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fd:01:78 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 14 fd:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 15 fd:01:77 0 EOF\n5: FLOCK  ADVISORY  WRITE 0 fd:01:77 0 EOF\n";
        assert_eq!(lockers(locks, device, 77), [(13, false), (15, true)]);
        assert_eq!(lockers(locks, device, 79), [(13, false), (15, false)]);
    }

    #[test]
    fn a_process_that_has_locked_the_directory_is_found() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (open, path) = (fs::File::open(directory.path())?, directory.path().canonicalize()?);
        assert!(!has_locked(std::process::id(), &path));
        open.lock()?;
        assert!(has_locked(std::process::id(), &path));
        assert!(!has_locked(u32::MAX, &path));
        Ok(())
    }
}
