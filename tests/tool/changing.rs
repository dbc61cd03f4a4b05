//! Commands that change a store: `post`, `get`, `purge`, `redrive`, `rm`, `pools`, `salvage`; and `verify`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use zaqar_sled::{ClaimOptions, ClientId, Engine, Metadata, NewMessage, PooledDriver, Project, QueueSettings, Retry};

use crate::scene::{Run, Scene};

/// Every command that changes a store, on the queue `orders`.
const COMMANDS: [&str; 11] = [
    "post orders tea",
    "get orders",
    "purge orders",
    "redrive orders",
    "pause orders",
    "resume orders",
    "rm orders",
    "pools add spare sled:/nowhere/spare",
    "pools rm spare",
    "salvage --yes",
    "verify --trees",
];

/// The bodies of the messages of `orders`, in order.
fn bodies(scene: &Scene) -> Vec<String> {
    let rows = scene.rows("peek orders --json --limit 1000");
    rows.iter().map(|row| row["body"].as_str().unwrap_or("?").to_owned()).collect()
}

#[test]
fn no_command_makes_a_store_or_a_queue_unless_it_is_asked_to() {
    let scene = Scene::new();
    for command in COMMANDS {
        scene.run(command).assert_fails(5, &["there is no store in store", "--create"]);
        assert!(!scene.path("store").exists(), "{command}");
    }
    assert_eq!(scene.run("post orders tea --create").code, Some(0));
    scene.run("post drinks tea").assert_fails(5, &["there is no queue drinks", "post --create"]);
    for command in ["get drinks", "purge drinks", "redrive drinks", "pause drinks", "resume drinks", "rm drinks"] {
        scene.run(command).assert_fails(5, &["there is no queue drinks"]);
    }
    assert_eq!(scene.rows("ls --json").len(), 1);
}

#[test]
fn headers_are_posted_and_shown() {
    let scene = Scene::new();
    let posted = scene.run("post orders tea --create --header customer=ann --header content-type=text/plain");
    assert_eq!(posted.code, Some(0), "{posted:?}");
    let rows = scene.rows("peek orders --json");
    assert_eq!(rows[0]["headers"], json!([["customer", "ann"], ["content-type", "text/plain"]]));
    let shown = scene.run(&format!("peek orders --id {}", posted.output.trim())).output;
    assert!(shown.contains("header         customer: ann\n"), "{shown}");
    scene.run("post orders tea --header customer").assert_fails(2, &["NAME=VALUE"]);
    scene.run("post orders tea --header content-type=tea").assert_fails(1, &["content-type"]);
    assert_eq!(bodies(&scene), ["tea"]);
}

