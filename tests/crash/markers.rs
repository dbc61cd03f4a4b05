//! Markers after a power cut has removed a queue's re-creation: every number assigned before the cut is below every
//! number assigned after it, so readers continue at their position.

use zaqar_sled::disk::Keep;
use zaqar_sled::{
    DataDriver, Durability, Engine, MessageListOptions, MessageMarker, Metadata, Project, QueueName, SimulatedDisk,
};

use super::support::{CLIENT, ROOT, clock, config, message};

fn listed(engine: &Engine, name: &QueueName, marker: Option<MessageMarker>) -> (Vec<String>, Option<MessageMarker>) {
    let mut options = MessageListOptions::new().limit(0).echo(true);
    if let Some(marker) = marker {
        options = options.marker(marker);
    }
    let page = engine.messages().list(&Project::none(), name, &options).unwrap();
    let bodies = page.items.iter().map(|message| String::from_utf8_lossy(message.body().as_bytes()).into_owned());
    (bodies.collect(), page.next.or(marker))
}

fn post(engine: &Engine, name: &QueueName, body: &str) {
    engine.messages().post(&Project::none(), name, CLIENT, &[message(body, 1)]).unwrap();
}

#[test]
fn a_marker_of_a_re_creation_that_a_power_cut_removed_continues() {
    let (disk, clock, none) = (SimulatedDisk::new(), clock(), Project::none());
    let name = QueueName::new("q").unwrap();
    let engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    engine.queues().create(&none, &name, &Metadata::new()).unwrap();
    post(&engine, &name, "first");
    let buffered = engine.with_durability(Durability::Buffered);
    buffered.queues().delete(&none, &name).unwrap();
    buffered.queues().create(&none, &name, &Metadata::new()).unwrap();
    post(&buffered, &name, "second");
    let (bodies, marker) = listed(&engine, &name, None);
    assert_eq!(bodies, ["second"]);

    let disk = disk.power_loss(Keep::Nothing);
    let engine = config(&disk, &clock, 2).open(ROOT).unwrap();
    assert_eq!(listed(&engine, &name, None).0, ["first"]);
    post(&engine, &name, "third");
    let (bodies, marker) = listed(&engine, &name, marker);
    assert_eq!(bodies, ["third"], "what came after the cut stands behind the marker, what came before does not");
    post(&engine, &name, "fourth");
    let (bodies, marker) = listed(&engine, &name, marker);
    assert_eq!(bodies, ["fourth"], "nothing twice");

    engine.queues().delete(&none, &name).unwrap();
    engine.queues().create(&none, &name, &Metadata::new()).unwrap();
    post(&engine, &name, "fifth");
    assert_eq!(listed(&engine, &name, marker).0, ["fifth"]);
}

#[test]
fn a_marker_of_another_queue_of_the_same_run_reads_nothing_and_a_malformed_one_never_does() {
    let (disk, clock, none) = (SimulatedDisk::new(), clock(), Project::none());
    let [name, other] = ["q", "r"].map(|name| QueueName::new(name).unwrap());
    let mut engine = config(&disk, &clock, 1).open(ROOT).unwrap();
    for name in [&name, &other] {
        engine.queues().create(&none, name, &Metadata::new()).unwrap();
        post(&engine, name, "one");
    }
    let (_, foreign) = listed(&engine, &other, None);
    assert_eq!(listed(&engine, &name, foreign).0, [""; 0]);
    let mut disk = disk;
    for seed in 2..5 {
        let malformed = Some(MessageMarker::lossy("nothing"));
        assert_eq!(listed(&engine, &name, malformed).0, [""; 0]);
        disk = disk.kill();
        engine = config(&disk, &clock, seed).open(ROOT).unwrap();
        post(&engine, &name, "more");
    }
}
