//! Quotas of projects, and what the projects hold.

use proptest::prelude::*;
use proptest::sample::select;
use zaqar_sled::ProjectQuota;

use crate::calls::{PROJECTS, project_of};
use crate::pair::{Check, Pair, same};

#[derive(Clone, Debug)]
pub(crate) enum ProjectOp {
    SetQuota(usize, ProjectQuota),
    Quota(usize),
    Usage(usize),
}

/// Mostly of the project that most calls name, and no limit as often as one.
pub(crate) fn project_op() -> impl Strategy<Value = ProjectOp> {
    let project = || prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let queues = prop::option::weighted(0.3, select(vec![0, 2, 4]));
    let messages = prop::option::weighted(0.6, select(vec![0, 3, 10, 40, 200]));
    let bytes = prop::option::weighted(0.3, select(vec![200, 2_000, 30_000]));
    let quota = (queues, messages, bytes).prop_map(|(queues, messages, bytes)| {
        ProjectQuota::new().max_queues(queues).max_messages(messages).max_bytes(bytes)
    });
    let quota = prop_oneof![3 => quota, 2 => Just(ProjectQuota::new())];
    prop_oneof![
        3 => (project(), quota).prop_map(|(project, quota)| ProjectOp::SetQuota(project, quota)),
        1 => project().prop_map(ProjectOp::Quota),
        4 => project().prop_map(ProjectOp::Usage),
    ]
}

impl Pair<'_> {
    pub(crate) fn call_projects(&mut self, op: &ProjectOp) -> Check {
        match op {
            ProjectOp::SetQuota(project, quota) => {
                let project = project_of(*project);
                self.both(|driver| driver.projects().set_quota(&project, quota), same)
            }
            ProjectOp::Quota(project) => {
                let project = project_of(*project);
                self.both(|driver| driver.projects().quota(&project), same)
            }
            ProjectOp::Usage(project) => {
                let project = project_of(*project);
                self.both(|driver| driver.projects().usage(&project), same)
            }
        }
    }

    pub(crate) fn compare_projects(&mut self) -> Check {
        for project in 0..PROJECTS.len() {
            self.call_projects(&ProjectOp::Quota(project))?;
            self.call_projects(&ProjectOp::Usage(project))?;
        }
        Ok(())
    }
}