#[test]
fn a_queue_is_paused_and_resumed() {
    let scene = Scene::new();
    assert_eq!(scene.run("post orders tea --create").code, Some(0));
    assert_eq!(scene.rows("pause orders --json"), [json!({"paused": "all"})]);
    scene.run("post orders coffee").assert_fails(1, &["paused"]);
    assert_eq!(scene.run("get orders").code, Some(8));
    let id = scene.rows("peek orders --json")[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(scene.rows(&format!("explain orders {id} --json"))[0]["state"], "paused");
    assert_eq!(scene.rows("stat orders --json")[0]["metadata"]["_paused"], "all");
    assert_eq!(scene.run("pause orders --only claims").output, "paused for claims\n");
    assert_eq!(scene.run("post orders coffee").code, Some(0));
    scene.run("pause orders --only both").assert_fails(2, &["claims"]);
    assert_eq!(scene.run("resume orders").output, "resumed\n");
    // `work` does not end a pause.
    fs::write(scene.path("lines"), "a\nb\n").unwrap();
    let count = || scene.run("work --workers 1 lines");
    assert_eq!(count().code, Some(0));
    let rows = scene.rows("ls --json --project work");
    let lines = rows.iter().find_map(|row| row["queue"].as_str()).unwrap().to_owned();
    assert_eq!(scene.run(&format!("pause {lines} --project work")).code, Some(0));
    let paused = count();
    assert!(paused.code == Some(1) && paused.errors.contains("is paused for all"), "{paused:?}");
    assert_eq!(scene.rows(&format!("stat {lines} --project work --json"))[0]["metadata"]["_paused"], "all");
    assert_eq!(scene.rows("get orders --json --limit 9").len(), 2);
}

#[test]
fn dead_letters_are_listed_and_put_back() {
    let scene = Scene::new();
    let engine = scene.engine();
    let orders = engine.queue(Project::none(), "orders").unwrap();
    orders.create(QueueSettings::new().dead_letters("dead", 1)).unwrap();
    orders.post(ClientId::random(), &[NewMessage::new("tea"), NewMessage::new("coffee")]).unwrap();
    let claim = orders.claim(ClaimOptions::new()).unwrap().unwrap();
    claim.retry(Retry::from(&claim.messages()[0]).reason("no \x1b cups")).unwrap();
    claim.release().unwrap();
    assert!(orders.claim(ClaimOptions::new()).unwrap().is_none());
    let dead = engine.queue(Project::none(), "dead").unwrap();
    dead.post(ClientId::random(), &[NewMessage::new("posted")]).unwrap();
    assert_eq!(scene.rows("dead orders --json").len(), 2, "also while the store is in use");
    engine.close().unwrap();

    let rows = scene.rows("dead orders --json");
    let origins: Vec<&Value> = rows.iter().map(|row| &row["origin"]).collect();
    assert_eq!((&origins[0]["reason"], &origins[1]["reason"]), (&json!("no \x1b cups"), &Value::Null));
    assert_eq!((&origins[0]["queue"], &origins[0]["claim_count"]), (&json!("orders"), &json!(1)));
    let behind = rows[0]["id"].as_str().unwrap();
    assert_eq!(scene.rows(&format!("dead orders --json --after {behind}"))[0]["body"], "coffee");
    assert_eq!(scene.rows("dead orders --json --limit 1").len(), 1);
    let shown = scene.run("dead orders").output;
    assert!(shown.contains("no \\u{1b} cups") && !shown.contains("posted"), "{shown}");
    assert!(scene.rows("dead dead --json").is_empty(), "it has no dead-letter queue");
    scene.run("dead drinks").assert_fails(5, &["there is no queue drinks"]);

    assert_eq!(scene.run("redrive dead --dry-run").output, MOVABLE);
    assert_eq!(scene.run("redrive dead --reason cups --source orders").output, "1 message moved\n");
    assert_eq!(bodies(&scene), ["tea"]);
    scene.run("redrive dead --to drinks").assert_fails(5, &["drinks"]);
    scene.run("redrive dead --to dead").assert_fails(1, &["into itself"]);
    assert_eq!(
        scene.rows("redrive dead --to orders --ttl 1h --json"),
        [json!({
            "dry_run": false, "moved": 2, "stranded": 0
        })]
    );
    assert_eq!(bodies(&scene), ["tea", "coffee", "posted"]);
    assert_eq!(scene.rows("peek orders --json")[1]["ttl_s"], 3600);
}

const MOVABLE: &str = "2 messages would move\n1 message without a queue to go to; --to names one\n";

#[test]
fn a_store_is_not_made_among_other_files() {
    let scene = Scene::new();
    fs::create_dir(scene.path("store")).unwrap();
    fs::write(scene.path("store/thesis.tex"), "years of work").unwrap();
    for command in ["post orders tea --create", "pools add spare sled:/nowhere/spare --create", "work"] {
        scene.run(command).assert_fails(9, &["other files", "\"thesis.tex\""]);
    }
    assert_eq!(fs::read_dir(scene.path("store")).unwrap().count(), 1);
    // What an interrupted creation leaves is not in the way.
    fs::remove_file(scene.path("store/thesis.tex")).unwrap();
    fs::write(scene.path("store/LOCK"), "").unwrap();
    assert_eq!(scene.run("post orders tea --create").code, Some(0));
}

#[test]
fn a_store_in_use_is_refused_and_the_process_named() {
    let scene = Scene::new();
    let engine = Engine::open(scene.path("store")).unwrap();
    let orders = engine.queue(Project::none(), "orders").unwrap();
    orders.create(Metadata::new()).unwrap();
    orders.post(ClientId::random(), &[NewMessage::new("tea")]).unwrap();
    let process = format!("in use by process {}", std::process::id());
    for command in COMMANDS {
        scene.run(command).assert_fails(6, &[&process, "ls, stat, peek, claims, explain, verify"]);
    }
    assert_eq!(scene.run("verify").code, Some(0));
    assert_eq!(orders.stats().unwrap().free(), 1);
}

#[test]
fn bodies_come_from_arguments_files_and_standard_input() {
    let scene = Scene::new();
    let ids = scene.rows("post orders tea coffee --create --json")[0]["ids"].as_array().unwrap().len();
    assert_eq!(ids, 2);
    fs::write(scene.path("a"), "one\ntwo").unwrap();
    fs::write(scene.path("b"), "three\n\n").unwrap();
    assert_eq!(scene.run("post orders --file a --file b").output.lines().count(), 2);
    assert_eq!(scene.run("post orders --file a --file b --lines").output.lines().count(), 4);
    for (arguments, input) in [("post orders", &b"whole\ninput\n"[..]), ("post orders --lines", b"x\ny\n")] {
        let mut command = scene.command(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait().unwrap().success());
    }
    let expected = ["tea", "coffee", "one\ntwo", "three\n\n", "one", "two", "three", "", "whole\ninput\n", "x", "y"];
    assert_eq!(bodies(&scene), expected);
    scene.run("post orders --file nowhere").assert_fails(1, &["nowhere: No such file"]);
    assert_eq!(scene.run("post orders tea --file a").code, Some(2));
    assert_eq!(bodies(&scene).len(), expected.len());
}

#[test]
fn times_are_given_as_people_write_them() {
    let scene = Scene::new();
    scene.run("post orders a --create --ttl 90s --delay 5m");
    scene.run("post orders b --ttl 2days");
    scene.run("post orders c --ttl forever");
    let rows = scene.rows("peek orders --json");
    let times: Vec<&Value> = rows.iter().map(|row| &row["ttl_s"]).collect();
    assert_eq!(times, [&json!(90), &json!(172_800), &Value::Null]);
    assert_eq!(rows[0]["state"], "delayed");
    let wrong = scene.run("post orders d --ttl soon");
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.errors.contains("for example 30s, 5m or 1h 30m"), "{wrong:?}");
}

