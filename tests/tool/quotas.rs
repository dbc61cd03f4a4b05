//! The quotas of projects.

use zaqar_sled::{ExtendedDriver, Metadata, NewMessage, Project, ProjectQuota};

use crate::scene::Scene;

#[test]
fn quotas_are_set_listed_and_ended() {
    let scene = Scene::new();
    let engine = scene.engine();
    let shop = Project::named("shop").unwrap();
    let orders = engine.queue(shop.clone(), "orders").unwrap();
    orders.create(Metadata::new()).unwrap();
    orders.post(zaqar_sled::ClientId::random(), &[NewMessage::new("coffee")]).unwrap();
    engine.projects().set_quota(&shop, &ProjectQuota::new().max_messages(1).max_bytes(5_000)).unwrap();
    // In use.
    let rows = scene.rows("quotas ls --json");
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["project"], &rows[0]["max_queues"]), (&"shop".into(), &serde_json::Value::Null));
    assert_eq!((&rows[0]["messages"], &rows[0]["max_messages"]), (&1.into(), &1.into()));
    assert_eq!((&rows[0]["bytes"], &rows[0]["max_bytes"]), (&70.into(), &5_000.into()));
    scene.run("quotas set --project shop --queues 3").assert_fails(6, &["in use"]);
    engine.close().unwrap();
    scene.run("post orders --project shop tea").assert_fails(1, &["project \"shop\" is full", "1 messages"]);
    assert_eq!(scene.run("quotas set --project shop --messages 2").code, Some(0));
    assert_eq!(scene.run("post orders --project shop tea").code, Some(0));
    assert_eq!(scene.run("quotas set --no-project --bytes 1kB").code, Some(0));
    let rows = scene.rows("quotas ls --json");
    assert_eq!(rows.iter().map(|row| &row["max_bytes"]).collect::<Vec<_>>(), [&1_000.into(), &serde_json::Value::Null]);
    assert_eq!(scene.rows("quotas ls --json --project shop"), rows[1..]);
    assert_eq!(scene.run("quotas rm --project shop").code, Some(0));
    assert_eq!(scene.run("quotas rm --project shop").code, Some(0), "a project without a quota stays as it is");
    assert_eq!(scene.rows("quotas ls --json").len(), 1);
}

#[test]
fn a_quota_needs_a_project_and_a_limit() {
    let scene = Scene::new();
    for wrong in
        ["quotas set --project shop", "quotas set --messages 1", "quotas set --project a --no-project --queues 1"]
    {
        assert_eq!(scene.run(wrong).code, Some(2), "{wrong}");
    }
    assert_eq!(scene.run("quotas ls").code, Some(5));
}
