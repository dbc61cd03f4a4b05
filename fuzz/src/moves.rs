//! The work that only a pooled driver does, and how it is compared: see [`Subject`](crate::subject::Subject).

use zaqar_sled::{Project, QueueName, ReferenceModel};

use crate::compare::same;
use crate::operation::{Known, MessageSpec, Name, Operation, Settings, Time};
use crate::registration::{Few, Flavoring, Mapping, Options, Pooling};
use crate::world::World;

impl World {
    /// The start of every run: three equal pools, one memory pool for a flavor, and a queue in the first pool whose
    /// messages move at the next claim to a queue in the second.
    pub(crate) fn begin(&mut self) {
        for (name, uri) in HOMES.into_iter().enumerate() {
            let (name, uri, group) = (Few(name), Few(uri), (name == 3).then_some(Few(0)));
            self.act(&Operation::Pools(Pooling::Create { name, uri, weight: 1, group, options: Options::None }));
        }
        let flavor = Flavoring::Create { named: false, name: Few(0), group: None, capabilities: Options::None };
        self.act(&Operation::Flavors(flavor));
        let worn = Settings::DeadLetters { after: 1, to: 1, ttl: None };
        for (number, metadata) in [worn, Settings::None].into_iter().enumerate() {
            let queue = Name(number as u8);
            self.act(&Operation::Catalogue(Mapping::Insert { queue, pool: Few(number) }));
            self.act(&Operation::Create { queue, metadata });
        }
        let queue = Name(0);
        let message = MessageSpec { ttl: Some(Time::Hour), delay: None, bytes: 10, headers: vec![(1, 1)] };
        self.act(&Operation::Post { queue, client: false, messages: vec![message; 3] });
        self.act(&Operation::Claim { queue, ttl: Time::Minute, grace: Time::Zero, limit: 3 });
        self.act(&Operation::Release { queue, claim: Known(0) });
    }

    pub(crate) fn move_queue(&self, queue: Name, to: Few<4>) {
        if let Some(driver) = self.subject.pooled() {
            let ((project, name), to) = (queue.parts(), to.pool());
            same(driver.move_queue(&project, &name, &to), self.model().move_queue(&project, &name, &to));
        }
    }

    /// The model, after the driver's dead letters have arrived and the model knows the pools that the driver chose.
    pub(crate) fn model(&self) -> &ReferenceModel {
        self.subject.deliver().expect("no limit");
        self.subject.show_pools(&self.model, places());
        &self.model
    }

    /// Checks that both have the same queues in the same pools.
    pub(crate) fn mapped_alike(&self) {
        assert_eq!(self.subject.mapped_apart(self.model(), places()).expect("a model"), None);
    }
}

fn places() -> impl Iterator<Item = (Project, QueueName)> {
    (0..8).map(|number| Name(number).parts())
}

/// Two directories, the control store and memory, among the URIs there are.
const HOMES: [usize; 4] = [0, 1, 8, 5];
