//! The environment variables of the tests: one file reads them, and its table names all that the manual names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The only file that reads environment variables.
const READER: &str = "tests/support/variables.rs";

#[test]
fn one_file_reads_the_environment_variables() {
    let sources = files(&["tests", "benches", "fuzz/src", "fuzz/fuzz_targets"], "rs");
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    let readers: Vec<&Path> = sources
        .iter()
        .filter(|path| reads(&fs::read_to_string(root().join(path)).unwrap()))
        .map(PathBuf::as_path)
        .collect();
    assert_eq!(readers, [Path::new(READER)]);
}

#[test]
fn the_table_of_the_variables_has_all_that_are_read_or_named() {
    let text = fs::read_to_string(root().join(READER)).unwrap();
    let (table, constants): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with("//! |"));
    let first_cells = table.iter().filter_map(|row| row.split('|').nth(1));
    let listed: BTreeSet<&str> = first_cells.flat_map(variables).collect();
    let read: BTreeSet<&str> = constants.into_iter().flat_map(variables).collect();
    assert!(!listed.is_empty());
    assert_eq!(listed, read);

    let pages = files(&["README.md", "src/docs"], "md").into_iter();
    for path in pages.chain(files(&["tests", "benches", "fuzz/src", "fuzz/fuzz_targets"], "rs")) {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let unknown: Vec<&str> = variables(&text).filter(|name| !listed.contains(name)).collect();
        assert!(unknown.is_empty(), "{} names {unknown:?}", path.display());
    }
}

#[test]
fn a_reader_and_a_name_are_seen() {
    for call in ["var(NAME)", "{self, var_os};", "vars()"] {
        assert!(reads(&format!("std::env::{call}")), "{call}");
    }
    for call in ["current_exe()", "{args, temp_dir};", "{}; let var = 1;", "variable"] {
        assert!(!reads(&format!("std::env::{call}")), "{call}");
    }
    let prefix = PREFIX;
    let text = format!("{prefix}ONE=1 cargo; `{prefix}TWO_PARTS`, \"{prefix}THREE\" {prefix}*");
    let seen: Vec<String> = variables(&text).map(|name| name.replacen(prefix, "", 1)).collect();
    assert_eq!(seen, ["ONE", "TWO_PARTS", "THREE"]);
}

/// Whether the source reads environment variables.
fn reads(source: &str) -> bool {
    let is_reader = |item: &str| {
        let name = item.trim().split(|end: char| !end.is_alphanumeric() && end != '_').next();
        name.is_some_and(|name| ["var", "var_os", "vars", "vars_os"].contains(&name))
    };
    source.split("env::").skip(1).any(|rest| match rest.strip_prefix('{') {
        Some(group) => group.split('}').next().is_some_and(|group| group.split(',').any(is_reader)),
        None => is_reader(rest),
    })
}

/// The names of variables in a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(PREFIX).filter_map(|(start, _)| {
        let rest = &text[start + PREFIX.len()..];
        let length = rest.find(|end: char| !end.is_ascii_uppercase() && end != '_').unwrap_or(rest.len());
        (length > 0).then(|| &text[start..start + PREFIX.len() + length])
    })
}

const PREFIX: &str = "ZAQAR_";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files with that extension at these places or below them, by their paths from the root.
fn files(places: &[&str], extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
    while let Some(path) = left.pop() {
        let full = root().join(&path);
        if full.is_dir() {
            left.extend(fs::read_dir(full).unwrap().map(|entry| path.join(entry.unwrap().file_name())));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}
