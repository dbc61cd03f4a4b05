//! Looking into a store from outside: `Engine::inspect`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, Config, Durability, Engine, Message, MessageListOptions, MessageStat, Metadata, NewMessage, Project,
    QueueStats,
};

use crate::values::ALICE;
use crate::variables::ROUNDS;

fn small() -> Config {
    Config::new().durability(Durability::Buffered).segment_size(64 << 10).background(false)
}

fn jobs(engine: &Engine) -> zaqar_sled::Queue {
    engine.queue(Project::none(), "jobs").unwrap()
}

#[test]
fn a_store_in_use_is_never_called_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = small().open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    let (is_over, snapshots) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut seen = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            let batch = vec![NewMessage::new(vec![7; 2000]); 8];
            for round in 0_u64.. {
                jobs(&engine).post(ALICE, &batch).unwrap();
                if jobs(&engine).stats().unwrap().total() > 400 {
                    jobs(&engine).purge().unwrap();
                }
                if round % 4 == 0 {
                    engine.step().unwrap();
                    engine.snapshot().unwrap();
                    snapshots.fetch_add(1, Ordering::Relaxed);
                }
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        while snapshots.load(Ordering::Relaxed) < ROUNDS.or(40) {
            match Engine::inspect(&root) {
                Ok(inspection) => {
                    assert_eq!(inspection.queues().len(), 1);
                    seen += 1;
                }
                // It changes faster than it can be read: no lie, and the caller is told to try again.
                Err(error) if error.is_busy() => {}
                Err(error) => {
                    is_over.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("{seen} inspections beside {} snapshots", snapshots.into_inner());
    assert!(seen > 0, "no inspection saw the store");
}

#[test]
fn a_store_that_is_synced_all_the_time_can_be_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = Config::new().background(false).open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    // So that a reading takes longer than a call.
    let quick = engine.with_durability(Durability::Buffered);
    (0..1_000).for_each(|_| drop(jobs(&quick).post(ALICE, &[NewMessage::new(vec![7; 4_000])]).unwrap()));
    let is_over = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                jobs(&engine).post(ALICE, &[NewMessage::new("synced")]).unwrap();
            }
        });
        let found: Vec<_> = (0..5).map(|_| Engine::inspect(&root)).collect();
        is_over.store(true, Ordering::Relaxed);
        found
    });
    let counts = found.into_iter().map(|inspection| inspection.unwrap().queues()[0].messages());
    assert!(counts.is_sorted_by(|one, next| *one >= 1_000 && one <= next));
}

#[test]
fn a_store_in_use_that_is_damaged_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = small().durability(Durability::Sync).open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    for _ in 0..3 {
        jobs(&engine).post(ALICE, &[NewMessage::new("a body that can be found")]).unwrap();
    }
    let segment = fs::read_dir(root.join("journal")).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
        let bytes = fs::read(path).unwrap();
        place(&bytes).is_some()
    });
    let segment = segment.unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let at = place(&bytes).unwrap();
    bytes[at] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let error = Engine::inspect(&root).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

fn place(bytes: &[u8]) -> Option<usize> {
    bytes.windows(24).position(|window| window == b"a body that can be found")
}

