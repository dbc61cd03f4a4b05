//! Two threads that compete for the same item: exactly one gets it.

use std::sync::Barrier;
use std::thread;

use crate::support::*;
use zaqar_sled::Error;

/// Runs `act` on two threads at the same time.
fn at_once<T: Send>(act: impl Fn(usize) -> T + Sync) -> [T; 2] {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let run = |i| {
            let (start, act) = (&start, &act);
            scope.spawn(move || {
                start.wait();
                act(i)
            })
        };
        [run(0), run(1)].map(|thread| thread.join().unwrap())
    })
}

const ROUNDS: usize = 30;

contract! {
    fn one_of_two_gets_a_subscriber(h) {
        let orders = h.create("orders");
        for round in 0..ROUNDS {
            let name = round.to_string();
            let made = at_once(|_| orders.try_subscribe(&name, 60, "{}").unwrap());
            assert_eq!(made.iter().flatten().count(), 1);
            assert_eq!(orders.subscription_of(&name).map(|one| one.id()), made[0].or(made[1]));
        }
        h.turn();
        assert_eq!(orders.told().len(), ROUNDS);
    }

    fn one_of_two_gets_the_subscriber_both_change_to(h) {
        let orders = h.create("orders");
        let ids = [orders.subscribe("a"), orders.subscribe("b")];
        for round in 0..ROUNDS {
            let name = round.to_string();
            let outcomes = at_once(|i| orders.change(ids[i], &to(&name)));
            let winner = usize::from(outcomes[0].is_err());
            let [first, second] = outcomes;
            assert_fails!(if winner == 0 { second } else { first }, Error::SubscriptionAlreadyExists { .. });
            assert_eq!(orders.subscription_of(&name).unwrap().id(), ids[winner]);
        }
        h.turn();
        assert_eq!(orders.told().len(), 2);
    }

    fn one_of_two_gets_a_store(h) {
        for round in 0..ROUNDS {
            let outcomes = at_once(|i| h.try_register(&format!("{round}-{i}"), at(&format!("sled:/p/{round}"))));
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
            for outcome in outcomes {
                assert!(outcome.is_ok() || matches!(outcome, Err(Error::PoolAlreadyExists { .. })));
            }
        }
        h.turn();
        assert_eq!(h.pools().len(), ROUNDS);
    }

    fn one_of_two_pools_of_a_group_sets_what_it_promises(h) {
        for round in 0..ROUNDS {
            let uris = [format!("sled:/p/{round}"), format!("memory:{round}")];
            let of = round.to_string();
            let outcomes = at_once(|i| h.try_register(&format!("{round}-{i}"), at_in(&uris[i], &of)));
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        }
        h.turn();
        assert_eq!(h.pools().len(), ROUNDS);
    }

    fn one_of_two_pools_of_a_flavors_group_stays(h) {
        for round in 0..ROUNDS {
            let of_round = round.to_string();
            let names = [format!("{round}-0"), format!("{round}-1")];
            for name in &names {
                h.register(name, at_in(&format!("sled:/p/{name}"), &of_round));
            }
            h.offer(&shop(), &of_round, of(&of_round));
            let outcomes = at_once(|i| h.remove_pool(&names[i]));
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
            assert_eq!(h.pools_of(&of_round).len(), 1);
        }
        h.turn();
        assert_eq!(h.pools().len(), ROUNDS);
    }

    fn a_flavor_and_the_last_pool_of_its_group_do_not_pass_each_other(h) {
        for round in 0..ROUNDS {
            let name = round.to_string();
            h.register(&name, at_in(&format!("sled:/p/{name}"), &name));
            let [offered, removed] = at_once(|i| {
                if i == 0 { h.try_offer(&shop(), &name, of(&name)) } else { h.remove_pool(&name) }
            });
            assert_ne!(offered.is_ok(), removed.is_ok());
            assert_eq!((h.has_flavor(&shop(), &name), h.has_pool(&name)), (offered.is_ok(), offered.is_ok()));
        }
    }

    fn one_of_two_makes_a_queue(h) {
        for round in 0..ROUNDS {
            let made = at_once(|_| h.queue(&round.to_string()).create("{}").unwrap());
            assert!(made[0] != made[1]);
        }
        h.turn();
        assert_eq!(h.driver().queues().count(&shop()).unwrap(), ROUNDS as u64);
    }
}
