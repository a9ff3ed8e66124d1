//! Accounts, devices, invitations, mailboxes, numberings and reports: their records and index rows.

use pli_protocol::id::{AccountId, KeyId, MailboxId, Timestamp};

use super::apply::Applier;
use super::cursor::{Fields, Put};
use super::format::{Kind, Position, Record};
use super::index::{Result, Space};
use super::keys::{self, Stage};
use super::values::{self, ReportMeta};
use crate::store::{AbsenceReason, AccountRecord, InvitationId, MailboxRecord};

/// The meta of an invitation record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UsedInvitation {
    pub(super) invitation: InvitationId,
    pub(super) account: AccountId,
    pub(super) device: KeyId,
}

impl UsedInvitation {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.invitation.as_bytes());
        out.put(self.account.as_bytes());
        out.put(self.device.as_bytes());
    }

    pub(super) fn decode(meta: &[u8]) -> Option<Self> {
        let mut fields = Fields(meta);
        Some(Self {
            invitation: InvitationId::new(fields.array()?),
            account: AccountId::new(fields.array()?),
            device: KeyId::new(fields.array()?),
        })
    }
}

/// The meta of a numbering record: up to `to` every number of the account is taken. From `lost_from` on
/// (0: none) they were given out by a history that a restored backup does not know (case 43).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Numbering {
    pub(super) account: AccountId,
    pub(super) lost_from: u64,
    pub(super) to: u64,
}

impl Numbering {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put(self.account.as_bytes());
        out.put_u64(self.lost_from);
        out.put_u64(self.to);
    }

    pub(super) fn decode(meta: &[u8]) -> Option<Self> {
        let mut fields = Fields(meta);
        Some(Self {
            account: AccountId::new(fields.array()?),
            lost_from: fields.u64()?,
            to: fields.u64()?,
        })
    }
}

/// A registry row: the position of its record, then the record's content.
pub(super) fn split_row(value: &[u8]) -> Option<(Position, &[u8])> {
    let mut fields = Fields(value);
    Some((fields.position()?, fields.0))
}

/// A report's index row.
pub(super) fn report_row(value: &[u8]) -> Option<(Position, Timestamp)> {
    let mut fields = Fields(value);
    Some((fields.position()?, fields.time()?))
}

/// The meta of a record that settles reports; the positions are the body.
pub(super) fn encode_positions(positions: &[u64]) -> Vec<u8> {
    positions
        .iter()
        .flat_map(|position| position.to_le_bytes())
        .collect()
}

impl Applier<'_> {
    pub(super) fn registry(&mut self, record: &Record, at: Position) -> Result<Option<()>> {
        let meta = &record.meta[..];
        match record.kind {
            Kind::Account => match values::decode_account(&record.body) {
                Some(account) => self.account(&account, &record.body, at)?,
                None => return Ok(None),
            },
            Kind::Mailbox => match values::decode_mailbox(&record.body) {
                Some(mailbox) => self.mailbox(&mailbox, &record.body, at)?,
                None => return Ok(None),
            },
            Kind::Invitation => match UsedInvitation::decode(meta) {
                Some(used) => self.put_row(keys::invitation(&used.invitation), meta, at)?,
                None => return Ok(None),
            },
            Kind::Numbering => match Numbering::decode(meta) {
                Some(numbering) => self.numbering(&numbering, meta, at)?,
                None => return Ok(None),
            },
            Kind::Report => match ReportMeta::decode(meta) {
                Some(report) => self.report(&report, at)?,
                None => return Ok(None),
            },
            Kind::ReportsSettled => {
                let Some(destination) = Fields(meta).text().and_then(|text| text.parse().ok())
                else {
                    return Ok(None);
                };
                let mut positions = Fields(&record.body);
                while let Some(position) = positions.u64() {
                    self.drop_report(&keys::numbered(&destination, position))?;
                }
                self.bury(at);
            }
            Kind::Envelope | Kind::Settlement => unreachable!("applied elsewhere"),
        }
        Ok(Some(()))
    }

    fn account(&mut self, account: &AccountRecord, body: &[u8], at: Position) -> Result<()> {
        let key = keys::account(&account.id);
        let before = self.change.get(Space::Registry, &key)?;
        let before = before
            .as_deref()
            .and_then(split_row)
            .and_then(|(_, row)| values::decode_account(row));
        for device in before.into_iter().flat_map(|before| before.devices) {
            if !account.devices.iter().any(|kept| kept.key == device.key) {
                self.change
                    .remove(Space::Registry, keys::device(&device.key));
            }
        }
        for device in &account.devices {
            self.change.put(
                Space::Registry,
                keys::device(&device.key),
                account.id.as_bytes().to_vec(),
            );
        }
        self.put_row(key, body, at)
    }

    fn mailbox(&mut self, mailbox: &MailboxRecord, body: &[u8], at: Position) -> Result<()> {
        let owned = [
            keys::owned(&mailbox.account),
            mailbox.mailbox.as_bytes().to_vec(),
        ]
        .concat();
        self.change.put(Space::Registry, owned, Vec::new());
        self.put_row(keys::mailbox(&mailbox.mailbox), body, at)
    }

    fn numbering(&mut self, numbering: &Numbering, meta: &[u8], at: Position) -> Result<()> {
        let row = self.row(&numbering.account)?;
        row.last_seq = row.last_seq.max(numbering.to);
        if numbering.lost_from > 0 {
            self.absent_range(
                &numbering.account,
                numbering.lost_from,
                numbering.to,
                AbsenceReason::Skipped,
            );
        }
        self.put_row(keys::numbering(&numbering.account), meta, at)
    }

    fn put_row(&mut self, key: Vec<u8>, content: &[u8], at: Position) -> Result<()> {
        let before = self.change.get(Space::Registry, &key)?;
        if let Some((before, _)) = before.as_deref().and_then(split_row)
            && before != at
        {
            self.bury(before);
        }
        let mut value = Vec::with_capacity(12 + content.len());
        value.put_position(at);
        value.put(content);
        self.change.put(Space::Registry, key, value);
        Ok(())
    }

    fn report(&mut self, report: &ReportMeta, at: Position) -> Result<()> {
        let key = keys::numbered(&report.destination, report.position);
        match self
            .change
            .get(Space::Reports, &key)?
            .as_deref()
            .and_then(report_row)
        {
            Some((before, _)) if before == at => return Ok(()),
            Some((before, _)) => self.bury(before),
            None => {
                self.memory
                    .queues
                    .update(&report.destination, |depth| depth.reports += 1);
                let due = keys::expiry(report.expires, Stage::Report, report.position);
                self.will_be_due(due, key.clone());
            }
        }
        let mut value = Vec::with_capacity(20);
        value.put_position(at);
        value.put_time(report.expires);
        self.change.put(Space::Reports, key, value);
        Ok(())
    }

    /// Drops a report if it is still there.
    pub(super) fn drop_report(&mut self, key: &[u8]) -> Result<()> {
        let row = self.change.get(Space::Reports, key)?;
        let Some((at, _)) = row.as_deref().and_then(report_row) else {
            return Ok(());
        };
        if let Some(destination) = keys::leading_destination(key) {
            self.memory.queues.update(&destination, |depth| {
                depth.reports = depth.reports.saturating_sub(1)
            });
        }
        self.bury(at);
        self.change.remove(Space::Reports, key.to_vec());
        Ok(())
    }
}

/// The mailbox of an `owned` key.
pub(super) fn owned_mailbox(key: &[u8]) -> Option<MailboxId> {
    Some(MailboxId::new(*key.last_chunk()?))
}
