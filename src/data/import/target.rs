//! Where an import puts what it reads: one store, or the stores of a pooled driver.

use std::sync::Arc;

use crate::contract::Pools;
use crate::data::queues::check_alone;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::{Metadata, NewPool, PoolName, Project, QueueName};
use crate::state::op::{NewQueue, Op};
use crate::state::{Description, Queue};
use crate::storage::journal::Growth;
use crate::storage::keys;
use crate::store::{Place, QueueSlot};

/// A queue that is to be made.
#[derive(Debug)]
pub(crate) struct NewQueueLine {
    pub(crate) project: Project,
    pub(crate) name: QueueName,
    pub(crate) number: u64,
    pub(crate) metadata: Metadata,
    /// Whether it has messages or claims.
    pub(crate) has_messages: bool,
    /// Whether it has or has had any.
    pub(crate) has_history: bool,
}

pub(crate) trait Target {
    /// The store of the queues' records, and of the rows of pools, flavors and mappings.
    fn control(&self) -> &Engine;

    fn create_pool(&self, name: &PoolName, pool: &NewPool) -> Result<()>;

    /// Makes a queue; returns the store of its content, and its place there.
    fn create_queue(&self, new: &NewQueueLine) -> Result<(Engine, Arc<QueueSlot>)>;

    /// The store of the subscriptions of that name.
    fn store_of_subscriptions(&self, project: &Project, name: &QueueName) -> Result<Engine>;
}

impl Target for Engine {
    fn control(&self) -> &Engine {
        self
    }

    fn create_pool(&self, name: &PoolName, pool: &NewPool) -> Result<()> {
        Pools::create(self, name, pool)
    }

    fn create_queue(&self, new: &NewQueueLine) -> Result<(Engine, Arc<QueueSlot>)> {
        let store = self.store();
        let (text, description) = check_queue(self, new)?;
        let Place::Free(mut directory) = store.lock_place(&keys::queue(&new.project, &new.name))? else {
            return Err(Error::invalid("queue", "it is there already"));
        };
        let (number, project, name) = (new.number, &new.project, &new.name);
        let op = Op::CreateQueue(NewQueue::new(number, project, name, &text));
        let lsn = store.append(Growth::Grows, store.now(), &op)?;
        let queue = Queue::new(number, project.clone(), name.clone(), description, lsn, &store.budget);
        let slot = directory.insert(queue, &store.budget);
        store.note_changed(&slot);
        Ok((self.clone(), slot))
    }

    fn store_of_subscriptions(&self, _: &Project, _: &QueueName) -> Result<Engine> {
        Ok(self.clone())
    }
}

/// Checks a queue's names and metadata; returns the metadata's text, and the description.
pub(crate) fn check_queue(control: &Engine, new: &NewQueueLine) -> Result<(String, Arc<Description>)> {
    let store = control.store();
    store.limits.check_project(&new.project)?;
    store.limits.check_queue_name(&new.name)?;
    // A chain of dead-letter queues may be of any length where each queue was created before the one that names it.
    let (text, settings) = check_alone(store, &new.metadata)?;
    Ok((text, Description { metadata: new.metadata.clone(), settings }.shared()))
}
