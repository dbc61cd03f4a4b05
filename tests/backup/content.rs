//! What a restored store holds, and the numbers that it assigns.

use zaqar_sled::disk::{Fault, FaultError, Keep, Operation};
use zaqar_sled::{Config, DataDriver, Durability, Engine, Error, Metadata, NewMessage, Project, Subscriber};

use crate::scene::{BACKUP, RESTORED, Scene, disks_config, sets, state};
use crate::support::{CLIENT, MINUTE, message, post_everywhere};

#[test]
fn a_restored_store_has_everything_as_it_was() {
    for seed in 0..6 {
        let mut scene = Scene::new(seed);
        scene.live();
        scene.engine.snapshot().unwrap();
        scene.live();
        let before = scene.state();
        let report = scene.engine.backup(BACKUP).unwrap();
        assert!(before.contains("claim ") && before.contains("later") && before.contains("http://"), "{before}");
        assert_eq!(report.last_lsn(), scene.engine.status().appended_lsn());
        assert_eq!(sets(&scene.disk).len(), 1);
        assert_eq!(scene.state(), before, "seed {seed}: a backup changes nothing");
        scene.live();
        assert_eq!(scene.restored(&scene.disk), before, "seed {seed}");
    }
}

#[test]
fn a_store_keeps_what_its_backup_has_whatever_the_durability() {
    let mut scene = Scene::new(0);
    scene.live();
    scene.engine.snapshot().unwrap();
    let buffered = scene.engine.with_durability(Durability::Buffered);
    buffered.queue(Project::none(), "jobs").unwrap().post(CLIENT, &[message("buffered", 10)]).unwrap();
    let before = scene.state();
    // Without a snapshot the message is in the journal alone.
    scene.disk.inject(Fault::on(Operation::Create).under("/store").error(FaultError::Permission).forever());
    scene.engine.backup(BACKUP).unwrap();
    let disk = scene.disk.power_loss(Keep::Nothing);
    let engine = crate::scene::config(&disk, &scene.clock, 0).open("/store").unwrap();
    assert_eq!(state(&engine, &scene.claims), before);
    assert_eq!(scene.restored(&disk), before);
}

#[test]
fn claims_delays_and_times_to_live_go_on_where_they_were() {
    let mut scene = Scene::new(1);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    disks_config(&scene.disk).restore(BACKUP, RESTORED).unwrap();
    let restored = scene.open(&scene.disk, RESTORED);
    for step in 0..4 {
        scene.clock.advance(MINUTE / 2 + std::time::Duration::from_secs(step * 2_000));
        assert_eq!(state(&restored, &scene.claims), scene.state(), "step {step}");
    }
}

#[test]
fn a_store_that_was_never_used_and_one_without_a_snapshot_are_restored() {
    let scene = Scene::new(0);
    scene.engine.backup(BACKUP).unwrap();
    assert_eq!(scene.restored(&scene.disk), "");
}

#[test]
fn a_restored_store_is_backed_up_and_restored_again() {
    let mut scene = Scene::new(3);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    let before = scene.state();
    disks_config(&scene.disk).restore(BACKUP, RESTORED).unwrap();
    let restored = crate::scene::config(&scene.disk, &scene.clock, 9).open(RESTORED).unwrap();
    // Into the backup that it came from: the two have the same files, and then others under the same names.
    for round in 0..3 {
        let jobs = restored.queue(Project::none(), "jobs").unwrap();
        jobs.post(CLIENT, &[message(&format!("restored {round}"), 400)]).unwrap();
        scene.queue("jobs").post(CLIENT, &[message(&format!("original {round}"), 400)]).unwrap();
        for (engine, path) in [(&restored, "/of-restored"), (&scene.engine, "/of-original")] {
            // The two archive other queues under the same number.
            let idle = engine.queue(Project::none(), format!("idle{}{round}", path.replace('/', "-"))).unwrap();
            idle.create(Metadata::new()).unwrap();
            engine.backup(BACKUP).unwrap();
            let path = format!("{path}-{round}");
            disks_config(&scene.disk).restore(BACKUP, &path).unwrap();
            assert_eq!(state(&scene.open(&scene.disk, &path), &scene.claims), state(engine, &scene.claims));
        }
    }
    assert_ne!(state(&restored, &scene.claims), before);
}

