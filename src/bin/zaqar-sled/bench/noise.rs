//! Content for bodies and files.

use uuid::Uuid;

/// Random bytes, which no file system can make smaller.
pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    std::iter::repeat_with(|| Uuid::new_v4().into_bytes()).flatten().take(count).collect()
}
