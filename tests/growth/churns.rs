//! Rounds of creation and removal of every kind of item.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::RealDisk;
use zaqar_sled::{
    CancelToken, ClaimOptions, DataDriver, Message, Metadata, NewMessage, Outcome, Project, Queue, QueueSet,
    Subscriber, Worker,
};

use crate::full::{FillableDisk, Space};
use crate::live;
use crate::values::seconds;
use crate::variables::ROUNDS;
use crate::world::{CLIENT, KIB, World};

/// The allowed growth in the last quarter, with no more items: 10 bytes a round, or a part of the planned memory,
/// because tables may still double.
const CREEP: u64 = 24 * KIB;
const CREEP_SHARE: u64 = 32;

/// Makes the rounds, collecting now and then. Asserts at four points that the allocated memory is within the plan, and
/// that it has not grown in the last quarter.
fn churn(what: &str, world: &World, mut round: impl FnMut(&World, u64)) {
    let (all, mut before) = (ROUNDS.or(10_000), 0);
    for n in 0..all {
        round(world, n);
        if n % 16 == 15 {
            world.engine.gc().unwrap();
        }
        if (n + 1) % (all / 4) == 0 {
            let (grown, planned) = (world.grown(), world.planned());
            println!("{what}: {} rounds, {grown} bytes of {planned} planned", n + 1);
            assert!(grown <= planned, "{what}: {grown} bytes after {} rounds: {:?}", n + 1, world.engine.status());
            if n + 1 == all / 4 * 3 {
                before = grown;
            }
        }
    }
    let (grown, creep) = (world.grown(), CREEP.max(world.planned() / CREEP_SHARE));
    assert!(grown <= before + creep, "{what}: {before} bytes after three quarters, {grown} at the end");
}

fn message(ttl: u64) -> NewMessage {
    NewMessage::new("sixteen bytes...").ttl(seconds(ttl)).delay(Duration::ZERO)
}

fn post(queue: &Queue, count: usize, ttl: u64) {
    queue.post(CLIENT, &vec![message(ttl); count]).unwrap();
}

fn claim(ttl: u64) -> ClaimOptions {
    ClaimOptions::new().ttl(seconds(ttl)).grace(seconds(1))
}

#[test]
fn queues_for_one_reply() {
    let world = World::new(64 * KIB * KIB);
    churn("reply queues", &world, |world, n| {
        let queue = world.queue(&format!("reply-{n}"));
        post(&queue, 1, 3600);
        queue.claim(claim(30)).unwrap().unwrap().delete_all().unwrap();
        queue.delete().unwrap();
    });
}

#[test]
fn queues_deleted_with_what_they_hold() {
    let world = World::new(64 * KIB * KIB);
    churn("queues with messages", &world, |world, n| {
        let queue = world.queue(&format!("full-{n}"));
        post(&queue, 3, 3600);
        queue.claim(claim(30 + n % 100)).unwrap().unwrap();
        post(&queue, 1, 60);
        queue.delete().unwrap();
    });
}

#[test]
fn deleted_queues_wait_for_a_checkpoint_only_if_the_trees_have_them() {
    let world = World::new(64 * KIB * KIB);
    let make = |kind: &str| -> Vec<Queue> {
        let queues = (0..100).map(|n| world.queue(&format!("{kind}-{n}")));
        queues.inspect(|queue| post(queue, 1, 3600)).collect()
    };
    let deleted = || {
        world.engine.gc().unwrap();
        world.engine.status().deleted_queues()
    };
    for _ in 0..3 {
        let stored = make("stored");
        world.engine.checkpoint().unwrap();
        stored.iter().take(60).for_each(|queue| queue.delete().unwrap());
        make("passing").iter().for_each(|queue| queue.delete().unwrap());
        assert_eq!(deleted(), 60);
        world.engine.checkpoint().unwrap();
        assert_eq!(deleted(), 0);
        stored.iter().skip(60).for_each(|queue| queue.delete().unwrap());
        assert_eq!(deleted(), 40);
        let verified = world.engine.verify().unwrap();
        assert!(verified.is_sound(), "{:?}", verified.findings());
    }
}

#[test]
fn one_queue_made_anew() {
    let world = World::new(64 * KIB * KIB);
    churn("one name", &world, |world, _| {
        let queue = world.queue("again");
        post(&queue, 1, 3600);
        queue.delete().unwrap();
    });
}

