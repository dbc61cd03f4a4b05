//! A sign on a terminal while the program reads or opens a store, which may take long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The sign; it goes away when this is dropped. Where standard error is no terminal, nothing is shown.
#[derive(Debug)]
pub(crate) struct Waiting(ProgressBar);

impl Waiting {
    /// Shows what the program does, and for how long it has done that.
    pub(crate) fn on(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]");
        let sign = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        sign.set_message(what);
        sign.enable_steady_tick(FRAME);
        Self(sign)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

const FRAME: Duration = Duration::from_millis(200);
