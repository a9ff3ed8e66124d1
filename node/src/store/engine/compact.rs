//! Compaction: when enough of the log is dead, its worst segment is emptied into the log's end and deleted.
//!
//! Bounded steps: each takes the writer and the disk for one group of what is still alive, however many groups of
//! the segment that was in, so that appends hardly wait. A crash in
//! between leaves some records twice; the index points at one of them, and the other counts as dead.

use std::collections::{BTreeMap, HashSet};
use std::io;

use bytes::Bytes;
use pli_protocol::id::AccountId;

use super::cursor::Fields;
use super::format::{Group, Kind, Position, Record};
use super::index::Space;
use super::known::{EnvelopeMeta, Known, Placed};
use super::registry::{Numbering, UsedInvitation, report_row, split_row};
use super::scan::{Scanned, scan};
use super::values::{self, ReportMeta};
use super::{Engine, ReserveShare, keys};
use crate::store::StoreError;

/// Bytes moved while the writer waits.
const STEP_BYTES: usize = 1024 * 1024;
/// Records moved while the writer waits.
const STEP_RECORDS: usize = 1_024;

/// Records that are moved at once.
#[derive(Default)]
struct Step {
    records: Vec<(Position, Record)>,
    bytes: usize,
}

impl Step {
    // A copy: the group that it was read with is larger.
    fn add(&mut self, at: Position, record: &Record) {
        self.records.push((
            at,
            Record {
                kind: record.kind,
                moved: true,
                meta: Bytes::copy_from_slice(&record.meta),
                body: Bytes::copy_from_slice(&record.body),
            },
        ));
        self.bytes += at.length as usize;
    }

    fn is_full(&self) -> bool {
        self.bytes >= STEP_BYTES || self.records.len() >= STEP_RECORDS
    }
}

