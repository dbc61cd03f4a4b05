//! The places at which this process is opening a store. Two threads that open the same store get one engine, and
//! openings at other places do not wait.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::lock::{Condvar, Mutex, Rank};

/// A disk, and a path on it.
pub(crate) type Place = (usize, PathBuf);

#[derive(Debug)]
pub(crate) struct Places {
    taken: Mutex<BTreeSet<Place>>,
    freed: LazyLock<Condvar>,
}

/// A place that this thread has reserved for an opening. Other threads wait until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    places: &'a Places,
    place: Place,
}

impl Places {
    pub(crate) const fn new() -> Self {
        Self { taken: Mutex::new(Rank::Opening, BTreeSet::new()), freed: LazyLock::new(Condvar::default) }
    }

    /// Waits until no other thread opens a store at the place.
    pub(crate) fn take(&self, place: &Place) -> Taken<'_> {
        let mut taken = self.taken.lock();
        while !taken.insert(place.clone()) {
            self.freed.wait(&mut taken);
        }
        Taken { places: self, place: place.clone() }
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.places.taken.lock().remove(&self.place);
        self.places.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_taken_once_and_others_are_free_meanwhile() {
        let places = Places::new();
        let (here, there) = ((0, PathBuf::from("/here")), (0, PathBuf::from("/there")));
        let first = places.take(&here);
        drop(places.take(&there));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| drop(places.take(&here)));
            std::thread::yield_now();
            assert!(!second.is_finished());
            drop(first);
        });
        assert!(places.taken.lock().is_empty());
    }
}
