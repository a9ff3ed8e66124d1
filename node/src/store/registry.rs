//! Accounts, devices, invitations, mailboxes.

use std::fmt;

use bytes::Bytes;
use pli_protocol::id::{AccountId, AuthorityId, KeyId, MailboxId, Timestamp, to_hex};
use pli_protocol::limits;

/// A citizen's account at this home.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccountRecord {
    /// Its id.
    pub id: AccountId,
    /// When it was made.
    pub enrolled_at: Timestamp,
    /// Its devices; at most `DEVICES_PER_ACCOUNT_MAX`.
    pub devices: Vec<DeviceRecord>,
}

/// A phone or browser of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceRecord {
    /// SHA-256 of its key.
    pub key: KeyId,
    /// The raw Ed25519 public key.
    pub public_key: [u8; limits::PUBLIC_KEY_LEN],
    /// When it was added.
    pub added_at: Timestamp,
}

/// A pairwise mailbox and the grant that made it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailboxRecord {
    /// Its 16 bytes.
    pub mailbox: MailboxId,
    /// Whose it is. Never leaves the home.
    pub account: AccountId,
    /// Who may write to it.
    pub authority: AuthorityId,
    /// The exact `Signed` grant.
    pub grant: Bytes,
    /// When it was published here.
    pub published_at: Timestamp,
}

/// A one-time invitation.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct InvitationId([u8; limits::INVITATION_ID_LEN]);

impl InvitationId {
    /// From its exact bytes.
    pub const fn new(bytes: [u8; limits::INVITATION_ID_LEN]) -> Self {
        Self(bytes)
    }

    /// Its exact bytes.
    pub const fn as_bytes(&self) -> &[u8; limits::INVITATION_ID_LEN] {
        &self.0
    }
}

impl fmt::Debug for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InvitationId({})", to_hex(&self.0))
    }
}

/// What became of an enrolment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Enrolment {
    /// The account is new, or this very device asks again: the account it has.
    Done { account: AccountId },
    /// Another device has used the invitation.
    InvitationUsed,
    /// The device key already belongs to another account.
    DeviceKnown,
}