#[test]
fn claims_emptied_and_left() {
    let world = World::new(KIB * KIB);
    let queue = world.queue("jobs");
    churn("emptied claims", &world, |world, _| {
        post(&queue, 1, 3600);
        queue.claim(claim(300)).unwrap().unwrap().delete_all().unwrap();
        world.advance(1);
    });
}

#[test]
fn claims_emptied_and_left_in_many_queues() {
    let world = World::new(KIB * KIB);
    let queues: Vec<Queue> = (0..100).map(|n| world.queue(&format!("jobs-{n}"))).collect();
    churn("emptied claims in many queues", &world, |_, n| {
        let queue = &queues[usize::try_from(n % 100).unwrap()];
        post(queue, 1, 3600);
        queue.claim(claim(300)).unwrap().unwrap().delete_all().unwrap();
    });
}

#[test]
fn claims_whose_messages_others_delete() {
    let world = World::new(KIB * KIB);
    let queue = world.queue("jobs");
    churn("claims emptied by others", &world, |world, n| {
        post(&queue, 3, 3600);
        let held = queue.claim(claim(300)).unwrap().unwrap();
        let ids: Vec<_> = held.messages().iter().map(Message::id).collect();
        queue.bulk_delete(&ids).unwrap();
        // They can be found and released for as long as there are not too many.
        if n % 3 == 0 {
            held.release().unwrap();
        }
        world.advance(1);
    });
}

#[test]
fn claims_released() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    post(&queue, 200, 1_000_000_000);
    churn("released claims", &world, |world, _| {
        queue.claim(claim(3600)).unwrap().unwrap().release().unwrap();
        world.advance(1);
    });
}

#[test]
fn claims_that_end_by_themselves() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    post(&queue, 200, 1_000_000_000);
    churn("ended claims", &world, |world, _| {
        queue.claim(claim(10)).unwrap().unwrap();
        world.advance(1_000);
    });
}

#[test]
fn claims_renewed() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    post(&queue, 10, 1_000_000_000);
    let held = queue.claim(claim(3600)).unwrap().unwrap();
    churn("renewed claims", &world, |world, n| {
        held.renew(seconds(4_000 - n % 3_000), seconds(1)).unwrap();
        world.advance(1);
    });
}

#[test]
fn alarms_that_are_replaced() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    churn("replaced alarms", &world, |world, _| {
        post(&queue, 1, 1_000_000);
        let held = queue.claim(claim(60)).unwrap().unwrap();
        held.delete_all().unwrap();
        held.release().unwrap();
        world.advance(61_000);
        world.engine.gc().unwrap();
    });
}

#[test]
fn messages_delayed() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    churn("delays", &world, |world, n| {
        queue.post(CLIENT, &[message(3600).delay(seconds(1 + n % 10))]).unwrap();
        world.advance(1_000);
        queue.pop(100).unwrap();
    });
}

#[test]
fn messages_that_expire() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    churn("expiry", &world, |world, n| {
        post(&queue, 2, 1 + n % 10);
        world.advance(1_000);
    });
}

#[test]
fn messages_popped_beside_one_that_stays() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    queue.post(CLIENT, &[message(1_000_000_000).delay(seconds(900_000_000))]).unwrap();
    churn("pops", &world, |_, _| {
        // A page each.
        queue.post(CLIENT, &[NewMessage::new(vec![1; 17_000]).ttl(seconds(60)).delay(Duration::ZERO)]).unwrap();
        assert_eq!(queue.pop(1).unwrap().len(), 1);
    });
}

#[test]
fn subscriptions_that_come_and_go() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("news");
    churn("subscriptions", &world, |world, n| {
        let hook = |kind: &str| Subscriber::new(format!("https://example.com/{kind}/{n}")).unwrap();
        let gone = queue.subscribe(&hook("gone"), seconds(3600), &Metadata::new()).unwrap().unwrap();
        queue.unsubscribe(&gone).unwrap();
        queue.subscribe(&hook("over"), seconds(1 + n % 5), &Metadata::new()).unwrap().unwrap();
        world.advance(1_000);
    });
}

#[test]
fn metadata_changed() {
    let world = World::new(64 * KIB * KIB);
    let queues: Vec<Queue> = (0..10).map(|n| world.queue(&format!("jobs-{n}"))).collect();
    churn("metadata", &world, |_, n| {
        let metadata = Metadata::from_json(&format!("{{\"n\":{n}}}")).unwrap();
        queues[usize::try_from(n % 10).unwrap()].set_metadata(&metadata).unwrap();
    });
}

