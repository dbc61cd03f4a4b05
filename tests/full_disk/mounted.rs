//! On small real file systems, where mounting is allowed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::drain::live;
use crate::medium::Folder;
use crate::simulated::shape;
use crate::variables::{ROUNDS, SEED};

const MIB: u64 = 1 << 20;

/// A file system of its own; `None` where mounting is not allowed.
struct Mount {
    folder: tempfile::TempDir,
    _image: Option<tempfile::NamedTempFile>,
}

impl Mount {
    fn tmpfs(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={bytes}");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], folder.path()).then_some(Self { folder, _image: None })
    }

    fn ext4(bytes: u64) -> Option<Self> {
        let (folder, image) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        image.as_file().set_len(bytes).unwrap();
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0"], image.path());
        let path = image.path().to_str().unwrap();
        let mounted = made && run("mount", &["-o", "loop", path], folder.path());
        mounted.then_some(Self { folder, _image: Some(image) })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &["-l"], self.path());
    }
}

fn run(program: &str, arguments: &[&str], last: &Path) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).arg(last).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn lives(kind: &str, mount: impl Fn(u64) -> Option<Mount>) {
    let (first, rounds) = (SEED.or(0), ROUNDS.or(6));
    for seed in first..first + rounds {
        let (mut shape, space) = shape(seed, 40 * MIB);
        shape.background = seed % 2 == 0;
        shape.calls = 1_000;
        let Some(mount) = mount(space + 4 * MIB) else {
            println!("skipped: no {kind} can be mounted here");
            return;
        };
        let calls = live(Folder::new(&mount.path().join("store")), &shape, seed, |_| {});
        println!("seed {seed} on {kind}: drained in {calls} calls, {space} bytes of space, {shape:?}");
    }
}

#[test]
fn a_store_on_a_full_tmpfs_opens_and_drains_to_nothing_and_the_space_comes_back() {
    lives("tmpfs", Mount::tmpfs);
}

#[test]
fn a_store_on_a_full_ext4_opens_and_drains_to_nothing_and_the_space_comes_back() {
    lives("ext4", Mount::ext4);
}
