//! Two stores with the same clock, the same random numbers and the same calls. One has enough memory, the other almost
//! none. Their answers are the same, including the ids.

use std::fmt::Debug;

use zaqar_sled::disk::{Keep, SimulatedDisk};
use zaqar_sled::{DataDriver, Engine, Message, MessageListOptions, Project, QueueListOptions, QueueName, Result};

use super::support::{AMPLE, World, clock, everything};

pub(crate) struct Twins {
    pub(crate) ample: World,
    pub(crate) tight: World,
    /// The name of the case, for failure messages.
    context: String,
}

impl Twins {
    pub(crate) fn new(memory: u64, context: String) -> Self {
        let clock = clock();
        let ample = World::on(SimulatedDisk::new(), clock.clone(), AMPLE);
        let tight = World::on(SimulatedDisk::new(), clock, memory);
        Self { ample, tight, context }
    }

    /// Makes the call on both stores; returns the common answer, or nothing if both fail with the same text.
    pub(crate) fn both<T: PartialEq + Debug>(&self, what: &str, call: impl Fn(&Engine) -> Result<T>) -> Option<T> {
        let told = |result: Result<T>| result.map_err(|error| error.to_string());
        let (ample, tight) = (told(call(&self.ample.engine)), told(call(&self.tight.engine)));
        if ample != tight {
            let text =
                |told: &std::result::Result<T, String>| format!("{told:?}").chars().take(2_000).collect::<String>();
            panic!("{}, {what}\nroomy: {}\ntight: {}", self.context, text(&ample), text(&tight));
        }
        tight.ok()
    }

    /// Asserts that both stores show the same state.
    pub(crate) fn assert_alike(&self) {
        let options = QueueListOptions::new().limit(0).detailed(true);
        let queues = self.both("queues", |engine| engine.queues().list(&Project::none(), &options)).unwrap();
        for entry in queues.items {
            self.assert_queue_alike(entry.name());
        }
        self.tight.assert_sound(&self.context);
    }

    fn assert_queue_alike(&self, name: &QueueName) {
        let none = Project::none();
        let list = |options: &MessageListOptions| {
            let listed = self.both(&format!("list {name}"), |engine| engine.messages().list(&none, name, options));
            listed.unwrap().items
        };
        let (all, free) = (list(&everything()), list(&everything().include_claimed(false)));
        list(&everything().include_delayed(false));
        let stats = self.both(&format!("stats {name}"), |engine| engine.queues().stats(&none, name)).unwrap();
        let claimed = (all.len() - free.len()) as u64;
        assert_eq!((stats.total(), stats.claimed()), (all.len() as u64, claimed), "{}, {name}", self.context);
        let claims: std::collections::BTreeSet<_> = all.iter().filter_map(Message::claim_id).collect();
        for claim in claims {
            self.both(&format!("claim {claim}"), |engine| engine.claims().get(&none, name, &claim)).unwrap();
        }
    }

    pub(crate) fn close(self) -> Self {
        Self { ample: self.ample.reopened(), tight: self.tight.reopened(), context: self.context }
    }

    /// Ends both stores and opens them again; their acknowledged changes were synced.
    pub(crate) fn end(self, keep: Option<Keep>) -> Self {
        let end = |world: World| match keep {
            None => world.killed(),
            Some(keep) => world.cut(keep),
        };
        Self { ample: end(self.ample), tight: end(self.tight), context: self.context }
    }
}
