//! A damaged store: opening it either fails and changes nothing, or gives a store that verifies once its damaged pages
//! are dropped, works, and can be closed, killed and opened again. No call panics or hangs.
#![no_main]

use std::path::PathBuf;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use zaqar_sled::{Engine, Error, SimulatedDisk};
use zaqar_sled_fuzz::damage::Damage;
use zaqar_sled_fuzz::image::{self, Image, Kind, STORE};
use zaqar_sled_fuzz::survey;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    kind: Kind,
    damage: Vec<Damage<'a>>,
}

fuzz_target!(|input: Input<'_>| {
    let image = Image::of(input.kind);
    let disk = image.restored();
    let mut forged = false;
    for damage in input.damage.iter().take(MOST_DAMAGE) {
        if damage.inflict(&disk, image).is_some() {
            forged |= damage.is_forged();
        }
    }
    if let Some(engine) = opened(&disk, false, 10).or_else(|| opened(&disk, true, 11)) {
        go_on(disk, engine, !forged);
    }
});

/// Opens the store; one that does not open is as it was.
fn opened(disk: &SimulatedDisk, salvage: bool, seed: u64) -> Option<Engine> {
    let before = files(disk);
    match image::config(disk, &image::clock(), seed).salvage(salvage).open(STORE) {
        Ok(engine) => Some(engine),
        Err(error) => {
            let known = error.is_corrupt() || matches!(error, Error::UnsupportedFormat { .. });
            // A forged incarnation may be the last one. The error then comes late, when a new snapshot has been
            // written.
            assert!(known || is_last(&error), "opening gave {error:?}");
            assert!(is_last(&error) || before == files(disk), "opening gave {error:?} and changed the store");
            None
        }
    }
}

fn go_on(disk: SimulatedDisk, engine: Engine, is_ours: bool) {
    // An opening reads no pages: those with damage are found now, and each costs its own messages.
    engine.verify().expect("a store that opened can be verified");
    engine.drop_damaged().expect("no limit");
    survey::read_all(&engine, is_ours);
    survey::work(&engine, is_ours);
    engine.step().expect("no limit");
    engine.checkpoint().expect("no limit");
    engine.snapshot().expect("no limit");
    let left = survey::read_all(&engine, is_ours);
    engine.close().expect("no limit");

    let Some(engine) = opened_again(&disk, 12, is_ours) else { return };
    assert_eq!(survey::read_all(&engine, is_ours), left, "after a close");
    survey::work(&engine, is_ours);
    let left = survey::read_all(&engine, is_ours);

    let disk = disk.kill();
    drop(engine);
    let Some(engine) = opened_again(&disk, 13, is_ours) else { return };
    assert_eq!(survey::read_all(&engine, is_ours), left, "after a kill");
}

/// Asserts that a closed or killed store opens again, unless its incarnation was forged to be the last one.
fn opened_again(disk: &SimulatedDisk, seed: u64, is_ours: bool) -> Option<Engine> {
    let engine = opened(disk, false, seed);
    let was_last = || image::config(disk, &image::clock(), seed).open(STORE).is_err_and(|error| is_last(&error));
    assert!(engine.is_some() || (!is_ours && was_last()), "it was in order");
    engine
}

/// Whether the store has used its last incarnation.
fn is_last(error: &Error) -> bool {
    matches!(error, Error::Exhausted { .. })
}

fn files(disk: &SimulatedDisk) -> Vec<(PathBuf, Vec<u8>)> {
    Image::taken(disk).files
}

const MOST_DAMAGE: usize = 8;
