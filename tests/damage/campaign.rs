//! Random damage over every file of stores of every kind.

use super::cases::is_of_control;
use super::harm::{Harm, Kind};
use super::images::files;
use super::judge::{Figures, assert_enough, judge, print};
use super::random::Random;
use super::store::{ENDS, Ended};
use super::variables::{DAMAGE, SEED};

#[test]
fn random_damage_to_any_file_is_reported_or_harmless_and_salvage_recovers_intact_messages() {
    let (rounds, seed) = (DAMAGE.or(240_u64), SEED.or(1));
    let mut random = Random::new(seed);
    let mut figures = Figures::new();
    println!("seed {seed}, {rounds} rounds");
    for end in ENDS {
        let ended = Ended::new(end, seed);
        let original = files(&ended.disk);
        for _ in 0..rounds / ENDS.len() as u64 {
            let (path, bytes) = &original[random.below(original.len() as u64) as usize];
            let at = random.below(bytes.len() as u64);
            let harm = match random.below(8) {
                0..3 => Harm::Flip(at),
                3 => Harm::Zero(at),
                4 if random.below(2) == 0 => Harm::Garbage(at),
                4 => Harm::Unreadable(at),
                5 => Harm::Cut(at),
                6 => Harm::Remove,
                _ => Harm::Older,
            };
            if !bytes.is_empty() && Kind::of(path) != Kind::Other && !is_of_control(&original, path) {
                judge(&ended, &original, path, harm, &mut figures);
            }
        }
    }
    print("random", &figures);
    assert_enough(&figures);
}
