//! The queues of the archive: those of its undamaged blocks that have neither changed nor been deleted since.

use super::images::note;
use super::merge::Merge;
use super::reading;
use super::{Origin, Salvage};
use crate::disk::list_or_empty;
use crate::disk::trees::Tree;
use crate::model::error::Result;
use crate::state::entries::QueueRecord;
use crate::storage::journal::scan::Damage;
use crate::storage::{archive, codec, records};

impl Salvage<'_> {
    /// Loads the queues of the archive that the snapshot names; if that is not known, of the one that the manifest
    /// names, or else of the newest.
    pub(super) fn load_archive(&self, origin: &Origin, merge: &mut Merge<'_>) -> Result<()> {
        let files = list_or_empty(self.disk, self.root)?;
        let newest = || files.iter().filter_map(|name| archive::parse_file_name(name)).max();
        let marked = self.manifest.as_ref().map(|manifest| manifest.archive.map(|mark| mark.number));
        let named = match origin {
            Origin::Snapshot(snapshot) if snapshot.has_head => Some(snapshot.archive.map(|mark| mark.number)),
            _ => None,
        };
        let Some(number) = named.or(marked).unwrap_or_else(newest) else { return Ok(()) };
        let (path, id) = (archive::path(self.root, number), archive::frame_id(self.store, number));
        let file = reading::read(self.disk, &path)?.unwrap_or_default();
        let (mut end, mut next) = (0, 1_u64);
        for found in reading::frames(&file.bytes, id, 0) {
            if found.stamp.lsn != next {
                let reason = "queues of the archive are missing".into();
                note(&mut merge.damages, Damage { file: path.clone(), offset: end, reason });
            }
            (next, end) = (found.stamp.lsn.saturating_add(1), found.end() as u64);
            for (key, value) in archive::decode_block(found.body).into_iter().flatten() {
                if let Err(reason) = merge.load_archived(&key, &value) {
                    note(&mut merge.damages, Damage { file: path.clone(), offset: end, reason });
                }
            }
        }
        if end != file.bytes.len() as u64 || end == 0 {
            let reason = "the archive breaks off, or is missing".into();
            note(&mut merge.damages, Damage { file: path.clone(), offset: end, reason });
        }
        file.damages(&path).for_each(|damage| note(&mut merge.damages, damage));
        Ok(())
    }
}

impl Merge<'_> {
    /// Loads a record of an archive, unless the queue is loaded, was deleted, or has changed since.
    fn load_archived(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        if self.contents.void.contains(key) {
            return Ok(());
        }
        let body = records::open(Tree::Queues, key, value)?;
        let number = codec::decode::<QueueRecord<'_>>(body)?.number;
        let is_loaded = self.contents.queues.contains_key(&number);
        if is_loaded || self.facts.deleted.contains(&number) || !self.take_name(key.to_vec(), number) {
            return Ok(());
        }
        self.contents.load(Tree::Queues, key, value)
    }
}
