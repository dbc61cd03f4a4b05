//! Concurrent calls of every kind, and an end of the driver.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use zaqar_sled::{ClaimOptions, Error, MessageId, Metadata, NewMessage, Result};

use crate::ledgers::{during, handle, patiently, running, wait_until_settled};
use crate::support::{ALICE, Harness, ids, pool_of, seconds, shop};

/// Posts to the queues `a` and `b` from several threads while `a` moves, until the posts fail after `end`; returns the
/// acknowledged messages.
fn posted_until(h: &Harness, end: impl FnOnce() + Send) -> Vec<MessageId> {
    h.create("a");
    h.create("b");
    let posted = Mutex::new(Vec::new());
    let over = |error: &Error| !matches!(error, Error::Moving { .. });
    let post = |name: &str| {
        let queue = handle(h, name);
        loop {
            match queue.post(ALICE, &[NewMessage::new("x")]) {
                Ok(ids) => posted.lock().unwrap().extend(ids),
                Err(error) if over(&error) => return error,
                Err(_) => thread::yield_now(),
            }
        }
    };
    let errors: Vec<Error> = thread::scope(|scope| {
        let post = &post;
        let posters = ["a", "b", "a", "b"].map(|name| scope.spawn(move || post(name)));
        let mover = scope.spawn(|| {
            for round in 0.. {
                let pool = pool_of(["two", "one"][round % 2]);
                match h.driver().move_queue(&shop(), &crate::support::name_of("a"), &pool) {
                    Err(error) if over(&error) => return error,
                    _ => {}
                }
            }
            unreachable!("it goes on for ever")
        });
        while posted.lock().unwrap().len() < 300 {
            thread::yield_now();
        }
        end();
        posters.into_iter().chain([mover]).map(|thread| thread.join().unwrap()).collect()
    });
    assert!(errors.iter().all(|error| !error.is_not_found() && !error.is_invalid()), "{errors:?}");
    posted.into_inner().unwrap()
}

/// Asserts that every acknowledged message exists once.
fn all_there(h: &Harness, mut posted: Vec<MessageId>) {
    let mut found: Vec<MessageId> = ["a", "b"].iter().flat_map(|name| ids(&h.queue(name).messages())).collect();
    let many = found.len();
    found.sort_unstable();
    posted.sort_unstable();
    let found: BTreeSet<MessageId> = found.into_iter().collect();
    assert_eq!(found.len(), many, "a message is there twice");
    assert!(posted.iter().all(|id| found.contains(id)), "an acknowledged message is gone");
    wait_until_settled(h);
    h.check();
}

#[test]
fn calls_in_flight_end_when_the_driver_is_closed() {
    let h = running();
    let driver = h.driver();
    let posted = posted_until(&h, || driver.close().unwrap());
    drop(driver);
    h.reopen();
    all_there(&h, posted);
}

#[test]
fn messages_acknowledged_under_load_survive_a_kill() {
    let h = running();
    let killed = Mutex::new(None);
    let posted = posted_until(&h, || *killed.lock().unwrap() = Some(h.disk().kill()));
    h.open_on(killed.into_inner().unwrap().unwrap());
    all_there(&h, posted);
}

#[test]
fn messages_acknowledged_under_load_survive_a_power_cut() {
    let h = running();
    let cut = Mutex::new(None);
    let keep = zaqar_sled::disk::Keep::Random(7);
    let posted = posted_until(&h, || *cut.lock().unwrap() = Some(h.disk().power_loss(keep)));
    h.open_on(cut.into_inner().unwrap().unwrap());
    all_there(&h, posted);
}

#[test]
fn concurrent_first_calls_open_a_store_once() {
    let h = running();
    for round in 0..20 {
        let queue = h.create(&format!("q{round}"));
        queue.say("x");
    }
    for _ in 0..5 {
        h.reopen();
        let results: Vec<Result<u64>> = thread::scope(|scope| {
            let started: Vec<_> = (0..4)
                .map(|number| {
                    let h = &h;
                    scope.spawn(move || handle(h, &format!("q{number}")).stats().map(|stats| stats.total()))
                })
                .collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(results.iter().all(|total| matches!(total, Ok(1))), "{results:?}");
    }
    h.check();
}

#[test]
fn everything_at_once_comes_to_an_end() {
    let h = running();
    h.pool_at("home", "localhost", 0);
    let names = ["a", "b", "c", "d"];
    for name in names {
        h.create_with(name, r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
    }
    let fine = |error: Error| {
        assert!(error.is_busy() || error.is_not_found() || error.is_invalid(), "{error:?}");
    };
    let unrest = |round: usize| {
        let queue = h.queue(names[round % 4]);
        let pool = ["one", "two", "home"][round % 3];
        match round % 7 {
            0 => drop(h.driver().health().unwrap()),
            1 => drop(zaqar_sled::DataDriver::gc(&h.driver()).unwrap()),
            2 => drop(h.driver().step()),
            3 => assert!(h.driver().verify().unwrap().is_sound()),
            4 => queue.move_to(pool).unwrap_or_else(fine),
            5 => handle(&h, names[round % 4]).delete().unwrap_or_else(fine),
            _ => {
                let catalogue: &dyn zaqar_sled::Catalogue = &h.driver();
                catalogue.insert(&shop(), &queue.name, &pool_of(pool)).unwrap_or_else(fine);
            }
        }
    };
    during(unrest, |rounds| {
        thread::scope(|scope| {
            for name in names {
                let (h, fine) = (&h, &fine);
                scope.spawn(move || {
                    let queue = handle(h, name);
                    for number in 0..150 {
                        rounds.reach(number / 5);
                        queue.create(Metadata::new()).map_or_else(fine, drop);
                        queue.post(ALICE, &[NewMessage::new(number.to_string())]).map_or_else(fine, drop);
                        match queue.claim(ClaimOptions::new()) {
                            Ok(Some(claim)) if number % 2 == 0 => claim.release().unwrap_or_else(fine),
                            Ok(Some(claim)) => claim.delete(&claim.messages()[0]).unwrap_or_else(fine),
                            Ok(None) => {}
                            Err(error) => fine(error),
                        }
                        let hook = zaqar_sled::Subscriber::new(format!("https://example.com/{number}")).unwrap();
                        let subscriptions: &dyn zaqar_sled::Subscriptions = &h.driver();
                        let name = crate::support::name_of(name);
                        let made = subscriptions.create(&shop(), &name, &hook, seconds(60), &Metadata::new());
                        made.map_or_else(fine, drop);
                    }
                });
            }
        });
    });
    for name in names.iter().chain(&["dead"]) {
        patiently(|| handle(&h, name).delete());
    }
    wait_until_settled(&h);
    h.check();
}
