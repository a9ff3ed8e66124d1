//! The operations of [`Store`], each behind the check that nothing has failed before (case 39).

use std::sync::atomic::Ordering;

use pli_protocol::id::{AccountId, AuthorityId, EnvelopeId, KeyId, MailboxId, Timestamp};

use super::{Engine, format};
use crate::store::{
    AccountRecord, Appended, Cursor, Custody, DestinationState, Enrolment, Entry, Expiry,
    HappenedPage, InvitationId, Lane, MailboxRecord, Page, PageBound, PendingPage, Report,
    ReportEntry, Settled, Settlement, Status, Store, StoreError, Usage,
};

impl Store for Engine {
    fn append(&self, group: &[Entry]) -> Result<Vec<Appended>, StoreError> {
        self.alive()?;
        self.append_group(group)
    }

    fn known(&self, ids: &[EnvelopeId]) -> Result<Vec<Option<Timestamp>>, StoreError> {
        self.alive()?;
        ids.iter().map(|id| self.accepted_at(id)).collect()
    }

    fn read(
        &self,
        account: &AccountId,
        after_seq: u64,
        bound: PageBound,
    ) -> Result<Page, StoreError> {
        self.alive()?;
        self.read_page(account, after_seq, bound)
    }

    fn latest_seq(&self, account: &AccountId) -> Result<u64, StoreError> {
        self.alive()?;
        Ok(self.row(account)?.last_seq)
    }

    fn usage(&self, account: &AccountId, mailbox: &MailboxId) -> Result<Usage, StoreError> {
        self.alive()?;
        Ok(*self.row(account)?.usage_of(*mailbox))
    }

    fn pending(
        &self,
        destination: &AuthorityId,
        lane: Lane,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError> {
        self.alive()?;
        self.pending_page(destination, lane, after, bound)
    }

    fn destinations(&self) -> Result<Vec<DestinationState>, StoreError> {
        self.alive()?;
        self.destination_states()
    }

    fn set_aside(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<PendingPage, StoreError> {
        self.alive()?;
        self.set_aside_page(destination, after, bound)
    }

    fn settle(
        &self,
        settlements: &[Settlement],
        reports: &[Report],
    ) -> Result<Settled, StoreError> {
        self.alive()?;
        self.settle_with_others(settlements, reports)
    }

    fn pending_reports(
        &self,
        destination: &AuthorityId,
        after: u64,
        bound: PageBound,
    ) -> Result<Vec<ReportEntry>, StoreError> {
        self.alive()?;
        self.report_page(destination, after, bound)
    }

    fn settle_reports(
        &self,
        destination: &AuthorityId,
        positions: &[u64],
    ) -> Result<(), StoreError> {
        self.alive()?;
        self.drop_reports(destination, positions)
    }

    fn custody(&self, id: &EnvelopeId) -> Result<Option<Custody>, StoreError> {
        self.alive()?;
        self.custody_of(id)
    }

    fn expire(&self, now: Timestamp, limit: usize) -> Result<Expiry, StoreError> {
        self.alive()?;
        self.expire_round(now, limit)
    }

    fn compact(&self) -> Result<u64, StoreError> {
        self.alive()?;
        self.compact_one()
    }

    fn happened(&self, after: Cursor) -> Result<HappenedPage, StoreError> {
        self.alive()?;
        self.happened_after(after)
    }

    fn hold_from(&self, cursor: Cursor) -> Result<(), StoreError> {
        self.alive()?;
        self.held_from.store(cursor.0, Ordering::Relaxed);
        Ok(())
    }

    fn enrol(
        &self,
        invitation: &InvitationId,
        account: &AccountRecord,
    ) -> Result<Enrolment, StoreError> {
        self.alive()?;
        self.enrol_account(invitation, account)
    }

    fn account(&self, account: &AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.alive()?;
        self.account_record(account)
    }

    fn account_of_device(&self, device: &KeyId) -> Result<Option<AccountId>, StoreError> {
        self.alive()?;
        self.device_owner(device)
    }

    fn put_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        self.alive()?;
        self.write_account(account)
    }

    fn put_mailbox(&self, mailbox: &MailboxRecord) -> Result<(), StoreError> {
        self.alive()?;
        self.write_mailbox(mailbox)
    }

    fn mailbox(&self, mailbox: &MailboxId) -> Result<Option<MailboxRecord>, StoreError> {
        self.alive()?;
        self.mailbox_record(mailbox)
    }

    fn mailboxes(&self, account: &AccountId) -> Result<Vec<MailboxRecord>, StoreError> {
        self.alive()?;
        self.mailbox_records(account)
    }

    fn confirm_time(&self, now: Timestamp) -> Result<(), StoreError> {
        self.alive()?;
        self.confirmed
            .set(now)
            .map_err(|source| self.fatal("writing down the time", source))
    }

    fn status(&self) -> Status {
        Status {
            engine: "fjall",
            format: format::FORMAT,
            epoch: self.epoch,
            queued_bytes: self.queued_bytes.load(Ordering::Relaxed),
            quarantined: self.quarantine.count(),
            log_bytes: self.log.total_bytes(),
            index_bytes: self.index.disk_bytes().unwrap_or_default(),
            free_bytes: self.log.free_bytes().unwrap_or_default(),
            read_only: self.read_only.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Acquire),
            confirmed: self.confirmed.get(),
            new_epoch: self.new_epoch,
        }
    }
}
