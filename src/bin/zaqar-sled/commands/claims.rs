//! `claims`: the live claims of a queue.

use clap::Args;
use serde::Serialize;
use zaqar_sled::{ClaimId, InspectedClaim};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::grid::{Cell, Grid, Kind};
use crate::message_row::MessageRow;
use crate::output::Output;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;
use crate::view::View;

/// The arguments of `claims`.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// The messages of this claim.
    #[arg(long, value_name = "CLAIM")]
    id: Option<ClaimId>,
}

/// A claim as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    claim: String,
    age_s: u64,
    ttl_s: u64,
    expires: String,
    messages: u64,
    #[serde(skip)]
    found: InspectedClaim,
}

impl Claims {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        match &self.id {
            None => {
                let rows = self.store.look(|view| self.rows(view))?;
                self.output.list(&rows, grid)?;
            }
            Some(id) => {
                let rows = self.store.look(|view| self.messages(view, id))?;
                self.output.list(&rows, MessageRow::grid)?;
            }
        }
        Ok(Exit::Done)
    }

    fn rows(&self, view: &View) -> Result<Vec<Row>, Failure> {
        let claims = self.queue.find(view)?.claims();
        Ok(claims.into_iter().map(Row::of).collect())
    }

    fn messages(&self, view: &View, id: &ClaimId) -> Result<Vec<MessageRow>, Failure> {
        let missing = || Failure::NotThere { what: "claim", id: id.to_string() };
        let claim = self.queue.find(view)?.claim(id)?.ok_or_else(missing)?;
        Ok(claim.into_messages().into_iter().map(|message| MessageRow::of(message, false)).collect())
    }
}

impl Row {
    fn of(found: InspectedClaim) -> Self {
        Self {
            claim: found.id().to_string(),
            age_s: found.age().as_secs(),
            ttl_s: found.ttl().as_secs(),
            expires: found.expires().to_string(),
            messages: found.messages(),
            found,
        }
    }
}

fn grid(rows: &[Row]) -> Grid<4> {
    let figures = [("age", Kind::Figure), ("ttl", Kind::Figure), ("messages", Kind::Figure)];
    let [age, ttl, messages] = figures;
    let mut grid = Grid::new([("claim", Kind::Id), age, ttl, messages]);
    for row in rows {
        let claim = row.claim.clone().into();
        grid.push([claim, Cell::age(row.found.age()), Cell::age(row.found.ttl()), Cell::count(row.messages)]);
    }
    grid
}
