//! The memory use of a store, and its status.

use zaqar_sled::{ClaimOptions, DataDriver, Durability, MessageId};

use super::shelf::Shelf;
use super::support::{AMPLE, KIB, PAGE, ROOT, Random, World, everything, seconds};

#[test]
fn with_memory_to_spare_nothing_leaves_it() {
    let world = World::new(AMPLE);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(300, 800);
    world.engine.step().unwrap();
    let status = world.engine.status();
    assert_eq!((status.cold_pages(), status.messages()), (0, 300));
    assert!(status.memory_bytes() >= 300 * 856, "{status:?}");
    // Bodies, 56 bytes each, and the overhead of a page.
    assert!(status.memory_bytes() <= 300 * 856 + status.pages() * 2 * KIB, "{status:?}");
    assert!((300 / 128..=40).contains(&status.pages()), "{status:?}");
}

#[test]
fn an_empty_store_takes_no_memory_for_messages() {
    for memory in [0, AMPLE] {
        let world = World::new(memory);
        let mut shelf = Shelf::new(&world.engine, "jobs");
        assert_eq!((world.engine.status().memory_bytes(), world.engine.status().pages()), (0, 0));
        for _ in 0..5 {
            shelf.fill(200, 500);
            world.engine.step().unwrap();
            shelf.queue.pop(200).unwrap();
            shelf.forget_all();
            world.engine.gc().unwrap();
            let status = world.engine.status();
            assert_eq!((status.messages(), status.live_bytes()), (0, 0));
            assert!(status.memory_bytes() <= 2 * PAGE && status.pages() <= 1, "{status:?}");
        }
    }
}

#[test]
fn memory_stays_within_its_budget_after_every_step_of_whatever_happens() {
    for memory in [0, 10 * KIB, 100 * KIB] {
        let world = World::new(memory);
        let mut shelves: Vec<Shelf> = (0..6).map(|n| Shelf::new(&world.engine, &format!("jobs{n}"))).collect();
        let mut random = Random::new(memory);
        for _ in 0..250 {
            let shelf = &mut shelves[random.below(6) as usize];
            match random.below(8) {
                0..=3 => drop(shelf.fill(15, 600)),
                4 => drop(shelf.queue.claim(ClaimOptions::new().ttl(seconds(20)).limit(40)).unwrap()),
                5 => drop(shelf.queue.list(&everything()).unwrap()),
                6 => world.clock.advance(seconds(5)),
                _ => {
                    let gone: Vec<_> = shelf.ids().into_iter().step_by(3).collect();
                    shelf.queue.bulk_delete(&gone).unwrap();
                    shelf.forget(&gone);
                }
            }
            world.chill();
        }
        let status = world.engine.status();
        assert!(status.cold_pages() > 0 && status.messages() > 200, "{memory}: {status:?}");
        shelves.iter().for_each(Shelf::assert_whole);
        world.assert_sound("whatever happens");
    }
}

#[test]
fn without_a_step_posts_evict_pages_themselves() {
    for memory in [0, 20 * KIB, 200 * KIB] {
        for durability in [Durability::Sync, Durability::Buffered] {
            let world = World::new(memory);
            let quick = world.engine.with_durability(durability);
            let mut shelf = Shelf::new(&quick, "jobs");
            for _ in 0..80 {
                shelf.fill(10, 900);
                // The page that was filled before, the page that is filled now, and the post itself.
                world.assert_within(2 * PAGE + 10 * KIB);
            }
            assert!(world.engine.status().cold_pages() > 10, "{:?}", world.engine.status());
            shelf.assert_whole();
        }
    }
}

#[test]
fn a_message_larger_than_the_budget_goes_through() {
    let world = World::new(100 * KIB);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    for _ in 0..5 {
        shelf.post(&[1 << 20]);
        shelf.post(&[10]);
    }
    world.chill();
    shelf.assert_whole();
    world.chill();
    let claim = shelf.queue.claim(ClaimOptions::new().limit(10).max_bytes(u64::MAX)).unwrap().unwrap();
    assert_eq!(claim.messages().len(), 10);
    claim.messages().iter().for_each(|message| shelf.assert_genuine(message));
    claim.delete_all().unwrap();
    world.chill();
    assert_eq!(world.engine.status().messages(), 0);
}

