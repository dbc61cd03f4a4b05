//! The reasons with which messages of a page were given back: texts beside the few messages that have one.
//!
//! Memory: 24 B for a page; the text and about 60 B for each reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// By the message's distance from the page's first sequence.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reasons(BTreeMap<u32, Arc<str>>);

impl Reasons {
    pub(super) fn get(&self, distance: u32) -> Option<&str> {
        self.0.get(&distance).map(|reason| &**reason)
    }

    pub(super) fn set(&mut self, distance: u32, reason: Option<&str>) {
        match reason {
            Some(reason) => drop(self.0.insert(distance, reason.into())),
            None => drop(self.0.remove(&distance)),
        }
    }

    /// The reasons of the messages at these distances.
    pub(super) fn of(&self, distances: impl Iterator<Item = u32>) -> Self {
        if self.0.is_empty() {
            return Self::default();
        }
        Self(distances.filter_map(|distance| Some((distance, self.0.get(&distance)?.clone()))).collect())
    }

    /// Bytes of memory, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.0.values().map(|reason| reason.len() + REASON_BYTES).sum()
    }

    /// The distances of the messages with a reason.
    pub(super) fn distances(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }
}

const REASON_BYTES: usize = 60;
