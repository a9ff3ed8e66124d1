//! The lines that are read and not settled, in the order of the file. Acknowledgements may come in
//! another order where the node refused something for now; a line is recorded as settled only when
//! all lines before it are, so that one number says where to go on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use sha2::Sha256;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::results::Outcome;

/// Lines in the window.
pub(super) const WINDOW_MAX: usize = 16_384;

/// One line.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its number in the file, from 1.
    pub(super) line: u64,
    /// The contact's name, once it is known.
    pub(super) to: Option<String>,
    /// Where it ends in the file.
    pub(super) end: u64,
    /// Of the file up to there.
    pub(super) sent: Sha256,
    /// `None` while it is on its way.
    pub(super) outcome: Option<Outcome>,
    /// Its place among [`WINDOW_MAX`].
    pub(super) _place: OwnedSemaphorePermit,
}

/// Shared by who reads lines and who records them.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Invariant: consecutive lines.
    slots: Mutex<VecDeque<Slot>>,
    changed: Notify,
}

impl Window {
    /// Takes the next line in.
    pub(super) fn push(&self, slot: Slot) {
        let settled = slot.outcome.is_some();
        self.slots().push_back(slot);
        if settled {
            self.changed.notify_one();
        }
    }

    /// Settles a line that was pushed before.
    pub(super) fn settle(&self, line: u64, outcome: Outcome) {
        let mut slots = self.slots();
        let first = slots.front().map_or(line, |slot| slot.line);
        let index = line
            .checked_sub(first)
            .and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| slots.get_mut(index)) {
            slot.outcome = Some(outcome);
        }
    }

    /// Takes out the first lines, as far as all of them are settled.
    pub(super) fn pop_settled(&self) -> Vec<Slot> {
        let mut slots = self.slots();
        let settled = slots
            .iter()
            .take_while(|slot| slot.outcome.is_some())
            .count();
        slots.drain(..settled).collect()
    }

    /// Waits until a line was pushed that is settled already, or somebody calls
    /// [`wake`](Self::wake).
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    fn slots(&self) -> MutexGuard<'_, VecDeque<Slot>> {
        self.slots
            .lock()
            .expect("no code panics while it holds this lock")
    }
}
