//! Calls to the queues, messages and claims of the two, compared.

use std::time::Duration;

use zaqar_sled::{
    ClaimId, ClaimOptions, ClaimRecord, DataDriver, ExtendedDriver, Message, MessageId, MessageListOptions,
    MessageMarker, MessageStat, Pause, QueueListOptions, RedriveOptions, Retry, Sort,
};

use crate::compare::{both, same};
use crate::operation::{Known, MessageSpec, Name, Operation, Time, client_of, project_of};
use crate::world::World;

impl World {
    pub(crate) fn act_on_queues(&mut self, operation: &Operation) {
        use Operation as Op;
        let (ours, model) = (self.subject.data().queues(), || self.model().queues());
        match operation {
            Op::Create { queue, metadata } => {
                let ((project, name), metadata) = (queue.parts(), metadata.metadata());
                same(ours.create(&project, &name, &metadata), model().create(&project, &name, &metadata));
            }
            Op::SetMetadata { queue, metadata } => {
                let ((project, name), metadata) = (queue.parts(), metadata.metadata());
                same(ours.set_metadata(&project, &name, &metadata), model().set_metadata(&project, &name, &metadata));
            }
            Op::Get { queue } => {
                let (project, name) = queue.parts();
                same(ours.get(&project, &name), model().get(&project, &name));
                same(ours.get_metadata(&project, &name), model().get_metadata(&project, &name));
            }
            Op::Exists { queue } => {
                let (project, name) = queue.parts();
                same(ours.exists(&project, &name), model().exists(&project, &name));
            }
            Op::Delete { queue } => {
                let (project, name) = queue.parts();
                same(ours.delete(&project, &name), model().delete(&project, &name));
            }
            Op::ListQueues { project, limit, detailed } => {
                let project = project_of(*project);
                let options = QueueListOptions::new().limit(usize::from(*limit % 8)).detailed(*detailed);
                let told = |page: zaqar_sled::Page<zaqar_sled::QueueEntry, _>| {
                    let entry = |entry: zaqar_sled::QueueEntry| (entry.name().clone(), entry.metadata().cloned());
                    (page.items.into_iter().map(entry).collect::<Vec<_>>(), page.next)
                };
                same(ours.list(&project, &options).map(told), model().list(&project, &options).map(told));
            }
            Op::Count { project } => {
                let project = project_of(*project);
                same(ours.count(&project), model().count(&project));
            }
            Op::Purge { queue, what } => {
                let (project, name) = queue.parts();
                let what = (*what).into();
                same(ours.purge(&project, &name, what), model().purge(&project, &name, what));
            }
            Op::Stats { queue } => {
                let (project, name) = queue.parts();
                let pair = both(ours.stats(&project, &name), model().stats(&project, &name));
                if let Some((ours, model)) = pair {
                    let counts = |stats: &zaqar_sled::QueueStats| {
                        (stats.claimed(), stats.free(), stats.total(), stats.expired())
                    };
                    assert_eq!(counts(&ours), counts(&model));
                    self.same_stat(ours.oldest(), model.oldest());
                    self.same_stat(ours.newest(), model.newest());
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) fn act_on_messages(&mut self, operation: &Operation) {
        use Operation as Op;
        let (ours, model) = (self.subject.data().messages(), || self.model().messages());
        match operation {
            Op::Post { queue, client, messages } => {
                let (project, name) = queue.parts();
                let messages: Vec<_> = messages.iter().take(200).map(MessageSpec::message).collect();
                let post =
                    |driver: &dyn zaqar_sled::Messages| driver.post(&project, &name, client_of(*client), &messages);
                if let Some((ours, model)) = both(post(ours), post(model())) {
                    assert_eq!(ours.len(), model.len());
                    self.messages.extend(ours.into_iter().zip(model));
                }
            }
            Op::List { queue, marker, limit, echo, claimed, delayed } => {
                let (project, name) = queue.parts();
                let marker = marker.map(|marker| self.message(marker));
                let options =
                    MessageListOptions::new().limit(usize::from(*limit % 16)).echo(*echo).client(client_of(true));
                let options = options.include_claimed(*claimed).include_delayed(*delayed);
                let after = |id: Option<MessageId>| options.clone().marker(id.map(MessageMarker::from));
                let ours = ours.list(&project, &name, &after(marker.map(|(id, _)| id)));
                let model = model().list(&project, &name, &after(marker.map(|(_, id)| id)));
                if let Some((ours, model)) = both(ours, model) {
                    assert_eq!(ours.next.is_some(), model.next.is_some());
                    self.same_messages(&ours.items, &model.items);
                }
            }
            Op::First { queue, newest } => {
                let (project, name) = queue.parts();
                let sort = if *newest { Sort::Newest } else { Sort::Oldest };
                let pair = both(ours.first(&project, &name, sort), model().first(&project, &name, sort));
                self.same_messages(
                    pair.as_ref().map(|pair| &pair.0).as_slice(),
                    pair.as_ref().map(|pair| &pair.1).as_slice(),
                );
            }
            Op::GetMessage { queue, id } => {
                let ((project, name), id) = (queue.parts(), self.message(*id));
                let pair = both(ours.get(&project, &name, &id.0), model().get(&project, &name, &id.1));
                self.same_messages(
                    pair.as_ref().map(|pair| &pair.0).as_slice(),
                    pair.as_ref().map(|pair| &pair.1).as_slice(),
                );
            }
            Op::BulkGet { queue, ids } => {
                let ((project, name), (left, right)) = (queue.parts(), self.messages(ids));
                let pair = both(ours.bulk_get(&project, &name, &left), model().bulk_get(&project, &name, &right));
                if let Some((ours, model)) = pair {
                    self.same_messages(&ours, &model);
                }
            }
            Op::DeleteMessage { queue, id, claim } => {
                let ((project, name), id) = (queue.parts(), self.message(*id));
                let claim = claim.map(|claim| self.claim(claim));
                let (left, right) = (claim.map(|claim| claim.0), claim.map(|claim| claim.1));
                let ours = ours.delete(&project, &name, &id.0, left.as_ref());
                same(ours, model().delete(&project, &name, &id.1, right.as_ref()));
            }
            Op::BulkDelete { queue, ids, claims } => {
                let ((project, name), (left, right)) = (queue.parts(), self.messages(ids));
                let claims: Vec<_> = claims.iter().map(|claim| self.claim(*claim)).collect();
                let (ours_of, model_of): (Vec<_>, Vec<_>) = claims.into_iter().unzip();
                let ours = ours.bulk_delete(&project, &name, &left, &ours_of);
                same(ours, model().bulk_delete(&project, &name, &right, &model_of));
            }
            Op::Pop { queue, limit } => {
                let ((project, name), limit) = (queue.parts(), usize::from(*limit % 16));
                if let Some((ours, model)) = both(ours.pop(&project, &name, limit), model().pop(&project, &name, limit))
                {
                    self.same_messages(&ours, &model);
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) fn act_on_claims(&mut self, operation: &Operation) {
        use Operation as Op;
        let (ours, model) = (self.subject.data().claims(), || self.model().claims());
        match operation {
            Op::Claim { queue, ttl, grace, limit } => {
                let (project, name) = queue.parts();
                let options =
                    ClaimOptions::new().ttl((*ttl).into()).grace((*grace).into()).limit(usize::from(*limit % 16));
                match both(ours.create(&project, &name, &options), model().create(&project, &name, &options)) {
                    None | Some((None, None)) => {}
                    Some((Some(ours), Some(model))) => {
                        self.claims.push((ours.id(), model.id()));
                        self.same_claims(&ours, &model);
                    }
                    Some(other) => panic!("one of two claims: {other:?}"),
                }
            }
            Op::GetClaim { queue, claim } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let pair = both(ours.get(&project, &name, &claim.0), model().get(&project, &name, &claim.1));
                if let Some((ours, model)) = pair {
                    self.same_claims(&ours, &model);
                }
            }
            Op::Renew { queue, claim, ttl, grace } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let options = ClaimOptions::new().ttl((*ttl).into()).grace((*grace).into());
                let ours = ours.update(&project, &name, &claim.0, &options);
                same(ours, model().update(&project, &name, &claim.1, &options));
            }
            Op::Release { queue, claim } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                same(ours.delete(&project, &name, &claim.0), model().delete(&project, &name, &claim.1));
            }
            other => unreachable!("{other:?}"),
        }
    }

    pub(crate) fn act_on_retries(&mut self, operation: &Operation) {
        use Operation as Op;
        let (ours, model) = (self.subject.data().retries(), || self.model().retries());
        match operation {
            Op::Retry { queue, claim, messages } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let retry = |id: MessageId, delay: Option<Time>, reason: Option<u16>| {
                    let mut retry = Retry::new(id);
                    retry.delay = delay.map(Duration::from);
                    retry.reason = reason.map(|length| "r".repeat(usize::from(length % 1_100)));
                    retry
                };
                let both: Vec<_> = messages.iter().take(50).map(|one| (self.message(one.0), one.1, one.2)).collect();
                let left: Vec<_> = both.iter().map(|(id, delay, reason)| retry(id.0, *delay, *reason)).collect();
                let right: Vec<_> = both.iter().map(|(id, delay, reason)| retry(id.1, *delay, *reason)).collect();
                let ours = ours.retry(&project, &name, &claim.0, &left);
                same(ours, model().retry(&project, &name, &claim.1, &right));
            }
            Op::Split { queue, claim, messages, ttl, grace } => {
                let ((project, name), claim) = (queue.parts(), self.claim(*claim));
                let options = ClaimOptions::new().ttl((*ttl).into()).grace((*grace).into());
                let ids = self.messages(messages);
                let ours = ours.split(&project, &name, &claim.0, &ids.0, &options);
                match both(ours, model().split(&project, &name, &claim.1, &ids.1, &options)) {
                    None | Some((None, None)) => {}
                    Some((Some(ours), Some(model))) => {
                        self.claims.push((ours.id(), model.id()));
                        self.same_claims(&ours, &model);
                    }
                    Some(other) => panic!("one of two claims: {other:?}"),
                }
            }
            Op::SetPause { queue, pause } => {
                let (project, name) = queue.parts();
                let pause = [None, Some(Pause::Claims), Some(Pause::Posts), Some(Pause::All)][pause.0];
                let ours = self.subject.data().flow_control().set_pause(&project, &name, pause);
                same(ours, self.model().flow_control().set_pause(&project, &name, pause));
            }
            Op::Redrive { queue, to, source, older_than, limit, ttl, dry_run } => {
                let (project, name) = queue.parts();
                let named = |name: &Option<Name>| name.map(|name| name.parts().1);
                let options = RedriveOptions::new().to(named(to)).source(named(source)).dry_run(*dry_run);
                let options = options.older_than(older_than.map(Duration::from)).limit(limit.map(u64::from));
                let options = options.ttl(ttl.map(|ttl| Duration::from(ttl).into()));
                let ours = self.subject.data().dead_letters().redrive(&project, &name, &options);
                both(ours, self.model().dead_letters().redrive(&project, &name, &options))
                    .into_iter()
                    .for_each(|(ours, model)| assert_eq!(ours, model));
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn message(&self, known: Known) -> (MessageId, MessageId) {
        let back = self.messages.len().checked_sub(usize::from(known.0) + 1);
        back.map_or((MessageId::lossy("no"), MessageId::lossy("no")), |index| self.messages[index])
    }

    pub(crate) fn messages(&self, known: &[Known]) -> (Vec<MessageId>, Vec<MessageId>) {
        known.iter().take(50).map(|known| self.message(*known)).unzip()
    }

    pub(crate) fn claim(&self, known: Known) -> (ClaimId, ClaimId) {
        let back = self.claims.len().checked_sub(usize::from(known.0) + 1);
        back.map_or((ClaimId::lossy("no"), ClaimId::lossy("no")), |index| self.claims[index])
    }

    fn same_claims(&mut self, ours: &ClaimRecord, model: &ClaimRecord) {
        assert!(self.claims.contains(&(ours.id(), model.id())));
        assert_eq!((ours.ttl(), ours.age()), (model.ttl(), model.age()));
        self.same_messages(ours.messages(), model.messages());
    }

    fn same_messages<M: std::borrow::Borrow<Message>>(&mut self, ours: &[M], model: &[M]) {
        assert_eq!(ours.len(), model.len());
        for (ours, model) in ours.iter().map(M::borrow).zip(model.iter().map(M::borrow)) {
            self.same_id(ours.id(), model.id());
            let told = |m: &Message| (m.age(), m.ttl(), m.created(), m.body().clone(), m.claim_count(), m.checksum());
            let claims = |m: &Message| (m.first_claimed(), m.last_claimed(), m.last_failure().map(str::to_owned));
            assert_eq!(claims(ours), claims(model));
            assert_eq!(ours.headers(), model.headers());
            let origin = |m: &Message| {
                let origin = m.dead_letter_origin().cloned();
                origin.map(|from| {
                    (from.queue().clone(), from.claim_count(), from.reason().map(str::to_owned), from.moved())
                })
            };
            assert_eq!(origin(ours), origin(model));
            assert_eq!(told(ours), told(model));
            match (ours.claim_id(), model.claim_id()) {
                (None, None) => {}
                (Some(ours), Some(model)) => assert!(self.claims.contains(&(ours, model))),
                other => panic!("one of two is claimed: {other:?}"),
            }
        }
    }

    fn same_stat(&mut self, ours: Option<&MessageStat>, model: Option<&MessageStat>) {
        match (ours, model) {
            (None, None) => {}
            (Some(ours), Some(model)) => {
                self.same_id(ours.id(), model.id());
                assert_eq!((ours.age(), ours.created()), (model.age(), model.created()));
            }
            other => panic!("one of two: {other:?}"),
        }
    }

    /// Ids of messages that moved by themselves are met here first.
    fn same_id(&mut self, ours: MessageId, model: MessageId) {
        let met = self.messages.iter().rev().find(|(left, right)| *left == ours || *right == model);
        match met {
            Some(pair) => assert_eq!(*pair, (ours, model)),
            None => self.messages.push((ours, model)),
        }
    }
}
