//! A store that is made of an export is the same store, and says the same of itself.

use zaqar_sled::disk::SimulatedDisk;
use zaqar_sled::{ClaimOptions, DataDriver, ExtendedDriver, Metadata, NewMessage, Project};

use crate::scene::{COPY, Scene, behind_the_first, config, exported, shop_queue};
use crate::support::{CLIENT, MINUTE, assert_sound, post_everywhere, queues_of};
use crate::values::name_of;
use crate::variables::{CASES, SEED};

/// Random stores: each is exported, imported and exported again. `ZAQAR_CASES` is how many.
#[test]
fn an_import_of_an_export_has_the_same_export() {
    let first = SEED.or(0);
    let (mut claimed, mut delayed, mut failed, mut dead, mut marked, mut limited) = (0, 0, 0, 0, 0, 0);
    let mut quotas = 0;
    for seed in first..first + CASES.or(24) {
        let scene = Scene::lived(seed, 150);
        let (seen, (report, lines)) = (scene.seen(&scene.engine), exported(&scene.engine));
        assert_eq!(scene.seen(&scene.engine), seen, "seed {seed}: an export changes nothing");
        let (imported, copy) = scene.import(lines.as_bytes());
        assert_eq!(imported, report, "seed {seed}");
        assert_sound(&copy, &format!("seed {seed}"));
        assert_eq!(scene.seen(&copy), seen, "seed {seed}");
        let (_, again) = exported(&copy);
        assert_eq!(behind_the_first(&again), behind_the_first(&lines), "seed {seed}");
        // And so after another opening, from the journal and from the trees.
        copy.close().unwrap();
        let closed = config(&scene.disk, &scene.clock, seed).open(COPY).unwrap();
        assert_eq!(behind_the_first(&exported(&closed).1), behind_the_first(&lines), "seed {seed}, closed");
        let killed = config(&scene.disk.kill(), &scene.clock, seed).open(COPY).unwrap();
        assert_eq!(behind_the_first(&exported(&killed).1), behind_the_first(&lines), "seed {seed}, killed");
        claimed += lines.matches("\"claim\":").count();
        delayed += lines.matches("\"delayed_until\":").count();
        failed += lines.matches("\"last_failure\":").count();
        dead += lines.matches("\"origin\":").count();
        marked += lines.matches("{\"bookmark\":").count();
        limited += lines.matches("\"handed_out\":{\"at\":").count();
        quotas += lines.matches("{\"quota\":").count();
    }
    let kinds = [claimed, delayed, failed, dead, marked, limited, quotas];
    assert!(kinds.iter().all(|count| *count > 0), "{kinds:?}");
}

#[test]
fn an_empty_store_is_exported_and_imported() {
    let scene = Scene::new(0);
    let (report, lines) = exported(&scene.engine);
    assert_eq!((report.lines(), lines.lines().count()), (2, 2));
    let (_, copy) = scene.import(lines.as_bytes());
    assert_eq!(behind_the_first(&exported(&copy).1), behind_the_first(&lines));
}

#[test]
fn time_goes_on_in_the_copy_as_in_the_original() {
    for seed in 0..6 {
        let scene = Scene::lived(seed, 150);
        let (_, copy) = scene.import(exported(&scene.engine).1.as_bytes());
        for step in 0..5 {
            assert_eq!(scene.seen(&copy), scene.seen(&scene.engine), "seed {seed}, step {step}");
            scene.clock.advance(MINUTE / 2 + MINUTE * step * step);
        }
    }
}

#[test]
fn workers_finish_in_the_copy_what_they_have_claimed_in_the_original() {
    let (mut deleted, mut renewed) = (0, 0);
    for seed in 0..8 {
        let scene = Scene::lived(seed, 150);
        let (_, copy) = scene.import(exported(&scene.engine).1.as_bytes());
        for claim in &scene.claims {
            let queue = claim.queue();
            let (project, name) = (queue.project(), queue.name());
            for message in claim.messages() {
                let (id, claim) = (message.id(), claim.id());
                let delete = |engine: &zaqar_sled::Engine| engine.messages().delete(project, name, &id, Some(&claim));
                let (there, here) = (delete(&copy), delete(&scene.engine));
                assert_eq!(there.as_ref().map_err(ToString::to_string), here.as_ref().map_err(ToString::to_string));
                deleted += usize::from(there.is_ok());
            }
            let options = ClaimOptions::new().ttl(MINUTE * 5).grace(MINUTE);
            let renew = |engine: &zaqar_sled::Engine| engine.claims().update(project, name, &claim.id(), &options);
            let (there, here) = (renew(&copy), renew(&scene.engine));
            assert_eq!(there.is_ok(), here.is_ok(), "{there:?} {here:?}");
            renewed += usize::from(there.is_ok());
        }
        assert_eq!(scene.seen(&copy), scene.seen(&scene.engine), "seed {seed}");
        assert_sound(&copy, "after the workers");
    }
    assert!(deleted > 20 && renewed > 20, "{deleted} deleted, {renewed} renewed");
}

