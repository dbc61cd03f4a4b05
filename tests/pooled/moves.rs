//! Moving queues, with all they hold, from pool to pool.

use zaqar_sled::{
    ClaimRecord, DataDriver, Error, ExtendedDriver as _, ListOptions, MessageId, MessageMarker, NewMessage, Retry,
    Sort, SubscriptionUpdate,
};

use crate::subscriptions::{hook, names, subscribe, subscribed};
use crate::support::{
    BOB, Harness, Queue, assert_fails, delayed, everything, ids, lasting, name_of, no_claim, seconds, shop, texts,
};

/// A queue with content of every kind, as its callers know it.
struct Full<'h> {
    queue: Queue<'h>,
    ids: Vec<MessageId>,
    claims: Vec<ClaimRecord>,
}

/// Fills a queue with claimed, delayed, short-lived, large, deleted and plenty of plain messages, and subscriptions.
fn full(h: &Harness) -> Full<'_> {
    let queue = h.create_with("orders", r#"{"a": 1}"#);
    let mut ids = queue.post(1500);
    let large = "x".repeat(100_000);
    for body in [&large[..], "short", &large[..70_000]] {
        ids.push(queue.say(body));
    }
    ids.extend(queue.send(&[lasting("brief", 30), delayed("late", 20), delayed("later", 600)]).unwrap());
    let client = NewMessage::new("bob's").ttl(seconds(3600)).header("customer", "bob").header("tried", "");
    ids.extend(h.driver().messages().post(&queue.project, &queue.name, BOB, &[client]).unwrap());
    ids.extend(queue.post(1500));
    let mut claims: Vec<ClaimRecord> = (0..3).map(|_| queue.take(100)).collect();
    let emptied = queue.take(2);
    for message in emptied.messages() {
        queue.delete(message.id(), Some(emptied.id())).unwrap();
    }
    claims.push(emptied);
    let released = queue.take(7);
    queue.release(released.id()).unwrap();
    queue.bulk_delete(&ids[900..1000], &[]).unwrap();
    queue.delete(ids[3], Some(claims[0].id())).unwrap();
    subscribe(h, &queue, "a", 3600).unwrap();
    subscribe(h, &queue, "b", 30).unwrap();
    let confirmed = subscribe(h, &queue, "c", 3600).unwrap();
    h.driver().subscriptions().confirm(&queue.project, &queue.name, &confirmed, true).unwrap();
    Full { queue, ids, claims }
}

impl Full<'_> {
    /// Asserts that every read gives the same answer after `change`.
    fn stays_the_same_over(&self, h: &Harness, change: impl FnOnce()) {
        let look = || {
            let queue = &self.queue;
            let claims: Vec<_> = self.claims.iter().map(|claim| queue.look_up(claim.id()).unwrap()).collect();
            let stats = queue.stats().unwrap();
            let every_tenth: Vec<MessageId> = self.ids.iter().step_by(10).copied().collect();
            (queue.messages(), claims, stats, subscribed(h, queue), queue.bulk_get(&every_tenth).unwrap())
        };
        let before = look();
        change();
        let after = look();
        assert_eq!(ids(&after.0), ids(&before.0));
        assert_eq!(after, before);
    }
}

/// Pools `one` and `two`, the queue `orders` in the first.
fn orders(h: &Harness) -> Queue<'_> {
    h.two_pools();
    h.create("orders")
}

