//! The quotas of projects.

use serde::{Deserialize, Serialize};

use super::Registry;
use crate::model::ProjectQuota;
use crate::storage::keys;

/// A quota, under its project. A project without limits has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QuotaRow {
    pub(crate) queues: Option<u64>,
    pub(crate) messages: Option<u64>,
    pub(crate) bytes: Option<u64>,
}

impl QuotaRow {
    /// The row of that quota; `None` if it has no limit.
    pub(crate) fn of(quota: &ProjectQuota) -> Option<Self> {
        let ProjectQuota { max_queues: queues, max_messages: messages, max_bytes: bytes } = *quota;
        (!quota.is_unlimited()).then_some(Self { queues, messages, bytes })
    }

    /// The row as callers see it.
    pub(crate) fn quota(self) -> ProjectQuota {
        ProjectQuota { max_queues: self.queues, max_messages: self.messages, max_bytes: self.bytes }
    }
}

impl Registry {
    pub(super) fn set_quota(&mut self, project: Option<&str>, quota: Option<QuotaRow>) {
        let key = keys::quota(project);
        match quota {
            Some(quota) => drop(self.quotas.insert(key, quota)),
            None => drop(self.quotas.remove(&key)),
        }
    }
}
