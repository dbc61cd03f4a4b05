//! The steps of a batch as they are stored: messages that several steps post are there once.
//!
//! What is posted to a topic is posted to its subscribed queues as well. The first of these posts has the messages, and
//! the others say which one that is.

use std::collections::{HashMap, VecDeque};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Posted, Step};
use crate::state::sequences::Sequences;

/// The variants' order is the format on disk: new ones go at the end.
#[derive(Serialize)]
enum Written<'s, 'a> {
    Post { queue: u64, first: u64, client: [u8; 16], messages: &'s [Posted<'a>] },
    Renew { queue: u64, claim: [u8; 16], ttl: u64, grace: u64, slack: u8 },
    Release { queue: u64, claim: [u8; 16] },
    Delete { queue: u64, messages: &'s Sequences },
    PostAgain { queue: u64, first: u64, client: [u8; 16], step: usize },
}

/// As [`Written`].
#[derive(Deserialize)]
enum Read<'a> {
    Post {
        queue: u64,
        first: u64,
        client: [u8; 16],
        #[serde(borrow)]
        messages: Vec<Posted<'a>>,
    },
    Renew {
        queue: u64,
        claim: [u8; 16],
        ttl: u64,
        grace: u64,
        slack: u8,
    },
    Release {
        queue: u64,
        claim: [u8; 16],
    },
    Delete {
        queue: u64,
        messages: Sequences,
    },
    /// The messages of the post that is the step of this index.
    PostAgain {
        queue: u64,
        first: u64,
        client: [u8; 16],
        step: usize,
    },
}

pub(super) fn serialize<S: Serializer>(steps: &[Step<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    let mut posts = Posts::default();
    let written = steps.iter().enumerate().map(|(index, step)| match step {
        Step::Post { queue, first, client, messages } => {
            let (queue, first, client) = (*queue, *first, *client);
            match posts.same(index, messages, steps) {
                Some(step) => Written::PostAgain { queue, first, client, step },
                None => Written::Post { queue, first, client, messages },
            }
        }
        Step::Renew { queue, claim, ttl, grace, slack } => {
            Written::Renew { queue: *queue, claim: *claim, ttl: *ttl, grace: *grace, slack: *slack }
        }
        Step::Release { queue, claim } => Written::Release { queue: *queue, claim: *claim },
        Step::Delete { queue, messages } => Written::Delete { queue: *queue, messages },
    });
    serializer.collect_seq(written.collect::<Vec<_>>())
}

/// The posts so far whose messages are written.
#[derive(Default)]
struct Posts {
    /// By the place in memory of their first body; of each place, only the last [`MOST_COMPARED`].
    steps: HashMap<*const u8, VecDeque<usize>>,
    /// The number of messages that are not written again.
    copies: usize,
}

impl Posts {
    /// The earlier step that has these messages.
    fn same(&mut self, index: usize, messages: &[Posted<'_>], steps: &[Step<'_>]) -> Option<usize> {
        let known = self.steps.entry(messages.first()?.body.as_ptr()).or_default();
        let copies = self.copies.saturating_add(messages.len());
        let is_same = |there: &&usize| {
            let earlier = steps.get(**there).and_then(messages_of);
            earlier.is_some_and(|earlier| are_same(earlier, messages))
        };
        if let Some(there) = known.iter().find(is_same).filter(|_| copies <= MOST_COPIES) {
            self.copies = copies;
            return Some(*there);
        }
        if known.len() >= MOST_COMPARED {
            known.pop_front();
        }
        known.push_back(index);
        None
    }
}

fn messages_of<'s, 'a>(step: &'s Step<'a>) -> Option<&'s [Posted<'a>]> {
    if let Step::Post { messages, .. } = step { Some(messages) } else { None }
}

