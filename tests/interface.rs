//! Rules of the public interface, by the checklist of the Rust API guidelines. The library's own names are read from
//! `src/lib.rs`, so a new type cannot be forgotten.
//!
//! 1. Every public type is `Send`, `Sync` and `Debug`, and every trait can be used as an object.
//! 2. A public enum, and a public struct with public fields, may gain variants and fields.
//! 3. The traits of the contract are sealed. Those that users implement are not: a disk, a clock, a spawner.
//! 4. A setter takes the value that it sets. Where `None` is a value, the setter takes `impl Into<Option<_>>`. The setter
//!    of an update always sets.
//! 5. No public type dereferences to another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{
    Attribute, Fields, FnArg, ImplItem, Item, ItemEnum, ItemImpl, ItemStruct, ItemTrait, Pat, Type, TypeParamBound,
    UseTree, Visibility,
};
use zaqar_sled::disk::{
    Calls, Disk, DiskFile, Fault, FaultError, FaultKind, Gate, HeldDir, Keep, Operation, Tree, TreeChange, Trees,
};
use zaqar_sled::*;

/// Which names the crate has, and that each is what rule 1 says.
macro_rules! names {
    (types: $($type:ident $(<$($of:ty),*>)?)*; traits: $($trait:ident)*;) => {
        fn checked_names() -> BTreeSet<&'static str> {
            fn is_sound<T: Send + Sync + Debug>() {}
            fn is_object<T: ?Sized + Send + Sync>() {}
            $(is_sound::<$type $(<$($of),*>)?>();)*
            $(is_object::<dyn $trait>();)*
            BTreeSet::from([$(stringify!($type),)* $(stringify!($trait)),*])
        }
    };
}

names! {
    types:
        Availability BackupReport Batch BatchOutcome BatchStep Body Bookmark BookmarkCondition BookmarkMarker BookmarkName BookmarkRecord Calls CancelToken Capabilities Capability CatalogueEntry Checksum Claim ClaimEntry ClaimId ClaimMarker
        ClaimOptions ClaimRate ClaimRecord ClientId CompactReport
        Config ControlHealth Damaged DeadLetterOrigin Durability Engine Error Explanation ExportFault ExportReport Fault FaultError FaultKind Flavor FlavorMarker
        FlavorName FileSizes FlavorUpdate Gate GcReport Headers Health InspectedClaim InspectedQueue Inspection Job Keep Limits
        ListOptions<PoolMarker> LostMessages ManualClock Message MessageId MessageListOptions MessageMarker
        MessageStat MessageVolume Metadata MetadataValue Metrics NewFlavor NewMessage NewPool Operation OperationStatus
        Outcome
        Page<Message, MessageMarker> Pause Pool PoolGroup PoolHealth PoolMarker PoolName PoolUpdate PoolUri PooledDriver
        PooledStatus Project ProjectQuota ProjectUsage Purge Queue QueueEntry QueueListOptions QueueMarker QueueName QueueSet QueueSettings QueueStats
        RealDisk RecoveryReport RecoverySource RedriveOptions RedriveOutcome ReferenceModel Retry RetryPolicy SimulatedDisk Sort Status Subscriber
        Subscription SubscriptionId SubscriptionMarker SubscriptionUpdate SystemClock Timestamp Timings Topic TopicEntry TopicName TopicStats Tree TreeChange Ttl
        Verification WorkReport Worker;
    traits:
        Batches Bookmarks Catalogue Claims Clock ControlDriver DataDriver DeadLetters Diagnostics Disk DiskFile ExtendedDriver FlowControl Flavors HeldDir Messages Pools Projects Queues Retries Spawner
        Subscriptions Topics Trees;
}

/// Setters that convert a value into the type of the field, so that they cannot convert an `Option` of it.
const CONVERTING: [&str; 1] = ["NewMessage::ttl"];

/// Structs with public fields that callers build by naming them.
const BUILT_BY_CALLERS: [&str; 1] = ["TreeChange"];

#[test]
fn every_name_of_the_crate_is_known_here() {
    let mut exported = BTreeSet::new();
    for file in ["src/lib.rs", "src/disk/mod.rs"] {
        exported.extend(exports(&read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))));
    }
    // Aliases.
    exported.remove("Result");
    exported.remove("Visit");
    let known: BTreeSet<String> = checked_names().into_iter().map(str::to_owned).collect();
    let missing: Vec<_> = exported.difference(&known).collect();
    assert!(missing.is_empty(), "add to the list: {missing:?}");
}

