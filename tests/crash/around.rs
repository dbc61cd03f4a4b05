//! A power cut, or a kill, after every single operation around the changes of files: a snapshot, a manifest, a segment
//! that is retired and used again, trees that are replaced. There are few calls, and no operation is left out.

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::disk::{Disk, Keep, SimulatedDisk};
use zaqar_sled::{
    BatchStep, Body, ClaimOptions, DataDriver, Durability, Engine, ExtendedDriver, ListOptions, ManualClock, Message,
    MessageId, MessageListOptions, Metadata, Project, ProjectQuota, QueueName, QueueSettings, RedriveOptions, Result,
    Retry,
};

use super::cut::{End, Scene, World, cut_everywhere, operations, seeds};
use super::support::{AMPLE, CLIENT, ROOT, Told, assert_sound, config, dump, message, post_everywhere};

/// The calls on a store with a budget of `MEMORY` bytes.
struct Around<const MEMORY: u64>;

#[derive(Debug, Clone, Default)]
struct Known {
    claims: Vec<Told>,
    shown: Vec<MessageId>,
}

/// In this order, over and over for as long as there are calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Create,
    /// So many messages, each of a quarter of a segment.
    Post(usize),
    Buffered,
    Claim,
    DeleteOldest,
    CreateDone,
    /// Renews the last claim, deletes a message of it and another one, posts to both queues and sets a bookmark, in one
    /// batch.
    Batch,
    Redrive(Redrive),
    CreateNews,
    /// Posts to a topic, to which the queues `jobs` and `done` are subscribed.
    Publish,
    /// Sets a bookmark to a value of many sectors.
    Mark,
    /// Deletes the bookmark that batches set.
    Unmark,
    /// Sets a quota, which no post of the scene meets, or none.
    Limit(Option<u64>),
    Delete,
    Step,
    Snapshot,
    Checkpoint,
    Compact,
    Reopen,
}

/// The calls of [`redrive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Redrive {
    Create,
    Post,
    /// Claims both messages the first time, and moves the worn-out one the second time.
    Bury,
    Retry,
    Back,
}

const ACTS: [Act; 47] = [
    Act::Create,
    Act::Post(2),
    Act::CreateDone,
    Act::Claim,
    Act::Step,
    Act::Post(3),
    Act::Snapshot,
    Act::Compact,
    Act::Batch,
    Act::Limit(Some(1_000)),
    Act::CreateNews,
    Act::Publish,
    Act::Mark,
    Act::Redrive(Redrive::Create),
    Act::Redrive(Redrive::Post),
    Act::Claim,
    Act::Redrive(Redrive::Bury),
    Act::Redrive(Redrive::Retry),
    Act::Redrive(Redrive::Bury),
    Act::DeleteOldest,
    Act::Buffered,
    Act::Step,
    Act::Batch,
    Act::Publish,
    Act::Post(4),
    Act::Snapshot,
    Act::Publish,
    Act::Redrive(Redrive::Back),
    Act::Buffered,
    Act::Checkpoint,
    Act::Limit(None),
    Act::Compact,
    Act::Unmark,
    Act::Mark,
    Act::Delete,
    Act::Publish,
    Act::Create,
    Act::Compact,
    Act::Snapshot,
    Act::Post(1),
    Act::Limit(Some(900)),
    Act::Unmark,
    Act::Reopen,
    Act::Compact,
    Act::Buffered,
    // The snapshot's content was not synced before.
    Act::Snapshot,
    Act::Buffered,
];

fn jobs() -> (Project, QueueName) {
    (Project::none(), QueueName::new("jobs").unwrap())
}

fn done() -> QueueName {
    QueueName::new("done").unwrap()
}

