//! The catalogue controller of the model: contract 11.

use super::ReferenceModel;
use crate::contract::Catalogue;
use crate::model::error::{Error, Result};
use crate::model::{CatalogueEntry, PoolName, Project, QueueName};

impl Catalogue for ReferenceModel {
    fn insert(&self, project: &Project, queue: &QueueName, pool: &PoolName) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        store.move_subscriptions(project, queue, now);
        store.map_to(project, queue, pool);
        store.move_subscriptions(project, queue, now);
        Ok(())
    }

    fn get(&self, project: &Project, queue: &QueueName) -> Result<CatalogueEntry> {
        let (store, _) = self.enter_queue(project, queue)?;
        let pool = store.catalogue.get(&(project.clone(), queue.clone()));
        let pool = pool.ok_or_else(|| not_mapped(project, queue))?.clone();
        Ok(CatalogueEntry { project: project.clone(), queue: queue.clone(), pool })
    }

    fn exists(&self, project: &Project, queue: &QueueName) -> Result<bool> {
        let (store, _) = self.enter_queue(project, queue)?;
        Ok(store.catalogue.contains_key(&(project.clone(), queue.clone())))
    }

    fn list(&self, project: &Project) -> Result<Vec<CatalogueEntry>> {
        let (store, _) = self.enter()?;
        self.limits.check_project(project)?;
        let entries = store.catalogue.iter().filter(|((of, _), _)| of == project);
        let entry = |((project, queue), pool): (&(Project, QueueName), &PoolName)| CatalogueEntry {
            project: project.clone(),
            queue: queue.clone(),
            pool: pool.clone(),
        };
        Ok(entries.map(entry).collect())
    }

    fn update(&self, project: &Project, queue: &QueueName, pool: Option<&PoolName>) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        store.move_subscriptions(project, queue, now);
        if !store.catalogue.contains_key(&(project.clone(), queue.clone())) {
            return Err(not_mapped(project, queue));
        }
        if let Some(pool) = pool {
            store.map_to(project, queue, pool);
        }
        store.move_subscriptions(project, queue, now);
        Ok(())
    }

    fn delete(&self, project: &Project, queue: &QueueName) -> Result<()> {
        let (mut store, now) = self.enter_queue(project, queue)?;
        store.move_subscriptions(project, queue, now);
        if let Some(pool) = store.catalogue.remove(&(project.clone(), queue.clone())) {
            store.leave(project, queue, pool);
        }
        Ok(())
    }

    fn drop_all(&self) -> Result<()> {
        let (mut store, now) = self.enter()?;
        let mapped: Vec<(Project, QueueName)> = store.catalogue.keys().cloned().collect();
        mapped.iter().for_each(|(project, queue)| store.move_subscriptions(project, queue, now));
        for ((project, queue), pool) in std::mem::take(&mut store.catalogue) {
            store.leave(&project, &queue, pool);
        }
        Ok(())
    }
}

pub(super) fn not_mapped(project: &Project, queue: &QueueName) -> Error {
    Error::QueueNotMapped { project: project.clone(), queue: queue.clone() }
}
