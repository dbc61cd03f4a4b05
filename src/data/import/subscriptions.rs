//! The subscriptions that an import takes in, in portions of one name each.

use super::message::check_instants;
use super::target::Target;
use crate::data::export::line::SubscriptionLine;
use crate::engine::Engine;
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::model::{Metadata, Project, QueueName, Subscriber, SubscriptionId};
use crate::state::SubscriptionRow;
use crate::state::op::{Address, Change, Op};
use crate::storage::journal::Growth;

/// The subscriptions of one name.
pub(super) struct OpenSubscriptions {
    engine: Engine,
    project: Project,
    name: QueueName,
    last: Option<SubscriptionId>,
    ready: Vec<([u8; 16], SubscriptionRow)>,
    bytes: usize,
}

impl OpenSubscriptions {
    pub(super) fn new(target: &impl Target, project: Project, name: QueueName) -> Result<Self> {
        let limits = &target.control().store().limits;
        limits.check_project(&project)?;
        limits.check_queue_name(&name)?;
        let engine = target.store_of_subscriptions(&project, &name)?;
        let (last, ready) = (None, Vec::new());
        Ok(Self { engine, project, name, last, ready, bytes: 0 })
    }

    pub(super) fn is_of(&self, project: &Project, name: &QueueName) -> bool {
        self.project == *project && self.name == *name
    }

    /// Takes in a subscription of this name, in the place of an earlier one of the same subscriber: the export may have
    /// read the one before it ended, and the other after it began. The numbers in the export are of incarnations before
    /// `incarnation`.
    pub(super) fn take(&mut self, line: &SubscriptionLine<'_>, incarnation: u32) -> Result<()> {
        check_instants(&[Some(line.ttl), Some(line.created), Some(line.expires)])?;
        let (subscriber, options) = (Subscriber::new(&line.subscriber)?, Metadata::from_json(line.options.get())?);
        self.engine.store().limits.check_subscription(Some(&subscriber), None, Some(&options))?;
        if self.last.replace(line.id).is_some_and(|last| line.id <= last) {
            return Err(Error::invalid("id", "it is not behind that of the subscription before"));
        }
        if incarnation_of(line.id.number()) >= incarnation {
            return Err(Error::invalid("id", "it is of a later incarnation than the export"));
        }
        let row = SubscriptionRow {
            subscriber: subscriber.as_str().to_owned(),
            ttl: line.ttl,
            created: line.created,
            expires: line.expires,
            options: options.to_json(),
            confirmed: line.confirmed,
        };
        self.bytes = self.bytes.saturating_add(row.subscriber.len()).saturating_add(row.options.len());
        self.ready.push((*line.id.as_bytes(), row));
        if self.ready.len() >= ROWS_AT_ONCE || self.bytes >= BYTES_AT_ONCE { self.put() } else { Ok(()) }
    }

    /// Writes what has come.
    pub(super) fn put(&mut self) -> Result<()> {
        self.bytes = 0;
        let subscriptions = std::mem::take(&mut self.ready);
        if subscriptions.is_empty() {
            return Ok(());
        }
        let store = self.engine.store().enter()?;
        store.wait_for_admission()?;
        let change = Change::TakeSubscriptions { address: Address::of(&self.project, &self.name), subscriptions };
        store.lock_registry().record(Growth::Grows, &Op::Registry(change), &mut []).map(drop)
    }
}

const ROWS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;
