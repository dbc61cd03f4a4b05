//! One page of a listing.

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
