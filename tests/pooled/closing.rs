//! The answers of a closed driver.

use zaqar_sled::{
    Catalogue, ClaimOptions, Claims, ControlDriver, DataDriver, FlavorName, Flavors, ListOptions, MessageListOptions,
    Messages, Metadata, NewFlavor, NewPool, PoolUpdate, PooledDriver, Pools, Purge, QueueListOptions, Queues, Result,
    Sort, SubscriptionId, SubscriptionUpdate, Subscriptions,
};

use crate::subscriptions::hook;
use crate::support::{ALICE, json, lasting, name_of, no_claim, pool_of, seconds, shop, terms};

pooled! {
    fn closed_is_closed(h) {
        h.two_pools();
        let orders = h.create("orders");
        let id = orders.say("coffee");
        h.turn();
        let driver = h.driver();
        let handle = driver.queue(shop(), "orders").unwrap();
        driver.close().unwrap();
        driver.close().unwrap();
        DataDriver::close(&driver).unwrap();
        ControlDriver::close(&driver).unwrap();
        assert!(!driver.is_alive());
        let closed = |outcome: Result<()>| match outcome {
            Err(error) => assert!(error.is_closed(), "another error: {error:?}"),
            Ok(()) => panic!("it did not fail"),
        };
        let (project, name) = (&shop(), &name_of("orders"));
        let (messages, claims): (&dyn Messages, &dyn Claims) = (&driver, &driver);
        closed(messages.post(project, name, ALICE, &[lasting("a", 60)]).map(drop));
        closed(messages.get(project, name, &id).map(drop));
        closed(messages.list(project, name, &MessageListOptions::new()).map(drop));
        closed(messages.first(project, name, Sort::Oldest).map(drop));
        closed(messages.bulk_get(project, name, &[id]).map(drop));
        closed(messages.delete(project, name, &id, None));
        closed(messages.bulk_delete(project, name, &[id], &[]));
        closed(messages.pop(project, name, 1).map(drop));
        closed(claims.create(project, name, &terms(60, 60, 1)).map(drop));
        closed(claims.get(project, name, &no_claim()).map(drop));
        closed(claims.update(project, name, &no_claim(), &terms(60, 60, 1)));
        closed(claims.delete(project, name, &no_claim()));
        let queues: &dyn Queues = &driver;
        closed(queues.create(project, name, &Metadata::new()).map(drop));
        closed(queues.get(project, name).map(drop));
        closed(queues.get_metadata(project, name).map(drop));
        closed(queues.set_metadata(project, name, &Metadata::new()));
        closed(queues.exists(project, name).map(drop));
        closed(queues.delete(project, name));
        closed(queues.list(project, &QueueListOptions::new()).map(drop));
        closed(queues.stats(project, name).map(drop));
        closed(queues.count(project).map(drop));
        for what in [Purge::Messages, Purge::Subscriptions, Purge::All] {
            closed(queues.purge(project, name, what).map(drop));
        }
        closed_in_control(&driver);
        closed(driver.move_queue(project, name, &pool_of("two")));
        closed(driver.health().map(drop));
        closed(ControlDriver::health(&driver).map(drop));
        closed(driver.gc().map(drop));
        closed(driver.step());
        closed(driver.verify().map(drop));
        closed(handle.claim_wait(ClaimOptions::new(), seconds(60)).map(drop));
        closed(handle.exists().map(drop));
        assert_eq!(driver.status().pools().len(), 2);
    }
}

fn closed_in_control(driver: &PooledDriver) {
    let closed = |outcome: Result<()>| match outcome {
        Err(error) => assert!(error.is_closed(), "another error: {error:?}"),
        Ok(()) => panic!("it did not fail"),
    };
    let (project, name, pool) = (&shop(), &name_of("orders"), &pool_of("one"));
    let gold = &FlavorName::new("gold").unwrap();
    closed(Pools::create(driver, pool, &NewPool::new("sled:/x".parse().unwrap())));
    closed(Pools::get(driver, pool, true).map(drop));
    closed(Pools::exists(driver, pool).map(drop));
    closed(Pools::list(driver, &ListOptions::new()).map(drop));
    closed(driver.get_pools_by_group(None, true).map(drop));
    closed(Pools::update(driver, pool, &PoolUpdate::new().weight(1)));
    closed(Pools::delete(driver, pool));
    closed(Pools::capabilities(driver, None, None).map(drop));
    closed(Pools::drop_all(driver));
    closed(Flavors::create(driver, project, gold, &NewFlavor::new()));
    closed(Flavors::get(driver, project, gold, true).map(drop));
    closed(Flavors::exists(driver, project, gold).map(drop));
    closed(Flavors::list(driver, project, &ListOptions::new()).map(drop));
    closed(Flavors::delete(driver, project, gold));
    closed(Flavors::drop_all(driver));
    closed(Catalogue::insert(driver, project, name, pool));
    closed(Catalogue::get(driver, project, name).map(drop));
    closed(Catalogue::exists(driver, project, name).map(drop));
    closed(Catalogue::list(driver, project).map(drop));
    closed(Catalogue::update(driver, project, name, Some(pool)));
    closed(Catalogue::delete(driver, project, name));
    closed(Catalogue::drop_all(driver));
    let id = SubscriptionId::lossy("none");
    closed(Subscriptions::create(driver, project, name, &hook("a"), seconds(60), &json("{}")).map(drop));
    closed(Subscriptions::get(driver, project, name, &id).map(drop));
    closed(Subscriptions::exists(driver, project, name, &id).map(drop));
    closed(Subscriptions::list(driver, project, name, &ListOptions::new()).map(drop));
    closed(Subscriptions::update(driver, project, name, &id, &SubscriptionUpdate::new().ttl(seconds(60))));
    closed(Subscriptions::delete(driver, project, name, &id));
    closed(Subscriptions::confirm(driver, project, name, &id, true));
    closed(driver.get_with_subscriber(project, name, &hook("a")).map(drop));
}
