//! The check of an open store against itself.

use crate::disk::trees::{Tree, Trees};
use crate::model::error::{Error, Result};
use crate::state::entries;
use crate::state::page_content::Owner;
use crate::state::{PageEntry, Queue};
use crate::storage::records::{self, Digest, Digested, Record};
use crate::store::Store;

/// The result of [`Engine::verify`](crate::Engine::verify) and of
/// [`Inspection::verify`](crate::Inspection::verify): counts and findings.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// # let orders = engine.queue(Project::named("shop")?, "orders")?;
/// # orders.create(Metadata::new())?;
/// # orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new("b")])?;
/// engine.checkpoint()?;
/// let verification = engine.verify()?;
/// assert!(verification.is_sound() && verification.findings().is_empty());
/// assert_eq!((verification.queues(), verification.messages()), (1, 2));
/// assert!(verification.records() > 0); // what the checkpoint wrote
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    queues: u64,
    messages: u64,
    records: u64,
    findings: Vec<String>,
}

impl Verification {
    pub(crate) fn of(store: &Store) -> Result<Self> {
        let store = store.enter()?;
        let mut verification = Self::default();
        // Reads every page, while housekeeping continues.
        for slot in store.slots() {
            if let Some(queue) = store.lock(&slot)? {
                verification.recount(&queue)?;
            }
        }
        verification.check_archive(&store)?;
        verification.compare_with_trees(&store)?;
        verification.check_totals(&store);
        Ok(verification)
    }

    /// Adds findings about other parts of the store.
    pub(super) fn find(&mut self, findings: &[String]) {
        self.findings.extend_from_slice(findings);
    }

    /// Adds the result for the store of a pool.
    pub(crate) fn add(&mut self, pool: &str, other: Self) {
        self.queues = self.queues.saturating_add(other.queues);
        self.messages = self.messages.saturating_add(other.messages);
        self.records = self.records.saturating_add(other.records);
        self.findings.extend(other.findings.into_iter().map(|finding| format!("pool {pool}: {finding}")));
    }

    /// Recounts a queue and adds what is wrong.
    pub(super) fn recount(&mut self, queue: &Queue) -> Result<()> {
        self.queues = self.queues.saturating_add(1);
        self.messages = self.messages.saturating_add(queue.totals().total);
        for violation in queue.audit()? {
            let number = queue.number();
            self.findings.push(format!("queue {number:#x}, invariant {}: {}", violation.invariant, violation.what));
        }
        Ok(())
    }

    /// Reads every record of the archive.
    fn check_archive(&mut self, store: &Store) -> Result<()> {
        let (archive, archived) = {
            let directory = store.directory.read();
            (directory.archiving.archive().cloned(), directory.archiving.len())
        };
        self.queues = self.queues.saturating_add(archived);
        match archive.map_or(Ok(()), |archive| archive.check()) {
            Err(error) if error.is_corrupt() => self.findings.push(error.to_string()),
            checked => checked?,
        }
        Ok(())
    }

    /// Compares the state with the trees, so many records at a time: housekeeping, which posts may wait for, has its
    /// turn in between.
    fn compare_with_trees(&mut self, store: &Store) -> Result<()> {
        let mut slots = store.slots();
        loop {
            // No checkpoint runs during this: an item that is not dirty in memory must be equal in the trees.
            let mut housekeeping = store.housekeeping.lock();
            let trees = store.read_trees(&mut housekeeping)?;
            let enough = self.records.saturating_add(RECORDS_AT_ONCE);
            if let Some(trees) = &trees {
                while self.records < enough
                    && let Some(slot) = slots.next()
                {
                    let stored = store.lock(&slot)?.map(|queue| unchanged(&queue)).unwrap_or_default();
                    self.compare(&*trees.trees, slot.owner(), &stored)?;
                }
            }
            if trees.is_none() || self.records < enough {
                self.check_registry(store, trees.as_ref())?;
                return self.check_digest(trees.as_ref());
            }
        }
    }

    fn compare(&mut self, trees: &dyn Trees, of: Owner<'_>, pages: &[(u64, PageEntry)]) -> Result<()> {
        for (first, entry) in pages {
            let Record { tree, key, value } = entries::page(of, *first, entry)?;
            self.records = self.records.saturating_add(1);
            if trees.get(tree, &key)?.as_deref() != Some(&value) {
                let queue = of.number;
                self.findings.push(format!("queue {queue:#x}: the trees differ from page {first:#x}"));
            }
        }
        Ok(())
    }

    fn check_registry(&mut self, store: &Store, trees: Option<&Digested>) -> Result<()> {
        let (wrong, unchanged) = {
            let registry = store.registry.read();
            (registry.audit(), registry.unchanged()?)
        };
        self.findings.extend(wrong.map(|what| format!("registry: {what}")));
        let Some(trees) = trees else { return Ok(()) };
        for Record { tree, key, value } in unchanged {
            self.records = self.records.saturating_add(1);
            if trees.trees.get(tree, &key)?.as_deref() != Some(&value) {
                self.findings.push(format!("registry: the trees differ in {}", tree.name()));
            }
        }
        Ok(())
    }

    fn check_digest(&mut self, trees: Option<&Digested>) -> Result<()> {
        let Some(trees) = trees else { return Ok(()) };
        let mut digest = Digest::default();
        for tree in Tree::ALL {
            trees.trees.scan(tree, &mut |key, value| {
                digest.add(tree, key, value);
                records::open(tree, key, value).map(drop).map_err(|reason| Error::Trees { reason: reason.into() })
            })?;
        }
        if digest != trees.digest() {
            self.findings.push("the trees differ from what was written to them".into());
        }
        Ok(())
    }

    /// Compares the store's sums, which is possible only if no change happened meanwhile.
    fn check_totals(&mut self, store: &Store) {
        let recorded = || (store.messages(), store.weight());
        let before = (store.journal.appended(), recorded());
        let (mut messages, mut weight) = (0_u64, 0_u64);
        for slot in store.slots() {
            let totals = slot.lock().totals();
            messages = messages.saturating_add(totals.total);
            weight = weight.saturating_add(totals.weight);
        }
        let unchanged = (store.journal.appended(), recorded()) == before;
        if unchanged && recorded() != (messages, weight) {
            self.findings.push(format!(
                "the store's totals are {:?}, its queues' {:?}",
                recorded(),
                (messages, weight)
            ));
        }
    }

    /// Whether everything agrees: there are no findings.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    /// The disagreements, as text. A violated invariant is named by its module and its number there, as in `page 4`.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    /// The number of queues that were recounted.
    pub fn queues(&self) -> u64 {
        self.queues
    }

    /// The number of live messages that were counted.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// The number of records that were compared with the trees.
    pub fn records(&self) -> u64 {
        self.records
    }
}

/// The pages that must be equal in the trees.
fn unchanged(queue: &Queue) -> Vec<(u64, PageEntry)> {
    let stored = queue.pages().values().filter(|page| queue.is_page_stored(page.first()));
    stored.filter_map(|page| Some((page.first(), page.freeze().entry(page.image()?)))).collect()
}

/// Records compared while housekeeping waits: less than a second.
const RECORDS_AT_ONCE: u64 = 1 << 16;
