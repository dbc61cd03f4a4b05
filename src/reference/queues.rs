//! The queue controller of the model: contract 5.

use super::rows::Owner;
use super::{ReferenceModel, Store};
use crate::contract::Queues;
use crate::model::error::{Error, Result};
use crate::model::settings::ParsedSettings;
use crate::model::{Metadata, Page, Project, Purge, QueueEntry, QueueListOptions, QueueMarker, QueueName, QueueStats};

impl ReferenceModel {
    fn settings(
        &self,
        store: &Store,
        project: &Project,
        name: &QueueName,
        metadata: &Metadata,
    ) -> Result<ParsedSettings> {
        self.limits.check_metadata(metadata.to_json().len())?;
        let settings = ParsedSettings::parse(metadata)?;
        self.limits.check_settings(&settings)?;
        settings.check_chain(name, |queue| {
            Ok(store.queue(project, queue).and_then(|queue| queue.settings.dead_letter_queue.clone()))
        })?;
        Ok(settings)
    }

    /// The queues of a project, or its topics.
    pub(super) fn list_queues(
        &self,
        project: &Project,
        options: &QueueListOptions,
        topics: bool,
    ) -> Result<Page<QueueEntry, QueueMarker>> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        self.limits.check_page_limit(options.limit)?;
        let behind =
            |name: &QueueName| options.marker.as_ref().is_none_or(|marker| name.as_str() > marker.name().as_str());
        let contains =
            |name: &QueueName| options.name_contains.as_ref().is_none_or(|text| name.as_str().contains(text.as_str()));
        let matches =
            |metadata: &Metadata| options.metadata_filter.as_ref().is_none_or(|filter| metadata.matches(filter));
        let items: Vec<_> = store
            .queues
            .iter()
            .filter(|((of, name), _)| of == project && name.is_topic() == topics && behind(name) && contains(name))
            .filter(|(_, queue)| matches(&queue.metadata))
            .take(if options.limit == 0 { usize::MAX } else { options.limit })
            .map(|((_, name), queue)| QueueEntry {
                name: name.clone(),
                metadata: options.detailed.then(|| queue.metadata.clone()),
            })
            .collect();
        let next = items.last().map(|entry| entry.name.clone().into());
        Ok(Page { items, next })
    }
}

impl Queues for ReferenceModel {
    fn create(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<bool> {
        let (mut store, now) = self.enter_queue(project, name)?;
        if store.queue(project, name).is_some() {
            store.remap(project, name, metadata)?;
            store.move_subscriptions(project, name, now);
            return Ok(false);
        }
        let settings = self.settings(&store, project, name, metadata)?;
        store.check_new_queue(project)?;
        store.register(project, name, metadata)?;
        store.move_subscriptions(project, name, now);
        let queue = store.queue_or_new(project, name);
        queue.metadata = metadata.clone();
        queue.settings = settings;
        Ok(true)
    }

    fn get(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        match self.get_metadata(project, name) {
            Err(Error::QueueDoesNotExist { .. } | Error::TopicDoesNotExist { .. }) => Ok(Metadata::new()),
            result => result,
        }
    }

    fn get_metadata(&self, project: &Project, name: &QueueName) -> Result<Metadata> {
        let (store, _) = self.enter_queue(project, name)?;
        let queue = store.queue(project, name).ok_or_else(|| no_queue(project, name))?;
        Ok(queue.metadata.clone())
    }

    fn set_metadata(&self, project: &Project, name: &QueueName, metadata: &Metadata) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, name)?;
        store.queue(project, name).ok_or_else(|| no_queue(project, name))?;
        let settings = self.settings(&store, project, name, metadata)?;
        store.register(project, name, metadata)?;
        store.move_subscriptions(project, name, now);
        let queue = store.queue_mut(project, name).ok_or_else(|| no_queue(project, name))?;
        queue.metadata = metadata.clone();
        queue.settings = settings;
        Ok(())
    }

    fn exists(&self, project: &Project, name: &QueueName) -> Result<bool> {
        let (store, _) = self.enter_queue(project, name)?;
        Ok(store.queue(project, name).is_some())
    }

    fn delete(&self, project: &Project, name: &QueueName) -> Result<()> {
        let (mut store, _) = self.enter_queue(project, name)?;
        if store.pooled {
            store.catalogue.remove(&(project.clone(), name.clone()));
            store.left.retain(|(of, queue, _)| of != project || queue != name);
        }
        store.queues.remove(&(project.clone(), name.clone()));
        Ok(())
    }

    fn list(&self, project: &Project, options: &QueueListOptions) -> Result<Page<QueueEntry, QueueMarker>> {
        self.list_queues(project, options, false)
    }

    fn stats(&self, project: &Project, name: &QueueName) -> Result<QueueStats> {
        let (mut store, now) = self.enter_queue(project, name)?;
        let queue = store.contents(project, name)?.ok_or_else(|| no_queue(project, name))?;
        Ok(queue.stats(now))
    }

    fn count(&self, project: &Project) -> Result<u64> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        Ok(store.queues.keys().filter(|(of, name)| of == project && !name.is_topic()).count() as u64)
    }

    fn purge(&self, project: &Project, name: &QueueName, what: Purge) -> Result<u64> {
        let (mut store, now) = self.enter_queue(project, name)?;
        let (messages, subscriptions) = match what {
            Purge::Messages => (true, false),
            Purge::Subscriptions => (false, true),
            Purge::All => (true, true),
        };
        // A missing queue has no messages, whatever its mapping; it may have subscriptions.
        let queue = if messages { store.contents(project, name)? } else { None };
        let messages = queue.map_or(0, |queue| queue.clear(now));
        let subscriptions = if subscriptions {
            let location = store.subscriptions_location(project, name, now)?;
            store.clear_subscriptions(Owner { project, queue: name, location: &location }, now)
        } else {
            0
        };
        Ok(messages.saturating_add(subscriptions))
    }
}

pub(super) fn no_queue(project: &Project, queue: &QueueName) -> Error {
    match queue.topic() {
        Some(topic) => Error::TopicDoesNotExist { project: project.clone(), topic },
        None => Error::QueueDoesNotExist { project: project.clone(), queue: queue.clone() },
    }
}
