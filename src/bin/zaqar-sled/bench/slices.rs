//! Short slices of the store's calls and of the bare ones, in turns: other load of the machine hits both.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::stop::Stop;
use super::tally::Tally;
use crate::failure::Failure;

/// Work that is measured.
pub(crate) trait Work: Sync {
    /// Makes everything ready for a slice; says how many calls it may have at most.
    fn prepare(&self, stop: &Stop) -> Result<u64, Failure>;

    fn call(&self) -> Result<(), Failure>;
}

/// The time of each measurement.
#[derive(Debug)]
pub(crate) struct Slices {
    each: Duration,
    stop: Stop,
}

impl Slices {
    pub(crate) fn new(each: Duration, stop: Stop) -> Self {
        Self { each, stop }
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Measures both in turns, each by so many threads, and in one slice at least, if nothing stops that.
    pub(crate) fn alternate(&self, of: [(usize, &dyn Work); 2]) -> Result<[Tally; 2], Failure> {
        let (begun, mut tallies) = (Instant::now(), <[Tally; 2]>::default());
        loop {
            for ((threads, work), tally) in of.into_iter().zip(&mut tallies) {
                tally.follow(&self.slice(threads, work)?);
            }
            if begun.elapsed() >= self.each || self.stop.is_set() {
                return Ok(tallies);
            }
        }
    }

    fn slice(&self, threads: usize, work: &dyn Work) -> Result<Tally, Failure> {
        let left = AtomicU64::new(work.prepare(&self.stop)?);
        let mut all = Tally::default();
        thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().spawn_scoped(scope, || self.repeat(work, &left));
            let running = (0..threads).map(spawn).collect::<Result<Vec<_>, _>>().map_err(Failure::Thread)?;
            for thread in running {
                all.join(&thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))?);
            }
            Ok(all)
        })
    }

    /// Calls until the slice is over, nothing is left or the measurements stop. The clock is read once a call.
    fn repeat(&self, work: &dyn Work, left: &AtomicU64) -> Result<Tally, Failure> {
        let (length, mut latencies) = (LONGEST.min(self.each / 4), Histogram::default());
        let begun = Instant::now();
        let mut now = begun;
        while !self.stop.is_set() && take(left) {
            work.call()?;
            let before = std::mem::replace(&mut now, Instant::now());
            latencies.record(now - before);
            if now - begun >= length {
                break;
            }
        }
        Ok(Tally::new(latencies, now - begun))
    }
}

fn take(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

/// The longest slice.
const LONGEST: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use parking_lot::Mutex;
    use signal_hook::consts::SIGTERM;

    use super::*;

    /// Notes who calls.
    #[derive(Debug, Default)]
    struct Noted<'a> {
        room: u64,
        failing: bool,
        stops: Option<&'a Stop>,
        calls: AtomicU64,
        slices: AtomicU64,
        threads: Mutex<BTreeSet<String>>,
    }

    impl Work for Noted<'_> {
        fn prepare(&self, _: &Stop) -> Result<u64, Failure> {
            self.slices.fetch_add(1, Ordering::Relaxed);
            Ok(self.room)
        }

        fn call(&self) -> Result<(), Failure> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.threads.lock().insert(format!("{:?}", thread::current().id()));
            self.stops.into_iter().for_each(|stop| stop.set(SIGTERM));
            if self.failing { Err(Failure::NotSeen("as a full disk would".into())) } else { Ok(()) }
        }
    }

    fn calls(work: &Noted<'_>) -> u64 {
        work.calls.load(Ordering::Relaxed)
    }

    #[test]
    fn both_take_turns_and_every_call_is_counted() -> Result<(), Failure> {
        let slices = Slices::new(Duration::from_millis(20), Stop::default());
        let [one, other] = [1000, 7].map(|room| Noted { room, ..Noted::default() });
        let [first, second] = slices.alternate([(2, &one), (2, &other)])?;
        assert_eq!([first.calls(), second.calls()], [calls(&one), calls(&other)]);
        let turns = other.slices.load(Ordering::Relaxed);
        assert_eq!(one.slices.load(Ordering::Relaxed), turns);
        assert!((turns..=7 * turns).contains(&calls(&other)), "{turns} slices of up to 7 calls: {other:?}");
        assert!(first.rate(1) > 0 && second.rate(1) > 0);
        Ok(())
    }

    #[test]
    fn even_without_time_each_has_one_call_of_every_thread() -> Result<(), Failure> {
        let slices = Slices::new(Duration::ZERO, Stop::default());
        let [one, other] = [u64::MAX, u64::MAX].map(|room| Noted { room, ..Noted::default() });
        let tallies = slices.alternate([(3, &one), (3, &other)])?;
        assert_eq!(tallies.map(|tally| tally.calls()), [3, 3]);
        assert_eq!((one.threads.lock().len(), other.threads.lock().len()), (3, 3));
        Ok(())
    }

    #[test]
    fn work_with_nothing_to_do_has_no_figures_and_ends() -> Result<(), Failure> {
        let slices = Slices::new(Duration::from_millis(1), Stop::default());
        let tallies = slices.alternate([(1, &Noted::default()), (1, &Noted::default())])?;
        assert_eq!(tallies.map(|tally| (tally.calls(), tally.rate(1))), [(0, 0), (0, 0)]);
        Ok(())
    }

    #[test]
    fn a_signal_ends_the_measurements_at_the_next_call() -> Result<(), Failure> {
        let slices = Slices::new(Duration::from_secs(3600), Stop::default());
        let stops = Noted { room: u64::MAX, stops: Some(slices.stop()), ..Noted::default() };
        let other = Noted { room: u64::MAX, ..Noted::default() };
        slices.alternate([(1, &stops), (1, &other)])?;
        assert_eq!((calls(&stops), calls(&other)), (1, 0));
        assert_eq!(slices.stop().signal(), Some(SIGTERM));
        slices.stop().set(signal_hook::consts::SIGINT);
        assert_eq!(slices.stop().signal(), Some(SIGTERM), "the first one counts");
        Ok(())
    }

    /// A call that panics, as a bug would make it.
    struct Panicking;

    impl Work for Panicking {
        fn prepare(&self, _: &Stop) -> Result<u64, Failure> {
            Ok(1)
        }

        fn call(&self) -> Result<(), Failure> {
            panic!("a bug");
        }
    }

    #[test]
    fn a_panic_of_a_thread_goes_on_in_the_caller() {
        let slices = Slices::new(Duration::from_secs(3600), Stop::default());
        let measured = || slices.alternate([(2, &Panicking), (2, &Noted::default())]).map(drop);
        let panicked = panic::catch_unwind(panic::AssertUnwindSafe(measured)).unwrap_err();
        assert_eq!(panicked.downcast_ref(), Some(&"a bug"));
    }

    #[test]
    fn a_failure_ends_the_measurements() {
        let slices = Slices::new(Duration::from_secs(3600), Stop::default());
        let failing = Noted { room: u64::MAX, failing: true, ..Noted::default() };
        let ended = slices.alternate([(2, &failing), (2, &Noted::default())]);
        assert!(matches!(ended, Err(Failure::NotSeen(_))), "{ended:?}");
        assert!((1..=2).contains(&calls(&failing)));
    }
}
