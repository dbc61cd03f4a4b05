//! Topics, and the queues that are subscribed to them.

use crate::support::*;
use zaqar_sled::{
    BatchStep, Error, ListOptions, NewMessage, PoolUpdate, Project, Purge, QueueListOptions, QueueName, QueueSettings,
    RedriveOptions, Sort, TopicName,
};

fn topic_name(name: &str) -> TopicName {
    TopicName::new(name).unwrap()
}

impl Harness {
    /// The topic, as calls on queues take it.
    fn topic(&self, name: &str) -> Queue<'_> {
        let mut queue = self.queue("x");
        queue.name = topic_name(name).to_queue_name();
        queue
    }

    fn create_topic(&self, name: &str) -> Queue<'_> {
        assert!(self.driver().topics().create(&shop(), &topic_name(name), &json("{}")).unwrap());
        self.topic(name)
    }

    fn topics(&self, options: &QueueListOptions) -> Vec<String> {
        let page = self.driver().topics().list(&shop(), options).unwrap();
        assert_eq!(page.next.as_ref().map(ToString::to_string), page.items.last().map(|last| last.name().to_string()));
        page.into_iter().map(|entry| entry.name().to_string()).collect()
    }

    fn subscribe(&self, topic: &str, queue: &str) -> bool {
        self.driver().topics().subscribe(&shop(), &topic_name(topic), &name_of(queue)).unwrap()
    }

    fn subscribed(&self, topic: &str) -> Vec<String> {
        let names = self.driver().topics().subscribed(&shop(), &topic_name(topic)).unwrap();
        names.iter().map(ToString::to_string).collect()
    }
}

impl Queue<'_> {
    fn posting_one(&self, body: &str) -> BatchStep {
        let (project, queue, messages) = (self.project.clone(), self.name.clone(), vec![lasting(body, 600)]);
        BatchStep::Post { project, queue, client: ALICE, messages }
    }
}

