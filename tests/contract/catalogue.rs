//! Contract 11: the catalogue controller, with the bugs of 16.

use crate::support::*;
use zaqar_sled::{Error, Limits, Project};

contract! {
    /// Redis 8: an insert looked up with its arguments swapped.
    fn an_entry_tells_project_queue_and_pool(h) {
        h.queue("orders").map_to("one");
        h.turn();
        let entry = h.queue("orders").entry().unwrap();
        assert_eq!((entry.project(), entry.queue(), entry.pool()), (&shop(), &name_of("orders"), &pool_name("one")));
        assert!(h.queue("orders").is_mapped());
    }

    fn neither_queue_nor_pool_need_exist(h) {
        let orders = h.queue("orders");
        orders.map_to("none");
        h.turn();
        assert_eq!(orders.pool(), "none");
        assert!(!orders.exists() && !h.has_pool("none"));
    }

    fn inserting_a_mapped_queue_maps_it_anew(h) {
        let orders = h.queue("orders");
        orders.map_to("one");
        h.turn();
        orders.map_to("two");
        h.turn();
        assert_eq!(orders.pool(), "two");
        assert_eq!(h.mapped(&shop()).len(), 1);
    }

    fn a_queue_that_is_not_mapped_is_not_found_and_named(h) {
        h.queue("orders").map_to("one");
        h.turn();
        let bills = h.queue("bills");
        assert_fails!(bills.entry(), Error::QueueNotMapped { project, queue }
            if (&project, &queue) == (&shop(), &name_of("bills")));
        let error = bills.entry().unwrap_err();
        assert!(error.is_not_found());
        assert!(error.to_string().contains("bills") && error.to_string().contains("shop"), "{error}");
        assert!(!bills.is_mapped());
    }

    fn queues_of_one_name_are_mapped_apart_in_each_project(h) {
        let (none, empty) = (Project::none(), Project::named("").unwrap());
        h.queue("orders").map_to("one");
        h.queue_in(&none, "orders").map_to("two");
        h.turn();
        assert_eq!((h.queue("orders").pool(), h.queue_in(&none, "orders").pool()), ("one".into(), "two".into()));
        assert!(!h.queue_in(&empty, "orders").is_mapped());
        h.queue_in(&none, "orders").unmap().unwrap();
        h.turn();
        assert!(h.queue("orders").is_mapped());
    }

    fn a_list_has_all_entries_of_the_project_by_queue(h) {
        for i in (0..25).rev() {
            h.queue(&format!("queue-{i:02}")).map_to(if i % 2 == 0 { "even" } else { "odd" });
        }
        h.queue_in(&Project::none(), "other").map_to("even");
        h.turn();
        let entries = h.mapped(&shop());
        assert_eq!(entries.len(), 25);
        assert!(entries.is_sorted());
        assert_eq!(entries[..2], pairs(&[("queue-00", "even"), ("queue-01", "odd")]));
        assert!(h.control().catalogue().list(&shop()).unwrap().iter().all(|entry| *entry.project() == shop()));
        assert_eq!(h.mapped(&Project::none()), pairs(&[("other", "even")]));
    }

    fn entries_are_in_byte_order(h) {
        for name in ["b", "a", "aa", "B", "é", "a.b", "10", "9"] {
            h.queue(name).map_to("one");
        }
        h.turn();
        let names: Vec<_> = h.mapped(&shop()).into_iter().map(|(queue, _)| queue).collect();
        assert_eq!(names, ["10", "9", "B", "a", "a.b", "aa", "b", "é"]);
    }

    fn a_project_without_mapped_queues_has_no_entries(h) {
        h.create("orders");
        h.turn();
        assert!(h.mapped(&shop()).is_empty());
    }

    /// Redis 8: an update wrote to a key that no call reads.
    fn an_update_maps_a_queue_to_another_pool(h) {
        let orders = h.queue("orders");
        orders.map_to("one");
        h.queue("bills").map_to("one");
        orders.remap(Some("two")).unwrap();
        h.turn();
        assert_eq!(h.mapped(&shop()), pairs(&[("bills", "one"), ("orders", "two")]));
    }

    fn an_update_without_a_pool_changes_nothing(h) {
        let orders = h.queue("orders");
        orders.map_to("one");
        orders.remap(None).unwrap();
        h.turn();
        assert_eq!(orders.pool(), "one");
    }

    fn updating_a_queue_that_is_not_mapped_fails(h) {
        for pool in [Some("one"), None] {
            assert_fails!(h.queue("orders").remap(pool), Error::QueueNotMapped { project, queue }
                if (&project, &queue) == (&shop(), &name_of("orders")));
        }
        h.turn();
        assert!(!h.queue("orders").is_mapped());
    }

    fn deleting_an_entry_unmaps_the_queue_and_is_fine_if_there_is_none(h) {
        let orders = h.queue("orders");
        orders.unmap().unwrap();
        orders.map_to("one");
        h.queue("bills").map_to("one");
        h.turn();
        orders.unmap().unwrap();
        h.turn();
        assert_eq!(h.mapped(&shop()), pairs(&[("bills", "one")]));
        orders.unmap().unwrap();
        orders.map_to("two");
        h.turn();
        assert_eq!(orders.pool(), "two");
    }

    /// Redis 8: it matched no key.
    fn dropping_all_entries_takes_those_of_every_project(h) {
        h.queue("orders").map_to("one");
        h.queue_in(&Project::none(), "orders").map_to("one");
        h.turn();
        h.control().catalogue().drop_all().unwrap();
        h.turn();
        assert!(h.mapped(&shop()).is_empty() && h.mapped(&Project::none()).is_empty());
        h.queue("orders").map_to("two");
        h.turn();
        assert_eq!(h.mapped(&shop()), pairs(&[("orders", "two")]));
    }

    /// Redis 9, for the catalogue.
    fn names_that_join_to_the_same_text_are_mapped_apart(h) {
        let one = h.queue_in(&Project::named("a").unwrap(), "b.c");
        let two = h.queue_in(&Project::named("a.b").unwrap(), "c");
        one.map_to("one");
        h.turn();
        assert!(!two.is_mapped());
        two.map_to("two");
        h.turn();
        assert_eq!((one.pool(), two.pool()), ("one".into(), "two".into()));
    }

    fn zaqars_limits_hold_for_the_catalogue(h) {
        let h = &h.with_limits(Limits::zaqar());
        let spaced = h.queue("a b");
        let control = h.control();
        let refusals = [
            spaced.try_map_to("one"),
            spaced.entry().map(drop),
            control.catalogue().exists(&shop(), &spaced.name).map(drop),
            spaced.remap(Some("one")),
            spaced.unmap(),
        ];
        for (i, refusal) in refusals.into_iter().enumerate() {
            assert!(refusal.is_err_and(|error| error.is_invalid()), "call {i}");
        }
        let long = Project::named("x".repeat(257)).unwrap();
        assert!(control.catalogue().list(&long).unwrap_err().is_too_large());
        assert!(h.queue_in(&long, "orders").try_map_to("one").unwrap_err().is_too_large());
    }
}
