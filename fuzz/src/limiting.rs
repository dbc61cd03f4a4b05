//! Quotas of projects.

use arbitrary::Arbitrary;
use zaqar_sled::{ExtendedDriver, ProjectQuota};

use crate::compare::same;
use crate::operation::project_of;
use crate::world::World;

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum ProjectCall {
    SetQuota { project: bool, queues: Option<u8>, messages: Option<u8>, bytes: Option<u16> },
    Quota { project: bool },
    Usage { project: bool },
}

impl World {
    pub(crate) fn act_on_projects(&self, call: ProjectCall) {
        let driver = self.subject.data();
        let (ours, model) = (driver.projects(), self.model.projects());
        match call {
            ProjectCall::SetQuota { project, queues, messages, bytes } => {
                let quota = ProjectQuota::new()
                    .max_queues(queues.map(|queues| u64::from(queues % 6)))
                    .max_messages(messages.map(u64::from))
                    .max_bytes(bytes.map(u64::from));
                let project = project_of(project);
                same(ours.set_quota(&project, &quota), model.set_quota(&project, &quota));
            }
            ProjectCall::Quota { project } => {
                same(ours.quota(&project_of(project)), model.quota(&project_of(project)));
            }
            ProjectCall::Usage { project } => {
                same(ours.usage(&project_of(project)), model.usage(&project_of(project)));
            }
        }
    }

    pub(crate) fn compare_projects(&self) {
        for project in [false, true] {
            self.act_on_projects(ProjectCall::Quota { project });
            self.act_on_projects(ProjectCall::Usage { project });
        }
    }
}
