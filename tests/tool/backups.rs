//! Backups and restores by the program.

use std::fs;

use serde_json::json;

use crate::scene::{Run, Scene};

#[track_caller]
fn done(run: &Run) {
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
}

#[test]
fn a_lost_store_is_restored_from_its_backup() {
    let scene = Scene::new();
    scene.shop().close().unwrap();
    let queues = scene.rows("ls --json --project shop");
    let report = scene.rows("backup monday --json");
    let again = scene.rows("backup monday --json");
    assert_eq!(report[0]["reused"], json!({"files": 0, "bytes": 0}));
    assert_ne!(again[0]["reused"]["files"], 0);
    fs::rename(scene.path("store"), scene.path("lost")).unwrap();
    let restored = scene.run("restore monday");
    done(&restored);
    assert!(restored.output.contains("last change") && restored.output.contains("copied"), "{restored:?}");
    let found = scene.rows("ls --json --project shop");
    assert_eq!(found[0]["bytes"], queues[0]["bytes"]);
    done(&scene.run("verify"));
    done(&scene.run("get orders --project shop"));
}

#[test]
fn a_backup_is_looked_into_and_changed_by_nothing() {
    let scene = Scene::new();
    scene.shop().close().unwrap();
    done(&scene.run("backup monday"));
    fs::rename(scene.path("store"), scene.path("original")).unwrap();
    fs::rename(scene.path("monday"), scene.path("store")).unwrap();
    for look in ["ls", "stat", "stat orders --project shop", "peek orders --project shop", "verify"] {
        done(&scene.run(look));
    }
    for change in ["post orders tea", "get orders", "purge orders", "rm orders", "salvage --yes", "backup other"] {
        scene.run(change).assert_fails(5, &["there is no store in store"]);
    }
    scene.run("post orders tea --create").assert_fails(9, &["other files"]);
    done(&scene.run("verify"));
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_told() {
    let scene = Scene::new();
    scene.run("backup monday").assert_fails(5, &["there is no store"]);
    let engine = scene.shop();
    scene.run("backup monday").assert_fails(6, &["is in use"]);
    engine.close().unwrap();
    drop(engine);
    fs::create_dir(scene.path("full")).unwrap();
    fs::write(scene.path("full/notes"), "mine").unwrap();
    scene.run("backup full").assert_fails(1, &["other files"]);
    done(&scene.run("backup monday"));
    scene.run("restore monday").assert_fails(1, &["the directory has a store"]);
    scene.run("restore full").assert_fails(5, &["there is no backup in full"]);
    scene.run("restore monday --pool near").assert_fails(2, &["not NAME=DIR"]);
    fs::rename(scene.path("store"), scene.path("original")).unwrap();
    scene.run("restore monday --pool near=here").assert_fails(1, &["no store of the pool"]);
    let set = fs::read_dir(scene.path("monday")).unwrap().map(|entry| entry.unwrap().path());
    let set = set.into_iter().find(|path| path.is_dir()).unwrap();
    let snapshot = fs::read_dir(set.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let snapshot = snapshot.into_iter().find(|path| path.extension().is_some_and(|kind| kind == "base")).unwrap();
    let mut bytes = fs::read(&snapshot).unwrap();
    bytes[50] ^= 1;
    fs::write(&snapshot, bytes).unwrap();
    let named = snapshot.file_name().unwrap().to_str().unwrap();
    scene.run("restore monday").assert_fails(7, &["the backup monday is damaged", named]);
    assert!(!scene.path("store/MANIFEST").exists());
}

#[test]
fn the_stores_of_pools_are_backed_up_and_restored_to_other_places() {
    let scene = Scene::new();
    done(&scene.run(&format!("pools add near sled:{} --create", scene.path("near").display())));
    done(&scene.run("post orders tea cake --create"));
    done(&scene.run("backup monday"));
    // The backup is looked into without the original.
    fs::rename(scene.path("store"), scene.path("lost")).unwrap();
    fs::rename(scene.path("near"), scene.path("lost-near")).unwrap();
    fs::rename(scene.path("monday"), scene.path("store")).unwrap();
    assert_eq!(scene.run("peek orders --raw").output, "tea\ncake\n");
    done(&scene.run("verify"));
    fs::rename(scene.path("store"), scene.path("monday")).unwrap();
    done(&scene.run("restore monday --pool near=far"));
    assert_eq!(scene.run("peek orders --raw").output, "tea\ncake\n");
    let pools = scene.rows("pools ls --json");
    assert_eq!(pools[0]["uri"], format!("sled:{}", scene.path("far").display()));
    assert!(!scene.path("near").exists());
    done(&scene.run("post orders milk"));
    assert_eq!(scene.run("get orders --raw --limit 9").output, "tea\ncake\nmilk\n");
}
