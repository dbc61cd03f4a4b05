//! Exports and imports by the program.

use std::fs;

use serde_json::json;

use crate::scene::{Run, Scene};

#[track_caller]
fn done(run: &Run) {
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
}

#[test]
fn a_store_is_made_again_of_its_export() {
    let scene = Scene::new();
    scene.shop().close().unwrap();
    let queues = scene.rows("ls --json --project shop");
    let report = scene.rows("export lines --json");
    assert!(!scene.path("lines.part").exists());
    fs::rename(scene.path("store"), scene.path("original")).unwrap();
    assert_eq!(scene.rows("import lines --json"), report);
    assert_eq!(scene.rows("ls --json --project shop")[0]["bytes"], queues[0]["bytes"]);
    done(&scene.run("verify --trees"));
    let printed = scene.run("export");
    done(&printed);
    let lines = fs::read_to_string(scene.path("lines")).unwrap();
    let behind = |lines: &str| lines.split_once('\n').unwrap().1.to_owned();
    assert_eq!(behind(&printed.output), behind(&lines));
    assert_eq!(behind(&printed.output), behind(&scene.run("export -").output));
    done(&scene.run("get orders --project shop"));
}

#[test]
fn a_former_export_stays_until_the_new_one_is_whole() {
    let scene = Scene::new();
    let engine = scene.shop();
    fs::write(scene.path("lines"), "former").unwrap();
    scene.run("export lines").assert_fails(6, &["is in use"]);
    assert_eq!(fs::read_to_string(scene.path("lines")).unwrap(), "former");
    engine.close().unwrap();
    drop(engine);
    scene.run("export nowhere/lines").assert_fails(1, &["nowhere/lines"]);
    done(&scene.run("export lines"));
    assert!(fs::read_to_string(scene.path("lines")).unwrap().ends_with("}}\n"));
}

#[test]
fn only_a_file_is_replaced_by_an_export() {
    let scene = Scene::new();
    scene.shop().close().unwrap();
    done(&scene.run("export lines"));
    let lines = fs::read_to_string(scene.path("lines")).unwrap();
    let behind = |lines: &str| lines.split_once('\n').unwrap().1.to_owned();
    // A link stays one, and so does a device. What else is beside is not touched.
    fs::write(scene.path("linked"), "former").unwrap();
    fs::write(scene.path("linked.part"), "mine").unwrap();
    std::os::unix::fs::symlink(scene.path("linked"), scene.path("link")).unwrap();
    done(&scene.run("export link"));
    assert!(fs::symlink_metadata(scene.path("link")).unwrap().is_symlink());
    assert_eq!(behind(&fs::read_to_string(scene.path("linked")).unwrap()), behind(&lines));
    assert_eq!(fs::read_to_string(scene.path("linked.part")).unwrap(), "mine");
    std::os::unix::fs::symlink("/dev/null", scene.path("nothing")).unwrap();
    done(&scene.run("export nothing"));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    // Nothing is left of what was written beside.
    let names = fs::read_dir(scene.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.filter(|name| name.to_string_lossy().contains(".part")).count(), 1);
}

#[test]
fn what_cannot_be_exported_or_imported_is_told() {
    let scene = Scene::new();
    scene.run("export").assert_fails(5, &["there is no store"]);
    scene.shop().close().unwrap();
    done(&scene.run("export lines"));
    scene.run("import lines").assert_fails(1, &["the directory has a store"]);
    scene.run("import missing").assert_fails(1, &["missing"]);
    fs::rename(scene.path("store"), scene.path("original")).unwrap();
    let lines = fs::read_to_string(scene.path("lines")).unwrap();
    for (changed, code, what) in [
        (lines[..lines.len() / 2].to_owned(), 7, "the export ends before its last line"),
        (lines.replacen("\"messages\":", "\"massages\":", 1), 7, "line 2"),
        (lines.replace("\"format\":1", "\"format\":9"), 1, "format 9; this version reads format 1"),
        ("hello\n".to_owned(), 7, "line 1 of the export: the first line is not that of an export"),
    ] {
        fs::write(scene.path("changed"), changed).unwrap();
        scene.run("import changed").assert_fails(code, &[what]);
        scene.run("ls").assert_fails(5, &["there is no store"]);
    }
    scene.run("import lines --pool one=here").assert_fails(1, &["line 1", "import it with Engine::import"]);
    scene.run("import lines --pool one").assert_fails(2, &["NAME=DIR"]);
    done(&scene.run("import lines"));
    assert_eq!(scene.rows("verify --json")[0]["sound"], json!(true));
}

#[test]
fn a_store_with_pools_is_exported_and_imported_with_them() {
    let scene = Scene::new();
    let one = scene.path("one").display().to_string();
    done(&scene.run(&format!("pools add one sled:{one} --create")));
    scene.rows("post orders tea --create --json");
    done(&scene.run("export lines"));
    fs::rename(scene.path("store"), scene.path("original")).unwrap();
    scene.run("import lines").assert_fails(1, &["the directory has a store"]);
    assert!(!scene.path("store/MANIFEST").exists(), "the control store does not count without its pools");
    let two = scene.path("two").display().to_string();
    done(&scene.run(&format!("import lines --pool one={two}")));
    assert_eq!(scene.rows("pools ls --json")[0]["uri"], json!(format!("sled:{two}")));
    assert_eq!(scene.rows("peek orders --json")[0]["body"], json!("tea"));
}
