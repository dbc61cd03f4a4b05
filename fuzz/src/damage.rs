//! The kinds of damage to a store's files.

use std::path::PathBuf;

use arbitrary::Arbitrary;
use zaqar_sled::SimulatedDisk;
use zaqar_sled::disk::{Disk, Tree};

use crate::forge::{self, Frame, Seed, Stamp};
use crate::image::{Image, STORE};

/// One piece of damage. Files and offsets are taken modulo their numbers.
#[derive(Debug, Arbitrary)]
pub enum Damage<'a> {
    Flip {
        file: u8,
        at: u16,
        xor: u8,
    },
    Overwrite {
        file: u8,
        at: u16,
        bytes: &'a [u8],
    },
    Zero {
        file: u8,
        at: u16,
        count: u8,
    },
    Cut {
        file: u8,
        len: u16,
    },
    Append {
        file: u8,
        bytes: &'a [u8],
    },
    Remove {
        file: u8,
    },
    /// One file's contents in place of another's.
    Copy {
        from: u8,
        to: u8,
    },
    /// One file under another number.
    Renumber {
        file: u8,
        number: u8,
    },
    TreeFlip {
        record: u8,
        at: u8,
        xor: u8,
    },
    TreeRemove {
        record: u8,
    },
    /// From here on checksums are made to fit.
    Frame {
        file: u8,
        nth: u8,
        lsn: i8,
        incarnation: Option<u32>,
        synced: Option<u64>,
        body: Body<'a>,
    },
    Header {
        file: u8,
        first_lsn: u8,
        incarnation: u32,
        synced: u64,
    },
    Manifest {
        at: u8,
        xor: u8,
    },
    BaseRecord {
        nth: u8,
        at: u16,
        xor: u8,
    },
    TreeRecord {
        record: u8,
        at: u16,
        xor: u8,
    },
}

/// The change of a frame's body.
#[derive(Debug, Arbitrary)]
pub enum Body<'a> {
    Same,
    Flip {
        at: u8,
        xor: u8,
    },
    Instead {
        bytes: &'a [u8],
    },
    /// The body of another frame of the file.
    Of {
        nth: u8,
    },
    /// The frame is removed.
    Gone,
}

