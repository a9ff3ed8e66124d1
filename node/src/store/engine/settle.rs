//! Settlements and reports: what became of envelopes, durably, with its evidence.

use std::collections::HashMap;

use bytes::Bytes;
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits::{ACK_DISPOSITIONS_MAX, GROUP_BYTES_MAX};

use super::apply::Applier;
use super::cursor::Put;
use super::format::{GROUP_RECORDS_MAX, Kind};
use super::index::Space;
use super::known::{EnvelopeMeta, EvidenceRef, Known};
use super::registry::encode_positions;
use super::together::Request;
use super::values::{ReportMeta, encode_settlement};
use super::{Engine, ReserveShare, Writer, follow};
use crate::store::{Outcome, Report, Settled, Settlement, StoreError};

impl Engine {
    /// Settles all requests by one group; what changed for each of them.
    pub(super) fn settle_all(
        &self,
        writer: &mut Writer,
        requests: &[Request],
    ) -> Result<Vec<Settled>, StoreError> {
        let settlements: Vec<&Settlement> = requests
            .iter()
            .flat_map(|request| &request.settlements)
            .collect();
        let reports = requests.iter().flat_map(|request| &request.reports);
        let mut group = self.log.group(&writer.tail, settlements.len());
        let rows = self.rows_of(&settlements)?;
        let effects = effects(&settlements, &rows, group.number);
        for (settlement, effect) in settlements.iter().zip(&effects) {
            // A repeated answer of a peer costs no bytes.
            if effect.settled.applied > 0 {
                let number = group.next_position();
                group.push(
                    Kind::Settlement,
                    encode_settlement(settlement, &effect.metas),
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
            let place = self.write_and_apply_with(rows, writer, &group, ReserveShare::Half)?;
            self.note_happened(place, group.total_bytes(), || {
                let changed = settlements.iter().zip(&effects);
                let changed = changed.filter(|(_, effect)| effect.settled.applied > 0);
                changed
                    .filter_map(|(settlement, effect)| {
                        follow::settled(
                            settlement.receipts.clone(),
                            &settlement.items,
                            &effect.metas,
                        )
                    })
                    .collect()
            });
            self.note_queued(&writer.memory);
        }
        let mut effects = effects.into_iter();
        let settled = requests.iter().map(|request| {
            let own = effects.by_ref().take(request.settlements.len());
            own.fold(Settled::default(), |sum, effect| Settled {
                applied: sum.applied + effect.settled.applied,
                ignored: sum.ignored + effect.settled.ignored,
            })
        });
        Ok(settled.collect())
    }

    // Read once, in the order of the ids: neighbours share most of the way.
    fn rows_of(&self, settlements: &[&Settlement]) -> Result<IdRows, StoreError> {
        let items = settlements.iter().flat_map(|settlement| &settlement.items);
        let mut ids: Vec<EnvelopeId> = items.map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut rows = IdRows::with_capacity(ids.len());
        for id in ids {
            let row = self.indexed(self.index.get(Space::Ids, id.as_bytes()))?;
            rows.insert(id, row);
        }
        Ok(rows)
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
        self.write_and_apply_with(IdRows::new(), writer, group, share)?;
        Ok(())
    }

    fn write_and_apply_with(
        &self,
        rows: IdRows,
        writer: &mut super::Writer,
        group: &super::Group,
        share: ReserveShare,
    ) -> Result<(u32, u32), StoreError> {
        let (segment, offset) = self.write(&mut writer.tail, group, share)?;
        let mut applier = Applier::new(
            self.index.change(group.len() * 4),
            &mut writer.memory,
            group.number,
        );
        applier.prefetched = rows;
        for (at, record) in group.records(segment, offset) {
            self.indexed(applier.record(&record, at))?
                .expect("this program encoded it");
        }
        self.indexed(applier.finish(Some(writer.tail.applied())))?;
        Ok((segment, offset))
    }
}

type IdRows = HashMap<EnvelopeId, Option<Bytes>>;

/// What a settlement will change.
struct Effect {
    /// Of each item, the meta of its envelope if it will change.
    metas: Vec<Option<EnvelopeMeta>>,
    settled: Settled,
}

/// What the settlements will change, in the order in which they come.
fn effects(settlements: &[&Settlement], rows: &IdRows, number: u64) -> Vec<Effect> {
    let mut seen: HashMap<EnvelopeId, Option<Known>> = HashMap::with_capacity(rows.len());
    let mut effects = Vec::with_capacity(settlements.len());
    for settlement in settlements {
        let mut effect = Effect {
            metas: Vec::with_capacity(settlement.items.len()),
            settled: Settled::default(),
        };
        for &(id, outcome) in &settlement.items {
            if outcome == Outcome::Unchanged {
                effect.metas.push(None);
                continue;
            }
            let row = || rows.get(&id).and_then(Option::as_deref);
            let known = seen
                .entry(id)
                .or_insert_with(|| row().and_then(|row| Known::decode(id, row)));
            let known = known.as_mut().filter(|known| known.may_become(outcome));
            effect
                .metas
                .push(known.as_ref().map(|known| known.meta.clone()));
            match known {
                Some(known) => {
                    effect.settled.applied += 1;
                    let evidence = EvidenceRef {
                        settlement: number,
                        index: 0,
                        outcome,
                    };
                    known.become_settled(evidence);
                }
                None => effect.settled.ignored += 1,
            }
        }
        effects.push(effect);
    }
    effects
}

/// What they take of a group, about.
pub(super) fn bytes_of(settlements: &[Settlement], reports: &[Report]) -> usize {
    let settlements = settlements
        .iter()
        .map(|settlement| settlement.receipts.len() + settlement.items.len() * 37);
    let reports = reports.iter().map(|report| report.bytes.len());
    settlements.chain(reports).sum()
}

pub(super) fn check_bounds(
    settlements: &[Settlement],
    reports: &[Report],
) -> Result<(), StoreError> {
    let leaves = settlements
        .iter()
        .map(|settlement| settlement.items.len())
        .max()
        .unwrap_or_default();
    let bytes = bytes_of(settlements, reports);
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
