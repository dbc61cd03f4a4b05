//! What a command prints on standard output: a table for people, or JSON.

use std::io::{self, ErrorKind, Write};

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::grid::{self, Grid};

/// The form of the output.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON instead of text: a document, or a line for each row of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Output {
    /// Prints each item as a line of JSON, or all as a table.
    pub(crate) fn list<T: Serialize, const N: usize>(
        &self,
        items: &[T],
        grid: impl FnOnce(&[T]) -> Grid<N>,
    ) -> Result<(), Failure> {
        if !self.json {
            return text(&grid(items).text(grid::terminal_width()));
        }
        let mut lines = Vec::new();
        for item in items {
            serde_json::to_writer(&mut lines, item).map_err(io::Error::from)?;
            lines.push(b'\n');
        }
        print(&lines)
    }

    /// Prints one JSON document, or text.
    pub(crate) fn document<T: Serialize>(&self, item: &T, shown: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        print(&self.form(item, shown)?)
    }

    /// What [`document`](Self::document) prints.
    pub(crate) fn form<T: Serialize, S: Into<Vec<u8>>>(
        &self,
        item: &T,
        shown: impl FnOnce(&T) -> S,
    ) -> Result<Vec<u8>, Failure> {
        if !self.json {
            return Ok(shown(item).into());
        }
        let mut document = serde_json::to_vec(item).map_err(io::Error::from)?;
        document.push(b'\n');
        Ok(document)
    }
}

/// The printing, where the exit code tells the outcome of the command: it need not be read to its end.
pub(crate) fn even_unread(printed: Result<(), Failure>) -> Result<(), Failure> {
    match printed {
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

/// Prints text.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    print(text.as_bytes())
}

/// Prints bytes, so that they have left this process when the call returns.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}
