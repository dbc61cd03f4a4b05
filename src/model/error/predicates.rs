//! The predicates of an error: what the caller can do next.

use super::{Error, ExportFault};

impl Error {
    /// Whether an item that was named does not exist: a queue, message, claim, subscription, pool,
    /// group, flavor or catalogue entry.
    ///
    /// [`QueueIsEmpty`](Error::QueueIsEmpty) is not among them (contract 3).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// let orders = engine.queue(Project::none(), "orders")?;
    /// assert!(orders.stats().unwrap_err().is_not_found());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::QueueDoesNotExist { .. }
                | Self::TopicDoesNotExist { .. }
                | Self::MessageDoesNotExist { .. }
                | Self::ClaimDoesNotExist { .. }
                | Self::SubscriptionDoesNotExist { .. }
                | Self::PoolDoesNotExist { .. }
                | Self::PoolGroupDoesNotExist { .. }
                | Self::FlavorDoesNotExist { .. }
                | Self::QueueNotMapped { .. }
        )
    }

    /// Whether the call conflicts with what is stored: the given claims do not match the messages,
    /// the subscriber has a subscription already, the pool's store belongs to another pool, its
    /// capabilities differ from its group's, the store to be shared is open with other settings, the
    /// queues of a batch are in different stores, or another caller has changed the bookmark.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// engine.pools().create(&PoolName::new("one")?, &NewPool::new("sled:/mnt/a".parse()?))?;
    /// let again = NewPool::new("sled:/mnt/a".parse()?);
    /// let error = engine.pools().create(&PoolName::new("two")?, &again).unwrap_err();
    /// assert!(error.is_conflict());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::ClaimDoesNotMatch { .. }
                | Self::SubscriptionAlreadyExists { .. }
                | Self::PoolAlreadyExists { .. }
                | Self::PoolCapabilitiesMismatch { .. }
                | Self::SettingsDiffer { .. }
                | Self::NotInOneStore { .. }
                | Self::BookmarkNotInStore { .. }
                | Self::BookmarkChanged { .. }
        )
    }

    /// Whether the state of the message's claim forbids the call, or a flavor needs the pool.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// let error = orders.delete_message(&claim.messages()[0].id()).unwrap_err();
    /// assert!(error.is_not_permitted());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_not_permitted(&self) -> bool {
        matches!(
            self,
            Self::MessageIsClaimed { .. }
                | Self::MessageNotClaimed { .. }
                | Self::MessageNotClaimedBy { .. }
                | Self::PoolInUseByFlavor { .. }
        )
    }

    /// Whether the claim that a call named has ended, or does not hold the message any more: a worker
    /// that gets this stops its work on the message, which another worker may have.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// let claim = orders.claim(ClaimOptions::new())?.expect("a message waits");
    /// claim.clone().release()?;
    /// let error = claim.delete(&claim.messages()[0]).unwrap_err();
    /// assert!(error.is_lease_lost());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_lease_lost(&self) -> bool {
        matches!(
            self,
            Self::ClaimDoesNotExist { .. }
                | Self::ClaimDoesNotMatch { .. }
                | Self::MessageNotClaimed { .. }
                | Self::MessageNotClaimedBy { .. }
        )
    }

    /// Whether an argument is malformed or out of range. The same call can never succeed.
    ///
    /// ```
    /// assert!("no id".parse::<zaqar_sled::ClaimId>().unwrap_err().is_invalid());
    /// ```
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::InvalidArgument { .. } | Self::IsBackup { .. } | Self::InvalidExport { .. })
    }

    /// Whether an argument is over a size limit. The same call can never succeed.
    ///
    /// ```
    /// let error = zaqar_sled::QueueName::new("x".repeat(513)).unwrap_err();
    /// assert!(error.is_too_large());
    /// ```
    pub fn is_too_large(&self) -> bool {
        let is_fault = |fault: &ExportFault| matches!(fault, ExportFault::TooLarge { .. });
        matches!(self, Self::TooLarge { .. }) || matches!(self, Self::InvalidExport { fault, .. } if is_fault(fault))
    }

    /// Whether there is no space for anything more: on the disk, in the queue by its
    /// [settings](crate::QueueSettings), or in the project by its [quota](crate::ProjectQuota). Deletes, pops, purges and expiry still succeed, and free
    /// space. On a full disk, claims, renewals and releases succeed longer than posts, but may fail
    /// too.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// disk.set_capacity(Some(0));
    /// assert!(Config::new().disk(disk).open("store").unwrap_err().is_full());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::StorageFull { .. } | Self::QueueIsFull { .. } | Self::ProjectIsFull { .. })
    }

    /// Whether the same call may succeed later: the store is in use or behind with its work, its
    /// pool cannot be reached, or the queue is being moved.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk.clone()).open("store")?;
    /// assert!(Config::new().disk(disk).open("store").unwrap_err().is_busy());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::JournalChanged { .. }
                | Self::AlreadyOpen { .. }
                | Self::Locked { .. }
                | Self::PoolUnavailable { .. }
                | Self::Moving { .. }
        )
    }

    /// Whether the queue is [paused](crate::Pause) for what the call does.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let orders = engine.queue(Project::none(), "orders")?;
    /// orders.create(QueueSettings::new().paused(Pause::Posts))?;
    /// let refused = orders.post(ClientId::random(), &[NewMessage::new("42")]);
    /// assert!(refused.unwrap_err().is_paused());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_paused(&self) -> bool {
        matches!(self, Self::QueuePaused { .. })
    }

    /// Whether the engine was closed.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// engine.close()?;
    /// assert!(engine.verify().unwrap_err().is_closed());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// Whether a failure has stopped all writes until the store is opened again. The first call
    /// that failed has returned the cause.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let config = Config::new().disk(disk.clone()).background(false);
    /// # let engine = config.open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// use zaqar_sled::disk::{Fault, Operation};
    /// disk.inject(Fault::on(Operation::Sync));
    /// let post = || orders.post(ClientId::random(), &[NewMessage::new("a")]);
    /// assert!(post().is_err()); // the failure
    /// assert!(post().unwrap_err().is_poisoned()); // every change after it
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_poisoned(&self) -> bool {
        matches!(self, Self::Poisoned { .. })
    }

    /// Whether stored bytes are damaged: they are not the bytes that were written.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// Config::new().disk(disk.clone()).open("store")?.close()?;
    /// for file in disk.list_all().iter().filter(|file| file.ends_with("MANIFEST")) {
    ///     disk.corrupt(file, 0, 0xff).expect("the file is there");
    /// }
    /// assert!(Config::new().disk(disk).open("store").unwrap_err().is_corrupt());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt { .. })
    }

    /// Whether the change may or may not survive a restart. Look before trying again.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let config = Config::new().disk(disk.clone()).background(false);
    /// # let engine = config.open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// use zaqar_sled::disk::{Fault, Operation};
    /// disk.inject(Fault::on(Operation::Sync));
    /// let error = orders.post(ClientId::random(), &[NewMessage::new("a")]).unwrap_err();
    /// assert!(error.is_outcome_unknown()); // written, but not known to be on the disk
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. })
    }
}
