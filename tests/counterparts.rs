//! Every method of the contract has a Rust method, and a row in the table that says so.

#![allow(clippy::panic, reason = "in a test a panic is the way to say what is wrong")]

use zaqar_sled::{
    Catalogue, Claims, ControlDriver, DataDriver, ExtendedDriver, Flavors, Messages, Pools, Queues, Subscriptions,
    Topics,
};

const TABLE: &str = include_str!("../src/docs/contract.md");

/// Zaqar's method and ours: compiles only if there is one.
macro_rules! counterparts {
    ($($class:ident: $($theirs:ident => $ours:ident::$method:ident),+;)+) => {{
        let mut all: Vec<(String, String)> = Vec::new();
        $($(
            let _ = <dyn $ours>::$method;
            let theirs = concat!(stringify!($class), ".", stringify!($theirs));
            all.push((theirs.to_owned(), concat!(stringify!($ours), "::", stringify!($method)).to_owned()));
        )+)+
        all
    }};
}

/// The methods of the interface page of 2016, in its order, and the later ones of the same controllers.
fn counterparts() -> Vec<(String, String)> {
    counterparts! {
        CatalogueBase:
            delete => Catalogue::delete, drop_all => Catalogue::drop_all, exists => Catalogue::exists,
            get => Catalogue::get, insert => Catalogue::insert, list => Catalogue::list, update => Catalogue::update;
        Claim:
            create => Claims::create, delete => Claims::delete, get => Claims::get, update => Claims::update;
        ControlDriverBase:
            catalogue_controller => ControlDriver::catalogue, close => ControlDriver::close,
            flavors_controller => ControlDriver::flavors, pools_controller => ControlDriver::pools,
            queue_controller => ControlDriver::queues;
        DataDriverBase:
            capabilities => DataDriver::capabilities, claim_controller => DataDriver::claims,
            close => DataDriver::close, gc => DataDriver::gc, health => DataDriver::health,
            is_alive => DataDriver::is_alive, message_controller => DataDriver::messages,
            queue_controller => DataDriver::queues, subscription_controller => DataDriver::subscriptions;
        DataDriverBase:
            topic_controller => ExtendedDriver::topics;
        FlavorsBase:
            create => Flavors::create, delete => Flavors::delete, drop_all => Flavors::drop_all,
            exists => Flavors::exists, get => Flavors::get, list => Flavors::list, update => Flavors::update;
        Message:
            bulk_delete => Messages::bulk_delete, bulk_get => Messages::bulk_get, delete => Messages::delete,
            first => Messages::first, get => Messages::get, list => Messages::list, pop => Messages::pop,
            post => Messages::post;
        PoolsBase:
            capabilities => Pools::capabilities, create => Pools::create, delete => Pools::delete,
            drop_all => Pools::drop_all, exists => Pools::exists, get => Pools::get,
            get_pools_by_group => Pools::get_pools_by_group, list => Pools::list, update => Pools::update,
            get_pools_by_flavor => Pools::get_pools_by_flavor;
        Queue:
            create => Queues::create, delete => Queues::delete, exists => Queues::exists, get => Queues::get,
            get_metadata => Queues::get_metadata, list => Queues::list, set_metadata => Queues::set_metadata,
            stats => Queues::stats, calculate_resource_count => Queues::count;
        Subscription:
            create => Subscriptions::create, delete => Subscriptions::delete, exists => Subscriptions::exists,
            get => Subscriptions::get, list => Subscriptions::list, update => Subscriptions::update,
            confirm => Subscriptions::confirm, get_with_subscriber => Subscriptions::get_with_subscriber;
        Topic:
            create => Topics::create, delete => Topics::delete, exists => Topics::exists, get => Topics::get,
            get_metadata => Topics::get_metadata, list => Topics::list, set_metadata => Topics::set_metadata,
            stats => Topics::stats;
    }
}

#[test]
fn every_method_of_the_contract_has_a_row_that_names_its_counterpart() {
    for (theirs, ours) in counterparts() {
        let row = TABLE.lines().find(|line| line.starts_with(&format!("| `{theirs}` |")));
        let row = row.unwrap_or_else(|| panic!("{theirs} has no row"));
        assert!(row.contains(&format!("[`{ours}`](crate::{ours}) |")), "{theirs} is {ours}, not: {row}");
    }
}

#[test]
fn every_row_is_of_a_method_that_has_a_counterpart() {
    let known = counterparts();
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let mut count = 0;
    for (theirs, _) in rows {
        assert!(known.iter().any(|(method, _)| method == theirs), "{theirs} is in the table alone");
        count += 1;
    }
    assert_eq!(count, known.len());
}
