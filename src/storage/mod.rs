//! The bytes on disk, without their meaning: the journal, page files, snapshots, archives, records and their keys, the
//! manifest, the record of a backup, and the reserve.

pub(crate) mod archive;
pub(crate) mod backup_record;
pub(crate) mod budget;
pub(crate) mod codec;
pub(crate) mod event_count;
pub(crate) mod frame_file;
pub(crate) mod journal;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod page_files;
pub(crate) mod records;
pub(crate) mod reserve;
pub(crate) mod snapshot;
pub(crate) mod timer;
pub(crate) mod whole_file;
