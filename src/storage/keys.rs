//! The keys of the trees. Big-endian, order-preserving, and no queue's keys begin with another's.
//!
//! | Tree | Key |
//! |---|---|
//! | `meta` | a name: `store`, `registry`; or `removal`, a pool's name and a queue's number; or `left`, a queue's number and a pool's name; or `received` and a message's id; or `quota` and a project; in a snapshot also `void` and a queue's key |
//! | `queues`, `catalogue` | project, then queue name |
//! | `messages` | project, queue name, queue number, first sequence of the page |
//! | `claims` | project, queue name, queue number, claim number |
//! | `subscriptions` | project, queue name, then the subscription's id |
//! | `pools` | name |
//! | `flavors`, `bookmarks` | project, then name |
//!
//! A project is `00` for none, or `01`, its text and an end; a name is its text and an end. Within text `00` is written
//! `00 ff`, and the end is `00 01`: so the keys sort as (project, name) sorts, whatever bytes the names hold. A topic has
//! the key of a queue of its name, but its project begins with `02` or `03`.

use std::cell::Cell;

use crate::model::{Project, QueueName, TopicName};
use crate::storage::codec::array_at;

/// The key of the trees' own record.
pub(crate) const STORE: &[u8] = b"store";
/// The key of the registry's own record.
pub(crate) const REGISTRY: &[u8] = b"registry";
const REMOVAL: &[u8] = b"removal\0";
const LEFT_BEHIND: &[u8] = b"left\0";
const RECEIVED: &[u8] = b"received\0";
const QUOTA: &[u8] = b"quota\0";
const VOID: &[u8] = b"void\0";

/// Behind the key of a group of claims.
const SPENT_CLAIMS: u8 = 1;

const NO_PROJECT: u8 = 0;
const PROJECT: u8 = 1;
/// A bit of the first byte: whether it is a topic's key.
const TOPIC: u8 = 2;
const NO_TOPIC: u8 = 0;
const END: [u8; 2] = [0, 1];
const ESCAPED_ZERO: [u8; 2] = [0, 0xff];

pub(crate) fn queue(project: &Project, name: &QueueName) -> Vec<u8> {
    let mut key = Vec::with_capacity(6 + project.name().map_or(0, str::len) + name.as_str().len());
    push_queue(&mut key, project.name(), name);
    key
}

/// The key of the queue or topic whose name is stored as `stored`. A text that stands for no name is taken for the name:
/// the outbox's, and one that only damage can have written.
pub(crate) fn stored_queue(project: Option<&str>, stored: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(6 + project.map_or(0, str::len) + stored.len());
    match QueueName::from_stored(stored) {
        Ok(name) => push_queue(&mut key, project, &name),
        Err(_) => push_named(&mut key, project, stored),
    }
    key
}

fn push_queue(key: &mut Vec<u8>, project: Option<&str>, name: &QueueName) {
    push_project(key, if name.is_topic() { TOPIC } else { NO_TOPIC }, project);
    push_text(key, name.as_str());
}

/// Calls `look` with a queue's key, without an allocation.
pub(crate) fn with_queue<R>(project: &Project, name: &QueueName, look: impl FnOnce(&[u8]) -> R) -> R {
    let mut key = SCRATCH.take();
    key.clear();
    push_queue(&mut key, project.name(), name);
    let found = look(&key);
    SCRATCH.set(key);
    found
}

