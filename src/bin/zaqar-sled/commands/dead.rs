//! `dead`: the dead letters of a queue.

use clap::Args;
use zaqar_sled::{InspectedQueue, MessageId, QueueName};

use crate::commands::peek;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::message_row::MessageRow;
use crate::output::Output;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `dead`.
#[derive(Debug, Args)]
pub(crate) struct Dead {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// The largest number of messages.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Start behind this message of the dead-letter queue.
    #[arg(long, value_name = "ID")]
    after: Option<MessageId>,
}

impl Dead {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let rows = self.store.look(|view| self.rows(view))?;
        self.output.list(&rows, MessageRow::dead_grid)?;
        Ok(Exit::Done)
    }

    fn rows(&self, view: &View) -> Result<Vec<MessageRow>, Failure> {
        self.queue.find(view)?;
        let Some(dead) = self.dead_letter_queue(view)? else { return Ok(Vec::new()) };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let (mut rows, mut after) = (Vec::new(), self.after);
        while rows.len() < limit {
            let page = peek::list(dead, after, PAGE, true)?;
            let Some(last) = page.last() else { break };
            after = Some(last.message().id());
            let is_own = |row: &MessageRow| {
                row.message().dead_letter_origin().is_some_and(|origin| *origin.queue() == self.queue.name)
            };
            rows.extend(page.into_iter().filter(is_own));
        }
        rows.truncate(limit);
        Ok(rows)
    }

    /// `None` if the queue has none, or that does not exist yet.
    fn dead_letter_queue<'a>(&self, view: &'a View) -> Result<Option<&'a InspectedQueue>, Failure> {
        let metadata = view.metadata(&self.queue.project(), &self.queue.name);
        let name: Option<String> = metadata.get("_dead_letter_queue")?;
        let name = name.map(QueueName::new).transpose()?;
        name.map_or(Ok(None), |name| view.queue(&self.queue.project(), &name))
    }
}

const PAGE: usize = 1000;
