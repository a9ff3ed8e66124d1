//! Accounts, mailboxes, invitations and numberings: written through the log, read from the index.

use bytes::Bytes;
use pli_protocol::id::{AccountId, KeyId, MailboxId};
use pli_protocol::limits::{DEVICES_PER_ACCOUNT_MAX, MAILBOXES_PER_ACCOUNT_MAX, SIGNED_OBJECT_MAX};

use super::format::Kind;
use super::index::Space;
use super::registry::{Numbering, UsedInvitation, owned_mailbox, split_row};
use super::values::{self, Row};
use super::{EPOCH_LEAP, Engine, ReserveShare, Writer, keys};
use crate::store::{AccountRecord, Enrolment, InvitationId, MailboxRecord, StoreError};

/// Numberings moved on at once at the start of an epoch.
pub(super) const NUMBERINGS_PER_GROUP: usize = 4_096;

impl Engine {
    pub(super) fn row(&self, account: &AccountId) -> Result<Row, StoreError> {
        let value = self.indexed(self.index.get(Space::Rows, account.as_bytes()))?;
        Ok(value
            .and_then(|value| Row::decode(&value))
            .unwrap_or_default())
    }

    fn registry_row<T>(
        &self,
        key: Vec<u8>,
        decode: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let value = self.indexed(self.index.get(Space::Registry, key))?;
        Ok(value
            .as_deref()
            .and_then(split_row)
            .and_then(|(_, content)| decode(content)))
    }

    pub(super) fn account_record(
        &self,
        account: &AccountId,
    ) -> Result<Option<AccountRecord>, StoreError> {
        self.registry_row(keys::account(account), values::decode_account)
    }

    pub(super) fn device_owner(&self, device: &KeyId) -> Result<Option<AccountId>, StoreError> {
        let value = self.indexed(self.index.get(Space::Registry, keys::device(device)))?;
        Ok(value.and_then(|value| AccountId::from_slice(&value).ok()))
    }

    pub(super) fn mailbox_record(
        &self,
        mailbox: &MailboxId,
    ) -> Result<Option<MailboxRecord>, StoreError> {
        self.registry_row(keys::mailbox(mailbox), values::decode_mailbox)
    }

    pub(super) fn mailbox_records(
        &self,
        account: &AccountId,
    ) -> Result<Vec<MailboxRecord>, StoreError> {
        let mut records = Vec::new();
        for row in self
            .index
            .prefix(Space::Registry, keys::owned(account))
            .take(MAILBOXES_PER_ACCOUNT_MAX)
        {
            let key = self.indexed(row.key())?;
            let mailbox = owned_mailbox(&key).expect("the key ends in a mailbox");
            records.extend(
                self.mailbox_record(&mailbox)?
                    .filter(|record| record.account == *account),
            );
        }
        Ok(records)
    }

    pub(super) fn enrol_account(
        &self,
        invitation: &InvitationId,
        account: &AccountRecord,
    ) -> Result<Enrolment, StoreError> {
        let [device] = &account.devices[..] else {
            return Err(StoreError::Misuse {
                what: "devices enrolled at once",
                got: account.devices.len() as u64,
                max: 1,
            });
        };
        let mut writer = self.writer();
        if let Some(used) =
            self.registry_row(keys::invitation(invitation), UsedInvitation::decode)?
        {
            let same = used.device == device.key;
            return Ok(if same {
                Enrolment::Done {
                    account: used.account,
                }
            } else {
                Enrolment::InvitationUsed
            });
        }
        if self.device_owner(&device.key)?.is_some() {
            return Ok(Enrolment::DeviceKnown);
        }
        let used = UsedInvitation {
            invitation: *invitation,
            account: account.id,
            device: device.key,
        };
        // One group: both or neither.
        let mut group = self.log.group(&writer.tail, 2);
        group.push(Kind::Invitation, Bytes::new(), |meta| used.encode(meta));
        group.push(
            Kind::Account,
            values::encode_account(account).into(),
            |_| (),
        );
        self.write_and_apply(&mut writer, &group, ReserveShare::None)?;
        Ok(Enrolment::Done {
            account: account.id,
        })
    }

    pub(super) fn write_account(&self, account: &AccountRecord) -> Result<(), StoreError> {
        check(
            "devices of an account",
            account.devices.len(),
            DEVICES_PER_ACCOUNT_MAX,
        )?;
        self.write_record(
            Kind::Account,
            values::encode_account(account).into(),
            ReserveShare::None,
            |_| (),
        )
    }

    pub(super) fn write_mailbox(&self, mailbox: &MailboxRecord) -> Result<(), StoreError> {
        check("bytes of a grant", mailbox.grant.len(), SIGNED_OBJECT_MAX)?;
        if self.mailbox_record(&mailbox.mailbox)?.is_none() {
            let count = self
                .index
                .prefix(Space::Registry, keys::owned(&mailbox.account))
                .count();
            check(
                "mailboxes of an account",
                count + 1,
                MAILBOXES_PER_ACCOUNT_MAX,
            )?;
        }
        self.write_record(
            Kind::Mailbox,
            values::encode_mailbox(mailbox).into(),
            ReserveShare::None,
            |_| (),
        )
    }

    /// Case 43: numbers that a lost history may have given out become absences.
    pub(super) fn move_numberings_on(
        &self,
        writer: &mut Writer,
        some: &[(AccountId, u64)],
    ) -> Result<(), StoreError> {
        let mut group = self.log.group(&writer.tail, some.len());
        for &(account, last_seq) in some {
            let numbering = Numbering {
                account,
                lost_from: last_seq + 1,
                to: last_seq + EPOCH_LEAP,
            };
            group.push(Kind::Numbering, Bytes::new(), |meta| numbering.encode(meta));
        }
        self.write_and_apply(writer, &group, ReserveShare::Half)
    }
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
