//! Which process may open a store, and at which places.

use std::path::Path;
use std::process::Stdio;

use zaqar_sled::{Config, Engine, Error, Metadata, Project, Queue};

use super::variables::OPENER;

fn jobs(engine: &Engine) -> Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

/// The view of a store from another process.
#[test]
fn opener() {
    let Some(root) = OPENER.get() else { return };
    match Config::new().open(root) {
        Ok(_) => println!("outcome: opened"),
        Err(Error::Locked { .. }) => println!("outcome: locked"),
        Err(error) => println!("outcome: {error}"),
    }
}

fn open_elsewhere(root: &Path) -> String {
    let mut command = OPENER.command("opening::opener", root);
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let outcome = text.lines().find_map(|line| line.split_once("outcome: ")).map(|(_, outcome)| outcome);
    outcome.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn a_store_is_opened_once_in_a_process_and_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/store");
    let engine = Engine::open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    let again = Engine::open(&root).unwrap_err();
    assert!(matches!(again, Error::AlreadyOpen { .. }) && again.is_busy(), "{again}");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&root, &link).unwrap();
    assert!(matches!(Engine::open(&link).unwrap_err(), Error::AlreadyOpen { .. }));
    assert!(matches!(Engine::open(root.join("../store")).unwrap_err(), Error::AlreadyOpen { .. }));

    let shared = Config::new().shared(true).open(&link).unwrap();
    assert!(jobs(&shared).exists().unwrap());
    assert_eq!(open_elsewhere(&root), "locked");

    drop(engine);
    assert_eq!(open_elsewhere(&root), "locked", "the shared handle still holds it");
    shared.close().unwrap();
    assert_eq!(open_elsewhere(&root), "opened");
    // A closed engine with a remaining handle does not prevent an opening.
    let engine = Engine::open(&root).unwrap();
    assert!(jobs(&engine).exists().unwrap());
    assert!(matches!(jobs(&shared).exists(), Err(Error::Closed)));
}

#[test]
fn a_path_that_is_a_file_or_below_one_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"mine").unwrap();
    for path in [file.clone(), file.join("store")] {
        let error = Engine::open(&path).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
