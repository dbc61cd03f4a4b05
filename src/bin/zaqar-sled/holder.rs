//! The process that has a store open, as far as the system tells.
//!
//! 1. The kernel's list of locks names the process that locked the store's directory. Nothing is locked to find out.

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
        let directory = fs::metadata(store).ok()?;
        let pid = holder_in(&fs::read_to_string("/proc/locks").ok()?, directory.dev(), directory.ino())?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        Some(Self { pid, name: name.map(|name| name.trim_end().to_owned()) })
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

/// The process with a `flock` on that inode, in lines such as `1: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF`.
fn holder_in(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let number = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    let words = locks.lines().map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>());
    let pid = words.filter_map(|words| match words.as_slice() {
        ["FLOCK", _, "WRITE", pid, place, ..] if *place == number => pid.parse().ok(),
        _ => None,
    });
    pid.into_iter().find(|pid| *pid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_locked_the_inode_is_found() {
        let device = rustix::fs::makedev(0xfd, 1);
        let locks = "1: POSIX  ADVISORY  WRITE 11 fd:01:77 0 EOF\n2: FLOCK  ADVISORY  READ 12 fd:01:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 13 fd:01:78 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 14 fd:01:77 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 15 fd:01:77 0 EOF\n";
        assert_eq!(holder_in(locks, device, 77), Some(15));
        assert_eq!(holder_in(locks, device, 79), None);
        // A process of another container.
        assert_eq!(holder_in("4: FLOCK  ADVISORY  WRITE 0 fd:01:77 0 EOF", device, 77), None);
    }
}
