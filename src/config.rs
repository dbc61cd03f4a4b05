//! The settings of a store. Nothing here opens one.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::clock::{Clock, EngineClock, SystemClock};
use crate::disk::{Disk, RealDisk};
use crate::model::{Durability, Limits};
use crate::sync::thread::{self, JoinHandle};

/// The settings of a store, and how it is opened.
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
    pub(crate) page_files: usize,
    pub(crate) busy_timeout: Duration,
    /// The control store that the store is opened as a pool of, and the time they share.
    pub(crate) control: Option<[u8; 16]>,
    pub(crate) time: Option<Arc<EngineClock>>,
    /// The queues that the control store has mapped to it, by their numbers, in case their records are lost: filled only
    /// where salvage is allowed.
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
    /// The defaults: [`Durability::Sync`], the machine's clock and file system, hard limits only.
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
            page_files: 64,
            busy_timeout: Duration::from_secs(10),
            control: None,
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

    /// What calls survive unless [`Engine::with_durability`](crate::Engine::with_durability) says otherwise. Default: [`Durability::Sync`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Where the engine gets time from. Default: [`SystemClock`].
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Where the files are. Default: [`RealDisk`](struct@RealDisk); a [`SimulatedDisk`](crate::SimulatedDisk) keeps them in memory.
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// What callers may ask for. Default: only the hard caps; [`Limits::zaqar`] are those of Zaqar's transport.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a change made at [`Durability::Buffered`] waits for its sync at most. Default: 500 ms; at least 1 ms.
    ///
    /// What is lost in a power cut was acknowledged no longer before it than this, or a sync if that takes longer, and one
    /// sync more: one that is under way has to end before the next begins, and then counts when it has ended. Where a journal
    /// segment was begun, a sync is of up to three files: the full segment, the new one and their directory.
    pub fn sync_interval(mut self, interval: Duration) -> Self {
        self.sync_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// The size of a journal segment in bytes, from 4 KiB to 1 GiB. Default: 16 MiB.
    pub fn segment_size(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.clamp(4 << 10, 1 << 30);
        self
    }

    /// The bytes of messages kept in memory. Default: 256 MiB. What is beyond it is read from disk when it is needed; a post
    /// that comes while there is more waits, up to [`busy_timeout`](Self::busy_timeout), until older messages have been
    /// written out. [`docs::bounds`](crate::docs::bounds) tells what is needed beside it.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// The bytes of journal on disk from which posts wait, up to [`busy_timeout`](Self::busy_timeout), for a snapshot to free
    /// some; where the live messages weigh more than half of it, twice what they weigh. Default: 256 MiB; at least eight
    /// [segments](Self::segment_size).
    pub fn journal_max(mut self, bytes: u64) -> Self {
        self.journal_max = bytes;
        self
    }

    /// How many page files are open at once, at least 4. Default: 64. One that is needed and not open is opened for it, in
    /// place of the one that was needed least recently.
    ///
    /// Beside them a store needs a dozen descriptors, and the trees a few while a checkpoint is written.
    pub fn page_files(mut self, most: usize) -> Self {
        self.page_files = most.max(LEAST_PAGE_FILES);
        self
    }

    /// How long a post waits while memory or journal are full before it is refused with `Unavailable`
    /// ([`is_busy`](crate::Error::is_busy)), unchanged. Default: 10 s. Other calls never wait for that.
    pub fn busy_timeout(mut self, patience: Duration) -> Self {
        self.busy_timeout = patience;
        self
    }

    /// The same for the control store of a pooled driver.
    pub(crate) fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    pub(crate) fn cache_bytes(&self) -> u64 {
        self.memory / 16
    }

    /// Whether a queue for which there is no pool is kept in the control store itself, unmapped (Zaqar's
    /// `enable_virtual_pool`). Only for [`open_pooled`](Self::open_pooled). Default: no.
    pub fn virtual_pool(mut self, virtual_pool: bool) -> Self {
        self.virtual_pool = virtual_pool;
        self
    }

    /// Makes ids repeat from run to run, for simulation. Never in production: ids have to differ. Default: random ids.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether posts get a checksum of their body (Zaqar's `enable_checksum`). Default: no. Cost: one MD5 a message.
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.checksums = checksums;
        self
    }

    /// Whether opening a store that this process has open gives the same engine instead of `AlreadyOpen`. Default: no.
    ///
    /// Every setting has to be what the store was opened with, or the opening is refused with `SettingsDiffer`, which names
    /// the setting; a [`clock`](Self::clock) or [`spawner`](Self::spawner) has to be the very same. What may differ:
    /// [`durability`](Self::durability), which is each handle's own, and what concerns only an opening that has not happened,
    /// [`salvage`](Self::salvage) and this. A store that a [`PooledDriver`](crate::PooledDriver) has open is shared as such alone.
    ///
    /// ```
    /// use zaqar_sled::{Config, Durability, Error, SimulatedDisk};
    ///
    /// let config = Config::new().disk(std::sync::Arc::new(SimulatedDisk::new())).shared(true);
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

    /// Whether a store that is damaged is opened with all that is left of it. Default: no.
    ///
    /// Without it, opening reads the manifest, the snapshot and the journal, and gives `Corrupt`, changing nothing, where they
    /// are not what was written. After a clean close everything is in the trees too: then a damaged snapshot or journal is
    /// replaced and reported. A page in a page file is not read at opening: damage to it is found when somebody needs the
    /// page, who gets `Corrupt`, or by [`Engine::verify`](crate::Engine::verify).
    ///
    /// With it, every page is read at opening too. Where anything is damaged, what is whole is put together from all that
    /// is left; the files with damage are moved into a folder `damaged-…` of the store, and [`Engine::recovery`](crate::Engine::recovery) names
    /// [every place](crate::RecoveryReport::damaged) and [what each queue lost](crate::RecoveryReport::lost). A range that
    /// the device cannot read is damage; a file that may not be read is an error that names it. A pool that a damaged
    /// control store has forgotten is registered again.
    ///
    /// Cost: every file is read whole.
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Whether housekeeping runs in threads of the engine's own. Default: yes. Without them it is run by
    /// [`Engine::step`](crate::Engine::step), which makes a simulation repeatable.
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Where the engine's threads come from. Default: the standard library's.
    pub fn spawner(mut self, spawner: Arc<dyn Spawner>) -> Self {
        self.spawner = spawner;
        self
    }

    /// The first setting in which a store opened with these is not as one opened with `other` would be.
    pub(crate) fn differs_from(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            ("clock", !Arc::ptr_eq(&self.clock, &other.clock)),
            ("limits", self.limits != other.limits),
            ("sync_interval", self.sync_interval != other.sync_interval),
            ("segment_size", self.segment_bytes != other.segment_bytes),
            ("memory", self.memory != other.memory),
            ("journal_max", self.journal_max != other.journal_max),
            ("busy_timeout", self.busy_timeout != other.busy_timeout),
            ("virtual_pool", self.virtual_pool != other.virtual_pool),
            ("seed", self.seed != other.seed),
            ("checksums", self.checksums != other.checksums),
            ("background", self.background != other.background),
            ("spawner", !Arc::ptr_eq(&self.spawner, &other.spawner)),
            ("open_pooled", (self.pooled, self.control) != (other.pooled, other.control)),
        ];
        differs.into_iter().find_map(|(setting, differs)| differs.then_some(setting))
    }
}

