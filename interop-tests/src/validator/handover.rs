//! What a device says it received: one signature over many hand-over receipts. Spec: CUS-7.

use super::{INTEGER_MAX, Refused, canonical, refuse};
use crate::codec::Message;
use crate::codec::schema::{HANDOVER as HANDOVER_SCHEMA, HANDOVER_RECEIPT};
use crate::crypto::contexts::HANDOVER;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::signed::{message, signature_over, strong};
use crate::crypto::{Hash, merkle};

const HANDOVER_IDS_MAX: usize = 1_024;

/// The envelopes that the device says it has.
pub fn check(bytes: &[u8], key: &PublicKey) -> Result<Vec<Hash>, Refused> {
    strong(key)?;
    let handover = canonical(&HANDOVER_SCHEMA, bytes)?;
    let ids = handover.all_bytes("envelope_ids");
    if ids.is_empty() {
        return refuse("FIELD_MISSING", "envelope_ids");
    }
    if ids.len() > HANDOVER_IDS_MAX {
        return refuse("TOO_MANY", "envelope_ids");
    }
    let ids: Option<Vec<Hash>> = ids.into_iter().map(|id| id.try_into().ok()).collect();
    let Some(ids) = ids else {
        return refuse("FIELD_INVALID", "envelope_ids");
    };
    let at_ms = handover.number("at_ms");
    if at_ms == 0 || at_ms > INTEGER_MAX {
        return refuse("FIELD_INVALID", "at_ms");
    }
    let signature = handover.message("signature");
    let (key_id, signature) = signature.map_or((&[][..], &[][..]), |s| {
        (s.bytes("key_id"), s.bytes("signature"))
    });
    let root = merkle::root(&leaves(&ids, at_ms));
    if key_id == key.key_id()
        && key.verifies(&message(HANDOVER, ids.len() as u64, &root), signature)
    {
        Ok(ids)
    } else {
        refuse("BAD_SIGNATURE", "over the tree of hand-over receipts")
    }
}

/// A right `Handover`.
pub fn build(ids: &[Hash], at_ms: u64, key: &SecretKey) -> Message {
    Message::new(&HANDOVER_SCHEMA)
        .with_all("envelope_ids", ids.iter().copied())
        .with("at_ms", at_ms)
        .with(
            "signature",
            signature_over(HANDOVER, &leaves(ids, at_ms), key),
        )
}

fn leaves(ids: &[Hash], at_ms: u64) -> Vec<Hash> {
    let receipt = |id: &Hash| {
        let receipt = Message::new(&HANDOVER_RECEIPT)
            .with("version", 1u32)
            .with("envelope_id", *id);
        merkle::leaf(HANDOVER, &receipt.with("at_ms", at_ms).encode())
    };
    ids.iter().map(receipt).collect()
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;

    #[test]
    fn what_was_signed_and_nothing_else() {
        let key = SecretKey::from_seed([5; 32]);
        let ids = [[1; 32], [2; 32], [3; 32]];
        let right = build(&ids, 7, &key);
        assert_eq!(check(&right.encode(), &key.public()), Ok(ids.to_vec()));
        let code = |handover: Message| code_of(check(&handover.encode(), &key.public()));
        assert_eq!(
            code(right.clone().replacing("at_ms", 8u32)),
            "BAD_SIGNATURE"
        );
        assert_eq!(
            code(right.clone().with("envelope_ids", [4; 32])),
            "BAD_SIGNATURE"
        );
        assert_eq!(
            code(right.clone().with("envelope_ids", [4; 31])),
            "FIELD_INVALID"
        );
        assert_eq!(code(right.clone().without("envelope_ids")), "FIELD_MISSING");
        assert_eq!(code(right.without("signature")), "BAD_SIGNATURE");
        let full: Vec<Hash> = vec![[7; 32]; HANDOVER_IDS_MAX];
        assert_eq!(code(build(&full, 7, &key)), "accepted");
        let over: Vec<Hash> = vec![[7; 32]; HANDOVER_IDS_MAX + 1];
        assert_eq!(code(build(&over, 7, &key)), "TOO_MANY");
    }
}