thread_local! {
    /// The memory of the last key.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The key of a named item of a project.
pub(crate) fn named(project: Option<&str>, name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(6 + project.map_or(0, str::len) + name.len());
    push_named(&mut key, project, name);
    key
}

fn push_named(key: &mut Vec<u8>, project: Option<&str>, name: &str) {
    push_project(key, NO_TOPIC, project);
    push_text(key, name);
}

/// The prefix of the keys of all named items of a project.
pub(crate) fn project(project: &Project) -> Vec<u8> {
    let mut key = Vec::new();
    push_project(&mut key, NO_TOPIC, project.name());
    key
}

/// The prefix of the keys of all topics of a project.
pub(crate) fn topics(project: &Project) -> Vec<u8> {
    let mut key = Vec::new();
    push_project(&mut key, TOPIC, project.name());
    key
}

/// The first bytes of the keys of all queues: of those of no project, and of the others.
pub(crate) const QUEUES: [[u8; 1]; 2] = [[NO_PROJECT], [PROJECT]];

/// A key behind those of all named items of a project, and before those of the next project.
pub(crate) fn behind_project(project: &Project) -> Vec<u8> {
    let mut key = self::project(project);
    // No text begins with this byte.
    key.push(u8::MAX);
    key
}

fn push_project(key: &mut Vec<u8>, kind: u8, project: Option<&str>) {
    match project {
        None => key.push(kind | NO_PROJECT),
        Some(text) => {
            key.push(kind | PROJECT);
            push_text(key, text);
        }
    }
}

/// The project and the name of a queue or a topic; the name may be the [outbox's](QueueName::outbox).
pub(crate) fn parse_queue(key: &[u8]) -> Option<(Project, QueueName)> {
    let (tag, rest) = key.split_first()?;
    let is_topic = tag & TOPIC != 0;
    let (project, name) = parse_tagged(tag & !TOPIC, rest)?;
    let name = match name {
        name if is_topic => TopicName::new(name).ok()?.to_queue_name(),
        name if name.is_empty() => QueueName::outbox(),
        name => QueueName::new(name).ok()?,
    };
    Some((project, name))
}

/// The project and the name of an item.
pub(crate) fn parse_named(key: &[u8]) -> Option<(Project, String)> {
    let (tag, rest) = key.split_first()?;
    parse_tagged(*tag, rest)
}

fn parse_tagged(tag: u8, rest: &[u8]) -> Option<(Project, String)> {
    let (project, rest) = match tag {
        NO_PROJECT => (Project::none(), rest),
        PROJECT => {
            let (text, rest) = take_text(rest)?;
            (Project::named(text).ok()?, rest)
        }
        _ => return None,
    };
    let (name, rest) = take_text(rest)?;
    rest.is_empty().then_some((project, name))
}

/// The key of a subscription of the queue of key `queue`.
pub(crate) fn subscription(queue: &[u8], id: &[u8; 16]) -> Vec<u8> {
    [queue, id.as_slice()].concat()
}

/// The queue's key and the id.
pub(crate) fn parse_subscription(key: &[u8]) -> Option<(&[u8], [u8; 16])> {
    let (queue, id) = key.split_at_checked(key.len().checked_sub(16)?)?;
    parse_queue(queue)?;
    Some((queue, id.try_into().ok()?))
}

/// The key of a removal: the pool that has to remove its side of the queue.
pub(crate) fn removal(pool: &str, queue: u64) -> Vec<u8> {
    let mut key = removals_of(pool);
    key.extend_from_slice(&queue.to_be_bytes());
    key
}

/// The prefix of the keys of all removals of a pool.
pub(crate) fn removals_of(pool: &str) -> Vec<u8> {
    let mut key = REMOVAL.to_vec();
    push_text(&mut key, pool);
    key
}

pub(crate) fn is_removal(key: &[u8]) -> bool {
    key.starts_with(REMOVAL)
}

/// The key of the contents that a queue left in a former pool.
pub(crate) fn left_behind(pool: &str, queue: u64) -> Vec<u8> {
    let mut key = left_behind_of(queue);
    push_text(&mut key, pool);
    key
}

/// The prefix of the keys of all contents that a queue left in former pools.
pub(crate) fn left_behind_of(queue: u64) -> Vec<u8> {
    [LEFT_BEHIND, &queue.to_be_bytes()].concat()
}

pub(crate) fn is_left_behind(key: &[u8]) -> bool {
    key.starts_with(LEFT_BEHIND)
}

/// The key that marks the archive's record of a queue as void.
pub(crate) fn void(queue: &[u8]) -> Vec<u8> {
    [VOID, queue].concat()
}

/// The key of the queue whose record in the archive is void.
pub(crate) fn parse_void(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(VOID)
}

/// The key of a dead letter that came from another store.
pub(crate) fn received((queue, sequence): (u64, u64)) -> Vec<u8> {
    [RECEIVED, &queue.to_be_bytes(), &sequence.to_be_bytes()].concat()
}

pub(crate) fn is_received(key: &[u8]) -> bool {
    key.starts_with(RECEIVED)
}

pub(crate) fn parse_received(key: &[u8]) -> Option<(u64, u64)> {
    let rest = key.strip_prefix(RECEIVED).filter(|rest| rest.len() == 16)?;
    Some((u64::from_be_bytes(array_at(rest, 0)?), u64::from_be_bytes(array_at(rest, 8)?)))
}

/// The key of a project's quota.
pub(crate) fn quota(project: Option<&str>) -> Vec<u8> {
    let mut key = QUOTA.to_vec();
    push_project(&mut key, NO_TOPIC, project);
    key
}

pub(crate) fn is_quota(key: &[u8]) -> bool {
    key.starts_with(QUOTA)
}

pub(crate) fn parse_quota(key: &[u8]) -> Option<Project> {
    match key.strip_prefix(QUOTA)?.split_first()? {
        (&NO_PROJECT, []) => Some(Project::none()),
        (&PROJECT, rest) => Project::named(take_text(rest).filter(|(_, rest)| rest.is_empty())?.0).ok(),
        _ => None,
    }
}

/// Whether the key, or the prefix of keys, is that of topics.
pub(crate) fn is_topic(key: &[u8]) -> bool {
    key.first().is_some_and(|tag| tag & TOPIC != 0)
}

/// The prefix of the keys of all queues of the project that the queue or topic of that key belongs to; `None` for a key
/// that is none.
pub(crate) fn project_of(key: &[u8]) -> Option<Vec<u8>> {
    let (tag, rest) = key.split_first()?;
    let tag = tag & !TOPIC;
    if tag == NO_PROJECT {
        return Some(vec![tag]);
    }
    let end = rest.windows(END.len()).position(|two| two == END)?;
    let text = rest.get(..end.saturating_add(END.len()))?;
    Some([&[tag], text].concat())
}

/// The key of a page of the queue with that key and number. The pages of one queue are adjacent, in the order of the
/// posts.
pub(crate) fn page(queue: &[u8], number: u64, first: u64) -> Vec<u8> {
    of_queue(queue, number, first)
}

/// The queue's number and the page's first sequence.
pub(crate) fn parse_page(key: &[u8]) -> Option<(u64, u64)> {
    let (_, number, first) = parse_of_queue(key)?;
    Some((number, first))
}

pub(crate) fn claim(queue: &[u8], number: u64, claim: u64) -> Vec<u8> {
    of_queue(queue, number, claim)
}

/// The queue's number and the claim's.
pub(crate) fn parse_claim(key: &[u8]) -> Option<(u64, u64)> {
    let (_, number, claim) = parse_of_queue(key)?;
    Some((number, claim))
}

/// The key of a group of claims without messages. A queue's key ends with a zero and a one, so the byte behind the
/// group's number distinguishes this key from a claim's.
pub(crate) fn spent_claims(queue: &[u8], number: u64, group: u64) -> Vec<u8> {
    let mut key = of_queue(queue, number, group);
    key.push(SPENT_CLAIMS);
    key
}

/// The queue's key and number, and the group's number.
pub(crate) fn parse_spent_claims(key: &[u8]) -> Option<(&[u8], u64, u64)> {
    parse_of_queue(key.strip_suffix(&[SPENT_CLAIMS])?)
}

fn of_queue(queue: &[u8], number: u64, part: u64) -> Vec<u8> {
    [queue, &number.to_be_bytes(), &part.to_be_bytes()].concat()
}

/// Of a page's or claim's key: the queue's key and number, and the number of the part.
pub(crate) fn parse_of_queue(key: &[u8]) -> Option<(&[u8], u64, u64)> {
    let (queue, numbers) = key.split_at_checked(key.len().checked_sub(16)?)?;
    parse_queue(queue)?;
    Some((queue, u64::from_be_bytes(array_at(numbers, 0)?), u64::from_be_bytes(array_at(numbers, 8)?)))
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    for (index, part) in text.split('\0').enumerate() {
        if index > 0 {
            key.extend_from_slice(&ESCAPED_ZERO);
        }
        key.extend_from_slice(part.as_bytes());
    }
    key.extend_from_slice(&END);
}

fn take_text(key: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut rest = key;
    loop {
        match rest {
            [0, 1, rest @ ..] => return Some((String::from_utf8(text).ok()?, rest)),
            [0, 0xff, tail @ ..] => {
                text.push(0);
                rest = tail;
            }
            [0, ..] | [] => return None,
            [byte, tail @ ..] => {
                text.push(*byte);
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_project(text: &str) -> Project {
        Project::named(text).unwrap()
    }

    fn name(text: &str) -> QueueName {
        QueueName::new(text).unwrap()
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(queue(&Project::none(), &name("q")), [0, b'q', 0, 1]);
        assert_eq!(queue(&in_project(""), &name("q")), [1, 0, 1, b'q', 0, 1]);
        assert_eq!(queue(&in_project("a\0"), &name("q")), [1, b'a', 0, 0xff, 0, 1, b'q', 0, 1]);
        let topic = TopicName::new("q").unwrap().to_queue_name();
        assert_eq!(queue(&Project::none(), &topic), [2, b'q', 0, 1]);
        assert_eq!(queue(&in_project("a"), &topic), [3, b'a', 0, 1, b'q', 0, 1]);
        assert_eq!(page(&[0, b'q', 0, 1], 1, 2), *b"\0q\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
        assert_eq!(subscription(&[0, b'q', 0, 1], &[7; 16]), [[0, b'q', 0, 1].as_slice(), &[7; 16]].concat());
        assert_eq!(removal("a", 2), *b"removal\0a\0\x01\0\0\0\0\0\0\0\x02");
        assert_eq!(left_behind("a", 2), *b"left\0\0\0\0\0\0\0\0\x02a\0\x01");
        assert_eq!(quota(None), *b"quota\0\0");
        assert_eq!(quota(Some("a\0")), *b"quota\0\x01a\0\xff\0\x01");
        assert_eq!(received((1, 2)), *b"received\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02");
        assert_eq!(claim(&[0, b'q', 0, 1], 1, 2), page(&[0, b'q', 0, 1], 1, 2));
    }

    #[test]
    fn keys_come_back() {
        for (project, name) in
            [(Project::none(), name("q")), (in_project("a\0b"), name("\0")), (in_project(""), name("a.b"))]
        {
            let topic = TopicName::new(name.as_str()).unwrap().to_queue_name();
            for name in [name, topic] {
                let key = queue(&project, &name);
                assert_eq!(stored_queue(project.name(), &name.stored()), key);
                assert_eq!(parse_queue(&key), Some((project.clone(), name.clone())));
                assert_eq!(key.starts_with(&topics(&project)), name.is_topic());
                assert_eq!(project_of(&key), Some(self::project(&project)));
                assert_eq!(parse_quota(&quota(project.name())), Some(project.clone()));
                assert_eq!(parse_named(&key).is_some(), !name.is_topic());
                assert_eq!(QUEUES.iter().any(|queues| key.starts_with(queues)), !name.is_topic());
            }
        }
        assert_eq!(parse_received(&received((7, 8))), Some((7, 8)));
        let queue = queue(&in_project("a"), &name("b"));
        assert_eq!(parse_page(&page(&queue, 7, 8)), Some((7, 8)));
        assert_eq!(parse_claim(&claim(&queue, 7, 8)), Some((7, 8)));
        for (number, part) in [(7, 512), (1, 1), (0x0100_0000_0000_0001, 0x0101), (u64::MAX, u64::MAX - 511)] {
            let group = spent_claims(&queue, number, part);
            assert_eq!(parse_spent_claims(&group), Some((&*queue, number, part)));
            assert_eq!((parse_claim(&group), parse_spent_claims(&claim(&queue, number, part))), (None, None));
        }
        assert_eq!(parse_subscription(&subscription(&queue, &[9; 16])), Some((queue.as_slice(), [9; 16])));
        let outbox = keys_of_the_outbox();
        assert_eq!(parse_queue(&outbox), Some((Project::none(), QueueName::outbox())));
    }

    #[test]
    fn keys_sort_as_names_do_and_none_begins_with_another() {
        let projects = [
            Project::none(),
            in_project(""),
            in_project("a"),
            in_project("a\0"),
            in_project("a\0b"),
            in_project("ab"),
            in_project("b"),
        ];
        let names = ["\0", "a", "a\0", "a\0\u{1}", "a.b", "ab", "b"].map(name);
        let mut keys = Vec::new();
        for project in &projects {
            keys.extend(names.iter().map(|name| queue(project, name)));
        }
        assert!(keys.is_sorted());
        for (i, one) in keys.iter().enumerate() {
            assert!(keys.iter().enumerate().all(|(j, other)| i == j || !other.starts_with(one)));
        }
    }

    fn keys_of_the_outbox() -> Vec<u8> {
        queue(&Project::none(), &QueueName::outbox())
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        for key in
            [&b""[..], b"\x04q\0\x01", b"\x02\0\x01", b"\0q", b"\0q\0", b"\0q\0\x02", b"\0q\0\x01x", b"\0\xff\0\x01"]
        {
            assert_eq!(parse_queue(key), None, "{key:?}");
        }
        assert_eq!(parse_page(&[0; 17]), None);
        assert_eq!(parse_claim(&[0; 17]), None);
    }
}
