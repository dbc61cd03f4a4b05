//! The directories of the simulated disk, and the changes that a power cut may remove.
//!
//! A change of names is an atomic list of edits: a rename removes one name and adds another. Each edit stores the entry
//! it replaced, so the durable directories are the visible ones with the unsynced changes undone.
//!
//! 1. Changes of the same name stay in order: a change is durable only if the earlier ones are.
//! 2. A change is durable once any directory it edits is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::mem;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::contents::Contents;
use super::random::Random;
use super::tree_contents::TreeContents;
use crate::lock::{Mutex, Rank};

/// A file, shared by its directory and its open handles.
pub(super) type File = Arc<Mutex<Contents>>;

/// A directory.
pub(super) type Dir = Arc<Mutex<Directory>>;

/// A file with these contents, which has no name yet.
pub(super) fn new_file(contents: Contents) -> File {
    Arc::new(Mutex::new(Rank::DiskFile, contents))
}

/// An empty directory, which has no name yet.
pub(super) fn new_dir() -> Dir {
    Arc::new(Mutex::new(Rank::DiskDirectory, Directory::default()))
}

/// The entries of a directory.
#[derive(Default)]
pub(super) struct Directory {
    entries: BTreeMap<String, Node>,
    pub(super) trees: TreeContents,
}

/// The item that a name refers to.
#[derive(Clone)]
pub(super) enum Node {
    File(File),
    Dir(Dir),
}

/// All names.
pub(super) struct Names {
    root: Dir,
    unsynced: Vec<Vec<Edit>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { root: new_dir(), unsynced: Vec::new() }
    }
}

