//! The two ends of a stream of batches (CUS-4), without any input or output of their own.
//!
//! [`Sending`] numbers batches and matches acknowledgements with what was sent; [`Receiving`]
//! checks the numbers. Neither ever waits: the caller does, when [`Sending::has_room`] says so.

use std::collections::VecDeque;

use crate::code::Code;
use crate::id::EnvelopeId;
use crate::limits::{BATCH_ENVELOPES_MAX, BATCHES_IN_FLIGHT_MAX};

/// What breaks the order of a stream of batches.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PipelineError {
    /// CUS-4.1
    #[error("batch {got}, expected {expected}")]
    Sequence { got: u64, expected: u64 },
    /// CUS-4.2
    #[error("{got} envelopes in a batch, expected 1 to {BATCH_ENVELOPES_MAX}")]
    BatchSize { got: usize },
    /// CUS-4.3
    #[error("more than {BATCHES_IN_FLIGHT_MAX} batches wait for their acknowledgement")]
    TooManyInFlight,
    /// CUS-4.4
    #[error("batches {first} to {last} acknowledged, {oldest} to {newest} are waiting")]
    AckRange {
        first: u64,
        last: u64,
        oldest: u64,
        newest: u64,
    },
}

impl PipelineError {
    /// The wire code of this refusal.
    pub fn code(self) -> Code {
        match self {
            Self::Sequence { .. } => Code::Sequence,
            Self::BatchSize { got: 0 } => Code::FieldMissing,
            Self::BatchSize { .. } => Code::TooMany,
            Self::TooManyInFlight => Code::TooManyInFlight,
            Self::AckRange { .. } => Code::AckMismatch,
        }
    }
}

/// The sender's end: what is on its way.
#[derive(Clone, Debug)]
pub struct Sending {
    next_seq: u64,
    in_flight_max: usize,
    /// Invariant: the batches before `next_seq`, consecutive, oldest first.
    in_flight: VecDeque<Vec<EnvelopeId>>,
}

impl Sending {
    /// A fresh stream; `granted` is the server's `Welcome.max_batches_in_flight`.
    pub fn new(granted: u32) -> Self {
        let in_flight_max = granted.clamp(1, BATCHES_IN_FLIGHT_MAX) as usize;
        Self {
            next_seq: 1,
            in_flight_max,
            in_flight: VecDeque::new(),
        }
    }

    /// Whether another batch may be sent before an acknowledgement comes.
    pub fn has_room(&self) -> bool {
        self.in_flight.len() < self.in_flight_max
    }

