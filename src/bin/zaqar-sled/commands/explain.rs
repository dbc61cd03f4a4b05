//! `explain`: why a message can or cannot be claimed.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{Availability, Explanation, MessageId, Timestamp};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid;
use crate::output::Output;
use crate::plain;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// The id of the message.
    #[arg(value_name = "ID")]
    id: MessageId,
}

/// An explanation as it is shown.
#[derive(Debug, Default, Serialize)]
struct Row {
    id: String,
    state: &'static str,
    since: Option<String>,
    until: Option<String>,
    claim: Option<String>,
    dead_letter_queue: Option<String>,
    /// `None`: it lives until it is deleted, or there is no message.
    expires: Option<String>,
}

impl Explain {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let explained = self.store.look(|view| self.explanation(view))?;
        let row = Row::of(self.id, &explained);
        self.output.document(&row, |row| grid::facts(&row.facts(), grid::terminal_width()))?;
        Ok(if *explained.availability() == Availability::Damaged { Exit::Damaged } else { Exit::Done })
    }

    fn explanation(&self, view: &View) -> Result<Explanation, Failure> {
        let metadata = view.metadata(&self.queue.project(), &self.queue.name);
        Ok(self.queue.find(view)?.explain(&self.id, &metadata)?)
    }
}

impl Row {
    fn of(id: MessageId, explained: &Explanation) -> Self {
        let row = Self {
            id: id.to_string(),
            since: explained.since().as_ref().map(Timestamp::to_string),
            expires: explained.expires().as_ref().map(Timestamp::to_string),
            ..Self::default()
        };
        let until = |until: &Timestamp| Some(until.to_string());
        match explained.availability() {
            Availability::OtherQueue => Self { state: "other queue", ..row },
            Availability::NeverPosted => Self { state: "never posted", ..row },
            Availability::Gone => Self { state: "gone", ..row },
            Availability::Waiting => Self { state: "free", ..row },
            Availability::Delayed { until: end, .. } => Self { state: "delayed", until: until(end), ..row },
            Availability::Claimed { claim, until: end, .. } => {
                Self { state: "claimed", until: until(end), claim: Some(claim.to_string()), ..row }
            }
            Availability::Paused => Self { state: "paused", ..row },
            Availability::OverRate { until: end, .. } => Self { state: "over its rate", until: until(end), ..row },
            Availability::WornOut { dead_letter_queue, .. } => {
                Self { state: "worn out", dead_letter_queue: Some(dead_letter_queue.to_string()), ..row }
            }
            Availability::Damaged => Self { state: "damaged", ..row },
            _ => Self { state: "unknown", ..row },
        }
    }

    /// What is known, without the rest.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let dead_letter_queue = self.dead_letter_queue.as_deref().map(plain::name);
        let facts = [
            ("id", Some(self.id.clone())),
            ("state", Some(self.state.to_owned())),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("claim", self.claim.clone()),
            ("dead letters", dead_letter_queue),
            ("expires", self.expires.clone()),
        ];
        facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).collect()
    }
}