#[test]
fn messages_are_taken_or_claimed() {
    let scene = Scene::new();
    scene.run("post orders a b c d --create");
    assert_eq!(scene.run("get orders --raw").output, "a\n");
    let taken = scene.rows("get orders --json");
    assert_eq!(
        (&taken[0]["body"], &taken[0]["state"], &taken[0]["claim"]),
        (&json!("b"), &json!("taken"), &Value::Null)
    );
    let claimed = scene.rows("get orders --json --claim --ttl 1h --limit 2");
    assert_eq!((claimed.len(), &claimed[0]["state"]), (2, &json!("claimed")));
    assert_eq!(scene.rows("claims orders --json")[0]["ttl_s"], 3600);
    scene.run("get orders").assert_fails(8, &[]);
    assert_eq!(bodies(&scene), ["c", "d"]);

    let (id, claim) = (claimed[0]["id"].as_str().unwrap(), claimed[0]["claim"].as_str().unwrap());
    scene.run(&format!("rm orders --message {id}")).assert_fails(1, &["is claimed", "--claim"]);
    assert_eq!(scene.run(&format!("rm orders --message {id} --claim {claim}")).output, "deleted 1 message\n");
    scene.run(&format!("rm orders --message {id}")).assert_fails(5, &["there is no message"]);
    assert_eq!(bodies(&scene), ["d"]);
}

#[test]
fn a_message_that_cannot_be_printed_stays() {
    let scene = Scene::new();
    scene.run("post orders a --create");
    for raw in ["", " --raw", " --json"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        Run::of(scene.command(&format!("get orders{raw}")).stdout(Stdio::from(full))).assert_fails(1, &["output"]);
        assert_eq!(scene.rows("ls --json")[0]["free"], 1);
    }
    assert_eq!(scene.run("get orders --raw").output, "a\n");
}

