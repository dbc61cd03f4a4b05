//! zaqar-sled itself, with the default settings; only public methods are used.

use std::iter;
use std::path::Path;
use std::time::Duration;

use zaqar_sled::{
    ClaimOptions, ClientId, Config, DataDriver, Durability, Engine, MessageListOptions, Metadata, NewMessage, Project,
};

use crate::Result;
use crate::store::{Body, Claim, Kind, Queue, Role, Safety, Stats, Store};

pub(super) const KIND: Kind = Kind {
    name: "zaqar-sled",
    role: Role::Ours,
    lacks: &[],
    open,
    killed: "kept",
    power_loss: "kept, but for the last 500 ms",
    how: "`Buffered`, `Sync`; default settings",
};

fn open(directory: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let durability = match safety {
        Safety::Killed => Durability::Buffered,
        Safety::PowerLoss => Durability::Sync,
    };
    let engine = Config::new().durability(durability).open(directory.join("store"))?;
    Ok(Box::new(Ours { engine, client: ClientId::random() }))
}

struct Ours {
    engine: Engine,
    client: ClientId,
}

impl Store for Ours {
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>> {
        let queue = self.engine.queue(Project::none(), name)?;
        queue.create(Metadata::new())?;
        Ok(Box::new(OurQueue { queue, client: self.client }))
    }

    fn expire(&self) -> Result<bool> {
        self.engine.gc()?;
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.engine.close()?)
    }
}

struct OurQueue {
    queue: zaqar_sled::Queue,
    client: ClientId,
}

impl Queue for OurQueue {
    fn post(&self, bodies: &[Body], ttl: Duration) -> Result<()> {
        let new = |body: &Body| NewMessage::new(body.clone()).ttl(ttl).delay(Duration::ZERO);
        let messages: Vec<_> = bodies.iter().map(new).collect();
        self.queue.post(self.client, &messages)?;
        Ok(())
    }

    fn claim(&self, limit: usize, lease: Duration) -> Result<Option<Box<dyn Claim>>> {
        let claim = self.queue.claim(ClaimOptions::new().ttl(lease).grace(Duration::ZERO).limit(limit))?;
        Ok(claim.map(|claim| Box::new(OurClaim(claim)) as Box<dyn Claim>))
    }

    fn pages(&self, limit: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_> {
        let all = MessageListOptions::new().limit(limit).echo(true).include_claimed(true);
        let mut options = Some(all);
        Box::new(iter::from_fn(move || {
            let from = options.take()?;
            let page = match self.queue.list(&from) {
                Ok(page) => page,
                Err(error) => return Some(Err(error.into())),
            };
            options = page.next.map(|next| from.marker(next));
            let bodies: Vec<Body> = page.items.into_iter().map(|message| message.body().clone()).collect();
            (!bodies.is_empty()).then_some(Ok(bodies))
        }))
    }

    fn stats(&self) -> Result<Stats> {
        let stats = self.queue.stats()?;
        Ok(Stats { free: stats.free(), claimed: stats.claimed() })
    }
}

struct OurClaim(zaqar_sled::Claim);

impl Claim for OurClaim {
    fn bodies(&self) -> Vec<&[u8]> {
        self.0.messages().iter().map(|message| message.body().as_bytes()).collect()
    }

    fn delete(&self, index: usize) -> Result<()> {
        let message = self.0.messages().get(index).ok_or("the claim has less messages")?;
        Ok(self.0.delete(message)?)
    }

    fn delete_all(&self) -> Result<()> {
        Ok(self.0.delete_all()?)
    }

    fn release(self: Box<Self>) -> Result<()> {
        Ok(self.0.release()?)
    }
}
