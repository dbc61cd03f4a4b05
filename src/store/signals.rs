//! How the background threads are told that there is something to do.

use crate::sync::channel::{Receiver, Sender, bounded};

/// The way to reach the threads; a signal nobody listens to is dropped.
#[derive(Debug)]
pub(crate) struct Signals {
    journal: Sender<()>,
    gc: Sender<()>,
    keeper: Sender<()>,
    evictor: Sender<()>,
}

/// The other ends.
#[derive(Debug)]
pub(crate) struct Receivers {
    pub(super) journal: Receiver<()>,
    pub(super) gc: Receiver<()>,
    pub(super) keeper: Receiver<()>,
    pub(super) evictor: Receiver<()>,
}

impl Signals {
    pub(crate) fn new() -> (Self, Receivers) {
        // One waiting signal says as much as many.
        let ((journal, on_journal), (gc, on_gc)) = (bounded(1), bounded(1));
        let ((keeper, on_keeper), (evictor, on_evictor)) = (bounded(1), bounded(1));
        let receivers = Receivers { journal: on_journal, gc: on_gc, keeper: on_keeper, evictor: on_evictor };
        (Self { journal, gc, keeper, evictor }, receivers)
    }

    pub(crate) fn journal(&self) {
        let _ = self.journal.try_send(());
    }

    pub(crate) fn gc(&self) {
        let _ = self.gc.try_send(());
    }

    pub(crate) fn keeper(&self) {
        let _ = self.keeper.try_send(());
    }

    pub(crate) fn evictor(&self) {
        let _ = self.evictor.try_send(());
    }

    pub(super) fn all(&self) {
        self.journal();
        self.gc();
        self.keeper();
        self.evictor();
    }
}
