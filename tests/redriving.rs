//! Redrives beside other threads.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the way to say what is wrong")]

#[path = "support/waits.rs"]
mod waits;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use zaqar_sled::{ClaimOptions, ClientId, Message, NewMessage, QueueSettings, RedriveOptions};

use waits::{created, engine};

fn bodies<'a>(messages: impl IntoIterator<Item = &'a Message>) -> BTreeSet<Vec<u8>> {
    messages.into_iter().map(|message| message.body().as_bytes().to_vec()).collect()
}

#[test]
fn a_dead_letter_is_either_claimed_or_put_back() {
    const LETTERS: u8 = 40;
    let (engine, _) = engine();
    let (jobs, dead) = (created(&engine, "jobs"), created(&engine, "dead"));
    jobs.set_metadata(&QueueSettings::new().dead_letters("dead", 1).into()).unwrap();
    let all: BTreeSet<Vec<u8>> = (0..LETTERS).map(|number| vec![number]).collect();
    let (mut claimed_ever, mut moved_ever) = (0, 0);
    for round in 0..200 {
        let letters: Vec<NewMessage> = all.iter().cloned().map(NewMessage::new).collect();
        jobs.post(ClientId::random(), &letters).unwrap();
        jobs.claim(ClaimOptions::new().limit(100)).unwrap().unwrap().release().unwrap();
        assert!(jobs.claim(ClaimOptions::new().limit(100)).unwrap().is_none());
        let is_claiming = AtomicBool::new(false);
        let (claimed, moved) = thread::scope(|scope| {
            let claims = scope.spawn(|| {
                let mut claimed = Vec::new();
                while let Some(claim) = dead.claim(ClaimOptions::new().limit(1)).unwrap() {
                    is_claiming.store(true, Ordering::SeqCst);
                    claimed.extend_from_slice(claim.messages());
                    thread::yield_now();
                }
                claimed
            });
            while !is_claiming.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            let moved = dead.redrive(&RedriveOptions::new()).unwrap().moved();
            (claims.join().unwrap(), moved)
        });
        let back = jobs.pop(100).unwrap();
        assert_eq!((back.len() as u64, claimed.len() + back.len()), (moved, usize::from(LETTERS)), "round {round}");
        assert_eq!(&bodies(&claimed) | &bodies(&back), all, "round {round}");
        assert_eq!(dead.stats().unwrap().total(), claimed.len() as u64, "round {round}: what is claimed stays");
        dead.purge().unwrap();
        (claimed_ever, moved_ever) = (claimed_ever + claimed.len(), moved_ever + back.len());
    }
    assert!(claimed_ever > 0 && moved_ever > 0, "{claimed_ever} claimed, {moved_ever} moved");
}

#[test]
fn what_arrives_during_a_redrive_stays() {
    const LETTERS: usize = 3_000;
    let (engine, _) = engine();
    let (dead, sink) = (created(&engine, "dead"), created(&engine, "sink"));
    let options = RedriveOptions::new().to(sink.name().clone());
    for round in 0..5 {
        dead.post(ClientId::random(), &vec![NewMessage::new("early"); LETTERS]).unwrap();
        let is_over = AtomicBool::new(false);
        let moved = thread::scope(|scope| {
            scope.spawn(|| {
                // Once a message has moved, the call has decided which are early.
                while sink.stats().unwrap().total() == 0 {
                    thread::yield_now();
                }
                while !is_over.load(Ordering::SeqCst) {
                    dead.post(ClientId::random(), &vec![NewMessage::new("late"); 10]).unwrap();
                }
            });
            let moved = dead.redrive(&options).unwrap().moved();
            is_over.store(true, Ordering::SeqCst);
            moved
        });
        assert_eq!(moved, LETTERS as u64, "round {round}");
        dead.purge().unwrap();
        sink.purge().unwrap();
    }
}
