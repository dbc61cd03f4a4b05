//! The queue that a command works on.

use clap::Args;
use zaqar_sled::{InspectedQueue, Project, QueueName, TopicName};

use crate::failure::Failure;
use crate::plain;
use crate::view::View;

/// A queue's name and project.
#[derive(Debug, Clone, Args)]
pub(crate) struct QueueArgs {
    /// The name of the queue.
    #[arg(value_name = "QUEUE")]
    pub(crate) name: QueueName,

    /// The queue's project [default: none].
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    pub(crate) project: Option<Project>,
}

impl QueueArgs {
    pub(crate) fn project(&self) -> Project {
        self.project.clone().unwrap_or_default()
    }

    /// The topic of that name instead of the queue, if `topic`.
    pub(crate) fn or_topic(&self, topic: bool) -> Result<Self, Failure> {
        let name = if topic { TopicName::new(&self.name)?.to_queue_name() } else { self.name.clone() };
        Ok(Self { name, project: self.project.clone() })
    }

    /// The queue in a store that is looked into.
    pub(crate) fn find<'a>(&self, view: &'a View) -> Result<&'a InspectedQueue, Failure> {
        view.queue(&self.project(), &self.name)?.ok_or_else(|| self.missing())
    }

    /// The failure when there is no such queue.
    pub(crate) fn missing(&self) -> Failure {
        Failure::NoQueue { queue: shown(&self.project(), &self.name) }
    }
}

/// A queue's name, and its project if it has one.
pub(crate) fn shown(project: &Project, name: &QueueName) -> String {
    let within = project.name().map(|project| format!(" of project {}", plain::name(project))).unwrap_or_default();
    format!("{}{within}", name_of(name))
}

/// A queue's name, or a topic's with that word behind it.
pub(crate) fn name_of(name: &QueueName) -> String {
    let kind = if name.topic().is_some() { " (topic)" } else { "" };
    format!("{}{kind}", plain::name(name.as_str()))
}

/// A project's name among the arguments.
pub(crate) fn parse_project(name: &str) -> zaqar_sled::Result<Project> {
    Project::named(name)
}
