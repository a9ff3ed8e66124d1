//! What a device says it has (CUS-7): one signature over a leaf per envelope.

use bytes::Bytes;

use super::receipt::VERSION;
use crate::code::Code;
use crate::codec;
use crate::crypto::contexts::HANDOVER;
use crate::crypto::sign::{PublicKey, SIGNATURE_LEN, SigningKey};
use crate::id::{EnvelopeId, KeyId, Timestamp};
use crate::limits::HANDOVER_IDS_MAX;
use crate::merkle::Tree;
use crate::signed::{leaf_hash, sign_root, signed_message};
use crate::wire;

/// Why a handover is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandoverError {
    /// CUS-7.2
    #[error("{got} envelopes, expected 1 to {HANDOVER_IDS_MAX}")]
    Count { got: usize },
    /// CUS-7.3
    #[error("an envelope id has not 32 bytes")]
    Id,
    /// CUS-7.4
    #[error("the handover is not signed by {expected}")]
    BadSignature { expected: KeyId },
}

impl HandoverError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Count { got: 0 } => Code::FieldMissing,
            Self::Count { .. } => Code::TooMany,
            Self::Id => Code::FieldInvalid,
            Self::BadSignature { .. } => Code::BadSignature,
        }
    }
}

/// Signs that a device has these envelopes; `None` for none or too many.
pub fn sign(
    envelopes: &[EnvelopeId],
    at: Timestamp,
    device: &SigningKey,
) -> Option<wire::Handover> {
    let tree = tree(envelopes, at)?;
    Some(wire::Handover {
        envelope_ids: envelopes
            .iter()
            .map(|id| id.as_bytes().to_vec().into())
            .collect(),
        at_ms: at.as_ms(),
        signature: Some(sign_root(HANDOVER, tree.size(), &tree.root(), device)),
    })
}

/// Checks a handover by the key of the device that sends it.
pub fn verify(
    handover: &wire::Handover,
    device: &PublicKey,
) -> Result<Vec<EnvelopeId>, HandoverError> {
    let got = handover.envelope_ids.len();
    if got > HANDOVER_IDS_MAX {
        return Err(HandoverError::Count { got });
    }
    let ids = handover
        .envelope_ids
        .iter()
        .map(|id| EnvelopeId::from_slice(id).map_err(|_| HandoverError::Id))
        .collect::<Result<Vec<_>, _>>()?;
    let tree =
        tree(&ids, Timestamp::from_ms(handover.at_ms)).ok_or(HandoverError::Count { got })?;
    let bad_signature = HandoverError::BadSignature {
        expected: device.id(),
    };
    let signature = handover.signature.as_ref().ok_or(bad_signature.clone())?;
    let bytes: &[u8; SIGNATURE_LEN] = signature.signature[..]
        .try_into()
        .map_err(|_| bad_signature.clone())?;
    let message = signed_message(HANDOVER, tree.size(), &tree.root());
    if signature.key_id[..] != device.id().as_bytes()[..] || !device.verify(&message, bytes) {
        return Err(bad_signature);
    }
    Ok(ids)
}

// CUS-7.1: one leaf per envelope, so that each can be proven without naming the others.
fn tree(envelopes: &[EnvelopeId], at: Timestamp) -> Option<Tree> {
    if envelopes.len() > HANDOVER_IDS_MAX {
        return None;
    }
    let leaf = |id: &EnvelopeId| -> Bytes {
        codec::encode(&wire::HandoverReceipt {
            version: VERSION,
            envelope_id: id.as_bytes().to_vec().into(),
            at_ms: at.as_ms(),
        })
    };
    Tree::new(
        envelopes
            .iter()
            .map(|id| leaf_hash(HANDOVER, &leaf(id)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cus_7_a_handover_is_signed_by_the_device() {
        let device = SigningKey::from_seed(&[1; 32]);
        let ids = [EnvelopeId::new([1; 32]), EnvelopeId::new([2; 32])];
        let good = sign(&ids, Timestamp::from_ms(5), &device).unwrap();
        assert_eq!(verify(&good, device.public()), Ok(ids.to_vec()));
        let refused = |edit: fn(&mut wire::Handover)| {
            let mut handover = good.clone();
            edit(&mut handover);
            verify(&handover, device.public()).unwrap_err().code()
        };
        assert_eq!(refused(|h| h.at_ms = 6), Code::BadSignature);
        assert_eq!(refused(|h| drop(h.envelope_ids.pop())), Code::BadSignature);
        assert_eq!(refused(|h| h.envelope_ids.clear()), Code::FieldMissing);
        assert_eq!(
            refused(|h| h.envelope_ids[0] = vec![0; 33].into()),
            Code::FieldInvalid
        );
        assert_eq!(refused(|h| h.signature = None), Code::BadSignature);
        let other = SigningKey::from_seed(&[2; 32]);
        assert!(verify(&good, other.public()).is_err());
    }

    #[test]
    fn cus_7_2_a_handover_names_at_most_1024_envelopes() {
        let device = SigningKey::from_seed(&[1; 32]);
        let ids = vec![EnvelopeId::new([1; 32]); HANDOVER_IDS_MAX + 1];
        assert!(sign(&ids[1..], Timestamp::from_ms(5), &device).is_some());
        assert!(sign(&ids, Timestamp::from_ms(5), &device).is_none());
        let mut over = sign(&ids[1..], Timestamp::from_ms(5), &device).unwrap();
        over.envelope_ids.push(vec![1; 32].into());
        assert_eq!(
            verify(&over, device.public()).unwrap_err().code(),
            Code::TooMany
        );
    }
}
