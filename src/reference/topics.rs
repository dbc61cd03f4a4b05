//! Topics in the model: queues under names of their own.

use super::ReferenceModel;
use crate::data::topics::TopicStore;
use crate::model::error::Result;
use crate::model::{Limits, Metadata, Page, Project, QueueEntry, QueueListOptions, QueueMarker, QueueName};

impl TopicStore for ReferenceModel {
    fn topic_limits(&self) -> &Limits {
        &self.limits
    }

    fn list_topics(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        self.list_queues(project, options, true)
    }

    fn redescribe_topic(
        &self,
        project: &Project,
        topic: &QueueName,
        change: &dyn Fn(&Metadata) -> Result<Metadata>,
    ) -> Result<()> {
        self.redescribe(project, topic, change)
    }
}
