//! Messages of a claim that are given back, or put under a claim of their own, and whose page cannot be read when the
//! journal is replayed: the claims hold what they held, the store opens again after a snapshot, and every message of
//! every other page is unaffected.

use zaqar_sled::disk::{Disk, SimulatedDisk};
use zaqar_sled::{Claim, ClaimOptions, Engine, Message, Project, Queue, Retry};

use super::support::{ROOT, chill, clock, config, fill, places, queue, seconds};

/// Twenty-three messages of 700 bytes fit into a page of 16 KiB.
const MESSAGES: u64 = 60;
/// A message of the first page that is not claimed.
const FREE: u8 = 20;

/// What is done with a claim on the first messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    /// Some are given back.
    Back,
    /// Some are given back, each with a delay and a reason of its own.
    BackLater,
    /// All are given back, so that the claim has none.
    BackAll,
    /// Some are put under another claim.
    Apart,
    /// All are put under another claim, also those of the next page, and one of the next page is deleted.
    AllApart,
}

/// Messages that the claim takes, some of them of the second page.
const HELD: usize = 30;

fn give(given: Given, jobs: &Queue, claim: &Claim) {
    let ids: Vec<_> = claim.messages().iter().map(Message::id).collect();
    let back = |count: usize| ids.iter().take(count).map(|id| Retry::new(*id)).collect::<Vec<_>>();
    match given {
        Given::Back => assert_eq!(claim.retry_all(&back(2)).unwrap(), 2),
        Given::BackLater => {
            let later = |(n, retry): (u64, Retry)| retry.delay(seconds(10 + n)).reason(format!("reason {n}"));
            let retries: Vec<Retry> = (0..).zip(back(25)).map(later).collect();
            assert_eq!(claim.retry_all(&retries).unwrap(), 25);
        }
        Given::BackAll => assert_eq!(claim.retry_all(&back(HELD)).unwrap(), HELD as u64),
        Given::Apart => drop(claim.split(&ids[1..3], seconds(500), seconds(0)).unwrap().unwrap()),
        Given::AllApart => {
            let apart = claim.split(&ids, seconds(500), seconds(0)).unwrap().unwrap();
            let last = jobs.get(&ids[HELD - 1]).unwrap();
            apart.delete(&last).unwrap();
        }
    }
}

fn counts(jobs: &Queue) -> (u64, u64) {
    let stats = jobs.stats().unwrap();
    (stats.free(), stats.claimed())
}

fn opened(disk: &SimulatedDisk, clock: &std::sync::Arc<zaqar_sled::ManualClock>, context: &str) -> (Engine, Queue) {
    let engine = config(disk, clock, 2).open(ROOT).unwrap_or_else(|error| panic!("{context}: {error}"));
    let jobs = engine.queue(Project::none(), "jobs").unwrap();
    (engine, jobs)
}

#[test]
fn what_a_claim_gave_away_stays_given_when_its_page_cannot_be_read_in_a_replay() {
    for given in [Given::Back, Given::BackLater, Given::BackAll, Given::Apart, Given::AllApart] {
        for (closes, heals) in [(false, false), (true, false), (false, true), (true, true)] {
            let context = format!("{given:?}, closes: {closes}, heals: {heals}");
            let (disk, clock) = (SimulatedDisk::new(), clock());
            let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
            let jobs = queue(&engine, "jobs");
            fill(&jobs, usize::try_from(MESSAGES).unwrap());
            chill(&engine);
            engine.snapshot().unwrap();
            let options = ClaimOptions::new().limit(HELD).ttl(seconds(1_000)).grace(seconds(0));
            let claim = jobs.claim(options).unwrap().unwrap();
            give(given, &jobs, &claim);
            let live = counts(&jobs);
            let disk = disk.kill();
            drop(engine);
            let rotten = places(&disk, FREE);
            let flip = |disk: &SimulatedDisk| {
                // A snapshot removes files without a page that is in use.
                let there = rotten.iter().filter(|(path, _)| disk.exists(path).unwrap());
                there.for_each(|(path, at)| disk.corrupt(path, *at, 1).unwrap());
            };
            flip(&disk);

            let (engine, jobs) = opened(&disk, &clock, &context);
            assert_eq!(counts(&jobs), live, "{context}");
            engine.snapshot().unwrap();
            let disk = if closes {
                engine.close().unwrap();
                disk
            } else {
                disk.kill()
            };
            drop(engine);
            if heals {
                flip(&disk);
            }
            let (engine, jobs) = opened(&disk, &clock, &context);
            assert_eq!(counts(&jobs), live, "{context}");
            clock.advance(seconds(1_001));
            engine.step().unwrap();
            let total = live.0 + live.1;
            assert_eq!(counts(&jobs), (total, 0), "{context}: every claim ends");
            let again = jobs.claim(ClaimOptions::new().limit(100).ttl(seconds(60)).grace(seconds(0))).unwrap().unwrap();
            let unreadable = if heals { 0 } else { 23 };
            assert_eq!(again.messages().len() as u64, total - unreadable, "{context}");
            assert!(engine.verify().unwrap().findings().is_empty() || !heals, "{context}");
        }
    }
}
