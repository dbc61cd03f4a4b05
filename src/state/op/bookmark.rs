//! Changes of bookmarks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Step;
use crate::model::numbering::first_of;
use crate::storage::keys;

/// Bookmarks that change together, each once, and the steps of a batch that they belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bookmarked<'a> {
    #[serde(borrow)]
    pub(crate) bookmarks: Vec<BookmarkChange<'a>>,
    /// That of the store's run, as a part of the new values' version.
    pub(crate) incarnation: u32,
    #[serde(borrow, with = "super::stored")]
    pub(crate) steps: Vec<Step<'a>>,
}

impl Bookmarked<'_> {
    /// The version of the values that are set by this operation with this LSN. A power cut may take back an LSN, which is
    /// then given out again, but in a higher incarnation.
    pub(crate) fn version(&self, lsn: u64) -> u64 {
        first_of(self.incarnation).saturating_add(lsn)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BookmarkChange<'a> {
    pub(crate) project: Option<Cow<'a, str>>,
    pub(crate) name: Cow<'a, str>,
    /// The new value; none deletes the bookmark.
    #[serde(borrow, with = "serde_bytes")]
    pub(crate) value: Option<Cow<'a, [u8]>>,
}

impl BookmarkChange<'_> {
    /// The key of the bookmark's record.
    pub(crate) fn key(&self) -> Vec<u8> {
        keys::named(self.project.as_deref(), &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::op::{JournalEntry, Op};
    use crate::storage::codec;

    #[test]
    fn golden_bytes() {
        let set = BookmarkChange { project: Some("p".into()), name: "b".into(), value: Some(b"v".as_slice().into()) };
        let delete = BookmarkChange { project: None, name: "c".into(), value: None };
        let steps = vec![Step::Release { queue: 6, claim: [9; 16] }];
        let op = Op::Bookmark(Bookmarked { bookmarks: vec![set, delete], incarnation: 3, steps });
        let entry = JournalEntry { time: 1_000, op };
        let mut bytes = Vec::new();
        codec::encode_into(&entry, &mut bytes).unwrap();
        assert_eq!(codec::decode::<JournalEntry<'_>>(&bytes).as_ref(), Ok(&entry));
        let expected = format!("fbe803 17 02 0101700162010176 00016300 03 01 0206{}", "09".repeat(16));
        assert_eq!(codec::hex(&bytes), expected.replace(' ', ""));
    }
}