#[test]
fn every_error_has_the_name_of_its_variant() {
    let source = read(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/model/error.rs"));
    let variants = source.items.iter().find_map(|item| match item {
        Item::Enum(item) if item.ident == "Error" => {
            Some(item.variants.iter().map(|variant| variant.ident.to_string()))
        }
        _ => None,
    });
    // The names that programs have in their metrics: one may be added, none may change.
    let names =
        "QueueDoesNotExist QueueIsEmpty TopicDoesNotExist TopicIsEmpty MessageDoesNotExist ClaimDoesNotExist ClaimDoesNotMatch MessageIsClaimed
        MessageNotClaimed MessageNotClaimedBy SubscriptionDoesNotExist SubscriptionAlreadyExists PoolDoesNotExist
        PoolAlreadyExists PoolCapabilitiesMismatch PoolInUseByFlavor PoolGroupDoesNotExist FlavorDoesNotExist
        QueueNotMapped NoPoolFound PoolUnavailable WrongStore Moving NotInOneStore BookmarkNotInStore BookmarkChanged QueuePaused QueueIsFull ProjectIsFull InvalidArgument TooLarge StorageFull
        Unavailable Exhausted JournalChanged Closed Poisoned OutcomeUnknown Corrupt UnsupportedFormat AlreadyOpen Locked
        SettingsDiffer Forked Displaced IsBackup InvalidExport Io Trees";
    assert_eq!(variants.unwrap().collect::<Vec<_>>(), names.split_whitespace().collect::<Vec<_>>());
    // `Error::name` matches every variant, and gives the name that it matches.
    assert_eq!(QueueName::new("").unwrap_err().name(), "InvalidArgument");
    assert_eq!(Error::Closed.name(), "Closed");
}

#[test]
fn the_interface_follows_its_rules() {
    let names = checked_names();
    let mut rules = Rules::new(&names);
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        rules.visit_file(&read(&path));
    }
    assert!(rules.setters > 40 && rules.types > 60, "{} setters, {} types", rules.setters, rules.types);
    assert_eq!(
        rules.sealed,
        [
            "Batches",
            "Bookmarks",
            "Catalogue",
            "Claims",
            "ControlDriver",
            "DataDriver",
            "DeadLetters",
            "Diagnostics",
            "ExtendedDriver",
            "Flavors",
            "FlowControl",
            "Messages",
            "Pools",
            "Projects",
            "Queues",
            "Retries",
            "Subscriptions",
            "Topics"
        ]
        .map(String::from)
        .into()
    );
    assert_eq!(rules.broken, [""; 0]);
}

#[test]
fn a_broken_rule_is_found() {
    let names = BTreeSet::from(["Open", "Kind", "Terms", "TermsUpdate", "Body"]);
    let mut rules = Rules::new(&names);
    let source = "pub struct Open { pub field: u8 }  pub enum Kind { One }
         #[non_exhaustive] pub struct Terms { pub ttl: Option<Duration> }
         impl Terms { pub fn ttl(mut self, ttl: Duration) -> Self { self } }
         #[non_exhaustive] pub struct TermsUpdate { pub ttl: Option<Duration> }
         impl TermsUpdate { pub fn ttl(mut self, ttl: Duration) -> Self { self } }
         pub struct Body(Bytes);  impl Deref for Body { type Target = [u8]; }  struct Inner { pub field: u8 }";
    rules.visit_file(&syn::parse_file(source).unwrap());
    assert_eq!(
        rules.broken,
        [
            "Open: may not gain fields",
            "Kind: may not gain variants",
            "Terms::ttl: takes no `None`",
            "Body: dereferences"
        ]
    );
}

struct Rules<'a> {
    names: &'a BTreeSet<&'static str>,
    /// `Type::field` of every public field that is an `Option`.
    optional: BTreeSet<String>,
    sealed: BTreeSet<String>,
    broken: Vec<String>,
    setters: usize,
    types: usize,
}

impl<'a> Rules<'a> {
    fn new(names: &'a BTreeSet<&'static str>) -> Self {
        let (optional, sealed) = (BTreeSet::new(), BTreeSet::new());
        Self { names, optional, sealed, broken: Vec::new(), setters: 0, types: 0 }
    }

