//! Compactions by the program.

use std::fs;

use crate::scene::Scene;

#[test]
fn a_store_is_smaller_after_a_compaction_and_has_what_it_had() {
    let scene = Scene::new();
    scene.shop().close().unwrap();
    let bodies = vec!["x".repeat(50_000); 20].join(" ");
    let posted = scene.run(&format!("post orders --project shop {bodies}"));
    assert_eq!(posted.code, Some(0), "{posted:?}");
    assert_eq!(scene.run("purge orders --project shop").code, Some(0));
    let queues = scene.rows("ls --json");
    let report = &scene.rows("compact --json")[0];
    let size = |when: &str, kind: &str| report[when][kind].as_u64().unwrap();
    assert!(size("before", "journal") > 1_000_000 && size("after", "page_files") == 0, "{report}");
    let kinds = ["journal", "page_files", "snapshots", "archives", "trees", "reserve", "damaged", "other"];
    for when in ["before", "after"] {
        assert_eq!(kinds.iter().map(|kind| size(when, kind)).sum::<u64>(), size(when, "total"), "{report}");
    }
    assert_eq!(scene.run("verify").code, Some(0));
    assert_eq!(scene.rows("ls --json"), queues);
    let text = scene.run("compact");
    assert_eq!((text.code, text.errors.as_str()), (Some(0), ""));
    assert!(text.output.contains("page files") && text.output.contains("all files"), "{}", text.output);
}

#[test]
fn what_cannot_be_compacted_is_told() {
    let scene = Scene::new();
    scene.run("compact").assert_fails(5, &["there is no store"]);
    let engine = scene.shop();
    scene.run("compact").assert_fails(6, &["is in use"]);
    engine.close().unwrap();
    drop(engine);
    fs::remove_file(scene.path("store/MANIFEST")).unwrap();
    scene.run("compact").assert_fails(5, &["there is no store"]);
}