impl Names {
    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(Arc::clone(&self.root));
        for name in parts(path)? {
            let found = node.dir()?.lock().entries.get(name).cloned();
            node = found.ok_or(ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    /// As [`find`](Self::find), with `None` for a missing name.
    pub(super) fn look(&self, path: &Path) -> io::Result<Option<Node>> {
        match self.find(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<File> {
        match self.find(path)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn dir(&self, path: &Path) -> io::Result<Dir> {
        self.find(path)?.dir()
    }

    /// The directory that holds `path`; the root holds itself.
    pub(super) fn parent(&self, path: &Path) -> io::Result<Dir> {
        self.dir(path.parent().unwrap_or(path))
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        Ok(self.dir(path)?.lock().entries.keys().cloned().collect())
    }

    /// Everything at and under `path`, parents first, in the order of names.
    pub(super) fn under(&self, path: &Path) -> io::Result<Vec<(PathBuf, Node)>> {
        let mut found = Vec::new();
        collect(path.to_path_buf(), self.find(path)?, &mut found);
        Ok(found)
    }

    /// Every name of the disk, in the same order.
    pub(super) fn all(&self) -> Vec<(PathBuf, Node)> {
        let mut found = Vec::new();
        collect(PathBuf::from("/"), Node::Dir(Arc::clone(&self.root)), &mut found);
        found
    }

    /// The bytes that everything uses; a file with two names uses its space once.
    pub(super) fn bytes(&self) -> u64 {
        let mut seen = BTreeSet::new();
        let mut is_new = |node: &Node| match node {
            Node::File(file) => seen.insert(Arc::as_ptr(file).addr()),
            Node::Dir(_) => true,
        };
        self.all().iter().filter(|(_, node)| is_new(node)).map(|(_, node)| node.size()).sum()
    }

    /// Every file that has a name, or had one that a power cut may bring back; a file may be named more than once.
    pub(super) fn files(&self) -> Vec<File> {
        let all = self.all();
        let before = self.unsynced.iter().flatten().filter_map(|edit| edit.before.as_ref());
        let nodes = all.iter().map(|(_, node)| node).chain(before);
        nodes.filter_map(|node| if let Node::File(file) = node { Some(file.clone()) } else { None }).collect()
    }

    /// Puts a new file or directory.
    pub(super) fn insert(&mut self, path: &Path, node: Node) -> io::Result<()> {
        let edit = self.edit(path, Some(node))?;
        self.change(vec![edit]);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        if parts(from)? == parts(to)? {
            return Ok(());
        }
        if parts(to)?.starts_with(&parts(from)?) {
            return Err(ErrorKind::InvalidInput.into());
        }
        match (&node, self.look(to)?) {
            (Node::File(_), Some(Node::Dir(_))) => return Err(ErrorKind::IsADirectory.into()),
            (Node::Dir(_), Some(Node::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Node::Dir(_), Some(Node::Dir(dir))) if !dir.lock().entries.is_empty() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let edits = vec![self.edit(from, None)?, self.edit(to, Some(node))?];
        self.change(edits);
        Ok(())
    }

    /// Removes a file, or a directory with its contents.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let edit = self.edit(path, None)?;
        self.change(vec![edit]);
        Ok(())
    }

    /// Makes the changes in `dir` durable (2), and the earlier changes that they depend on (1).
    pub(super) fn sync(&mut self, dir: &Dir) {
        let mut needed = BTreeSet::new();
        let mut left = Vec::new();
        for edits in mem::take(&mut self.unsynced).into_iter().rev() {
            let is_durable = edits.iter().any(|edit| Arc::ptr_eq(&edit.dir, dir) || needed.contains(&edit.place()));
            if is_durable {
                needed.extend(edits.iter().map(Edit::place));
            } else {
                left.push(edits);
            }
        }
        left.reverse();
        self.unsynced = left;
    }

    /// Makes everything durable.
    pub(super) fn sync_all(&mut self) {
        self.unsynced.clear();
    }

    /// Applies a power cut to names, files and trees.
    pub(super) fn lose_power(&mut self, mut random: Option<&mut Random>) {
        let unsynced = mem::take(&mut self.unsynced);
        for edit in unsynced.iter().flatten().rev() {
            edit.dir.lock().put(&edit.name, edit.before.clone());
        }
        if let Some(random) = random.as_deref_mut() {
            redo_some(&unsynced, random);
        }
        for (_, node) in self.all() {
            match node {
                Node::File(file) => file.lock().lose_power(random.as_deref_mut()),
                Node::Dir(dir) => dir.lock().trees.lose_power(random.as_deref_mut()),
            }
        }
    }

    /// The edit that makes `path` refer to `after`.
    fn edit(&self, path: &Path, after: Option<Node>) -> io::Result<Edit> {
        let name = *parts(path)?.last().ok_or(ErrorKind::InvalidInput)?;
        let dir = self.parent(path)?;
        let before = dir.lock().entries.get(name).cloned();
        Ok(Edit { dir, name: name.to_owned(), before, after })
    }

    fn change(&mut self, edits: Vec<Edit>) {
        for edit in &edits {
            edit.dir.lock().put(&edit.name, edit.after.clone());
        }
        self.unsynced.push(edits);
    }
}

impl Node {
    pub(super) fn dir(&self) -> io::Result<Dir> {
        match self {
            Self::Dir(dir) => Ok(Arc::clone(dir)),
            Self::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// The bytes that the item itself uses.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.lock().len(),
            Self::Dir(dir) => dir.lock().trees.bytes(),
        }
    }
}

impl Directory {
    fn put(&mut self, name: &str, node: Option<Node>) {
        match node {
            Some(node) => self.entries.insert(name.to_owned(), node),
            None => self.entries.remove(name),
        };
    }
}

/// One name, its former item and its new item.
struct Edit {
    dir: Dir,
    name: String,
    before: Option<Node>,
    after: Option<Node>,
}

impl Edit {
    /// Identifies the name on the whole disk, while the edit exists.
    fn place(&self) -> (usize, String) {
        (Arc::as_ptr(&self.dir).addr(), self.name.clone())
    }
}

/// Applies some of the undone changes again, but none after a lost change of the same name (1).
fn redo_some(unsynced: &[Vec<Edit>], random: &mut Random) {
    let odds = random.odds();
    let mut lost = BTreeSet::new();
    for edits in unsynced {
        let is_kept = odds.keep(random) && !edits.iter().any(|edit| lost.contains(&edit.place()));
        for edit in edits {
            if is_kept {
                edit.dir.lock().put(&edit.name, edit.after.clone());
            } else {
                lost.insert(edit.place());
            }
        }
    }
}

fn collect(path: PathBuf, node: Node, found: &mut Vec<(PathBuf, Node)>) {
    let entries = match &node {
        Node::Dir(dir) => dir.lock().entries.clone(),
        Node::File(_) => BTreeMap::new(),
    };
    let children: Vec<_> = entries.into_iter().map(|(name, child)| (path.join(name), child)).collect();
    found.push((path, node));
    for (path, child) in children {
        collect(path, child, found);
    }
}

/// The names `path` leads through from the root.
fn parts(path: &Path) -> io::Result<Vec<&str>> {
    path.components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir | Component::Prefix(_)))
        .map(|part| match part {
            Component::Normal(name) => name.to_str().ok_or_else(|| ErrorKind::InvalidInput.into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
        .collect()
}
