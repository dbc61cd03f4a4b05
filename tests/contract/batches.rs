//! Batches: changes of several queues that take effect together.

use crate::support::*;
use zaqar_sled::{BatchOutcome, BatchStep, ClaimId, Error, Limits, MessageId, NewMessage, Result};

impl Queue<'_> {
    fn posting(&self, bodies: &[&str]) -> BatchStep {
        self.posting_messages(bodies.iter().map(|body| lasting(body, 600)).collect())
    }

    fn posting_messages(&self, messages: Vec<NewMessage>) -> BatchStep {
        BatchStep::Post { project: self.project.clone(), queue: self.name.clone(), client: ALICE, messages }
    }

    fn deleting(&self, messages: &[MessageId], claim: Option<ClaimId>) -> BatchStep {
        let messages = messages.to_vec();
        BatchStep::Delete { project: self.project.clone(), queue: self.name.clone(), messages, claim }
    }

    fn renewing(&self, claim: ClaimId, ttl: u64, grace: u64) -> BatchStep {
        let (ttl, grace) = (seconds(ttl), seconds(grace));
        BatchStep::Renew { project: self.project.clone(), queue: self.name.clone(), claim, ttl, grace }
    }

    fn releasing(&self, claim: ClaimId) -> BatchStep {
        BatchStep::Release { project: self.project.clone(), queue: self.name.clone(), claim }
    }
}

impl Harness {
    fn commit(&self, steps: &[BatchStep]) -> Result<BatchOutcome> {
        self.driver().batches().commit(steps)
    }
}

