//! The user's command, run on one line at a time.
//!
//! 1. A command runs in a process group of its own: a Ctrl-C in the terminal does not reach it, so it can finish, and the
//!    whole group can be killed.
//! 2. The command is reaped only by the thread that may kill it, so its number names no other process by then.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Child, ChildStdin, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::failure::Failure;
use crate::lease::Lease;
use crate::say;

#[derive(Debug)]
pub(crate) struct Command(String);

/// Why a command did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The shell could not be started.
    NotRun,
    Code(i32),
    Signal(i32),
}

impl Command {
    pub(crate) fn new(script: String) -> Self {
        Self(script)
    }

    /// Runs the command on the line and renews the lease during the run. Kills the command when `is_killed` says so.
    pub(crate) fn run(
        &self,
        line: &[u8],
        lease: &mut Lease,
        is_killed: impl Fn() -> bool,
    ) -> Result<Result<(), Reason>, Failure> {
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => {
                say(format_args!("running sh: {error}"));
                return Ok(Err(Reason::NotRun));
            }
        };
        let group = Pid::from_child(&child);
        let input = child.stdin.take();
        let kept = thread::scope(|scope| {
            let (tell, ended) = crossbeam_channel::bounded(1);
            let feeding = thread::Builder::new().spawn_scoped(scope, move || feed(group, line, input, tell));
            if let Err(error) = feeding {
                kill(group);
                return Err(Failure::Thread(error));
            }
            loop {
                match ended.recv_timeout(lease.due_in().min(LOOK_UP)) {
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    Err(RecvTimeoutError::Timeout) if is_killed() => kill(group),
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(failure) = lease.keep() {
                            kill(group);
                            return Err(failure);
                        }
                    }
                }
            }
        });
        let status = child.wait();
        kept.map(|()| outcome(status))
    }

    fn spawn(&self) -> io::Result<Child> {
        process::Command::new("sh").arg("-c").arg(&self.0).stdin(Stdio::piped()).process_group(0).spawn()
    }
}

/// Writes the line to the command, and waits until the command has ended, without reaping it.
fn feed(command: Pid, line: &[u8], input: Option<ChildStdin>, tell: Sender<()>) {
    if let Some(mut input) = input {
        // One write, so that a line is not torn. The command need not read the line.
        let _ = input.write_all(&[line, b"\n"].concat());
    }
    let _ = waitid(WaitId::Pid(command), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    let _ = tell.send(());
}

fn kill(group: Pid) {
    // The group may have ended by itself.
    let _ = kill_process_group(group, Signal::KILL);
}

fn outcome(status: io::Result<ExitStatus>) -> Result<(), Reason> {
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.code().map_or_else(|| Reason::Signal(status.signal().unwrap_or(0)), Reason::Code)),
        Err(_) => Err(Reason::NotRun),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun => f.write_str("sh could not be run"),
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// How long a worker waits before it sees that its command is to be killed.
const LOOK_UP: Duration = Duration::from_millis(100);
