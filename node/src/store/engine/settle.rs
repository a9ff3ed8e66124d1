//! Settlements and reports: what became of envelopes, durably, with its evidence.

use std::collections::{HashMap, hash_map};

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{ACK_DISPOSITIONS_MAX, GROUP_BYTES_MAX};

use super::apply::Applier;
use super::cursor::Put;
use super::format::{GROUP_RECORDS_MAX, Kind};
use super::index::Space;
use super::known::{EvidenceRef, Known};
use super::registry::encode_positions;
use super::values::{ReportMeta, encode_settlement};
use super::{Engine, ReserveShare};
use crate::store::{Outcome, Report, Settled, Settlement, StoreError};

impl Engine {
    pub(super) fn settle_all(
        &self,
        settlements: &[Settlement],
        reports: &[Report],
    ) -> Result<Settled, StoreError> {
        check_bounds(settlements, reports)?;
        if settlements.is_empty() && reports.is_empty() {
            return Ok(Settled::default());
        }
        let mut writer = self.writer();
        let writer = &mut *writer;
        let mut group = self
            .log
            .group(&writer.tail, settlements.len() + reports.len());
        let (effects, settled) = self.effects(settlements, group.number)?;
        for (settlement, effective) in settlements.iter().zip(&effects) {
            // A repeated answer of a peer costs no bytes.
            if effective.contains(&true) {
                let number = group.next_position();
                group.push(
                    Kind::Settlement,
                    encode_settlement(settlement, effective),
                    |meta| meta.put_u64(number),
                );
            }
        }
        for report in reports {
            let position = group.next_position();
            group.push(Kind::Report, report.bytes.clone(), |meta| {
                ReportMeta::encode(report, position, meta)
            });
        }
        if group.len() > 0 {
            self.write_and_apply(writer, &group, ReserveShare::Half)?;
            self.note_queued(&writer.memory);
        }
        Ok(settled)
    }

    /// Which items will change something, in the order in which they come.
    fn effects(
        &self,
        settlements: &[Settlement],
        number: u64,
    ) -> Result<(Vec<Vec<bool>>, Settled), StoreError> {
        let mut seen: HashMap<EnvelopeId, Option<Known>> = HashMap::new();
        let mut settled = Settled::default();
        let mut effects = Vec::with_capacity(settlements.len());
        for settlement in settlements {
            let mut effective = Vec::with_capacity(settlement.items.len());
            for &(id, outcome) in &settlement.items {
                if outcome == Outcome::Unchanged {
                    effective.push(false);
                    continue;
                }
                let known = match seen.entry(id) {
                    hash_map::Entry::Occupied(entry) => entry.into_mut(),
                    hash_map::Entry::Vacant(entry) => {
                        let value = self.indexed(self.index.get(Space::Ids, id.as_bytes()))?;
                        entry.insert(value.and_then(|value| Known::decode(id, &value)))
                    }
                };
                let known = known.as_mut().filter(|known| known.may_become(outcome));
                effective.push(known.is_some());
                match known {
                    Some(known) => {
                        settled.applied += 1;
                        known.become_settled(EvidenceRef {
                            settlement: number,
                            index: 0,
                            outcome,
                        });
                    }
                    None => settled.ignored += 1,
                }
            }
            effects.push(effective);
        }
        Ok((effects, settled))
    }

    pub(super) fn drop_reports(
        &self,
        destination: &AuthorityId,
        positions: &[u64],
    ) -> Result<(), StoreError> {
        check(
            "reports settled at once",
            positions.len(),
            ACK_DISPOSITIONS_MAX,
        )?;
        self.write_record(
            Kind::ReportsSettled,
            encode_positions(positions).into(),
            ReserveShare::Half,
            |meta| {
                meta.put_text(destination.as_str());
            },
        )
    }

    /// Writes and applies one record.
    pub(super) fn write_record(
        &self,
        kind: Kind,
        body: Bytes,
        share: ReserveShare,
        meta: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let mut group = self.log.group(&writer.tail, 1);
        group.push(kind, body, meta);
        self.write_and_apply(&mut writer, &group, share)
    }

    /// Writes a group and applies each record as a replay would.
    pub(super) fn write_and_apply(
        &self,
        writer: &mut super::Writer,
        group: &super::Group,
        share: ReserveShare,
    ) -> Result<(), StoreError> {
        let (segment, offset) = self.write(&mut writer.tail, group, share)?;
        let mut applier = Applier::new(
            self.index.change(group.len() * 4),
            &mut writer.memory,
            group.number,
        );
        for (at, record) in group.records(segment, offset) {
            self.indexed(applier.record(&record, at))?
                .expect("this program encoded it");
        }
        self.indexed(applier.finish(Some(writer.tail.applied())))
    }
}

fn check_bounds(settlements: &[Settlement], reports: &[Report]) -> Result<(), StoreError> {
    let leaves = settlements
        .iter()
        .map(|settlement| settlement.items.len())
        .max()
        .unwrap_or_default();
    let bytes = settlements
        .iter()
        .map(|settlement| settlement.receipts.len() + settlement.items.len() * 37)
        .sum::<usize>()
        + reports
            .iter()
            .map(|report| report.bytes.len())
            .sum::<usize>();
    check("items of a settlement", leaves, ACK_DISPOSITIONS_MAX)?;
    check(
        "settlements and reports at once",
        settlements.len() + reports.len(),
        GROUP_RECORDS_MAX,
    )?;
    check("bytes of settlements and reports", bytes, GROUP_BYTES_MAX)
}

fn check(what: &'static str, got: usize, max: usize) -> Result<(), StoreError> {
    if got > max {
        Err(StoreError::Misuse {
            what,
            got: got as u64,
            max: max as u64,
        })
    } else {
        Ok(())
    }
}
