//! The live claims of a queue.
//!
//! 1. A claim's number is the LSN of the operation that made it: unique, and the same in every recovery.
//! 2. `left` counts the live messages whose slots name the claim.
//! 3. A claim outlives its last message: it ends by time or release (contract 7.2).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::op::Sequences;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) id: [u8; 16],
    pub(crate) ttl: u64,
    pub(crate) expires: u64,
    /// The messages taken, those deleted since included.
    pub(crate) sequences: Sequences,
    /// Derived at load.
    #[serde(skip)]
    pub(crate) left: u32,
    /// The trees hold something under this claim's key.
    #[serde(skip)]
    pub(crate) stored: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Claims {
    claims: BTreeMap<u64, Claim>,
    numbers: HashMap<[u8; 16], u64>,
}

impl Claims {
    pub(crate) fn insert(&mut self, number: u64, claim: Claim) {
        self.numbers.insert(claim.id, number);
        self.claims.insert(number, claim);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Claim> {
        let claim = self.claims.remove(&number)?;
        self.numbers.remove(&claim.id);
        Some(claim)
    }

    pub(crate) fn number(&self, id: &[u8; 16]) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Claim> {
        self.claims.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Claim> {
        self.claims.get_mut(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.claims.iter().map(|(number, claim)| (*number, claim))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Claim)> {
        self.claims.iter_mut().map(|(number, claim)| (*number, claim))
    }

    pub(crate) fn len(&self) -> usize {
        self.claims.len()
    }

    /// A message of the claim `number` is gone.
    pub(crate) fn lose_one(&mut self, number: u64) {
        if let Some(claim) = self.claims.get_mut(&number) {
            claim.left = claim.left.saturating_sub(1);
            if claim.left == 0 {
                claim.sequences.clear();
            }
        }
    }
}
