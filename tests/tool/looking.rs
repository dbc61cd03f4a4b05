//! Commands that look into a store: `ls`, `stat`, `peek`, `claims`, `dead`, `explain`.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use zaqar_sled::{
    ClaimOptions, ClientId, Config, Engine, ManualClock, Metadata, NewMessage, Project, QueueSettings, Timestamp,
};

use crate::scene::{Run, Scene, queue};

/// Every command that looks, on the queue `orders`.
const COMMANDS: [&str; 6] = [
    "ls",
    "stat",
    "peek orders --project shop",
    "claims orders --project shop",
    "dead orders --project shop",
    "explain orders --project shop 00000100000000010000010000000001",
];

#[test]
fn a_queue_over_its_rate_is_shown_with_the_instant_from_which_on_it_gives_messages_again() {
    let scene = Scene::new();
    // A time that the program's clock has not reached.
    let time = Timestamp::from_millis(32_503_680_000_000);
    let config = Config::new().clock(Arc::new(ManualClock::new(time))).background(false);
    let engine = config.open(scene.path("store")).unwrap();
    let mails = engine.queue(Project::none(), "mails").unwrap();
    mails.create(QueueSettings::new().max_claims_per_second(1).max_claims_burst(2)).unwrap();
    let ids = mails.post(ClientId::random(), &vec![NewMessage::new("mail"); 3]).unwrap();
    let shown = || scene.rows("stat mails --json").remove(0)["claim_rate"].clone();
    let full = json!({"per_second": 1, "burst": 2, "available": 2, "next": "3000-01-01T00:00:00Z"});
    assert_eq!(shown(), full);
    assert_eq!(mails.pop(3).unwrap().len(), 2);
    let until = "3000-01-01T00:00:01Z";
    assert_eq!(shown(), json!({"per_second": 1, "burst": 2, "available": 0, "next": until}));
    let text = scene.run("stat mails").output;
    assert!(text.contains(&format!("1 per second, 2 at once; now none until {until}")), "{text}");
    let row = scene.rows(&format!("explain mails {} --json", ids[2])).remove(0);
    assert_eq!((&row["state"], &row["until"]), (&json!("over its rate"), &json!(until)));
    assert_eq!(scene.run("stat").code, Some(0));
    engine.queue(Project::none(), "other").unwrap().create(Metadata::new()).unwrap();
    assert_eq!(scene.rows("stat other --json")[0]["claim_rate"], Value::Null);
}

