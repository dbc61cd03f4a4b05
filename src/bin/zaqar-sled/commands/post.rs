//! `post`: messages from the arguments, files or standard input.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use zaqar_sled::{ClientId, MessageId, Metadata, NewMessage, Ttl};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::quantity;
use crate::queue_name::QueueArgs;
use crate::store_path::StorePath;

/// The arguments of `post`.
#[derive(Debug, Args)]
pub(crate) struct Post {
    #[command(flatten)]
    store: StorePath,

    #[command(flatten)]
    output: Output,

    #[command(flatten)]
    queue: QueueArgs,

    /// The bodies, one for each message; without any and without --file, standard input is the body of one message.
    #[arg(value_name = "BODY")]
    bodies: Vec<OsString>,

    /// A file whose content is the body of one message; may be given again.
    #[arg(long, value_name = "FILE", conflicts_with = "bodies")]
    file: Vec<PathBuf>,

    /// Each line of the files or of standard input is the body of a message, without its newline.
    #[arg(long, conflicts_with = "bodies")]
    lines: bool,

    /// How long the messages live, as in 30s or 2days; `forever` means until they are deleted [default: the queue's].
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_ttl)]
    ttl: Option<Ttl>,

    /// How long the messages are hidden at first [default: the queue's].
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_duration)]
    delay: Option<Duration>,

    /// A header of the messages, as NAME=VALUE; may be given again.
    #[arg(long, value_name = "HEADER", value_parser = parse_header)]
    header: Vec<(String, String)>,

    /// Make the queue, and the store, if they are missing.
    #[arg(long)]
    create: bool,
}

/// The ids of the posted messages.
#[derive(Debug, Serialize)]
struct Posted {
    ids: Vec<String>,
}

impl Post {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        // What cannot be read is found before anything is changed.
        let messages: Vec<NewMessage> = self.bodies()?.into_iter().map(|body| self.message(body)).collect();
        let store = self.store.open(&self.queue.project(), self.create)?;
        let queue = if self.create {
            let queue = store.queue(self.queue.project(), self.queue.name.as_str())?;
            queue.create(Metadata::new())?;
            queue
        } else {
            store.existing(&self.queue)?
        };
        let ids = queue.post(ClientId::random(), &messages)?;
        store.close()?;
        let posted = Posted { ids: ids.iter().map(MessageId::to_string).collect() };
        self.output.document(&posted, |posted| posted.ids.join("\n") + "\n")?;
        Ok(Exit::Done)
    }

    fn message(&self, body: Vec<u8>) -> NewMessage {
        let headers = self.header.iter().cloned().collect();
        let message = NewMessage::new(body).delay(self.delay).headers(headers);
        if let Some(ttl) = self.ttl { message.ttl(ttl) } else { message }
    }

    fn bodies(&self) -> Result<Vec<Vec<u8>>, Failure> {
        if !self.bodies.is_empty() {
            return Ok(self.bodies.iter().cloned().map(OsStringExt::into_vec).collect());
        }
        let mut inputs = Vec::new();
        for path in &self.file {
            inputs.push(fs::read(path).map_err(|source| Failure::Path { path: path.clone(), source })?);
        }
        if self.file.is_empty() {
            inputs.push(standard_input()?);
        }
        Ok(if self.lines { inputs.iter().flat_map(|input| lines(input)).collect() } else { inputs })
    }
}

fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut input = Vec::new();
    let read = io::stdin().lock().read_to_end(&mut input);
    read.map_err(|source| Failure::Path { path: "standard input".into(), source })?;
    Ok(input)
}

/// The lines without their newlines; the last one need not have one.
fn lines(input: &[u8]) -> Vec<Vec<u8>> {
    let ended = input.strip_suffix(b"\n").unwrap_or(input);
    if input.is_empty() { Vec::new() } else { ended.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect() }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').ok_or("a header is NAME=VALUE")?;
    Ok((parts.0.to_owned(), parts.1.to_owned()))
}