/// Why compaction stopped.
enum Stop {
    Store(StoreError),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Engine {
    pub(super) fn compact_one(&self) -> Result<u64, StoreError> {
        let Some(segment) = self.worst_segment() else {
            return Ok(0);
        };
        self.compact_segment(segment).map_err(|stop| match stop {
            Stop::Store(error) => error,
            Stop::Io(error) if error.kind() == io::ErrorKind::StorageFull => StoreError::ReadOnly {
                free: 0,
                needed: STEP_BYTES as u64,
            },
            Stop::Io(error) => self.fatal("compacting", error),
        })
    }

    fn worst_segment(&self) -> Option<u32> {
        let writer = self.writer();
        let mut closed = self.log.segments();
        closed.retain(|&(segment, _)| segment != writer.tail.segment && self.is_released(segment));
        writer.memory.dead.worst(&closed)
    }

    fn compact_segment(&self, segment: u32) -> Result<u64, Stop> {
        let mut moved = 0;
        let mut dropped = BTreeMap::new();
        let mut step = Step::default();
        let dead = self.writer().memory.dead.listed(segment);
        scan(&self.log, segment, 0, |scanned| -> Result<(), Stop> {
            moved += self.move_group(&scanned, &dead, &mut step, &mut dropped)?;
            Ok(())
        })?;
        moved += self.move_records(step, &mut dropped)?;
        self.keep_numberings(dropped)?;
        let mut writer = self.writer();
        // Before the segment goes, nothing may come back that points to it.
        self.indexed(self.index.sync())?;
        let mut identity = writer.identity.clone();
        identity.expired_upto = writer.memory.expired_upto;
        identity.save(&self.directory)?;
        writer.identity = identity;
        // The file first: a row of what is gone is left out at the next start, a file without its row never dies.
        let freed = self.log.remove(segment)?;
        writer.memory.dead.remove(segment);
        let mut change = self.index.change(1);
        change.remove(Space::Meta, keys::dead(segment));
        self.indexed(change.commit(None))?;
        tracing::debug!(segment, freed, moved, "compacted a segment");
        Ok(freed.saturating_sub(moved))
    }

    fn move_group(
        &self,
        scanned: &Scanned,
        dead: &HashSet<u32>,
        step: &mut Step,
        dropped: &mut BTreeMap<AccountId, u64>,
    ) -> Result<u64, StoreError> {
        let mut moved = 0;
        let live = self.live(&scanned.records, dead)?;
        for ((at, record), live) in scanned.records.iter().zip(live) {
            let Some(record) = record else {
                // Its readers will find it missing and report it as damaged.
                self.quarantine.keep_from_log(&self.log, *at);
                continue;
            };
            if !live {
                note_dropped(record, dropped);
                continue;
            }
            step.add(*at, record);
            if step.is_full() {
                moved += self.move_records(std::mem::take(step), dropped)?;
            }
        }
        Ok(moved)
    }

    // Looked up in the order of the metas, which begin with the ids: neighbours share most of the way.
    fn live(
        &self,
        records: &[(Position, Option<Record>)],
        dead: &HashSet<u32>,
    ) -> Result<Vec<bool>, StoreError> {
        let meta = |at: &usize| records[*at].1.as_ref().map(|record| &record.meta);
        let mut order: Vec<usize> = (0..records.len())
            .filter(|&index| !dead.contains(&records[index].0.offset))
            .collect();
        order.sort_unstable_by(|a, b| meta(a).cmp(&meta(b)));
        let mut live = vec![false; records.len()];
        for index in order {
            if let (at, Some(record)) = &records[index] {
                live[index] = self.is_live(*at, record)?;
            }
        }
        Ok(live)
    }

    // What died since the look without the lock is left behind.
    fn move_records(
        &self,
        step: Step,
        dropped: &mut BTreeMap<AccountId, u64>,
    ) -> Result<u64, StoreError> {
        if step.records.is_empty() {
            return Ok(0);
        }
        let mut writer = self.writer();
        let mut group = self.log.group(&writer.tail, step.records.len());
        for (at, record) in step.records {
            if !self.is_live(at, &record)? {
                note_dropped(&record, dropped);
                continue;
            }
            group.push_moved(record);
        }
        self.write_moved(&mut writer, &group)
    }

    fn write_moved(&self, writer: &mut super::Writer, group: &Group) -> Result<u64, StoreError> {
        if group.len() == 0 {
            return Ok(0);
        }
        self.write_and_apply(writer, group, ReserveShare::Half)?;
        Ok(group.total_bytes() as u64)
    }

    fn is_live(&self, at: Position, record: &Record) -> Result<bool, StoreError> {
        let meta = &record.meta[..];
        let row = |space, key: &[u8]| self.indexed(self.index.get(space, key));
        let position = match record.kind {
            Kind::Envelope => match EnvelopeMeta::decode(meta) {
                Some(meta) => {
                    let value = row(Space::Ids, meta.id.as_bytes())?;
                    let known = value.and_then(|value| Known::decode(meta.id, &value));
                    known.filter(|known| known.kept).map(|known| known.at)
                }
                None => None,
            },
            Kind::Settlement => match Fields(meta).u64() {
                Some(number) => row(Space::Settlements, &number.to_be_bytes())?
                    .and_then(|row| Fields(&row).position()),
                None => None,
            },
            Kind::Report => match ReportMeta::decode(meta) {
                Some(report) => {
                    let key = keys::numbered(&report.destination, report.position);
                    row(Space::Reports, &key)?
                        .as_deref()
                        .and_then(report_row)
                        .map(|(at, _)| at)
                }
                None => None,
            },
            Kind::ReportsSettled => None,
            Kind::Account | Kind::Mailbox | Kind::Invitation | Kind::Numbering => {
                match registry_key(record) {
                    Some(key) => row(Space::Registry, &key)?
                        .as_deref()
                        .and_then(split_row)
                        .map(|(at, _)| at),
                    None => None,
                }
            }
        };
        Ok(position == Some(at))
    }

    // Otherwise a rebuild would not know how far an account had counted once its items are gone.
    fn keep_numberings(&self, dropped: BTreeMap<AccountId, u64>) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for (account, seq) in dropped {
            let row = self.indexed(self.index.get(Space::Registry, keys::numbering(&account)))?;
            let numbering = row
                .as_deref()
                .and_then(split_row)
                .and_then(|(_, meta)| Numbering::decode(meta));
            if numbering.is_none_or(|numbering| numbering.to < seq) {
                missing.push(account);
            }
        }
        for some in missing.chunks(super::records::NUMBERINGS_PER_GROUP) {
            let mut writer = self.writer();
            let mut group = self.log.group(&writer.tail, some.len());
            for account in some {
                let numbering = Numbering {
                    account: *account,
                    lost_from: 0,
                    to: self.row(account)?.last_seq,
                };
                group.push(Kind::Numbering, Bytes::new(), |meta| numbering.encode(meta));
            }
            self.write_moved(&mut writer, &group)?;
        }
        Ok(())
    }
}

