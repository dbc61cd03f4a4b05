//! Quotas of projects, and what projects hold.

use crate::support::*;
use zaqar_sled::{
    BatchStep, Error, NewMessage, Project, ProjectQuota, ProjectUsage, Purge, RedriveOptions, Result, TopicName,
};

impl Harness {
    pub(crate) fn set_quota(&self, quota: ProjectQuota) {
        self.driver().projects().set_quota(&shop(), &quota).unwrap();
    }

    fn usage_of(&self, project: &Project) -> ProjectUsage {
        self.driver().projects().usage(project).unwrap()
    }

    /// Queues, messages and bytes.
    pub(crate) fn used(&self) -> (u64, u64, u64) {
        let usage = self.usage_of(&shop());
        (usage.queues(), usage.messages(), usage.bytes())
    }

    /// The queues and the messages that the project holds, whether or not that is counted all the time.
    pub(crate) fn counted(&self) -> (u64, u64) {
        let (with, quota) = (self.used(), self.driver().projects().quota(&shop()).unwrap());
        self.set_quota(ProjectQuota::new());
        assert_eq!(self.used(), with, "the account differs from what is there");
        self.set_quota(quota);
        assert_eq!(self.used(), with, "a new account differs from what is there");
        (with.0, with.1)
    }

    fn make(&self, steps: &[BatchStep]) -> Result<()> {
        self.driver().batches().commit(steps).map(drop)
    }
}

fn of_messages(messages: u64) -> ProjectQuota {
    ProjectQuota::new().max_messages(messages)
}

fn posting(queue: &Queue<'_>, bodies: &[&str]) -> BatchStep {
    let (project, queue) = (queue.project.clone(), queue.name.clone());
    let messages = bodies.iter().map(|body| lasting(body, 600)).collect();
    BatchStep::Post { project, queue, client: ALICE, messages }
}

