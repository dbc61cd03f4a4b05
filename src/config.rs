//! The settings of a store. The engine module opens stores with them.

mod sharing;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::{Clock, EngineClock, SystemClock};
use crate::disk::{Disk, RealDisk};
use crate::model::{Durability, Limits};
use crate::sync::spawner::{PlainSpawner, Spawner};

/// The settings of a store, and how it is opened.
///
/// Each method sets one setting and returns the settings; [`open`](Self::open) and
/// [`open_pooled`](Self::open_pooled) use them. A setting costs nothing until a store is opened.
/// Settings out of range are brought into range, so that no setting fails.
///
/// ```
/// use std::time::Duration;
/// use zaqar_sled::{Config, Durability, Limits};
/// # let disk = std::sync::Arc::new(zaqar_sled::SimulatedDisk::new());
/// let engine = Config::new()
///     .durability(Durability::Buffered)
///     .sync_interval(Duration::from_millis(100))
///     .limits(Limits::zaqar())
/// #   .disk(disk)
///     .open("store")?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Config {
    pub(crate) durability: Durability,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) limits: Limits,
    pub(crate) sync_interval: Duration,
    pub(crate) segment_bytes: u64,
    pub(crate) memory: u64,
    pub(crate) journal_max: u64,
    pub(crate) queue_memory: Option<u64>,
    pub(crate) page_files: usize,
    pub(crate) busy_timeout: Duration,
    /// The control store that the store is opened as a pool of, and the time they share.
    pub(crate) control: Option<[u8; 16]>,
    /// The id of the store, if the driver knows that the store is its pool.
    pub(crate) known_store: Option<[u8; 16]>,
    pub(crate) time: Option<Arc<EngineClock>>,
    /// The queues that the control store has mapped to it, by their numbers, in case their records
    /// are lost: filled only where salvage is allowed.
    pub(crate) names: Arc<BTreeMap<u64, Vec<u8>>>,
    pub(crate) virtual_pool: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) checksums: bool,
    pub(crate) shared: bool,
    pub(crate) salvage: bool,
    pub(crate) background: bool,
    /// Whether a pooled driver opens it as its control store.
    pub(crate) pooled: bool,
    pub(crate) spawner: Arc<dyn Spawner>,
}

