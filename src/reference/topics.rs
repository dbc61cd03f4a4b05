//! Topics in the model: queues under names of their own.

use super::ReferenceModel;
use super::queues::no_queue;
use crate::contract::{Queues, Topics};
use crate::data::topics::{check_subscribed, names, with_subscribed};
use crate::model::error::Result;
use crate::model::settings::ParsedSettings;
use crate::model::{
    Metadata, Page, Project, QueueListOptions, QueueMarker, QueueName, TopicEntry, TopicName, TopicStats,
};

impl Topics for ReferenceModel {
    fn create(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<bool> {
        Queues::create(self, project, &name.to_queue_name(), metadata)
    }

    fn get(&self, project: &Project, name: &TopicName) -> Result<Metadata> {
        Queues::get(self, project, &name.to_queue_name())
    }

    fn get_metadata(&self, project: &Project, name: &TopicName) -> Result<Metadata> {
        Queues::get_metadata(self, project, &name.to_queue_name())
    }

    fn set_metadata(&self, project: &Project, name: &TopicName, metadata: &Metadata) -> Result<()> {
        Queues::set_metadata(self, project, &name.to_queue_name(), metadata)
    }

    fn exists(&self, project: &Project, name: &TopicName) -> Result<bool> {
        Queues::exists(self, project, &name.to_queue_name())
    }

    fn delete(&self, project: &Project, name: &TopicName) -> Result<()> {
        Queues::delete(self, project, &name.to_queue_name())
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<TopicEntry, QueueMarker>> {
        let page = self.list_queues(project, options, true)?;
        let items = page
            .items
            .into_iter()
            .filter_map(|listed| Some(TopicEntry { name: listed.name.topic()?, metadata: listed.metadata }));
        let items: Vec<TopicEntry> = items.collect();
        let next = items.last().map(|last| QueueName::new(&last.name)).transpose()?.map(QueueMarker::from);
        Ok(Page { items, next })
    }

    fn stats(&self, project: &Project, name: &TopicName) -> Result<TopicStats> {
        Queues::stats(self, project, &name.to_queue_name()).map(Into::into)
    }

    fn subscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        check_subscribed(queue)?;
        self.limits.check_queue_name(queue)?;
        self.change_subscribed(project, topic, queue, true)
    }

    fn unsubscribe(&self, project: &Project, topic: &TopicName, queue: &QueueName) -> Result<bool> {
        self.change_subscribed(project, topic, queue, false)
    }

    fn subscribed(&self, project: &Project, topic: &TopicName) -> Result<Vec<QueueName>> {
        names(&Topics::get_metadata(self, project, topic)?)
    }
}

impl ReferenceModel {
    fn change_subscribed(
        &self,
        project: &Project,
        topic: &TopicName,
        queue: &QueueName,
        subscribed: bool,
    ) -> Result<bool> {
        let name = topic.to_queue_name();
        let (mut store, _) = self.enter_queue(project, &name)?;
        let found = store.queue_mut(project, &name).ok_or_else(|| no_queue(project, &name))?;
        let (metadata, changed) = with_subscribed(&found.metadata, queue, subscribed)?;
        if metadata.to_json().len() > found.metadata.to_json().len() {
            self.limits.check_metadata(metadata.to_json().len())?;
        }
        found.settings = ParsedSettings::parse(&metadata)?;
        found.metadata = metadata;
        Ok(changed)
    }
}
