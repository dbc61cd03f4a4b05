//! Why a message can or cannot be claimed; the listings of claims and of projects.

use crate::support::*;
use zaqar_sled::{
    Availability, ClaimEntry, ClaimId, ClaimMarker, Error, Explanation, Limits, ListOptions, MessageId, NewMessage,
    Page, Project, Purge, Retry, Ttl,
};

/// An id of the same queue that has not been assigned.
fn beyond(id: MessageId) -> MessageId {
    let mut bytes = id.to_bytes();
    bytes[8..].fill(0xfe);
    MessageId::from_bytes(bytes)
}

/// Since when, and when the message expires, in seconds from the start.
fn times(explained: &Explanation) -> (Option<u64>, Option<u64>) {
    let after = |time: zaqar_sled::Timestamp| time.since(START).as_secs();
    (explained.since().map(after), explained.expires().map(after))
}

/// Asserts that a message is explained as that, with its times.
macro_rules! assert_explained {
    ($explained:expr, $pattern:pat $(if $guard:expr)?, $times:expr) => {
        let explained = $explained.unwrap();
        match explained.availability() {
            $pattern $(if $guard)? => assert_eq!(times(&explained), $times),
            other => panic!("{other:?}"),
        }
    };
}

contract! {
    fn an_id_without_a_message_says_why(h) {
        let (orders, others) = (h.create("orders"), h.create("others"));
        let (ids, foreign) = (orders.post(4), others.say("42"));
        orders.delete(ids[0], None).unwrap();
        orders.pop(1).unwrap();
        let claim = orders.take(1);
        orders.delete(ids[2], Some(claim.id())).unwrap();
        h.turn();
        for gone in &ids[..3] {
            assert_explained!(orders.explain(*gone), Availability::Gone, (None, None));
        }
        for other in [foreign, no_message(), MessageId::lossy("?")] {
            assert_explained!(orders.explain(other), Availability::OtherQueue, (None, None));
        }
        assert_explained!(orders.explain(beyond(ids[0])), Availability::NeverPosted, (None, None));
        orders.purge(Purge::Messages).unwrap();
        h.turn();
        assert_explained!(orders.explain(ids[3]), Availability::Gone, (None, None));
        let again = orders.say("43");
        assert!(orders.explain(again).unwrap().is_claimable());
        assert_explained!(orders.explain(ids[3]), Availability::Gone, (None, None));
        // The queue that is created again is another one.
        orders.remove().unwrap();
        assert_fails!(orders.explain(ids[3]), Error::QueueDoesNotExist { .. });
        orders.create("{}").unwrap();
        h.turn();
        assert_explained!(orders.explain(ids[3]), Availability::OtherQueue, (None, None));
    }

    fn a_message_that_has_expired_is_gone_at_once(h) {
        let orders = h.create("orders");
        let (short, forever) = (orders.post_lasting(1, 10)[0], orders.send(&[NewMessage::new("42").ttl(Ttl::Forever)]).unwrap()[0]);
        h.turn();
        h.pass_millis(9_999);
        assert_explained!(orders.explain(short), Availability::Waiting, (Some(0), Some(10)));
        assert_explained!(orders.explain(forever), Availability::Waiting, (Some(0), None));
        h.pass_millis(1);
        assert_explained!(orders.explain(short), Availability::Gone, (None, None));
    }

    fn a_delay_and_its_end_are_explained(h) {
        let orders = h.create("orders");
        h.pass(5);
        let id = orders.send(&[delayed("42", 20)]).unwrap()[0];
        h.turn();
        h.pass(19);
        let end = START.saturating_add(seconds(25));
        assert_explained!(
            orders.explain(id), Availability::Delayed { until, .. } if *until == end, (Some(5), Some(3605))
        );
        h.pass(1);
        h.turn();
        assert_explained!(orders.explain(id), Availability::Waiting, (Some(25), Some(3605)));
        h.pass(5);
        h.turn();
        let claim = orders.take(1);
        orders.retry(claim.id(), &[Retry::new(id).delay(seconds(10))]).unwrap();
        h.turn();
        let end = START.saturating_add(seconds(40));
        assert_explained!(orders.explain(id), Availability::Delayed { until, .. } if *until == end, (None, Some(3605)));
        h.pass(100);
        h.turn();
        assert_explained!(orders.explain(id), Availability::Waiting, (Some(40), Some(3605)));
        // The end of a claim is not recorded.
        let claim = orders.take(1);
        orders.retry(claim.id(), &[Retry::new(id)]).unwrap();
        h.turn();
        assert_explained!(orders.explain(id), Availability::Waiting, (None, Some(3605)));
    }

    fn a_claim_and_its_end_are_explained(h) {
        let orders = h.create("orders");
        let ids = orders.post(3);
        h.pass(5);
        let claim = orders.claim(30, 60, 2);
        h.turn();
        let held_until = |id, claim, end, since| {
            let end = START.saturating_add(seconds(end));
            assert_explained!(
                orders.explain(id),
                Availability::Claimed { claim: holder, until, .. } if (*holder, *until) == (claim, end),
                (Some(since), Some(3600))
            );
        };
        held_until(ids[0], claim.id(), 35, 5);
        assert!(orders.explain(ids[2]).unwrap().is_claimable());
        h.pass(10);
        orders.renew(claim.id(), 100, 60).unwrap();
        let split = orders.split(claim.id(), &[ids[1]], 20, 60).unwrap().unwrap();
        h.turn();
        held_until(ids[0], claim.id(), 115, 15);
        held_until(ids[1], split.id(), 35, 15);
        h.pass(20);
        h.turn();
        assert_explained!(orders.explain(ids[1]), Availability::Waiting, (None, Some(3600)));
        orders.release(claim.id()).unwrap();
        h.turn();
        assert_explained!(orders.explain(ids[0]), Availability::Waiting, (None, Some(3600)));
    }

    fn a_claim_that_lengthens_a_life_is_explained_with_the_new_end(h) {
        let orders = h.create("orders");
        let id = orders.post_lasting(1, 30)[0];
        orders.claim(100, 20, 1);
        h.turn();
        assert_explained!(orders.explain(id), Availability::Claimed { .. }, (Some(0), Some(120)));
    }

    fn a_worn_out_message_names_its_dead_letter_queue(h) {
        let orders = h.create_with("orders", r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#);
        let id = orders.say("42");
        for round in 0..2 {
            assert!(orders.explain(id).unwrap().is_claimable());
            orders.claim(10, 60, 1);
            assert_explained!(orders.explain(id), Availability::Claimed { .. }, (Some(round * 10), Some(3600)));
            h.pass(10);
            h.turn();
        }
        assert_explained!(
            orders.explain(id),
            Availability::WornOut { dead_letter_queue, .. } if *dead_letter_queue == name_of("dead"),
            (None, Some(3600))
        );
        // By other settings it is not worn out.
        orders.set_metadata("{}").unwrap();
        assert!(orders.explain(id).unwrap().is_claimable());
        orders.set_metadata(r#"{"_max_claim_count": 2, "_dead_letter_queue": "dead"}"#).unwrap();
        assert!(orders.taken(1).is_empty());
        h.turn();
        assert_explained!(orders.explain(id), Availability::Gone, (None, None));
        let dead = h.queue("dead");
        let there = ids(&dead.list(&everything()).unwrap().items)[0];
        assert_explained!(dead.explain(there), Availability::Waiting, (None, Some(3600)));
        assert_explained!(dead.explain(id), Availability::OtherQueue, (None, None));
    }

    fn messages_of_many_pages_are_explained_one_by_one(h) {
        let orders = h.create("orders");
        let posted = orders.post(700);
        let gone: Vec<_> = posted.iter().copied().step_by(3).collect();
        orders.bulk_delete(&gone, &[]).unwrap();
        let claim = orders.take(200);
        h.turn();
        let held = ids(claim.messages());
        for (index, id) in posted.iter().enumerate() {
            match orders.explain(*id).unwrap().availability() {
                Availability::Gone => assert_eq!(index % 3, 0),
                Availability::Claimed { .. } => assert!(held.contains(id)),
                Availability::Waiting => assert!(index % 3 != 0 && !held.contains(id)),
                other => panic!("{index}: {other:?}"),
            }
        }
    }
}

/// The claims on a page, each with its messages, ttl and age in seconds.
fn listed(page: &Page<ClaimEntry, ClaimMarker>) -> Vec<(ClaimId, u64, u64, u64)> {
    page.items
        .iter()
        .map(|claim| (claim.id(), claim.messages(), claim.ttl().as_secs(), claim.age().as_secs()))
        .collect()
}

contract! {
    fn live_claims_are_listed_in_the_order_of_their_creation(h) {
        let orders = h.create("orders");
        let posted = orders.post(9);
        assert!(orders.claims(None, 0).unwrap().items.is_empty());
        let (first, short, third) = (orders.claim(100, 60, 3), orders.claim(20, 60, 2), orders.claim(50, 60, 1));
        h.pass(5);
        let split = orders.split(first.id(), &posted[..1], 40, 60).unwrap().unwrap();
        orders.delete(posted[5], Some(third.id())).unwrap();
        h.turn();
        let rows = [(first.id(), 2, 100, 5), (short.id(), 2, 20, 5), (third.id(), 0, 50, 5), (split.id(), 1, 40, 0)];
        let page = orders.claims(None, 0).unwrap();
        assert_eq!(listed(&page), rows);
        assert_eq!(page.items[1].expires(), START.saturating_add(seconds(20)));
        assert_eq!(page.next, page.items.last().map(ClaimEntry::marker));
        // Page by page; a claim that has ended still is a position.
        let head = orders.claims(None, 2).unwrap();
        assert_eq!(listed(&head), rows[..2]);
        h.pass(15);
        h.turn();
        let rest = orders.claims(head.next, 2).unwrap();
        assert_eq!(listed(&rest), [(third.id(), 0, 50, 20), (split.id(), 1, 40, 15)]);
        let end = orders.claims(rest.next, 2).unwrap();
        assert!(end.items.is_empty() && end.next.is_none());
        orders.renew(first.id(), 30, 60).unwrap();
        orders.release(third.id()).unwrap();
        h.turn();
        assert_eq!(listed(&orders.claims(None, 0).unwrap()), [(first.id(), 2, 30, 0), (split.id(), 1, 40, 15)]);
        orders.purge(Purge::Messages).unwrap();
        h.turn();
        assert!(orders.claims(None, 0).unwrap().items.is_empty());
        assert_fails!(h.queue("missing").claims(None, 0), Error::QueueDoesNotExist { .. });
    }

    fn a_store_lists_its_projects(h) {
        let named = |name: &str| Project::named(name).unwrap();
        assert!(h.projects(None, 0).is_empty());
        let (long, odd) = (named(&"p".repeat(200)), named("a\0b"));
        for project in [&long, &named("b"), &Project::none(), &odd, &named("a"), &named("")] {
            for name in ["x", "y", "\u{10ffff}"] {
                h.queue_in(project, name).create("{}").unwrap();
            }
        }
        h.turn();
        let all = [Project::none(), named(""), named("a"), odd.clone(), named("b"), long];
        assert_eq!(h.projects(None, 0), all);
        assert_eq!(h.projects(None, 2), all[..2]);
        assert_eq!(h.projects(Some(named("a")), 2), all[3..5]);
        assert_eq!(h.projects(Some(named("aa")), 1), all[4..5], "a marker need not exist");
        assert!(h.projects(Some(all[5].clone()), 0).is_empty());
        for name in ["x", "y", "\u{10ffff}"] {
            h.queue_in(&odd, name).remove().unwrap();
            h.queue_in(&Project::none(), name).remove().unwrap();
        }
        h.turn();
        assert_eq!(h.projects(None, 0), [&all[1..3], &all[4..]].concat());
    }

    fn limits_apply_to_pages_of_claims_and_projects(h) {
        let h = &h.with_limits(Limits::zaqar());
        let orders = h.create("orders");
        assert_eq!(refused(orders.claims(None, 21)), "limit");
        let options = ListOptions::new().limit(21);
        assert_eq!(refused(h.driver().diagnostics().list_projects(&options)), "limit");
        assert_eq!(h.projects(None, 20), [shop()]);
    }
}

pooled! {
    fn claims_and_projects_of_a_pooled_driver_are_listed(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let metadata = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
        let orders = h.create_with("orders", metadata);
        orders.post(2);
        let claim = orders.take(1);
        h.turn();
        assert_eq!(listed(&orders.claims(None, 0).unwrap()), [(claim.id(), 1, 60, 0)]);
        // Its claims stay where they are.
        orders.map_to("two");
        h.turn();
        assert!(orders.claims(None, 0).unwrap().items.is_empty());
        orders.map_to("one");
        h.queue_in(&Project::none(), "x").create("{}").unwrap();
        h.turn();
        assert_eq!(listed(&orders.claims(None, 0).unwrap()), [(claim.id(), 1, 60, 0)]);
        assert_eq!(h.projects(None, 0), [Project::none(), shop()]);
        assert_eq!(h.projects(None, 1), [Project::none()]);
    }

    fn messages_of_a_pool_are_explained(h) {
        h.register("one", at("sled:/pools/one"));
        let metadata = r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#;
        let orders = h.create_with("orders", metadata);
        let ids = orders.post(3);
        orders.delete(ids[2], None).unwrap();
        let claim = orders.claim(10, 60, 1);
        h.turn();
        assert_explained!(
            orders.explain(ids[0]),
            Availability::Claimed { claim: holder, .. } if *holder == claim.id(),
            (Some(0), Some(3600))
        );
        assert_explained!(orders.explain(ids[1]), Availability::Waiting, (Some(0), Some(3600)));
        assert_explained!(orders.explain(ids[2]), Availability::Gone, (None, None));
        assert_explained!(orders.explain(beyond(ids[2])), Availability::NeverPosted, (None, None));
        assert_explained!(orders.explain(no_message()), Availability::OtherQueue, (None, None));
        h.pass(10);
        h.turn();
        assert_explained!(orders.explain(ids[0]), Availability::WornOut { .. }, (None, Some(3600)));
        assert_fails!(h.queue("missing").explain(ids[0]), Error::QueueDoesNotExist { .. });
    }

    fn a_queue_that_is_mapped_to_another_pool_has_its_former_messages_gone(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let orders = h.create("orders");
        let id = orders.say("42");
        h.turn();
        orders.map_to("two");
        h.turn();
        assert_explained!(orders.explain(id), Availability::Gone, (None, None));
        assert_explained!(orders.explain(beyond(id)), Availability::NeverPosted, (None, None));
        orders.map_to("one");
        h.turn();
        assert_explained!(orders.explain(id), Availability::Waiting, (Some(0), Some(3600)));
    }
}