#[test]
fn reading_a_cold_store_through_takes_no_more_memory_than_it_may() {
    let world = World::new(200 * KIB);
    let quick = world.engine.with_durability(Durability::Buffered);
    let mut shelves: Vec<Shelf> = (0..4).map(|n| Shelf::new(&quick, &format!("jobs{n}"))).collect();
    shelves.iter_mut().for_each(|shelf| drop(shelf.fill(5_000, 900)));
    world.chill();
    world.engine.close().unwrap();
    drop(quick);
    for background in [false, true] {
        // Reads do not wait for memory. They evict pages again for which there is no memory.
        let engine = world.config().background(background).open(ROOT).unwrap();
        let mut most = 0;
        for shelf in &shelves {
            let shelf = shelf.clone().on(&engine);
            let mut options = everything().limit(10);
            while let Some(next) = shelf.queue.list(&options).unwrap().next {
                options = options.marker(next);
                most = most.max(engine.status().memory_bytes());
            }
            for id in shelf.ids().iter().step_by(9) {
                shelf.assert_genuine(&shelf.queue.get(id).unwrap());
                most = most.max(engine.status().memory_bytes());
            }
        }
        assert!(most <= 200 * KIB + 4 * PAGE, "background {background}: {most} bytes");
    }
}

#[test]
fn opening_takes_no_more_memory_than_it_may() {
    for killed in [false, true] {
        for based in [false, true] {
            let world = World::new(30 * KIB);
            let mut shelf = Shelf::new(&world.engine, "jobs");
            shelf.fill(400, 900);
            if based {
                world.engine.snapshot().unwrap();
            }
            shelf.fill(50, 900);
            let world = if killed { world.killed() } else { world.reopened() };
            world.assert_within(PAGE);
            let status = world.engine.status();
            assert!(status.cold_pages() > 10, "{killed} {based}: {status:?}");
            assert_eq!((status.messages(), status.live_bytes()), (450, 450 * 964));
            shelf.on(&world.engine).assert_whole();
        }
    }
}

#[test]
fn a_smaller_budget_at_the_next_opening_is_kept_and_a_larger_one_is_used() {
    let world = World::new(AMPLE);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    shelf.fill(300, 900);
    let tight = world.with_memory(10 * KIB).reopened();
    tight.chill();
    let shelf = shelf.on(&tight.engine);
    shelf.assert_whole();
    let ample = tight.with_memory(AMPLE).killed();
    let shelf = shelf.on(&ample.engine);
    shelf.assert_whole();
    ample.assert_sound("a larger one");
    assert!(ample.engine.gc().is_ok());
}

#[test]
fn the_figures_of_the_page_files_follow_their_content() {
    let world = World::new(0);
    let mut shelf = Shelf::new(&world.engine, "jobs");
    assert_eq!(world.engine.status().page_file_bytes(), 0);
    shelf.fill(300, 900);
    world.freeze();
    let status = world.engine.status();
    assert!(status.page_file_bytes() >= 300 * 900, "{status:?}");
    let on_disk: u64 = world.page_files().iter().map(|path| world.disk.read(path).unwrap().len() as u64).sum();
    assert_eq!(status.page_file_bytes(), on_disk);
    assert_eq!(status.live_bytes(), 300 * 964);
    shelf.queue.purge().unwrap();
    world.engine.step().unwrap();
    world.engine.snapshot().unwrap();
    assert_eq!(world.engine.status().cold_pages(), 0);
    assert!(world.engine.status().page_file_bytes() <= 8 * KIB + PAGE, "{:?}", world.engine.status());
}

#[test]
fn pages_of_few_large_messages_take_no_more_than_twice_what_is_alive() {
    // Five to a page, of which one stays; and one large message among small ones, which goes.
    let few: (&[usize], &[usize]) = (&[3_000; 5], &[2]);
    let uneven: (&[usize], &[usize]) = (&[20, 20, 20, 12_000, 20, 20, 20], &[0, 1, 2, 4, 5, 6]);
    for (sizes, stay) in [few, uneven] {
        let world = World::new(0);
        let mut shelf = Shelf::new(&world.engine, "jobs");
        for _ in 0..200 {
            shelf.post_as(sizes, |message| message);
        }
        world.freeze();
        let ids = shelf.ids();
        let gone = ids.iter().enumerate().filter(|(n, _)| !stay.contains(&(n % sizes.len())));
        let gone: Vec<MessageId> = gone.map(|(_, id)| *id).collect();
        for ids in gone.chunks(20) {
            shelf.queue.bulk_delete(ids).unwrap();
            shelf.forget(ids);
        }
        world.chill();
        world.engine.snapshot().unwrap();
        let status = world.engine.status();
        let most = 2 * status.live_bytes() + 2 * 4 * KIB;
        assert!(status.page_file_bytes() <= most, "{} of {most} bytes: {status:?}", status.page_file_bytes());
        shelf.assert_whole();
        world.assert_sound("few to a page");
    }
}
