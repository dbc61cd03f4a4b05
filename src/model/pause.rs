//! Pauses of a queue.

use std::fmt;
use std::str::FromStr;

use crate::model::error::Error;

/// What a paused queue does not do until it is resumed.
///
/// As text it is `claims`, `posts` or `all`.
///
/// ```
/// use zaqar_sled::Pause;
///
/// let pause: Pause = "posts".parse()?;
/// assert!(pause.stops_posts() && !pause.stops_claims());
/// assert_eq!(Pause::All.to_string(), "all");
/// assert!("both".parse::<Pause>().unwrap_err().is_invalid());
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pause {
    /// No message can be claimed or popped. Messages that are claimed already can be finished.
    Claims,
    /// No message can be posted. Dead letters and redrives still arrive.
    Posts,
    /// Neither.
    All,
}

impl Pause {
    /// Whether no message can be claimed or popped.
    pub const fn stops_claims(self) -> bool {
        matches!(self, Self::Claims | Self::All)
    }

    /// Whether no message can be posted.
    pub const fn stops_posts(self) -> bool {
        matches!(self, Self::Posts | Self::All)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "claims",
            Self::Posts => "posts",
            Self::All => "all",
        })
    }
}

impl FromStr for Pause {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "claims" => Ok(Self::Claims),
            "posts" => Ok(Self::Posts),
            "all" => Ok(Self::All),
            _ => Err(Error::invalid("pause", r#"must be "claims", "posts" or "all""#)),
        }
    }
}
