//! One page of a listing, and which one.

/// A page: what was found, and where the next one begins.
///
/// A full last page has a marker too, and the page after it is empty; an empty page has none.
///
/// ```
/// use zaqar_sled::{Page, QueueMarker};
///
/// let page: Page<&str, QueueMarker> = Page { items: vec!["a", "b"], next: Some("b".parse()?) };
/// assert_eq!(page.into_iter().collect::<Vec<_>>(), ["a", "b"]);
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T, M> {
    /// What was found, in order.
    pub items: Vec<T>,
    /// Where the next page begins; `None` when this one is empty.
    pub next: Option<M>,
}

impl<T, M> IntoIterator for Page<T, M> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

/// Which page of subscriptions, pools or flavors to list. `M` is the listing's marker.
///
/// ```
/// use zaqar_sled::{ListOptions, PoolMarker};
///
/// let options = ListOptions::<PoolMarker>::new().limit(20).detailed(true);
/// assert_eq!((options.marker, options.limit), (None, 20));
/// ```
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListOptions<M> {
    /// Where to go on from; `None` is the first.
    pub marker: Option<M>,
    /// At most so many; 0 is no limit. 10 unless set.
    pub limit: usize,
    /// Whether pools come with their options and flavors with their capabilities; subscriptions are always whole.
    pub detailed: bool,
}

impl<M> ListOptions<M> {
    /// The first 10.
    pub fn new() -> Self {
        Self { marker: None, limit: 10, detailed: false }
    }

    /// Goes on from a marker; `None` starts at the first.
    pub fn marker(mut self, marker: impl Into<Option<M>>) -> Self {
        self.marker = marker.into();
        self
    }

    /// At most so many; 0 is no limit.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Asks for all there is to tell.
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