#[test]
fn a_store_is_shown_whether_it_is_in_use_or_closed_and_not_a_byte_is_changed() {
    for closed in [false, true] {
        let scene = Scene::new();
        let engine = scene.shop();
        if closed {
            engine.close().unwrap();
        }
        let before = scene.files();
        let rows = scene.rows("ls --json");
        assert_eq!(rows.len(), 201, "archived queues are listed too");
        assert!(rows.iter().filter(|row| row["archived"] == true).count() > 100);
        let orders = rows.last().unwrap();
        let expected = json!({
            "project": "shop", "queue": "orders", "free": 3, "delayed": 1, "claimed": 2, "archived": false,
            "bytes": orders["bytes"], "oldest_s": orders["oldest_s"],
        });
        assert_eq!(orders, &expected);
        assert!(orders["oldest_s"].as_u64().unwrap() < 600);
        assert_eq!(scene.rows("ls --json --project shop").len(), 1);
        assert_eq!(scene.rows("ls --json --no-project").len(), 200);
        assert_eq!(scene.rows("ls --json --contains dle-19").len(), 11);

        let [store] = <[Value; 1]>::try_from(scene.rows("stat --json")).unwrap();
        assert_eq!((&store["closed_cleanly"], &store["queues"]), (&json!(false), &json!(201)));
        assert_eq!((&store["free"], &store["claimed"], &store["claims"]), (&json!(3), &json!(2), &json!(1)));
        let used_by = if closed { Value::Null } else { json!(std::process::id()) };
        assert_eq!(store["used_by"], used_by);
        let files = store["files"].as_object().unwrap();
        let sum = |named: &dyn Fn(&str) -> bool| {
            files.iter().filter(|(name, _)| named(name)).map(|(_, bytes)| bytes.as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!(sum(&|name| name == "total"), sum(&|name| name != "total"));
        assert!(sum(&|name| name == "page_files") > 0 && sum(&|name| name == "archives") > 0);

        let [queue] = <[Value; 1]>::try_from(scene.rows("stat --json orders --project shop")).unwrap();
        assert_eq!((&queue["free"], &queue["metadata"]), (&json!(3), &json!({"owner": "ann"})));

        let states =
            |rows: &[Value]| rows.iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        let messages = scene.rows("peek orders --project shop --json");
        assert_eq!(states(&messages), ["claimed", "claimed", "free", "free", "free", "delayed"]);
        assert_eq!((&messages[0]["body"], &messages[0]["body_base64"]), (&json!("coffee"), &Value::Null));
        assert_eq!((&messages[2]["body"], &messages[2]["body_base64"]), (&Value::Null, &json!("/wBieXRlcw==")));
        assert_eq!((&messages[0]["ttl_s"], &messages[5]["ttl_s"]), (&Value::Null, &json!(7200)));

        let [claim] = <[Value; 1]>::try_from(scene.rows("claims orders --project shop --json")).unwrap();
        assert_eq!((&claim["ttl_s"], &claim["messages"]), (&json!(600), &json!(2)));
        assert_eq!(claim["claim"], messages[0]["claim"]);
        let id = claim["claim"].as_str().unwrap();
        let held = scene.rows(&format!("claims orders --project shop --json --id {id}"));
        assert_eq!(held.iter().map(|row| &row["id"]).collect::<Vec<_>>(), [&messages[0]["id"], &messages[1]["id"]]);
        let explained = |row: usize| {
            let id = messages[row]["id"].as_str().unwrap();
            scene.rows(&format!("explain orders --project shop --json {id}")).remove(0)
        };
        let [held, free, delayed] = [0, 2, 5].map(explained);
        assert_eq!((&held["state"], &held["claim"]), (&json!("claimed"), &claim["claim"]));
        assert_eq!((&held["until"], &held["expires"]), (&claim["expires"], &Value::Null));
        assert_eq!((&free["state"], &free["since"]), (&json!("free"), &messages[2]["created"]));
        assert_eq!((&delayed["state"], &delayed["since"]), (&json!("delayed"), &messages[5]["created"]));
        assert!(delayed["until"].as_str() < delayed["expires"].as_str(), "{delayed}");
        assert_eq!(scene.files(), before);
    }
}

#[test]
fn the_state_of_a_store_is_told() {
    let scene = Scene::new();
    let engine = Engine::open(scene.path("store")).unwrap();
    let by_us = format!("state        in use by process {}", std::process::id());
    assert!(scene.run("stat").output.starts_with(&by_us), "{:?}", scene.run("stat"));
    engine.close().unwrap();
    assert!(scene.run("stat").output.starts_with("state        closed cleanly\n"));
    assert_eq!(scene.rows("stat --json")[0]["closed_cleanly"], json!(true));
    // A store with an archive has no trees that a clean close could fill.
    scene.shop().close().unwrap();
    assert!(scene.run("stat").output.starts_with("state        not in use, as far as is known;"));
}

#[test]
fn a_queue_is_read_page_by_page_and_one_message_whole() {
    let scene = Scene::new();
    let engine = scene.shop();
    let all = scene.rows("peek orders --project shop --json");
    let id = |row: usize| all[row]["id"].as_str().unwrap();
    let ids = |rows: &[Value]| rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let page = scene.rows(&format!("peek orders --project shop --json --limit 2 --after {}", id(1)));
    assert_eq!(ids(&page), [id(2), id(3)]);
    assert_eq!(ids(&scene.rows("peek orders --project shop --json --free")), [id(2), id(3), id(4)]);
    for row in [0, 3, 5] {
        let one = scene.rows(&format!("peek orders --project shop --json --id {}", id(row)));
        assert_eq!((&one[0]["id"], &one[0]["state"]), (&all[row]["id"], &all[row]["state"]));
    }
    let shown = scene.run(&format!("peek orders --project shop --id {}", id(1)));
    assert!(shown.output.contains("body           tea\\nand \\u{1b}[2Jmilk\n"), "{shown:?}");
    let raw = scene.command(&format!("peek orders --project shop --raw --limit 2 --after {}", id(1))).output().unwrap();
    assert_eq!(raw.stdout, b"\xff\x00bytes\ncake\n");
    // More than the page of a listing, in messages and in bytes.
    let many = queue(&engine, "many");
    many.create(Metadata::new()).unwrap();
    for _ in 0..3 {
        many.post(ClientId::random(), &vec![NewMessage::new(vec![b'x'; 2000]); 800]).unwrap();
    }
    assert_eq!(scene.rows("peek many --project shop --json --limit 2300").len(), 2300);
    assert_eq!(scene.rows("peek many --project shop --json --limit 5000").len(), 2400);
}

#[test]
fn a_message_that_is_not_there_is_explained() {
    let scene = Scene::new();
    let engine = scene.shop();
    let all = scene.rows("peek orders --project shop --json");
    let id = |row: usize| all[row]["id"].as_str().unwrap().to_owned();
    queue(&engine, "orders").delete_message(&id(2).parse().unwrap()).unwrap();
    let beyond = id(0)[..16].to_owned() + &"f".repeat(16);
    for (id, state) in [(id(2), "gone"), (beyond, "never posted"), ("0".repeat(32), "other queue")] {
        let run = scene.run(&format!("explain orders --project shop {id}"));
        assert_eq!((run.code, run.output), (Some(0), format!("id     {id}\nstate  {state}\n")));
    }
}

#[test]
fn a_worn_out_message_is_explained_with_its_dead_letter_queue() {
    let scene = Scene::new();
    let engine = scene.engine();
    let jobs = queue(&engine, "jobs");
    jobs.create(QueueSettings::new().dead_letters("dead jobs ", 1)).unwrap();
    jobs.post(ClientId::random(), &[NewMessage::new("work").ttl(Duration::from_secs(3600))]).unwrap();
    let claim = jobs.claim(ClaimOptions::new()).unwrap().unwrap();
    claim.release().unwrap();
    let id = scene.rows("peek jobs --project shop --json")[0]["id"].as_str().unwrap().to_owned();
    let run = scene.run(&format!("explain jobs --project shop {id}"));
    assert!(run.output.contains("state         worn out\ndead letters  \"dead jobs \"\nexpires       2"), "{run:?}");
    let row = scene.rows(&format!("explain jobs --project shop {id} --json")).remove(0);
    assert_eq!((&row["since"], &row["dead_letter_queue"]), (&Value::Null, &json!("dead jobs ")));
}

#[test]
fn a_store_that_changes_all_the_time_is_shown_or_called_busy() {
    let scene = Scene::new();
    let engine = scene.shop();
    let (is_over, mut shown) = (AtomicBool::new(false), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let many = queue(&engine, "many");
            many.create(Metadata::new()).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    many.post(ClientId::random(), &vec![NewMessage::new(vec![b'x'; 2000]); 10]).unwrap();
                }
                engine.step().unwrap();
                engine.snapshot().unwrap();
                many.purge().unwrap();
            }
        });
        for command in COMMANDS.iter().cycle().take(12) {
            let run = scene.run(command);
            shown += u32::from(run.code == Some(0));
            if !matches!(run.code, Some(0 | 6)) {
                is_over.store(true, Ordering::Relaxed);
                panic!("{run:?}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(shown > 0, "no command saw the store");
}

#[test]
fn tables_fit_a_terminal_of_60_columns_and_nothing_acts_on_it() {
    let scene = Scene::new();
    let engine = scene.shop();
    let strange = "a very long name\n\x1b]0;title\x07 \u{202e}gnp".to_owned() + &"x".repeat(200);
    let project = Project::named("p".repeat(100)).unwrap();
    let long = engine.queue(project, &strange).unwrap();
    long.create(Metadata::new().with("key", "x".repeat(500)).unwrap()).unwrap();
    long.post(ClientId::random(), &vec![NewMessage::new("\x1b[2J".repeat(100)); 1234]).unwrap();
    for command in COMMANDS {
        let run = Run::of(scene.command(command).env("COLUMNS", "60"));
        assert_eq!((run.code, run.errors.as_str()), (Some(0), ""), "{run:?}");
        // There are no dead letters.
        let rows = usize::from(!command.starts_with("dead"));
        assert!(run.output.lines().count() > rows, "{run:?}");
        for line in run.output.lines() {
            assert!(line.chars().count() <= 60, "{line:?} of {command}");
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?} of {command}");
        }
    }
    let mut one = scene.command("peek");
    one.arg(&strange).args(["--project", &"p".repeat(100), "--limit", "2"]).env("COLUMNS", "60");
    let run = Run::of(&mut one);
    assert!(run.output.contains("\\u{1b}"), "{run:?}");
    assert!(run.output.lines().all(|line| line.chars().count() <= 60), "{run:?}");
}

#[test]
fn a_failure_says_what_to_do_and_has_a_code_of_its_own() {
    let scene = Scene::new();
    for command in COMMANDS {
        scene.run(command).assert_fails(5, &["there is no store in store", "--store"]);
        assert!(!scene.path("store").exists());
    }
    fs::write(scene.path("store"), "a file").unwrap();
    scene.run("ls").assert_fails(5, &["there is no store in store"]);
    fs::remove_file(scene.path("store")).unwrap();

    let engine = scene.shop();
    for command in [
        "stat drinks",
        "peek drinks --project shop",
        "claims drinks",
        "explain drinks 00000100000000010000010000000001",
    ] {
        scene.run(command).assert_fails(5, &["there is no queue drinks", "`zaqar-sled ls` lists the queues"]);
    }
    let nothing = "0".repeat(32);
    scene.run(&format!("peek orders --project shop --id {nothing}")).assert_fails(5, &["no message 000"]);
    let claim = "00000000-0000-4000-8000-000000000000";
    scene.run(&format!("claims orders --project shop --id {claim}")).assert_fails(5, &["no claim 000"]);
    for wrong in
        ["ls --projects", "peek", "peek orders --limit 0", "peek orders --after x", "explain orders x", "frobnicate"]
    {
        assert_eq!(scene.run(wrong).code, Some(2), "{wrong}");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let run = Run::of(scene.command("ls").stdout(Stdio::from(full)));
    run.assert_fails(1, &["standard output"]);

    engine.close().unwrap();
    let base = fs::read_dir(scene.path("store")).unwrap().map(|entry| entry.unwrap().path());
    let base = base.filter(|path| path.extension().is_some_and(|kind| kind == "base")).max().unwrap();
    let mut bytes = fs::read(&base).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&base, bytes).unwrap();
    scene.run("ls").assert_fails(7, &["the store store is damaged", "salvage"]);
}

#[test]
fn a_message_cannot_act_on_the_terminal() {
    let scene = Scene::new();
    let strange = "a\x1b[2J\u{202e}b";
    let program = || Command::new(env!("CARGO_BIN_EXE_zaqar-sled"));
    scene.shop().close().unwrap();
    for arguments in [["ls", "--store", strange, "--json"], ["peek", strange, "--store", "store"]] {
        let run = Run::of(program().current_dir(scene.path("")).args(arguments));
        assert_eq!(run.code, Some(5), "{run:?}");
        assert!(run.errors.contains("a\\u{1b}[2J\\u{202e}b"), "{run:?}");
        assert!(!run.errors.trim_end().chars().any(|c| c.is_control() || c == '\u{202e}'), "{run:?}");
    }
}

#[test]
fn every_command_lists_the_exit_codes() {
    for command in
        ["--help", "work --help", "ls --help", "stat --help", "peek --help", "claims --help", "explain --help"]
    {
        let help = Run::of(Command::new(env!("CARGO_BIN_EXE_zaqar-sled")).args(command.split(' ')));
        assert!(help.output.contains("Exit codes:\n  0    done\n"), "{help:?}");
    }
}
