//! The names of the errors, for logs and metrics.

use super::Error;

impl Error {
    /// The name of the variant, such as `QueueDoesNotExist`: a short label without data, for logs and
    /// metrics. The names of existing variants do not change within a major version.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::none(), "orders")?;
    /// assert_eq!(orders.stats().unwrap_err().name(), "QueueDoesNotExist");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn name(&self) -> &'static str {
        macro_rules! names {
            ($($variant:ident)*) => {
                match self { $(Self::$variant { .. } => stringify!($variant)),* }
            };
        }
        names! {
            QueueDoesNotExist QueueIsEmpty TopicDoesNotExist TopicIsEmpty MessageDoesNotExist ClaimDoesNotExist ClaimDoesNotMatch MessageIsClaimed
            MessageNotClaimed MessageNotClaimedBy SubscriptionDoesNotExist SubscriptionAlreadyExists PoolDoesNotExist
            PoolAlreadyExists PoolCapabilitiesMismatch PoolInUseByFlavor PoolGroupDoesNotExist FlavorDoesNotExist
            QueueNotMapped NoPoolFound PoolUnavailable WrongStore Moving NotInOneStore BookmarkNotInStore
            BookmarkChanged QueuePaused QueueIsFull ProjectIsFull InvalidArgument TooLarge
            StorageFull Unavailable Exhausted JournalChanged Closed Poisoned OutcomeUnknown Corrupt UnsupportedFormat
            AlreadyOpen Locked SettingsDiffer Forked Displaced IsBackup InvalidExport Io Trees
        }
    }
}