/// The steps of batch `i`.
fn batch(engine: &Engine, i: usize, claim: Option<&Told>) -> Result<Vec<BatchStep>> {
    let (project, queue) = jobs();
    let post = |queue: QueueName, name: &str, count: usize| BatchStep::Post {
        project: project.clone(),
        queue,
        client: CLIENT,
        messages: (0..count).map(|n| message(&format!("{i}-{name}-{n}"), 900)).collect(),
    };
    let mut steps = vec![post(done(), "done", 2), post(queue.clone(), "more", 1)];
    let waiting = engine.messages().list(&project, &queue, &MessageListOptions::new().limit(1))?;
    let delete =
        |messages, claim| BatchStep::Delete { project: project.clone(), queue: queue.clone(), messages, claim };
    steps.push(delete(waiting.items.iter().map(Message::id).collect(), None));
    let held = claim.map_or(Ok(None), |(_, _, id)| match engine.claims().get(&project, &queue, id) {
        Err(error) if error.is_not_found() => Ok(None),
        held => held.map(|claim| Some((id, claim))),
    })?;
    if let Some((id, claim)) = held {
        let (ttl, grace) = (Duration::from_secs(500), Duration::ZERO);
        steps.push(BatchStep::Renew { project: project.clone(), queue: queue.clone(), claim: *id, ttl, grace });
        steps.push(delete(claim.messages().iter().map(Message::id).collect(), Some(*id)));
    }
    steps.push(post(done(), "again", 1));
    let bookmark = engine.bookmark(project.clone(), "offset")?;
    let condition = bookmark.get()?.map(|read| read.version()).into();
    let (bookmark, value) = (bookmark.name().clone(), Body::from(i.to_string()));
    steps.push(BatchStep::SetBookmark { project: project.clone(), bookmark, condition, value });
    Ok(steps)
}

/// A call on the way of a message from the queue `worn` to the queue `dead`, and from there to the queue `done`.
fn redrive(engine: &Engine, step: Redrive) -> Result<()> {
    let (project, worn) = (Project::none(), QueueName::new("worn")?);
    let held = || engine.messages().list(&project, &worn, &MessageListOptions::new().include_claimed(true));
    match step {
        Redrive::Create => {
            let metadata = Metadata::from(QueueSettings::new().dead_letters("dead", 1));
            engine.queues().create(&project, &worn, &metadata).map(drop)
        }
        Redrive::Post => {
            let posted = [message("worn", 900).header("worn", "out"), message("kept", 900)];
            engine.messages().post(&project, &worn, CLIENT, &posted).map(drop)
        }
        Redrive::Bury => engine.claims().create(&project, &worn, &ClaimOptions::new().limit(2)).map(drop),
        Redrive::Retry => {
            let held = &held()?.items[0];
            let claim = held.claim_id().expect("it is claimed");
            engine.retries().retry(&project, &worn, &claim, &[Retry::new(held.id()).reason("why")]).map(drop)
        }
        Redrive::Back => {
            let options = RedriveOptions::new().to(done());
            let outcome = engine.dead_letters().redrive(&project, &QueueName::new("dead")?, &options)?;
            assert_eq!(outcome.moved(), 1);
            Ok(())
        }
    }
}

impl<const MEMORY: u64> Scene for Around<MEMORY> {
    type Store = Engine;
    type Told = Known;

    const CALLS: usize = ACTS.len();
    const RECOVERY: u64 = 40;

    fn open(disk: &SimulatedDisk, clock: &Arc<ManualClock>, seed: u64) -> Result<Engine> {
        let memory = if disk.is_durable() { MEMORY } else { AMPLE };
        config(disk, clock, seed).memory(memory).open(ROOT)
    }