/// The clock of everybody who does not bring one.
static SYSTEM_CLOCK: LazyLock<Arc<SystemClock>> = LazyLock::new(Arc::default);
static PLAIN_SPAWNER: LazyLock<Arc<PlainSpawner>> = LazyLock::new(Arc::default);

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Fewer page files than this are never open at once.
pub(crate) const LEAST_PAGE_FILES: usize = 4;
/// Starts the threads of an engine, so that an embedder can give them a priority, a place or a limit, and a test can see what
/// happens when one cannot be started.
///
/// ```
/// use std::sync::Arc;
/// use std::thread::{self, JoinHandle};
/// use zaqar_sled::{Config, SimulatedDisk, Spawner};
///
/// /// Threads with small stacks.
/// #[derive(Debug)]
/// struct Small;
///
/// impl Spawner for Small {
///     fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
///         thread::Builder::new().name(name.to_owned()).stack_size(1 << 20).spawn(work)
///     }
/// }
///
/// let engine = Config::new().disk(Arc::new(SimulatedDisk::new())).spawner(Arc::new(Small)).open("store")?;
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
pub trait Spawner: fmt::Debug + Send + Sync {
    /// Runs `work` in a new thread of that name. Where this fails, opening the store fails and leaves nothing behind.
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;
}

/// Threads of the standard library, with its defaults.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PlainSpawner;

impl Spawner for PlainSpawner {
    fn spawn(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(name.to_owned()).spawn(work)
    }
}
