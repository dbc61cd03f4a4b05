//! Contract 2, 5 and 14: the allowed values of metadata, when they are checked, and that metadata is returned
//! unchanged.

use crate::support::*;
use zaqar_sled::{Error, Limits, Metadata};

/// Metadata of the wrong type, of a value that is refused, and of a name that is none.
const WRONG: [&str; 4] = [
    r#"{"_max_claim_count": "2"}"#,
    r#"{"_default_message_ttl": -1}"#,
    r#"{"_dead_letter_queue": ""}"#,
    r#"{"_dead_letter_queue": "orders"}"#,
];

fn dead_letters_to(name: &str) -> String {
    format!(r#"{{"_max_claim_count": 1, "_dead_letter_queue": "{name}"}}"#)
}

contract! {
    fn a_missing_queue_is_told_before_metadata_that_are_wrong(h) {
        for wrong in WRONG {
            assert_fails!(h.queue("orders").set_metadata(wrong), Error::QueueDoesNotExist { .. });
        }
        h.turn();
        assert!(!h.queue("orders").exists());
    }

    fn an_existing_queue_is_told_before_metadata_that_are_wrong(h) {
        let orders = h.create_with("orders", r#"{"a": 1}"#);
        h.turn();
        for wrong in WRONG {
            assert!(!orders.create(wrong).unwrap());
            assert!(orders.set_metadata(wrong).unwrap_err().is_invalid());
            assert!(h.queue("bills").create(&wrong.replace("orders", "bills")).unwrap_err().is_invalid());
        }
        assert_eq!(orders.metadata().unwrap(), json(r#"{"a": 1}"#));
        assert!(!h.queue("bills").exists());
    }

    fn metadata_that_rust_cannot_hold_come_back_equal(h) {
        let text = r#"{"n":18446744073709551616,"m":[-9223372036854775809],"z":-0,"f":-0.0,"s":"\ud83d","\udc00":{}}"#;
        let orders = h.create_with("orders", text);
        let bills = h.create("bills");
        bills.set_metadata(text).unwrap();
        h.turn();
        for queue in [&orders, &bills] {
            assert_eq!(queue.metadata().unwrap().to_json(), text);
            assert_eq!(queue.metadata().unwrap(), Metadata::from_json(text).unwrap());
        }
    }

    fn a_dead_letter_queue_is_named_as_any_queue(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        for name in ["no spaces", "no/slashes", &"x".repeat(65)] {
            for result in [orders.set_metadata(&dead_letters_to(name)), h.queue("bills").create(&dead_letters_to(name)).map(drop)] {
                assert_fails!(result, Error::InvalidArgument { name, .. } if name == "_dead_letter_queue");
            }
        }
        orders.set_metadata(&dead_letters_to(&"x".repeat(64))).unwrap();
        assert!(!h.queue("bills").exists());
    }

    fn dead_letters_never_come_back_to_where_they_were(h) {
        let a = h.create_with("a", &dead_letters_to("b"));
        // The queue does not exist yet: the same check applies when it is created.
        let circle = |result| assert_fails!(result, Error::InvalidArgument { name, .. } if name == "_dead_letter_queue");
        circle(h.queue("b").create(&dead_letters_to("a")).map(drop));
        let (b, c) = (h.create_with("b", &dead_letters_to("c")), h.create("c"));
        h.turn();
        circle(c.set_metadata(&dead_letters_to("a")));
        circle(c.set_metadata(r#"{"_dead_letter_queue": "c"}"#));
        circle(b.set_metadata(&dead_letters_to("a")));
        assert_eq!(c.metadata().unwrap(), Metadata::new());
        // Queues of another project are different queues.
        let elsewhere = h.queue_in(&zaqar_sled::Project::none(), "c");
        assert!(elsewhere.create(&dead_letters_to("a")).unwrap());
        // Where the chain is cut, it may be closed elsewhere.
        a.set_metadata("{}").unwrap();
        c.set_metadata(&dead_letters_to("a")).unwrap();
        h.turn();
        circle(a.set_metadata(&dead_letters_to("b")));
        c.remove().unwrap();
        a.set_metadata(&dead_letters_to("b")).unwrap();
    }

    fn a_chain_of_dead_letter_queues_has_an_end(h) {
        for number in 0..40 {
            h.create_with(&number.to_string(), &dead_letters_to(&(number + 1).to_string()));
        }
        h.turn();
        // The circle is far longer than the walk.
        assert!(h.queue("40").create(&dead_letters_to("0")).unwrap_err().is_invalid());
        assert!(h.create("last").set_metadata(&dead_letters_to("30")).is_ok());
    }
}

pooled! {
    fn existence_comes_first_in_a_driver_of_several_pools_too(h) {
        assert_fails!(h.queue("orders").set_metadata(WRONG[0]), Error::QueueDoesNotExist { .. });
    }
}

/// Of two settings that close a circle together, at most one is taken, however they meet.
#[test]
fn two_that_are_set_at_once_close_no_circle() {
    let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
    let engine = zaqar_sled::Config::new().disk(disk).open("/store").unwrap();
    for round in 0..200 {
        let names = [format!("a{round}"), format!("b{round}")];
        let queues = names.each_ref().map(|name| engine.queue(shop(), name).unwrap());
        queues[0].create(Metadata::new()).unwrap();
        let (settings, start) =
            ([&names[1], &names[0]].map(|to| json(&dead_letters_to(to))), std::sync::Barrier::new(2));
        let taken: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = queues
                .iter()
                .zip(settings)
                .enumerate()
                .map(|(index, (queue, metadata))| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        let result =
                            if index == 0 { queue.set_metadata(&metadata) } else { queue.create(metadata).map(drop) };
                        result.map_err(|error| assert!(error.is_invalid(), "{error}")).is_ok()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(taken.iter().filter(|taken| **taken).count(), 1, "round {round}");
    }
}