    fn call(world: &mut World<Self>, i: usize) -> Result<bool> {
        let engine = world.store()?.clone();
        let (project, queue) = jobs();
        let post = |engine: &Engine, count: usize| {
            let batch: Vec<_> = (0..count).map(|n| message(&format!("{i}-{n}"), 900)).collect();
            engine.messages().post(&project, &queue, CLIENT, &batch)
        };
        match ACTS[i] {
            Act::Create => engine.queues().create(&project, &queue, &Metadata::new()).map(|_| true),
            Act::Post(count) => {
                let ids = post(&engine, count)?;
                world.told.shown.extend(ids);
                Ok(true)
            }
            Act::Buffered => {
                let ids = post(&engine.with_durability(Durability::Buffered), 1)?;
                world.told.shown.extend(ids);
                Ok(false)
            }
            Act::Claim => {
                let claim = engine.claims().create(&project, &queue, &ClaimOptions::new().limit(1))?;
                world.told.claims.extend(claim.map(|claim| (project.clone(), queue.clone(), claim.id())));
                Ok(true)
            }
            Act::DeleteOldest => {
                let ids: Vec<MessageId> = world.told.shown.iter().skip(1).take(2).copied().collect();
                engine.messages().bulk_delete(&project, &queue, &ids, &[]).map(|()| true)
            }
            Act::CreateDone => engine.queues().create(&project, &done(), &Metadata::new()).map(|_| true),
            Act::Batch => {
                let outcome = engine.batches().commit(&batch(&engine, i, world.told.claims.last())?)?;
                world.told.shown.extend(outcome.posted().concat());
                Ok(true)
            }
            Act::CreateNews => {
                let settings = QueueSettings::new().subscribed(["jobs", "done"]);
                engine.topic(project, "news")?.create(settings).map(|_| true)
            }
            Act::Publish => {
                let news = engine.topic(project.clone(), "news")?;
                let posted = [message(&format!("{i}-news"), 900).header("news", "yes"), message("more", 900)];
                world.told.shown.extend(news.post(CLIENT, &posted)?);
                Ok(true)
            }
            Act::Redrive(step) => redrive(&engine, step).map(|()| true),
            Act::Mark => {
                let value = format!("{i}").repeat(3_000);
                engine.bookmark(project, "large")?.set(value).map(|_| true)
            }
            Act::Limit(messages) => {
                let quota = ProjectQuota::new().max_messages(messages);
                engine.projects().set_quota(&project, &quota).map(|()| true)
            }
            Act::Unmark => engine.bookmark(project, "offset")?.delete().map(|_| true),
            Act::Delete => {
                engine.with_durability(Durability::Buffered).queues().delete(&project, &queue).map(|()| false)
            }
            Act::Step => engine.step().map(|()| true),
            Act::Snapshot => engine.snapshot().map(|()| true),
            Act::Checkpoint => engine.checkpoint().map(|()| false),
            Act::Compact => engine.compact().map(|_| true),
            Act::Reopen => {
                drop(engine);
                world.reopen().map(|()| true)
            }
        }
    }

    fn dump(engine: &Engine, told: &Known) -> String {
        let bookmarks = engine.bookmarks().list(&Project::none(), &ListOptions::new().limit(0)).unwrap();
        let (quota, usage) = (engine.projects().quota(&Project::none()), engine.projects().usage(&Project::none()));
        let dump = dump(engine, &told.claims).unwrap();
        format!("{dump}{:?}{:?}{:?}", bookmarks.items, quota.unwrap(), usage.unwrap())
    }

    fn assert_sound(engine: &Engine, context: &str) {
        assert_sound(engine, context);
    }

    fn add(engine: &Engine, told: &Known, context: &str) {
        post_everywhere(engine, &told.shown, context);
    }

    fn close(engine: &Engine) -> Result<()> {
        engine.close()
    }

    fn assert_clean(engine: &Engine, context: &str) {
        assert!(engine.recovery().notes().is_empty(), "{context}: {}", engine.recovery());
    }
}

fn cut_at_each(end: impl Fn(u64) -> End) {
    cut_everywhere::<Around<AMPLE>>(&end, 1);
    cut_everywhere::<Around<0>>(&end, 1);
}

#[test]
fn the_calls_make_and_give_up_files_of_every_kind() {
    let disk = SimulatedDisk::new();
    let mut world = World::<Around<0>>::new(disk.clone(), 1).unwrap();
    let first = disk.list_all();
    let (_, failed) = world.run(ACTS.len());
    assert!(failed.is_none(), "{failed:?}");
    let last = disk.list_all();
    assert!(first.iter().any(|path| path.extension().is_some_and(|kind| kind == "journal") && !last.contains(path)));
    let snapshots: Vec<_> = last.iter().filter(|path| path.extension().is_some_and(|kind| kind == "base")).collect();
    assert!(snapshots.len() == 1 && !snapshots[0].ends_with("0000000000000001.base"), "{last:?}");
    assert!(seeds().into_iter().all(|seed| operations::<Around<0>>(seed) > 100));
}

#[test]
fn a_power_cut_at_every_operation_around_snapshots_keeps_what_was_synced() {
    cut_at_each(|_| End::Power(Keep::Nothing));
}

#[test]
fn a_power_cut_at_every_operation_around_snapshots_that_keeps_some_of_the_rest() {
    cut_at_each(|k| End::Power(Keep::Random(k)));
    cut_at_each(|k| End::Power(Keep::Random(k + 1_000)));
}

#[test]
fn a_kill_at_every_operation_around_snapshots_keeps_all_that_was_acknowledged() {
    cut_at_each(|_| End::Kill);
}
