//! A message as it is shown: by `peek`, `get` and `claims`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use zaqar_sled::{DeadLetterOrigin, Headers, Message, Timestamp};

use crate::grid::{Cell, Grid, Kind};
use crate::plain;
use crate::quantity;

/// A message with all that is known of it.
#[derive(Debug, Serialize)]
pub(crate) struct MessageRow {
    id: String,
    state: State,
    created: String,
    age_s: u64,
    /// `None`: it lives until it is deleted.
    ttl_s: Option<u64>,
    claim: Option<String>,
    claim_count: u32,
    first_claimed: Option<String>,
    last_claimed: Option<String>,
    last_failure: Option<String>,
    headers: Headers,
    origin: Option<Origin>,
    bytes: usize,
    /// The body, if it is UTF-8.
    body: Option<String>,
    /// The body, if it is not.
    body_base64: Option<String>,
    #[serde(skip)]
    message: Message,
}

/// Where a dead letter comes from.
#[derive(Debug, Serialize)]
struct Origin {
    queue: String,
    id: String,
    claim_count: u32,
    reason: Option<String>,
    moved: String,
}

impl Origin {
    fn of(origin: &DeadLetterOrigin) -> Self {
        Self {
            queue: origin.queue().to_string(),
            id: origin.id().to_string(),
            claim_count: origin.claim_count(),
            reason: origin.reason().map(str::to_owned),
            moved: origin.moved().to_string(),
        }
    }
}

/// Whether a message can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Free,
    Claimed,
    Delayed,
    /// It is not in the queue any more.
    Taken,
}

impl MessageRow {
    pub(crate) fn of(message: Message, is_delayed: bool) -> Self {
        let bytes = message.body().as_bytes();
        let text = std::str::from_utf8(bytes).ok();
        Self {
            id: message.id().to_string(),
            state: match message.claim_id() {
                Some(_) => State::Claimed,
                None if is_delayed => State::Delayed,
                None => State::Free,
            },
            created: message.created().to_string(),
            age_s: message.age().as_secs(),
            ttl_s: message.ttl().duration().map(|ttl| ttl.as_secs()),
            claim: message.claim_id().map(|claim| claim.to_string()),
            claim_count: message.claim_count(),
            first_claimed: message.first_claimed().as_ref().map(Timestamp::to_string),
            last_claimed: message.last_claimed().as_ref().map(Timestamp::to_string),
            last_failure: message.last_failure().map(str::to_owned),
            headers: message.headers().clone(),
            origin: message.dead_letter_origin().map(Origin::of),
            bytes: bytes.len(),
            body: text.map(str::to_owned),
            body_base64: text.is_none().then(|| BASE64.encode(bytes)),
            message,
        }
    }

    /// A message that is removed from its queue.
    pub(crate) fn taken(message: Message) -> Self {
        Self { state: State::Taken, claim: None, ..Self::of(message, false) }
    }

    pub(crate) fn message(&self) -> &Message {
        &self.message
    }

    /// The messages with the beginnings of their bodies, as much as the terminal shows.
    pub(crate) fn grid(rows: &[Self]) -> Grid<4> {
        Self::table(rows, Kind::Text, plain::body)
    }

    /// The messages with their whole bodies.
    pub(crate) fn whole_grid(rows: &[Self]) -> Grid<4> {
        Self::table(rows, Kind::Id, plain::whole_body)
    }

    /// Dead letters, with the reasons why they were given up.
    pub(crate) fn dead_grid(rows: &[Self]) -> Grid<5> {
        let figures = [("moved", Kind::Figure), ("claims", Kind::Figure)];
        let [moved, claims] = figures;
        let mut grid = Grid::new([("id", Kind::Id), moved, claims, ("reason", Kind::Text), ("body", Kind::Text)]);
        for row in rows {
            let Some(origin) = row.message.dead_letter_origin() else { continue };
            let read_at = row.message.created().saturating_add(row.message.age());
            grid.push([
                row.id.clone().into(),
                Cell::age(read_at.since(origin.moved())),
                Cell::count(origin.claim_count().into()),
                origin.reason().map_or_else(Cell::nothing, |reason| plain::body(reason.as_bytes()).into()),
                plain::body(row.message.body().as_bytes()).into(),
            ]);
        }
        grid
    }

    fn table(rows: &[Self], kind: Kind, shown: fn(&[u8]) -> String) -> Grid<4> {
        let mut grid = Grid::new([("id", Kind::Id), ("state", Kind::Id), ("age", Kind::Figure), ("body", kind)]);
        for row in rows {
            let body = shown(row.message.body().as_bytes());
            grid.push([
                row.id.clone().into(),
                row.state.name().to_owned().into(),
                Cell::age(row.message.age()),
                body.into(),
            ]);
        }
        grid
    }

    /// Everything, for one message.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let or_none = |text: Option<&String>| text.map_or_else(|| "-".into(), |text| plain::body(text.as_bytes()));
        let ttl = self.message.ttl().duration().map_or_else(|| "forever".into(), quantity::duration);
        let header = |(name, value): (&str, &str)| ("header", plain::body(format!("{name}: {value}").as_bytes()));
        let mut facts = vec![
            ("id", self.id.clone()),
            ("state", self.state.name().into()),
            ("created", self.created.clone()),
            ("age", quantity::duration(self.message.age())),
            ("ttl", ttl),
            ("claim", or_none(self.claim.as_ref())),
            ("times claimed", self.claim_count.to_string()),
            ("first claimed", or_none(self.first_claimed.as_ref())),
            ("last claimed", or_none(self.last_claimed.as_ref())),
            ("last failure", or_none(self.last_failure.as_ref())),
        ];
        if let Some(origin) = &self.origin {
            let Origin { queue, id, claim_count, reason, moved } = origin;
            facts.push(("dead letter of", plain::body(format!("{queue} {id}").as_bytes())));
            facts.push(("moved", format!("{moved}, claimed {claim_count} times")));
            facts.push(("reason", or_none(reason.as_ref())));
        }
        facts.extend(self.message.headers().iter().map(header));
        facts.push(("size", quantity::size(self.bytes as u64)));
        facts.push(("body", plain::body(self.message.body().as_bytes())));
        facts
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Claimed => "claimed",
            Self::Delayed => "delayed",
            Self::Taken => "taken",
        }
    }
}