    fn is_public(&self, vis: &Visibility, name: &str) -> bool {
        matches!(vis, Visibility::Public(_)) && self.names.contains(name)
    }

    /// Rule 4 for a method that sets the field of its name.
    fn check_setter(&mut self, of: &str, method: &syn::ImplItemFn) {
        let mut inputs = method.sig.inputs.iter();
        let (Some(FnArg::Receiver(_)), Some(FnArg::Typed(value)), None) = (inputs.next(), inputs.next(), inputs.next())
        else {
            return;
        };
        let Pat::Ident(_) = &*value.pat else { return };
        self.setters += 1;
        let setter = format!("{of}::{}", method.sig.ident);
        let needs_none = self.optional.contains(&setter) && !of.ends_with("Update");
        if needs_none && !CONVERTING.contains(&setter.as_str()) && !takes_none_or_text(&value.ty) {
            self.broken.push(format!("{setter}: takes no `None`"));
        }
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let name = item.ident.to_string();
        if self.is_public(&item.vis, &name) {
            self.types += 1;
            let is_public = |field: &&syn::Field| matches!(field.vis, Visibility::Public(_));
            let public: Vec<_> = item.fields.iter().filter(is_public).collect();
            let is_whole = public.len() == item.fields.len() && !matches!(item.fields, Fields::Unit);
            let may_grow = may_grow(&item.attrs) || BUILT_BY_CALLERS.contains(&name.as_str());
            if is_whole && !may_grow {
                self.broken.push(format!("{name}: may not gain fields"));
            }
            let optional = public.iter().filter(|field| last_of(&field.ty).as_deref() == Some("Option"));
            let fields = optional.filter_map(|field| Some(format!("{name}::{}", field.ident.as_ref()?)));
            self.optional.extend(fields);
        }
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        let name = item.ident.to_string();
        if self.is_public(&item.vis, &name) {
            self.types += 1;
            if !may_grow(&item.attrs) {
                self.broken.push(format!("{name}: may not gain variants"));
            }
        }
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        let is_sealed =
            |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if bound.path.is_ident("Sealed"));
        let name = item.ident.to_string();
        if self.is_public(&item.vis, &name) && item.supertraits.iter().any(is_sealed) {
            self.sealed.insert(name);
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        let of = last_of(&item.self_ty).filter(|of| self.names.contains(of.as_str()));
        let Some(of) = of else { return };
        match &item.trait_ {
            Some((path, ..)) if path.segments.last().is_some_and(|last| last.ident == "Deref") => {
                self.broken.push(format!("{of}: dereferences"));
            }
            Some(_) => {}
            None => {
                for method in &item.items {
                    if let ImplItem::Fn(method) = method
                        && matches!(method.vis, Visibility::Public(_))
                    {
                        self.check_setter(&of, method);
                    }
                }
            }
        }
    }
}

fn may_grow(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"))
}

/// Whether the argument is an `impl Into<Option<_>>`; or an `impl Into<String>`, which cannot be both.
fn takes_none_or_text(argument: &Type) -> bool {
    let Type::ImplTrait(argument) = argument else { return false };
    argument.bounds.iter().any(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return false };
        let Some(into) = bound.path.segments.last() else { return false };
        let syn::PathArguments::AngleBracketed(of) = &into.arguments else { return false };
        of.args.iter().any(|of| {
            let syn::GenericArgument::Type(of) = of else { return false };
            matches!(last_of(of).as_deref(), Some("Option" | "String"))
        })
    })
}

fn last_of(of: &Type) -> Option<String> {
    let Type::Path(of) = of else { return None };
    of.path.segments.last().map(|last| last.ident.to_string())
}

/// The names that a file re-exports to everybody.
fn exports(file: &syn::File) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in &file.items {
        if let Item::Use(item) = item
            && matches!(item.vis, Visibility::Public(_))
        {
            add_names(&item.tree, &mut names);
        }
    }
    names
}

fn add_names(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) => add_names(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| add_names(tree, names)),
        UseTree::Name(name) => {
            names.insert(name.ident.to_string());
        }
        UseTree::Rename(name) => {
            names.insert(name.rename.to_string());
        }
        UseTree::Glob(_) => panic!("a re-export of everything"),
    }
}

fn read(path: impl AsRef<Path>) -> syn::File {
    syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every file of the library, in the order of their paths.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() && !path.ends_with("bin") && !path.ends_with("checked") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