#[test]
fn a_message_is_shown_whole_before_it_is_removed() {
    let scene = Scene::new();
    let long = format!("{}!", "wide ".repeat(2000));
    let bodies = [long.as_str(), "a\\nb", "a\nb", "end ", &long];
    for body in bodies {
        fs::write(scene.path("body"), body).unwrap();
        assert_eq!(scene.run("post orders --file body --create").code, Some(0));
    }
    let on_terminal = || Run::of(scene.command("get orders").env("COLUMNS", "60")).output;
    let block = on_terminal();
    assert!(block.ends_with(&format!("body   {long}\n")), "{block}");
    for shown in ["a\\\\nb", "a\\nb", "\"end \""] {
        let table = on_terminal();
        assert!(table.ends_with(&format!("  {shown}\n")), "{table}");
    }
    // A message that stays may be cut, with a mark.
    assert!(scene.run("peek orders").output.ends_with("…\n"));
    assert!(scene.run("get orders").output.ends_with(&format!("  {long}\n")));
}

#[test]
fn a_queue_is_emptied_and_deleted() {
    let scene = Scene::new();
    scene.run("post orders a b --create");
    scene.run("post orders c --create --project shop");
    assert_eq!(scene.run("purge orders").output, "2 messages removed\n");
    assert_eq!(scene.rows("purge orders --project shop --json"), [json!({"messages": 1})]);
    assert_eq!(scene.rows("ls --json").len(), 2);
    scene.run("post orders a b");
    assert_eq!(scene.run("rm orders").output, "deleted the queue and its 2 messages\n");
    assert_eq!(scene.rows("rm orders --project shop --json"), [json!({"messages": 0, "queue": true})]);
    assert_eq!(scene.rows("ls --json").len(), 0);
}

#[test]
fn pools_are_listed_added_and_removed_and_their_queues_are_used() {
    let scene = Scene::new();
    let spare = format!("pools add spare sled:{} --weight 3 --create", scene.path("spare").display());
    let run = scene.run(&spare);
    assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
    let listed = scene.run("pools ls --json");
    let row: Value = serde_json::from_str(&listed.output).unwrap();
    assert_eq!((&row["pool"], &row["weight"], &row["group"]), (&json!("spare"), &json!(3), &Value::Null));
    // The queue is in the pool, and so are its messages.
    assert_eq!(scene.run("post orders tea --create").code, Some(0));
    assert_eq!(scene.run("get orders --raw").output, "tea\n");
    scene.run("post orders coffee");
    let driver = PooledDriver::open(scene.path("store")).unwrap();
    assert_eq!(driver.queue(Project::none(), "orders").unwrap().stats().unwrap().free(), 1);
    driver.close().unwrap();
    scene.run("pools rm nowhere").assert_fails(5, &["there is no pool nowhere", "pools ls"]);
    scene.run("rm orders");
    assert_eq!(scene.run("pools rm spare").code, Some(0));
    assert_eq!(scene.run("pools ls --json").output, "");
}

#[test]
fn a_queue_in_a_pool_is_shown_with_its_messages() {
    let scene = Scene::new();
    let (near, far) = (scene.path("near"), scene.path("far"));
    scene.run(&format!("pools add near sled:{} --create", near.display()));
    assert_eq!(scene.run("post orders tea coffee --create").code, Some(0));
    let changed = scene.run(&format!("pools add near sled:{} --weight 0", near.display()));
    assert_eq!(changed.code, Some(0), "{changed:?}");
    scene.run(&format!("pools add far sled:{} --create", far.display()));
    scene.run("post drinks water --create");
    let taken = scene.rows("get orders --claim --json");

    let rows = scene.rows("ls --json");
    let counts: Vec<_> = rows.iter().map(|row| (&row["queue"], &row["free"], &row["claimed"])).collect();
    assert_eq!(counts, [(&json!("drinks"), &json!(1), &json!(0)), (&json!("orders"), &json!(1), &json!(1))]);
    assert_eq!(bodies(&scene), ["tea", "coffee"]);
    assert_eq!(scene.rows("claims orders --json")[0]["claim"], taken[0]["claim"]);
    assert_eq!(scene.rows("stat --json")[0]["free"], 2);
    assert_eq!(scene.rows("stat orders --json")[0]["oldest"]["id"], taken[0]["id"]);
    assert_eq!(scene.rows("verify --json")[0]["messages"], 3);
    assert!(scene.run("verify --trees").output.ends_with("the store is sound\n"));

    // The store of a pool is not a store of its own.
    fs::rename(scene.path("store"), scene.path("control")).unwrap();
    fs::rename(&near, scene.path("store")).unwrap();
    scene.run("post orders tea").assert_fails(1, &["is a pool of another store"]);
    assert_eq!(scene.rows("ls --json")[0]["free"], 1);
    fs::rename(scene.path("store"), &near).unwrap();
    fs::rename(scene.path("control"), scene.path("store")).unwrap();

    // A disk that is not mounted is not an empty one.
    fs::rename(&near, scene.path("unmounted")).unwrap();
    let listed = scene.run("ls --json");
    assert_eq!((listed.code, listed.output.lines().count()), (Some(5), 1), "{listed:?}");
    assert!(listed.errors.contains("pool near cannot be looked into: there is no store in"), "{listed:?}");
    for command in ["peek orders", "stat orders", "claims orders", "verify", "stat"] {
        scene.run(command).assert_fails(5, &["pool near cannot be looked into"]);
    }
    assert_eq!(scene.rows("peek drinks --json")[0]["body"], "water");
}

