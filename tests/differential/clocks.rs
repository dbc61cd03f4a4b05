//! Time that passes whenever the engine reads its clock, and a clock that shows the model the engine's last reading.
//!
//! The instant of a call is its last reading, when all locks of the call are held. The model reads its clock once a
//! call and gets that reading. So the engine must not depend on the time between two of its readings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zaqar_sled::{Clock, ManualClock, Timestamp};

use crate::clock::{Reading, WatchedClock};

/// The clocks of the engine and of the model.
pub(crate) struct Ticking {
    /// A millisecond passes before every reading.
    pub(crate) engines: Arc<WatchedClock>,
    /// It stands still until it is shown the next instant.
    pub(crate) models: Arc<ManualClock>,
    last: Arc<Mutex<Option<Instant>>>,
}

/// The readings of the wall clock and of the monotonic clock.
type Instant = (Timestamp, Duration);

impl Ticking {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        let models = Arc::new(ManualClock::new(clock.wall()));
        models.advance(TICK);
        models.set_wall(clock.wall());
        let last = Arc::new(Mutex::new(None));
        let engines = WatchedClock::around(clock);
        engines.before_each(|_, clock| clock.advance(TICK));
        engines.after_each({
            let last = last.clone();
            move |_, reading, clock| note(&mut last.lock().unwrap_or_else(PoisonError::into_inner), reading, clock)
        });
        Self { engines, models, last }
    }

    /// Shows the model the engine's last instant since this was called; without one, the current time.
    pub(crate) fn show_last(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let clock = self.engines.within();
        // The monotonic one is read a tick after the wall clock.
        let (wall, monotonic) = last.unwrap_or_else(|| (clock.wall(), clock.monotonic() + TICK));
        self.models.advance(monotonic.saturating_sub(self.models.monotonic()));
        self.models.set_wall(wall);
    }
}

/// The engine reads the wall clock first, and the monotonic one after it.
fn note(last: &mut Option<Instant>, reading: Reading, clock: &ManualClock) {
    *last = Some(match (reading, *last) {
        (Reading::Wall(wall), _) => (wall, clock.monotonic()),
        (Reading::Monotonic(monotonic), Some((wall, _))) => (wall, monotonic),
        (Reading::Monotonic(monotonic), None) => (clock.wall(), monotonic),
    });
}

const TICK: Duration = Duration::from_millis(1);
