//! A source of lines: a file, or standard input.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::failure::Failure;

#[derive(Debug)]
pub(crate) struct Source {
    /// The name as the user wrote it.
    name: String,
    /// Without links and dots; `None` is standard input.
    path: Option<PathBuf>,
    /// The length in bytes at the start of the run; streams have none.
    len: Option<u64>,
}

impl Source {
    /// The named sources, each once, however often and by whichever path it is named.
    pub(crate) fn all(files: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        if files.is_empty() {
            return Ok(vec![Self::stdin()]);
        }
        let sources: Vec<Self> = files.iter().map(|file| Self::find(file)).collect::<Result<_, _>>()?;
        let mut seen = BTreeSet::new();
        Ok(sources.into_iter().filter(|source| seen.insert(source.path.clone())).collect())
    }

    fn find(file: &Path) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            return Ok(Self::stdin());
        }
        let name = file.display().to_string();
        let found = file.canonicalize().and_then(|path| Ok((path.metadata()?, path)));
        match found {
            Ok((metadata, _)) if metadata.is_dir() => Err(Failure::Directory { name }),
            Ok((metadata, path)) => {
                Ok(Self { name, path: Some(path), len: metadata.is_file().then_some(metadata.len()) })
            }
            Err(source) => Err(Failure::Read { name, source }),
        }
    }

    fn stdin() -> Self {
        Self { name: "-".into(), path: None, len: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether reading may wait for a writer.
    pub(crate) fn is_stream(&self) -> bool {
        self.len.is_none()
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match &self.path {
            Some(path) => Ok(Box::new(File::open(path)?)),
            None => Ok(Box::new(io::stdin())),
        }
    }

    /// A unique name of the source in printable ASCII: its path, with other characters as `%` and two digits.
    pub(crate) fn identity(&self) -> String {
        let Some(path) = &self.path else { return "-".into() };
        let mut identity = String::new();
        for &byte in path.as_os_str().as_bytes() {
            match byte {
                b'!'..=b'~' if byte != b'%' => identity.push(char::from(byte)),
                _ => push_hex(&mut identity, '%', byte),
            }
        }
        identity
    }

    /// The identity if it fits into a queue's name, otherwise a hash of it.
    pub(crate) fn short_identity(&self) -> String {
        let identity = self.identity();
        if identity.len() <= LONGEST_IDENTITY {
            return identity;
        }
        let mut short = String::from("md5");
        Md5::digest(identity.as_bytes()).iter().for_each(|&byte| push_hex(&mut short, ':', byte));
        short
    }
}

fn push_hex(text: &mut String, mark: char, byte: u8) {
    // Writing to a string does not fail.
    let _ = write!(text, "{mark}{byte:02x}");
}

/// In bytes; leaves space for a prefix in a queue's name.
const LONGEST_IDENTITY: usize = 480;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str) -> Source {
        Source { name: path.into(), path: Some(path.into()), len: Some(0) }
    }

    #[test]
    fn identities_differ_where_paths_do() {
        let paths = ["/a", "/a b", "/a%20b", "/ä", "/%c3%a4", "/a\nb"];
        let identities: BTreeSet<String> = paths.iter().map(|path| source(path).identity()).collect();
        assert_eq!(identities.len(), paths.len());
        assert_eq!(source("/a b").identity(), "/a%20b");
        assert_eq!(Source::stdin().identity(), "-");
    }

    #[test]
    fn long_paths_still_name_a_queue() {
        let (one, other) = (source(&format!("/{}", "x".repeat(3000))), source(&format!("/{}", "x".repeat(3001))));
        assert!(one.short_identity().len() <= LONGEST_IDENTITY);
        assert_ne!(one.short_identity(), other.short_identity());
    }

    #[test]
    fn a_file_named_twice_is_one_source() -> Result<(), Failure> {
        let sources = Source::all(&["Cargo.toml".into(), "./Cargo.toml".into(), "-".into(), "-".into()])?;
        assert_eq!(sources.len(), 2);
        Ok(())
    }
}
