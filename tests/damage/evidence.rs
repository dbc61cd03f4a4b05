//! The evidence in the files of a store, read by the documented formats: the messages that are intact somewhere, and
//! the messages that were deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use zaqar_sled::MessageId;

use super::harm::Kind;

/// The ids of stores, by their directories: frames are bound to them.
pub(crate) type Stores = BTreeMap<PathBuf, [u8; 16]>;

/// The stores that have their manifests among these files.
pub(crate) fn stores(files: &[(PathBuf, Vec<u8>)]) -> Stores {
    let manifests = files.iter().filter(|(path, _)| Kind::of(path) == Kind::Manifest);
    manifests.map(|(path, bytes)| (path.parent().unwrap().to_owned(), *bytes[16..].first_chunk().unwrap())).collect()
}

/// The evidence of the intact frames.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// The numbers of the messages whose bodies are in an intact frame.
    pub(crate) bodies: BTreeSet<u64>,
    /// Messages that were deleted or purged, by queue number and sequences.
    gone: BTreeMap<u64, Vec<Range<u64>>>,
    queues_deleted: BTreeSet<u64>,
}

impl Evidence {
    pub(crate) fn of(files: &[(PathBuf, Vec<u8>)], stores: &Stores) -> Self {
        let mut evidence = Self::default();
        for (path, bytes) in files {
            let is_segment = is_segment_by_another_name(path, bytes);
            for body in whole_frames(path, bytes, stores) {
                if is_segment && is_page(body).is_none() {
                    continue;
                }
                evidence.bodies.extend(numbers(body));
                if Kind::of(path) == Kind::Journal {
                    evidence.hear(body).expect("a change in the format of changes");
                }
            }
        }
        evidence
    }

    /// Whether a change that is whole says that the message was deleted.
    pub(crate) fn tells_of(&self, id: &MessageId) -> bool {
        let text = id.to_string();
        let part = |range: Range<usize>| u64::from_str_radix(&text[range], 16).unwrap();
        let (queue, sequence) = (part(0..16), part(16..32));
        let is_gone = |gone: &Vec<Range<u64>>| gone.iter().any(|range| range.contains(&sequence));
        self.queues_deleted.contains(&queue) || self.gone.get(&queue).is_some_and(is_gone)
    }

    /// Adds the deletion of the messages of a queue.
    fn hear_deletion(&mut self, change: &mut &[u8]) -> Option<()> {
        let queue = integer(change)?;
        for _ in 0..integer(change)? {
            let (first, count) = (integer(change)?, integer(change)?);
            self.gone.entry(queue).or_default().push(first..first + count);
        }
        Some(())
    }

