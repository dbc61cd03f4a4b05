//! Topics, apart from the calls that take them as queues.

use proptest::prelude::*;
use zaqar_sled::{MessageStat, TopicName, TopicStats};

use crate::calls::{ALL_NAMES, NAMES, PROJECTS, QueueListing, QueueRef, TOPICS, project_of, queue_listing};
use crate::pair::{Check, Pair, equal, same};

#[derive(Clone, Debug)]
pub(crate) enum TopicOp {
    /// The topic's number, and that of a queue, or of a topic.
    Subscribe(QueueRef, usize),
    Unsubscribe(QueueRef, usize),
    Subscribed(QueueRef),
    Stats(QueueRef),
    List(usize, QueueListing),
}

pub(crate) fn topic_op() -> impl Strategy<Value = TopicOp> {
    let topic = || (0..PROJECTS.len(), NAMES.len()..ALL_NAMES).prop_map(|(project, name)| QueueRef(project, name));
    prop_oneof![
        6 => (topic(), 0..ALL_NAMES).prop_map(|(topic, queue)| TopicOp::Subscribe(topic, queue)),
        2 => (topic(), 0..ALL_NAMES).prop_map(|(topic, queue)| TopicOp::Unsubscribe(topic, queue)),
        1 => topic().prop_map(TopicOp::Subscribed),
        1 => topic().prop_map(TopicOp::Stats),
        1 => (0..PROJECTS.len(), queue_listing()).prop_map(|(project, listing)| TopicOp::List(project, listing)),
    ]
}

impl Pair<'_> {
    pub(crate) fn call_topics(&mut self, op: &TopicOp) -> Check {
        let names =
            |topic: QueueRef, queue: usize| (topic.project(), topic.topic().unwrap(), QueueRef(topic.0, queue).name());
        match op {
            TopicOp::Subscribe(topic, queue) => {
                let (project, topic, queue) = names(*topic, *queue);
                self.both(|driver| driver.topics().subscribe(&project, &topic, &queue), same)
            }
            TopicOp::Unsubscribe(topic, queue) => {
                let (project, topic, queue) = names(*topic, *queue);
                self.both(|driver| driver.topics().unsubscribe(&project, &topic, &queue), same)
            }
            TopicOp::Subscribed(topic) => {
                let (project, topic, _) = names(*topic, 0);
                self.both(|driver| driver.topics().subscribed(&project, &topic), same)
            }
            TopicOp::Stats(topic) => {
                let (project, name, _) = names(*topic, 0);
                let ends = |stats: &TopicStats| {
                    let end = |stat: Option<&MessageStat>| stat.map(|stat| (stat.age(), stat.created()));
                    (stats.total(), end(stats.oldest()), end(stats.newest()))
                };
                self.both(
                    |driver| driver.topics().stats(&project, &name),
                    |_, engine, model| equal(ends(engine), ends(model)),
                )
            }
            TopicOp::List(project, listing) => self.list_topics(*project, listing),
        }
    }

    pub(crate) fn list_topics(&mut self, project: usize, listing: &QueueListing) -> Check {
        let project = project_of(project);
        // Also behind names that no topic has.
        let options = listing.options();
        self.both(|driver| driver.topics().list(&project, &options), same)?;
        for name in TOPICS.map(|name| TopicName::new(name).unwrap()) {
            self.both(|driver| driver.topics().exists(&project, &name), same)?;
        }
        Ok(())
    }

    /// Counts a post to a topic with subscribed queues.
    pub(crate) fn note_published(&mut self, topic: QueueRef) {
        let Some(name) = topic.topic() else { return };
        let subscribed = self.subject.data().topics().subscribed(&topic.project(), &name);
        self.traffic.published += u64::from(subscribed.is_ok_and(|queues| !queues.is_empty()));
    }
}
