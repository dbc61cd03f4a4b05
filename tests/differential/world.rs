//! The events between calls: time, housekeeping, and the ends of processes.

use std::time::Duration;

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    Clock, ControlDriver, GcReport, Health, OperationStatus, PoolHealth, Project, QueueName, SimulatedDisk, Timestamp,
};

use crate::calls::Op;
use crate::pair::{Check, Pair, equal};
use crate::pools::pool_name;
use crate::subject::{Kind, Subject};

impl Pair<'_> {
    pub(crate) fn change_world(&mut self, op: &Op) -> Check {
        match op {
            Op::Advance(millis) => self.clock.advance(Duration::from_millis(*millis)),
            // Behind the wall clock no time passes while the engine is closed: the model, which never is, would have it
            // pass.
            Op::Step(by) if self.case.kind == Kind::Ticking && *by < 0 => {}
            Op::Step(by) => {
                self.pin_time()?;
                let wall = self.clock.wall().as_millis().saturating_add_signed(*by);
                self.clock.set_wall(Timestamp::from_millis(wall));
                self.ahead = self.ahead.max(i128::from(wall) - self.monotonic());
            }
            // These visit all queues one after the other, and not at one instant.
            Op::Gc | Op::GcAgain(_) | Op::Health if self.case.kind == Kind::Ticking => {}
            Op::Gc => return self.gc(),
            Op::GcAgain(millis) => return self.gc_again(*millis),
            Op::Health => return self.health(),
            Op::Reopen => return self.reopen(),
            Op::Kill => return self.restart(SimulatedDisk::kill),
            Op::PowerLoss(_) if self.case.buffered || self.has_been_loose => return self.restart(SimulatedDisk::kill),
            Op::PowerLoss(seed) => return self.restart(|disk| disk.power_loss(Keep::Random(*seed))),
            Op::Checkpoint => return self.subject.checkpoint().map_err(|error| error.to_string()),
            Op::Snapshot => return self.subject.snapshot().map_err(|error| error.to_string()),
            Op::Housekeep => return self.subject.step().map_err(|error| error.to_string()),
            _ => unreachable!("a controller's"),
        }
        Ok(())
    }

    fn health(&mut self) -> Check {
        self.both(
            |driver| driver.health(),
            |pair, engine, model| {
                let pools = engine.pools().iter().flat_map(PoolHealth::operations);
                equal(engine.operations().iter().chain(pools).all(OperationStatus::succeeded), true)?;
                let pool = |pool: &PoolHealth| (pool.name().clone(), pool.error().map(str::to_owned));
                let pools = |health: &Health| health.pools().iter().map(pool).collect::<Vec<_>>();
                equal(pools(engine), pools(model))?;
                // Several stores may have messages that no call can see any more.
                if pair.case.is_pooled() { Ok(()) } else { equal(engine.volume(), model.volume()) }
            },
        )
    }

    /// The counts differ, because the engine also frees items during calls. But a second collection must free nothing.
    pub(crate) fn gc(&mut self) -> Check {
        self.both(|driver| driver.gc(), |_, _, _| Ok(()))?;
        self.both(
            |driver| driver.gc(),
            |_, engine, model| {
                let nothing = GcReport::default();
                equal((*engine, *model), (nothing, nothing))
            },
        )
    }

    /// Items that expire while no call is made are freed only by the collection, so the counts are the same. Several
    /// stores may also free the contents that a deleted or moved queue has left.
    fn gc_again(&mut self, millis: u64) -> Check {
        self.gc()?;
        self.clock.advance(Duration::from_millis(millis));
        let counts = |report: &GcReport| [report.messages(), report.claims(), report.subscriptions(), report.queues()];
        self.both(
            |driver| driver.gc(),
            |pair, engine, model| {
                let mut both = counts(engine).into_iter().zip(counts(model));
                if pair.case.is_pooled() && both.all(|(engine, model)| engine >= model) {
                    Ok(())
                } else {
                    equal(engine, model)
                }
            },
        )
    }

    fn restart(&mut self, end: impl FnOnce(&SimulatedDisk) -> SimulatedDisk) -> Check {
        self.pin_time_if_behind()?;
        self.disk = end(&self.disk);
        self.open()
    }

    pub(crate) fn reopen(&mut self) -> Check {
        self.subject.data().close().map_err(|error| error.to_string())?;
        self.open()
    }

    fn open(&mut self) -> Check {
        self.openings += 1;
        self.subject = Subject::open(self.case, &self.engines_clock, &self.disk, self.openings);
        self.has_been_loose = false;
        self.subject.forget_memory(&self.model).map_err(|error| error.to_string())?;
        self.note_loose_pools()?;
        self.arrive()?;
        self.mapped_alike()
    }

    pub(crate) fn monotonic(&self) -> i128 {
        i128::try_from(self.clock.monotonic().as_millis()).unwrap()
    }

    pub(crate) fn is_behind(&self) -> bool {
        i128::from(self.clock.wall().as_millis()) < self.monotonic() + self.ahead
    }

    pub(crate) fn pin_time_if_behind(&self) -> Check {
        if self.is_behind() { self.pin_time() } else { Ok(()) }
    }

    /// Makes both read the clock, and the engine journal the time. The model reads the clock in every call and is never
    /// killed. The engine reads it when necessary; after a kill it continues from the wall clock or from its last
    /// change, whichever is later.
    pub(crate) fn pin_time(&self) -> Check {
        let (project, name) = (Project::named("elsewhere").unwrap(), QueueName::new("time").unwrap());
        let pin = |driver: &dyn ControlDriver| {
            driver.catalogue().insert(&project, &name, &pool_name(0))?;
            driver.catalogue().delete(&project, &name)
        };
        let pinned = pin(self.subject.control());
        self.show_time();
        pinned.and_then(|()| pin(&self.model)).map_err(|error| error.to_string())
    }
}