contract! {
    fn a_quota_is_kept_and_shown_until_another_is_set(h) {
        let projects = || h.driver();
        let quota = ProjectQuota::new().max_queues(5).max_messages(7).max_bytes(1_000);
        h.set_quota(quota);
        h.turn();
        assert_eq!(projects().projects().quota(&shop()).unwrap(), quota);
        assert!(projects().projects().quota(&Project::none()).unwrap().is_unlimited());
        assert!(projects().projects().quota(&Project::named("").unwrap()).unwrap().is_unlimited());
        h.set_quota(quota.max_bytes(None));
        h.turn();
        assert_eq!(projects().projects().quota(&shop()).unwrap(), ProjectQuota::new().max_queues(5).max_messages(7));
        h.set_quota(ProjectQuota::new());
        h.turn();
        assert!(projects().projects().quota(&shop()).unwrap().is_unlimited());
        h.set_quota(ProjectQuota::new());
        assert_eq!(h.used(), (0, 0, 0));
    }

    fn the_messages_of_all_queues_of_a_project_count_together(h) {
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        let other = h.queue_in(&Project::none(), "orders");
        other.create("{}").unwrap();
        orders.say("a");
        h.set_quota(of_messages(3));
        h.turn();
        parcels.send(&[lasting("b", 60), delayed("c", 5)]).unwrap();
        let claim = orders.take(1);
        h.turn();
        for queue in [&orders, &parcels] {
            let error = queue.send(&[lasting("x", 60)]).unwrap_err();
            assert!(error.is_full() && !error.is_busy() && !error.is_too_large(), "{error}");
            assert_eq!((error.name(), error.to_string().as_str()), ("ProjectIsFull", r#"project "shop" is full: it may have 3 messages"#));
            assert_fails!(Err::<(), _>(error), Error::ProjectIsFull { project, what: "messages", limit: 3 } if project == shop());
            assert!(queue.send(&[]).unwrap().is_empty());
        }
        assert_eq!((orders.all().len(), parcels.all(), h.counted()), (1, vec!["b".to_owned(), "c".to_owned()], (2, 3)));
        other.post(9);
        orders.delete(claim.messages()[0].id(), Some(claim.id())).unwrap();
        h.turn();
        parcels.say("d");
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        assert_eq!(h.counted(), (2, 3));
    }

    fn room_comes_from_every_removal_in_any_queue(h) {
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        h.set_quota(of_messages(2));
        let full = |queue: &Queue<'_>| assert_fails!(queue.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        let ids = orders.post(2);
        h.turn();
        full(&parcels);
        orders.delete(ids[0], None).unwrap();
        parcels.say("a");
        h.turn();
        full(&orders);
        assert_eq!(parcels.pop(1).unwrap().len(), 1);
        h.turn();
        parcels.say("b");
        full(&orders);
        orders.bulk_delete(&ids, &[]).unwrap();
        parcels.say("c");
        h.turn();
        full(&orders);
        parcels.purge(Purge::Messages).unwrap();
        orders.post(2);
        h.turn();
        full(&parcels);
        orders.remove().unwrap();
        h.turn();
        assert_eq!(h.counted(), (1, 0));
        parcels.post(2);
        full(&parcels);
        assert_eq!(h.counted(), (1, 2));
    }

    fn a_message_of_another_queue_takes_no_room_from_the_instant_it_expires(h) {
        let (orders, parcels, third) = (h.create("orders"), h.create("parcels"), h.create("third"));
        h.set_quota(of_messages(3));
        orders.send(&[lasting("brief", 10)]).unwrap();
        third.send(&[lasting("brief", 10), lasting("long", 600)]).unwrap();
        h.pass_millis(9_999);
        h.turn();
        assert_fails!(parcels.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        assert_eq!(h.used(), (3, 3, 5 + 5 + 4 + 3 * 64));
        h.pass_millis(1);
        h.turn();
        assert_fails!(parcels.send(&[lasting("x", 60), lasting("y", 60), lasting("z", 60)]), Error::ProjectIsFull { .. });
        parcels.send(&[lasting("x", 60), lasting("y", 60)]).unwrap();
        h.turn();
        assert_fails!(orders.send(&[lasting("z", 60)]), Error::ProjectIsFull { .. });
        assert_eq!(h.counted(), (3, 3));
        h.pass(60);
        assert_eq!(h.used(), (3, 1, 4 + 64));
        h.make(&[posting(&orders, &["a"]), posting(&parcels, &["b"])]).unwrap();
        assert_eq!(h.counted(), (3, 3));
    }

    fn bytes_are_those_of_the_queues_statistics(h) {
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        h.set_quota(ProjectQuota::new().max_bytes(200));
        let of = |bytes: usize| lasting(&"x".repeat(bytes), 60);
        assert_fails!(orders.send(&[of(137)]), Error::ProjectIsFull { what: "bytes", limit: 200, .. });
        orders.send(&[of(50)]).unwrap();
        h.turn();
        assert_fails!(parcels.send(&[of(23)]), Error::ProjectIsFull { what: "bytes", .. });
        assert_fails!(parcels.send(&[of(20).header("name", "value")]), Error::ProjectIsFull { .. });
        parcels.send(&[of(22)]).unwrap();
        h.turn();
        assert_eq!(h.used(), (2, 2, 200));
    }

    fn bytes_are_what_is_stored_also_of_checksums_and_headers(plain) {
        let h = &plain.with_checksums();
        let bounded = h.create_with("bounded", r#"{"_max_queue_bytes": 160}"#);
        assert_fails!(bounded.send(&[lasting("a", 60), lasting("b", 60)]), Error::QueueIsFull { what: "bytes", .. });
        bounded.say("a");
        assert_fails!(bounded.send(&[lasting("b", 60)]), Error::QueueIsFull { .. });
        assert_eq!(h.used(), (1, 1, 81));
        let orders = h.create("orders");
        h.set_quota(ProjectQuota::new().max_bytes(3 * 81));
        orders.send(&[lasting("a", 60), lasting("b", 60)]).unwrap();
        h.turn();
        assert_fails!(orders.send(&[lasting("", 60)]), Error::ProjectIsFull { what: "bytes", limit: 243, .. });
        assert_eq!(h.counted(), (2, 3));
        h.set_quota(ProjectQuota::new().max_bytes(1_000));
        orders.send(&[lasting("", 60).header("n", "v")]).unwrap();
        // The headers, and how long they are.
        assert!((243 + 80 + 4 + 2..243 + 80 + 16).contains(&h.used().2), "{:?}", h.used());
        h.set_quota(ProjectQuota::new().max_bytes(h.used().2));
        // What expires with its post takes no room.
        orders.send(&[lasting("gone", 0)]).unwrap();
        h.set_quota(of_messages(3));
        assert_fails!(orders.send(&[lasting("gone", 0)]), Error::ProjectIsFull { .. });
    }

    fn queues_and_topics_are_limited_together(h) {
        let projects = h.driver();
        projects.projects().set_quota(&shop(), &ProjectQuota::new().max_queues(2)).unwrap();
        drop(projects);
        let news = TopicName::new("news").unwrap();
        h.create("orders");
        h.turn();
        assert!(h.driver().topics().create(&shop(), &news, &json("{}")).unwrap());
        h.turn();
        let parcels = h.queue("parcels");
        assert_fails!(parcels.create("{}"), Error::ProjectIsFull { what: "queues", limit: 2, .. });
        assert!(!parcels.exists());
        // Wrong metadata is reported first, and a queue that is there before everything.
        assert_eq!(refused(parcels.create(r#"{"_max_queue_messages": "x"}"#)), "_max_queue_messages");
        assert!(!h.queue("orders").create("{}").unwrap());
        assert!(h.queue_in(&Project::none(), "parcels").create("{}").unwrap());
        h.turn();
        h.driver().topics().delete(&shop(), &news).unwrap();
        assert_eq!(h.counted(), (1, 0));
        assert!(parcels.create("{}").unwrap());
        h.turn();
        let later = TopicName::new("later").unwrap();
        assert_fails!(h.driver().topics().create(&shop(), &later, &json("{}")), Error::ProjectIsFull { what: "queues", .. });
        assert_eq!(h.counted(), (2, 0));
    }

    fn what_a_topic_and_its_queues_get_counts_once_for_each(h) {
        let news = TopicName::new("news").unwrap();
        let (orders, mut topic) = (h.create("orders"), h.queue("x"));
        topic.name = news.to_queue_name();
        topic.create("{}").unwrap();
        h.driver().topics().subscribe(&shop(), &news, &name_of("orders")).unwrap();
        h.set_quota(of_messages(3));
        topic.say("a");
        h.turn();
        assert_fails!(topic.send(&[lasting("b", 60)]), Error::ProjectIsFull { .. });
        assert_eq!((topic.all().len(), orders.all().len(), h.counted()), (1, 1, (2, 2)));
        orders.say("b");
        assert_fails!(orders.send(&[lasting("c", 60)]), Error::ProjectIsFull { .. });
    }

    fn a_batch_is_checked_as_a_whole(h) {
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        let ids = orders.post(2);
        h.set_quota(of_messages(3));
        h.turn();
        let two = [posting(&orders, &["a"]), posting(&parcels, &["b"])];
        assert_fails!(h.make(&two), Error::ProjectIsFull { what: "messages", limit: 3, .. });
        assert_eq!((orders.all().len(), parcels.all().len()), (2, 0));
        let delete = |id| BatchStep::Delete { project: shop(), queue: name_of("orders"), messages: vec![id], claim: None };
        // In whichever order the steps are.
        h.make(&[two[0].clone(), two[1].clone(), delete(ids[0])]).unwrap();
        h.turn();
        assert_eq!((orders.all().len(), parcels.all().len(), h.counted()), (2, 1, (2, 3)));
        assert_fails!(h.make(&[two[0].clone(), delete(ids[0])]), Error::ProjectIsFull { .. });
        h.make(&[delete(ids[1])]).unwrap();
        // Of two projects, each has its own.
        let other = h.queue_in(&Project::none(), "orders");
        other.create("{}").unwrap();
        h.driver().projects().set_quota(&Project::none(), &of_messages(1)).unwrap();
        assert_fails!(h.make(&[two[0].clone(), posting(&other, &["c", "d"])]), Error::ProjectIsFull { project, .. } if project == Project::none());
        assert_fails!(h.make(&[posting(&orders, &["a", "b"]), posting(&other, &["c", "d"])]), Error::ProjectIsFull { project, .. } if project == Project::none());
        h.turn();
        h.make(&[two[0].clone(), posting(&other, &["c"])]).unwrap();
        assert_eq!((h.counted(), h.usage_of(&Project::none()).messages()), ((2, 3), 1));
    }

    fn a_lower_quota_removes_nothing_and_refuses_posts_until_there_is_room(h) {
        let orders = h.create("orders");
        orders.post(4);
        h.create("parcels");
        h.set_quota(ProjectQuota::new().max_queues(0).max_messages(2));
        h.turn();
        assert_eq!((orders.all().len(), h.counted()), (4, (2, 4)));
        assert_eq!(orders.pop(2).unwrap().len(), 2);
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        assert_eq!(orders.pop(1).unwrap().len(), 1);
        h.turn();
        orders.say("x");
        assert_fails!(orders.send(&[lasting("y", 60)]), Error::ProjectIsFull { .. });
        assert_fails!(h.queue("third").create("{}"), Error::ProjectIsFull { .. });
        h.set_quota(of_messages(3));
        orders.say("y");
        assert!(h.queue("third").create("{}").unwrap());
        h.set_quota(ProjectQuota::new());
        orders.post(9);
        h.turn();
        assert_eq!(h.counted(), (3, 12));
    }

    fn dead_letters_and_redrives_count_and_are_not_refused(h) {
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        orders.post(2);
        h.set_quota(ProjectQuota::new().max_queues(1).max_messages(2));
        h.turn();
        for _ in 0..2 {
            let claims = orders.try_claim(60, 60, 2).unwrap();
            claims.into_iter().for_each(|claim| orders.release(claim.id()).unwrap());
        }
        // Before a call on the new queue.
        assert_eq!(h.used().1, 2);
        h.turn();
        let dead = h.queue("dead");
        assert_eq!((orders.all().len(), dead.all().len(), h.counted()), (0, 2, (2, 2)));
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { what: "messages", .. });
        h.set_quota(of_messages(1));
        assert_eq!(dead.redrive(&RedriveOptions::new()).unwrap().moved(), 2);
        h.turn();
        assert_eq!((orders.all().len(), h.counted()), (2, (2, 2)));
        h.pass(3_600);
        orders.say("x");
        assert_eq!(h.counted(), (2, 1));
    }

    fn a_post_of_more_than_the_quota_never_fits(h) {
        let orders = h.create("orders");
        h.set_quota(of_messages(0));
        assert_fails!(orders.send(&[NewMessage::new("x").ttl(seconds(60)).delay(seconds(0))]), Error::ProjectIsFull { limit: 0, .. });
        h.turn();
        assert_eq!(h.counted(), (1, 0));
    }
}

pooled! {
    fn a_quota_is_of_the_queues_in_all_pools_together(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        parcels.map_to("two");
        h.set_quota(ProjectQuota::new().max_queues(2).max_messages(3));
        h.turn();
        orders.post(2);
        parcels.post(1);
        for queue in [&orders, &parcels] {
            assert_fails!(queue.send(&[lasting("x", 60)]), Error::ProjectIsFull { what: "messages", limit: 3, .. });
        }
        assert_fails!(h.queue("third").create("{}"), Error::ProjectIsFull { what: "queues", .. });
        assert_eq!(h.counted(), (2, 3));
        orders.pop(1).unwrap();
        parcels.send(&[lasting("brief", 10)]).unwrap();
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        h.pass(10);
        orders.say("x");
        assert_eq!(h.counted(), (2, 3));
        parcels.remove().unwrap();
        assert_eq!(h.counted(), (1, 2));
        orders.say("y");
        h.turn();
        assert_fails!(orders.send(&[lasting("z", 60)]), Error::ProjectIsFull { .. });
        assert!(parcels.create("{}").unwrap());
        assert_eq!(h.counted(), (2, 3));
    }

    fn a_queue_counts_where_it_is_mapped_to(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let (orders, parcels) = (h.create("orders"), h.create("parcels"));
        h.set_quota(of_messages(4));
        orders.post(3);
        h.turn();
        // A queue without its former messages, which are there again when it is mapped back.
        orders.map_to("two");
        assert_eq!(h.counted(), (2, 0));
        orders.say("a");
        parcels.post(3);
        h.turn();
        assert_fails!(parcels.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        orders.map_to("one");
        assert_eq!((orders.all().len(), h.counted()), (3, (2, 6)));
        assert_fails!(parcels.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
        h.turn();
        orders.unmap().unwrap();
        assert_eq!(h.counted(), (2, 3));
        parcels.say("b");
        h.turn();
        assert_eq!(h.counted(), (2, 4));
        h.driver().projects().set_quota(&shop(), &of_messages(9)).unwrap();
        h.turn();
        assert_eq!(h.used().1, 4);
    }

    fn the_queues_of_a_pool_that_is_not_registered_do_not_count(h) {
        h.register("one", at("sled:/pools/one"));
        let orders = h.create("orders");
        h.set_quota(of_messages(2));
        orders.post(2);
        h.turn();
        h.remove_pool("one").unwrap();
        assert_eq!(h.used(), (1, 0, 0));
        h.register("one", at("sled:/pools/one"));
        assert_eq!(h.counted(), (1, 2));
        h.turn();
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
    }

    fn dead_letters_between_pools_count_when_they_arrive(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let orders = h.create_with("orders", r#"{"_max_claim_count": 1, "_dead_letter_queue": "dead"}"#);
        let dead = h.create("dead");
        dead.map_to("two");
        h.set_quota(ProjectQuota::new().max_queues(1).max_messages(2));
        orders.post(2);
        orders.release(orders.take(2).id()).unwrap();
        assert!(orders.try_claim(60, 60, 2).unwrap().is_none());
        h.turn();
        assert_eq!((dead.all().len(), h.counted()), (2, (2, 2)));
        assert_fails!(orders.send(&[lasting("x", 60)]), Error::ProjectIsFull { .. });
    }
}
