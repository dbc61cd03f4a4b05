//! The search for an order of a history's calls that explains all its answers.

use std::collections::HashSet;
use std::fmt;

use crate::spec::{Answer, Call, Ids, Name, Rules, State};

/// A call, its start and its end, by one counter for all threads.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// The calls of each thread, in order. The first thread ran alone before the others, the last alone after them.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) threads: Vec<Vec<Made>>,
    pub(crate) rules: Rules,
}

/// Finds an order in which the calls could have happened one after the other.
pub(crate) fn explain(history: &History) -> Result<(), String> {
    let ids = history.ids()?;
    let mut search = Search { history, ids, dead_ends: HashSet::new(), furthest: Vec::new() };
    let start = vec![0; history.threads.len()];
    if search.goes_on(&start, &State::default()) {
        return Ok(());
    }
    let last = &search.furthest;
    Err(format!("no order of the calls explains the answers; the best one ends at {last:?}"))
}

struct Search<'a> {
    history: &'a History,
    ids: Ids,
    /// Positions of the threads, with the state, from which no order leads to the end.
    dead_ends: HashSet<(Vec<usize>, State)>,
    furthest: Vec<usize>,
}

impl Search<'_> {
    fn goes_on(&mut self, at: &[usize], state: &State) -> bool {
        if at.iter().sum::<usize>() > self.furthest.iter().sum() {
            self.furthest = at.to_vec();
        }
        let next = |thread: usize| self.history.threads[thread].get(at[thread]);
        let Some(first_end) = (0..at.len()).filter_map(next).map(|made| made.ended).min() else { return true };
        if self.dead_ends.contains(&(at.to_vec(), state.clone())) {
            return false;
        }
        for thread in 0..at.len() {
            // A call that began after another had ended comes after it.
            let Some(made) = self.history.threads[thread].get(at[thread]).filter(|made| made.began < first_end) else {
                continue;
            };
            if let Some(after) = state.after(&made.call, &made.answer, &self.ids, self.history.rules) {
                let mut further = at.to_vec();
                further[thread] += 1;
                if self.goes_on(&further, &after) {
                    return true;
                }
            }
        }
        self.dead_ends.insert((at.to_vec(), state.clone()));
        false
    }
}

impl History {
    fn made(&self) -> impl Iterator<Item = &Made> {
        self.threads.iter().flatten()
    }

    /// The message of every id that was seen; an error if an id has two messages.
    fn ids(&self) -> Result<Ids, String> {
        let mut ids = Ids::new();
        for Made { call, answer, .. } in self.made() {
            let shown: Vec<_> = match (call, answer) {
                (Call::Post(_, bodies), Answer::Ids(ids)) => ids.iter().copied().zip(bodies.iter().copied()).collect(),
                (Call::Forward(.., body), Answer::Ids(ids)) => ids.iter().map(|id| (*id, *body)).collect(),
                (_, Answer::Messages(seen) | Answer::Claimed(Some((_, seen)))) => {
                    if !seen.is_sorted_by(|one, next| one.id < next.id) {
                        return Err(format!("ids out of order: {call:?} {answer:?}"));
                    }
                    seen.iter().map(|message| (message.id, message.body)).collect()
                }
                _ => continue,
            };
            for (id, body) in shown {
                let means = (call.shows(), body);
                if let Some(other) = ids.insert(id, means).filter(|other| *other != means) {
                    return Err(format!("{id} means {means:?} and {other:?}"));
                }
            }
        }
        Ok(ids)
    }

    /// The number of dead letters in their queues at the end.
    pub(crate) fn dead_letters(&self) -> usize {
        let last = self.threads.last().map_or(&[][..], Vec::as_slice);
        let dead_letters = last.iter().map(|made| match (&made.call, &made.answer) {
            (Call::List(Name::Dead | Name::Other, _), Answer::Messages(seen)) => seen.len(),
            _ => 0,
        });
        dead_letters.sum()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, thread) in self.threads.iter().enumerate() {
            for Made { call, answer, began, ended } in thread {
                writeln!(f, "  thread {number} {began:>3}..{ended:<3} {call:?} -> {answer:?}")?;
            }
        }
        Ok(())
    }
}
