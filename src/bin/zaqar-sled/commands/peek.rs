//! `peek`: messages of a queue, which are not claimed.

use std::collections::BTreeSet;

use clap::Args;
use zaqar_sled::{InspectedQueue, Message, MessageId, MessageListOptions, MessageMarker};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::message_row::MessageRow;
use crate::output::{self, Output};
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `peek`.
#[derive(Debug, Args)]
pub(crate) struct Peek {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// Look into the topic of that name instead of the queue.
    #[arg(long)]
    topic: bool,

    /// The largest number of messages.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Start behind this message, for example behind the last one of the page before. It need not exist any more.
    #[arg(long, value_name = "ID")]
    after: Option<MessageId>,

    /// Only the messages that a claim could take: neither claimed nor delayed.
    #[arg(long)]
    free: bool,

    /// Everything about this one message.
    #[arg(long, value_name = "ID", conflicts_with_all = ["limit", "after", "free"])]
    id: Option<MessageId>,

    /// Only the body of each message, byte by byte, each with a newline behind it.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
}

impl Peek {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let queue = self.queue.or_topic(self.topic)?;
        let rows = self.store.look(|view| self.rows(queue.find(view)?))?;
        if self.raw {
            rows.iter().try_for_each(|row| output::print(&[row.message().body().as_bytes(), b"\n"].concat()))?;
        } else if let (Some(_), [row]) = (self.id, rows.as_slice()) {
            self.output.document(row, |row| grid::facts(&row.facts(), grid::terminal_width()))?;
        } else {
            self.output.list(&rows, MessageRow::grid)?;
        }
        Ok(Exit::Done)
    }

    fn rows(&self, queue: &InspectedQueue) -> Result<Vec<MessageRow>, Failure> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let Some(id) = self.id else { return list(queue, self.after, limit, !self.free) };
        let missing = || Failure::NotThere { what: "message", id: id.to_string() };
        let message = queue.get(&id)?.ok_or_else(missing)?;
        // A message is delayed if it is listed only with the delayed ones.
        let before = MessageId::from_bytes(u128::from_be_bytes(id.to_bytes()).wrapping_sub(1).to_be_bytes());
        let found = list(queue, Some(before), 1, true)?;
        Ok(found.into_iter().filter(|row| row.message().id() == message.id()).collect())
    }
}

/// Messages of the queue, the claimed and the delayed ones too if `all`.
pub(super) fn list(
    queue: &InspectedQueue,
    after: Option<MessageId>,
    limit: usize,
    all: bool,
) -> Result<Vec<MessageRow>, Failure> {
    let mut rows = Vec::new();
    let mut marker = after.map(MessageMarker::from);
    // A page has up to 1 MiB of bodies beyond its first message.
    while rows.len() < limit {
        let options = MessageListOptions::new().marker(marker).limit((limit - rows.len()).min(PAGE));
        let timely = queue.list(&options.clone().include_claimed(all))?;
        let page = if all { queue.list(&options.include_claimed(true).include_delayed(true))? } else { timely.clone() };
        let timely: BTreeSet<MessageId> = timely.items.iter().map(Message::id).collect();
        let Some(next) = page.next else { break };
        marker = Some(next);
        rows.extend(page.items.into_iter().map(|message| {
            let is_delayed = !timely.contains(&message.id());
            MessageRow::of(message, is_delayed)
        }));
    }
    Ok(rows)
}

const PAGE: usize = 1000;
