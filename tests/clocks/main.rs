//! Engine time with misbehaving clocks: threads that are preempted between two readings, and impossible readings.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the way to say what is wrong"
)]

#[path = "../support/clock.rs"]
mod clock;

use std::sync::Arc;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, Clock, Config, Engine, ManualClock, Metadata, NewMessage, Project, Queue, SimulatedDisk,
    Sort, Timestamp,
};

use clock::WatchedClock;

#[test]
fn no_pause_between_two_readings_is_gained() {
    // Even: before the reading of half that number; odd: after it. The first reading has the number 1.
    for pause_at in 2.. {
        let clock = WatchedClock::at(START);
        let pause = move |at, clock: &ManualClock| {
            if at == pause_at {
                clock.advance(PAUSE);
            }
        };
        clock.before_each(move |reading, clock| pause(2 * reading, clock));
        clock.after_each(move |reading, _, clock| pause(2 * reading + 1, clock));
        let engine = open(clock.clone());
        let orders = orders(&engine);
        assert!(posted_at(&orders) <= clock.within().wall(), "ahead of the wall clock, pause {pause_at}");
        let readings = clock.readings();
        if pause_at > 2 * readings + 1 {
            assert!(readings >= 8, "{readings}");
            return;
        }
        // The next reading corrects the lead that the pause hid.
        assert_eq!(posted_at(&orders), clock.within().wall(), "pause {pause_at}");
        let claim = orders.claim(ClaimOptions::new().ttl(Duration::from_secs(60))).unwrap().unwrap();
        clock.within().advance(Duration::from_millis(59_999));
        assert!(orders.claim(ClaimOptions::new()).unwrap().is_none(), "a claim ended early, pause {pause_at}");
        clock.within().advance(Duration::from_millis(1));
        drop(claim);
        assert!(orders.claim(ClaimOptions::new()).unwrap().is_some(), "a claim did not end, pause {pause_at}");
        engine.close().unwrap();
    }
}

#[test]
fn a_claim_is_never_shorter_than_was_asked_for() {
    for fraction in [0, 1, 500, 999] {
        let clock = Arc::new(ManualClock::new(START));
        clock.advance(Duration::from_micros(fraction));
        let engine = open(clock.clone());
        let orders = orders(&engine);
        posted_at(&orders);
        let ttl = Duration::from_secs(60);
        let claim = orders.claim(ClaimOptions::new().ttl(ttl)).unwrap().unwrap();
        for _ in 0..2 {
            clock.advance(ttl.saturating_sub(Duration::from_micros(1)));
            assert!(orders.claim(ClaimOptions::new()).unwrap().is_none(), "{fraction} µs behind the millisecond");
            claim.renew(ttl, ttl).unwrap();
        }
        // Nor is it much longer.
        clock.advance(ttl + Duration::from_millis(2));
        assert!(orders.claim(ClaimOptions::new()).unwrap().is_some(), "{fraction} µs behind the millisecond");
    }
}

#[test]
fn a_message_that_lives_as_long_as_its_claim_is_not_extended() {
    for fraction in [0, 1, 500, 999] {
        let clock = Arc::new(ManualClock::new(START));
        clock.advance(Duration::from_micros(fraction));
        let engine = open(clock.clone());
        let orders = orders(&engine);
        let ttl = Duration::from_secs(60);
        let message = |ttl: Duration| NewMessage::new("work").ttl(ttl);
        let life = |claim: &zaqar_sled::Claim| claim.messages()[0].ttl().duration();
        orders.post(ClientId::random(), &[message(ttl)]).unwrap();
        let claim = orders.claim(ClaimOptions::new().ttl(ttl).grace(ttl).limit(1)).unwrap().unwrap();
        assert_eq!(life(&claim), Some(ttl), "{fraction} µs behind the millisecond");
        claim.renew(ttl, ttl).unwrap();
        assert_eq!(orders.first(Sort::Oldest).unwrap().ttl().duration(), Some(ttl));
        // One that dies a moment before is.
        orders.post(ClientId::random(), &[message(Duration::from_millis(59_999))]).unwrap();
        let claim = orders.claim(ClaimOptions::new().ttl(ttl).grace(ttl).limit(1)).unwrap().unwrap();
        assert_eq!(life(&claim), Some(2 * ttl));
    }
}

#[test]
fn one_reading_past_all_dates_does_not_stop_the_store() {
    let clock = Arc::new(ManualClock::new(START));
    let engine = open(clock.clone());
    let orders = orders(&engine);
    clock.set_wall(Timestamp::MAX);
    assert_eq!(posted_at(&orders), START);
    assert!(engine.status().clock_readings_ignored() > 0);
    clock.set_wall(START);
    clock.advance(Duration::from_secs(1));
    assert_eq!(posted_at(&orders), clock.wall());
    engine.close().unwrap();
}

fn open(clock: Arc<dyn Clock>) -> Engine {
    Config::new().clock(clock).disk(Arc::new(SimulatedDisk::new())).background(false).open("/store").unwrap()
}

fn orders(engine: &Engine) -> Queue {
    let orders = engine.queue(Project::none(), "orders").unwrap();
    orders.create(Metadata::new()).unwrap();
    orders
}

/// The time of creation of a message that is posted now.
fn posted_at(orders: &Queue) -> Timestamp {
    orders.post(ClientId::random(), &[NewMessage::new("work").ttl(Duration::from_secs(3600))]).unwrap();
    let newest = orders.first(Sort::Newest).unwrap().created();
    if orders.stats().unwrap().total() > 1 {
        orders.pop(1).unwrap();
    }
    newest
}

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PAUSE: Duration = Duration::from_secs(2);
