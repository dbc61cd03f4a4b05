//! Pool URIs: the place of a pool's store.
//!
//! | URI | store | capabilities |
//! |---|---|---|
//! | `sled:/absolute/path` | a directory, opened or created | all five |
//! | `memory:NAME` | memory, empty after each opening | all but durability |
//! | no scheme, or `localhost:` | the configured message store: the control store itself | its own |
//!
//! A query sets options: `sled:/data?durability=buffered&memory=67108864`.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::durability::Durability;
use super::{Capabilities, Capability, Metadata};
use crate::model::error::{Error, Result};

/// The place of a pool's store: a URI of at most 4096 bytes.
///
/// | URI | Store | Capabilities |
/// |---|---|---|
/// | `sled:/absolute/path` | a directory, opened or created | all five |
/// | `memory:NAME` | memory, empty after each opening | all but durability |
/// | no scheme, or `localhost:` | the control store itself | those of the control store |
///
/// A query sets options of the first two: `?durability=buffered&memory=67108864` (bytes).
///
/// ```
/// use zaqar_sled::{Capability, PoolUri};
///
/// let disk: PoolUri = "sled:/mnt/ssd/messages?durability=buffered".parse()?;
/// assert!(disk.capabilities().is_some_and(|set| set.contains(Capability::Durability)));
/// let memory: PoolUri = "memory:scratch".parse()?;
/// assert!(memory.capabilities().is_some_and(|set| !set.contains(Capability::Durability)));
/// assert_eq!(memory.as_str(), "memory:scratch");
/// assert!(PoolUri::new("sled:relative/path").unwrap_err().is_invalid());
/// assert!(PoolUri::new("mongodb://elsewhere").unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PoolUri {
    text: String,
    location: Location,
    durability: Option<Durability>,
    memory: Option<u64>,
}

/// The place that a URI points to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Location {
    /// The control store. URIs with different texts still are different pools.
    Default(String),
    Directory(PathBuf),
    Memory(String),
}

impl PoolUri {
    /// The URI with this text.
    ///
    /// Cost: O(bytes), no I/O: whether the store exists is not checked.
    ///
    /// # Errors
    /// [`is_invalid`](crate::Error::is_invalid) for an unknown scheme or option, a path that is not
    /// absolute, or a missing name; [`is_too_large`](crate::Error::is_too_large) for more than 4096
    /// bytes.
    ///
    /// # Example
    ///
    /// ```
    /// let uri = zaqar_sled::PoolUri::new("sled:/mnt/ssd?memory=67108864")?;
    /// assert_eq!(uri.as_str(), "sled:/mnt/ssd?memory=67108864");
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn new(uri: impl AsRef<str>) -> Result<Self> {
        let text = uri.as_ref();
        if text.len() > MAX_BYTES {
            return Err(Error::TooLarge { what: "uri bytes", size: text.len() as u64, limit: MAX_BYTES as u64 });
        }
        let (address, query) = text.split_once('?').map_or((text, None), |(address, query)| (address, Some(query)));
        let location = match scheme(address) {
            Some(("sled", path)) => Location::Directory(directory(path)?),
            Some(("memory", "")) => return Err(invalid("a memory pool needs a name")),
            Some(("memory", name)) => Location::Memory(name.to_owned()),
            Some(("localhost", _)) | None if !address.is_empty() => Location::Default(text.to_owned()),
            Some((scheme, _)) => return Err(invalid(format!("there is no store for the scheme {scheme:?}"))),
            None => return Err(invalid("must not be empty")),
        };
        let mut parsed = Self { text: text.to_owned(), location, durability: None, memory: None };
        if !matches!(parsed.location, Location::Default(_)) {
            query.into_iter().flat_map(|query| query.split('&')).try_for_each(|option| parsed.read_option(option))?;
        }
        Ok(parsed)
    }

    fn read_option(&mut self, option: &str) -> Result<()> {
        match option.split_once('=') {
            Some(("durability", value)) => self.durability = Some(durability(value)?),
            Some(("memory", value)) => self.memory = Some(value.parse().map_err(|_| invalid(NOT_BYTES))?),
            _ => return Err(invalid(format!("unknown option {option:?}"))),
        }
        Ok(())
    }

