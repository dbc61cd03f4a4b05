//! Requirements of the public documentation. A lint of clippy checks that every fallible method names its errors. This
//! test checks:
//!
//! 1. Every public type and trait has an example.
//! 2. Every public method has an example: of its own, if it is a method of a trait, of a handle, of a driver or of a
//!    type that callers build; otherwise, the example of its type may use it.
//! 3. Every method of a trait, of a handle and of a driver states its cost, or the trait does for all.
//! 4. The lines of the examples fit beside the text.
//!
//! Types that a macro defines are not seen.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, Ident, ImplItem, ItemEnum, ItemImpl, ItemStruct, ItemTrait, Lit, Meta, TraitItem, Type,
    Visibility,
};

/// The types that callers work with all day, and those that they build for a call.
const TYPES: [&str; 21] = [
    "Queue",
    "QueueSet",
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
    "QueueSettings",
    "Retry",
    "SubscriptionUpdate",
    "Worker",
];
/// The handles and the drivers, whose methods do the work.
const HANDLES: [&str; 6] = ["Queue", "QueueSet", "Claim", "Engine", "PooledDriver", "Worker"];
/// In characters: the width that rustdoc shows beside its index on a laptop.
const WIDEST: usize = 90;

#[test]
fn every_public_item_has_an_example_and_a_cost_where_it_needs_one() {
    let mut documented = Documented::default();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        documented.read(&fs::read_to_string(&path).unwrap());
    }
    for page in pages() {
        documented.wide.extend(wide_lines(&fs::read_to_string(&page).unwrap()));
    }
    assert!(documented.methods.len() > 400, "only {} methods were found", documented.methods.len());
    let (no_example, no_cost) = (documented.without_example(), documented.without_cost());
    assert!(no_example.is_empty(), "no example: {no_example:#?}");
    assert!(no_cost.is_empty(), "no cost: {no_cost:#?}");
    assert!(documented.wide.is_empty(), "over {WIDEST} columns: {:#?}", documented.wide);
}

#[test]
fn a_missing_example_is_found() {
    let mut documented = Documented::default();
    documented.read(
        "/// ```\n/// f();\n/// ```\n pub trait T { /// Text.\n fn bare(&self); }
         trait Inner { fn not_asked(&self); }
         /// ```\n/// queue.bare();\n/// ```\n pub struct Queue;
         impl Queue { /// ```\n /// f();\n /// ```\n pub fn shown(&self) {} pub fn bare(&self) {} fn private(&self) {} }
         impl Other { pub fn used(&self) {} pub fn unused(&self) {} }
         /// ```\n/// other.used();\n/// ```\n pub enum Other {}
         /// Text.\n pub struct Bare;
         struct NotAsked;",
    );
    assert_eq!(documented.without_example(), ["T::bare", "Queue::bare", "Other::unused", "Bare"]);
}

#[test]
fn a_missing_cost_is_found() {
    let mut documented = Documented::default();
    documented.read(
        "pub trait T { /// Cost: O(1).\n fn stated(&self); fn bare(&self); }
         /// Cost: O(1).\n pub trait Cheap { fn fine(&self); }
         impl Queue { /// Cost: one sync.\n pub fn stated(&self) {} pub fn bare(&self) {} }
         impl Other { pub fn not_asked(&self) {} }",
    );
    assert_eq!(documented.without_cost(), ["T::bare", "Queue::bare"]);
}

#[test]
fn a_wide_example_is_found() {
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

/// Every file of the library, without those of the schedule checker.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("bin") && !path.ends_with("checked") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// A public method of a type or a trait.
struct Method {
    of: String,
    name: String,
    is_of_trait: bool,
    docs: Docs,
}

/// The comment of an item.
struct Docs {
    has_cost: bool,
    /// The lines of its examples.
    example: Vec<String>,
}

#[derive(Default)]
struct Documented {
    /// The public types and traits.
    types: BTreeMap<String, Docs>,
    methods: Vec<Method>,
    /// Lines of examples that are too long.
    wide: Vec<String>,
    /// Whether the comment's lines are those of an example now.
    in_example: bool,
}

impl Documented {
    fn read(&mut self, source: &str) {
        self.visit_file(&syn::parse_file(source).unwrap());
    }

    /// The methods and types without an example.
    fn without_example(&self) -> Vec<String> {
        let is_shown = |method: &&Method| {
            let needs_own = method.is_of_trait || TYPES.contains(&method.of.as_str());
            let call = format!("{}(", method.name);
            let of = self.types.get(&method.of).filter(|_| !needs_own);
            !method.docs.example.is_empty() || of.is_some_and(|of| of.example.iter().any(|line| line.contains(&call)))
        };
        let methods = self.methods.iter().filter(|method| !is_shown(method)).map(Method::to_string);
        let types = self.types.iter().filter(|(_, docs)| docs.example.is_empty()).map(|(name, _)| name.clone());
        methods.chain(types).collect()
    }

    /// The methods without a cost.
    fn without_cost(&self) -> Vec<String> {
        let needs_cost = |method: &&Method| method.is_of_trait || HANDLES.contains(&method.of.as_str());
        let of = |method: &Method| method.is_of_trait && self.types.get(&method.of).is_some_and(|docs| docs.has_cost);
        let methods = self.methods.iter().filter(needs_cost);
        methods.filter(|method| !method.docs.has_cost && !of(method)).map(Method::to_string).collect()
    }

    fn add_type(&mut self, name: &Ident, vis: &Visibility, attributes: &[Attribute]) {
        if matches!(vis, Visibility::Public(_)) {
            self.types.insert(name.to_string(), Docs::of(attributes));
        }
    }
}

impl Docs {
    fn of(attributes: &[Attribute]) -> Self {
        let mut docs = Self { has_cost: false, example: Vec::new() };
        let mut in_example = false;
        for line in attributes.iter().filter_map(line) {
            if line.starts_with("```") {
                in_example = !in_example;
            } else if in_example {
                docs.example.push(line);
            } else {
                docs.has_cost |= line.contains("Cost: ");
            }
        }
        docs
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.of, self.name)
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

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.add_type(&item.ident, &item.vis, &item.attrs);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.add_type(&item.ident, &item.vis, &item.attrs);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.add_type(&item.ident, &item.vis, &item.attrs);
        if matches!(item.vis, Visibility::Public(_)) {
            for method in
                item.items.iter().filter_map(|item| if let TraitItem::Fn(it) = item { Some(it) } else { None })
            {
                let (of, name) = (item.ident.to_string(), method.sig.ident.to_string());
                self.methods.push(Method { of, name, is_of_trait: true, docs: Docs::of(&method.attrs) });
            }
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = named(&item.self_ty).filter(|_| item.trait_.is_none());
        for method in item.items.iter().filter_map(|item| if let ImplItem::Fn(it) = item { Some(it) } else { None }) {
            if let (Some(of), Visibility::Public(_)) = (&of, &method.vis) {
                let (of, name) = (of.clone(), method.sig.ident.to_string());
                self.methods.push(Method { of, name, is_of_trait: false, docs: Docs::of(&method.attrs) });
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