#[test]
fn the_copy_assigns_no_id_that_the_original_assigns() {
    for seed in 0..6 {
        let mut scene = Scene::lived(seed, 100);
        // The last queue is deleted, so that nothing in the export has its number.
        let last = shop_queue(&scene.engine, "last");
        last.create(Metadata::new()).unwrap();
        scene.ids.extend(last.post(CLIENT, &[NewMessage::new("x")]).unwrap());
        last.delete().unwrap();
        let (_, lines) = exported(&scene.engine);
        // The original goes on, and dies a few times.
        let mut original = scene.disk.clone();
        for round in 0..4 {
            original = original.kill();
            let engine = config(&original, &scene.clock, seed).open("/store").unwrap();
            for name in ["last", "quiet"] {
                let queue = shop_queue(&engine, name);
                queue.create(Metadata::new()).unwrap();
                queue.resume().unwrap();
                let batch = vec![NewMessage::new("original"); round + 1];
                scene.ids.extend(queue.post(CLIENT, &batch).unwrap());
            }
        }
        let disk = SimulatedDisk::new();
        config(&disk, &scene.clock, seed).import(COPY, lines.as_bytes()).unwrap();
        let copy = config(&disk, &scene.clock, 9).open(COPY).unwrap();
        shop_queue(&copy, "last").create(Metadata::new()).unwrap();
        for (project, name) in queues_of(&copy).unwrap() {
            copy.flow_control().set_pause(&project, &name, None).unwrap();
        }
        post_everywhere(&copy, &scene.ids, &format!("seed {seed}"));
        let killed = config(&disk.kill(), &scene.clock, 9).open(COPY).unwrap();
        post_everywhere(&killed, &scene.ids, &format!("seed {seed}, killed"));
    }
}

#[test]
fn a_copy_is_exported_and_imported_again() {
    let scene = Scene::lived(2, 200);
    let (_, mut lines) = exported(&scene.engine);
    for _ in 0..3 {
        let (_, copy) = scene.import(lines.as_bytes());
        let (_, again) = exported(&copy);
        assert_eq!(behind_the_first(&again), behind_the_first(&lines));
        lines = again;
        drop(copy);
        zaqar_sled::disk::Disk::remove_dir_all(&scene.disk, COPY.as_ref()).unwrap();
    }
}

#[test]
fn what_has_expired_since_the_export_is_not_there() {
    let scene = Scene::new(0);
    let jobs = shop_queue(&scene.engine, "jobs");
    jobs.create(Metadata::new()).unwrap();
    let ids = jobs.post(CLIENT, &[NewMessage::new("a").ttl(MINUTE), NewMessage::new("b")]).unwrap();
    let claim = jobs.claim(ClaimOptions::new().ttl(MINUTE * 2).grace(MINUTE)).unwrap().unwrap();
    let (_, lines) = exported(&scene.engine);
    scene.clock.advance(MINUTE * 10);
    let (_, copy) = scene.import(lines.as_bytes());
    let found = copy.messages().list(&Project::none(), &name_of("jobs"), &crate::support::everything()).unwrap().items;
    assert_eq!(found.iter().map(zaqar_sled::Message::id).collect::<Vec<_>>(), ids[1..]);
    assert!(copy.claims().get(&Project::none(), &name_of("jobs"), &claim.id()).unwrap_err().is_not_found());
    assert_eq!(shop_queue(&copy, "jobs").stats().unwrap().expired(), 1);
}

#[test]
fn the_time_of_the_copy_is_not_before_that_of_the_export() {
    let scene = Scene::lived(0, 50);
    let (_, lines) = exported(&scene.engine);
    let earlier = std::sync::Arc::new(zaqar_sled::ManualClock::new(zaqar_sled::Timestamp::from_millis(1)));
    config(&scene.disk, &earlier, 0).import(COPY, lines.as_bytes()).unwrap();
    let copy = config(&scene.disk, &earlier, 0).open(COPY).unwrap();
    assert_eq!(behind_the_first(&exported(&copy).1), behind_the_first(&lines));
}
