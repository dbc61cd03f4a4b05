//! Bookmarks: small named values of a project.

use crate::support::*;
use zaqar_sled::{
    BatchStep, Body, BookmarkCondition, BookmarkMarker, BookmarkName, BookmarkRecord, Error, ListOptions, Project,
    Result,
};

use BookmarkCondition::{Any, Missing, Version};

impl Harness {
    fn read(&self, name: &str) -> Option<BookmarkRecord> {
        self.driver().bookmarks().get(&Project::none(), &named(name)).unwrap()
    }

    fn value(&self, name: &str) -> Option<String> {
        self.read(name).map(|read| String::from_utf8(read.value().as_bytes().to_vec()).unwrap())
    }

    fn set(&self, name: &str, value: &str, condition: BookmarkCondition) -> Result<u64> {
        self.driver().bookmarks().set(&Project::none(), &named(name), &value.into(), condition)
    }

    fn unset(&self, name: &str, condition: BookmarkCondition) -> Result<bool> {
        self.driver().bookmarks().delete(&Project::none(), &named(name), condition)
    }

    fn bookmarked(&self, project: &Project, options: &ListOptions<BookmarkMarker>) -> Vec<String> {
        let page = self.driver().bookmarks().list(project, options).unwrap();
        assert_eq!(page.next, page.items.last().map(|last| last.name().clone().into()));
        page.items.iter().map(|read| read.name().to_string()).collect()
    }
}

fn named(name: &str) -> BookmarkName {
    BookmarkName::new(name).unwrap()
}

fn setting(name: &str, condition: BookmarkCondition, value: &str) -> BatchStep {
    BatchStep::SetBookmark { project: Project::none(), bookmark: named(name), condition, value: value.into() }
}

fn unsetting(name: &str, condition: BookmarkCondition) -> BatchStep {
    BatchStep::DeleteBookmark { project: Project::none(), bookmark: named(name), condition }
}

fn posting(queue: &Queue<'_>, body: &str) -> BatchStep {
    let (project, queue) = (queue.project.clone(), queue.name.clone());
    BatchStep::Post { project, queue, client: ALICE, messages: vec![lasting(body, 600)] }
}

