//! A queue's dead letters.

use super::queue::Queue;
use crate::model::error::{Error, Result};
use crate::model::settings::ParsedSettings;
use crate::model::{DeadLetterOrigin, Message, MessageListOptions, RedriveOptions, RedriveOutcome};

impl Queue {
    /// The dead letters of this queue, oldest first: the messages in its dead-letter queue whose
    /// [origin](Message::dead_letter_origin) is this queue, claimed and delayed ones too. None if its
    /// metadata name no dead-letter queue, or that does not exist yet. Dead letters on their way to
    /// another store, or in a queue that the metadata named before, are not among them.
    ///
    /// Cost: none; each page of the dead-letter queue, up to 1 MiB or 100 messages, is read when the
    /// iterator gets there.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) if the queue does not exist; the errors of [every
    /// call](crate::DataDriver#errors-of-every-call).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// jobs.create(QueueSettings::new().dead_letters("dead", 1))?;
    /// jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// jobs.claim(ClaimOptions::new())?.expect("a job waits").release()?;
    /// assert_eq!(jobs.dead_letters()?.count(), 0);
    /// assert!(jobs.claim(ClaimOptions::new())?.is_none()); // it is worn out, and moves
    /// assert_eq!(jobs.dead_letters()?.count(), 1);
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn dead_letters(&self) -> Result<impl Iterator<Item = Result<Message>> + '_> {
        let dead =
            ParsedSettings::parse(&self.metadata()?)?.dead_letter_queue.map(|name| Self { name, ..self.clone() });
        let dead = dead.map_or(Ok(None), |dead| Ok::<_, Error>(dead.exists()?.then_some(dead)))?;
        let options = MessageListOptions::new().include_claimed(true).include_delayed(true);
        let is_own = |letter: &Message| letter.dead_letter_origin().map(DeadLetterOrigin::queue) == Some(&self.name);
        let letters = dead.into_iter().flat_map(move |dead| dead.into_messages(options.clone()));
        Ok(letters.filter(move |letter| letter.as_ref().map_or(true, is_own)))
    }

    /// Moves messages of this dead-letter queue back to the queues that they come from, or to another one:
    /// [`DeadLetters::redrive`](crate::DeadLetters::redrive) says how.
    ///
    /// Cost: O(messages of the queue); one write to the journal for each portion of up to 256 messages.
    ///
    /// Durability: each portion is a change.
    ///
    /// # Errors
    /// those of [`DeadLetters::redrive`](crate::DeadLetters::redrive).
    ///
    /// # Example
    ///
    /// ```
    /// # use zaqar_sled::*;
    /// # let disk = std::sync::Arc::new(SimulatedDisk::new());
    /// # let engine = Config::new().disk(disk).open("store")?;
    /// # let jobs = engine.queue(Project::none(), "jobs")?;
    /// # jobs.create(QueueSettings::new().dead_letters("dead", 1))?;
    /// # jobs.post(ClientId::random(), &[NewMessage::new("work")])?;
    /// # jobs.claim(ClaimOptions::new())?.expect("a job waits").release()?;
    /// # assert!(jobs.claim(ClaimOptions::new())?.is_none());
    /// let dead = engine.queue(Project::none(), "dead")?;
    /// let all = RedriveOptions::new();
    /// assert_eq!(dead.redrive(&all.clone().dry_run(true))?.moved(), 1);
    /// assert_eq!(dead.redrive(&all)?.moved(), 1);
    /// assert_eq!((dead.stats()?.total(), jobs.stats()?.total()), (0, 1));
    /// # Ok::<(), zaqar_sled::Error>(())
    /// ```
    pub fn redrive(&self, options: &RedriveOptions) -> Result<RedriveOutcome> {
        self.driver.extended().dead_letters().redrive(&self.project, &self.name, options)
    }
}
