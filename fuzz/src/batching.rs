//! Batches of changes.

use arbitrary::Arbitrary;
use zaqar_sled::{BatchOutcome, BatchStep, ExtendedDriver};

use crate::bookmarking::Change;
use crate::compare::both;
use crate::operation::{Known, MessageSpec, Name, Time, client_of};
use crate::world::World;

#[derive(Debug, Clone, Arbitrary)]
pub enum Step {
    Post { queue: Name, client: bool, messages: Vec<MessageSpec> },
    Delete { queue: Name, ids: Vec<Known>, claim: Option<Known> },
    Renew { queue: Name, claim: Known, ttl: Time, grace: Time },
    Release { queue: Name, claim: Known },
    Bookmark { change: Change, deletes: bool },
}

impl World {
    pub(crate) fn act_on_batch(&mut self, steps: &[Step]) {
        let (left, right): (Vec<_>, Vec<_>) = steps.iter().take(20).map(|step| self.step(step)).unzip();
        let ours = self.subject.data().batches().commit(&left);
        let Some((ours, model)) = both(ours, self.model.batches().commit(&right)) else { return };
        let shape =
            |outcome: &BatchOutcome| (outcome.deleted(), outcome.posted().iter().map(Vec::len).collect::<Vec<_>>());
        assert_eq!(shape(&ours), shape(&model));
        assert_eq!(ours.bookmark_version().is_some(), model.bookmark_version().is_some());
        self.versions.extend(ours.bookmark_version().zip(model.bookmark_version()));
        self.messages.extend(ours.posted().concat().into_iter().zip(model.posted().concat()));
    }

    /// The same step for the subject and for the model.
    fn step(&self, step: &Step) -> (BatchStep, BatchStep) {
        match step {
            Step::Post { queue, client, messages } => {
                let (project, queue) = queue.parts();
                let messages = messages.iter().take(50).map(MessageSpec::message).collect();
                let step = BatchStep::Post { project, queue, client: client_of(*client), messages };
                (step.clone(), step)
            }
            Step::Delete { queue, ids, claim } => {
                let ((project, queue), ids) = (queue.parts(), self.messages(ids));
                let claim = claim.map(|claim| self.claim(claim));
                let delete = |messages, claim| BatchStep::Delete {
                    project: project.clone(),
                    queue: queue.clone(),
                    messages,
                    claim,
                };
                (delete(ids.0, claim.map(|claim| claim.0)), delete(ids.1, claim.map(|claim| claim.1)))
            }
            Step::Renew { queue, claim, ttl, grace } => {
                let ((project, queue), claim) = (queue.parts(), self.claim(*claim));
                let (ttl, grace) = ((*ttl).into(), (*grace).into());
                let renew =
                    |claim| BatchStep::Renew { project: project.clone(), queue: queue.clone(), claim, ttl, grace };
                (renew(claim.0), renew(claim.1))
            }
            Step::Release { queue, claim } => {
                let ((project, queue), claim) = (queue.parts(), self.claim(*claim));
                let release = |claim| BatchStep::Release { project: project.clone(), queue: queue.clone(), claim };
                (release(claim.0), release(claim.1))
            }
            Step::Bookmark { change, deletes } => self.bookmark_step(change, *deletes),
        }
    }
}