    /// The URI as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The directory of the store; `None` for a store in memory and for the control store itself.
    ///
    /// ```
    /// # use std::path::Path;
    /// let uri = zaqar_sled::PoolUri::new("sled:///mnt/ssd?memory=67108864")?;
    /// assert_eq!(uri.directory(), Some(Path::new("/mnt/ssd")));
    /// assert_eq!(zaqar_sled::PoolUri::new("memory:scratch")?.directory(), None);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn directory(&self) -> Option<&Path> {
        match &self.location {
            Location::Directory(path) => Some(path),
            Location::Default(_) | Location::Memory(_) => None,
        }
    }

    /// Whether the store is the control store itself.
    ///
    /// ```
    /// assert!(zaqar_sled::PoolUri::new("localhost:27017")?.is_control_store());
    /// assert!(!zaqar_sled::PoolUri::new("sled:/mnt/ssd")?.is_control_store());
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn is_control_store(&self) -> bool {
        matches!(self.location, Location::Default(_))
    }

    /// The capabilities of a store at this URI; `None` for the control store, whose capabilities do not follow from the
    /// URI.
    pub fn capabilities(&self) -> Option<Capabilities> {
        match self.location {
            Location::Default(_) => None,
            Location::Directory(_) => Some(Capabilities::all()),
            Location::Memory(_) => Some(Capabilities::all().without(Capability::Durability)),
        }
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// The settings that the store is opened with: the pool's `options` take precedence over the URI's.
    pub(crate) fn settings(&self, options: &Metadata) -> Result<(Option<Durability>, Option<u64>)> {
        let named: Option<String> = options.get("durability")?;
        let named = named.map(|text| durability(&text)).transpose()?;
        let memory: Option<u64> = options.get("memory")?;
        Ok((named.or(self.durability), memory.or(self.memory)))
    }
}

/// The scheme and the rest of the URI.
fn scheme(address: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = address.split_once(':')?;
    let mut letters = scheme.chars();
    let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    is_scheme.then_some((scheme, rest))
}

/// An absolute path without `.`, `..` and doubled slashes. A leading `//`, as in other URIs, is allowed.
fn directory(path: &str) -> Result<PathBuf> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if !path.starts_with('/') {
        return Err(invalid("a sled pool needs an absolute path"));
    }
    let mut plain = PathBuf::from("/");
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => drop(plain.pop()),
            _ => {}
        }
    }
    Ok(plain)
}

fn durability(text: &str) -> Result<Durability> {
    match text {
        "sync" => Ok(Durability::Sync),
        "buffered" => Ok(Durability::Buffered),
        _ => Err(Error::invalid("durability", "must be sync or buffered")),
    }
}

fn invalid(reason: impl Into<String>) -> Error {
    Error::invalid("uri", reason)
}

impl FromStr for PoolUri {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self> {
        Self::new(uri)
    }
}

impl fmt::Display for PoolUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for PoolUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

const MAX_BYTES: usize = 4096;
const NOT_BYTES: &str = "memory must be a whole number of bytes";

#[cfg(test)]
mod tests {
    use super::*;

    fn location(uri: &str) -> Location {
        PoolUri::new(uri).unwrap().location
    }

    #[test]
    fn valid_uris_and_their_places() {
        let directory = Location::Directory("/a/b".into());
        for uri in ["sled:/a/b", "sled:///a/b", "sled:/a//./c/../b/", "sled:/a/b?memory=5&durability=sync"] {
            assert_eq!(location(uri), directory, "{uri}");
        }
        assert_eq!(location("memory:x"), Location::Memory("x".into()));
        for uri in ["localhost", "localhost:1", "uri_2", "/plain"] {
            assert_eq!(location(uri), Location::Default(uri.into()));
        }
    }

    #[test]
    fn invalid_uris_are_refused() {
        for uri in
            ["", "sled:", "sled:a", "sled://host", "memory:", "redis://x", "sled:/a?x=1", "sled:/a?memory=-1", "?"]
        {
            assert!(PoolUri::new(uri).unwrap_err().is_invalid(), "{uri}");
        }
        assert!(PoolUri::new("x".repeat(4097)).unwrap_err().is_too_large());
    }

    #[test]
    fn options_of_the_pool_go_before_those_of_the_uri() -> Result<()> {
        let uri = PoolUri::new("sled:/a?durability=buffered&memory=7")?;
        assert_eq!(uri.settings(&Metadata::new())?, (Some(Durability::Buffered), Some(7)));
        let options = Metadata::new().with("durability", "sync")?.with("memory", 9)?.with("rack", 3)?;
        assert_eq!(uri.settings(&options)?, (Some(Durability::Sync), Some(9)));
        assert!(uri.settings(&Metadata::new().with("durability", 1)?).unwrap_err().is_invalid());
        assert!(uri.settings(&Metadata::new().with("memory", "much")?).unwrap_err().is_invalid());
        Ok(())
    }
}
