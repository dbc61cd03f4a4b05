//! On the real file system.

use std::os::unix::fs::symlink;

use zaqar_sled::{
    ClientId, Config, ControlDriver, DataDriver, Error, Metadata, NewMessage, NewPool, PoolUri, PooledDriver, Project,
};

use crate::support::{assert_fails, name_of, pool_of, texts};

fn uri(path: &std::path::Path) -> PoolUri {
    format!("sled:{}", path.display()).parse().unwrap()
}

fn open(directory: &std::path::Path) -> PooledDriver {
    Config::new().open_pooled(directory.join("control")).unwrap()
}

#[test]
fn queues_spread_over_directories_and_are_there_again() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    let driver = open(directory.path());
    ControlDriver::pools(&driver).create(&pool_of("one"), &NewPool::new(uri(&one))).unwrap();
    ControlDriver::pools(&driver).create(&pool_of("two"), &NewPool::new(uri(&two)).weight(0)).unwrap();
    let orders = driver.queue(Project::none(), "orders").unwrap();
    orders.create(Metadata::new()).unwrap();
    let large = "x".repeat(300_000);
    let ids = orders.post(ClientId::random(), &[NewMessage::new("a"), NewMessage::new(large.as_str())]).unwrap();
    driver.move_queue(&Project::none(), &name_of("orders"), &pool_of("two")).unwrap();
    assert_eq!(orders.bulk_get(&ids).unwrap().len(), 2);
    drop(orders);
    driver.close().unwrap();
    drop(driver);
    let driver = open(directory.path());
    let orders = driver.queue(Project::none(), "orders").unwrap();
    assert_eq!(texts(&orders.bulk_get(&ids).unwrap()), ["a", large.as_str()]);
    assert!(driver.verify().unwrap().is_sound());
    assert!(DataDriver::health(&driver).unwrap().storage_reachable());
    // A store that was not closed has its messages too.
    orders.post(ClientId::random(), &[NewMessage::new("b")]).unwrap();
    drop(orders);
    drop(driver);
    let driver = open(directory.path());
    assert_eq!(driver.queue(Project::none(), "orders").unwrap().stats().unwrap().total(), 3);
}

#[test]
fn a_directory_is_one_store_however_it_is_come_to() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    std::fs::create_dir_all(root.join("disk/one")).unwrap();
    symlink(root.join("disk"), root.join("link")).unwrap();
    let driver = open(root);
    let pools = ControlDriver::pools(&driver);
    pools.create(&pool_of("one"), &NewPool::new(uri(&root.join("disk/one")))).unwrap();
    let refused = |path: &str| pools.create(&pool_of("other"), &NewPool::new(uri(&root.join(path))));
    assert_fails!(refused("link/one"), Error::PoolAlreadyExists { .. });
    assert_fails!(refused("link/../disk/one/"), Error::PoolAlreadyExists { .. });
    pools.create(&pool_of("new"), &NewPool::new(uri(&root.join("disk/new")))).unwrap();
    // Whether or not it was created before.
    assert_fails!(refused("link/new"), Error::PoolAlreadyExists { .. });
    assert!(driver.is_alive());
    assert_fails!(refused("link/new"), Error::PoolAlreadyExists { .. });
    pools.create(&pool_of("other"), &NewPool::new(uri(&root.join("link/other")))).unwrap();
}

#[test]
fn a_directory_that_cannot_be_made_is_a_pool_out_of_reach() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "not a directory").unwrap();
    let driver = open(directory.path());
    ControlDriver::pools(&driver)
        .create(&pool_of("one"), &NewPool::new(uri(&directory.path().join("file/one"))))
        .unwrap();
    let orders = driver.queue(Project::none(), "orders").unwrap();
    orders.create(Metadata::new()).unwrap();
    assert_fails!(orders.stats(), Error::PoolUnavailable { .. });
    assert!(!driver.is_alive());
    std::fs::remove_file(directory.path().join("file")).unwrap();
    while let Err(error) = orders.stats() {
        assert!(error.is_busy());
        std::thread::yield_now();
    }
    assert!(driver.is_alive());
}
