//! Requirements of the public documentation: an example for every method of the traits, of the handles, of the drivers
//! and of the types that callers build, and examples that fit beside the text. A lint of clippy checks that every
//! fallible method names its errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, ImplItem, ItemImpl, ItemTrait, Lit, Meta, TraitItem, Type, Visibility};

/// The types that callers work with all day, and those that they build for a call.
const TYPES: [&str; 17] = [
    "Queue",
    "Claim",
    "Config",
    "Engine",
    "PooledDriver",
    "Body",
    "ClaimOptions",
    "FlavorUpdate",
    "ListOptions",
    "MessageListOptions",
    "Metadata",
    "NewFlavor",
    "NewMessage",
    "NewPool",
    "PoolUpdate",
    "QueueListOptions",
    "SubscriptionUpdate",
];
/// In characters: the width that rustdoc shows beside its index on a laptop.
const WIDEST: usize = 90;

#[test]
fn every_method_that_callers_start_from_has_an_example() {
    let mut documented = Documented::default();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        documented.read(&fs::read_to_string(&path).unwrap());
    }
    for page in pages() {
        documented.wide.extend(wide_lines(&fs::read_to_string(&page).unwrap()));
    }
    assert!(documented.methods > 150, "only {} methods were found", documented.methods);
    assert!(documented.without.is_empty(), "no example: {:#?}", documented.without);
    assert!(documented.wide.is_empty(), "over {WIDEST} columns: {:#?}", documented.wide);
}

#[test]
fn a_missing_example_and_a_wide_one_are_found() {
    let mut documented = Documented::default();
    documented.read(
        "pub trait T { /// Text.\n fn bare(&self); }
         trait Inner { fn not_asked(&self); }
         impl Queue { /// ```\n /// f();\n /// ```\n pub fn shown(&self) {} pub fn bare(&self) {} fn private(&self) {} }
         impl Other { pub fn not_asked(&self) {} }",
    );
    assert_eq!((documented.methods, documented.without), (3, vec!["T::bare".to_owned(), "Queue::bare".to_owned()]));

    let mut documented = Documented::default();
    let wide = "x".repeat(WIDEST + 1);
    documented.read(&format!("/// {wide}\n/// ```\n/// {wide}\n/// short\n/// ```\n/// {wide}\nfn f() {{}}"));
    assert_eq!(documented.wide, std::slice::from_ref(&wide));
    let page = format!("{wide}\n```rust\n{wide}\nshort\n```\n{wide}\n```sh\n{wide}\n```\n");
    assert_eq!(wide_lines(&page), [wide]);
}

/// The README and the manual.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_dir(root.join("src/docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = manual.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    pages.chain([root.join("README.md")]).collect()
}

/// The lines of a page's Rust examples that are too long.
fn wide_lines(page: &str) -> Vec<String> {
    let mut in_example = false;
    let mut wide = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            in_example = line.starts_with("```rust");
        } else if in_example && line.chars().count() > WIDEST {
            wide.push(line.to_owned());
        }
    }
    wide
}

/// Every file of the library.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bin") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[derive(Default)]
struct Documented {
    /// Methods that need an example.
    methods: usize,
    /// Those of them that have none.
    without: Vec<String>,
    /// Lines of examples that are too long.
    wide: Vec<String>,
    /// Whether the comment's lines are those of an example now.
    in_example: bool,
}

impl Documented {
    fn read(&mut self, source: &str) {
        self.visit_file(&syn::parse_file(source).unwrap());
    }

    fn method(&mut self, name: String, attributes: &[Attribute]) {
        self.methods += 1;
        if !attributes.iter().filter_map(line).any(|line| line.starts_with("```")) {
            self.without.push(name);
        }
    }
}

impl<'ast> Visit<'ast> for Documented {
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Some(line) = line(attribute) else { return };
        self.in_example ^= line.starts_with("```");
        if self.in_example && line.chars().count() > WIDEST {
            self.wide.push(line);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if matches!(item.vis, Visibility::Public(_)) {
            for method in
                item.items.iter().filter_map(|item| if let TraitItem::Fn(it) = item { Some(it) } else { None })
            {
                self.method(format!("{}::{}", item.ident, method.sig.ident), &method.attrs);
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = named(&item.self_ty).filter(|name| item.trait_.is_none() && TYPES.contains(&name.as_str()));
        for method in item.items.iter().filter_map(|item| if let ImplItem::Fn(it) = item { Some(it) } else { None }) {
            if let (Some(of), Visibility::Public(_)) = (&of, &method.vis) {
                self.method(format!("{of}::{}", method.sig.ident), &method.attrs);
            }
        }
        visit::visit_item_impl(self, item);
    }
}

fn named(of: &Type) -> Option<String> {
    let Type::Path(of) = of else { return None };
    of.path.segments.last().map(|last| last.ident.to_string())
}

/// The line of a documentation comment, without the space that it begins with.
fn line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { return None };
    let text = pair.path.is_ident("doc").then(|| text.value())?;
    Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
}