#[test]
fn inspecting_changes_not_a_byte() {
    for closed in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let engine = small().open(&root).unwrap();
        jobs(&engine).create(Metadata::new()).unwrap();
        jobs(&engine).post(ALICE, &vec![NewMessage::new(vec![7; 2000]); 100]).unwrap();
        engine.snapshot().unwrap();
        jobs(&engine).post(ALICE, &[NewMessage::new("one more")]).unwrap();
        if closed {
            engine.close().unwrap();
        }
        let before = tree(&root);
        let inspection = Engine::inspect(&root).unwrap();
        assert_eq!((inspection.was_closed(), inspection.queues()[0].messages()), (closed, 101));
        assert!(Engine::inspect(folder.path().join("nowhere")).unwrap_err().is_invalid());
        assert_eq!(tree(&root), before);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// A store with messages of every kind, most of them only in page files, and with an archive.
fn various(root: &Path) -> Engine {
    let engine = small().memory(0).queue_memory(0).open(root).unwrap();
    let owner = Metadata::new().with("owner", "ann").unwrap();
    jobs(&engine).create(owner).unwrap();
    jobs(&engine).post(ALICE, &vec![NewMessage::new(vec![7; 3000]); 40]).unwrap();
    let later = NewMessage::new("later").delay(Duration::from_secs(600));
    let short = NewMessage::new("short").ttl(Duration::from_secs(30));
    jobs(&engine).post(ALICE, &[later, short]).unwrap();
    for n in 0..200 {
        let idle = engine.queue(Project::named("idle").unwrap(), format!("q{n}")).unwrap();
        idle.create(Metadata::new().with("n", n).unwrap()).unwrap();
    }
    engine.step().unwrap();
    engine.snapshot().unwrap();
    let minute = ClaimOptions::new().ttl(Duration::from_secs(60)).limit(3);
    assert!(jobs(&engine).claim(minute).unwrap().is_some());
    engine
}

#[test]
fn a_queue_is_shown_as_the_engine_shows_it() {
    for closed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let engine = various(&root);
        let all = MessageListOptions::new().include_claimed(true).include_delayed(true).limit(0);
        let (stats, list) = (jobs(&engine).stats().unwrap(), jobs(&engine).list(&all).unwrap().items);
        assert!(engine.status().archived_queues() > 100, "{:?}", engine.status());
        if closed {
            engine.close().unwrap();
        }
        let before = tree(&root);
        let inspection = Engine::inspect(&root).unwrap();
        let name = "jobs".parse().unwrap();
        let shown = inspection.queue(&Project::none(), &name).unwrap();
        assert_eq!((shown.messages(), shown.claimed(), shown.delayed(), shown.free()), (42, 3, 1, 38));
        let found = shown.stats().unwrap();
        assert_eq!((found.total(), found.claimed(), found.expired()), (42, 3, 0));
        let ids = |stats: &QueueStats| [stats.oldest(), stats.newest()].map(|stat| stat.map(MessageStat::id));
        assert_eq!(ids(&found), ids(&stats));
        assert_eq!(shown.metadata().get::<String>("owner").unwrap().as_deref(), Some("ann"));

        let seen = |messages: &[Message]| {
            let fields = |one: &Message| (one.id(), one.body().clone(), one.ttl(), one.claim_id(), one.claim_count());
            messages.iter().map(fields).collect::<Vec<_>>()
        };
        assert_eq!(seen(&shown.list(&all).unwrap().items), seen(&list));
        // The same, page by page.
        let (mut paged, mut options) = (Vec::new(), all.limit(7));
        loop {
            let page = shown.list(&options).unwrap();
            let Some(next) = page.next else { break };
            paged.extend(page.items);
            options = options.marker(next);
        }
        assert_eq!(seen(&paged), seen(&list));
        assert_eq!(seen(&shown.get(&list[40].id()).unwrap().into_iter().collect::<Vec<_>>()), seen(&list[40..41]));

        let claims = shown.claims();
        let one = shown.claim(&claims[0].id()).unwrap().unwrap();
        assert_eq!((claims.len(), claims[0].messages(), claims[0].ttl().as_secs()), (1, 3, 60));
        assert_eq!(seen(one.messages()), seen(&list[..3]));

        let idle: Vec<_> = inspection.queues().iter().filter(|queue| queue.project() != &Project::none()).collect();
        assert_eq!(idle.len(), 200);
        assert!(idle.iter().filter(|queue| queue.is_archived()).count() > 100);
        let numbers: BTreeSet<u64> = idle.iter().map(|queue| queue.metadata().get("n").unwrap().unwrap()).collect();
        assert_eq!(numbers, (0..200).collect());
        assert_eq!(tree(&root), before);
    }
}