contract! {
    fn a_topic_and_a_queue_of_one_name_are_independent(h) {
        let queue = h.create_with("news", r#"{"is": "queue"}"#);
        let topic = h.create_topic("news");
        assert!(!h.driver().topics().create(&shop(), &topic_name("news"), &json(r#"{"a": 1}"#)).unwrap());
        topic.set_metadata(r#"{"is": "topic"}"#).unwrap();
        let id = topic.say("t");
        queue.say("q");
        h.turn();
        assert_eq!((topic.all(), queue.all()), (vec!["t".to_owned()], vec!["q".to_owned()]));
        assert_fails!(queue.get(id), Error::MessageDoesNotExist { .. });
        assert_eq!(h.driver().topics().get(&shop(), &topic_name("news")).unwrap().to_json(), r#"{"is":"topic"}"#);
        assert_eq!(queue.metadata().unwrap().to_json(), r#"{"is":"queue"}"#);
        queue.remove().unwrap();
        h.turn();
        assert!(!queue.exists() && topic.exists());
        assert_eq!(topic.all(), ["t"]);
        h.driver().topics().delete(&shop(), &topic_name("news")).unwrap();
        h.turn();
        assert!(!h.driver().topics().exists(&shop(), &topic_name("news")).unwrap());
    }

    fn listings_of_queues_have_no_topics_and_those_of_topics_no_queues(h) {
        h.create("b");
        for name in ["a", "b", "c", "\0t"] {
            h.create_topic(name);
        }
        h.create("\0t");
        let elsewhere = Project::named("elsewhere").unwrap();
        h.driver().topics().create(&elsewhere, &topic_name("d"), &json("{}")).unwrap();
        h.turn();
        assert_eq!(h.topics(&QueueListOptions::new()), ["\0t", "a", "b", "c"]);
        assert_eq!(h.names(&QueueListOptions::new()), ["\0t", "b"]);
        assert_eq!(h.driver().queues().count(&shop()).unwrap(), 2);
        assert_eq!(h.projects(None, 0), [shop()]);
        let two = h.driver().topics().list(&shop(), &QueueListOptions::new().limit(2)).unwrap();
        assert_eq!(h.topics(&QueueListOptions::new().marker(two.next)), ["b", "c"]);
        let behind = |name: &str| QueueListOptions::new().marker(Some(name_of(name).into()));
        assert_eq!(h.topics(&behind("b")), ["c"]);
        assert_eq!(h.topics(&behind("bb")), ["c"]);
        assert_eq!(h.topics(&QueueListOptions::new().name_contains("c")), ["c"]);
        h.topic("a").set_metadata(r#"{"owner": "ann"}"#).unwrap();
        h.turn();
        assert_eq!(h.topics(&QueueListOptions::new().metadata_filter(json(r#"{"owner": "ann"}"#))), ["a"]);
        let detailed = h.driver().topics().list(&shop(), &QueueListOptions::new().detailed(true)).unwrap();
        assert_eq!(detailed.items[1].metadata().unwrap().to_json(), r#"{"owner":"ann"}"#);
    }

    fn a_missing_topic_is_named_as_a_topic(h) {
        let (topics, name) = (h.topic("news"), topic_name("news"));
        let driver = h.driver();
        assert_fails!(driver.topics().get_metadata(&shop(), &name), Error::TopicDoesNotExist { .. });
        assert_fails!(driver.topics().set_metadata(&shop(), &name, &json("{}")), Error::TopicDoesNotExist { .. });
        assert_fails!(driver.topics().stats(&shop(), &name), Error::TopicDoesNotExist { .. });
        assert_fails!(driver.topics().subscribe(&shop(), &name, &name_of("a")), Error::TopicDoesNotExist { .. });
        assert_fails!(driver.topics().unsubscribe(&shop(), &name, &name_of("a")), Error::TopicDoesNotExist { .. });
        assert_fails!(driver.topics().subscribed(&shop(), &name), Error::TopicDoesNotExist { .. });
        assert_fails!(topics.send(&[lasting("a", 60)]), Error::TopicDoesNotExist { .. });
        assert_fails!(topics.first(Sort::Oldest), Error::TopicIsEmpty { .. });
        assert!(driver.topics().get(&shop(), &name).unwrap().is_empty());
        driver.topics().delete(&shop(), &name).unwrap();
        let error = driver.topics().stats(&shop(), &name).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), r#"topic "news" does not exist in project "shop""#);
        h.create_topic("news");
        assert_fails!(topics.first(Sort::Newest), Error::TopicIsEmpty { .. });
    }

    fn a_topics_messages_expire_and_are_counted_and_nobody_claims_them(h) {
        let topic = h.create_topic("news");
        let ids = topic.send(&[lasting("a", 10), lasting("b", 60), delayed("c", 20)]).unwrap();
        let stats = h.driver().topics().stats(&shop(), &topic_name("news")).unwrap();
        assert_eq!((stats.total(), stats.oldest().unwrap().id(), stats.newest().unwrap().id()), (3, ids[0], ids[2]));
        h.pass(10);
        h.turn();
        let stats = h.driver().topics().stats(&shop(), &topic_name("news")).unwrap();
        assert_eq!((stats.total(), stats.oldest().unwrap().id()), (2, ids[1]));
        assert_eq!(refused(topic.try_claim(60, 60, 1)), "queue");
        assert_eq!(topic.shown(), ["b"]);
        topic.delete(ids[1], None).unwrap();
        h.turn();
        assert_eq!(topic.all(), ["c"]);
        assert_eq!(topic.purge(Purge::All).unwrap(), 1);
    }

    fn a_subscribed_queue_gets_each_message_as_its_own(h) {
        let (topic, one, two) = (h.create_topic("news"), h.create("one"), h.create("two"));
        topic.say("before");
        assert!(h.subscribe("news", "one") && h.subscribe("news", "two") && !h.subscribe("news", "one"));
        h.turn();
        assert_eq!(h.subscribed("news"), ["one", "two"]);
        let messages = [delayed("a", 5).header("trace", "7"), lasting("b", 10)];
        let ids = topic.send(&messages).unwrap();
        h.turn();
        assert_eq!((topic.all(), one.all(), two.all()), (vec!["before".into(), "a".into(), "b".into()], vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
        let copy = one.first(Sort::Oldest).unwrap();
        assert_eq!(copy.headers().get("trace"), Some("7"));
        assert!(copy.id() != ids[0] && copy.body() == topic.get(ids[0]).unwrap().body());
        // Each has a life of its own.
        assert_eq!(two.pop(1).unwrap().len(), 1);
        topic.purge(Purge::Messages).unwrap();
        h.pass(5);
        h.turn();
        assert_eq!(one.taken(9), ["a", "b"]);
        assert_eq!(two.taken(9), ["a"]);
        h.pass(5);
        one.purge(Purge::Messages).unwrap();
        h.driver().topics().unsubscribe(&shop(), &topic_name("news"), &name_of("one")).unwrap();
        topic.say("c");
        h.turn();
        assert_eq!((one.all().len(), two.all()), (0, vec!["a".to_owned(), "c".to_owned()]));
    }

    fn a_queue_that_refuses_keeps_the_message_from_all(h) {
        let (topic, one) = (h.create_topic("news"), h.create("one"));
        let full = h.create_with("full", r#"{"_max_queue_messages": 1}"#);
        h.subscribe("news", "one");
        h.subscribe("news", "full");
        topic.say("a");
        h.turn();
        let error = topic.send(&[lasting("b", 60)]).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_fails!(Err::<(), _>(error), Error::QueueIsFull { queue, .. } if queue == name_of("full"));
        full.pop(1).unwrap();
        one.pause(Some(zaqar_sled::Pause::Posts)).unwrap();
        h.turn();
        assert_fails!(topic.send(&[lasting("b", 60)]), Error::QueuePaused { queue, .. } if queue == name_of("one"));
        one.pause(None).unwrap();
        one.set_metadata(r#"{"_max_messages_post_size": 3}"#).unwrap();
        assert!(topic.send(&[lasting("long", 60)]).unwrap_err().is_too_large());
        h.turn();
        assert_eq!((topic.all(), one.all(), full.all()), (vec!["a".to_owned()], vec!["a".to_owned()], vec![]));
        topic.say("c");
        assert_eq!((one.all(), full.all()), (vec!["a".to_owned(), "c".to_owned()], vec!["c".to_owned()]));
    }

    fn a_queue_that_does_not_exist_is_passed_over_until_it_does(h) {
        let topic = h.create_topic("news");
        assert!(h.subscribe("news", "later"));
        topic.say("a");
        let later = h.create("later");
        h.turn();
        topic.say("b");
        assert_eq!(later.all(), ["b"]);
        later.remove().unwrap();
        topic.say("c");
        h.turn();
        assert!(later.create("{}").unwrap());
        topic.say("d");
        h.turn();
        assert_eq!((later.all(), topic.all().len()), (vec!["d".to_owned()], 4));
    }

    fn the_subscribed_queues_are_a_key_of_the_metadata(h) {
        let topic = h.create_topic("news");
        topic.set_metadata(r#"{"a": 1}"#).unwrap();
        h.subscribe("news", "one");
        h.subscribe("news", "two");
        h.turn();
        assert_eq!(topic.metadata().unwrap().to_json(), r#"{"a":1,"_subscribed_queues":["one","two"]}"#);
        let unsubscribe = |queue: &str| h.driver().topics().unsubscribe(&shop(), &topic_name("news"), &name_of(queue));
        assert!(unsubscribe("one").unwrap() && !unsubscribe("one").unwrap() && unsubscribe("two").unwrap());
        h.turn();
        assert_eq!(topic.metadata().unwrap().to_json(), r#"{"a":1}"#);
        let settings = QueueSettings::new().subscribed(["one"]);
        topic.set_metadata(&zaqar_sled::Metadata::from(settings).to_json()).unwrap();
        let one = h.create("one");
        topic.say("a");
        h.turn();
        assert_eq!((h.subscribed("news"), one.all()), (vec!["one".to_owned()], vec!["a".to_owned()]));
        for wrong in [r#""one""#, "[1]", r#"["one", "one"]"#, r#"[""]"#, r#"{"one": 1}"#, "[null]"] {
            let metadata = format!(r#"{{"_subscribed_queues": {wrong}}}"#);
            assert_eq!(refused(topic.set_metadata(&metadata)), "_subscribed_queues", "{wrong}");
        }
        topic.set_metadata(r#"{"_subscribed_queues": null}"#).unwrap();
        assert!(h.subscribed("news").is_empty());
        // On a queue the key does nothing.
        let queue = h.create_with("queue", r#"{"_subscribed_queues": ["one"]}"#);
        queue.say("b");
        assert_eq!(one.all(), ["a"]);
    }

    fn at_most_a_thousand_queues_are_subscribed_and_no_topic(h) {
        h.create_topic("news");
        let names: Vec<String> = (0..1_000).map(|number| format!("q{number}")).collect();
        let metadata = zaqar_sled::Metadata::from(QueueSettings::new().subscribed(&names));
        h.topic("news").set_metadata(&metadata.to_json()).unwrap();
        let subscribe = |name: &QueueName| h.driver().topics().subscribe(&shop(), &topic_name("news"), name);
        assert_eq!(refused(subscribe(&name_of("one more"))), "_subscribed_queues");
        assert!(!subscribe(&name_of("q7")).unwrap());
        assert_eq!(refused(subscribe(&topic_name("news").to_queue_name())), "queue");
        let more = zaqar_sled::Metadata::from(QueueSettings::new().subscribed(names.iter().chain([&"x".to_owned()])));
        assert_eq!(refused(h.topic("news").set_metadata(&more.to_json())), "_subscribed_queues");
        h.topic("news").say("to none of them");
        h.turn();
        assert_eq!(h.subscribed("news").len(), 1_000);
        let (long, topic) = ("x".repeat(1 << 20), h.topic("news"));
        assert!(topic.send(&[lasting(&long, 60)]).unwrap_err().is_too_large());
    }

    fn a_batch_publishes_and_deletes_together(h) {
        let (jobs, topic, one) = (h.create("jobs"), h.create_topic("news"), h.create("one"));
        h.subscribe("news", "one");
        let ids = jobs.post(1);
        let claim = jobs.take(1);
        let delete = |claim| BatchStep::Delete {
            project: shop(),
            queue: jobs.name.clone(),
            messages: ids.clone(),
            claim: Some(claim),
        };
        let steps = [topic.posting_one("a"), one.posting_one("b"), topic.posting_one("c"), delete(no_claim())];
        assert!(h.driver().batches().commit(&steps).unwrap_err().is_lease_lost());
        h.turn();
        assert!(topic.all().is_empty() && one.all().is_empty());
        let steps = [topic.posting_one("a"), one.posting_one("b"), topic.posting_one("c"), delete(claim.id())];
        let outcome = h.driver().batches().commit(&steps).unwrap();
        h.turn();
        assert_eq!((topic.all(), one.all()), (vec!["a".to_owned(), "c".to_owned()], vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        assert_eq!((outcome.deleted(), jobs.all().len()), (1, 0));
        assert_eq!(outcome.posted().iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(texts(&topic.bulk_get(&outcome.posted()[2])), ["c"]);
    }

    fn a_batch_may_delete_from_a_topic_without_a_post(h) {
        let (topic, one) = (h.create_topic("news"), h.create("one"));
        h.subscribe("news", "one");
        let id = topic.say("a");
        let (project, queue) = (shop(), topic.name.clone());
        let delete = BatchStep::Delete { project, queue, messages: vec![id], claim: None };
        assert_eq!(h.driver().batches().commit(&[delete]).unwrap().deleted(), 1);
        h.turn();
        assert_eq!((topic.all().len(), one.all()), (0, vec!["a".to_owned()]));
    }

    fn a_topic_has_subscriptions_of_its_own(h) {
        let (queue, topic) = (h.create("news"), h.create_topic("news"));
        let id = topic.subscribe("https://a.example");
        h.turn();
        assert!(topic.is_subscribed(id) && !queue.is_subscribed(id));
        assert!(queue.subscriptions(&ListOptions::new()).unwrap().items.is_empty());
        topic.remove().unwrap();
        h.turn();
        assert!(topic.is_subscribed(id));
    }

    fn no_redrive_takes_from_a_topic_or_moves_to_one(h) {
        let (topic, dead) = (h.create_topic("news"), h.create("dead"));
        topic.say("a");
        dead.say("b");
        assert_eq!(refused(dead.redrive(&RedriveOptions::new().to(topic.name.clone()))), "to");
        assert_eq!(refused(topic.redrive(&RedriveOptions::new().to(dead.name.clone()))), "queue");
        h.turn();
        assert_eq!((topic.all(), dead.all()), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    fn a_topic_that_is_made_again_has_no_subscribed_queues(h) {
        let (topic, one) = (h.create_topic("news"), h.create("one"));
        h.subscribe("news", "one");
        topic.remove().unwrap();
        h.turn();
        h.create_topic("news");
        assert!(h.subscribed("news").is_empty());
        topic.say("a");
        h.turn();
        assert_eq!((topic.all().len(), one.all().len()), (1, 0));
    }

    fn an_empty_post_posts_nothing(h) {
        let (topic, one) = (h.create_topic("news"), h.create("one"));
        h.subscribe("news", "one");
        assert!(topic.send(&[]).unwrap().is_empty());
        let no_messages: [NewMessage; 0] = [];
        assert!(h.topic("missing").send(&no_messages).unwrap_err().is_not_found());
        h.turn();
        assert!(topic.all().is_empty() && one.all().is_empty());
    }
}

pooled! {
    fn a_topic_in_a_pool_reaches_the_queues_of_the_same_store(h) {
        h.register("one", at("sled:/pools/one"));
        h.register("two", at("sled:/pools/two").weight(0));
        let (topic, near) = (h.create_topic("news"), h.create("near"));
        h.change_pool("one", &PoolUpdate::new().weight(0)).unwrap();
        h.change_pool("two", &PoolUpdate::new().weight(1)).unwrap();
        let far = h.create("far");
        h.subscribe("news", "near");
        topic.say("a");
        h.turn();
        h.subscribe("news", "far");
        assert_fails!(topic.send(&[lasting("b", 60)]), Error::NotInOneStore { .. });
        h.turn();
        assert_eq!((topic.all(), near.all(), far.all().len()), (vec!["a".to_owned()], vec!["a".to_owned()], 0));
        far.remove().unwrap();
        topic.say("c");
        h.turn();
        assert_eq!(near.all(), ["a", "c"]);
        near.unmap().unwrap();
        assert_fails!(topic.send(&[lasting("d", 60)]), Error::QueueNotMapped { queue, .. } if queue == name_of("near"));
        near.map_to("one");
        h.turn();
        assert_eq!((topic.all(), near.all()), (vec!["a".to_owned(), "c".to_owned()], vec!["a".to_owned(), "c".to_owned()]));
        assert_eq!(h.subscribed("news"), ["near", "far"]);
        h.driver().topics().delete(&shop(), &topic_name("news")).unwrap();
        h.turn();
        assert_eq!(near.all(), ["a", "c"]);
    }
}
