//! Acknowledgements: the receipts that a service builds for itself. Spec: CUS-3, CUS-4.4.

use super::receipt::build;
use super::{INTEGER_MAX, Refused, refuse};
use crate::codec::Message;
use crate::codec::schema::{INCLUSION, SIGNATURE, SIGNED};
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

/// Checks an `AckBatch` against the envelopes of the batches that it acknowledges, in order.
/// That these are the oldest batches in flight (CUS-4.4) is for whoever sent them to see.
pub fn check(
    by: &Acknowledger<'_>,
    envelope_ids: &[Hash],
    ack: &Message,
) -> Result<Vec<Acknowledged>, Refused> {
    strong(by.key)?;
    let dispositions = ack.messages("dispositions");
    // CUS-3.5
    if dispositions.len() > ACK_DISPOSITIONS_MAX {
        return refuse("TOO_MANY", "dispositions");
    }
    // CUS-3.2
    if dispositions.is_empty() || dispositions.len() != envelope_ids.len() {
        return refuse("ACK_MISMATCH", "one disposition per envelope");
    }
    let at_ms = ack.number("at_ms");
    if at_ms == 0 || at_ms > INTEGER_MAX {
        return refuse("FIELD_INVALID", "at_ms");
    }
    let mut all = Vec::with_capacity(envelope_ids.len());
    for (id, disposition) in envelope_ids.iter().zip(dispositions) {
        all.push(acknowledged(by, at_ms, *id, disposition)?);
    }
    seal_receipts(by, ack, &mut all)?;
    Ok(all)
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
    // CUS-3.4: whatever is not a signature by this key over this tree is not believed.
    let signature = ack.message("signature");
    let (key_id, bytes) = signature.map_or((&[][..], &[][..]), |s| {
        (s.bytes("key_id"), s.bytes("signature"))
    });
    let signed = message(RECEIPT, leaves.len() as u64, &merkle::root(&leaves));
    if key_id != by.key.key_id() || !by.key.verifies(&signed, bytes) {
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
