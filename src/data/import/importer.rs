//! The order of the lines, and what is done with each.

use std::collections::HashSet;

use super::message::check_instants;
use super::open_queue::{OpenQueue, incarnation_in};
use super::reader::LineReader;
use super::subscriptions::OpenSubscriptions;
use super::target::{NewQueueLine, Target};
use crate::data::bookmarks::{check_bytes_of_all, check_value};
use crate::data::export::ExportReport;
use crate::data::export::line::{
    BookmarkLine, Counts, FlavorLine, HandedOut, Header, Line, MappingLine, PoolLine, QueueLine, QuotaLine,
    SubscriptionLine,
};
use crate::model::error::{Error, Result};
use crate::model::numbering::incarnation_of;
use crate::model::{
    Body, BookmarkName, ExportFault, FlavorName, Metadata, NewPool, PoolGroup, PoolName, PoolUri, Project, QueueName,
    Rate, TopicName,
};
use crate::state::op::{Address, Change, Op};
use crate::state::{BookmarkRow, FlavorRow, OUTBOX, QuotaRow};
use crate::storage::journal::Growth;
use crate::storage::keys;

/// An import in progress.
pub(crate) struct Importer<'a, T> {
    target: &'a T,
    /// The incarnation of the numbers that the store assigns: those in the export are of earlier ones. A number may be of
    /// a later one than the first line has, if the store went on beside the export.
    incarnation: u32,
    /// Where the last line stands: lines ascend.
    place: Place,
    counts: Counts,
    /// The numbers of the queues so far.
    numbers: HashSet<u64>,
    queue: Option<OpenQueue>,
    subscriptions: Option<OpenSubscriptions>,
}

/// The kinds of lines in their order, and the order of the lines of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Header,
    Pool(Vec<u8>),
    Flavor(Vec<u8>),
    Mapping(Vec<u8>),
    Bookmark(Vec<u8>),
    Quota(Vec<u8>),
    Queue(Vec<u8>),
    Subscription(Vec<u8>, [u8; 16]),
}

/// What is wrong with a line, or why it could not be written.
enum Failure {
    Fault(ExportFault),
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

type Taken<R = ()> = std::result::Result<R, Failure>;

impl<'a, T: Target> Importer<'a, T> {
    /// An import of the export with that first line into a store that counts from `incarnation`.
    pub(crate) fn new(target: &'a T, header: &Header, incarnation: u32) -> Self {
        target.control().store().clock.raise(header.time);
        let (counts, numbers) = (Counts::default(), HashSet::new());
        Self { target, incarnation, place: Place::Header, counts, numbers, queue: None, subscriptions: None }
    }

    /// Takes in all lines behind the first one.
    pub(crate) fn run(mut self, lines: &mut LineReader<'_>) -> Result<ExportReport> {
        loop {
            lines.advance()?;
            let line = lines.line()?;
            let taken = match &line {
                Line::End(end) => self.end(end, lines.crc32()).map(|()| true),
                line => self.take(line).map(|()| false),
            };
            self.counts.add(&line);
            if taken.map_err(|failure| blamed(failure, lines))? {
                if !lines.is_at_end()? {
                    return Err(lines.fault(out_of_place("this should be the last line")));
                }
                return Ok(ExportReport::of(&self.counts, lines.number(), lines.bytes()));
            }
        }
    }

    fn take(&mut self, line: &Line<'_>) -> Taken {
        match line {
            Line::Claim(claim) => {
                let queue = self.queue.as_mut().filter(|queue| queue.expects_claim());
                Ok(queue.ok_or_else(|| misplaced("a claim of no queue, or more than the queue has"))?.claim(claim)?)
            }
            Line::Message(message) => {
                let queue = self.queue.as_mut().filter(|queue| queue.expects_message());
                let queue = queue.ok_or_else(|| misplaced("a message of no queue, or more than the queue has"))?;
                Ok(queue.message(message, &self.target.control().store().limits)?)
            }
            Line::Export(_) | Line::End(_) => Err(misplaced("the first line, again")),
            Line::Pool(pool) => self.pool(pool),
            Line::Flavor(flavor) => self.flavor(flavor),
            Line::Mapping(mapping) => self.mapping(mapping),
            Line::Bookmark(bookmark) => self.bookmark(bookmark),
            Line::Quota(quota) => self.quota(quota),
            Line::Queue(queue) => self.queue(queue),
            Line::Subscription(subscription) => self.subscription(subscription),
        }
    }