#[test]
fn no_id_that_the_original_assigned_after_the_backup_is_assigned_by_the_restored_store() {
    for seed in 0..3 {
        let mut scene = Scene::new(seed);
        scene.live();
        scene.engine.backup(BACKUP).unwrap();
        // The original goes on, and is killed a few times.
        let mut disk = scene.disk.clone();
        for _ in 0..4 {
            scene.live();
            disk = disk.kill();
            scene.disk = disk.clone();
            scene.engine = crate::scene::config(&disk, &scene.clock, seed).open("/store").unwrap();
        }
        scene.queue("new").create(Metadata::new()).unwrap();
        let new = scene.queue("new").post(CLIENT, &[NewMessage::new("new")]).unwrap();
        scene.ids.extend(new);
        disks_config(&disk).restore(BACKUP, RESTORED).unwrap();
        let restored = scene.open(&disk, RESTORED);
        restored.queue(Project::none(), "other").unwrap().create(Metadata::new()).unwrap();
        post_everywhere(&restored, &scene.ids, "restored");
        let (none, quiet) = (Project::none(), scene.queue("quiet").name().clone());
        let subscriber = Subscriber::new("http://example.org/restored").unwrap();
        let id = restored.subscriptions().create(&none, &quiet, &subscriber, MINUTE, &Metadata::new()).unwrap();
        assert!(id.is_some_and(|id| scene.subscriptions.iter().all(|known| *known < id)));
    }
}

#[test]
fn markers_of_the_original_skip_nothing_that_the_restored_store_gets() {
    let mut scene = Scene::new(2);
    scene.live();
    scene.engine.backup(BACKUP).unwrap();
    // The marker stands behind messages that the restored store never had.
    let quiet = scene.queue("quiet");
    quiet.post(CLIENT, &[NewMessage::new("only in the original")]).unwrap();
    let page = quiet.list(&crate::support::everything()).unwrap();
    let marker = page.items.last().unwrap().marker();
    disks_config(&scene.disk).restore(BACKUP, RESTORED).unwrap();
    let restored = scene.open(&scene.disk, RESTORED).queue(Project::none(), "quiet").unwrap();
    restored.post(CLIENT, &[NewMessage::new("after")]).unwrap();
    let behind = restored.list(&crate::support::everything().marker(marker)).unwrap().items;
    assert_eq!(behind.iter().map(|message| message.body().as_bytes()).collect::<Vec<_>>(), [b"after"]);
}

#[test]
fn restores_one_from_a_backup_of_the_other_end_when_the_incarnations_are_used_up() {
    let disk = zaqar_sled::SimulatedDisk::new();
    let config = || disks_config(&disk).background(false);
    config().open("/0").unwrap().backup("/backup-0").unwrap();
    for n in 0..300 {
        let (from, to) = (format!("/backup-{n}"), format!("/{}", n + 1));
        if let Err(error) = config().restore(&from, &to) {
            assert!(matches!(error, Error::Exhausted { .. }) && n == 63, "{n}: {error}");
            assert!(config().restore(&from, &to).is_err(), "nothing is left of it");
            return;
        }
        config().open(&to).unwrap().backup(format!("/backup-{}", n + 1)).unwrap();
    }
    panic!("the incarnations are not used up");
}

#[test]
fn a_backup_on_the_disk_of_the_system_is_inspected_and_restored() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let engine = Config::new().open(path("store")).unwrap();
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let bodies: Vec<NewMessage> = (0..100).map(|n| message(&n.to_string(), 1_000)).collect();
    jobs.post(CLIENT, &bodies).unwrap();
    for round in 0..2 {
        let report = engine.backup(path("backup")).unwrap();
        let shared = report.cloned_files() + report.reused_files();
        assert!(round == 0 || report.reused_files() > 0, "{report}");
        assert!(report.copied_files() > 0 && (shared > 0 || round == 0), "{report}");
        let inspection = Engine::inspect(path("backup")).unwrap();
        assert_eq!((inspection.queues()[0].messages(), inspection.last_lsn()), (100, report.last_lsn()));
        assert!(inspection.verify().unwrap().is_sound());
    }
    engine.close().unwrap();
    Engine::restore(path("backup"), path("restored")).unwrap();
    let restored = Engine::open(path("restored")).unwrap();
    assert_eq!(restored.queue(Project::none(), "jobs").unwrap().stats().unwrap().total(), 100);
    assert!(restored.verify().unwrap().is_sound());
}