    /// Whether everything sent was acknowledged.
    pub fn is_settled(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Takes note of a batch that is sent now; gives its number.
    pub fn send(&mut self, envelopes: Vec<EnvelopeId>) -> Result<u64, PipelineError> {
        check_size(envelopes.len())?;
        if !self.has_room() {
            return Err(PipelineError::TooManyInFlight);
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        self.in_flight.push_back(envelopes);
        Ok(seq)
    }

    /// The envelopes that an acknowledgement of these batches speaks of, in order.
    ///
    /// They are still in flight until [`settle`](Self::settle): the signature comes first.
    pub fn acknowledged(&self, first: u64, last: u64) -> Result<Vec<EnvelopeId>, PipelineError> {
        let count = self.check_range(first, last)?;
        Ok(self
            .in_flight
            .iter()
            .take(count)
            .flatten()
            .copied()
            .collect())
    }

    /// Forgets the batches up to `last`, whose acknowledgement was checked.
    pub fn settle(&mut self, last: u64) -> Result<(), PipelineError> {
        let count = self.check_range(self.oldest(), last)?;
        self.in_flight.drain(..count);
        Ok(())
    }

    /// What was sent and never acknowledged, in order: to be sent again on another stream.
    pub fn into_unsettled(self) -> impl Iterator<Item = EnvelopeId> {
        self.in_flight.into_iter().flatten()
    }

    fn oldest(&self) -> u64 {
        self.next_seq - self.in_flight.len() as u64
    }

    // CUS-4.4: acknowledgements come in order and speak of what is in flight.
    fn check_range(&self, first: u64, last: u64) -> Result<usize, PipelineError> {
        let (oldest, newest) = (self.oldest(), self.next_seq - 1);
        if first != oldest || last < first || last > newest {
            return Err(PipelineError::AckRange {
                first,
                last,
                oldest,
                newest,
            });
        }
        Ok(usize::try_from(last - first + 1).expect("bounded by the batches in flight"))
    }
}

/// The receiver's end: what it owes an answer to.
#[derive(Clone, Debug, Default)]
pub struct Receiving {
    received: u64,
    acknowledged: u64,
}

impl Receiving {
    /// Checks the number and size of a batch that arrived.
    pub fn receive(&mut self, seq: u64, envelopes: usize) -> Result<(), PipelineError> {
        let expected = self.received + 1;
        if seq != expected {
            return Err(PipelineError::Sequence { got: seq, expected });
        }
        check_size(envelopes)?;
        if self.received - self.acknowledged >= u64::from(BATCHES_IN_FLIGHT_MAX) {
            return Err(PipelineError::TooManyInFlight);
        }
        self.received = seq;
        Ok(())
    }

    /// Takes note that everything up to `last` is being acknowledged.
    pub fn acknowledge(&mut self, last: u64) {
        debug_assert!(last >= self.acknowledged && last <= self.received);
        self.acknowledged = last;
    }
}

fn check_size(got: usize) -> Result<(), PipelineError> {
    if got == 0 || got > BATCH_ENVELOPES_MAX {
        return Err(PipelineError::BatchSize { got });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u64) -> EnvelopeId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        EnvelopeId::new(bytes)
    }

    #[test]
    fn cus_4_1_batches_are_numbered_from_one() {
        let mut receiving = Receiving::default();
        assert_eq!(
            receiving.receive(2, 1),
            Err(PipelineError::Sequence {
                got: 2,
                expected: 1
            })
        );
        assert_eq!(receiving.receive(1, 1), Ok(()));
        assert_eq!(
            receiving.receive(1, 1),
            Err(PipelineError::Sequence {
                got: 1,
                expected: 2
            })
        );
    }

    #[test]
    fn cus_4_2_a_batch_has_1_to_64_envelopes() {
        let mut sending = Sending::new(u32::MAX);
        assert!(sending.send(vec![]).is_err());
        assert!(sending.send(vec![id(0); BATCH_ENVELOPES_MAX]).is_ok());
        assert!(sending.send(vec![id(0); BATCH_ENVELOPES_MAX + 1]).is_err());
        assert!(Receiving::default().receive(1, BATCH_ENVELOPES_MAX).is_ok());
        assert_eq!(
            Receiving::default()
                .receive(1, BATCH_ENVELOPES_MAX + 1)
                .unwrap_err()
                .code(),
            Code::TooMany
        );
    }

    #[test]
    fn cus_4_3_at_most_64_batches_are_in_flight() {
        let (mut sending, mut receiving) = (Sending::new(u32::MAX), Receiving::default());
        for _ in 0..BATCHES_IN_FLIGHT_MAX {
            let seq = sending.send(vec![id(1)]).unwrap();
            receiving.receive(seq, 1).unwrap();
        }
        assert!(!sending.has_room());
        assert_eq!(
            sending.send(vec![id(1)]),
            Err(PipelineError::TooManyInFlight)
        );
        let next = u64::from(BATCHES_IN_FLIGHT_MAX) + 1;
        assert_eq!(
            receiving.receive(next, 1),
            Err(PipelineError::TooManyInFlight)
        );
        receiving.acknowledge(1);
        assert_eq!(receiving.receive(next, 1), Ok(()));
    }

    #[test]
    fn cus_4_4_an_acknowledgement_out_of_order_is_refused() {
        let mut sending = Sending::new(8);
        for n in 0..3 {
            sending.send(vec![id(n)]).unwrap();
        }
        assert!(sending.acknowledged(2, 2).is_err());
        assert!(sending.acknowledged(1, 4).is_err());
        assert!(sending.acknowledged(1, 0).is_err());
        assert_eq!(sending.acknowledged(1, 2), Ok(vec![id(0), id(1)]));
        sending.settle(2).unwrap();
        assert!(sending.settle(2).is_err());
        assert_eq!(sending.into_unsettled().collect::<Vec<_>>(), [id(2)]);
    }

    proptest! {
        /// Whatever the order of sending and acknowledging, each envelope is settled once, in order.
        #[test]
        fn every_envelope_is_settled_once(steps in proptest::collection::vec((0_u8..2, 1_usize..9), 1..200)) {
            let (mut sending, mut receiving) = (Sending::new(16), Receiving::default());
            let (mut sent, mut settled, mut next) = (Vec::new(), Vec::new(), 0);
            for (step, count) in steps {
                if step == 0 && sending.has_room() {
                    let batch: Vec<_> = (0..count).map(|_| { next += 1; id(next) }).collect();
                    sent.extend(batch.clone());
                    let seq = sending.send(batch).unwrap();
                    receiving.receive(seq, count).unwrap();
                } else if !sending.is_settled() {
                    let first = sending.oldest();
                    let last = (first + count as u64 - 1).min(sending.next_seq - 1);
                    receiving.acknowledge(last);
                    settled.extend(sending.acknowledged(first, last).unwrap());
                    sending.settle(last).unwrap();
                }
            }
            settled.extend(sending.into_unsettled());
            prop_assert_eq!(settled, sent);
        }
    }
}
