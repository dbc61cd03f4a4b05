//! Which file imports which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, File, Item, ItemMod, ItemUse, UseTree, Visibility};

/// A file as a module: the names on the way to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Module(Vec<String>);

impl Module {
    /// The top-level module of the file; none for the crate's root.
    pub(crate) fn top(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) struct Modules {
    all: BTreeSet<Module>,
    imports: BTreeSet<(Module, Module)>,
}

impl Modules {
    /// The library's.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut sources = Vec::new();
        collect(&root, &mut Vec::new(), &mut sources);
        Self::parse(sources)
    }

    /// Those of a made-up crate.
    pub(crate) fn of<'a>(sources: impl IntoIterator<Item = (&'a [&'a str], &'a str)>) -> Self {
        let owned = |path: &[&str]| Module(path.iter().map(|name| (*name).to_owned()).collect());
        Self::parse(sources.into_iter().map(|(path, source)| (owned(path), source.to_owned())).collect())
    }

    fn parse(sources: Vec<(Module, String)>) -> Self {
        let mut names = Names::default();
        let mut found = Vec::new();
        for (module, source) in &sources {
            names.modules.insert(module.clone());
            let file = syn::parse_file(source).unwrap_or_else(|error| panic!("{module}: {error}"));
            let mut uses = Uses { module, paths: Vec::new(), handed_on: Vec::new() };
            uses.visit_file(&file);
            found.push((module.clone(), uses.paths));
            names.handed_on.extend(uses.handed_on);
        }
        let mut imports = BTreeSet::new();
        for (module, paths) in found {
            for path in paths {
                let to = names.module_of(&path, 0);
                imports.extend(to.filter(|to| *to != module && !to.0.is_empty()).map(|to| (module.clone(), to)));
            }
        }
        Self { all: names.modules, imports }
    }

    pub(crate) fn tops(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(Module::top)
    }

    pub(crate) fn imports(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.imports.iter().map(|(from, to)| (from, to))
    }
}

/// All files below `directory`, but for the program's.
fn collect(directory: &Path, path: &mut Vec<String>, sources: &mut Vec<(Module, String)>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            if name != "bin" {
                path.push(name);
                collect(&entry.path(), path, sources);
                path.pop();
            }
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let mut module = path.clone();
            module.extend(Some(stem.to_owned()).filter(|stem| stem != "mod" && stem != "lib"));
            sources.push((Module(module), fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

#[derive(Default)]
struct Names {
    modules: BTreeSet<Module>,
    /// The names that a module re-exports, and their paths.
    handed_on: BTreeMap<(Module, String), Vec<String>>,
}

impl Names {
    /// The file that defines the item of a path.
    fn module_of(&self, path: &[String], depth: usize) -> Option<Module> {
        assert!(depth < 16, "{path:?} is handed on in a circle");
        for known in (0..=path.len()).rev() {
            let module = Module(path[..known].to_vec());
            if !self.modules.contains(&module) {
                continue;
            }
            let Some(name) = path.get(known) else { return Some(module) };
            let key = (module, name.clone());
            return match self.handed_on.get(&key) {
                Some(from) => {
                    let rest = path[known + 1..].iter();
                    self.module_of(&from.iter().chain(rest).cloned().collect::<Vec<_>>(), depth + 1)
                }
                None => Some(key.0),
            };
        }
        None
    }
}

/// The imports and re-exports of one file.
struct Uses<'a> {
    module: &'a Module,
    paths: Vec<Vec<String>>,
    handed_on: Vec<((Module, String), Vec<String>)>,
}

impl Uses<'_> {
    /// The path from the crate's root, of one that is written in this file; `None` for another crate's.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = self.module.0.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => (base, rest) = (Vec::new(), &rest[1..]),
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// Every path that a `use` names, with the name that it gets here.
    fn flatten(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                Self::flatten(&part.tree, path, found);
                path.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| Self::flatten(tree, path, found)),
            UseTree::Glob(_) => found.push((path.clone(), "*".to_owned())),
            UseTree::Name(name) if name.ident == "self" => {
                found.push((path.clone(), path.last().cloned().unwrap_or_default()));
            }
            UseTree::Name(name) => {
                found.push(([path.clone(), vec![name.ident.to_string()]].concat(), name.ident.to_string()));
            }
            UseTree::Rename(name) => {
                found.push(([path.clone(), vec![name.ident.to_string()]].concat(), name.rename.to_string()));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !attributes(item).iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut found = Vec::new();
        Self::flatten(&item.tree, &mut Vec::new(), &mut found);
        let private = matches!(item.vis, Visibility::Inherited);
        for (path, name) in found {
            // A module's own child is named without `self`.
            let child = || [self.module.0.clone(), path.clone()].concat();
            let absolute = self.absolute(&path).unwrap_or_else(child);
            // A re-export is an import too, unless it is of an own child.
            let is_import = if private { path.len() > 1 } else { !absolute.starts_with(&self.module.0) };
            if is_import {
                self.paths.push(absolute.clone());
            }
            if !private {
                self.handed_on.push(((self.module.clone(), name), absolute));
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        // `self` alone is a value.
        if names.len() > 1 {
            self.paths.extend(self.absolute(&names));
        }
        visit::visit_path(self, path);
    }

    fn visit_file(&mut self, file: &'ast File) {
        visit::visit_file(self, file);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]` and `#[cfg(doctest)]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test" || name == "doctest")
}