impl Damage<'_> {
    /// Whether the changed data passes every checksum.
    pub fn is_forged(&self) -> bool {
        use Damage::{BaseRecord, Frame, Header, Manifest, TreeRecord};
        matches!(self, Frame { .. } | Header { .. } | Manifest { .. } | BaseRecord { .. } | TreeRecord { .. })
    }

    /// Applies the damage; `None` if there is nothing to damage.
    pub fn inflict(&self, disk: &SimulatedDisk, image: &Image) -> Option<()> {
        let files = disk.list_all();
        let pick = |file: u8| files.get(usize::from(file) % files.len().max(1)).cloned();
        let change = |path: PathBuf, change: &dyn Fn(&mut Vec<u8>) -> Option<()>| {
            let mut bytes = disk.read(&path).ok()?;
            change(&mut bytes)?;
            disk.write(&path, bytes).ok()
        };
        match self {
            Self::Flip { file, at, xor } => change(pick(*file)?, &|bytes| {
                let at = usize::from(*at) % bytes.len().max(1);
                bytes.get_mut(at).map(|byte| *byte ^= xor)
            }),
            Self::Overwrite { file, at, bytes: new } => change(pick(*file)?, &|bytes| {
                let at = usize::from(*at) % bytes.len().max(1);
                bytes.iter_mut().skip(at).zip(*new).for_each(|(to, from)| *to = *from);
                Some(())
            }),
            Self::Zero { file, at, count } => change(pick(*file)?, &|bytes| {
                let at = usize::from(*at) % bytes.len().max(1);
                bytes.iter_mut().skip(at).take(usize::from(*count)).for_each(|byte| *byte = 0);
                Some(())
            }),
            Self::Cut { file, len } => change(pick(*file)?, &|bytes| {
                bytes.truncate(usize::from(*len));
                Some(())
            }),
            Self::Append { file, bytes: more } => change(pick(*file)?, &|bytes| {
                bytes.extend_from_slice(more);
                Some(())
            }),
            Self::Remove { file } => disk.remove_file(&pick(*file)?).ok(),
            Self::Copy { from, to } => disk.write(pick(*to)?, disk.read(pick(*from)?).ok()?).ok(),
            Self::Renumber { file, number } => {
                let path = pick(*file)?;
                let to = path.with_file_name(format!("{number:016x}.{}", path.extension()?.to_str()?));
                disk.write(to, disk.read(path).ok()?).ok()
            }
            Self::TreeFlip { record, at, xor } => tree(disk, image, *record, |_, _, value| {
                let at = usize::from(*at) % value.len().max(1);
                value.get_mut(at).map(|byte| *byte ^= xor)
            }),
            Self::TreeRecord { record, at, xor } => tree(disk, image, *record, |tree, key, value| {
                let tag = Tree::ALL.iter().position(|other| *other == tree)?;
                forge::tree_record(u8::try_from(tag).ok()?, key, value, usize::from(*at), *xor)
            }),
            Self::TreeRemove { record } => {
                let (path, entries) = image.trees.as_ref()?;
                let (tree, key, _) = entries.get(usize::from(*record) % entries.len())?;
                disk.trees(path).ok()?.remove(*tree, key).ok().map(drop)
            }
            Self::Frame { file, nth, lsn, incarnation, synced, body } => {
                let path = pick(*file)?;
                let seed = Seed::of(store(image)?, &path)?;
                let stamp = |old: Stamp| Stamp {
                    lsn: old.lsn.wrapping_add_signed(i64::from(*lsn)),
                    incarnation: incarnation.unwrap_or(old.incarnation),
                    synced: synced.unwrap_or(old.synced),
                };
                let from = forge::first_frame(&path);
                change(path, &|bytes| {
                    let all = forge::frames(bytes, from);
                    let chosen = nth_of(&all, *nth)?;
                    let new = match body.of(chosen, &all)? {
                        body if body.is_empty() => Vec::new(),
                        body => forge::sealed(&body, seed, stamp(chosen.stamp)),
                    };
                    bytes.splice(chosen.start..chosen.end(), new);
                    Some(())
                })
            }
            Self::Header { file, first_lsn, incarnation, synced } => change(pick(*file)?, &|bytes| {
                forge::header(bytes, u64::from(*first_lsn), *incarnation, *synced);
                Some(())
            }),
            Self::Manifest { at, xor } => change(PathBuf::from(STORE).join("MANIFEST"), &|bytes| {
                let at =
                    forge::MANIFEST_BODY + usize::from(*at) % bytes.len().checked_sub(forge::MANIFEST_BODY)?.max(1);
                *bytes.get_mut(at)? ^= xor;
                forge::manifest(bytes);
                Some(())
            }),
            Self::BaseRecord { nth, at, xor } => {
                let path = files.iter().find(|path| path.extension().is_some_and(|kind| kind == "base"))?;
                let seed = Seed::of(store(image)?, path)?;
                change(path.clone(), &|bytes| {
                    forge::base_record(bytes, seed, usize::from(*nth), usize::from(*at), *xor)
                })
            }
        }
    }
}

impl Body<'_> {
    fn of(&self, chosen: &Frame, all: &[Frame]) -> Option<Vec<u8>> {
        let mut body = chosen.body.clone();
        match self {
            Self::Same => {}
            Self::Flip { at, xor } => {
                let at = usize::from(*at) % body.len();
                body[at] ^= xor;
            }
            Self::Instead { bytes } => body = bytes.to_vec(),
            Self::Of { nth } => body = nth_of(all, *nth)?.body.clone(),
            Self::Gone => body.clear(),
        }
        Some(body)
    }
}

fn nth_of(all: &[Frame], nth: u8) -> Option<&Frame> {
    all.get(usize::from(nth) % all.len().max(1))
}

fn tree(
    disk: &SimulatedDisk,
    image: &Image,
    record: u8,
    change: impl FnOnce(Tree, &[u8], &mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let (path, entries) = image.trees.as_ref()?;
    let (tree, key, value) = entries.get(usize::from(record) % entries.len())?;
    let mut value = value.clone();
    change(*tree, key, &mut value)?;
    disk.trees(path).ok()?.insert(*tree, key, &value).ok().map(drop)
}

/// The store's id, from the manifest before it was damaged.
fn store(image: &Image) -> Option<[u8; 16]> {
    let (_, manifest) = image.files.iter().find(|(path, _)| path.ends_with("MANIFEST"))?;
    manifest.get(forge::MANIFEST_BODY..forge::MANIFEST_BODY + 16)?.try_into().ok()
}