impl Config {
    /// The default settings: [`Durability::Sync`], the machine's clock and file system, and no
    /// limits except the hard ones.
    ///
    /// Cost: none.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).open("store")?;
    /// assert!(engine.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new() -> Self {
        Self {
            durability: Durability::Sync,
            clock: SYSTEM_CLOCK.clone(),
            disk: Arc::new(RealDisk),
            limits: Limits::default(),
            sync_interval: Duration::from_millis(500),
            segment_bytes: 16 << 20,
            memory: 256 << 20,
            journal_max: 256 << 20,
            queue_memory: None,
            page_files: 64,
            busy_timeout: Duration::from_secs(10),
            control: None,
            known_store: None,
            time: None,
            names: Arc::default(),
            virtual_pool: false,
            seed: None,
            checksums: false,
            shared: false,
            salvage: false,
            background: true,
            pooled: false,
            spawner: PLAIN_SPAWNER.clone(),
        }
    }

    /// The failures that acknowledged changes survive, unless
    /// [`Engine::with_durability`](crate::Engine::with_durability) gives a handle of another
    /// durability. Default: [`Durability::Sync`].
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).durability(Durability::Buffered).open("store")?;
    /// engine.queue(Project::none(), "metrics")?.create(Metadata::new())?; // one write, no sync
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The clock that the engine reads. Default: [`SystemClock`]. A
    /// [`ManualClock`](crate::ManualClock) lets a test decide when a message expires.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # use std::sync::Arc;
    /// let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    /// let engine = Config::new().disk(disk).clock(clock.clone()).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// let hour = std::time::Duration::from_secs(3600);
    /// orders.post(ClientId::random(), &[NewMessage::new("a").ttl(hour)])?;
    /// clock.advance(hour);
    /// assert_eq!(orders.stats()?.total(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the files are. Default: [`RealDisk`](struct@RealDisk), the machine's file system. A
    /// [`SimulatedDisk`](crate::SimulatedDisk) keeps the files in memory, and can lose power and
    /// fail.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// Config::new().disk(disk.clone()).open("store")?.close()?;
    /// let engine = Config::new().disk(disk).open("store")?;
    /// assert_eq!(engine.recovery().source(), RecoverySource::Trees); // it was closed cleanly
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// The sizes and times that callers may use. Default: the hard limits of the engine.
    /// [`Limits::zaqar`] gives those of Zaqar's front end (contract 13).
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).limits(Limits::zaqar()).open("store")?;
    /// let error = engine.queue(Project::none(), "no spaces").unwrap_err();
    /// assert!(error.is_invalid());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a change made at [`Durability::Buffered`] waits for its sync at most. Default: 500
    /// ms; at least 1 ms.
    ///
    /// A power cut loses changes that were acknowledged within this time before it, or within the
    /// time of one sync if that is longer, and in addition within the time of one more sync: a sync
    /// that is running has to end before the next one begins, and counts only when it has ended.
    /// Where a journal segment was begun, a sync is of up to three files: the full segment, the new
    /// one and their directory.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # use std::time::Duration;
    /// let config = Config::new().durability(Durability::Buffered);
    /// let engine = config.sync_interval(Duration::from_millis(50)).disk(disk).open("store")?;
    /// assert_eq!(engine.status().unsynced(), 0);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// The size of a journal segment in bytes: 4 KiB to 1 GiB. Default: 16 MiB. Each segment's
    /// space is taken from the disk before messages are written to it, and given back segment by
    /// segment.
    ///
    /// Cost: disk space: usually two segments, the live one and a spare one.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).segment_size(1 << 20).open("store")?;
    /// assert_eq!(engine.status().journal_segments(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(4 << 10, 1 << 30);
        self
    }

    /// The bytes of messages that are kept in memory. Default: 256 MiB.
    ///
    /// Cost: that memory, and one read of up to 16 KiB for each page that a call needs from disk.
    ///
    /// Messages beyond that are in page files, and are read when a call needs them. A post that
    /// finds more in memory waits up to [`busy_timeout`](Self::busy_timeout) until older messages
    /// are written to page files. [`docs::bounds`](crate::docs::bounds) lists the memory that a
    /// store needs beside this.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).memory(16 << 20).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert!(engine.status().memory_bytes() <= 16 << 20);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// The bytes of journal on disk from which posts wait, up to
    /// [`busy_timeout`](Self::busy_timeout), until a snapshot frees some of it. If the live messages
    /// weigh more than half of that, posts wait from twice their weight. Default: 256 MiB; at least
    /// eight [segments](Self::segment_size).
    ///
    /// Cost: that disk space, and the time to read it when a store is opened after a crash.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk).segment_size(1 << 20).journal_max(32 << 20);
    /// let engine = config.open("store")?;
    /// assert!(engine.status().journal_bytes() <= 32 << 20);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn journal_max(mut self, bytes: u64) -> Self {
        self.journal_max = bytes;
        self
    }

    /// The memory for the directory of queues, in bytes, from which queues without messages and claims are archived.
    /// Default: a quarter of [`memory`](Self::memory), which is enough for some 250 000 queues; at least 1 MiB.
    ///
    /// An archived queue takes no memory. Its record is in one sorted file, and the first call on the queue reads a
    /// block of 16 KiB of that file. Every queue without messages and claims that no call has used for a while is
    /// archived; if that is not enough, all of them. A store with an archive keeps no sled trees.
    ///
    /// Cost: the archive is written anew each time the directory has grown by half of this; a snapshot is written with
    /// it.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk).queue_memory(16 << 10).background(false);
    /// let engine = config.open("store")?;
    /// for number in 0..1000 {
    ///     engine.queue(Project::none(), format!("reply-{number}"))?.create(Metadata::new())?;
    /// }
    /// engine.step()?;
    /// assert_eq!((engine.status().queues(), engine.status().archived_queues()), (1000, 1000));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn queue_memory(mut self, bytes: u64) -> Self {
        self.queue_memory = Some(bytes);
        self
    }

    /// The number of page files that are open at once, at least 4. Default: 64. If another file is
    /// needed, the least recently used one is closed.
    ///
    /// Cost: a descriptor each. A store also needs a dozen other descriptors, and a few for the
    /// trees while a checkpoint is written.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).page_files(8).open("store")?;
    /// assert!(engine.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn page_files(mut self, most: usize) -> Self {
        self.page_files = most.max(LEAST_PAGE_FILES);
        self
    }

    /// How long a post waits while memory or the journal is full. Then it fails with
    /// [`Unavailable`](crate::Error::Unavailable) ([`is_busy`](crate::Error::is_busy)) and has
    /// changed nothing. Default: 10 s. Other calls never wait for memory or the journal.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # use std::time::Duration;
    /// let config = Config::new().disk(disk).busy_timeout(Duration::from_secs(1));
    /// let engine = config.open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// assert_eq!(orders.post(ClientId::random(), &[NewMessage::new("a")])?.len(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Marks the settings as those of a pooled driver's control store.
    pub(crate) fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    pub(crate) fn queue_memory_bytes(&self) -> u64 {
        self.queue_memory.unwrap_or((self.memory / 4).max(LEAST_QUEUE_MEMORY))
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        self.memory / 16
    }

    /// Whether a queue for which there is no pool is kept in the control store, without a catalogue
    /// entry: Zaqar's `enable_virtual_pool` (contract 12). Only for
    /// [`open_pooled`](Self::open_pooled). Default: no.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let driver = Config::new().disk(disk).virtual_pool(true).open_pooled("control")?;
    /// let orders = driver.queue(Project::none(), "orders")?;
    /// assert!(orders.create(Metadata::new())?); // no pool is registered
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn virtual_pool(mut self, virtual_pool: bool) -> Self {
        self.virtual_pool = virtual_pool;
        self
    }

    /// Makes random ids repeat from run to run, for simulation. Never use it in production, because
    /// ids have to differ. Default: random ids.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let claim = || -> Result<ClaimId> {
    ///     let disk = std::sync::Arc::new(SimulatedDisk::new());
    ///     let engine = Config::new().disk(disk).seed(7).background(false).open("store")?;
    ///     # let orders = engine.queue(Project::none(), "orders")?;
    ///     # orders.create(Metadata::new())?;
    ///     # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    ///     Ok(orders.claim(ClaimOptions::new())?.expect("a message waits").id())
    /// };
    /// assert_eq!(claim()?, claim()?);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether a post stores a checksum of each body: Zaqar's `enable_checksum` (contract 15).
    /// Default: no.
    ///
    /// Cost: one MD5 a message.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).checksums(true).open("store")?;
    /// # let orders = engine.queue(Project::named("shop")?, "orders")?;
    /// # orders.create(Metadata::new())?;
    /// # orders.post(ClientId::random(), &[NewMessage::new("a")])?;
    /// assert!(orders.first(Sort::Oldest)?.checksum().is_some());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// Whether opening a store that this process has open gives the same engine instead of the
    /// error [`AlreadyOpen`](crate::Error::AlreadyOpen). Default: no.
    ///
    /// Every setting has to be the one that the store was opened with; else opening fails with
    /// [`SettingsDiffer`](crate::Error::SettingsDiffer)
    /// ([`is_conflict`](crate::Error::is_conflict)), which names the setting. A
    /// [`clock`](Self::clock) or a [`spawner`](Self::spawner) has to be the same object. Three
    /// settings may differ: [`durability`](Self::durability), which is each handle's own, and
    /// [`salvage`](Self::salvage) and this one, which concern only an opening. A store that a
    /// [`PooledDriver`](crate::PooledDriver) has open is shared only as a pooled driver.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let config = Config::new().disk(disk).shared(true);
    /// let engine = config.clone().open("store")?;
    /// let same = config.clone().durability(Durability::Buffered).open("store")?;
    /// let error = config.memory(1 << 30).open("store").unwrap_err();
    /// assert!(matches!(error, Error::SettingsDiffer { setting: "memory", .. }));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Whether a damaged store is opened with everything that is intact. Default: no.
    ///
    /// - **Without it**, opening reads the manifest, the snapshot and the journal. If they are damaged,
    ///   opening fails with [`Corrupt`](crate::Error::Corrupt)
    ///   ([`is_corrupt`](crate::Error::is_corrupt)) and changes nothing. After a clean close the
    ///   trees hold everything too: then a damaged snapshot or journal is replaced and reported. Page
    ///   files are not read at opening: the call that needs a damaged page gets
    ///   [`Corrupt`](crate::Error::Corrupt), and [`Engine::verify`](crate::Engine::verify) finds
    ///   it.
    /// - **With it**, opening also reads every page. The state is built from all intact parts, and
    ///   the damaged files are moved into a folder `damaged-…` of the store.
    ///   [`Engine::recovery`](crate::Engine::recovery) names [every damaged
    ///   place](crate::RecoveryReport::damaged) and [the messages that each queue
    ///   lost](crate::RecoveryReport::lost). A range that the device cannot read is damage; a file
    ///   without permission to read it is an error that names the file. A pool that a damaged
    ///   control store has forgotten is registered again.
    ///
    /// Cost: every file is read whole at opening.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).salvage(true).open("store")?;
    /// assert!(engine.recovery().damaged().is_empty());
    /// assert!(engine.recovery().lost().is_empty());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Whether the engine does its housekeeping in threads of its own. Default: yes. Without
    /// threads, [`Engine::step`](crate::Engine::step) does it, which makes a simulation repeatable.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// let engine = Config::new().disk(disk).background(false).open("store")?;
    /// engine.step()?; // sync, collect, evict, checkpoint: as far as each is due
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// The spawner that starts the engine's threads. Default: the standard library. See [`Spawner`].
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # use std::{sync::Arc, thread};
    /// # #[derive(Debug)]
    /// # struct Named;
    /// # impl Spawner for Named {
    /// #     fn spawn(
    /// #         &self,
    /// #         name: &str,
    /// #         work: Box<dyn FnOnce() + Send>,
    /// #     ) -> std::io::Result<thread::JoinHandle<()>> {
    /// #         thread::Builder::new().name(name.to_owned()).spawn(work)
    /// #     }
    /// # }
    /// let engine = Config::new().disk(disk).spawner(Arc::new(Named)).open("store")?;
    /// assert!(engine.is_alive());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = spawner;
        self
    }
}

/// The clock of all settings that name no other.
static SYSTEM_CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(Arc::default);
static PLAIN_SPAWNER: LazyLock<Arc<PlainSpawner>> = LazyLock::new(Arc::default);

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// The least default of [`Config::queue_memory`].
const LEAST_QUEUE_MEMORY: u64 = 1 << 20;
/// Fewer page files than this are never open at once.
pub(crate) const LEAST_PAGE_FILES: usize = 4;