/// Whether the messages are equal, and their bodies even in the same memory.
fn are_same(one: &[Posted<'_>], other: &[Posted<'_>]) -> bool {
    let is_same = |(one, other): (&Posted<'_>, &Posted<'_>)| {
        std::ptr::eq(&raw const *one.body, &raw const *other.body)
            && one.envelope == other.envelope
            && (one.ttl, one.delay, one.checksum) == (other.ttl, other.delay, other.checksum)
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

pub(super) fn deserialize<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Step<'a>>, D::Error> {
    let read = Vec::<Read<'a>>::deserialize(deserializer)?;
    let (mut steps, mut copies): (Vec<Step<'a>>, _) = (Vec::with_capacity(read.len()), 0);
    for step in read {
        steps.push(match step {
            Read::Post { queue, first, client, messages } => Step::Post { queue, first, client, messages },
            Read::Renew { queue, claim, ttl, grace, slack } => Step::Renew { queue, claim, ttl, grace, slack },
            Read::Release { queue, claim } => Step::Release { queue, claim },
            Read::Delete { queue, messages } => Step::Delete { queue, messages },
            Read::PostAgain { queue, first, client, step } => {
                let messages = steps.get(step).and_then(messages_of);
                let messages = messages.ok_or_else(|| D::Error::custom("there is no such post before"))?.to_vec();
                copies = messages.len().saturating_add(copies);
                if copies > MOST_COPIES {
                    return Err(D::Error::custom("too many messages are posted again"));
                }
                Step::Post { queue, first, client, messages }
            }
        });
    }
    Ok(steps)
}

/// The most messages of a batch that are stored in another step. More can only be damage, which is not to take memory
/// without bound.
pub(crate) const MOST_COPIES: usize = 1 << 20;

/// The most posts with the same first body that a post is compared with.
const MOST_COMPARED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::op::{JournalEntry, Op};
    use crate::storage::codec;

    fn posted(body: &[u8]) -> Posted<'_> {
        Posted { ttl: 60, delay: 0, checksum: None, envelope: b"".as_slice().into(), body: body.into() }
    }

    fn post<'a>(queue: u64, messages: &[Posted<'a>]) -> Step<'a> {
        Step::Post { queue, first: 7, client: [1; 16], messages: messages.to_vec() }
    }

    fn bytes(steps: Vec<Step<'_>>) -> Vec<u8> {
        let (entry, mut bytes) = (JournalEntry { time: 1, op: Op::Batch(steps) }, Vec::new());
        codec::encode_into(&entry, &mut bytes).unwrap();
        assert_eq!(codec::decode::<JournalEntry<'_>>(&bytes).as_ref(), Ok(&entry));
        bytes
    }

    #[test]
    fn messages_that_are_posted_again_are_stored_once() {
        let body = vec![b'x'; 10_000];
        let messages = [posted(&body), posted(b"y")];
        let release = Step::Release { queue: 6, claim: [9; 16] };
        let steps: Vec<Step<'_>> = vec![post(5, &messages), release, post(7, &messages), post(8, &messages)];
        let again = format!("04 08 07 {} 00", "01".repeat(16)).replace(' ', "");
        let bytes = bytes(steps);
        assert!(bytes.len() < 10_200, "{}", bytes.len());
        assert!(codec::hex(&bytes).ends_with(&again), "{}", codec::hex(bytes.get(10_000..).unwrap()));
    }

    #[test]
    fn equal_messages_from_elsewhere_and_those_with_other_times_are_stored_again() {
        let (one, other) = (vec![b'x'; 1_000], vec![b'x'; 1_000]);
        assert!(bytes(vec![post(5, &[posted(&one)]), post(6, &[posted(&other)])]).len() > 2_000);
        let later = Posted { delay: 9, ..posted(&one) };
        assert!(bytes(vec![post(5, &[posted(&one)]), post(6, &[later])]).len() > 2_000);
        assert!(bytes(vec![post(5, &[posted(&one)]), post(6, &[posted(&one), posted(&one)])]).len() > 2_000);
        // Of no messages, and of messages without a body.
        drop(bytes(vec![post(5, &[]), post(6, &[]), post(7, &[posted(b"")]), post(8, &[posted(b"")])]));
    }

    #[test]
    fn posts_of_one_body_with_different_times_are_told_apart_and_each_is_stored_once() {
        let body = vec![b'x'; 10_000];
        let later = Posted { delay: 9, ..posted(&body) };
        let steps = (0..20).flat_map(|at| [post(5 + at, &[posted(&body)]), post(5 + at, std::slice::from_ref(&later))]);
        let bytes = bytes(steps.collect());
        assert!(bytes.len() < 21_500, "{}", bytes.len());
    }

    #[test]
    fn a_post_again_of_no_earlier_post_is_refused() {
        let good = bytes(vec![post(5, &[posted(b"abc")]), post(6, &[posted(b"abc")])]);
        assert!(codec::decode::<JournalEntry<'_>>(&good).is_ok());
        let body = b"abc".to_vec();
        let mut bad = bytes(vec![post(5, &[posted(&body)]), post(6, &[posted(&body)])]);
        for step in [1, 2, 200] {
            *bad.last_mut().unwrap() = step;
            assert!(codec::decode::<JournalEntry<'_>>(&bad).is_err(), "{step}");
        }
    }
}