contract! {
    fn a_value_stays_as_it_was_set_until_it_is_deleted(h) {
        assert_eq!(h.read("a"), None);
        let binary = Body::from(&[0, 255, 10]);
        let version = h.driver().bookmarks().set(&Project::none(), &named("a"), &binary, Any).unwrap();
        h.set("b", "", Any).unwrap();
        h.turn();
        let read = h.read("a").unwrap();
        assert_eq!((read.name(), read.value(), read.version()), (&named("a"), &binary, version));
        assert_eq!(read.changed(), START);
        assert_eq!(h.value("b").as_deref(), Some(""));
        h.pass(100_000);
        h.driver().gc().unwrap();
        h.turn();
        assert_eq!(h.read("a").unwrap().changed(), START);
        h.set("a", "new", Any).unwrap();
        h.turn();
        assert_eq!(h.value("a").as_deref(), Some("new"));
        assert!(h.read("a").unwrap().changed() > START);
        assert!(h.unset("a", Any).unwrap());
        h.turn();
        assert_eq!(h.read("a"), None);
        assert!(!h.unset("a", Any).unwrap());
    }

    fn a_value_is_only_changed_if_it_is_as_expected(h) {
        assert_fails!(h.set("a", "x", Version(1)), Error::BookmarkChanged { version: None, .. });
        assert_fails!(h.unset("a", Version(1)), Error::BookmarkChanged { version: None, .. });
        assert!(!h.unset("a", Missing).unwrap());
        let first = h.set("a", "1", Missing).unwrap();
        h.turn();
        assert_fails!(h.set("a", "2", Missing), Error::BookmarkChanged { version: Some(now), .. } if now == first);
        let second = h.set("a", "2", Version(first)).unwrap();
        assert!(second > first);
        h.turn();
        assert_fails!(h.set("a", "3", Version(first)), Error::BookmarkChanged { version: Some(now), .. } if now == second);
        assert_fails!(h.unset("a", Version(first)), Error::BookmarkChanged { .. });
        assert_fails!(h.unset("a", Missing), Error::BookmarkChanged { .. });
        assert_eq!(h.value("a").as_deref(), Some("2"));
        let error = h.unset("a", Version(first)).unwrap_err();
        assert!(error.is_conflict() && !error.is_not_found(), "{error}");
        assert!(h.unset("a", Version(second)).unwrap());
        h.turn();
        // A version is never given out again.
        let third = h.set("a", "2", Missing).unwrap();
        assert!(third > second);
        assert_fails!(h.set("a", "4", Version(second)), Error::BookmarkChanged { .. });
        // A change of the same value is a change.
        assert!(h.set("a", "2", Version(third)).unwrap() > third);
    }

    fn bookmarks_are_listed_by_name_within_their_project(h) {
        let names = ["b", "a", "c", "a.b", "ü", "queue"];
        for name in names {
            h.set(name, name, Any).unwrap();
        }
        let other = Project::named("").unwrap();
        h.driver().bookmarks().set(&other, &named("a"), &"other".into(), Any).unwrap();
        h.create("queue");
        h.turn();
        let sorted = ["a", "a.b", "b", "c", "queue", "ü"];
        assert_eq!(h.bookmarked(&Project::none(), &ListOptions::new()), sorted);
        assert_eq!(h.bookmarked(&Project::none(), &ListOptions::new().limit(2)), sorted[..2]);
        let after = |name: &str| ListOptions::new().limit(3).marker(BookmarkMarker::from(named(name)));
        assert_eq!(h.bookmarked(&Project::none(), &after("a")), sorted[1..4]);
        assert_eq!(h.bookmarked(&Project::none(), &after("a.a")), sorted[1..4]);
        assert_eq!(h.bookmarked(&Project::none(), &after("ü")), [""; 0]);
        assert_eq!(h.bookmarked(&other, &ListOptions::new()), ["a"]);
        assert_eq!(h.bookmarked(&shop(), &ListOptions::new()), [""; 0]);
        let page = h.driver().bookmarks().list(&other, &ListOptions::new()).unwrap();
        assert_eq!(page.items[0].value().as_bytes(), b"other");
        // Queues have names of their own.
        h.queue("queue").remove().unwrap();
        assert_eq!(h.value("queue").as_deref(), Some("queue"));
    }

    fn a_value_has_up_to_64_kib(h) {
        let largest = "x".repeat(64 << 10);
        h.set("a", &largest, Any).unwrap();
        let error = h.set("a", &format!("{largest}x"), Any).unwrap_err();
        assert!(error.is_too_large(), "{error}");
        assert!(h.driver().batches().commit(&[setting("a", Any, &format!("{largest}x"))]).unwrap_err().is_too_large());
        h.turn();
        assert_eq!(h.value("a"), Some(largest));
        assert!(BookmarkName::new("").unwrap_err().is_invalid());
        assert!(BookmarkName::new("x".repeat(513)).unwrap_err().is_too_large());
    }

    fn a_batch_changes_messages_and_bookmarks_together(h) {
        let (jobs, done) = (h.create("jobs"), h.create("done"));
        let ids = jobs.post(2);
        let claim = jobs.take(2);
        let old = h.set("old", "1", Any).unwrap();
        let (project, queue, claim) = (jobs.project.clone(), jobs.name.clone(), Some(claim.id()));
        let delete = BatchStep::Delete { project, queue, messages: vec![ids[0]], claim };
        let steps = [setting("offset", Missing, "17"), delete, posting(&done, "r"), unsetting("old", Version(old))];
        let outcome = h.driver().batches().commit(&steps).unwrap();
        h.turn();
        assert_eq!((jobs.all(), done.all()), (vec!["1".to_owned()], vec!["r".to_owned()]));
        let offset = h.read("offset").unwrap();
        assert_eq!((outcome.bookmark_version(), outcome.deleted()), (Some(offset.version()), 1));
        assert_eq!((h.value("offset").as_deref(), h.read("old")), (Some("17"), None));
        assert!(offset.version() > old);
        // The same again: neither the message nor the condition allows it, and nothing is posted.
        assert_fails!(h.driver().batches().commit(&steps), Error::BookmarkChanged { .. });
        h.turn();
        assert_eq!(done.all().len(), 1);
    }

    fn a_batch_that_fails_leaves_bookmarks_as_they_were(h) {
        let done = h.create("done");
        let version = h.set("a", "1", Any).unwrap();
        let commit = |steps: &[BatchStep]| h.driver().batches().commit(steps);
        let (set, post) = (setting("b", Any, "2"), posting(&done, "x"));
        let missing = posting(&h.queue("missing"), "x");
        let unmet = setting("a", Missing, "3");
        // The error is that of the first step that has one.
        assert_fails!(commit(&[set.clone(), post.clone(), unmet.clone(), missing.clone()]), Error::BookmarkChanged { .. });
        assert_fails!(commit(&[set.clone(), post.clone(), missing.clone(), unmet.clone()]), Error::QueueDoesNotExist { .. });
        assert_fails!(commit(&[unsetting("c", Version(9)), missing]), Error::BookmarkChanged { version: None, .. });
        let twice = commit(&[set.clone(), post.clone(), unsetting("b", Any)]);
        assert!(twice.unwrap_err().is_invalid());
        // One that is not there counts too.
        assert!(commit(&[unsetting("c", Any), post, setting("c", Any, "1")]).unwrap_err().is_invalid());
        h.turn();
        assert_eq!((h.read("b"), done.all().len()), (None, 0));
        assert_eq!(h.read("a").map(|read| read.version()), Some(version));
        let outcome = commit(&[unsetting("b", Missing)]).unwrap();
        assert_eq!(outcome.bookmark_version(), None);
        let outcome = commit(&[unsetting("a", Any), setting("b", Any, "2")]).unwrap();
        h.turn();
        assert_eq!(outcome.bookmark_version(), h.read("b").map(|read| read.version()));
        assert_eq!(h.read("a"), None);
    }
}

mod of_a_pooled_driver {
    use super::*;

    pooled! {
        fn they_are_in_the_control_store_and_in_no_batch_with_queues(h) {
            h.register("one", at("sled:/pools/one"));
            let orders = h.create("orders");
            let version = h.set("a", "1", Any).unwrap();
            h.turn();
            assert_eq!(h.read("a").map(|read| read.version()), Some(version));
            let steps = [posting(&orders, "x"), setting("a", Any, "2")];
            let error = h.driver().batches().commit(&steps).unwrap_err();
            assert!(error.is_conflict(), "{error}");
            assert_fails!(Err::<(), _>(error), Error::BookmarkNotInStore { .. });
            assert_eq!((orders.all().len(), h.value("a").as_deref()), (0, Some("1")));
            let outcome = h.driver().batches().commit(&steps[1..]).unwrap();
            h.turn();
            assert_eq!(outcome.bookmark_version(), h.read("a").map(|read| read.version()));
            assert_eq!(h.value("a").as_deref(), Some("2"));
        }
    }
}
