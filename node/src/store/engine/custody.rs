//! What is known of an envelope, with its evidence read back from the log.

use pli_protocol::id::EnvelopeId;

use super::Engine;
use super::cursor::Fields;
use super::format::Record;
use super::index::Space;
use super::known::{EvidenceRef, Known, Placed, State};
use super::log::ReadError;
use super::values::{self};
use crate::store::{Custody, CustodyState, Evidence, Outcome, StoreError};

/// Compaction may move a record between the look-up and the read.
const READ_TRIES: usize = 3;

impl Engine {
    pub(super) fn custody_of(&self, id: &EnvelopeId) -> Result<Option<Custody>, StoreError> {
        let value = self.indexed(self.index.get(Space::Ids, id.as_bytes()))?;
        let Some(known) = value.and_then(|value| Known::decode(*id, &value)) else {
            return Ok(None);
        };
        let mut evidence = Vec::with_capacity(known.evidence.len());
        for reference in &known.evidence {
            evidence.extend(self.evidence(reference)?);
        }
        let place = known.meta.place.given();
        let state = match (known.state, known.meta.place) {
            (State::Held, Placed::Mailbox { account, seq, .. }) => {
                CustodyState::Stored { account, seq }
            }
            (
                State::Held | State::After(Outcome::Unchanged),
                Placed::Queue {
                    destination, lane, ..
                },
            ) => CustodyState::Queued { destination, lane },
            (State::After(Outcome::Unchanged), Placed::Mailbox { account, seq, .. }) => {
                CustodyState::Stored { account, seq }
            }
            (State::After(Outcome::Delivered), _) => CustodyState::Delivered,
            (State::After(Outcome::Retrieved), _) => CustodyState::Retrieved,
            (State::After(Outcome::Refused { code }), _) => CustodyState::Refused { code },
            (State::After(Outcome::Undeliverable { code } | Outcome::GivenUp { code }), _) => {
                CustodyState::Undeliverable { code }
            }
            (State::Expired, _) => CustodyState::Expired,
        };
        let (accepted_at, expires) = (known.meta.accepted_at, known.meta.expires);
        Ok(Some(Custody {
            sender: known.meta.sender,
            accepted_at,
            expires,
            place,
            state,
            evidence,
        }))
    }

    // Evidence that is damaged is missing from the answer; the record itself is put aside.
    fn evidence(&self, reference: &EvidenceRef) -> Result<Option<Evidence>, StoreError> {
        for _ in 0..READ_TRIES {
            let row = self.indexed(
                self.index
                    .get(Space::Settlements, reference.settlement.to_be_bytes()),
            )?;
            let Some(at) = row.and_then(|row| Fields(&row).position()) else {
                return Ok(None);
            };
            let raw = match self.log.read(at) {
                Ok(raw) => raw,
                Err(ReadError::Gone) => continue,
                Err(ReadError::Short) => bytes::Bytes::new(),
                Err(ReadError::Io(source)) => return Err(self.fatal("reading the log", source)),
            };
            let settlement = Record::parse(&raw, self.log.seed())
                .and_then(|r| values::decode_settlement(&r.body));
            let Some((settlement, _)) = settlement else {
                self.quarantine.keep_from_log(&self.log, at);
                return Ok(None);
            };
            let index = reference.index as usize;
            return Ok(Some(Evidence {
                outcome: reference.outcome,
                index,
                settlement,
            }));
        }
        Ok(None)
    }
}
