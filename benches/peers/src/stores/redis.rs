//! Redis over loopback: a stream for each queue, read by one consumer group.
//!
//! ```text
//! apt-get install redis-server
//! redis-server --port 7399 --save '' --appendonly yes --dir DIRECTORY
//! ```
//!
//! Every run deletes everything in that server. A call is one round trip; what is more than one command is a transaction.

use std::collections::HashMap;
use std::iter;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::streams::{StreamPendingReply, StreamRangeReply, StreamReadReply};
use redis::{Client, Connection, RedisResult, Value};

use crate::Result;
use crate::store::{Body, Claim, Kind, Queue, Role, Safety, Stats, Store};

pub(super) const KIND: Kind = Kind {
    name: "redis",
    role: Role::Server,
    lacks: &["release", "leases"],
    open,
    killed: "kept, also if the server is killed",
    power_loss: "kept, but for the last second",
    how: "`appendfsync` = `everysec`; `always`",
};

fn open(_: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let pool = Pool { client: Client::open(SERVER)?, free: Mutex::default() };
    let policy = match safety {
        Safety::Killed => "everysec",
        Safety::PowerLoss => "always",
    };
    pool.call(|connection| redis::cmd("CONFIG").arg("SET").arg("appendfsync").arg(policy).exec(connection))?;
    pool.call(|connection| redis::cmd("FLUSHALL").exec(connection))?;
    Ok(Box::new(Server(Arc::new(pool))))
}

struct Server(Arc<Pool>);

/// Connections, each of which one thread uses at a time.
struct Pool {
    client: Client,
    free: Mutex<Vec<Connection>>,
}

impl Pool {
    fn call<T>(&self, call: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T> {
        let free = self.free.lock().pop();
        let mut connection = free.map_or_else(|| self.client.get_connection(), Ok)?;
        let answer = call(&mut connection)?;
        self.free.lock().push(connection);
        Ok(answer)
    }
}

impl Store for Server {
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>> {
        let create = |connection: &mut Connection| {
            redis::cmd("XGROUP").arg("CREATE").arg(name).arg(GROUP).arg("0").arg("MKSTREAM").exec(connection)
        };
        if let Err(error) = self.0.call(create)
            && !error.to_string().contains("BUSYGROUP")
        {
            return Err(error);
        }
        Ok(Box::new(Stream { pool: Arc::clone(&self.0), name: name.to_owned() }))
    }

    fn expire(&self) -> Result<bool> {
        Ok(false)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

struct Stream {
    pool: Arc<Pool>,
    name: String,
}

impl Queue for Stream {
    fn post(&self, bodies: &[Body], _: Duration) -> Result<()> {
        let mut posts = redis::pipe();
        if bodies.len() > 1 {
            posts.atomic();
        }
        for body in bodies {
            posts.cmd("XADD").arg(&self.name).arg("*").arg(FIELD).arg(body.as_bytes()).ignore();
        }
        self.pool.call(|connection| posts.exec(connection))
    }

    fn claim(&self, limit: usize, _: Duration) -> Result<Option<Box<dyn Claim>>> {
        let mut read = redis::cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg("worker").arg("COUNT").arg(limit).arg("STREAMS").arg(&self.name).arg(">");
        let reply: Option<StreamReadReply> = self.pool.call(|connection| read.query(connection))?;
        let messages = reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
        let held: Vec<_> = messages.map(|message| (message.id, body_of(&message.map))).collect();
        let claimed = Claimed { pool: Arc::clone(&self.pool), name: self.name.clone(), held };
        Ok((!claimed.held.is_empty()).then(|| Box::new(claimed) as Box<dyn Claim>))
    }

    fn pages(&self, limit: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_> {
        let mut marker = "-".to_owned();
        Box::new(iter::from_fn(move || {
            let mut range = redis::cmd("XRANGE");
            range.arg(&self.name).arg(&marker).arg("+").arg("COUNT").arg(limit);
            match self.pool.call(|connection| range.query::<StreamRangeReply>(connection)) {
                Ok(page) => {
                    marker = format!("({}", page.ids.last()?.id);
                    Some(Ok(page.ids.iter().map(|message| body_of(&message.map).into()).collect()))
                }
                Err(error) => Some(Err(error)),
            }
        }))
    }

    fn stats(&self) -> Result<Stats> {
        let mut counts = redis::pipe();
        counts.cmd("XLEN").arg(&self.name).cmd("XPENDING").arg(&self.name).arg(GROUP);
        let (total, pending): (u64, StreamPendingReply) = self.pool.call(|connection| counts.query(connection))?;
        let claimed = pending.count() as u64;
        Ok(Stats { free: total - claimed, claimed })
    }
}

struct Claimed {
    pool: Arc<Pool>,
    name: String,
    /// Id and body.
    held: Vec<(String, Vec<u8>)>,
}

impl Claimed {
    fn delete_some(&self, held: &[(String, Vec<u8>)]) -> Result<()> {
        let ids: Vec<&str> = held.iter().map(|(id, _)| id.as_str()).collect();
        let mut delete = redis::pipe();
        delete.atomic();
        delete.cmd("XACK").arg(&self.name).arg(GROUP).arg(&ids).ignore();
        delete.cmd("XDEL").arg(&self.name).arg(&ids).ignore();
        self.pool.call(|connection| delete.exec(connection))
    }
}

impl Claim for Claimed {
    fn bodies(&self) -> Vec<&[u8]> {
        self.held.iter().map(|(_, body)| body.as_slice()).collect()
    }

    fn delete(&self, index: usize) -> Result<()> {
        self.delete_some(self.held.get(index..=index).ok_or("the claim has less messages")?)
    }

    fn delete_all(&self) -> Result<()> {
        self.delete_some(&self.held)
    }

    fn release(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn body_of(fields: &HashMap<String, Value>) -> Vec<u8> {
    match fields.get(FIELD) {
        Some(Value::BulkString(body)) => body.clone(),
        _ => Vec::new(),
    }
}

const SERVER: &str = "redis://127.0.0.1:7399/";
const GROUP: &str = "workers";
const FIELD: &str = "body";
