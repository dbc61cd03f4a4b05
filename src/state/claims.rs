//! The live claims of a queue.
//!
//! 1. A claim's number is the LSN of the operation that created it: unique, and the same in every recovery.
//! 2. `left` counts the live messages whose slots name the claim.
//! 3. A claim outlives its last message: it ends by time or release (contract 7.2). A claim without messages is
//!    *spent*. The store bounds the memory of spent claims: beyond the bound, an operation ends them early.
//! 4. Spent claims are stored in *groups* of close numbers. A worker that deletes all messages of its claims leaves
//!    thousands of them a second, and a record for each would cost as much as a page.
//!
//! Memory: about 240 B for a claim and 16 B for each run of its messages; a spent claim has no runs. `docs::bounds` has
//! the sum with alarms and indexes.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::state::sequences::Sequences;
use crate::storage::budget::{Budget, SpentCharge};

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
    /// It is charged to the account of claims without messages.
    #[serde(skip)]
    spent: bool,
    /// Its record was read in a group of claims without messages.
    #[serde(skip)]
    was_grouped: bool,
}

#[derive(Debug)]
pub(crate) struct Claims {
    by_number: BTreeMap<u64, Claim>,
    numbers: HashMap<[u8; 16], u64, BuildHasherDefault<IdHasher>>,
    /// The spent claims in the order in which they became spent, and some that have ended or are not spent any more. The
    /// first one is spent, so that the oldest are found without a search.
    spent: VecDeque<u64>,
    charge: SpentCharge,
}

impl Claim {
    pub(crate) fn new(id: [u8; 16], ttl: u64, expires: u64, sequences: Sequences, left: u32) -> Self {
        Self { id, ttl, expires, sequences, left, spent: false, was_grouped: false }
    }

    /// Whether no message is left, and the claim only lasts until its end or its release.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// The time since the claim was created or last renewed, in milliseconds.
    pub(crate) fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.start())
    }

    /// When the claim was created or last renewed.
    pub(crate) fn start(&self) -> u64 {
        self.expires.saturating_sub(self.ttl)
    }

    /// The claim as it was read in a group of claims without messages.
    pub(super) fn grouped(self) -> Self {
        Self { was_grouped: true, ..self }
    }

    /// The claim as it is imported into another store, before its messages.
    pub(crate) fn imported(&self) -> Self {
        Self::new(self.id, self.ttl, self.expires, self.sequences.clone(), 0)
    }
}

