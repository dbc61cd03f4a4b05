//! One unreadable page costs that page.

use std::sync::Arc;

use zaqar_sled::disk::{Fault, Operation, SimulatedDisk};
use zaqar_sled::{
    Availability, ClaimOptions, Engine, ManualClock, MessageId, Metadata, NewMessage, NewPool, Project, Queue, Sort,
};

use super::support::{CLIENT, ROOT, chill, clock, config, fill, listed, places, queue, rot, seconds};

/// A store whose snapshot names its pages. One page cannot be read: the first or the last.
struct World {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    engine: Engine,
    jobs: Queue,
    ids: Vec<MessageId>,
    /// The number of messages in the damaged page.
    lost: u64,
}

/// Where the damage is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    First,
    Last,
}

fn world(at: At, prepare: impl Fn(&Queue)) -> World {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    let ids = fill(&jobs, 60);
    prepare(&jobs);
    chill(&engine);
    engine.snapshot().unwrap();
    damage(&disk, at);
    // Twenty-three messages of 700 bytes fit into a page of 16 KiB.
    World { disk, clock, engine, jobs, ids, lost: if at == At::First { 23 } else { 60 - 46 } }
}

fn damage(disk: &SimulatedDisk, at: At) {
    rot(disk, if at == At::First { 3 } else { 58 });
}

fn claim(jobs: &Queue, limit: usize) -> Vec<MessageId> {
    let claim = jobs.claim(ClaimOptions::new().limit(limit).ttl(seconds(60)).grace(seconds(60))).unwrap();
    claim.map(|claim| claim.messages().iter().map(zaqar_sled::Message::id).collect()).unwrap_or_default()
}

fn post(jobs: &Queue) -> MessageId {
    jobs.post(CLIENT, &[NewMessage::new("new").ttl(seconds(3_600))]).unwrap()[0]
}

#[test]
fn a_message_of_a_damaged_page_is_explained_as_damaged() {
    for at in [At::First, At::Last] {
        let World { engine, jobs, ids, lost, .. } = world(at, |_| {});
        let lost = usize::try_from(lost).unwrap();
        let explained = |id: &MessageId| jobs.explain(id).unwrap().availability().clone();
        let hurt = if at == At::First { &ids[..lost] } else { &ids[60 - lost..] };
        for id in &ids {
            let expected = if hurt.contains(id) { Availability::Damaged } else { Availability::Waiting };
            assert_eq!(explained(id), expected, "{at:?}");
        }
        let explanation = jobs.explain(&hurt[0]).unwrap();
        assert_eq!((explanation.since(), explanation.expires()), (None, None));
        engine.drop_damaged().unwrap();
        assert!(hurt.iter().all(|id| explained(id) == Availability::Gone));
    }
}

#[test]
fn calls_that_need_no_message_of_a_damaged_page_continue() {
    for at in [At::First, At::Last] {
        let World { engine, jobs, ids, lost, .. } = world(at, |_| {});
        let new = post(&jobs);
        assert!(listed(&jobs).unwrap_err().is_corrupt());
        let (gone, whole) = if at == At::First { (ids[0], ids[59]) } else { (ids[59], ids[0]) };
        assert!(jobs.get(&gone).unwrap_err().is_corrupt());
        assert!(jobs.delete_message(&gone).unwrap_err().is_corrupt());
        jobs.get(&whole).unwrap();
        jobs.delete_message(&whole).unwrap();
        assert_eq!(jobs.stats().unwrap().total(), 60);
        assert_eq!(jobs.first(Sort::Newest).unwrap().id(), new);
        jobs.set_metadata(&Metadata::new()).unwrap();
        let status = engine.status();
        assert_eq!((status.damaged_pages(), status.damaged_messages()), (1, lost), "{at:?}");
        assert_eq!(claim(&jobs, 1_000).len() as u64, 60 - lost);
        assert_eq!(claim(&jobs, 1_000), []);
        assert!(jobs.pop(10).unwrap().is_empty());
        assert_eq!(engine.status().poisoned(), None);
        engine.checkpoint().unwrap();
        engine.snapshot().unwrap();
    }
}

#[test]
fn a_damaged_page_is_removed_when_its_last_message_would_have_expired() {
    let World { clock, engine, jobs, .. } = world(At::First, |jobs| drop(claim(jobs, 5)));
    assert!(listed(&jobs).unwrap_err().is_corrupt());
    clock.advance(seconds(100));
    // The claim is over, and the queue of use.
    assert_eq!(jobs.stats().unwrap().total(), 60);
    assert_eq!(claim(&jobs, 1_000).len(), 60 - 23);
    clock.advance(seconds(3_600));
    engine.step().unwrap();
    assert_eq!(jobs.stats().unwrap().total(), 0);
    assert_eq!(engine.status().damaged_pages(), 0);
    post(&jobs);
    assert_eq!(claim(&jobs, 9).len(), 1);
    assert!(engine.verify().unwrap().is_sound());
}

