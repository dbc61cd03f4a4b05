//! The order of the top-level modules in `src`: each uses only modules before it, and no files import each other in a
//! circle.
//!
//! A file's imports are its `use` lines, its re-exports from other modules, and the paths in its code that start with
//! `crate` or `super`, without the tests in the file. A re-exported name
//! counts as a name of the module that defines it.
//!
//! [`variables`] is about the tests: one file reads their environment variables, and its table is complete.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod imports;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use imports::{Module, Modules};

/// The top-level modules, each of which may use only those before it. `docs` holds text, and `bin` is a program of its
/// own.
const MODULES: [&str; 17] = [
    "model",
    "contract",
    "sync",
    "lock",
    "clock",
    "disk",
    "config",
    "storage",
    "state",
    "store",
    "engine",
    "data",
    "control",
    "pooled",
    "handle",
    "worker",
    "reference",
];

#[test]
fn every_module_has_its_place() {
    let modules = Modules::read();
    let tops: BTreeSet<&str> = modules.tops().filter(|top| *top != "docs").collect();
    assert_eq!(tops, BTreeSet::from(MODULES));
}

#[test]
fn the_design_page_lists_the_modules_in_their_order() {
    let page = include_str!("../../src/docs/design.md");
    let (_, table) = page.split_once("| Module | Content |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let firsts = rows.map(|row| row.split('|').nth(1).unwrap());
    let listed: Vec<&str> = firsts.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(listed, MODULES);
}

#[test]
fn no_module_uses_a_later_one() {
    let modules = Modules::read();
    let rank = |module: &Module| MODULES.iter().position(|top| Some(*top) == module.top());
    let backward: Vec<String> = modules
        .imports()
        .filter(|(from, to)| rank(from) < rank(to) && rank(from).is_some())
        .map(|(from, to)| format!("{from} uses {to}"))
        .collect();
    assert!(backward.is_empty(), "{backward:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let modules = Modules::read();
    let mut imports: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for (from, to) in modules.imports() {
        imports.entry(from).or_default().insert(to);
        imports.entry(to).or_default();
    }
    // A file that imports no remaining file is in no circle.
    loop {
        let done: Vec<&Module> = imports.iter().filter(|(_, to)| to.is_empty()).map(|(from, _)| *from).collect();
        if done.is_empty() {
            break;
        }
        done.iter().for_each(|module| drop(imports.remove(module)));
        imports.values_mut().for_each(|to| to.retain(|module| !done.contains(module)));
    }
    let left: Vec<String> = imports.iter().map(|(from, to)| format!("{from} -> {to:?}")).collect();
    assert!(left.is_empty(), "in or behind a circle: {left:#?}");
}

#[test]
fn an_arrow_that_runs_back_and_a_circle_are_seen() {
    let modules = Modules::of([
        (&[] as &[&str], "mod a; mod b; mod c; mod d; pub use b::Two;"),
        (&["a"], "mod inner; use crate::b::{self, Two as Other}; struct One;"),
        (&["a", "inner"], "use super::One; fn f() -> crate::Two { crate::Two }"),
        (&["b"], "pub use deep::Two; mod deep; #[cfg(test)] mod tests { use crate::a::One; }"),
        (&["b", "deep"], "use crate::a::inner; pub struct Two;"),
        (&["c"], "pub(crate) use crate::a::One;"),
        (&["d"], "fn f() { super::a::g(self::h()) }"),
    ]);
    let seen: BTreeSet<String> = modules.imports().map(|(from, to)| format!("{from} {to}")).collect();
    let expected =
        ["a b", "a b/deep", "a/inner a", "a/inner b/deep", "b/deep a/inner", "c a", "d a"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(expected));
}
