//! The keys of the trees. Big-endian, order-preserving, and no queue's keys begin with another's.
//!
//! | Tree | Key |
//! |---|---|
//! | `meta` | a name |
//! | `queues` | project, then queue name |
//! | `messages` | queue number, first sequence of the page, then `0` and a piece's number (bodies) or `1` (states) |
//! | `claims` | queue number, claim number |
//!
//! A project is `00` for none, or `01`, its text and an end; a name is its text and an end. Within text `00` is written
//! `00 ff`, and the end is `00 01`: so the keys sort as (project, name) sorts, whatever bytes the names hold.

use crate::codec::array_at;
use crate::model::{Project, QueueName};

/// The key of the one record in `meta`.
pub(crate) const STORE: &[u8] = b"store";

const NO_PROJECT: u8 = 0;
const PROJECT: u8 = 1;
const END: [u8; 2] = [0, 1];
const ESCAPED_ZERO: [u8; 2] = [0, 0xff];

/// What lies under a key of `messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Bodies { piece: u32 },
    States,
}

pub(crate) fn queue(project: &Project, name: &QueueName) -> Vec<u8> {
    let mut key = self::project(project);
    push_text(&mut key, name.as_str());
    key
}

/// What the keys of all of a project's queues begin with.
pub(crate) fn project(project: &Project) -> Vec<u8> {
    let Some(text) = project.name() else { return vec![NO_PROJECT] };
    let mut key = vec![PROJECT];
    push_text(&mut key, text);
    key
}

pub(crate) fn parse_queue(key: &[u8]) -> Option<(Project, QueueName)> {
    let (tag, rest) = key.split_first()?;
    let (project, rest) = match *tag {
        NO_PROJECT => (Project::none(), rest),
        PROJECT => {
            let (text, rest) = take_text(rest)?;
            (Project::named(text).ok()?, rest)
        }
        _ => return None,
    };
    let (name, rest) = take_text(rest)?;
    rest.is_empty().then_some((project, QueueName::new(name).ok()?))
}

pub(crate) fn page(queue: u64, first: u64, part: Part) -> Vec<u8> {
    let mut key = Vec::with_capacity(21);
    key.extend_from_slice(&queue.to_be_bytes());
    key.extend_from_slice(&first.to_be_bytes());
    match part {
        Part::Bodies { piece } => {
            key.push(0);
            key.extend_from_slice(&piece.to_be_bytes());
        }
        Part::States => key.push(1),
    }
    key
}

pub(crate) fn parse_page(key: &[u8]) -> Option<(u64, u64, Part)> {
    let part = match (key.get(16)?, key.len()) {
        (0, 21) => Part::Bodies { piece: u32::from_be_bytes(array_at(key, 17)?) },
        (1, 17) => Part::States,
        _ => return None,
    };
    Some((u64::from_be_bytes(array_at(key, 0)?), u64::from_be_bytes(array_at(key, 8)?), part))
}

pub(crate) fn claim(queue: u64, number: u64) -> Vec<u8> {
    [queue.to_be_bytes(), number.to_be_bytes()].concat()
}

pub(crate) fn parse_claim(key: &[u8]) -> Option<(u64, u64)> {
    let whole = key.len() == 16;
    let numbers = (u64::from_be_bytes(array_at(key, 0)?), u64::from_be_bytes(array_at(key, 8)?));
    whole.then_some(numbers)
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            0 => key.extend_from_slice(&ESCAPED_ZERO),
            byte => key.push(byte),
        }
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

    fn named(text: &str) -> Project {
        Project::named(text).unwrap()
    }

    fn name(text: &str) -> QueueName {
        QueueName::new(text).unwrap()
    }

    #[test]
    fn golden_bytes() {
        assert_eq!(queue(&Project::none(), &name("q")), [0, b'q', 0, 1]);
        assert_eq!(queue(&named(""), &name("q")), [1, 0, 1, b'q', 0, 1]);
        assert_eq!(queue(&named("a\0"), &name("q")), [1, b'a', 0, 0xff, 0, 1, b'q', 0, 1]);
        assert_eq!(page(1, 2, Part::States), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 1]);
        let piece = page(1, 2, Part::Bodies { piece: 3 });
        assert_eq!(piece, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3]);
        assert_eq!(claim(1, 2), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn keys_come_back() {
        for (project, name) in [(Project::none(), name("q")), (named("a\0b"), name("\0")), (named(""), name("a.b"))] {
            assert_eq!(parse_queue(&queue(&project, &name)), Some((project, name)));
        }
        for part in [Part::States, Part::Bodies { piece: 9 }] {
            assert_eq!(parse_page(&page(7, 8, part)), Some((7, 8, part)));
        }
        assert_eq!(parse_claim(&claim(7, 8)), Some((7, 8)));
    }

    #[test]
    fn keys_sort_as_names_do_and_none_begins_with_another() {
        let projects = [Project::none(), named(""), named("a"), named("a\0"), named("a\0b"), named("ab"), named("b")];
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

    #[test]
    fn keys_that_are_none_are_refused() {
        for key in
            [&b""[..], b"\x02q\0\x01", b"\0q", b"\0q\0", b"\0q\0\x02", b"\0\0\x01", b"\0q\0\x01x", b"\0\xff\0\x01"]
        {
            assert_eq!(parse_queue(key), None, "{key:?}");
        }
        assert_eq!(parse_page(&[0; 17]), None);
        assert_eq!(parse_claim(&[0; 17]), None);
    }
}
