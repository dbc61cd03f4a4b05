//! Stores whose queues are in pools.

use std::fs;

use serde_json::{Value, json};
use zaqar_sled::{
    ClaimOptions, ClientId, Config, ControlDriver, Engine, Metadata, NewMessage, PoolName, PoolUpdate, PooledDriver,
    Project, QueueName, QueueSettings,
};

use crate::scene::{Run, Scene};

/// Registers a pool in a directory of the scene.
#[track_caller]
fn add(scene: &Scene, pool: &str, flags: &str) {
    let run = scene.run(&format!("pools add {pool} sled:{}{flags}", scene.path(pool).display()));
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
}

#[track_caller]
fn done(run: &Run) {
    assert_eq!(run.code, Some(0), "{run:?}");
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).unwrap()
}

fn driver(scene: &Scene) -> PooledDriver {
    Config::new().background(false).open_pooled(scene.path("store")).unwrap()
}

#[test]
fn a_pool_with_queues_is_not_removed() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    done(&scene.run("post orders tea --create --project shop"));
    let told = ["pool near has 1 queue, for example orders of project shop", "`zaqar-sled rm`"];
    scene.run("pools rm near").assert_fails(1, &told);
    assert_eq!(scene.run("peek orders --project shop --raw").output, "tea\n");
    done(&scene.run("rm orders --project shop"));
    // A queue that is mapped before it is created.
    let driver = driver(&scene);
    driver.catalogue().insert(&Project::none(), &QueueName::new("planned").unwrap(), &pool("near")).unwrap();
    driver.close().unwrap();
    scene.run("pools rm near --yes").assert_fails(1, &["pool near has 1 queue, for example planned"]);
}

#[test]
fn a_pool_with_data_of_deleted_queues_is_not_removed() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    done(&scene.run("post orders tea --create"));
    fs::rename(scene.path("near"), scene.path("unmounted")).unwrap();
    let driver = driver(&scene);
    driver.queues().delete(&Project::none(), &QueueName::new("orders").unwrap()).unwrap();
    assert_eq!(driver.status().leftovers(), 1);
    driver.close().unwrap();
    scene.run("pools rm near").assert_fails(9, &["the data of 1 queue", "available", "--yes"]);
    fs::rename(scene.path("unmounted"), scene.path("near")).unwrap();
    done(&scene.run("pools rm near"));
}

#[test]
fn a_worn_out_message_in_a_pool_is_explained_by_the_settings_in_the_store() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    let driver = driver(&scene);
    let orders = driver.queue(Project::none(), "orders").unwrap();
    orders.create(QueueSettings::new().dead_letters("dead", 1)).unwrap();
    let ids = orders.post(ClientId::random(), &[NewMessage::new("tea"), NewMessage::new("cake")]).unwrap();
    orders.claim(ClaimOptions::new().limit(1)).unwrap().unwrap().release().unwrap();
    driver.close().unwrap();
    for (id, state, dead) in [(ids[0], "worn out", json!("dead")), (ids[1], "free", Value::Null)] {
        let row = scene.rows(&format!("explain orders {id} --json")).remove(0);
        assert_eq!((&row["state"], &row["dead_letter_queue"]), (&json!(state), &dead));
    }
}

#[test]
fn the_queues_of_an_unregistered_pool_are_neither_shown_nor_used() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    done(&scene.run("post orders tea --create"));
    let driver = driver(&scene);
    driver.pools().delete(&pool("near")).unwrap();
    driver.close().unwrap();
    scene.run("ls --json").assert_fails(5, &["pool near cannot be looked into", "not registered", "pools add"]);
    for command in ["peek orders", "stat orders", "claims orders", "verify", "verify --trees", "stat"] {
        scene.run(command).assert_fails(5, &["pool near cannot be looked into"]);
    }
    for command in ["post orders coffee", "post orders coffee --create", "get orders", "purge orders"] {
        scene.run(command).assert_fails(5, &["near"]);
    }
    add(&scene, "near", "");
    assert_eq!(scene.run("peek orders --raw").output, "tea\n");
}

#[test]
fn the_exit_code_tells_why_a_pool_cannot_be_reached() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    add(&scene, "spare", " --weight 0 --create");
    done(&scene.run("post orders tea --create"));
    let manifest = scene.path("near/MANIFEST");
    let bytes = fs::read(&manifest).unwrap();
    fs::write(&manifest, vec![b'x'; bytes.len()]).unwrap();
    for command in ["get orders", "post orders coffee", "purge orders"] {
        scene.run(command).assert_fails(7, &["near", "cannot be reached"]);
    }
    fs::write(&manifest, bytes).unwrap();
    fs::rename(scene.path("near"), scene.path("unmounted")).unwrap();
    scene.run("get orders").assert_fails(5, &["near", "has no store"]);
    fs::rename(scene.path("unmounted"), scene.path("near")).unwrap();

    let lock = fs::File::open(scene.path("near/LOCK")).unwrap();
    lock.lock().unwrap();
    scene.run("get orders").assert_fails(6, &["near", "cannot be reached"]);
    lock.unlock().unwrap();
    assert_eq!(scene.run("get orders --raw").output, "tea\n");
}