    /// Adds the deletions of a change; none if the change is cut short.
    fn hear(&mut self, mut change: &[u8]) -> Option<()> {
        let _time = integer(&mut change)?;
        match integer(&mut change)? {
            DELETE_QUEUE => {
                self.queues_deleted.insert(integer(&mut change)?);
            }
            UNREGISTER => {
                if integer(&mut change)? == 1 {
                    text(&mut change)?;
                }
                text(&mut change)?;
                self.queues_deleted.insert(integer(&mut change)?);
            }
            PURGE => {
                let (queue, next) = (integer(&mut change)?, integer(&mut change)?);
                self.gone.entry(queue).or_default().push(0..next);
            }
            DELETE | POP => self.hear_deletion(&mut change)?,
            BATCH => {
                for _ in 0..integer(&mut change)? {
                    match integer(&mut change)? {
                        STEP_POST => skip_post(&mut change)?,
                        STEP_DELETE => self.hear_deletion(&mut change)?,
                        step => panic!("step {step} is in no batch of these stores"),
                    }
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// Whether a page file is a segment of the journal, whose frames are images only if they are pages.
fn is_segment_by_another_name(path: &Path, bytes: &[u8]) -> bool {
    Kind::of(path) == Kind::PageFile && bytes.starts_with(b"zaqarlog")
}

/// Whether a change posts one message that is a page of its own: then it has the queue's key.
fn is_page(mut change: &[u8]) -> Option<()> {
    let _time = integer(&mut change)?;
    let is_post = integer(&mut change)? == POST;
    let (_queue, _first) = (integer(&mut change)?, integer(&mut change)?);
    skip(&mut change, 16)?;
    (is_post && !text(&mut change)?.is_empty()).then_some(())
}

/// Skips the fields of a post in a batch.
fn skip_post(change: &mut &[u8]) -> Option<()> {
    let (_queue, _first) = (integer(change)?, integer(change)?);
    skip(change, 16)?;
    for _ in 0..integer(change)? {
        let (_ttl, _delay) = (integer(change)?, integer(change)?);
        if integer(change)? == 1 {
            skip(change, 16)?;
        }
        let (_envelope, _body) = (text(change)?, text(change)?);
    }
    Some(())
}

fn skip(bytes: &mut &[u8], count: usize) -> Option<()> {
    *bytes = bytes.get(count..)?;
    Some(())
}

const DELETE_QUEUE: u64 = 3;
const PURGE: u64 = 4;
const POST: u64 = 5;
const DELETE: u64 = 9;
const UNREGISTER: u64 = 13;
const BATCH: u64 = 22;
const POP: u64 = 24;
const STEP_POST: u64 = 0;
const STEP_DELETE: u64 = 3;

/// Reads an integer from the front, as the codec writes it.
fn integer(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let length = match first {
        251 => 2,
        252 => 4,
        253 => 8,
        small => {
            *bytes = rest;
            return Some(u64::from(*small));
        }
    };
    let (number, rest) = rest.split_at_checked(length)?;
    *bytes = rest;
    Some(number.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Reads a text from the front.
fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(integer(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(text)
}

/// The bodies of the frames of a file whose checksums are right for the file's number. The frames are found one after
/// another, and behind damage by trying every byte.
fn whole_frames<'a>(path: &Path, bytes: &'a [u8], stores: &Stores) -> impl Iterator<Item = &'a [u8]> + 'a {
    let (mut at, number) = match Kind::of(path) {
        Kind::Journal => (64, number_of(path)),
        _ if is_segment_by_another_name(path, bytes) => {
            (64, bytes.get(28..36).map_or(0, |number| u64::from_le_bytes(number.try_into().unwrap())))
        }
        _ => (0, number_of(path) | PAGE_FILE),
    };
    let is_one = matches!(Kind::of(path), Kind::Journal | Kind::PageFile);
    let store = path.parent().and_then(Path::parent).and_then(|root| stores.get(root)).copied().unwrap_or_default();
    let seed = crc32fast::hash(&[store.as_slice(), &number.to_le_bytes()].concat());
    std::iter::from_fn(move || {
        while is_one && at + 32 < bytes.len() {
            let word = |from: usize| u32::from_le_bytes(*bytes[from..].first_chunk::<4>().unwrap());
            let (length, start) = (word(at) as usize, at + 32);
            let mut header = crc32fast::Hasher::new_with_initial(seed);
            header.update(&bytes[at..at + 4]);
            header.update(&bytes[at + 8..start]);
            let fits = header.finalize() == word(at + 4) && length > 0 && length <= bytes.len() - start;
            if fits && crc32fast::hash(&bytes[start..start + length]) == word(at + 28) {
                at = start + length;
                return Some(&bytes[start..at]);
            }
            at += 1;
        }
        None
    })
}

/// The number in the name of a store's file; 0 without a number.
pub(crate) fn number_of(path: &Path) -> u64 {
    path.file_stem().and_then(|stem| u64::from_str_radix(stem.to_str()?, 16).ok()).unwrap_or(0)
}

/// The numbers of the messages of which the body begins in these bytes.
fn numbers(bytes: &[u8]) -> Vec<u64> {
    let marked = bytes.windows(10).filter(|window| window[0] == b'<' && window[9] == b'>');
    marked.filter_map(|window| std::str::from_utf8(&window[1..9]).ok()?.parse().ok()).collect()
}

/// The number of a message, by its body.
pub(crate) fn number(body: &[u8]) -> u64 {
    numbers(&body[..10])[0]
}

/// Marks the frames of page files.
const PAGE_FILE: u64 = 1 << 62;