fn note_dropped(record: &Record, dropped: &mut BTreeMap<AccountId, u64>) {
    if record.kind == Kind::Envelope
        && let Some(EnvelopeMeta {
            place: Placed::Mailbox { account, seq, .. },
            ..
        }) = EnvelopeMeta::decode(&record.meta)
    {
        let highest = dropped.entry(account).or_default();
        *highest = seq.max(*highest);
    }
}

fn registry_key(record: &Record) -> Option<Vec<u8>> {
    Some(match record.kind {
        Kind::Account => keys::account(&values::decode_account(&record.body)?.id),
        Kind::Mailbox => keys::mailbox(&values::decode_mailbox(&record.body)?.mailbox),
        Kind::Invitation => keys::invitation(&UsedInvitation::decode(&record.meta)?.invitation),
        Kind::Numbering => keys::numbering(&Numbering::decode(&record.meta)?.account),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pli_protocol::id::{EnvelopeId, KeyId, MailboxId, Timestamp};

    use super::super::disk::RealDisk;
    use super::super::{LOG_DIRECTORY, Tuning};
    use super::*;
    use crate::store::{Entry, OpenOptions, Place, Sender, Store};

    const START: Timestamp = Timestamp::from_ms(1_790_000_000_000);
    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn mbx_5_1_a_letter_that_expires_while_it_is_moved_leaves_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(&directory.path().join(LOG_DIRECTORY)).unwrap();
        let options = OpenOptions::new("social.gouv.fr".parse().unwrap(), KeyId::new([7; 32]));
        let engine = Engine::open(
            directory.path(),
            &options,
            Arc::new(disk),
            Tuning::default(),
        )
        .unwrap();
        let account = AccountId::from_slice(&[1; size_of::<AccountId>()]).unwrap();
        let entry = |number: u8, hours: u64| Entry {
            id: EnvelopeId::new([number; 32]),
            bytes: Bytes::from_static(b"letter"),
            accepted_at: START,
            expires: START.plus_ms(hours * HOUR_MS),
            sender: Sender::Service("rdv@interieur.gouv.fr".parse().unwrap()),
            place: Place::Mailbox {
                account,
                mailbox: MailboxId::new([1; 16]),
            },
        };
        engine.append(&[entry(1, 100), entry(2, 1)]).unwrap();
        let mut step = Step::default();
        scan(&engine.log, 1, 0, |scanned| -> Result<(), io::Error> {
            for (at, record) in &scanned.records {
                step.add(*at, record.as_ref().expect("an undamaged log"));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(
            step.records.len(),
            2,
            "both are alive when they are looked at"
        );
        let expiry = engine.expire(START.plus_ms(2 * HOUR_MS), 10).unwrap();
        assert_eq!(expiry.absent, 1);
        let mut dropped = BTreeMap::new();
        let moved = engine.move_records(step, &mut dropped).unwrap();
        assert!(moved > 0, "the other one");
        assert_eq!(dropped, BTreeMap::from([(account, 2)]));
    }
}