#[test]
fn a_damaged_page_is_dropped_with_the_exact_number_of_its_messages_and_stays_so() {
    for (at, claimed) in [(At::First, 0), (At::First, 5), (At::Last, 0)] {
        let World { disk, clock, engine, jobs, lost, .. } = world(at, |jobs| drop(claim(jobs, claimed.max(1))));
        assert!(!engine.verify().unwrap().is_sound());
        let dropped = engine.drop_damaged().unwrap();
        assert_eq!(
            dropped.iter().map(|one| (one.queue().as_str(), one.messages())).collect::<Vec<_>>(),
            [("jobs", lost)]
        );
        assert_eq!(engine.drop_damaged().unwrap(), []);
        assert_eq!(engine.status().damaged_pages(), 0);
        assert_eq!(listed(&jobs).unwrap().len() as u64, 60 - lost);
        assert!(engine.verify().unwrap().is_sound());
        let engine = config(&disk.kill(), &clock, 2).open(ROOT).unwrap();
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        assert_eq!(listed(&jobs).unwrap().len() as u64, 60 - lost);
        assert!(engine.verify().unwrap().is_sound());
    }
}

#[test]
fn a_damaged_tail_does_not_keep_a_killed_store_from_being_opened() {
    for at in [At::First, At::Last] {
        let (disk, clock) = (SimulatedDisk::new(), clock());
        let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
        let jobs = queue(&engine, "jobs");
        let ids = fill(&jobs, 60);
        chill(&engine);
        engine.snapshot().unwrap();
        // All of this is in the journal alone.
        claim(&jobs, 30);
        let new = post(&jobs);
        jobs.delete_message(&ids[31]).unwrap();
        jobs.delete_message(&ids[58]).unwrap();
        clock.advance(seconds(61));
        post(&jobs);
        let disk = disk.kill();
        damage(&disk, at);
        let engine = config(&disk, &clock, 2).open(ROOT).unwrap_or_else(|error| panic!("{at:?}: {error}"));
        let jobs = engine.queue(Project::none(), "jobs").unwrap();
        assert_eq!(jobs.stats().unwrap().total(), 60, "{at:?}");
        jobs.get(&new).unwrap();
        post(&jobs);
        assert!(claim(&jobs, 1_000).len() >= 30);
        engine.verify().unwrap();
        engine.drop_damaged().unwrap();
        assert!(engine.verify().unwrap().is_sound(), "{:?}", engine.verify().unwrap().findings());
        engine.snapshot().unwrap();
        engine.close().unwrap();
    }
}

#[test]
fn a_sector_that_cannot_be_read_is_damage_too_and_one_failure_is_not() {
    let World { disk, engine, jobs, ids, .. } = world(At::Last, |_| {});
    disk.inject(Fault::on(Operation::Read).under("/store/heap"));
    assert!(!jobs.get(&ids[0]).unwrap_err().is_corrupt());
    jobs.get(&ids[0]).unwrap();
    chill(&engine);
    for (path, at) in places(&disk, 3) {
        disk.make_unreadable(&path, at..at + 100).unwrap();
    }
    for _ in 0..2 {
        assert!(!jobs.get(&ids[0]).unwrap_err().is_corrupt());
    }
    assert!(jobs.get(&ids[0]).unwrap_err().is_corrupt());
    assert_eq!(claim(&jobs, 1_000).len(), 23);
    assert_eq!(engine.status().damaged_pages(), 2);
    assert_eq!(engine.drop_damaged().unwrap()[0].messages(), 23 + 14);
}

#[test]
fn a_pooled_driver_drops_what_is_damaged_in_any_of_its_stores() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let driver = config(&disk, &clock, 1).open_pooled(ROOT).unwrap();
    driver.pools().create(&"one".parse().unwrap(), &NewPool::new("sled:/one".parse().unwrap())).unwrap();
    let jobs = driver.queue(Project::none(), "jobs").unwrap();
    jobs.create(Metadata::new()).unwrap();
    let ids = fill(&jobs, 60);
    driver.step().unwrap();
    rot(&disk, 3);
    assert!(jobs.get(&ids[0]).unwrap_err().is_corrupt());
    let dropped = driver.drop_damaged().unwrap();
    let dropped: Vec<_> = dropped.iter().map(|one| (one.queue().as_str(), one.messages())).collect();
    assert_eq!(dropped, [("jobs", 23)]);
    assert_eq!(driver.drop_damaged().unwrap(), []);
    assert!(jobs.get(&ids[0]).unwrap_err().is_not_found());
    assert_eq!(listed(&jobs).unwrap(), ids[23..]);
    driver.close().unwrap();
    assert!(driver.drop_damaged().unwrap_err().is_closed());
}

#[test]
fn garbage_collection_that_cannot_read_a_page_tries_again_a_little_later() {
    let (disk, clock) = (SimulatedDisk::new(), clock());
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    let jobs = queue(&engine, "jobs");
    // A page with only some of its messages due has to be read.
    let bodies = [seconds(10), seconds(3_600)].map(|ttl| NewMessage::new(vec![b'x'; 700]).ttl(ttl));
    (0..20).for_each(|_| drop(jobs.post(CLIENT, &bodies).unwrap()));
    chill(&engine);
    clock.advance(seconds(10));
    disk.inject(Fault::on(Operation::Read).under("/store/heap"));
    engine.step().unwrap();
    assert_eq!(engine.status().expired_messages(), 0, "the page could not be read");
    engine.step().unwrap();
    assert_eq!(engine.status().expired_messages(), 0, "it is not tried at once");
    clock.advance(seconds(1));
    engine.step().unwrap();
    assert_eq!(engine.status().expired_messages(), 20);
}
