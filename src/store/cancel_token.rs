//! Ending waits from another thread.
//!
//! 1. A wait registers before it checks the token, so a token that is cancelled after the check wakes it.
//! 2. A wait that has ended is not registered any more, and a token without waits takes no memory for them.
//!
//! Cost: a wait registers and leaves in O(1); cancelling is O(waits).

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use super::waiter::Waiter;
use crate::lock::{Mutex, Rank};
use crate::sync::atomic::{AtomicBool, Ordering};

/// Ends waits for messages from another thread: of one call, or of thousands that share the token.
/// A clone is the same token. A token is cancelled once and for all.
///
/// A wait that is given the token ([`Queue::claim_wait_with`](crate::Queue::claim_wait_with)) returns
/// `None` as soon as the token is cancelled, and at once, without a claim, if that has happened
/// before. A claim that the call has already made is returned. The engine stays open, and a
/// cancelled wait takes no message and no wake-up away from others.
///
/// Cost: 100 bytes; 50 bytes for each wait, until it ends.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{CancelToken, ClaimOptions, Config, Metadata, Project};
///
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new().disk(disk).open("store")?;
/// let jobs = engine.queue(Project::none(), "jobs")?;
/// jobs.create(Metadata::new())?;
/// let stop = CancelToken::new();
/// let worker = std::thread::spawn({
///     let (jobs, stop) = (jobs.clone(), stop.clone());
///     move || {
///         let hour = Duration::from_secs(3600);
///         while let Some(claim) = jobs.claim_wait_with(ClaimOptions::new(), hour, &stop)? {
///             claim.delete_all()?;
///             claim.release()?;
///         }
///         Ok::<(), zaqar_sled::Error>(())
///     }
/// });
/// stop.cancel();
/// worker.join().expect("the worker does not panic")?;
/// assert_eq!(jobs.stats()?.total(), 0); // the engine is still open
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Token>);

struct Token {
    is_cancelled: AtomicBool,
    waits: Mutex<Waits>,
}

/// The waits that the token ends, each by a number of its own.
#[derive(Default)]
struct Waits {
    next: u64,
    /// Not by chance: the checker of schedules repeats a program by its seed.
    by_number: HashMap<u64, Arc<Waiter>, BuildHasherDefault<DefaultHasher>>,
}

/// A wait that a token ends, until this is dropped.
#[must_use = "the wait can be cancelled for as long as this lives"]
pub(crate) struct Cancellable<'a> {
    token: &'a CancelToken,
    number: u64,
}

impl CancelToken {
    /// A token that is not cancelled.
    ///
    /// ```
    /// assert!(!zaqar_sled::CancelToken::new().is_cancelled());
    /// ```
    pub fn new() -> Self {
        let waits = Mutex::new(Rank::Cancelling, Waits::default());
        Self(Arc::new(Token { is_cancelled: AtomicBool::new(false), waits }))
    }

    /// Ends the waits that have this token, now and from now on. More calls change nothing. May be
    /// called by any thread, and while messages are handled.
    ///
    /// Cost: O(waits); the call does not wait for them.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// let stop = CancelToken::new();
    /// stop.clone().cancel();
    /// assert!(stop.is_cancelled());
    /// let forever = std::time::Duration::MAX;
    /// assert!(jobs.claim_wait_with(ClaimOptions::new(), forever, &stop)?.is_none());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn cancel(&self) {
        self.0.is_cancelled.store(true, Ordering::SeqCst);
        self.0.waits.lock().by_number.values().for_each(|waiter| waiter.cancel());
    }

    /// Whether the token has been cancelled. A handler that runs long may ask now and then.
    ///
    /// Cost: one load.
    ///
    /// ```
    /// # use zaqar_sled::CancelToken;
    /// let (one, other) = (CancelToken::new(), CancelToken::new());
    /// one.cancel();
    /// assert!(one.is_cancelled() && !other.is_cancelled());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(Ordering::SeqCst)
    }

    /// Makes the token end the sleep of `waiter`.
    pub(crate) fn register(&self, waiter: &Arc<Waiter>) -> Cancellable<'_> {
        let mut waits = self.0.waits.lock();
        let number = waits.next;
        waits.next += 1;
        waits.by_number.insert(number, waiter.clone());
        drop(waits);
        if self.is_cancelled() {
            waiter.cancel();
        }
        Cancellable { token: self, number }
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

impl Drop for Cancellable<'_> {
    fn drop(&mut self) {
        let mut waits = self.token.0.waits.lock();
        waits.by_number.remove(&self.number);
        if waits.by_number.is_empty() {
            waits.by_number = HashMap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const MANY: usize = 50_000;

    #[test]
    fn waits_by_the_ten_thousand_share_a_token_and_leave_nothing_behind() {
        let token = CancelToken::new();
        let waiters: Vec<_> = (0..MANY).map(|_| Arc::new(Waiter::new())).collect();
        let mut registered: Vec<_> = waiters.iter().map(|waiter| token.register(waiter)).collect();
        assert_eq!(token.0.waits.lock().by_number.len(), MANY);
        let left = registered.split_off(MANY / 2);
        drop(left);
        token.cancel();
        for (number, waiter) in waiters.iter().enumerate() {
            if number < MANY / 2 {
                assert!(!waiter.sleep(None), "it was cancelled and not woken");
            } else {
                assert_eq!(Arc::strong_count(waiter), 1);
            }
        }
        drop(registered);
        assert!(waiters.iter().all(|waiter| Arc::strong_count(waiter) == 1));
        assert_eq!(token.0.waits.lock().by_number.capacity(), 0);
    }

    #[test]
    fn a_wait_that_registers_while_the_token_is_cancelled_does_not_sleep() {
        for _ in 0..500 {
            let token = CancelToken::new();
            let canceller = thread::spawn({
                let token = token.clone();
                move || token.cancel()
            });
            let waiter = Arc::new(Waiter::new());
            let _registered = token.register(&waiter);
            assert!(!waiter.sleep(None));
            canceller.join().unwrap();
        }
    }

    #[test]
    fn a_cancelled_wait_keeps_the_wake_up_that_it_got() {
        let (token, waiter) = (CancelToken::new(), Arc::new(Waiter::new()));
        let _registered = token.register(&waiter);
        waiter.wake();
        token.cancel();
        assert!(waiter.sleep(None), "it was woken too");
        assert!(!waiter.sleep(None));
        assert_eq!(format!("{token:?}"), "CancelToken { is_cancelled: true, .. }");
    }
}
