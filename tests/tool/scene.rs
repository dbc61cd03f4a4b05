//! A directory with a store, in which the program runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use zaqar_sled::{ClaimOptions, ClientId, Config, Durability, Engine, Metadata, NewMessage, Project, Queue};

/// A directory, with a store in `store` if one is made.
pub(crate) struct Scene(tempfile::TempDir);

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command with these arguments, words parted by spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut words = arguments.split(' ');
        let mut command = Command::new(env!("CARGO_BIN_EXE_zaqar-sled"));
        command.current_dir(self.0.path()).env_remove("COLUMNS").stdin(Stdio::null());
        let name = words.next().unwrap();
        command.arg(name);
        if ["pools", "bookmarks", "quotas"].contains(&name) {
            command.args(words.next());
        }
        command.args(["--store", "store"]).args(words);
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// The rows of a successful command's JSON lines.
    #[track_caller]
    pub(crate) fn rows(&self, arguments: &str) -> Vec<Value> {
        let run = self.run(arguments);
        assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
        run.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn engine(&self) -> Engine {
        let config = Config::new().durability(Durability::Buffered).memory(0).queue_memory(0).segment_size(64 << 10);
        config.background(false).open(self.path("store")).unwrap()
    }

    /// A store with messages of every kind, many idle queues and two claims.
    pub(crate) fn shop(&self) -> Engine {
        let engine = self.engine();
        let orders = queue(&engine, "orders");
        orders.create(Metadata::new().with("owner", "ann").unwrap()).unwrap();
        let bodies = ["coffee".as_bytes(), b"tea\nand \x1b[2Jmilk", b"\xff\x00bytes", b"cake", b"water"];
        let messages: Vec<NewMessage> = bodies.iter().map(|body| NewMessage::new(body.to_vec())).collect();
        orders.post(ClientId::random(), &messages).unwrap();
        let later = NewMessage::new("later").delay(Duration::from_secs(3600)).ttl(Duration::from_secs(7200));
        orders.post(ClientId::random(), &[later]).unwrap();
        for n in 0..200 {
            let name = format!("idle-{n}");
            engine.queue(Project::none(), name).unwrap().create(Metadata::new()).unwrap();
        }
        engine.step().unwrap();
        engine.snapshot().unwrap();
        let lease = ClaimOptions::new().ttl(Duration::from_secs(600)).limit(2);
        assert!(orders.claim(lease).unwrap().is_some());
        engine
    }

    /// A closed store with 100 messages in `orders`, which are only in page files.
    pub(crate) fn full_shop(&self) {
        let engine = self.engine();
        let orders = queue(&engine, "orders");
        orders.create(Metadata::new()).unwrap();
        for _ in 0..10 {
            orders.post(ClientId::random(), &vec![NewMessage::new(vec![b'x'; 30_000]); 10]).unwrap();
            engine.step().unwrap();
        }
        engine.snapshot().unwrap();
        engine.close().unwrap();
    }

    /// Every file of the store, with its inode, time and content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, (u64, i64, Vec<u8>)> {
        let mut found = BTreeMap::new();
        add_files(&self.path("store"), &mut found);
        found
    }
}

pub(crate) fn queue(engine: &Engine, name: &str) -> Queue {
    engine.queue(Project::named("shop").unwrap(), name).unwrap()
}

fn add_files(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, i64, Vec<u8>)>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let metadata = fs::metadata(&path).unwrap();
        let content = if metadata.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        if metadata.is_dir() {
            add_files(&path, found);
        }
        found.insert(path, (metadata.ino(), metadata.mtime_nsec(), content));
    }
}

impl Run {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), output: text(output.stdout), errors: text(output.stderr) }
    }

    /// Runs the command with a standard output that nobody reads.
    pub(crate) fn unread(command: &mut Command) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Self::of(command.stdout(writer))
    }

    /// Checks a failure: its exit code, and that its message tells what is wrong and what to do.
    #[track_caller]
    pub(crate) fn assert_fails(&self, code: i32, says: &[&str]) {
        assert_eq!((self.code, self.output.as_str()), (Some(code), ""), "{self:?}");
        for part in says {
            assert!(self.errors.contains(part), "{part:?} is not in {self:?}");
        }
    }
}
