//! beanstalkd over loopback: a tube for each queue, one server for D0 and one for D1.
//!
//! ```text
//! apt-get install beanstalkd
//! beanstalkd -l 127.0.0.1 -p 7300 -z 1048576 -b DIRECTORY -f 500
//! beanstalkd -l 127.0.0.1 -p 7301 -z 1048576 -b ANOTHER -f 0
//! ```
//!
//! A call of this program is one round trip, with as many commands as messages. Only the connection that reserved a job
//! may delete it.

use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::Result;
use crate::instant::now;
use crate::store::{Body, Claim, Kind, Queue, Role, Safety, Stats, Store};

pub(super) const KIND: Kind = Kind {
    name: "beanstalkd",
    role: Role::Server,
    lacks: &["pages", "leases"],
    open,
    killed: "kept, also if the server is killed",
    power_loss: "kept, but for the last 500 ms",
    how: "`-f 500`; `-f 0`",
};

#[expect(clippy::unnecessary_wraps, reason = "opening other stores may fail")]
fn open(_: &Path, safety: Safety) -> Result<Box<dyn Store>> {
    let server = match safety {
        Safety::Killed => "127.0.0.1:7300",
        Safety::PowerLoss => "127.0.0.1:7301",
    };
    // A server keeps what former runs have left: the tubes of each run have names of their own.
    let pool = Pool { server, prefix: format!("{}-", now()), free: Mutex::default() };
    Ok(Box::new(Server { pool: Arc::new(pool), tubes: Mutex::default() }))
}

struct Server {
    pool: Arc<Pool>,
    tubes: Mutex<Vec<String>>,
}

/// Connections, each of which one thread uses at a time.
struct Pool {
    server: &'static str,
    prefix: String,
    free: Mutex<Vec<Arc<Mutex<Connection>>>>,
}

impl Pool {
    fn call<T>(
        self: &Arc<Self>,
        call: impl FnOnce(&Arc<Mutex<Connection>>, &mut Connection) -> Result<T>,
    ) -> Result<T> {
        let free = self.free.lock().pop();
        let shared = match free {
            Some(connection) => connection,
            None => Arc::new(Mutex::new(Connection::open(self.server)?)),
        };
        let answer = call(&shared, &mut shared.lock())?;
        self.free.lock().push(shared);
        Ok(answer)
    }
}

impl Store for Server {
    fn queue(&self, name: &str) -> Result<Box<dyn Queue>> {
        let tube = format!("{}{name}", self.pool.prefix);
        self.tubes.lock().push(tube.clone());
        Ok(Box::new(Tube { pool: Arc::clone(&self.pool), tube }))
    }

    fn expire(&self) -> Result<bool> {
        Ok(false)
    }

    /// Removes what is left, for the next run.
    fn close(self: Box<Self>) -> Result<()> {
        // The server takes back the jobs of connections that are closed.
        self.pool.free.lock().clear();
        let mut connection = Connection::open(self.pool.server)?;
        for tube in self.tubes.into_inner() {
            connection.watch(&tube)?;
            loop {
                let jobs = connection.reserve(100)?;
                if jobs.is_empty() {
                    break;
                }
                connection.each(jobs.iter().map(|job| format!("delete {}\r\n", job.id)), "DELETED")?;
            }
        }
        Ok(())
    }
}

struct Tube {
    pool: Arc<Pool>,
    tube: String,
}

impl Queue for Tube {
    fn post(&self, bodies: &[Body], _: Duration) -> Result<()> {
        self.pool.call(|_, connection| connection.put(&self.tube, bodies))
    }

    fn claim(&self, limit: usize, _: Duration) -> Result<Option<Box<dyn Claim>>> {
        self.pool.call(|shared, connection| {
            connection.watch(&self.tube)?;
            let jobs = connection.reserve(limit)?;
            let left = jobs.iter().map(|_| AtomicBool::new(true)).collect();
            let claim = Reserved { connection: Arc::clone(shared), jobs, left };
            Ok((!claim.jobs.is_empty()).then(|| Box::new(claim) as Box<dyn Claim>))
        })
    }

    fn pages(&self, _: usize) -> Box<dyn Iterator<Item = Result<Vec<Body>>> + '_> {
        Box::new(iter::once(Err("beanstalkd has no listing".into())))
    }

    fn stats(&self) -> Result<Stats> {
        self.pool.call(|_, connection| connection.stats(&self.tube))
    }
}

struct Job {
    id: u64,
    body: Vec<u8>,
}

struct Reserved {
    connection: Arc<Mutex<Connection>>,
    jobs: Vec<Job>,
    /// Which of the jobs are not deleted.
    left: Vec<AtomicBool>,
}

