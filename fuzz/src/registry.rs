//! Calls to the subscriptions and the control plane of the two, compared.

use zaqar_sled::{
    ControlDriver, ControlHealth, DataDriver, ListOptions, OperationStatus, Subscription, SubscriptionId,
};

use crate::compare::{both, same};
use crate::operation::{Known, Name, project_of};
use crate::registration::{Flavoring, Mapping, Pooling, Subscribing};
use crate::world::World;

impl World {
    pub(crate) fn act_on_subscriptions(&mut self, queue: Name, call: &Subscribing) {
        use Subscribing as Call;
        let (ours, (project, name)) = (self.subject.data().subscriptions(), queue.parts());
        match call {
            Call::Create { subscriber, ttl, options } => {
                let (subscriber, ttl, options) = (subscriber.subscriber(), (*ttl).into(), options.metadata());
                let model = self.model().subscriptions().create(&project, &name, &subscriber, ttl, &options);
                match both(ours.create(&project, &name, &subscriber, ttl, &options), model) {
                    None | Some((None, None)) => {}
                    Some((Some(ours), Some(model))) => {
                        let last = self.subscriptions.last().filter(|_| self.subject.pooled().is_none());
                        assert!(last.is_none_or(|(last, _)| *last < ours), "ids in order");
                        self.subscriptions.push((ours, model));
                    }
                    Some(other) => panic!("one of two subscriptions: {other:?}"),
                }
            }
            Call::Get { id } => {
                let id = self.subscription(*id);
                let model = self.model().subscriptions().get(&project, &name, &id.1);
                let pair = both(ours.get(&project, &name, &id.0), model);
                let (ours, model) = pair.unzip();
                self.same_subscriptions(ours.as_slice(), model.as_slice());
            }
            Call::Exists { id } => {
                let id = self.subscription(*id);
                let model = self.model().subscriptions().exists(&project, &name, &id.1);
                same(ours.exists(&project, &name, &id.0), model);
            }
            Call::List { marker, limit } => {
                let marker = marker.map(|marker| self.subscription(marker));
                // Each store counts its own: one that is elsewhere, or nowhere, marks no place in several.
                let is_there = |id: &SubscriptionId| self.model().subscriptions().get(&project, &name, id).is_ok();
                let marker = marker.filter(|(_, id)| self.subject.pooled().is_none() || is_there(id));
                let options = |id: Option<SubscriptionId>| ListOptions::new().marker(id.map(Into::into)).limit(limit.0);
                let model = options(marker.map(|(_, id)| id));
                let model = self.model().subscriptions().list(&project, &name, &model);
                let ours = ours.list(&project, &name, &options(marker.map(|(id, _)| id)));
                let Some((ours, model)) = both(ours, model) else { return };
                assert_eq!(ours.next, ours.items.last().map(Subscription::marker));
                assert_eq!(model.next, model.items.last().map(Subscription::marker));
                self.same_subscriptions(&ours.items, &model.items);
            }
            Call::Update { id, subscriber, ttl, options } => {
                let (id, update) = (self.subscription(*id), Subscribing::update(*subscriber, *ttl, *options));
                let model = self.model().subscriptions().update(&project, &name, &id.1, &update);
                same(ours.update(&project, &name, &id.0, &update), model);
            }
            Call::Delete { id } => {
                let id = self.subscription(*id);
                let model = self.model().subscriptions().delete(&project, &name, &id.1);
                same(ours.delete(&project, &name, &id.0), model);
            }
            Call::Confirm { id, confirmed } => {
                let id = self.subscription(*id);
                let model = self.model().subscriptions().confirm(&project, &name, &id.1, *confirmed);
                same(ours.confirm(&project, &name, &id.0, *confirmed), model);
            }
            Call::GetWithSubscriber { subscriber } => {
                let subscriber = subscriber.subscriber();
                let model = self.model().subscriptions().get_with_subscriber(&project, &name, &subscriber);
                let pair = both(ours.get_with_subscriber(&project, &name, &subscriber), model);
                let Some((ours, model)) = pair else { return };
                self.same_subscriptions(ours.as_slice(), model.as_slice());
            }
        }
    }

    fn subscription(&self, known: Known) -> (SubscriptionId, SubscriptionId) {
        let back = self.subscriptions.len().checked_sub(usize::from(known.0) + 1);
        back.map_or((SubscriptionId::lossy("no"), SubscriptionId::lossy("no")), |index| self.subscriptions[index])
    }

    fn same_subscriptions(&self, ours: &[Subscription], model: &[Subscription]) {
        assert_eq!(ours.len(), model.len(), "{ours:?} and {model:?}");
        for (ours, model) in ours.iter().zip(model) {
            assert!(self.subscriptions.contains(&(ours.id(), model.id())));
            let told = |s: &Subscription| {
                let whom = (s.source().clone(), s.subscriber().clone());
                (whom, s.ttl(), s.age(), s.options().clone(), s.confirmed())
            };
            assert_eq!(told(ours), told(model));
        }
    }