    /// Goes on to a line that stands at `place`.
    fn go_to(&mut self, place: Place) -> Taken {
        self.end_queue()?;
        if place <= self.place {
            return Err(misplaced("the lines are not in their order"));
        }
        self.place = place;
        Ok(())
    }

    fn end_queue(&mut self) -> Taken {
        let Some(queue) = self.queue.take() else { return Ok(()) };
        match queue.missing() {
            Some(missing) => Err(misplaced(&missing)),
            None => Ok(queue.finish()?),
        }
    }

    fn pool(&mut self, line: &PoolLine<'_>) -> Taken {
        self.go_to(Place::Pool(line.name.as_bytes().to_vec()))?;
        let name = PoolName::new(&line.name)?;
        let group = line.group.as_ref().map(PoolGroup::new).transpose()?;
        let options = Metadata::from_json(line.options.get())?;
        let pool = NewPool::new(PoolUri::new(&line.uri)?).weight(line.weight).group(group).options(options);
        Ok(self.target.create_pool(&name, &pool)?)
    }

    fn flavor(&mut self, line: &FlavorLine<'_>) -> Taken {
        let (project, name) = (project(line.project.as_deref())?, FlavorName::new(&line.name)?);
        self.go_to(Place::Flavor(keys::named(project.name(), name.as_str())))?;
        let limits = &self.target.control().store().limits;
        limits.check_project(&project)?;
        let (group, capabilities) = (PoolGroup::new(&line.group)?, Metadata::from_json(line.capabilities.get())?);
        limits.check_metadata(capabilities.to_json().len())?;
        let flavor = FlavorRow { pool_group: group.to_string(), capabilities: capabilities.to_json() };
        let project = project.name().map(Into::into);
        self.change(Change::PutFlavor { project, name: name.as_str().into(), flavor })
    }

    fn mapping(&mut self, line: &MappingLine<'_>) -> Taken {
        let (project, queue) = (project(line.project.as_deref())?, name(&line.queue, line.topic)?);
        self.go_to(Place::Mapping(keys::queue(&project, &queue)))?;
        let limits = &self.target.control().store().limits;
        limits.check_project(&project)?;
        limits.check_queue_name(&queue)?;
        let pool = PoolName::new(&line.pool)?.to_string().into();
        // All of the store's own incarnations are above those of the ids in the export.
        self.change(Change::Map { address: Address::of(&project, &queue), pool, least_incarnation: 0, queue: None })
    }

    fn bookmark(&mut self, line: &BookmarkLine<'_>) -> Taken {
        let (project, name) = (project(line.project.as_deref())?, BookmarkName::new(&line.name)?);
        self.go_to(Place::Bookmark(keys::named(project.name(), name.as_str())))?;
        let store = self.target.control().store();
        store.limits.check_project(&project)?;
        check_instants(&[Some(line.changed)])?;
        let version = u64::from_str_radix(&line.version, 16).ok().filter(|_| line.version.len() == 16);
        let version = version.filter(|version| incarnation_of(*version) < self.incarnation);
        let version = version.ok_or_else(|| malformed("the version is none, or of a later incarnation"))?;
        let value = line.value.bytes().map_err(|reason| malformed(&reason))?;
        let value = Body::from(value.into_owned());
        check_value(Some(&value))?;
        check_bytes_of_all(store.registry.read().bookmarks.bytes())?;
        let bookmark = BookmarkRow { version, changed: line.changed, value: value.into() };
        let project = project.name().map(Into::into);
        self.change(Change::TakeBookmark { project, name: name.as_str().into(), bookmark })
    }

    /// The store's own account of the project is made when it is opened: an import is never refused.
    fn quota(&mut self, line: &QuotaLine<'_>) -> Taken {
        let QuotaLine { max_queues: queues, max_messages: messages, max_bytes: bytes, .. } = *line;
        let project = project(line.project.as_deref())?;
        self.go_to(Place::Quota(keys::quota(project.name())))?;
        self.target.control().store().limits.check_project(&project)?;
        let quota = QuotaRow { queues, messages, bytes };
        if quota.quota().is_unlimited() {
            return Err(malformed("a quota without a limit"));
        }
        self.change(Change::SetQuota { project: project.name().map(Into::into), quota: Some(quota) })
    }