contract! {
    fn a_message_is_taken_from_one_queue_and_its_results_are_in_three(h) {
        let [jobs, one, two, three] = ["jobs", "one", "two", "three"].map(|name| h.create(name));
        let ids = jobs.post(2);
        let claim = jobs.take(1);
        h.turn();
        let outcome = h.commit(&[
            jobs.deleting(&ids[..1], Some(claim.id())),
            one.posting(&["a"]),
            two.posting(&["b", "c"]),
            three.posting(&["d"]),
            jobs.releasing(claim.id()),
        ]).unwrap();
        h.turn();
        assert_eq!(outcome.deleted(), 1);
        assert_eq!(jobs.all(), ["1"]);
        assert_eq!((one.all(), two.all(), three.all()), (vec!["a".into()], vec!["b".into(), "c".into()], vec!["d".into()]));
        let posted: Vec<usize> = outcome.posted().iter().map(Vec::len).collect();
        assert_eq!(posted, [1, 2, 1]);
        assert_eq!(texts(&two.bulk_get(&outcome.posted()[1])), ["b", "c"]);
        assert_fails!(jobs.look_up(claim.id()), Error::ClaimDoesNotExist { .. });
    }

    fn a_step_that_fails_leaves_everything_as_it_was(h) {
        let (jobs, done) = (h.create("jobs"), h.create("done"));
        let ids = jobs.post(3);
        let claim = jobs.take(2);
        h.turn();
        let good = [
            jobs.deleting(&ids[..1], Some(claim.id())),
            jobs.renewing(claim.id(), 600, 60),
            done.posting(&["a"]),
            jobs.posting(&["b"]),
            jobs.releasing(claim.id()),
        ];
        let with = |bad: BatchStep| h.commit(&[&good[..], &[bad]].concat());
        assert_fails!(with(h.queue("missing").posting(&["c"])), Error::QueueDoesNotExist { queue, .. } if queue == name_of("missing"));
        assert_fails!(with(jobs.deleting(&ids[2..], Some(claim.id()))), Error::MessageNotClaimed { id } if id == ids[2]);
        assert_fails!(with(jobs.renewing(claim.id(), 60, 60)), Error::ClaimDoesNotExist { id, .. } if id == claim.id());
        assert_fails!(with(h.queue("missing").renewing(claim.id(), 60, 60)), Error::ClaimDoesNotExist { .. });
        let bodies = vec![lasting("c", u64::MAX / 2000)];
        assert!(with(done.posting_messages(bodies)).unwrap_err().is_invalid());
        assert!(with(done.posting_messages(vec![NewMessage::new("no ttl")])).unwrap_err().is_invalid());
        h.turn();
        assert_eq!((jobs.counts(), done.counts()), ((2, 1, 3), (0, 0, 0)));
        assert_eq!(jobs.look_up(claim.id()).unwrap().ttl(), claim.ttl());
        h.commit(&good).unwrap();
        h.turn();
        assert_eq!((jobs.counts(), done.counts()), ((0, 3, 3), (0, 1, 1)));
    }

    fn a_step_sees_what_the_steps_before_have_done(h) {
        let jobs = h.create("jobs");
        let ids = jobs.post(3);
        let claim = jobs.take(2);
        h.turn();
        // A message is deleted once, and under the claim only while the claim holds it.
        let (first, second, all) = (&ids[..1], &ids[1..2], Some(claim.id()));
        let outcome = h.commit(&[jobs.deleting(first, all), jobs.deleting(first, all), jobs.deleting(first, None)]).unwrap();
        assert_eq!(outcome.deleted(), 1);
        assert_fails!(h.commit(&[jobs.deleting(second, None), jobs.releasing(claim.id())]), Error::MessageIsClaimed { .. });
        assert_fails!(h.commit(&[jobs.releasing(claim.id()), jobs.deleting(second, all)]), Error::MessageNotClaimed { .. });
        assert_fails!(h.commit(&[jobs.renewing(claim.id(), 0, 0), jobs.deleting(second, all)]), Error::MessageNotClaimed { .. });
        assert_fails!(h.commit(&[jobs.releasing(claim.id()), jobs.renewing(claim.id(), 60, 60)]), Error::ClaimDoesNotExist { .. });
        let other = jobs.take(1);
        let ended = [jobs.releasing(claim.id()), jobs.deleting(&ids[2..], all)];
        assert_fails!(h.commit(&ended), Error::ClaimDoesNotExist { id, .. } if id == claim.id());
        h.turn();
        let outcome = h.commit(&[jobs.releasing(claim.id()), jobs.releasing(claim.id()), jobs.deleting(second, None)]).unwrap();
        assert_eq!(outcome.deleted(), 1);
        h.turn();
        assert_eq!(jobs.counts(), (1, 0, 1));
        assert_eq!(texts(jobs.look_up(other.id()).unwrap().messages()), ["2"]);
    }

    fn posts_to_one_queue_follow_one_another(h) {
        let (jobs, other) = (h.create("jobs"), h.create("other"));
        jobs.post(1);
        h.turn();
        let steps = [jobs.posting(&["a", "b"]), other.posting(&["x"]), jobs.posting(&[]), jobs.posting(&["c"])];
        let outcome = h.commit(&steps).unwrap();
        h.turn();
        assert_eq!(jobs.all(), ["0", "a", "b", "c"]);
        let ids: Vec<MessageId> = outcome.posted().concat();
        assert_eq!((outcome.posted()[2].len(), ids.len()), (0, 4));
        assert_eq!(jobs.get(ids[3]).unwrap().body().as_bytes(), b"c");
        jobs.post(1);
        h.turn();
        assert_eq!(jobs.all(), ["0", "a", "b", "c", "0"]);
    }

    fn a_renewed_claim_and_its_messages_live_from_now_on(h) {
        let jobs = h.create("jobs");
        let ids = jobs.post_lasting(2, 50);
        let claim = jobs.claim(30, 0, 2);
        h.pass(20);
        h.commit(&[jobs.renewing(claim.id(), 100, 10), jobs.deleting(&ids[..1], Some(claim.id()))]).unwrap();
        h.turn();
        h.pass(99);
        assert_eq!(jobs.counts(), (1, 0, 1));
        h.pass(1);
        h.turn();
        assert_eq!(jobs.counts(), (0, 1, 1));
        h.pass(10);
        h.turn();
        assert_eq!(jobs.counts(), (0, 0, 0));
    }

    fn of_two_batches_that_finish_a_message_one_takes_effect(h) {
        let (jobs, done) = (h.create("jobs"), h.create("done"));
        let ids = jobs.post(2);
        let late = jobs.claim(10, 60, 1);
        h.pass(10);
        let claim = jobs.claim(60, 60, 1);
        h.turn();
        let finish = |claim: ClaimId| h.commit(&[done.posting(&["result"]), jobs.deleting(&ids[..1], Some(claim))]);
        finish(claim.id()).unwrap();
        h.turn();
        // The same batch again, and that of the worker whose lease has run out.
        assert_fails!(finish(claim.id()), Error::MessageDoesNotExist { id, .. } if id == ids[0]);
        assert_fails!(finish(late.id()), Error::ClaimDoesNotExist { id, .. } if id == late.id());
        jobs.release(claim.id()).unwrap();
        assert_fails!(finish(claim.id()), Error::ClaimDoesNotExist { .. });
        // Neither is a message of this queue, nor is there such a queue.
        let elsewhere = done.say("other");
        assert_fails!(h.commit(&[jobs.deleting(&[elsewhere], Some(late.id()))]), Error::ClaimDoesNotExist { .. });
        let missing = h.queue("missing");
        assert_fails!(h.commit(&[missing.deleting(&ids, Some(claim.id()))]), Error::ClaimDoesNotExist { .. });
        h.turn();
        assert_eq!((jobs.all(), done.all()), (vec!["1".into()], vec!["result".into(), "other".into()]));
    }

    fn a_batch_without_effect_is_no_error(h) {
        let jobs = h.create("jobs");
        let ids = jobs.post(1);
        jobs.delete(ids[0], None).unwrap();
        let missing = h.queue("missing");
        h.turn();
        let claim = ClaimId::lossy("5f8a2c4e-8e55-4a0e-9d3e-6f3c1a2b4d5e");
        let steps = [jobs.deleting(&ids, None), missing.deleting(&ids, None), missing.releasing(claim), jobs.releasing(claim)];
        assert_eq!(h.commit(&steps).unwrap(), BatchOutcome::default());
        assert_eq!(h.commit(&[]).unwrap(), BatchOutcome::default());
        assert!(!missing.exists());
    }

    fn projects_are_apart_in_a_batch_too(h) {
        let (ours, theirs) = (h.create("jobs"), h.queue_in(&zaqar_sled::Project::none(), "jobs"));
        theirs.create("{}").unwrap();
        let ids = ours.post(1);
        h.turn();
        let outcome = h.commit(&[theirs.deleting(&ids, None), theirs.posting(&["a"]), ours.posting(&["b"])]).unwrap();
        h.turn();
        assert_eq!(outcome.deleted(), 0);
        assert_eq!((ours.all(), theirs.all()), (vec!["0".into(), "b".into()], vec!["a".into()]));
    }

    fn a_batch_has_the_limits_of_its_calls_and_its_own(h) {
        let jobs = h.create_with("jobs", r#"{"_max_messages_post_size": 4}"#);
        assert!(h.commit(&[jobs.posting(&["ab"]), jobs.posting(&["abcde"])]).unwrap_err().is_too_large());
        assert!(h.commit(&[jobs.posting(&["ab"]), jobs.posting(&["abcd"])]).is_ok());
        let many = vec![jobs.deleting(&[], None); BatchStep::MOST + 1];
        assert!(h.commit(&many).unwrap_err().is_invalid());
        assert!(h.commit(&many[1..]).is_ok());
        h.turn();
        assert_eq!(jobs.counts(), (0, 2, 2));
        let zaqar = h.with_limits(Limits::zaqar());
        let (jobs, spaced) = (zaqar.create("jobs"), zaqar.queue("a b"));
        assert!(zaqar.commit(&[jobs.posting(&["a"]), spaced.deleting(&[], None)]).unwrap_err().is_invalid());
        let id = jobs.say("a");
        assert!(zaqar.commit(&[jobs.deleting(&[id; 21], None)]).unwrap_err().is_invalid());
        assert!(zaqar.commit(&[jobs.posting(&[])]).unwrap_err().is_invalid());
        assert_eq!(jobs.counts(), (0, 1, 1));
    }
}

pooled! {
    fn the_queues_of_a_batch_are_in_one_pool(h) {
        h.register("one", at("sled:/pools/one"));
        let (jobs, done) = (h.create("jobs"), h.create("done"));
        let ids = jobs.post(1);
        let claim = jobs.take(1);
        h.turn();
        h.commit(&[jobs.deleting(&ids, Some(claim.id())), done.posting(&["a"])]).unwrap();
        h.turn();
        assert_eq!((jobs.all(), done.all()), (vec![], vec!["a".into()]));
    }

    fn a_batch_over_two_pools_is_refused_and_names_two_queues(h) {
        h.register("one", at("sled:/pools/one"));
        let (jobs, more) = (h.create("jobs"), h.create("more"));
        h.change_pool("one", &zaqar_sled::PoolUpdate::new().weight(0)).unwrap();
        h.register("two", at("sled:/pools/two"));
        let (done, missing) = (h.create("done"), h.queue("missing"));
        assert_eq!((jobs.pool(), done.pool()), ("one".into(), "two".into()));
        let ids = jobs.post(1);
        h.turn();
        let mixed = [missing.deleting(&[], None), more.posting(&["a"]), jobs.deleting(&ids, None), done.posting(&["b"])];
        assert_fails!(h.commit(&mixed), Error::NotInOneStore { one, other, .. }
            if (&one, &other) == (&name_of("more"), &name_of("done")));
        h.turn();
        assert_eq!((jobs.counts(), more.counts(), done.counts()), ((0, 1, 1), (0, 0, 0), (0, 0, 0)));
        h.commit(&mixed[..3]).unwrap();
        h.commit(&mixed[3..]).unwrap();
        h.turn();
        assert_eq!((jobs.counts(), more.counts(), done.counts()), ((0, 0, 0), (0, 1, 1), (0, 1, 1)));
    }
}
