//! Random damage over every file of stores of every kind.

use std::env;

use super::cases::is_of_control;
use super::harm::{Harm, Kind};
use super::images::files;
use super::judge::{Figures, assert_enough, judge, print};
use super::store::{ENDS, Ended};

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

#[test]
fn random_damage_to_any_file_is_reported_or_harmless_and_salvage_recovers_intact_messages() {
    let (rounds, seed) = (number("ZAQAR_DAMAGE", 240), number("ZAQAR_SEED", 1));
    let mut random = Random(seed);
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