#[test]
fn the_trees_of_a_pool_that_cannot_be_opened_are_not_called_sound() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    add(&scene, "spare", " --weight 0 --create");
    done(&scene.run("post orders tea --create"));
    done(&scene.run("verify --trees"));
    fs::rename(scene.path("spare"), scene.path("unmounted")).unwrap();
    scene.run("verify --trees").assert_fails(5, &["pool spare cannot be looked into"]);
}

#[test]
fn a_pool_that_is_added_again_keeps_what_is_not_given() {
    let scene = Scene::new();
    add(&scene, "near", " --weight 3 --group fast --create");
    let options = Metadata::new().with("memory", 1 << 20).unwrap();
    let by_library = driver(&scene);
    by_library.pools().update(&pool("near"), &PoolUpdate::new().options(options.clone())).unwrap();
    by_library.close().unwrap();
    for (flags, weight, group) in [
        ("", 3, json!("fast")),
        (" --weight 5", 5, json!("fast")),
        (" --group slow", 5, json!("slow")),
        (" --no-group", 5, Value::Null),
    ] {
        add(&scene, "near", flags);
        let row = &scene.rows("pools ls --json")[0];
        assert_eq!((&row["weight"], &row["group"]), (&json!(weight), &group), "{flags}");
    }
    let by_library = driver(&scene);
    assert_eq!(by_library.pools().get(&pool("near"), true).unwrap().options(), Some(&options));
}

#[test]
fn the_place_of_a_pool_with_queues_is_not_changed_by_mistake() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    let elsewhere = format!("pools add near sled:{} --create", scene.path("elsewhere").display());
    done(&scene.run(&elsewhere));
    add(&scene, "near", "");
    done(&scene.run("post orders tea --create"));
    scene.run(&elsewhere).assert_fails(9, &["pool near has 1 queue", "whose messages stay in sled:", "--yes"]);
    add(&scene, "near", " --weight 2");
    fs::remove_dir_all(scene.path("elsewhere")).ok();
    fs::rename(scene.path("near"), scene.path("elsewhere")).unwrap();
    done(&scene.run(&format!("{elsewhere} --yes")));
    assert_eq!(scene.run("get orders --raw").output, "tea\n");
}

#[test]
fn the_metadata_of_a_queue_in_a_pool_is_shown() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    done(&scene.run("post orders tea --create"));
    let by_library = driver(&scene);
    let orders = by_library.queue(Project::none(), "orders").unwrap();
    orders.set_metadata(&Metadata::new().with("owner", "ann").unwrap()).unwrap();
    by_library.close().unwrap();
    let facts = &scene.rows("stat orders --json")[0];
    assert_eq!((&facts["metadata"], &facts["free"]), (&json!({"owner": "ann"}), &json!(1)));
}

#[test]
fn the_store_of_a_pool_is_made_only_on_request_and_not_among_other_files() {
    let scene = Scene::new();
    add(&scene, "near", " --create");
    assert!(scene.path("near/MANIFEST").exists());
    let far = format!("pools add far sled:{}", scene.path("far").display());
    scene.run(&far).assert_fails(9, &["there is no store in", "--create"]);
    fs::create_dir(scene.path("far")).unwrap();
    scene.run(&far).assert_fails(9, &["there is no store in", "--create"]);
    fs::write(scene.path("far/thesis.tex"), "years of work").unwrap();
    scene.run(&format!("{far} --create")).assert_fails(9, &["other files", "\"thesis.tex\""]);
    done(&scene.run("verify --trees"));
    done(&scene.run("salvage --yes"));
    assert_eq!(fs::read_dir(scene.path("far")).unwrap().count(), 1);
    assert_eq!(scene.rows("pools ls --json").len(), 1);
    fs::remove_file(scene.path("far/thesis.tex")).unwrap();
    // A store that is no pool, or that of another store.
    let own = Engine::open(scene.path("far")).unwrap();
    own.queue(Project::none(), "mail").unwrap().create(Metadata::new()).unwrap();
    own.close().unwrap();
    let refused = scene.run(&far);
    assert!(refused.code != Some(0) && refused.errors.contains("pool far cannot be looked into"), "{refused:?}");
    assert_eq!(scene.rows("pools ls --json").len(), 1);
    fs::remove_dir_all(scene.path("far")).unwrap();
    add(&scene, "far", " --create");
    assert_eq!(scene.rows("pools ls --json").len(), 2);
}
