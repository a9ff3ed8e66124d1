//! Acknowledgements: the receipts that a service builds for itself. Spec: CUS-3, CUS-4.4.

use super::receipt::build;
use super::{INTEGER_MAX, Refused, canonical, refuse};
use crate::codec::Message;
use crate::codec::schema::{ACK_BATCH, INCLUSION, SIGNATURE, SIGNED};
use crate::crypto::contexts::RECEIPT;
use crate::crypto::keys::PublicKey;
use crate::crypto::signed::{message, strong};
use crate::crypto::{Hash, merkle};

const ACK_DISPOSITIONS_MAX: usize = 4_096;
const ACCEPTED: u64 = 1;
const DUPLICATE: u64 = 2;
const REFUSED: u64 = 3;

/// Who acknowledges, as the side that waits knows it.
#[derive(Clone, Debug)]
pub struct Acknowledger<'a> {
    pub node: &'a str,
    pub key: &'a PublicKey,
    /// `accepted` at the origin, `stored` at the home.
    pub step: &'a str,
}

/// One envelope's fate and the receipt that stands alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Acknowledged {
    pub envelope_id: Hash,
    /// `None` for accepted or duplicate.
    pub refused: Option<u64>,
    pub duplicate: bool,
    /// The receipt's payload: the same bytes each time for a duplicate.
    pub payload: Vec<u8>,
    /// A Signed under pli/1/receipt.
    pub receipt: Vec<u8>,
}

/// Checks an `AckBatch` against the batches in flight, the oldest first; `first_seq` is the oldest one's number.
/// Gives the number of batches acknowledged and every envelope in order.
pub fn check(
    by: &Acknowledger<'_>,
    first_seq: u64,
    batches: &[Vec<Hash>],
    bytes: &[u8],
) -> Result<(usize, Vec<Acknowledged>), Refused> {
    let ack = canonical(&ACK_BATCH, bytes)?;
    check_read(by, first_seq, batches, &ack)
}

/// The same for a message that is already read.
pub fn check_read(
    by: &Acknowledger<'_>,
    first_seq: u64,
    batches: &[Vec<Hash>],
    ack: &Message,
) -> Result<(usize, Vec<Acknowledged>), Refused> {
    strong(by.key)?;
    let dispositions = ack.messages("dispositions");
    // CUS-3.5
    if dispositions.is_empty() {
        return refuse("FIELD_MISSING", "dispositions");
    }
    if dispositions.len() > ACK_DISPOSITIONS_MAX {
        return refuse("TOO_MANY", "dispositions");
    }
    let (first, last) = (ack.number("first_seq"), ack.number("last_seq"));
    let at_ms = ack.number("at_ms");
    if [first, last, at_ms]
        .iter()
        .any(|number| *number == 0 || *number > INTEGER_MAX)
    {
        return refuse("FIELD_INVALID", "first_seq, last_seq or at_ms");
    }
    let count = last
        .checked_sub(first)
        .map(|more| more + 1)
        .filter(|count| *count <= batches.len() as u64);
    let Some(count) = count.filter(|_| first == first_seq) else {
        return refuse("ACK_MISMATCH", "range is not of the batches in flight");
    };
    let count = count as usize;
    let ids: Vec<Hash> = batches[..count].concat();
    if ids.len() != dispositions.len() {
        return refuse("ACK_MISMATCH", "one disposition per envelope");
    }
    let mut all = Vec::with_capacity(ids.len());
    for (id, disposition) in ids.iter().zip(dispositions) {
        all.push(acknowledged(by, at_ms, *id, disposition)?);
    }
    seal_receipts(by, ack, &mut all)?;
    Ok((count, all))
}

/// CUS-3.3
fn acknowledged(
    by: &Acknowledger<'_>,
    at_ms: u64,
    id: Hash,
    disposition: &Message,
) -> Result<Acknowledged, Refused> {
    let (outcome, code) = (disposition.number("outcome"), disposition.number("code"));
    let first_at_ms = disposition.number("first_at_ms");
    if (outcome == REFUSED) != (code != 0) || (outcome == DUPLICATE) != (first_at_ms != 0) {
        return refuse(
            "ACK_MISMATCH",
            "code or first_at_ms does not fit the outcome",
        );
    }
    let payload = match outcome {
        ACCEPTED => build(by.step, by.node, &id, at_ms, 0),
        DUPLICATE if first_at_ms <= INTEGER_MAX => build(by.step, by.node, &id, first_at_ms, 0),
        REFUSED => build("refused", by.node, &id, at_ms, code),
        _ => return refuse("ACK_MISMATCH", "outcome"),
    };
    let refused = (outcome == REFUSED).then_some(code);
    Ok(Acknowledged {
        envelope_id: id,
        refused,
        duplicate: outcome == DUPLICATE,
        payload,
        receipt: Vec::new(),
    })
}

/// CUS-3.1, CUS-3.4: one signature over the tree; each receipt gets its path.
fn seal_receipts(
    by: &Acknowledger<'_>,
    ack: &Message,
    all: &mut [Acknowledged],
) -> Result<(), Refused> {
    let leaves: Vec<Hash> = all
        .iter()
        .map(|one| merkle::leaf(RECEIPT, &one.payload))
        .collect();
    let Some(signature) = ack.message("signature") else {
        return refuse("FIELD_MISSING", "signature");
    };
    let (key_id, bytes) = (signature.bytes("key_id"), signature.bytes("signature"));
    if key_id.len() != 32 || bytes.len() != 64 {
        return refuse("FIELD_INVALID", "signature");
    }
    if key_id != by.key.key_id() {
        return refuse("UNKNOWN_KEY", "signature by another key");
    }
    let signed = message(RECEIPT, leaves.len() as u64, &merkle::root(&leaves));
    if !by.key.verifies(&signed, bytes) {
        return refuse("BAD_SIGNATURE", "over the tree of receipts");
    }
    let signature = Message::new(&SIGNATURE)
        .with("key_id", key_id)
        .with("signature", bytes);
    for (index, one) in all.iter_mut().enumerate() {
        let inclusion = Message::new(&INCLUSION)
            .with("index", index as u64)
            .with("tree_size", leaves.len() as u64)
            .with_all("path", merkle::path(index, &leaves));
        one.receipt = Message::new(&SIGNED)
            .with("payload", &one.payload[..])
            .with("inclusion", inclusion)
            .with("signatures", signature.clone())
            .encode();
    }
    Ok(())
}

#[cfg(test)]
#[path = "ack_tests.rs"]
mod tests;
