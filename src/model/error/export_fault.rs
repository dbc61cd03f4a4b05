//! Why a line of an export is refused.

/// Why an import has refused a line of an export: a part of [`InvalidExport`](crate::Error::InvalidExport).
///
/// ```
/// # use zaqar_sled::*;
/// # let disk = std::sync::Arc::new(SimulatedDisk::new());
/// # let config = Config::new().disk(disk);
/// # let engine = config.clone().open("store")?;
/// let mut lines = Vec::new();
/// engine.export(&mut lines)?;
/// let cut_short = &lines[..lines.len() - 9];
/// let Err(Error::InvalidExport { line, fault }) = config.import("copy", cut_short) else {
///     panic!("the last line is not whole");
/// };
/// assert!(line == 2 && matches!(fault, ExportFault::Incomplete));
/// # Ok::<(), zaqar_sled::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum ExportFault {
    /// The export ends before its last line. The line is the one that is missing.
    #[error("the export ends before its last line")]
    Incomplete,
    /// The export is in the format of a later version of this crate.
    #[error("the export has format {found}; this version reads format {supported}")]
    UnsupportedFormat {
        /// The format it is in.
        found: u32,
        /// The format that this version reads.
        supported: u32,
    },
    /// The line is no line of an export, or contradicts itself or the lines before it.
    #[error("{reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The line does not stand where it belongs: the lines were reordered, or one is missing or is there twice.
    #[error("{reason}")]
    OutOfPlace {
        /// What should stand there.
        reason: String,
    },
    /// The line has a name, a setting or a number that the store does not take.
    #[error("{reason}")]
    Refused {
        /// Why the store does not take it.
        reason: String,
    },
    /// The line has something that is larger than a [limit](crate::Config::limits) of the store allows.
    #[error("{what} of {size} is over the limit of {limit}")]
    TooLarge {
        /// The quantity that was measured, with its unit.
        what: &'static str,
        /// The measured size.
        size: u64,
        /// The largest size allowed.
        limit: u64,
    },
}
