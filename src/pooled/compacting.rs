//! Compaction of the stores of a pooled driver.

use super::PooledDriver;
use crate::model::error::Result;
use crate::store::compact_report::CompactReport;

impl PooledDriver {
    /// Gives back the disk space that the control store and the stores of the pools hold beyond need, one after the
    /// other, as [`Engine::compact`](crate::Engine::compact) does. What deleted and moved queues have left in pools is
    /// removed before.
    ///
    /// Cost: the sum of [`Engine::compact`](crate::Engine::compact) over the stores.
    ///
    /// Durability: nothing changes.
    ///
    /// # Errors
    /// as [`Engine::compact`](crate::Engine::compact); [`is_busy`](crate::Error::is_busy) as
    /// [`PoolUnavailable`](crate::Error::PoolUnavailable) for a pool whose store is out of reach. The first error is
    /// returned after every store has been tried.
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = |name| directory.path().join(name);
    /// let driver = PooledDriver::open(path("control"))?;
    /// let uri = PoolUri::new(format!("sled:{}", path("one").display()))?;
    /// driver.pools().create(&PoolName::new("one")?, &NewPool::new(uri))?;
    /// let report = driver.compact()?;
    /// assert!(report.after().journal() <= report.before().journal());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(&self) -> Result<CompactReport> {
        let shared = self.shared();
        let _call = shared.enter()?;
        shared.pools.forget_failures();
        let mut outcome = shared.all_pools().into_iter().try_for_each(|(_, pool)| pool.map(drop));
        outcome = outcome.and(shared.resume());
        let mut sum = CompactReport::default();
        for engine in shared.engines() {
            match engine.compact() {
                Ok(report) => sum.add(&report),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }
}