#[test]
fn time_that_has_passed_since_the_last_change_is_shown_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let _engine = various(&root);
    let counts = |seconds: u64| {
        let inspection = Engine::inspect(&root).unwrap();
        let then = inspection.time().saturating_add(Duration::from_secs(seconds));
        let inspection = inspection.at(then).unwrap();
        assert_eq!(inspection.time(), then);
        let jobs = inspection.queue(&Project::none(), &"jobs".parse().unwrap()).unwrap();
        (jobs.messages(), jobs.claimed(), jobs.delayed(), jobs.claims().len())
    };
    assert_eq!(counts(0), (42, 3, 1, 1));
    assert_eq!(counts(45), (41, 3, 1, 1));
    assert_eq!(counts(90), (41, 0, 1, 0));
    assert_eq!(counts(700), (41, 0, 0, 0));
}

#[test]
fn messages_that_are_gone_since_the_inspection_are_not_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = small().memory(0).open(&root).unwrap();
    jobs(&engine).create(Metadata::new()).unwrap();
    // More page files than the inspection keeps open.
    for _ in 0..20 {
        jobs(&engine).post(ALICE, &vec![NewMessage::new(vec![7; 3000]); 20]).unwrap();
        engine.step().unwrap();
    }
    engine.snapshot().unwrap();
    let before = Engine::inspect(&root).unwrap();
    let shown = before.queue(&Project::none(), &"jobs".parse().unwrap()).unwrap();
    jobs(&engine).purge().unwrap();
    let heap = root.join("heap");
    let old: Vec<PathBuf> = fs::read_dir(&heap).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut rounds = 0..30;
    while old.iter().any(|path| path.exists()) && rounds.next().is_some() {
        jobs(&engine).post(ALICE, &vec![NewMessage::new(vec![8; 3000]); 20]).unwrap();
        engine.step().unwrap();
        engine.snapshot().unwrap();
        jobs(&engine).purge().unwrap();
    }
    assert!(old.iter().all(|path| !path.exists()), "{old:?}");
    let later = shown.list(&MessageListOptions::new().limit(0)).map(|page| page.items.len()).unwrap_err();
    assert!(later.is_busy() && !later.is_corrupt(), "{later}");
}

#[test]
fn a_damaged_page_of_a_closed_store_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    various(&root).close().unwrap();
    for entry in fs::read_dir(root.join("heap")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        fs::write(&path, bytes).unwrap();
    }
    let inspection = Engine::inspect(&root).unwrap();
    let shown = inspection.queue(&Project::none(), &"jobs".parse().unwrap()).unwrap();
    let all = MessageListOptions::new().include_claimed(true);
    assert!(shown.list(&all).map(|page| page.items.len()).unwrap_err().is_corrupt());
    assert_eq!(shown.messages(), 42);
    let verification = inspection.verify().unwrap();
    assert!(!verification.is_sound() && verification.findings()[0].contains(".heap"), "{verification:?}");
    assert_eq!((verification.queues(), verification.messages()), (201, 42));
}

#[test]
fn a_sound_store_is_found_to_be_sound_in_use_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let engine = various(&root);
    for closed in [false, true] {
        if closed {
            engine.close().unwrap();
        }
        let before = tree(&root);
        let inspection = Engine::inspect(&root).unwrap();
        let later = inspection.time().saturating_add(Duration::from_secs(700));
        for inspection in [inspection, Engine::inspect(&root).unwrap().at(later).unwrap()] {
            let verification = inspection.verify().unwrap();
            assert!(verification.is_sound(), "{verification:?}");
            let messages = if inspection.time() == later { 41 } else { 42 };
            assert_eq!((verification.queues(), verification.messages()), (201, messages));
        }
        assert_eq!(tree(&root), before);
    }
}

/// Every file with its content, and when and what it was.
fn tree(folder: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let metadata = fs::metadata(&path).unwrap();
        let content = if metadata.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
        found.insert(path, (metadata.ino(), metadata.mtime(), metadata.mtime_nsec(), content));
    }
    found
}
