//! Contract 4: the data driver.

use crate::support::*;
use zaqar_sled::{Capabilities, Capability, GcReport, Purge, QueueListOptions, Sort};

contract! {
    fn an_open_store_is_alive_and_a_closed_one_is_not(h) {
        h.turn();
        assert!(h.driver().is_alive());
        h.driver().close().unwrap();
        assert!(!h.driver().is_alive());
    }

    fn closing_twice_is_fine(h) {
        h.create("orders").post(1);
        h.driver().close().unwrap();
        h.driver().close().unwrap();
    }

    fn a_closed_store_refuses_every_call(h) {
        let orders = h.create("orders");
        let id = orders.say("42");
        let claim = orders.take(1).id();
        let driver = h.driver();
        driver.close().unwrap();
        let refusals = [
            orders.create("{}").map(drop),
            driver.queues().get(&orders.project, &orders.name).map(drop),
            orders.metadata().map(drop),
            orders.set_metadata("{}"),
            driver.queues().exists(&orders.project, &orders.name).map(drop),
            orders.remove(),
            driver.queues().list(&orders.project, &QueueListOptions::new()).map(drop),
            orders.stats().map(drop),
            driver.queues().count(&orders.project).map(drop),
            orders.purge(Purge::All).map(drop),
            orders.send(&[lasting("43", 60)]).map(drop),
            orders.list(&everything()).map(drop),
            orders.first(Sort::Oldest).map(drop),
            orders.get(id).map(drop),
            driver.messages().bulk_get(&orders.project, &orders.name, &[id]).map(drop),
            orders.delete(id, Some(claim)),
            orders.bulk_delete(&[id], &[]),
            orders.pop(1).map(drop),
            orders.try_claim(60, 60, 1).map(drop),
            orders.look_up(claim).map(drop),
            orders.renew(claim, 60, 60),
            orders.release(claim),
            driver.health().map(drop),
            driver.gc().map(drop),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_closed()), "call {i}");
        }
    }

    fn health_tries_every_kind_of_operation(h) {
        h.turn();
        let health = h.driver().health().unwrap();
        assert!(health.storage_reachable());
        let names: Vec<_> = health.operations().iter().map(|operation| operation.name().to_owned()).collect();
        assert_eq!(names, [
            "create_queue", "post_messages", "claim_messages", "list_messages", "delete_messages", "delete_claim",
            "bulk_delete_messages", "delete_queue",
        ]);
        assert!(health.operations().iter().all(|operation| operation.succeeded() && operation.reference().is_none()));
    }

    fn health_leaves_nothing_behind(h) {
        let orders = h.create("orders");
        orders.post(2);
        h.driver().health().unwrap();
        h.turn();
        assert_eq!(h.names(&QueueListOptions::new().limit(0)), ["orders"]);
        assert_eq!(orders.all(), ["0", "1"]);
        for project in [zaqar_sled::Project::none(), zaqar_sled::Project::named("").unwrap()] {
            assert_eq!(h.driver().queues().count(&project).unwrap(), 0);
        }
        assert_eq!(h.driver().health().unwrap().volume().total, 2);
    }

    fn health_counts_the_messages_of_all_queues(h) {
        let (orders, bills) = (h.create("orders"), h.create("bills"));
        orders.post(3);
        orders.take(2);
        bills.post(4);
        bills.post_lasting(5, 10);
        h.pass(10);
        h.turn();
        assert_eq!(figures(h.driver().health().unwrap().volume()), (5, 2, 7));
    }

    fn gc_says_what_it_freed_and_then_finds_nothing(h) {
        let orders = h.create("orders");
        orders.post_lasting(3, 10);
        orders.post_lasting(2, 100);
        h.turn();
        h.pass(10);
        let report = h.driver().gc().unwrap();
        assert_eq!((report.messages(), report.claims()), (3, 0));
        assert_eq!(h.driver().gc().unwrap(), GcReport::default());
        h.turn();
        assert_eq!(orders.counts(), (0, 2, 2));
    }

    fn gc_frees_claims_that_ran_out(h) {
        let orders = h.create("orders");
        orders.post(3);
        orders.claim(10, 10, 2);
        h.turn();
        h.pass(10);
        let report = h.driver().gc().unwrap();
        assert_eq!((report.messages(), report.claims()), (0, 1));
        h.turn();
        assert_eq!(orders.taken(10), ["0", "1", "2"]);
    }

    fn gc_changes_nothing_that_can_be_seen(h) {
        let orders = h.create("orders");
        orders.send(&[lasting("a", 10), lasting("b", 100), delayed("c", 50)]).unwrap();
        h.pass(10);
        let claim = orders.take(1);
        let before = (orders.list(&everything()).unwrap(), orders.stats().unwrap(), orders.look_up(claim.id()).unwrap());
        h.driver().gc().unwrap();
        h.turn();
        let after = (orders.list(&everything()).unwrap(), orders.stats().unwrap(), orders.look_up(claim.id()).unwrap());
        assert_eq!(before, after);
    }

    fn gc_of_an_empty_store_is_fine(h) {
        assert_eq!(h.driver().gc().unwrap(), GcReport::default());
    }

    fn a_store_promises_everything_and_durability_on_a_disk(h) {
        let promised = h.driver().capabilities();
        for capability in Capability::ALL {
            assert_eq!(promised.contains(capability), h.is_durable() || capability != Capability::Durability);
        }
    }

    fn capabilities_have_zaqars_numbers_and_no_order(h) {
        assert!(h.driver().is_alive());
        let numbers = Capability::ALL.map(|capability| capability as u8);
        assert_eq!(numbers, [1, 2, 3, 4, 5]);
        assert_eq!(Capability::ALL.into_iter().rev().collect::<Capabilities>(), Capabilities::all());
    }
}