impl Reserved {
    /// Sends a command for each of some jobs that are left.
    fn end(&self, of: std::ops::Range<usize>, command: impl Fn(u64) -> String, answer: &str) -> Result<()> {
        let left = self.left.get(of.clone()).ok_or("the claim has less messages")?;
        let jobs = self.jobs.get(of).unwrap_or_default().iter().zip(left);
        let commands = jobs.filter(|(_, left)| left.swap(false, Ordering::Relaxed)).map(|(job, _)| command(job.id));
        self.connection.lock().each(commands, answer)
    }
}

impl Claim for Reserved {
    fn bodies(&self) -> Vec<&[u8]> {
        self.jobs.iter().map(|job| job.body.as_slice()).collect()
    }

    fn delete(&self, index: usize) -> Result<()> {
        self.end(index..index + 1, |id| format!("delete {id}\r\n"), "DELETED")
    }

    fn delete_all(&self) -> Result<()> {
        self.end(0..self.jobs.len(), |id| format!("delete {id}\r\n"), "DELETED")
    }

    fn release(self: Box<Self>) -> Result<()> {
        self.end(0..self.jobs.len(), |id| format!("release {id} {PRIORITY} 0\r\n"), "RELEASED")
    }
}

struct Connection {
    answers: BufReader<TcpStream>,
    used: String,
    watched: String,
}

impl Connection {
    fn open(server: &str) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        Ok(Self { answers: BufReader::new(stream), used: "default".into(), watched: "default".into() })
    }

    fn send(&mut self, commands: &[u8]) -> Result<()> {
        Ok(self.answers.get_mut().write_all(commands)?)
    }

    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, answer: &str) -> Result<String> {
        let line = self.answer()?;
        if line.starts_with(answer) { Ok(line) } else { Err(format!("{line} instead of {answer}").into()) }
    }

    /// Sends commands at once, and reads an answer to each.
    fn each(&mut self, commands: impl Iterator<Item = String>, answer: &str) -> Result<()> {
        let commands: Vec<String> = commands.collect();
        self.send(commands.concat().as_bytes())?;
        commands.iter().try_for_each(|_| self.expect(answer).map(drop))
    }

    fn put(&mut self, tube: &str, bodies: &[Body]) -> Result<()> {
        let mut commands = Vec::new();
        let uses = self.used != tube;
        if uses {
            write!(commands, "use {tube}\r\n")?;
        }
        for body in bodies {
            write!(commands, "put {PRIORITY} 0 {LEASE_SECONDS} {}\r\n", body.len())?;
            commands.extend_from_slice(body);
            commands.extend_from_slice(b"\r\n");
        }
        self.send(&commands)?;
        if uses {
            self.expect("USING")?;
            tube.clone_into(&mut self.used);
        }
        bodies.iter().try_for_each(|_| self.expect("INSERTED").map(drop))
    }

    /// Makes the tube the only one that jobs are reserved from.
    fn watch(&mut self, tube: &str) -> Result<()> {
        if self.watched != tube {
            let commands = format!("watch {tube}\r\nignore {}\r\n", self.watched);
            self.send(commands.as_bytes())?;
            self.expect("WATCHING")?;
            self.expect("WATCHING")?;
            tube.clone_into(&mut self.watched);
        }
        Ok(())
    }

    fn reserve(&mut self, limit: usize) -> Result<Vec<Job>> {
        self.send("reserve-with-timeout 0\r\n".repeat(limit).as_bytes())?;
        let mut jobs = Vec::new();
        for _ in 0..limit {
            let line = self.answer()?;
            let Some(job) = line.strip_prefix("RESERVED ") else { continue };
            let (id, length) = job.split_once(' ').ok_or("an answer without a length")?;
            let mut body = vec![0; length.parse::<usize>()? + 2];
            self.answers.read_exact(&mut body)?;
            body.truncate(body.len() - 2);
            jobs.push(Job { id: id.parse()?, body });
        }
        Ok(jobs)
    }

    fn stats(&mut self, tube: &str) -> Result<Stats> {
        self.send(format!("stats-tube {tube}\r\n").as_bytes())?;
        let line = self.answer()?;
        let Some(length) = line.strip_prefix("OK ") else { return Ok(Stats { free: 0, claimed: 0 }) };
        let mut text = vec![0; length.parse::<usize>()? + 2];
        self.answers.read_exact(&mut text)?;
        let text = String::from_utf8(text)?;
        let count = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("a count is missing")?;
            Ok(line.trim_start_matches(": ").parse()?)
        };
        Ok(Stats { free: count("current-jobs-ready")?, claimed: count("current-jobs-reserved")? })
    }
}

const PRIORITY: u32 = 1000;
/// Of a post, because beanstalkd has no lease of a reservation.
const LEASE_SECONDS: u32 = 3600;
