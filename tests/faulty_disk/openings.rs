//! An opening that fails or is cut off at any of its disk calls leaves a store that opens with everything in it.

use zaqar_sled::disk::{Calls, Fault, FaultError, Keep, Operation, SimulatedDisk};
use zaqar_sled::{Durability, Engine, MessageId, Project};

use super::support::{ROOT, clock, config, fill, listed, queue};

/// A store, and the messages in it.
struct Store {
    disk: SimulatedDisk,
    ids: Vec<MessageId>,
    segment: u64,
}

impl Store {
    /// Killed, with a last segment that is too long to be copied.
    fn killed(durability: Durability) -> Self {
        let (disk, segment) = (SimulatedDisk::new(), 128 << 10);
        let engine = config(&disk, &clock(), 1).segment_size(segment).durability(durability).open(ROOT).unwrap();
        let ids = fill(&queue(&engine, "jobs"), 110);
        Self { disk: disk.kill(), ids, segment }
    }

    /// Closed, with so many segments that the next opening copies them together.
    fn closed() -> Self {
        let (disk, segment) = (SimulatedDisk::new(), 256 << 10);
        let mut ids = Vec::new();
        for seed in 1..=4 {
            let engine = config(&disk, &clock(), seed).segment_size(segment).open(ROOT).unwrap();
            ids.extend(fill(&queue(&engine, "jobs"), 3));
            engine.close().unwrap();
        }
        Self { disk, ids, segment }
    }

    fn open(&self, disk: &SimulatedDisk, seed: u64) -> Result<Engine, zaqar_sled::Error> {
        config(disk, &clock(), seed).segment_size(self.segment).open(ROOT)
    }

    /// Asserts that the store opens with everything in it. It is left as after a kill.
    fn assert_opens(&self, disk: &SimulatedDisk, seed: u64, context: &str) {
        let engine = self.open(disk, seed).unwrap_or_else(|error| panic!("{context}: {error}"));
        let found = listed(&engine.queue(Project::none(), "jobs").unwrap());
        let found = found.unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(found == self.ids, "{context}: {} of {} messages", found.len(), self.ids.len());
        std::mem::forget(engine);
    }

    /// Asserts that the store opens after an opening that `fault` made fail, and again after a power cut; returns
    /// whether the first opening succeeded.
    fn survives(self, context: &str, keep: Keep, fault: impl Fn(&SimulatedDisk)) -> bool {
        let disk = self.disk.kill();
        fault(&disk);
        let opened = self.open(&disk, 50).map(std::mem::forget).is_ok();
        let disk = disk.kill();
        disk.heal();
        self.assert_opens(&disk, 51, context);
        // Everything that the second opening relied on is on the device.
        self.assert_opens(&disk.power_loss(keep), 52, &format!("{context}, after a power cut: {keep:?}"));
        opened
    }
}

#[test]
fn a_creation_that_failed_and_was_tried_again_leaves_a_store_that_opens_after_a_power_cut() {
    for calls in [Calls::any(), Calls::of([Operation::Sync, Operation::SyncDir])] {
        for keep in (0..12).map(Keep::Random).chain([Keep::Nothing]) {
            let failed = (1..).take_while(|nth| {
                let disk = SimulatedDisk::new();
                disk.inject(Fault::on(calls.clone()).nth(*nth).forever());
                let open = |disk: &SimulatedDisk, seed| config(disk, &clock(), seed).open(ROOT);
                let opened = (1..=3).filter(|seed| open(&disk, *seed).map(std::mem::forget).is_ok()).count();
                let left = disk.power_loss(keep);
                left.heal();
                let engine =
                    open(&left, 4).unwrap_or_else(|error| panic!("call {nth} of {calls:?}, {keep:?}: {error}"));
                queue(&engine, "jobs");
                opened == 0
            });
            assert!(failed.count() > 2);
        }
    }
}

#[test]
fn an_opening_cut_off_at_any_call_leaves_a_store_that_opens() {
    for (name, store) in SHAPES {
        let keeps = if name == MANY { 4 } else { 1 };
        for keep in (0..keeps).map(Keep::Random).chain([Keep::Nothing]) {
            let failed = (0..).take_while(|calls| {
                let opened = store().survives(&format!("{name}, {calls} calls"), keep, |disk| disk.fail_after(*calls));
                !opened
            });
            assert!(failed.count() > 10, "{name}");
        }
    }
}

#[test]
fn an_opening_whose_nth_call_fails_leaves_a_store_that_opens() {
    for (name, store) in SHAPES {
        // What is not synced, the device may lose.
        let unsynced = name.contains("unsynced");
        for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
            for nth in (1..30).filter(|_| !(unsynced && operation == Operation::Sync)) {
                let fault = |disk: &SimulatedDisk| {
                    disk.inject(Fault::on(operation).nth(nth).error(FaultError::ProcessDescriptors));
                };
                store().survives(&format!("{name}, {operation:?} {nth}"), Keep::Random(nth), fault);
            }
        }
    }
}

const MANY: &str = "many segments";
type Make = fn() -> Store;
const SHAPES: [(&str, Make); 3] = [
    ("a long last segment", || Store::killed(Durability::Sync)),
    ("a long unsynced last segment", || Store::killed(Durability::Buffered)),
    (MANY, Store::closed),
];
