//! The index's keys. Numbers are big-endian, so that byte order is number order.

use pli_protocol::id::{AccountId, AuthorityId, KeyId, MailboxId, Timestamp};

use crate::store::{InvitationId, Lane};

/// Where the log has been applied up to.
pub(super) const APPLIED: &[u8] = b"applied";
/// How rows and keys are to be read: an index of another layout is built again.
pub(super) const LAYOUT: &[u8] = b"layout";
pub(super) const LAYOUT_OF_NOW: &[u8] = &[3];
/// From where on the log may hold queued letters that have no row.
pub(super) const YOUNG: &[u8] = b"young";

/// Width of an expiry bucket: 2^10 ms, a little over a second.
const BUCKET_SHIFT: u32 = 10;
/// The same in milliseconds.
pub(super) const BUCKET_MS: u64 = 1 << BUCKET_SHIFT;

/// What a row of the expiry index lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// Envelope ids whose time is over.
    Due,
    /// Envelope ids to be forgotten.
    Forget,
    /// A settlement that nothing refers to any more.
    Settlement,
    /// A report to be dropped.
    Report,
}

pub(super) fn bucket(time: Timestamp) -> u64 {
    time.as_ms() >> BUCKET_SHIFT
}

/// When all of a bucket is over.
pub(super) fn end_of_bucket(bucket: u64) -> Timestamp {
    Timestamp::from_ms((bucket + 1) << BUCKET_SHIFT)
}

/// The last moment before a bucket.
pub(super) fn before_bucket(bucket: u64) -> Timestamp {
    Timestamp::from_ms((bucket << BUCKET_SHIFT).saturating_sub(1))
}

/// `number` keeps rows of one bucket apart.
pub(super) fn expiry(time: Timestamp, stage: Stage, number: u64) -> Vec<u8> {
    [
        &bucket(time).to_be_bytes()[..],
        &[stage as u8],
        &number.to_be_bytes(),
    ]
    .concat()
}

/// The bucket and stage of an expiry key.
pub(super) fn parse_expiry(key: &[u8]) -> Option<(u64, Stage)> {
    let bucket = u64::from_be_bytes(key.get(..8)?.try_into().ok()?);
    let stage = match key.get(8)? {
        0 => Stage::Due,
        1 => Stage::Forget,
        2 => Stage::Settlement,
        3 => Stage::Report,
        _ => return None,
    };
    Some((bucket, stage))
}

pub(super) fn item(account: &AccountId, seq: u64) -> Vec<u8> {
    [&account.as_bytes()[..], &seq.to_be_bytes()].concat()
}

/// Domains hold no zero byte, so no destination's keys stand between another's.
pub(super) fn queue(destination: &AuthorityId, lane: Lane, position: u64) -> Vec<u8> {
    [
        destination.as_str().as_bytes(),
        &[0, lane_byte(lane)],
        &position.to_be_bytes(),
    ]
    .concat()
}

/// Of set-aside envelopes and reports.
pub(super) fn numbered(destination: &AuthorityId, position: u64) -> Vec<u8> {
    [
        destination.as_str().as_bytes(),
        &[0],
        &position.to_be_bytes(),
    ]
    .concat()
}

/// The number at the end of a key.
pub(super) fn trailing_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk()?))
}

/// The lane of a queue's key.
pub(super) fn lane(key: &[u8]) -> Option<Lane> {
    lane_from_byte(*key.get(key.len().checked_sub(9)?)?)
}

/// The destination at the start of a key.
pub(super) fn leading_destination(key: &[u8]) -> Option<AuthorityId> {
    let end = key.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&key[..end]).ok()?.parse().ok()
}

pub(super) fn dead(segment: u32) -> Vec<u8> {
    [&b"dead"[..], &segment.to_be_bytes()].concat()
}

pub(super) fn account(account: &AccountId) -> Vec<u8> {
    [&b"a"[..], account.as_bytes()].concat()
}

pub(super) fn device(device: &KeyId) -> Vec<u8> {
    [&b"d"[..], device.as_bytes()].concat()
}

pub(super) fn invitation(invitation: &InvitationId) -> Vec<u8> {
    [&b"i"[..], invitation.as_bytes()].concat()
}

pub(super) fn mailbox(mailbox: &MailboxId) -> Vec<u8> {
    [&b"m"[..], mailbox.as_bytes()].concat()
}

/// The mailboxes of an account.
pub(super) fn owned(account: &AccountId) -> Vec<u8> {
    [&b"o"[..], account.as_bytes()].concat()
}

pub(super) fn numbering(account: &AccountId) -> Vec<u8> {
    [&b"n"[..], account.as_bytes()].concat()
}

pub(super) fn lane_byte(lane: Lane) -> u8 {
    match lane {
        Lane::Priority => 0,
        Lane::Bulk => 1,
    }
}

pub(super) fn lane_from_byte(byte: u8) -> Option<Lane> {
    match byte {
        0 => Some(Lane::Priority),
        1 => Some(Lane::Bulk),
        _ => None,
    }
}
