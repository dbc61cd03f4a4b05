//! The machine and the disk of the figures.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::scratch;
use crate::arguments;

/// What the system tells easily; absent where it does not.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) os: &'static str,
    pub(crate) kernel: Option<String>,
    pub(crate) directory: String,
    pub(crate) file_system: Option<String>,
    pub(crate) free_bytes: Option<u64>,
}

impl Machine {
    /// The machine, and the disk that has the directory.
    pub(crate) fn of(directory: &Path) -> Self {
        let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        Self {
            cores: arguments::cores(),
            os: std::env::consts::OS,
            kernel: kernel.map(|kernel| kernel.trim().to_owned()),
            file_system: file_system(&directory, &mounts),
            free_bytes: scratch::free_space(&directory).ok(),
            directory: directory.display().to_string(),
        }
    }
}

/// The type of the file system at the directory: that of the longest path above it, and of the last one mounted there.
fn file_system(directory: &Path, mounts: &str) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(at, _)| directory.starts_with(at));
    above.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_is_the_innermost_one() {
        let mounts = "a / ext4 rw 0 0\nb /data xfs rw 0 0\nc /data/fast btrfs rw 0 0\nd /data/fast tmpfs rw 0 0\n\ne\n";
        let found = |path: &str| file_system(Path::new(path), mounts);
        let expected = ["ext4", "ext4", "xfs", "tmpfs"].map(|kind| Some(kind.to_owned()));
        assert_eq!(["/home", "/database", "/data/slow", "/data/fast/x"].map(found), expected);
        assert_eq!(file_system(Path::new("/home"), "none"), None);
    }

    #[test]
    fn this_machine_has_a_core_and_space() {
        let machine = Machine::of(&std::env::temp_dir());
        assert!(machine.cores > 0 && machine.free_bytes > Some(0), "{machine:?}");
    }
}
