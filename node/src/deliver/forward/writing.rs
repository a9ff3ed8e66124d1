//! Checked answers on their way to the disk. While one write waits for it, letters go on leaving and answers go on
//! coming; what has come by then is the next write.

use pli_protocol::custody::Disposition;
use pli_protocol::limits::ACK_DISPOSITIONS_MAX;
use tokio::task::JoinHandle;

use crate::metrics;
use crate::relay::Relay;
use crate::store::{Settled, Settlement, StoreError};

/// Answers written down by one fsync; and so many wait for it at most,
const SETTLED_AT_ONCE: usize = 64;
/// of so many letters; with the last answer up to twice as many. Everybody else waits for the writer meanwhile.
const LETTERS_AT_ONCE: u64 = ACK_DISPOSITIONS_MAX as u64;

/// What was answered and is not written down yet.
#[derive(Debug, Default)]
pub(super) struct Writing {
    next: Answers,
    now: Option<(JoinHandle<Result<Settled, StoreError>>, Answers)>,
}

#[derive(Debug, Default)]
struct Answers {
    settlements: Vec<Settlement>,
    accepted: u64,
    duplicates: u64,
    refused: u64,
}

impl Writing {
    pub(super) fn has_room(&self) -> bool {
        let next = &self.next;
        let letters = next.accepted + next.duplicates + next.refused;
        next.settlements.len() < SETTLED_AT_ONCE && letters < LETTERS_AT_ONCE
    }

    /// Whether [`written`](Self::written) has something to wait for.
    pub(super) fn is_under_way(&self) -> bool {
        self.now.is_some()
    }

    /// One answer, and what it says of its letters.
    pub(super) fn add(&mut self, settlement: Settlement, dispositions: &[Disposition]) {
        let next = &mut self.next;
        next.settlements.push(settlement);
        for disposition in dispositions {
            *match disposition {
                Disposition::Accepted => &mut next.accepted,
                Disposition::Duplicate { .. } => &mut next.duplicates,
                Disposition::Refused(_) => &mut next.refused,
            } += 1;
        }
    }

    /// Begins to write what has come, unless a write is under way.
    pub(super) fn begin(&mut self, relay: &Relay) {
        if self.now.is_some() || self.next.settlements.is_empty() {
            return;
        }
        let mut answers = std::mem::take(&mut self.next);
        let settlements = std::mem::take(&mut answers.settlements);
        let write = relay.begin_on_store(move |store| store.settle(&settlements, &[]));
        self.now = Some((write, answers));
    }

    /// Waits for the write that is under way. May be cancelled.
    pub(super) async fn written(&mut self, relay: &Relay) -> Result<(), StoreError> {
        let Some((write, _)) = &mut self.now else {
            return Ok(());
        };
        let written = write.await;
        let (_, answers) = self.now.take().expect("it was under way");
        written.expect("store calls do not panic and are not cancelled")?;
        let answered = &relay.metrics.deliver.answered_total;
        for (disposition, count) in [
            (metrics::Disposition::Accepted, answers.accepted),
            (metrics::Disposition::Duplicate, answers.duplicates),
            (metrics::Disposition::Refused, answers.refused),
        ] {
            answered.of(disposition).increment(count);
        }
        Ok(())
    }

    /// Writes down everything that has come.
    pub(super) async fn finish(&mut self, relay: &Relay) -> Result<(), StoreError> {
        while self.is_under_way() || !self.next.settlements.is_empty() {
            self.begin(relay);
            self.written(relay).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answers(count: usize, letters: usize) -> Writing {
        let mut writing = Writing::default();
        for _ in 0..count {
            let settlement = Settlement {
                receipts: Bytes::new(),
                items: Vec::new(),
            };
            writing.add(settlement, &vec![Disposition::Accepted; letters]);
        }
        writing
    }

    /// R15
    #[test]
    fn one_write_takes_so_many_answers_and_letters_and_no_more() {
        assert!(answers(SETTLED_AT_ONCE - 1, 1).has_room());
        assert!(!answers(SETTLED_AT_ONCE, 1).has_room());
        assert!(answers(1, ACK_DISPOSITIONS_MAX - 1).has_room());
        assert!(!answers(1, ACK_DISPOSITIONS_MAX).has_room());
    }
}
