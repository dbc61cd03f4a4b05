//! Contract 4: the control driver.

use crate::support::*;
use zaqar_sled::{ControlHealth, FlavorUpdate, ListOptions, NewFlavor, PoolUpdate, Project, QueueListOptions};

/// Queues, pools, flavors and mapped queues.
fn counted(health: &ControlHealth) -> (u64, u64, u64, u64) {
    (health.queues(), health.pools(), health.flavors(), health.mapped())
}

contract! {
    fn both_drivers_have_the_same_queues(h) {
        let control = h.control();
        assert!(control.queues().create(&shop(), &name_of("orders"), &json(r#"{"a": 1}"#)).unwrap());
        h.turn();
        let orders = h.queue("orders");
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        orders.post(2);
        assert_eq!(h.control().queues().stats(&shop(), &orders.name).unwrap().total(), 2);
        h.control().queues().delete(&shop(), &orders.name).unwrap();
        h.turn();
        assert!(!orders.exists());
    }

    fn a_plain_store_does_not_ask_the_catalogue(h) {
        let orders = h.create("orders");
        orders.post(2);
        assert!(!orders.is_mapped());
        orders.map_to("none");
        h.turn();
        assert_eq!(orders.all(), ["0", "1"]);
        orders.remove().unwrap();
        h.turn();
        assert_eq!(orders.pool(), "none");
    }

    fn health_tries_an_entry_of_the_catalogue(h) {
        h.turn();
        let health = h.control().health().unwrap();
        assert!(health.catalogue_reachable());
        let names: Vec<_> = health.operations().iter().map(|operation| operation.name().to_owned()).collect();
        assert_eq!(names, ["insert_entry", "get_entry", "delete_entry"]);
        assert!(health.operations().iter().all(|operation| operation.succeeded() && operation.reference().is_none()));
    }

    fn health_counts_what_is_registered_in_all_projects(h) {
        assert_eq!(counted(&h.control().health().unwrap()), (0, 0, 0, 0));
        h.create("orders");
        h.queue_in(&Project::none(), "orders").create("{}").unwrap();
        h.register("one", at("sled:/p/1"));
        for project in [shop(), Project::none()] {
            h.offer(&project, "fast", NewFlavor::new());
            h.queue_in(&project, "bills").map_to("one");
        }
        h.queue("orders").map_to("one");
        h.turn();
        assert_eq!(counted(&h.control().health().unwrap()), (2, 1, 2, 3));
    }

    fn health_leaves_nothing_behind(h) {
        h.queue("orders").map_to("one");
        h.control().health().unwrap();
        h.driver().health().unwrap();
        h.turn();
        assert_eq!(h.mapped(&shop()), pairs(&[("orders", "one")]));
        assert_eq!(counted(&h.control().health().unwrap()), (0, 0, 0, 1));
    }

    fn gc_leaves_what_is_registered(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.offer(&shop(), "fast", of("ssd"));
        h.queue("orders").map_to("one");
        h.pass(100_000_000);
        h.driver().gc().unwrap();
        h.turn();
        assert_eq!(counted(&h.control().health().unwrap()), (0, 1, 1, 1));
    }

    fn closing_one_driver_closes_the_other(h) {
        h.turn();
        h.control().close().unwrap();
        assert!(!h.driver().is_alive());
        h.control().close().unwrap();
        h.driver().close().unwrap();
        assert!(h.control().health().unwrap_err().is_closed());
    }

    fn a_closed_store_refuses_every_call_on_subscriptions(h) {
        let orders = h.create("orders");
        let id = orders.subscribe("a");
        let driver = h.driver();
        driver.close().unwrap();
        let subscriptions = driver.subscriptions();
        let refusals = [
            orders.try_subscribe("b", 60, "{}").map(drop),
            orders.subscription(id).map(drop),
            subscriptions.exists(&orders.project, &orders.name, &id).map(drop),
            orders.subscriptions(&ListOptions::new()).map(drop),
            orders.change(id, &to("b")),
            orders.unsubscribe(id),
            orders.confirm(id, true),
            subscriptions.get_with_subscriber(&orders.project, &orders.name, &hook("a")).map(drop),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_closed()), "call {i}");
        }
    }

    fn a_closed_store_refuses_every_call_on_the_control_plane(h) {
        h.register("one", at_in("sled:/p/1", "ssd"));
        h.offer(&shop(), "fast", of("ssd"));
        let orders = h.queue("orders");
        orders.map_to("one");
        let control = h.control();
        control.close().unwrap();
        let (pools, flavors, catalogue) = (control.pools(), control.flavors(), control.catalogue());
        let (fast, orders_name) = (flavor_name("fast"), name_of("orders"));
        let refusals = [
            h.try_register("one", at("sled:/p/2")),
            h.pool("one").map(drop),
            pools.exists(&pool_name("one")).map(drop),
            pools.list(&ListOptions::new()).map(drop),
            pools.get_pools_by_group(None, false).map(drop),
            pools.get_pools_by_flavor(None, false).map(drop),
            h.change_pool("one", &PoolUpdate::new().weight(2)),
            h.remove_pool("two"),
            pools.capabilities(None, None).map(drop),
            pools.drop_all(),
            h.try_offer(&shop(), "slow", NewFlavor::new()),
            h.flavor(&shop(), "fast").map(drop),
            flavors.exists(&shop(), &fast).map(drop),
            flavors.list(&shop(), &ListOptions::new()).map(drop),
            h.change_flavor(&shop(), "fast", &FlavorUpdate::new().pool_group(group("ssd"))),
            h.remove_flavor(&shop(), "slow"),
            flavors.drop_all(),
            orders.try_map_to("two"),
            orders.entry().map(drop),
            catalogue.exists(&shop(), &orders_name).map(drop),
            catalogue.list(&shop()).map(drop),
            orders.remap(None),
            orders.unmap(),
            catalogue.drop_all(),
            control.queues().list(&shop(), &QueueListOptions::new()).map(drop),
            control.health().map(drop),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_closed()), "call {i}");
        }
    }
}
