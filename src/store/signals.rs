//! The signals that wake the background threads.

use crate::sync::channel::{Receiver, Sender, bounded};

/// The senders of the signals. A signal without a receiver is dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    journal: Sender<()>,
    gc: Sender<()>,
    housekeeping: Sender<()>,
    evictor: Sender<()>,
}

/// The other ends.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(super) journal: Receiver<()>,
    pub(super) gc: Receiver<()>,
    pub(super) housekeeping: Receiver<()>,
    pub(super) evictor: Receiver<()>,
}

impl Signals {
    pub(crate) fn new() -> (Self, Receivers) {
        // One pending signal is enough.
        let ((journal, on_journal), (gc, on_gc)) = (bounded(1), bounded(1));
        let ((housekeeping, on_housekeeping), (evictor, on_evictor)) = (bounded(1), bounded(1));
        let receivers =
            Receivers { journal: on_journal, gc: on_gc, housekeeping: on_housekeeping, evictor: on_evictor };
        (Self { journal, gc, housekeeping, evictor }, receivers)
    }

    pub(crate) fn journal(&self) {
        signal(&self.journal);
    }

    pub(crate) fn gc(&self) {
        signal(&self.gc);
    }

    pub(crate) fn housekeeping(&self) {
        signal(&self.housekeeping);
    }

    pub(crate) fn evictor(&self) {
        signal(&self.evictor);
    }

    pub(super) fn all(&self) {
        self.journal();
        self.gc();
        self.housekeeping();
        self.evictor();
    }
}

fn signal(thread: &Sender<()>) {
    // A thread with a pending signal checks anyway, and without background work there is no receiver.
    let _ = thread.try_send(());
}