/// Changes bytes in each page of the store's page files.
fn damage_pages(store: &Path) {
    for entry in fs::read_dir(store.join("heap")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().skip(40).step_by(500).for_each(|byte| *byte ^= 1);
        fs::write(&path, bytes).unwrap();
    }
}

/// Changes the first frame of the store's journal.
fn damage_journal(store: &Path) {
    let segments = fs::read_dir(store.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let first = segments.min().unwrap();
    let mut bytes = fs::read(&first).unwrap();
    bytes[100..110].iter_mut().for_each(|byte| *byte ^= 1);
    fs::write(&first, bytes).unwrap();
}

#[test]
fn damage_is_found_and_salvage_reports_what_is_lost() {
    let scene = Scene::new();
    scene.full_shop();
    let verified = scene.run("verify");
    assert_eq!((verified.code, verified.errors.as_str()), (Some(0), ""), "{verified:?}");
    assert_eq!(verified.output, "read 1 queue and 100 messages\nthe store is sound\n");
    damage_pages(&scene.path("store"));
    let before = scene.files();
    let verified = scene.run("verify");
    assert_eq!(verified.code, Some(7), "{verified:?}");
    assert!(verified.output.contains("damaged: ") && verified.output.contains(".heap"), "{verified:?}");
    let json: Value = serde_json::from_str(&scene.run("verify --json").output).unwrap();
    assert_eq!((&json["sound"], json["findings"].as_array().unwrap().is_empty()), (&json!(false), false));
    scene.run("salvage").assert_fails(9, &["copy the directory store first", "--yes"]);
    assert_eq!(scene.files(), before);

    let salvaged = scene.run("salvage --yes --json");
    assert_eq!(salvaged.code, Some(7), "{salvaged:?}");
    let report: Value = serde_json::from_str(&salvaged.output).unwrap();
    let lost: u64 = report["lost"].as_array().unwrap().iter().map(|lost| lost["messages"].as_u64().unwrap()).sum();
    assert_eq!((lost > 50, lost + scene.rows("ls --json")[0]["free"].as_u64().unwrap()), (true, 100), "{report}");
    assert!(!report["damaged"].as_array().unwrap().is_empty() && !report["moved_aside"].as_array().unwrap().is_empty());
    assert_eq!(scene.run("verify").code, Some(0));
    let again = scene.run("salvage --yes");
    assert_eq!((again.code, again.output.contains("lost messages  0\n")), (Some(0), true), "{again:?}");
}

#[test]
fn the_stores_of_pools_are_salvaged_too() {
    let scene = Scene::new();
    let near = scene.path("near");
    scene.run(&format!("pools add near sled:{} --create", near.display()));
    scene.run("post orders tea coffee --create");
    damage_journal(&near);
    let verified = scene.run("verify");
    assert_eq!(verified.code, Some(7), "{verified:?}");
    assert!(verified.output.contains("damaged: pool near: "), "{verified:?}");
    let salvaged = scene.run("salvage --yes --json");
    let reports: Vec<Value> = salvaged.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&reports[0]["pool"], &reports[1]["pool"]), (&Value::Null, &json!("near")), "{reports:?}");
    assert!(reports[0]["damaged"].as_array().unwrap().is_empty(), "{reports:?}");
    assert!(!reports[1]["damaged"].as_array().unwrap().is_empty(), "{reports:?}");
    assert_eq!((salvaged.code, scene.run("verify").code), (Some(0), Some(0)), "{reports:?}");
    assert_eq!(bodies(&scene), ["tea", "coffee"]);
    assert!(scene.run("salvage --yes").output.contains("\npool near\nchanges "));
}

