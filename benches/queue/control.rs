//! Subscriptions, the catalogue, and the cost of a pool.

use std::time::Duration;

use zaqar_sled::{
    Catalogue, ClientId, Config, DataDriver, Durability, ListOptions, Metadata, NewPool, PoolName, PooledDriver,
    Project, Queue, QueueName, Subscriber,
};

use crate::Result;
use crate::rounds::{Pairs, Rounds, rate};
use crate::scratch::{Store, folder, messages};
use crate::table::{Row, Table, Target, Unit};

/// Queues in the catalogue, and among the pools.
const QUEUES: u32 = 10_000;

pub(crate) fn run(rounds: Rounds, table: &mut Table) -> Result<()> {
    catalogue(rounds, table)?;
    subscriptions(rounds, table)?;
    pooled_posts(rounds, table)
}

fn catalogue(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let (shop, pool) = (Project::named("shop")?, PoolName::new("one")?);
    let names: Vec<QueueName> = (0..QUEUES).map(|i| QueueName::new(format!("orders-{i}"))).collect::<Result<_, _>>()?;
    for name in &names {
        Catalogue::insert(&store.engine, &shop, name, &pool)?;
    }
    let mut pairs = Pairs::default();
    let mut next = names.iter().cycle();
    for _ in 0..rounds.count {
        pairs.measured.push(rate(rounds.measured, 1, || {
            let name = next.next().ok_or("no names")?;
            Ok(Catalogue::get(&store.engine, &shop, name).map(drop)?)
        })?);
    }
    let (name, target) = ("catalogue lookup, 10k queues", Some(Target::Rate(2e6)));
    table.add(Row { name: name.into(), unit: Unit::CallsASecond, beside: "none", pairs, target });
    Ok(())
}

fn subscriptions(rounds: Rounds, table: &mut Table) -> Result<()> {
    let store = Store::new(Durability::Buffered)?;
    let (shop, orders) = (Project::named("shop")?, QueueName::new("orders")?);
    let subscriptions = store.engine.subscriptions();
    let (hour, options) = (Duration::from_secs(3600), Metadata::new());
    let (mut pairs, mut made) = (Pairs::default(), 0_u64);
    for _ in 0..rounds.count {
        pairs.measured.push(rate(rounds.measured, 1, || {
            made += 1;
            let subscriber = Subscriber::new(format!("https://example.com/{made}"))?;
            let created = subscriptions.create(&shop, &orders, &subscriber, hour, &options)?;
            created.map(drop).ok_or_else(|| "the subscriber was there".into())
        })?);
    }
    let unit = Unit::CallsASecond;
    table.add(Row { name: "subscription create, Buffered".into(), unit, beside: "none", pairs, target: None });

    let mut pairs = Pairs::default();
    let page = ListOptions::new().limit(20);
    for _ in 0..rounds.count {
        pairs.measured.push(rate(rounds.measured, 1, || {
            let listed = subscriptions.list(&shop, &orders, &page)?;
            if listed.items.len() == 20 { Ok(()) } else { Err("a short page".into()) }
        })?);
    }
    table.add(Row { name: "subscription list, page of 20".into(), unit, beside: "none", pairs, target: None });
    Ok(())
}

/// The same posts to a queue in a pool and to a queue in an engine, among as many other queues.
fn pooled_posts(rounds: Rounds, table: &mut Table) -> Result<()> {
    for (name, durability, count) in [
        ("post 1 to a pool, Buffered", Durability::Buffered, 1),
        ("post 10 to a pool, Buffered", Durability::Buffered, 10),
        ("post 1 to a pool, Sync", Durability::Sync, 1),
    ] {
        let direct = Store::new(durability)?;
        for i in 0..QUEUES {
            direct.queue(&format!("others-{i}"), 0)?;
        }
        let own = direct.queue("posts", 0)?;
        let folder = folder()?;
        let driver = Config::new().durability(durability).open_pooled(folder.path().join("control"))?;
        let queue = spread(&driver, folder.path())?;
        let batch = messages(u64::from(count));
        let client = ClientId::random();
        let post = |queue: &Queue, time| {
            let reached = rate(time, count, || Ok(queue.post(client, &batch).map(drop)?))?;
            queue.purge()?;
            Ok(reached)
        };
        let pairs = rounds.alternate(|time| post(&queue, time), |time| post(&own, time + time))?;
        let target = Some(Target::Ratio(1.0 / 1.15));
        table.add(Row {
            name: name.into(),
            unit: Unit::MessagesASecond,
            beside: "the same posts to an engine",
            pairs,
            target,
        });
        driver.close()?;
    }
    Ok(())
}

/// Creates many queues in two pools; returns one of them.
fn spread(driver: &PooledDriver, folder: &std::path::Path) -> Result<Queue> {
    for pool in ["one", "two"] {
        let uri = format!("sled:{}", folder.join(pool).display());
        driver.pools().create(&PoolName::new(pool)?, &NewPool::new(uri.parse()?))?;
    }
    let quick = driver.with_durability(Durability::Buffered);
    for i in 0..QUEUES {
        quick.queue(Project::none(), format!("others-{i}"))?.create(Metadata::new())?;
    }
    let queue = driver.queue(Project::none(), "posts")?;
    queue.create(Metadata::new())?;
    Ok(queue)
}
