//! The start of a call.

use std::ops::Deref;

use super::Store;
use super::calls::InFlight;
use crate::model::error::Result;
use crate::model::{Project, QueueName};

/// A store for the duration of a call.
#[derive(Debug)]
#[must_use = "a call is in flight for as long as this lives"]
pub(crate) struct Call<'a> {
    store: &'a Store,
    _in_flight: InFlight<'a>,
}

impl Deref for Call<'_> {
    type Target = Store;

    fn deref(&self) -> &Store {
        self.store
    }
}

impl Store {
    /// Begins a call, which is in progress until the result is dropped.
    ///
    /// # Errors
    /// `Closed`.
    pub(crate) fn enter(&self) -> Result<Call<'_>> {
        Ok(Call { _in_flight: self.calls.enter()?, store: self })
    }

    /// As [`Self::enter`], for a call of the contract on a queue; checks the names against the limits.
    pub(crate) fn enter_queue(&self, project: &Project, name: &QueueName) -> Result<Call<'_>> {
        let call = self.enter_project(project)?;
        self.limits.check_queue_name(name)?;
        Ok(call)
    }

    /// As [`Self::enter_queue`], for a call that names no queue.
    pub(crate) fn enter_project(&self, project: &Project) -> Result<Call<'_>> {
        let call = self.enter()?;
        self.limits.check_project(project)?;
        Ok(call)
    }
}