/// Takes the hash of a claim's id from its random bytes. Only ids that an engine made are in the map, so no caller can
/// choose ids that collide.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(random) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*random);
        }
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Claims {
    pub(crate) fn new(budget: &Arc<Budget>) -> Self {
        let (by_number, numbers, spent) = (BTreeMap::new(), HashMap::default(), VecDeque::new());
        Self { by_number, numbers, spent, charge: SpentCharge::new(budget) }
    }

    pub(crate) fn insert(&mut self, number: u64, claim: Claim) {
        self.numbers.insert(claim.id, number);
        self.by_number.insert(number, claim);
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Claim> {
        let claim = self.by_number.remove(&number)?;
        self.numbers.remove(&claim.id);
        if claim.spent {
            self.charge.end_one();
            self.forget_ended();
        }
        if self.by_number.is_empty() && self.numbers.capacity() > CAPACITY_KEPT {
            // Maps keep their capacity, and this much may not be needed again for long.
            *self = Self::new(self.charge.budget());
        }
        Some(claim)
    }

    pub(crate) fn number(&self, id: &[u8; 16]) -> Option<u64> {
        self.numbers.get(id).copied()
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Claim> {
        self.by_number.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Claim> {
        self.by_number.get_mut(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.by_number.iter().map(|(number, claim)| (*number, claim))
    }

    /// The claims with higher numbers than `number`; all, without one.
    pub(crate) fn behind(&self, number: Option<u64>) -> impl Iterator<Item = (u64, &Claim)> {
        let start = number.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_number.range((start, Bound::Unbounded)).map(|(number, claim)| (*number, claim))
    }

    /// The numbers of the claims with messages.
    pub(crate) fn holding(&self) -> impl Iterator<Item = (u64, &Claim)> {
        self.iter().filter(|(_, claim)| !claim.spent)
    }

    /// The spent claims of a group.
    pub(crate) fn spent_in(&self, group: u64) -> impl Iterator<Item = (u64, &Claim)> {
        let members = self.by_number.range(group..=group.saturating_add(GROUP_NUMBERS - 1));
        members.filter(|(_, claim)| claim.spent).map(|(number, claim)| (*number, claim))
    }

    /// The groups that have spent claims, ascending.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u64> {
        let spent = self.iter().filter(|(_, claim)| claim.spent);
        let mut last = None;
        spent.map(|(number, _)| group_of(number)).filter(move |group| last.replace(*group) != Some(*group))
    }

    /// The number of their records.
    pub(crate) fn records(&self) -> u64 {
        (self.len() as u64).saturating_sub(self.spent()).saturating_add(self.groups().count() as u64)
    }

    /// The claims that are spent although their record was read apart, and those that are not although it was read in
    /// a group.
    pub(crate) fn regrouped(&self) -> Vec<u64> {
        let other = self.iter().filter(|(_, claim)| claim.spent != claim.was_grouped);
        other.map(|(number, _)| number).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// How many have no messages left.
    pub(crate) fn spent(&self) -> u64 {
        self.charge.claims()
    }

    /// Counts `count` removed messages of the claim `number`; returns whether that changes the claim's record.
    pub(crate) fn lose(&mut self, number: u64, count: u32) -> bool {
        let Some(claim) = self.by_number.get_mut(&number) else { return false };
        let left = claim.left.saturating_sub(count);
        if left > 0 {
            claim.left = left;
            return false;
        }
        self.set_left(number, left)
    }

    /// Counts an added message of the claim `number`.
    pub(crate) fn gain_one(&mut self, number: u64) {
        if let Some(claim) = self.by_number.get_mut(&number) {
            claim.left = claim.left.saturating_add(1);
            if std::mem::take(&mut claim.spent) {
                self.charge.end_one();
                self.forget_ended();
            }
        }
    }

    /// Says how many messages were loaded of those that the claim `number` lists. A claim that lists some is not spent
    /// yet if none was: the rest of a replay may bring them, because a snapshot can be written in the middle of a move.
    pub(crate) fn set_loaded(&mut self, number: u64, left: u32) {
        match self.by_number.get_mut(&number) {
            Some(claim) if left == 0 && !claim.sequences.is_empty() => claim.left = 0,
            _ => drop(self.set_left(number, left)),
        }
    }

    /// Says how many messages the claim `number` has; whether that changes its record.
    pub(crate) fn set_left(&mut self, number: u64, left: u32) -> bool {
        let Some(claim) = self.by_number.get_mut(&number) else { return false };
        claim.left = left;
        let is_spent = left == 0 && !claim.spent;
        if is_spent {
            claim.sequences.clear();
            claim.spent = true;
            self.charge.add_one();
            self.spent.push_back(number);
            self.tidy_spent();
        }
        is_spent
    }

    /// Up to `most` of the spent claims, those that have been so for longest.
    pub(crate) fn oldest_spent(&self, most: usize) -> Vec<u64> {
        let spent = |number: &u64| self.by_number.get(number).is_some_and(|claim| claim.spent);
        self.spent.iter().copied().filter(spent).take(most).collect()
    }

    /// Removes the claims at the front of the list that have ended.
    fn forget_ended(&mut self) {
        while let Some(number) = self.spent.front()
            && self.by_number.get(number).is_none_or(|claim| !claim.spent)
        {
            self.spent.pop_front();
        }
    }

    /// Keeps the list of spent claims from growing by those that ended otherwise.
    fn tidy_spent(&mut self) {
        let spent = usize::try_from(self.charge.claims()).unwrap_or(usize::MAX);
        if self.spent.len() > spent.saturating_mul(2).saturating_add(SPENT_TO_SPARE) {
            let claims = &self.by_number;
            self.spent.retain(|number| claims.get(number).is_some_and(|claim| claim.spent));
            self.spent.shrink_to(spent.saturating_mul(2));
        }
    }
}

/// The group of a spent claim: the lowest number in it.
pub(crate) fn group_of(number: u64) -> u64 {
    number & !(GROUP_NUMBERS - 1)
}

/// The numbers in a group. Claims that are made one after the other have close numbers, and a record of as many claims
/// is well below the largest that the trees keep in one place.
const GROUP_NUMBERS: u64 = 512;
/// The outdated entries that the list of spent claims may have, beside as many as there are spent claims.
const SPENT_TO_SPARE: usize = 64;
/// The capacity, in claims, that a queue without claims keeps.
const CAPACITY_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    fn spent_claims(count: u64) -> Claims {
        let mut claims = Claims::new(&Budget::unlimited());
        for number in 0..count {
            let id = u128::from(number).to_be_bytes();
            claims.insert(number, Claim::new(id, 1, 1, Sequences::default(), 1));
            assert!(claims.lose(number, 1));
        }
        claims
    }

    #[test]
    fn the_oldest_spent_claims_are_found_without_passing_the_ended_ones() {
        let mut claims = spent_claims(1000);
        for first in (0..960).step_by(64) {
            let oldest = claims.oldest_spent(64);
            assert_eq!(oldest, (first..first + 64).collect::<Vec<_>>());
            for number in oldest {
                claims.remove(number);
            }
            assert_eq!(claims.spent.front(), Some(&(first + 64)), "ended claims are not passed at each search");
        }
        assert_eq!((claims.spent.len(), claims.spent()), (40, 40));
    }

    #[test]
    fn an_id_is_hashed_by_its_first_bytes() {
        let hash = |id: [u8; 16]| BuildHasherDefault::<IdHasher>::default().hash_one(id);
        let id = *b"0123456789abcdef";
        assert_eq!(hash(id), u64::from_ne_bytes(*b"01234567"));
        let others = (0..8).map(|byte| std::array::from_fn(|at| if at == byte { b'x' } else { id[at] }));
        assert!(others.map(hash).all(|other| other != hash(id)));
    }

    #[test]
    fn claims_that_end_out_of_order_or_get_messages_again_leave_the_list() {
        let mut claims = spent_claims(6);
        claims.remove(1);
        claims.remove(2);
        claims.gain_one(3);
        assert_eq!(claims.oldest_spent(2), [0, 4]);
        claims.remove(0);
        assert_eq!(claims.spent.front(), Some(&4));
        claims.gain_one(4);
        assert_eq!((claims.oldest_spent(9), claims.spent.len()), (vec![5], 1));
    }
}