pooled! {
    fn the_claims_of_a_queue_that_has_moved_are_listed_behind_the_later_ones(h) {
        let orders = orders(h);
        orders.post(4);
        let before = [orders.take(1).id(), orders.take(1).id()];
        orders.move_to("two").unwrap();
        h.turn();
        let later = orders.take(1).id();
        h.turn();
        let listed = |marker, limit| {
            let options = ListOptions::new().marker(marker).limit(limit);
            h.driver().diagnostics().list_claims(&orders.project, &orders.name, &options).unwrap()
        };
        let all: Vec<_> = listed(None, 0).items.iter().map(zaqar_sled::ClaimEntry::id).collect();
        assert_eq!(all, [later, before[0], before[1]]);
        let rest: Vec<_> = listed(listed(None, 1).next, 9).items.iter().map(zaqar_sled::ClaimEntry::id).collect();
        assert_eq!(rest, before);
    }

    fn a_page_from_which_a_message_with_a_reason_is_gone_moves_whole(h) {
        h.two_pools();
        let orders = h.create("orders");
        orders.send(&[lasting("a", 3600), lasting("b", 3600), lasting("c", 3600)]).unwrap();
        let claim = orders.try_claim(60, 60, 2).unwrap().unwrap();
        let reasons = claim.messages().iter().map(|message| Retry::new(message.id()).reason("no route"));
        let retries: Vec<Retry> = reasons.collect();
        h.driver().retries().retry(&shop(), &name_of("orders"), &claim.id(), &retries).unwrap();
        assert_eq!(orders.pop(1).unwrap().len(), 1);
        for pool in ["two", "one"] {
            orders.move_to(pool).unwrap();
            h.turn();
            assert_eq!(orders.all(), ["b", "c"]);
            assert_eq!(orders.messages()[0].last_failure(), Some("no route"));
        }
    }

    fn nothing_changes_by_a_move_but_the_pool(h) {
        h.two_pools();
        let all = full(h);
        all.stays_the_same_over(h, || {
            all.queue.move_to("two").unwrap();
            h.turn();
        });
        assert_eq!(all.queue.pool().as_deref(), Some("two"));
        assert_eq!(all.queue.metadata().unwrap().to_json(), r#"{"a":1}"#);
        h.settle();
        all.stays_the_same_over(h, || {
            all.queue.move_to("one").unwrap();
            h.turn();
            all.queue.move_to("two").unwrap();
            h.turn();
        });
    }

    fn claims_are_as_good_as_before(h) {
        h.two_pools();
        let all = full(h);
        let (queue, claims) = (&all.queue, &all.claims);
        queue.move_to("two").unwrap();
        h.turn();
        // The first is worked off, the second renewed, the third given back.
        let held = queue.look_up(claims[0].id()).unwrap();
        assert_eq!(held.messages().len(), 99);
        assert_fails!(queue.delete(held.messages()[0].id(), None), Error::MessageIsClaimed { .. });
        assert_fails!(
            queue.delete(held.messages()[0].id(), Some(claims[1].id())),
            Error::MessageNotClaimedBy { .. }
        );
        queue.bulk_delete(&ids(held.messages()), &[claims[0].id()]).unwrap();
        assert!(queue.look_up(claims[0].id()).unwrap().messages().is_empty());
        h.pass(50);
        queue.renew(claims[1].id(), 100, 60).unwrap();
        queue.release(claims[2].id()).unwrap();
        let again = queue.take(3);
        assert_eq!(ids(again.messages()), ids(&claims[2].messages()[..3]));
        assert_eq!(again.messages()[0].claim_count(), 2);
        assert!(claims.iter().all(|claim| claim.id() != again.id()));
        h.turn();
        h.pass(20);
        // The one without messages ends by time like any other.
        assert_fails!(queue.look_up(claims[3].id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(queue.look_up(claims[1].id()).unwrap().messages().len(), 100);
        assert_eq!(queue.counts().0, 103);
        h.pass(80);
        assert_fails!(queue.look_up(claims[1].id()), Error::ClaimDoesNotExist { .. });
        assert_eq!(queue.counts().0, 0);
        assert_eq!(queue.taken(2).len(), 2);
    }

    fn claims_without_messages_are_counted_as_such_in_the_other_pool(h) {
        let orders = orders(h);
        orders.post(20);
        for _ in 0..3 {
            let claim = orders.take(5);
            orders.bulk_delete(&ids(claim.messages()), &[claim.id()]).unwrap();
        }
        let held = orders.take(2);
        let claims = |h: &Harness| {
            let status = h.driver().status();
            let (_, two) = status.pools().iter().find(|(name, _)| name.as_str() == "two").unwrap();
            let two = two.as_ref().unwrap();
            (two.claims(), two.spent_claims())
        };
        orders.move_to("two").unwrap();
        assert_eq!(claims(h), (4, 3));
        h.turn();
        assert_eq!(claims(h), (4, 3));
        assert_eq!(orders.look_up(held.id()).unwrap().messages().len(), 2);
        h.kill();
        h.driver().step().unwrap();
        assert_eq!(claims(h), (4, 3));
    }

    fn deadlines_fall_due_in_the_other_pool(h) {
        let orders = orders(h);
        orders.send(&[lasting("brief", 30), delayed("late", 20), lasting("claimed", 3600)]).unwrap();
        assert_eq!(orders.taken(1), ["brief"]);
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(orders.taken(10), ["claimed"]);
        h.pass(19);
        assert!(orders.taken(10).is_empty());
        h.pass(1);
        assert_eq!(orders.taken(10), ["late"]);
        // The message was claimed for a minute with a minute of grace, so it lives two minutes.
        h.pass(99);
        assert_eq!(orders.all().len(), 3);
        h.pass(1);
        assert_eq!(orders.all(), ["late", "claimed"]);
    }

    fn posts_go_on_above(h) {
        let orders = orders(h);
        let mut last = *orders.post(10).last().unwrap();
        for round in 0..6 {
            orders.move_to(["two", "one"][round % 2]).unwrap();
            if round % 3 == 2 {
                h.turn();
            }
            let id = orders.say(&round.to_string());
            assert!(id > last);
            assert_eq!(orders.after(last), [round.to_string()]);
            last = id;
        }
        assert_eq!(orders.counts(), (0, 16, 16));
    }

    fn an_emptied_queue_continues_above_its_former_ids(h) {
        let orders = orders(h);
        let old = orders.post(10);
        orders.bulk_delete(&old, &[]).unwrap();
        for pool in ["two", "one"] {
            orders.move_to(pool).unwrap();
            h.turn();
            assert!(orders.bulk_get(&old).unwrap().is_empty());
            let new = orders.say(pool);
            assert!(new > old[9]);
            assert_eq!(orders.after(old[9]), [pool]);
            orders.delete(new, None).unwrap();
        }
    }

    fn an_unused_queue_moves_too(h) {
        let orders = orders(h);
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(orders.pool().as_deref(), Some("two"));
        assert_eq!(orders.counts(), (0, 0, 0));
        orders.say("coffee");
        assert_eq!(orders.all(), ["coffee"]);
        h.settle();
    }

    fn markers_walk_on_through_moves(h) {
        let orders = orders(h);
        orders.post(100);
        let mut seen = Vec::new();
        let mut marker: Option<MessageMarker> = None;
        for round in 0..10 {
            let page = orders.list(&everything().limit(10).marker(marker)).unwrap();
            marker = page.next;
            seen.extend(texts(&page.items));
            orders.move_to(["two", "one"][round % 2]).unwrap();
            if round % 4 == 3 {
                h.turn();
            }
        }
        assert_eq!(seen, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
        assert!(orders.list(&everything().marker(marker)).unwrap().items.is_empty());
    }

    fn a_queue_moved_to_where_it_is_stays_as_it_is(h) {
        let orders = orders(h);
        let ids = orders.post(3);
        orders.move_to("one").unwrap();
        h.turn();
        orders.move_to("one").unwrap();
        assert_eq!(crate::support::ids(&orders.messages()), ids);
        assert_eq!(h.pending(), (0, 0));
    }

    fn a_missing_queue_entry_or_pool_is_an_error(h) {
        let orders = orders(h);
        orders.say("coffee");
        assert_fails!(orders.move_to("three"), Error::PoolDoesNotExist { pool } if pool.as_str() == "three");
        assert_fails!(h.queue("bills").move_to("two"), Error::QueueDoesNotExist { .. });
        h.queue("bills").route("one");
        assert_fails!(h.queue("bills").move_to("two"), Error::QueueDoesNotExist { .. });
        h.turn();
        assert_eq!(orders.all(), ["coffee"]);
        assert_eq!(orders.pool().as_deref(), Some("one"));
        orders.unmap();
        assert_fails!(orders.move_to("two"), Error::QueueNotMapped { .. });
        orders.route("gone");
        assert_fails!(orders.move_to("two"), Error::PoolDoesNotExist { pool } if pool.as_str() == "gone");
        orders.route("one");
        assert_eq!(orders.all(), ["coffee"]);
        assert_eq!(h.pending(), (0, 0));
    }

    fn a_pool_that_cannot_be_reached_gets_nothing(h) {
        let orders = orders(h);
        orders.post(5);
        h.queue("bills").create("{}").unwrap();
        h.queue("bills").move_to("two").unwrap();
        h.break_pool("/two");
        assert_fails!(orders.move_to("two"), Error::PoolUnavailable { pool, .. } if pool.as_str() == "two");
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert_eq!(orders.counts(), (0, 5, 5));
        orders.say("more");
        h.turn();
        assert_fails!(h.queue("bills").move_to("one"), Error::PoolUnavailable { .. });
        assert_eq!(h.queue("bills").pool().as_deref(), Some("two"));
        h.mend_pool("/two");
        orders.move_to("two").unwrap();
        h.queue("bills").move_to("one").unwrap();
        assert_eq!(orders.counts(), (0, 6, 6));
        h.settle();
    }

    fn the_former_pool_keeps_nothing(h) {
        let orders = orders(h);
        orders.post(10);
        subscribe(h, &orders, "a", 3600).unwrap();
        orders.move_to("two").unwrap();
        h.turn();
        h.settle();
        let status = h.driver().status();
        let held: Vec<(u64, u64)> = status
            .pools()
            .iter()
            .map(|(_, pool)| pool.as_ref().map(|pool| (pool.messages(), pool.subscriptions())).unwrap())
            .collect();
        assert_eq!(held, [(0, 0), (10, 1)]);
        orders.route("one");
        assert!(orders.all().is_empty() && subscribed(h, &orders).is_empty());
        orders.route("two");
        assert_eq!(orders.all().len(), 10);
        assert_eq!(names(h, &orders), ["a"]);
    }

    fn a_pool_that_has_something_of_the_queue_is_refused(h) {
        let orders = orders(h);
        orders.say("left behind");
        orders.route("two");
        orders.say("tea");
        assert!(orders.move_to("one").unwrap_err().is_invalid());
        h.turn();
        assert_eq!(orders.all(), ["tea"]);
        assert_eq!(orders.pool().as_deref(), Some("two"));
        orders.route("one");
        assert_eq!(orders.all(), ["left behind"]);
        orders.purge(zaqar_sled::Purge::All).unwrap();
        orders.route("two");
        orders.move_to("one").unwrap();
        h.turn();
        assert_eq!(orders.all(), ["tea"]);
        h.settle();
    }

    fn subscriptions_come_along(h) {
        let orders = orders(h);
        let a = subscribe(h, &orders, "a", 100).unwrap();
        let b = subscribe(h, &orders, "b", 3600).unwrap();
        for number in 0..300 {
            subscribe(h, &orders, &format!("{number:03}"), 3600).unwrap();
        }
        h.pass(10);
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(subscribed(h, &orders).len(), 302);
        let driver = h.driver();
        let subscriptions = driver.subscriptions();
        let got = subscriptions.get(&orders.project, &orders.name, &a).unwrap();
        assert_eq!((got.age(), got.ttl()), (seconds(10), seconds(100)));
        assert_eq!(subscribe(h, &orders, "a", 100), None);
        let taken = SubscriptionUpdate::new().subscriber(hook("a"));
        assert_fails!(
            subscriptions.update(&orders.project, &orders.name, &b, &taken),
            Error::SubscriptionAlreadyExists { .. }
        );
        h.pass(90);
        assert!(!subscriptions.exists(&orders.project, &orders.name, &a).unwrap());
        let again = subscribe(h, &orders, "a", 100).unwrap();
        assert!(subscribed(h, &orders).iter().all(|other| other.id() <= again));
        drop(driver);
        orders.move_to("one").unwrap();
        h.turn();
        assert_eq!(subscribed(h, &orders).last().unwrap().id(), again);
        assert_eq!(subscribed(h, &orders).len(), 302);
    }

    fn a_queue_with_nothing_but_subscriptions_moves(h) {
        let orders = orders(h);
        let a = subscribe(h, &orders, "a", 3600).unwrap();
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(subscribed(h, &orders)[0].id(), a);
        orders.say("coffee");
        assert_eq!(orders.all(), ["coffee"]);
    }

    fn a_moved_queue_is_deleted_and_made_again(h) {
        let orders = orders(h);
        let old = orders.post(10);
        let claim = orders.take(3);
        orders.move_to("two").unwrap();
        orders.remove().unwrap();
        h.turn();
        for pool in ["one", "two"] {
            h.prefer(pool);
            assert!(orders.create("{}").unwrap());
            assert!(orders.all().is_empty());
            assert!(orders.bulk_get(&old).unwrap().is_empty());
            assert_fails!(orders.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
            orders.say("new");
            assert_eq!(orders.after(old[9]), ["new"]);
            orders.move_to(if pool == "one" { "two" } else { "one" }).unwrap();
            assert_eq!(orders.all(), ["new"]);
            orders.remove().unwrap();
        }
        h.settle();
    }

    fn worn_out_messages_stay_worn_out(h) {
        h.two_pools();
        let orders = h.create_with("orders", r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#);
        orders.say("a");
        orders.wear();
        orders.move_to("two").unwrap();
        orders.wear();
        h.turn();
        assert!(orders.taken(1).is_empty());
        h.settle();
        let dead = h.queue("dead");
        assert_eq!(dead.all(), ["a"]);
        assert_eq!(dead.first(Sort::Oldest).unwrap().claim_count(), 2);
    }

    fn hundreds_of_claims_come_along(h) {
        let orders = orders(h);
        orders.post(700);
        let claims: Vec<ClaimRecord> = (0..600).map(|_| orders.take(1)).collect();
        for claim in claims.iter().take(50) {
            orders.release(claim.id()).unwrap();
        }
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(orders.counts(), (550, 150, 700));
        for claim in &claims[50..] {
            assert_eq!(ids(orders.look_up(claim.id()).unwrap().messages()), ids(claim.messages()));
            orders.delete(claim.messages()[0].id(), Some(claim.id())).unwrap();
        }
        assert_eq!(orders.counts(), (0, 150, 150));
        orders.move_to("one").unwrap();
        assert_eq!(orders.counts(), (0, 150, 150));
        assert_fails!(orders.look_up(no_claim()), Error::ClaimDoesNotExist { .. });
    }

    fn new_claims_do_not_mix_with_those_that_came_along(h) {
        let orders = orders(h);
        orders.post(20);
        let mut claims = Vec::new();
        for round in 0..6 {
            claims.push(orders.take(2));
            orders.move_to(["two", "one"][round % 2]).unwrap();
            claims.push(orders.take(1));
            if round == 3 {
                h.turn();
            }
        }
        assert_eq!(orders.counts(), (18, 2, 20));
        for claim in &claims {
            assert_eq!(ids(orders.look_up(claim.id()).unwrap().messages()), ids(claim.messages()));
        }
        for claim in claims.iter().step_by(2) {
            orders.release(claim.id()).unwrap();
        }
        assert_eq!(orders.counts(), (6, 14, 20));
        assert_eq!(orders.take(20).messages().len(), 14);
    }

    fn other_queues_of_both_pools_stay_as_they_are(h) {
        let orders = orders(h);
        let bills = h.create("bills");
        h.prefer("two");
        let notes = h.create("notes");
        let elsewhere = h.queue_in(&zaqar_sled::Project::none(), "orders");
        elsewhere.create("{}").unwrap();
        for queue in [&orders, &bills, &notes, &elsewhere] {
            queue.post(3);
        }
        let before: Vec<_> = [&bills, &notes, &elsewhere].iter().map(|queue| queue.messages()).collect();
        orders.move_to("two").unwrap();
        h.turn();
        h.settle();
        let after: Vec<_> = [&bills, &notes, &elsewhere].iter().map(|queue| queue.messages()).collect();
        assert_eq!(before, after);
        assert_eq!(h.driver().health().unwrap().volume().total, 12);
    }

    fn a_move_that_finds_no_space_leaves_the_queue_where_it_was(h) {
        let orders = orders(h);
        let large = "x".repeat(50_000);
        for _ in 0..20 {
            orders.say(&large);
        }
        h.queue("bills").create("{}").unwrap();
        h.queue("bills").move_to("two").unwrap();
        h.step();
        let disk = h.disk();
        let used: usize = disk.list_all().iter().map(|file| disk.read(file).unwrap().len()).sum();
        disk.set_capacity(Some(used as u64 + 300_000));
        let failed = orders.move_to("two").unwrap_err();
        assert!(failed.is_full(), "{failed:?}");
        assert_eq!(orders.pool().as_deref(), Some("one"));
        assert_eq!(orders.counts(), (0, 20, 20));
        assert_eq!(orders.taken(1).len(), 1);
        disk.set_capacity(None);
        h.turn();
        h.settle();
        assert_eq!(orders.counts(), (1, 19, 20));
        orders.move_to("two").unwrap();
        h.turn();
        assert_eq!(orders.counts(), (1, 19, 20));
        assert_eq!(h.driver().queues().count(&shop()).unwrap(), 2);
        h.settle();
    }
}
