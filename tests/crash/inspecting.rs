//! An inspection of a store, whatever became of it, and an opening of it show the same.

use zaqar_sled::{Config, DataDriver, Engine, Message, MessageListOptions, MessageMarker, Page};

use super::support::{Life, Lived, ROOT, dump, files, queues_of};

#[test]
fn inspecting_a_store_shows_what_opening_it_does() {
    let folder = tempfile::tempdir().unwrap();
    for life in [Life::Journal, Life::Snapshot, Life::Cold] {
        for closed in [false, true] {
            let (disk, lived) = if closed { Lived::closed(life) } else { Lived::killed(life) };
            let root = folder.path().join(format!("{life:?}-{closed}"));
            for (path, bytes) in files(&disk) {
                let path = root.join(path.strip_prefix(ROOT).unwrap());
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            let inspection = Engine::inspect(&root).unwrap();
            assert_eq!(inspection.was_closed(), closed);
            let verification = inspection.verify().unwrap();
            assert!(verification.is_sound(), "{verification:?}");
            let all = MessageListOptions::new().limit(0).include_claimed(true).include_delayed(true);
            let fields = |page: Page<Message, MessageMarker>| {
                let fields =
                    |one: Message| (one.id(), one.body().clone(), one.ttl(), one.claim_id(), one.claim_count());
                page.items.into_iter().map(fields).collect::<Vec<_>>()
            };
            let shown: Vec<_> = inspection.queues().iter().map(|queue| fields(queue.list(&all).unwrap())).collect();
            let engine = Config::new().clock(lived.clock.clone()).background(false).memory(500).open(&root).unwrap();
            assert_eq!(dump(&engine, &[]).unwrap(), lived.last());
            assert_eq!(inspection.last_lsn(), engine.recovery().last_lsn());
            assert_eq!(inspection.queues().len(), queues_of(&engine).unwrap().len());
            for (queue, shown) in inspection.queues().iter().zip(shown) {
                let stats = engine.queues().stats(queue.project(), queue.name()).unwrap();
                assert_eq!((queue.messages(), queue.claimed()), (stats.total(), stats.claimed()));
                let listed = engine.messages().list(queue.project(), queue.name(), &all).unwrap();
                assert_eq!(shown, fields(listed));
                for claim in queue.claims() {
                    let record = engine.claims().get(queue.project(), queue.name(), &claim.id()).unwrap();
                    assert_eq!((claim.ttl(), claim.messages()), (record.ttl(), record.messages().len() as u64));
                }
            }
        }
    }
}
