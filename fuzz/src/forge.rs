//! Frames, headers, manifests and records with checksums that fit, written here a second time from `docs::format`.
//!
//! `tests/forging.rs` compares them with those of real stores.

use std::path::Path;

pub const HEADER_BYTES: usize = 32;
const SEGMENT_HEADER_BYTES: usize = 64;
const BASE: u64 = 1 << 63;

/// The id that a frame is bound to: the store, and a segment's or snapshot's number.
#[derive(Debug, Clone, Copy)]
pub struct Seed(u32);

impl Seed {
    /// Of a file of that name.
    pub fn of(store: [u8; 16], path: &Path) -> Option<Self> {
        let number = u64::from_str_radix(path.file_stem()?.to_str()?, 16).ok()?;
        let flag = if path.extension()? == "base" { BASE } else { 0 };
        let mut bytes = store.to_vec();
        bytes.extend_from_slice(&(number | flag).to_le_bytes());
        Some(Self(crc32fast::hash(&bytes)))
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub lsn: u64,
    pub incarnation: u32,
    pub synced: u64,
}

/// A frame's position and content.
#[derive(Debug, Clone)]
pub struct Frame {
    pub start: usize,
    pub stamp: Stamp,
    pub body: Vec<u8>,
}

impl Frame {
    pub fn end(&self) -> usize {
        self.start + HEADER_BYTES + self.body.len()
    }
}

/// Where the frames of a file of that name begin.
pub fn first_frame(path: &Path) -> usize {
    if path.extension().is_some_and(|kind| kind == "base") { 0 } else { SEGMENT_HEADER_BYTES }
}

/// The frames from `at` on, by their lengths alone.
pub fn frames(bytes: &[u8], mut at: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(header) = bytes.get(at..at + HEADER_BYTES) {
        let length = u32::from_le_bytes(take(header, 0)) as usize;
        let body_at = at + HEADER_BYTES;
        let Some(body) = bytes.get(body_at..body_at.saturating_add(length)).filter(|body| !body.is_empty()) else {
            break;
        };
        let stamp = Stamp {
            lsn: u64::from_le_bytes(take(header, 8)),
            incarnation: u32::from_le_bytes(take(header, 16)),
            synced: u64::from_le_bytes(take(header, 20)),
        };
        let frame = Frame { start: at, stamp, body: body.to_vec() };
        at = frame.end();
        frames.push(frame);
    }
    frames
}

pub fn sealed(body: &[u8], seed: Seed, stamp: Stamp) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    let mut stamped = stamp.lsn.to_le_bytes().to_vec();
    stamped.extend_from_slice(&stamp.incarnation.to_le_bytes());
    stamped.extend_from_slice(&stamp.synced.to_le_bytes());
    stamped.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    let checksum = crc_from(seed.0, &[&length, &stamped]);
    [&length[..], &checksum.to_le_bytes(), &stamped, body].concat()
}

/// A segment's header with other figures.
pub fn header(bytes: &mut [u8], first_lsn: u64, incarnation: u32, synced: u64) {
    let Some(header) = bytes.get_mut(..SEGMENT_HEADER_BYTES) else { return };
    header[36..44].copy_from_slice(&first_lsn.to_le_bytes());
    header[44..48].copy_from_slice(&incarnation.to_le_bytes());
    header[48..56].copy_from_slice(&synced.to_le_bytes());
    let checksum = crc32fast::hash(&header[..60]);
    header[60..].copy_from_slice(&checksum.to_le_bytes());
}

/// Where a manifest's body begins.
pub const MANIFEST_BODY: usize = 16;

/// Corrects a manifest's checksum for its body.
pub fn manifest(bytes: &mut [u8]) {
    if bytes.len() < MANIFEST_BODY {
        return;
    }
    let checksum = crc_from(0, &[&bytes[..12], &bytes[MANIFEST_BODY..]]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
}

/// Changes one byte of the `nth` record in a snapshot, and every checksum above it.
pub fn base_record(bytes: &mut Vec<u8>, seed: Seed, nth: usize, at: usize, xor: u8) -> Option<()> {
    let mut all = frames(bytes, 0);
    let records: Vec<usize> = (0..all.len()).filter(|i| all[*i].body.first() == Some(&RECORD)).collect();
    let chosen = &mut all[*records.get(nth % records.len().max(1))?];
    let place = Placed::of(&chosen.body)?;
    let value = chosen.body.get_mut(place.value..)?;
    let content = value.get_mut(ENVELOPE_BYTES..).filter(|content| !content.is_empty())?;
    let at = at % content.len();
    content[at] ^= xor;
    let checksum = crc_from(place.checksum, &[&value[ENVELOPE_BYTES..]]);
    value[1..ENVELOPE_BYTES].copy_from_slice(&checksum.to_le_bytes());

    let mut sum = 0_u64;
    for index in &records {
        let body = &all[*index].body;
        let place = Placed::of(body)?;
        let low = crc_from(place.checksum, &[body.get(place.value..)?]);
        sum = sum.wrapping_add((u64::from(place.checksum) << 32) | u64::from(low));
    }
    let tail = all.last_mut().filter(|last| last.body.first() == Some(&TAIL))?;
    let mut end = 1;
    // From, to, time, next queue, count, bytes; the sum follows.
    for _ in 0..6 {
        end += varint(&tail.body, end)?.1;
    }
    tail.body.truncate(end);
    tail.body.push(253);
    tail.body.extend_from_slice(&sum.to_le_bytes());
    *bytes = all.iter().flat_map(|frame| sealed(&frame.body, seed, frame.stamp)).collect();
    Some(())
}

/// Changes one byte of a record in the trees, and its checksum.
pub fn tree_record(tag: u8, key: &[u8], value: &mut [u8], at: usize, xor: u8) -> Option<()> {
    let content = value.get_mut(ENVELOPE_BYTES..).filter(|content| !content.is_empty())?;
    let at = at % content.len();
    content[at] ^= xor;
    let checksum = crc_from(crc_from(crc32fast::hash(&[tag]), &[key]), &[content]);
    value[1..ENVELOPE_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Some(())
}

/// Where in a snapshot's record frame the value is, and the checksum of tree and key.
struct Placed {
    value: usize,
    checksum: u32,
}

impl Placed {
    fn of(body: &[u8]) -> Option<Self> {
        let tag = *body.get(1)?;
        let (key_bytes, width) = varint(body, 2)?;
        let key_at = 2 + width;
        let key = body.get(key_at..key_at.checked_add(key_bytes as usize)?)?;
        let length_at = key_at + key.len();
        let (_, width) = varint(body, length_at)?;
        let checksum = crc_from(crc32fast::hash(&[tag]), &[key]);
        Some(Self { value: length_at + width, checksum })
    }
}

/// The variable-length integer at `at`, and its size in bytes.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let width = match bytes.get(at)? {
        251 => 2,
        252 => 4,
        253 => 8,
        small => return Some((u64::from(*small), 1)),
    };
    let mut value = [0; 8];
    value[..width].copy_from_slice(bytes.get(at + 1..at + 1 + width)?);
    Some((u64::from_le_bytes(value), 1 + width))
}

fn crc_from(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("it is in there")
}

const RECORD: u8 = 1;
const TAIL: u8 = 2;
const ENVELOPE_BYTES: usize = 5;
