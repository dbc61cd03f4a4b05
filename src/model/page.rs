//! A page of a listing, and the options that choose it.

/// A page of a listing: the items, and where the next page starts (contract 2).
///
/// A full last page has a marker too, and the page after it is empty. An empty page has no marker.
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let engine = Config::new().disk(disk).open("store")?;
/// let project = Project::none();
/// for name in ["a", "b", "c"] {
///     engine.queue(project.clone(), name)?.create(Metadata::new())?;
/// }
/// let page = engine.queues().list(&project, &QueueListOptions::new().limit(2))?;
/// assert_eq!(page.next, Some("b".parse()?));
/// let names: Vec<_> = page.into_iter().map(|entry| entry.name().clone()).collect();
/// assert_eq!(names, ["a".parse()?, "b".parse()?]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T, M> {
    /// The items, in the order of the listing.
    pub items: Vec<T>,
    /// The start of the next page; `None` if this page is empty.
    pub next: Option<M>,
}

impl<T, M> IntoIterator for Page<T, M> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

/// Which page of subscriptions, pools or flavors to list. `M` is the type of the listing's marker.
///
/// ```
/// use zaqar_sled::{ListOptions, PoolMarker};
///
/// let options = ListOptions::<PoolMarker>::new().limit(20).detailed(true);
/// assert_eq!((options.marker, options.limit, options.detailed), (None, 20, true));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListOptions<M> {
    /// The position after which the page starts; `None` is the start.
    pub marker: Option<M>,
    /// The largest number of items; 0 means no limit. 10 unless set.
    pub limit: usize,
    /// Whether pools come with their options and flavors with their capabilities. Subscriptions
    /// always come with their options.
    pub detailed: bool,
}

impl<M> ListOptions<M> {
    /// The first 10 items.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let options = ListOptions::<PoolMarker>::new();
    /// assert_eq!((options.marker, options.limit, options.detailed), (None, 10, false));
    /// ```
    pub fn new() -> Self {
        Self { marker: None, limit: 10, detailed: false }
    }

    /// Starts the page after this position; `None` starts at the first item.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// let after = PoolMarker::from(PoolName::new("one")?);
    /// assert_eq!(ListOptions::new().marker(after.clone()).marker, Some(after));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn marker(mut self, marker: impl Into<Option<M>>) -> Self {
        self.marker = marker.into();
        self
    }

    /// Sets the largest number of items; 0 means no limit.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert_eq!(ListOptions::<PoolMarker>::new().limit(0).limit, 0); // all items
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sets whether pools come with their options and flavors with their capabilities.
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// assert!(ListOptions::<PoolMarker>::new().detailed(true).detailed);
    /// ```
    pub fn detailed(mut self, detailed: bool) -> Self {
        self.detailed = detailed;
        self
    }

    /// The limit with 0 spelled out.
    pub(crate) fn most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }
}

impl<M> Default for ListOptions<M> {
    fn default() -> Self {
        Self::new()
    }
}
