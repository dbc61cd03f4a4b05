//! The properties of every store that opens, whatever its damage.

use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, ControlDriver, DataDriver, Engine, Error, ListOptions, MessageListOptions, Metadata,
    NewMessage, NewPool, PoolName, Project, Purge, QueueListOptions, QueueName, Result, Sort, Subscriber,
};

use crate::image::{BODY, FLAVOR, NAMES, POOLS, SUBSCRIBERS};

/// Reads everything and checks its consistency; returns the number of items.
pub fn read_all(engine: &Engine, is_ours: bool) -> u64 {
    let verification = engine.verify().expect("a store that opened can be verified");
    // Contents that were forged with every checksum may contradict themselves; they must not do more than that.
    assert!(!is_ours || verification.is_sound(), "{:?}", verification.findings());
    let mut total = 0;
    for project in [Project::none(), Project::named("").expect("a valid name")] {
        let queues = engine.queues().list(&project, &QueueListOptions::new().limit(0).detailed(true)).expect("a read");
        for entry in queues.items {
            let name = entry.name().as_str();
            // A salvage may find messages of a queue whose record is lost.
            let is_known = NAMES.contains(&name) || name.starts_with("salvaged-");
            assert!(!is_ours || is_known, "a queue that no call made: {name}");
            total += read_queue(engine, &project, entry.name(), is_ours);
        }
    }
    total + read(read_registry(engine, is_ours), is_ours)
}

/// The number of rows; for a forged row an error is accepted.
fn read(rows: Result<u64>, is_ours: bool) -> u64 {
    assert!(!is_ours || rows.is_ok(), "{rows:?}");
    rows.unwrap_or_default()
}

fn read_registry(engine: &Engine, is_ours: bool) -> Result<u64> {
    let (project, mut total) = (Project::none(), 0);
    for name in NAMES.map(|name| QueueName::new(name).expect("a valid name")) {
        let listed = engine.subscriptions().list(&project, &name, &ListOptions::new().limit(0))?;
        for one in &listed.items {
            assert!(!is_ours || SUBSCRIBERS.contains(&one.subscriber().as_str()), "an unknown subscriber: {one:?}");
            assert_eq!(&engine.subscriptions().get(&project, &name, &one.id())?, one);
            let same = engine.subscriptions().get_with_subscriber(&project, &name, one.subscriber())?;
            assert!(!is_ours || same.as_ref() == Some(one), "{same:?} in place of {one:?}");
        }
        total += listed.items.len();
    }
    let pools = engine.pools().list(&ListOptions::new().limit(0).detailed(true))?.items;
    for pool in &pools {
        assert!(!is_ours || POOLS.contains(&pool.name().as_str()), "a pool that no call made: {pool:?}");
        assert_eq!(&engine.pools().get(pool.name(), true)?, pool);
    }
    let flavors = engine.flavors().list(&project, &ListOptions::new().limit(0))?.items;
    assert!(!is_ours || flavors.iter().all(|flavor| flavor.name().as_str() == FLAVOR), "{flavors:?}");
    let entries = engine.catalogue().list(&project)?;
    let is_known = |name: &QueueName| NAMES.contains(&name.as_str());
    assert!(!is_ours || entries.iter().all(|entry| is_known(entry.queue())), "{entries:?}");
    Ok((total + pools.len() + flavors.len() + entries.len()) as u64)
}

fn read_queue(engine: &Engine, project: &Project, name: &QueueName, is_ours: bool) -> u64 {
    let stats = engine.queues().stats(project, name).expect("a read");
    let options = MessageListOptions::new().limit(0).echo(true).include_claimed(true).include_delayed(true);
    let messages = engine.messages().list(project, name, &options).expect("a read").items;
    assert_eq!(messages.len() as u64, stats.total());
    assert!(messages.is_sorted_by_key(|message| message.id()));
    let claimed = messages.iter().filter(|message| message.claim_id().is_some());
    assert_eq!(claimed.count() as u64, stats.claimed());
    for message in &messages {
        assert!(!is_ours || message.body().as_bytes().starts_with(BODY), "a body that no call posted: {message:?}");
        assert_eq!(&engine.messages().get(project, name, &message.id()).expect("it is listed"), message);
        if let Some(claim) = message.claim_id() {
            let claim = engine.claims().get(project, name, &claim).expect("it holds a message");
            // A forged claim may hold messages it does not name.
            assert!(!is_ours || claim.messages().iter().any(|held| held.id() == message.id()));
        }
    }
    let oldest = engine.messages().first(project, name, Sort::Oldest);
    assert_eq!(oldest.ok().map(|message| message.id()), messages.first().map(|message| message.id()));
    stats.total()
}

/// Makes changes of every kind, and removes them again.
pub fn work(engine: &Engine, is_ours: bool) {
    work_on_queues(engine, is_ours);
    read(work_on_registry(engine), is_ours);
}

fn work_on_registry(engine: &Engine) -> Result<u64> {
    let (project, fresh) = (Project::none(), QueueName::new("fresh")?);
    let (subscriber, hour) = (Subscriber::new("https://fresh.example")?, Duration::from_secs(3_600));
    let id = engine.subscriptions().create(&project, &fresh, &subscriber, hour, &Metadata::new())?;
    engine.subscriptions().delete(&project, &fresh, &id.expect("it is the only one"))?;
    let pool = PoolName::new("fresh")?;
    engine.pools().create(&pool, &NewPool::new("memory:fresh".parse()?))?;
    engine.catalogue().insert(&project, &fresh, &pool)?;
    engine.catalogue().delete(&project, &fresh)?;
    engine.pools().delete(&pool)?;
    Ok(0)
}

fn work_on_queues(engine: &Engine, is_ours: bool) {
    let (project, fresh) = (Project::none(), QueueName::new("fresh").expect("a valid name"));
    let created = engine.queues().create(&project, &fresh, &Metadata::new());
    // The incarnation may have been forged to be the last there is.
    if !is_ours && created.as_ref().is_err_and(Error::is_busy) {
        return;
    }
    assert!(created.expect("no limit"));
    let message = NewMessage::new(BODY).ttl(Duration::from_secs(60));
    let ids = engine.messages().post(&project, &fresh, ClientId::random(), &[message.clone(), message]);
    // The time may have been forged to be the last there is.
    if !is_ours && ids.as_ref().is_err_and(Error::is_invalid) {
        return engine.queues().delete(&project, &fresh).expect("no limit");
    }
    let ids = ids.expect("no limit");
    let claim = engine.claims().create(&project, &fresh, &ClaimOptions::new().limit(1));
    let claim = claim.expect("no limit").expect("two messages wait");
    assert_eq!(claim.messages()[0].id(), ids[0]);
    engine.messages().delete(&project, &fresh, &ids[0], Some(&claim.id())).expect("it is claimed");
    assert_eq!(engine.messages().pop(&project, &fresh, 10).expect("no limit").len(), 1);
    engine.queues().purge(&project, &fresh, Purge::All).expect("no limit");
    engine.queues().delete(&project, &fresh).expect("no limit");
    // The earlier messages can still be claimed, read and deleted.
    for name in NAMES.map(|name| QueueName::new(name).expect("a valid name")) {
        let claimed = engine.claims().create(&project, &name, &ClaimOptions::new().limit(1)).expect("no limit");
        if let Some(claim) = claimed {
            engine.claims().delete(&project, &name, &claim.id()).expect("no limit");
        }
    }
}
