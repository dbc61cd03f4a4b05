//! A sign on a terminal while the program reads or opens a store, which may take long.

use std::io::{Read, Result, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::quantity::size;

/// The sign; it goes away when this is dropped. Where standard error is no terminal, nothing is shown.
#[derive(Debug)]
pub(crate) struct Waiting {
    sign: ProgressBar,
    what: &'static str,
}

/// A stream, whose bytes the sign shows.
pub(crate) struct Counting<'a, S> {
    waiting: &'a Waiting,
    stream: S,
    bytes: u64,
}

impl Waiting {
    /// Shows what the program does, and for how long it has done that.
    pub(crate) fn on(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
        let sign = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        sign.set_message(what);
        sign.enable_steady_tick(FRAME);
        Self { sign, what }
    }

    /// The same stream, whose bytes are shown.
    pub(crate) fn counting<S>(&self, stream: S) -> Counting<'_, S> {
        Counting { waiting: self, stream, bytes: 0 }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.sign.finish_and_clear();
    }
}

impl<S> Counting<'_, S> {
    fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        let Waiting { sign, what } = self.waiting;
        if !sign.is_hidden() {
            sign.set_message(format!("{what}: {}", size(self.bytes)));
        }
    }
}

impl<S: Write> Write for Counting<'_, S> {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        let written = self.stream.write(buffer)?;
        self.count(written);
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}

impl<S: Read> Read for Counting<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let read = self.stream.read(buffer)?;
        self.count(read);
        Ok(read)
    }
}

const FRAME: Duration = Duration::from_millis(200);
