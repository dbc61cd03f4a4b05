//! The bookmarks of a store.

use zaqar_sled::{Config, NewPool, PoolName, Project};

use crate::scene::Scene;

fn with_bookmarks() -> Scene {
    let scene = Scene::new();
    let engine = scene.engine();
    engine.bookmark(Project::none(), "cursor").unwrap().set("17").unwrap();
    engine.bookmark(Project::named("shop").unwrap(), "cursor").unwrap().set(b"\xff\n").unwrap();
    engine.bookmark(Project::named("shop").unwrap(), "odd\x1b[2J").unwrap().set("").unwrap();
    engine.close().unwrap();
    scene
}

#[test]
fn bookmarks_are_listed_by_project() {
    let scene = with_bookmarks();
    let files = scene.files();
    let rows = scene.rows("bookmarks ls --json");
    let of = |field: &str| rows.iter().map(|row| row[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("project"), [serde_json::Value::Null, "shop".into(), "shop".into()]);
    assert_eq!(of("bookmark"), ["cursor", "cursor", "odd\u{1b}[2J"]);
    assert_eq!(of("value"), ["17".into(), serde_json::Value::Null, "".into()]);
    assert_eq!(rows[1]["value_base64"], "/wo=");
    assert_eq!(of("bytes"), [2, 2, 0]);
    let versions: Vec<u64> =
        rows.iter().map(|row| u64::from_str_radix(row["version"].as_str().unwrap(), 16).unwrap()).collect();
    assert!(versions.is_sorted_by(|one, other| one < other), "{versions:?}");
    assert_eq!(scene.rows("bookmarks ls --json --project shop"), rows[1..]);
    let table = scene.run("bookmarks ls").output;
    assert!(table.contains("\"odd\\u{1b}[2J\"") && table.contains("\\xff\\n") && !table.contains('\x1b'), "{table}");
    assert_eq!(scene.files(), files);
}

#[test]
fn a_bookmark_is_printed_and_deleted() {
    let scene = with_bookmarks();
    assert_eq!(scene.run("bookmarks get cursor").output, "17\n");
    // The store may be in use.
    let engine = scene.engine();
    engine.bookmark(Project::none(), "cursor").unwrap().set("18").unwrap();
    assert_eq!(scene.run("bookmarks get cursor").output, "18\n");
    assert_eq!(scene.rows("bookmarks get cursor --json")[0]["value"], "18");
    scene.run("bookmarks rm cursor").assert_fails(6, &["in use"]);
    engine.close().unwrap();
    assert_eq!(scene.run("bookmarks rm cursor").code, Some(0));
    scene.run("bookmarks rm cursor").assert_fails(5, &["no bookmark cursor", "bookmarks ls", "--project"]);
    scene.run("bookmarks get cursor --project toys").assert_fails(5, &["no bookmark cursor of project toys"]);
    assert_eq!(scene.rows("bookmarks ls --json").len(), 2);
    assert_eq!(scene.run("bookmarks rm cursor --project shop").code, Some(0));
    assert_eq!(scene.rows("bookmarks ls --json").len(), 1);
}

#[test]
fn the_bookmarks_of_a_store_with_pools_are_its_own() {
    let scene = Scene::new();
    let driver = Config::new().background(false).open_pooled(scene.path("store")).unwrap();
    let uri = format!("sled:{}", scene.path("near").display()).parse().unwrap();
    driver.pools().create(&PoolName::new("near").unwrap(), &NewPool::new(uri)).unwrap();
    driver.bookmark(Project::none(), "cursor").unwrap().set("17").unwrap();
    driver.close().unwrap();
    assert_eq!(scene.run("bookmarks get cursor").output, "17\n");
    assert_eq!(scene.run("bookmarks rm cursor").code, Some(0));
    assert!(scene.rows("bookmarks ls --json").is_empty());
}
