//! All there is in a pooled driver's stores, as text.

use std::fmt::Write as _;

use zaqar_sled::{
    Catalogue, ControlDriver, DataDriver, ListOptions, Message, PooledDriver, Project, QueueName, Result,
};

use super::super::support::{dump_control, dump_subscriptions, everything, messages_of, queues_of};
use super::scene::{Known, POOLS, is_dead, places};

/// Steps until no dead letter is in transit and no removal is pending.
pub(super) fn settle(driver: &PooledDriver) -> Result<()> {
    for _ in 0..4 {
        driver.step()?;
    }
    let status = driver.status();
    assert_eq!((status.in_transit(), status.leftovers()), (0, 0), "all pools can be reached");
    Ok(())
}

/// Everything that a caller can see once dead letters have arrived, and then the contents that earlier mappings left in
/// other pools. Unknown ids are omitted: a dead letter in transit gets an id of the run that delivers it.
pub(super) fn dump(driver: &PooledDriver, told: &Known) -> Result<String> {
    settle(driver)?;
    let mut text = String::new();
    let queues = queues_of(driver)?;
    for (project, queue) in &queues {
        if !is_dead(queue) {
            dump_queue(driver, told, project, queue, &mut text)?;
        }
    }
    for (project, queue, id) in &told.claims {
        match driver.claims().get(project, queue, id) {
            Ok(claim) => {
                let names: Vec<String> = claim.messages().iter().map(name_of).collect();
                writeln!(text, "claim {id} {:?} {:?} {names:?}", claim.ttl(), claim.age()).unwrap();
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    // Those of other queues are dumped with their queues.
    let dead: Vec<String> =
        places().iter().filter(|(_, queue)| is_dead(queue)).map(|(p, q)| format!("{p:?} {q} ")).collect();
    for line in dump_subscriptions(driver, &places())?.lines() {
        if dead.iter().any(|place| line.starts_with(place)) {
            writeln!(text, "{line}").unwrap();
        }
    }
    for line in dump_control(driver)?.lines() {
        // A claim may have created or mapped a dead-letter queue before the cut.
        let of_dead = |(project, queue): &(Project, QueueName)| {
            is_dead(queue) && line.starts_with(&format!("{project:?} {queue} in "))
        };
        if !queues.iter().any(of_dead) {
            writeln!(text, "{line}").unwrap();
        }
    }
    for (project, queue) in &queues {
        let mut others = Vec::new();
        in_each_pool(driver, project, queue, |pool, routed| {
            let mut there = String::new();
            dump_queue(driver, told, project, queue, &mut there)?;
            // The pool that a dead letter's arrival has mapped its queue to is random.
            let there = if is_dead(queue) { there.replace(&format!(" in {pool}\n"), "\n") } else { there };
            // A claim that was cut may have mapped the queue, which moves the subscriptions to its pool.
            let in_place = |line: &&str| !is_dead(queue) || !line.starts_with("  Subscription");
            let there: String = there.lines().filter(in_place).flat_map(|line| [line, "\n"]).collect();
            if (is_dead(queue) || !routed) && there.lines().count() > 1 {
                others.push(there);
            }
            Ok(())
        })?;
        others.sort();
        others.iter().for_each(|there| writeln!(text, "in a pool: {there}").unwrap());
    }
    Ok(text)
}

/// Shows `see` the queue in each pool, and whether it is mapped to that.
pub(super) fn in_each_pool(
    driver: &PooledDriver,
    project: &Project,
    queue: &QueueName,
    mut see: impl FnMut(&str, bool) -> Result<()>,
) -> Result<()> {
    let mapped = Catalogue::get(driver, project, queue).ok();
    for pool in POOLS {
        driver.catalogue().insert(project, queue, &pool.parse()?)?;
        see(pool, mapped.as_ref().is_some_and(|entry| entry.pool().as_str() == pool))?;
    }
    match mapped {
        Some(entry) => driver.catalogue().insert(project, queue, entry.pool()),
        None => driver.catalogue().delete(project, queue),
    }
}

pub(super) fn name_of(message: &Message) -> String {
    let body = String::from_utf8_lossy(message.body().as_bytes());
    body.split('.').next().unwrap().to_owned()
}

fn dump_queue(
    driver: &PooledDriver,
    told: &Known,
    project: &Project,
    queue: &QueueName,
    text: &mut String,
) -> Result<()> {
    let metadata = driver.queues().get_metadata(project, queue)?.to_json();
    let Ok(entry) = Catalogue::get(driver, project, queue) else {
        writeln!(text, "queue {project:?} {queue} {metadata} nowhere").unwrap();
        return Ok(());
    };
    writeln!(text, "queue {project:?} {queue} {metadata} in {}", entry.pool()).unwrap();
    let all = messages_of(driver, project, queue)?;
    let now = driver.messages().list(project, queue, &everything().include_delayed(false))?.items;
    let free = driver.messages().list(project, queue, &everything().include_claimed(false))?.items;
    for message in &all {
        let delayed = !now.contains(message);
        assert_eq!(free.contains(message), message.claim_id().is_none(), "{message:?}");
        assert_eq!(driver.messages().get(project, queue, &message.id())?, *message);
        let id = message.id();
        let id = if told.is_empty() || told.shown.contains(&id) { id.to_string() } else { "dead letter".into() };
        let (name, bytes, age, ttl) = (name_of(message), message.body().len(), message.age(), message.ttl());
        let (created, claim, count) = (message.created().as_millis(), message.claim_id(), message.claim_count());
        writeln!(text, "  {id} {name} {bytes} {created} {age:?} {ttl:?} {claim:?} {count} {delayed}").unwrap();
    }
    if let Some(middle) = all.get(all.len() / 2) {
        let rest = driver.messages().list(project, queue, &everything().marker(middle.marker()))?.items;
        assert_eq!(rest, all[all.len() / 2 + 1..], "behind a marker");
    }
    let stats = driver.queues().stats(project, queue)?;
    let claimed = all.iter().filter(|message| message.claim_id().is_some()).count() as u64;
    assert_eq!((stats.claimed(), stats.total()), (claimed, all.len() as u64), "{project:?} {queue}\n{text}");
    assert!(all.is_sorted_by_key(Message::id), "{text}");
    let subscriptions = driver.subscriptions().list(project, queue, &ListOptions::new().limit(0))?.items;
    for subscription in subscriptions {
        writeln!(text, "  {subscription:?}").unwrap();
    }
    Ok(())
}