#[test]
fn dead_letters() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue_with("jobs", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    let dead = world.queue("dead");
    churn("dead letters", &world, |_, _| {
        post(&queue, 2, 3600);
        queue.claim(claim(60)).unwrap().unwrap().release().unwrap();
        assert!(queue.claim(claim(60)).unwrap().is_none());
        assert_eq!(dead.pop(10).unwrap().len(), 2);
    });
}

#[test]
fn dead_letter_queues_made_by_claims() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue_with("jobs", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    churn("dead-letter queues", &world, |world, _| {
        post(&queue, 1, 3600);
        queue.claim(claim(60)).unwrap().unwrap().release().unwrap();
        assert!(queue.claim(claim(60)).unwrap().is_none());
        world.queue("dead").delete().unwrap();
    });
}

#[test]
fn posts_that_are_refused() {
    // Not before: it would count in the world of another test.
    let mut world = World::new(64 * KIB);
    let large = NewMessage::new(vec![0; 65 << 20]).ttl(seconds(60)).delay(Duration::ZERO);
    world.start_over();
    let queue = world.queue("jobs");
    let missing = world.engine.queue(queue.project().clone(), "missing").unwrap();
    churn("refused posts", &world, |_, _| {
        assert!(missing.post(CLIENT, &[message(60)]).unwrap_err().is_not_found());
        assert!(queue.post(CLIENT, std::slice::from_ref(&large)).unwrap_err().is_too_large());
    });
}

#[test]
fn waiters_that_come_and_go() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    churn("waiters", &world, |world, n| {
        assert!(queue.claim_wait(claim(60), Duration::ZERO).unwrap().is_none());
        let missing = world.engine.queue(queue.project().clone(), format!("missing-{n}")).unwrap();
        assert!(missing.claim_wait(claim(60), Duration::ZERO).unwrap().is_none());
    });
}

#[test]
fn waits_with_a_token_queue_sets_and_runs_of_a_worker_that_come_and_go() {
    let world = World::new(64 * KIB * KIB);
    let queue = world.queue("jobs");
    let token = CancelToken::new();
    let kept = QueueSet::new([&queue]).unwrap();
    churn("queue sets", &world, |world, n| {
        assert!(queue.claim_wait_with(claim(60), Duration::ZERO, &token).unwrap().is_none());
        let missing = world.engine.queue(queue.project().clone(), format!("missing-{n}")).unwrap();
        let set = QueueSet::new([&queue, &missing]).unwrap();
        queue.post(CLIENT, &[message(60)]).unwrap();
        let claimed = set.claim_wait_with(claim(60), Duration::ZERO, &token).unwrap().unwrap();
        claimed.delete_all().unwrap();
        claimed.release().unwrap();
        queue.post(CLIENT, &[message(60)]).unwrap();
        let worker = Worker::new(&kept, claim(60)).idle_timeout(Duration::ZERO);
        assert_eq!(worker.run(1, &token, |_| Outcome::Done).unwrap().done, 1);
    });
}

#[test]
fn a_queue_set_takes_400_bytes_for_each_queue_and_its_names() {
    const QUEUES: u64 = 10_000;
    let world = World::new(64 * KIB * KIB);
    let before = live();
    let names = (0..QUEUES).map(|number| format!("a queue with a name of {number:10}"));
    let name_bytes: usize = names.clone().map(|name| name.len()).sum();
    let queue = |name| world.engine.queue(Project::none(), name).unwrap();
    let set = QueueSet::new(names.map(queue).collect::<Vec<Queue>>()).unwrap();
    assert!(set.claim(claim(60)).unwrap().is_none());
    let bytes = live() - before - 2 * name_bytes;
    println!("{} bytes a queue", bytes as u64 / QUEUES);
    assert!((200 * QUEUES..400 * QUEUES).contains(&(bytes as u64)), "{bytes}");
    drop(set);
    assert!(live() < before + 10_000, "{} bytes are left", live() - before);
}

#[test]
fn posts_that_fail_for_lack_of_space() {
    let disk = FillableDisk::around(Arc::new(RealDisk), Space::default());
    let shared = Arc::new(disk.clone());
    let mut world = World::with(|config| config.disk(shared).segment_size(64 * KIB).memory(KIB * KIB));
    let queue = world.queue("jobs");
    disk.hook.fill();
    while queue.post(CLIENT, &[message(60)]).is_ok() {}
    world.start_over();
    churn("failed posts", &world, |_, _| {
        assert!(queue.post(CLIENT, &[message(60)]).unwrap_err().is_full());
    });
}