    pub(crate) fn act_on_pools(&mut self, call: &Pooling) {
        use Pooling as Call;
        let (ours, model) = (self.subject.control().pools(), || ControlDriver::pools(self.model()));
        match call {
            Call::Create { name, uri, weight, group, options } => {
                let (name, pool) = (name.pool(), Pooling::pool(*uri, *weight, *group, *options));
                same(ours.create(&name, &pool), model().create(&name, &pool));
            }
            Call::Get { name, detailed } => {
                same(ours.get(&name.pool(), *detailed), model().get(&name.pool(), *detailed));
            }
            Call::Exists { name } => same(ours.exists(&name.pool()), model().exists(&name.pool())),
            Call::List { marker, limit, detailed } => {
                let marker = marker.map(|name| name.pool().into());
                let options = ListOptions::new().marker(marker).limit(limit.0).detailed(*detailed);
                same(ours.list(&options), model().list(&options));
            }
            Call::ByGroup { group, detailed } => {
                let group = group.map(|group| group.group());
                let (group, detailed) = (group.as_ref(), *detailed);
                same(ours.get_pools_by_group(group, detailed), model().get_pools_by_group(group, detailed));
            }
            Call::Update { name, change } => {
                let (name, update) = (name.pool(), change.update());
                same(ours.update(&name, &update), model().update(&name, &update));
            }
            Call::Delete { name } => same(ours.delete(&name.pool()), model().delete(&name.pool())),
            Call::Capabilities { group, name } => {
                let (group, name) = (group.map(|group| group.group()), name.map(|name| name.pool()));
                let (group, name) = (group.as_ref(), name.as_ref());
                same(ours.capabilities(group, name), model().capabilities(group, name));
            }
            Call::DropAll => same(ours.drop_all(), model().drop_all()),
        }
    }

    pub(crate) fn act_on_flavors(&mut self, call: &Flavoring) {
        use Flavoring as Call;
        let (ours, model) = (self.subject.control().flavors(), || ControlDriver::flavors(self.model()));
        match call {
            Call::Create { named, name, group, capabilities } => {
                let (project, name) = (project_of(*named), name.flavor());
                let flavor = Flavoring::flavor(*group, *capabilities);
                same(ours.create(&project, &name, &flavor), model().create(&project, &name, &flavor));
            }
            Call::Get { named, name, detailed } => {
                let (project, name) = (project_of(*named), name.flavor());
                let pair = both(ours.get(&project, &name, *detailed), model().get(&project, &name, *detailed));
                if let Some((flavor, models)) = pair {
                    assert_eq!(flavor, models);
                    let ours = self.subject.control().pools().get_pools_by_flavor(Some(&flavor), *detailed);
                    same(ours, ControlDriver::pools(self.model()).get_pools_by_flavor(Some(&flavor), *detailed));
                }
            }
            Call::Exists { named, name } => {
                let (project, name) = (project_of(*named), name.flavor());
                same(ours.exists(&project, &name), model().exists(&project, &name));
            }
            Call::List { named, marker, limit, detailed } => {
                let project = project_of(*named);
                let marker = marker.map(|name| name.flavor().into());
                let options = ListOptions::new().marker(marker).limit(limit.0).detailed(*detailed);
                same(ours.list(&project, &options), model().list(&project, &options));
            }
            Call::Update { named, name, group, capabilities } => {
                let (project, name) = (project_of(*named), name.flavor());
                let update = Flavoring::update(*group, *capabilities);
                same(ours.update(&project, &name, &update), model().update(&project, &name, &update));
            }
            Call::Delete { named, name } => {
                let (project, name) = (project_of(*named), name.flavor());
                same(ours.delete(&project, &name), model().delete(&project, &name));
            }
            Call::DropAll => same(ours.drop_all(), model().drop_all()),
        }
    }

    pub(crate) fn act_on_catalogue(&mut self, call: &Mapping) {
        use Mapping as Call;
        let (ours, model) = (self.subject.control().catalogue(), || ControlDriver::catalogue(self.model()));
        match call {
            Call::Insert { queue, pool } => {
                let ((project, name), pool) = (queue.parts(), pool.pool());
                same(ours.insert(&project, &name, &pool), model().insert(&project, &name, &pool));
            }
            Call::Get { queue } => {
                let (project, name) = queue.parts();
                same(ours.get(&project, &name), model().get(&project, &name));
            }
            Call::Exists { queue } => {
                let (project, name) = queue.parts();
                same(ours.exists(&project, &name), model().exists(&project, &name));
            }
            Call::List { named } => same(ours.list(&project_of(*named)), model().list(&project_of(*named))),
            Call::Update { queue, pool } => {
                let ((project, name), pool) = (queue.parts(), pool.map(|pool| pool.pool()));
                same(ours.update(&project, &name, pool.as_ref()), model().update(&project, &name, pool.as_ref()));
            }
            Call::Delete { queue } => {
                let (project, name) = queue.parts();
                same(ours.delete(&project, &name), model().delete(&project, &name));
            }
            Call::DropAll => same(ours.drop_all(), model().drop_all()),
            Call::Health => {
                let told = |health: ControlHealth| {
                    assert!(health.operations().iter().all(OperationStatus::succeeded));
                    let names = health.operations().iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
                    (names, health.queues(), health.pools(), health.flavors(), health.mapped())
                };
                let ours = self.subject.control().health().map(told);
                same(ours, ControlDriver::health(self.model()).map(told));
            }
        }
    }

    /// Compares the whole registries.
    pub(crate) fn finish_registry(&mut self) {
        for queue in (0..8).map(Name) {
            self.act_on_subscriptions(queue, &Subscribing::List { marker: None, limit: crate::registration::Few(0) });
        }
        let all = ListOptions::new().limit(0).detailed(true);
        same(self.subject.control().pools().list(&all), ControlDriver::pools(self.model()).list(&all));
        for named in [false, true] {
            let (project, all) = (project_of(named), ListOptions::new().limit(0).detailed(true));
            same(
                self.subject.control().flavors().list(&project, &all),
                ControlDriver::flavors(self.model()).list(&project, &all),
            );
            self.act_on_catalogue(&Mapping::List { named });
        }
        self.act_on_catalogue(&Mapping::Health);
    }
}
