//! The user's command, run on one line at a time.

use std::io::{self, Write};
use std::process::{self, Stdio};
use std::thread;

use crossbeam_channel::RecvTimeoutError;

use crate::failure::Failure;
use crate::lease::Lease;
use crate::say;

#[derive(Debug)]
pub(crate) struct Command(String);

impl Command {
    pub(crate) fn new(script: String) -> Self {
        Self(script)
    }

    /// Runs the command on the line and renews the lease during the run. Returns whether the command succeeded.
    pub(crate) fn run(&self, line: &[u8], lease: &mut Lease) -> Result<bool, Failure> {
        thread::scope(|scope| {
            let (tell, told) = crossbeam_channel::bounded(1);
            let running = thread::Builder::new().spawn_scoped(scope, move || tell.send(self.succeeds_on(line)));
            running.map_err(Failure::Thread)?;
            loop {
                match told.recv_timeout(lease.due_in()) {
                    Ok(succeeded) => return Ok(succeeded),
                    Err(RecvTimeoutError::Disconnected) => return Ok(false),
                    Err(RecvTimeoutError::Timeout) => lease.keep()?,
                }
            }
        })
    }

    fn succeeds_on(&self, line: &[u8]) -> bool {
        match self.status_on(line) {
            Ok(status) => status.success(),
            Err(error) => {
                say(format_args!("running sh: {error}"));
                false
            }
        }
    }

    fn status_on(&self, line: &[u8]) -> io::Result<process::ExitStatus> {
        let mut child = process::Command::new("sh").arg("-c").arg(&self.0).stdin(Stdio::piped()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // One write, so that a line is not torn. The command need not read the line.
            let _ = input.write_all(&[line, b"\n"].concat());
        }
        child.wait()
    }
}