#[test]
fn the_report_of_a_salvage_is_told_whatever_fails_later() {
    let scene = Scene::new();
    for pool in ["far", "near", "zone"] {
        scene.run(&format!("pools add {pool} sled:{} --create", scene.path(pool).display()));
    }
    assert_eq!(scene.run("verify --trees").code, Some(0));
    damage_journal(&scene.path("near"));
    fs::rename(scene.path("far"), scene.path("unmounted")).unwrap();
    let salvaged = scene.run("salvage --yes");
    assert!(!matches!(salvaged.code, Some(0 | 7)), "{salvaged:?}");
    assert!(salvaged.errors.contains("pool far cannot be looked into"), "{salvaged:?}");
    for told in ["changes ", "\npool near\nchanges ", "damaged file", "\npool zone\nchanges "] {
        assert!(salvaged.output.contains(told), "{salvaged:?}");
    }
}

#[test]
fn the_report_of_a_salvage_is_on_standard_error_if_standard_output_is_full() {
    for (is_damaged, full, closed) in [(false, 1, 0), (true, 7, 7)] {
        for (is_full, code) in [(true, full), (false, closed)] {
            let scene = Scene::new();
            scene.full_shop();
            if is_damaged {
                damage_pages(&scene.path("store"));
            }
            let mut command = scene.command("salvage --yes");
            let run = if is_full { Run::of(command.stdout(full_disk())) } else { Run::unread(&mut command) };
            assert_eq!(run.code, Some(code), "{run:?}");
            assert!(run.errors.contains("lost messages  "), "{run:?}");
            assert_eq!(run.errors.contains("writing to standard output"), is_full, "{run:?}");
        }
    }
}

fn full_disk() -> Stdio {
    Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap())
}

#[test]
fn an_outcome_that_nobody_reads_is_in_the_exit_code() {
    let scene = Scene::new();
    scene.full_shop();
    let unread = |arguments| Run::unread(&mut scene.command(arguments));
    for (command, code) in [("ls", 0), ("peek orders --project shop", 0), ("verify", 0)] {
        let run = unread(command);
        assert_eq!((run.code, run.errors.as_str()), (Some(code), ""), "{run:?}");
    }
    for command in ["get orders --project shop", "get orders --project shop --raw", "get orders --project shop --claim"]
    {
        let run = unread(command);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.errors.contains("the messages are in the queue again"), "{run:?}");
        assert_eq!(scene.rows("ls --json")[0]["free"], 100);
    }
    fs::write(scene.path("file"), "line\n").unwrap();
    let work = Run::unread(&mut scene.command("work --json --run false --max-claims 1 file"));
    assert_eq!(work.code, Some(3), "{work:?}");
    damage_pages(&scene.path("store"));
    assert_eq!(unread("verify").code, Some(7));
}

#[test]
fn the_report_of_a_salvage_fits_the_terminal() {
    let scene = Scene::new();
    scene.full_shop();
    damage_pages(&scene.path("store"));
    let run = Run::of(scene.command("salvage --yes").env("COLUMNS", "60"));
    assert!(run.output.contains("project  queue   lost\nshop     orders  "), "{run:?}");
    assert!(run.output.lines().all(|line| line.chars().count() <= 60), "{run:?}");
}

#[test]
fn trees_are_compared_on_request() {
    let scene = Scene::new();
    scene.run("post orders a b --create");
    let verified = scene.run("verify --trees");
    assert!(verified.code == Some(0) && verified.output.contains("of the trees compared"), "{verified:?}");
}

#[test]
fn the_table_of_work_fits_the_terminal() {
    let scene = Scene::new();
    fs::write(scene.path("file"), "one\ntwo\n").unwrap();
    for (columns, row) in [("100", "file       2    +2          2    +2"), ("60", "posted         2\n")] {
        let run = Run::of(scene.command("work file").env("COLUMNS", columns));
        assert_eq!(run.code, Some(0), "{run:?}");
        let table = run.errors.lines().filter(|line| !line.starts_with("zaqar-sled: "));
        assert!(table.clone().all(|line| line.chars().count() <= columns.parse().unwrap()), "{run:?}");
        assert!(run.errors.contains(row), "{run:?}");
    }
}