    fn change(&self, change: Change<'_>) -> Taken {
        let store = self.target.control().store().enter()?;
        store.lock_registry().record(Growth::Grows, &Op::Registry(change), &mut [])?;
        Ok(())
    }

    fn queue(&mut self, line: &QueueLine<'_>) -> Taken {
        let (project, name) = (project(line.project.as_deref())?, name(&line.queue, line.topic)?);
        self.go_to(Place::Queue(keys::queue(&project, &name)))?;
        let number = line.next.queue;
        if number <= OUTBOX || !self.numbers.insert(number) {
            return Err(malformed("no queue, or another one, has that number"));
        }
        if incarnation_in(line) >= self.incarnation {
            return Err(malformed("the queue's number is of a later incarnation than the export"));
        }
        if line.messages > MOST_ITEMS || line.claims > MOST_ITEMS {
            return Err(malformed("no queue has so many messages or claims"));
        }
        line.handed_out.iter().try_for_each(check_bucket)?;
        let metadata = Metadata::from_json(line.metadata.get())?;
        let has_messages = line.claims > 0 || line.messages > 0;
        let has_history = has_messages || line.expired > 0 || line.next.sequence > 0 || line.handed_out.is_some();
        let new = NewQueueLine { project, name, number, metadata, has_messages, has_history };
        let made = self.target.create_queue(&new)?;
        self.queue = Some(OpenQueue::new(made, (new.project, new.name), line));
        Ok(())
    }

    fn subscription(&mut self, line: &SubscriptionLine<'_>) -> Taken {
        let (project, name) = (project(line.project.as_deref())?, name(&line.queue, line.topic)?);
        self.go_to(Place::Subscription(keys::queue(&project, &name), *line.id.as_bytes()))?;
        let open = self.subscriptions.take().map_or(Ok(None), |mut open| {
            if open.is_of(&project, &name) { Ok(Some(open)) } else { open.put().map(|()| None) }
        })?;
        let mut open = open.map_or_else(|| OpenSubscriptions::new(self.target, project, name), Ok)?;
        open.take(line, self.incarnation)?;
        self.subscriptions = Some(open);
        Ok(())
    }

    /// Compares the last line with all before it.
    fn end(&mut self, end: &Counts, crc32: u32) -> Taken {
        self.end_queue()?;
        self.subscriptions.take().map_or(Ok(()), |mut open| open.put())?;
        if (Counts { crc32: None, ..end.clone() }) != self.counts {
            return Err(misplaced("the numbers of lines differ from those of the last line"));
        }
        match &end.crc32 {
            Some(sum) if *sum != format!("{crc32:08x}") => Err(malformed("the checksum of the lines is another one")),
            _ => Ok(()),
        }
    }
}

fn name(text: &str, is_topic: bool) -> Result<QueueName> {
    if is_topic { TopicName::new(text).map(|topic| topic.to_queue_name()) } else { QueueName::new(text) }
}

/// Checks what a queue is said to have handed out: no more than a bucket can lack.
fn check_bucket(handed_out: &HandedOut) -> Taken {
    check_instants(&[Some(handed_out.at)])?;
    let most = u64::from(Rate::MOST).saturating_mul(1_000);
    let is_right = (1..=most).contains(&handed_out.lacks.into());
    if is_right { Ok(()) } else { Err(malformed("no queue lacks so many thousandths of a message")) }
}

fn project(name: Option<&str>) -> Result<Project> {
    name.map_or_else(|| Ok(Project::none()), Project::named)
}

fn malformed(reason: &str) -> Failure {
    Failure::Fault(ExportFault::Malformed { reason: reason.into() })
}

fn out_of_place(reason: &str) -> ExportFault {
    ExportFault::OutOfPlace { reason: reason.into() }
}

fn misplaced(reason: &str) -> Failure {
    Failure::Fault(out_of_place(reason))
}

/// The error for the line that was read last, unless it is not to be blamed.
fn blamed(failure: Failure, lines: &LineReader<'_>) -> Error {
    let fault = match failure {
        Failure::Fault(fault) => fault,
        Failure::Error(Error::TooLarge { what, size, limit }) => ExportFault::TooLarge { what, size, limit },
        Failure::Error(error) if error.is_invalid() || error.is_conflict() || error.is_not_found() => {
            ExportFault::Refused { reason: error.to_string() }
        }
        Failure::Error(error) => return error,
    };
    lines.fault(fault)
}

/// As many as an incarnation has numbers.
const MOST_ITEMS: u64 = 1 << 40;
