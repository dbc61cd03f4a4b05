//! Claims lines of any job, processes them, and deletes them.

use std::time::Duration;

use zaqar_sled::{Claim, ClaimOptions};

use crate::command::Command;
use crate::failure::Failure;
use crate::job::Job;
use crate::lease::Lease;
use crate::run::Run;

pub(crate) struct Worker<'a> {
    run: &'a Run,
    options: ClaimOptions,
    /// The job to check first: another one each time, so that no job starves.
    next: usize,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(run: &'a Run, number: usize) -> Self {
        let options = ClaimOptions::new().ttl(run.ttl).grace(Duration::ZERO).limit(run.claim);
        Self { run, options, next: number }
    }

    /// Works until no line is left or the run is stopped.
    pub(crate) fn work(mut self) -> Result<(), Failure> {
        while !self.run.is_stopped() {
            self.next = (self.next + 1) % self.run.jobs.len().max(1);
            if let Some((job, claim)) = self.claim_any()? {
                self.process(job, claim)?;
                self.run.note_progress();
            } else if !self.wait()? {
                break;
            }
        }
        Ok(())
    }

    fn open_jobs(&self) -> impl Iterator<Item = &'a Job> + use<'a> {
        let (before, after) = self.run.jobs.split_at_checked(self.next).unwrap_or((&[], &self.run.jobs));
        after.iter().chain(before).filter(|job| !job.is_done())
    }

    fn claim_any(&self) -> Result<Option<(&'a Job, Claim)>, Failure> {
        for job in self.open_jobs() {
            if let Some(claim) = job.lines.claim(self.options.clone())? {
                return Ok(Some((job, claim)));
            }
            job.check_done()?;
        }
        Ok(None)
    }

    /// Waits for a line in one of the jobs; `false` when all are done.
    fn wait(&self) -> Result<bool, Failure> {
        let Some(job) = self.open_jobs().next() else { return Ok(false) };
        if let Some(claim) = job.lines.claim_wait(self.options.clone(), LOOK_AROUND)? {
            self.process(job, claim)?;
            self.run.note_progress();
        }
        Ok(true)
    }

    fn process(&self, job: &Job, claim: Claim) -> Result<(), Failure> {
        let again = claim.messages().iter().filter(|message| message.claim_count() > 1).count();
        job.add_redelivered(again as u64);
        let lease = Lease::new(claim, self.run.ttl);
        match &self.run.command {
            Some(command) => self.run_each(command, lease),
            None => self.count_words(&lease),
        }
    }

    fn count_words(&self, lease: &Lease) -> Result<(), Failure> {
        let words = lease.messages().iter().map(|message| words(message.body().as_bytes())).sum();
        if lease.delete_all()? {
            self.run.add_words(words);
        }
        Ok(())
    }

    /// Deletes each line as soon as the command has succeeded on it, and gives it back as soon as the command has failed;
    /// releases those that are left when the run is stopped.
    fn run_each(&self, command: &Command, mut lease: Lease) -> Result<(), Failure> {
        let mut all_succeeded = true;
        for message in lease.messages() {
            if self.run.is_stopped() {
                return lease.release();
            }
            lease.keep()?;
            match command.run(message.body().as_bytes(), &mut lease, || self.run.is_killed())? {
                Ok(()) => drop(lease.delete(&message)?),
                Err(reason) => {
                    all_succeeded = false;
                    lease.give_back(&message, &reason)?;
                }
            }
        }
        if all_succeeded { Ok(()) } else { lease.release() }
    }
}

fn words(line: &[u8]) -> u64 {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count() as u64
}

/// The time to wait for one job's lines before the worker checks the other jobs, and whether all are done.
const LOOK_AROUND: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_what_whitespace_parts() {
        assert_eq!(words(b""), 0);
        assert_eq!(words(b" \t"), 0);
        assert_eq!(words(b" two\twords\r"), 2);
        assert_eq!(words(b"\xff\xfe bytes"), 2);
    }
}
