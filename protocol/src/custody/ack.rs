//! An acknowledgement of many envelopes by one signature (CUS-3).
//!
//! The receipts themselves are not sent: both sides build the same ones from the dispositions,
//! and the signature covers their tree. Each receipt can then stand alone, as a `Signed`.

use bytes::Bytes;

use super::receipt::{Receipt, Step};
use crate::code::Code;
use crate::crypto::contexts::{self, RECEIPT};
use crate::crypto::sign::{PublicKey, SIGNATURE_LEN, SigningKey};
use crate::id::{AuthorityId, EnvelopeId, KeyId, Timestamp};
use crate::limits::{ACK_DISPOSITIONS_MAX, INTEGER_MAX};
use crate::merkle::Tree;
use crate::signed::{self, leaf_hash, signed_message};
use crate::wire;

/// What became of one envelope of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disposition {
    /// On disk now.
    Accepted,
    /// On disk since then; its receipt is the one of then.
    Duplicate { first_at: Timestamp },
    /// Not taken. The rest of the batch is not touched by it.
    Refused(Code),
}

/// Why an acknowledgement is not believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AckError {
    /// CUS-3.2
    #[error("{got} dispositions for {expected} envelopes")]
    Count { got: usize, expected: usize },
    /// CUS-3.3
    #[error("disposition {index} has no meaning")]
    Disposition { index: usize },
    /// CUS-3.9
    #[error("the acknowledgement's time is {got} ms, expected 1 to {INTEGER_MAX}")]
    Time { got: u64 },
    /// CUS-3.4
    #[error("the acknowledgement is not signed by {expected}")]
    BadSignature { expected: KeyId },
}

impl AckError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Count { .. } | Self::Disposition { .. } | Self::Time { .. } => Code::AckMismatch,
            Self::BadSignature { .. } => Code::BadSignature,
        }
    }
}

/// What a node's acknowledgements say of themselves.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The node.
    pub node: AuthorityId,
    /// What an accepted envelope has become here: [`Step::Accepted`] at the origin,
    /// [`Step::Stored`] at the home.
    pub step: Step,
}

impl Issuer {
    // CUS-3.1: both sides must come to the same bytes.
    fn receipt(&self, envelope: EnvelopeId, disposition: Disposition, at: Timestamp) -> Receipt {
        let (step, at) = match disposition {
            Disposition::Accepted => (self.step, at),
            Disposition::Duplicate { first_at } => (self.step, first_at),
            Disposition::Refused(code) => (Step::Refused(code), at),
        };
        Receipt {
            step,
            node: self.node.clone(),
            envelope,
            at,
        }
    }

    fn payloads(
        &self,
        envelopes: impl IntoIterator<Item = (EnvelopeId, Disposition)>,
        at: Timestamp,
    ) -> Vec<Bytes> {
        let receipts = envelopes
            .into_iter()
            .map(|(id, what)| self.receipt(id, what, at));
        receipts.map(|receipt| receipt.encode()).collect()
    }
}

/// Signs what became of the envelopes of batches `first_seq` to `last_seq`.
///
/// `None` if there are none, or more than [`ACK_DISPOSITIONS_MAX`]. CUS-3.5.
pub fn sign(
    issuer: &Issuer,
    seqs: std::ops::RangeInclusive<u64>,
    at: Timestamp,
    envelopes: &[(EnvelopeId, Disposition)],
    key: &SigningKey,
) -> Option<wire::AckBatch> {
    if envelopes.len() > ACK_DISPOSITIONS_MAX {
        return None;
    }
    let payloads = issuer.payloads(envelopes.iter().copied(), at);
    let tree = Tree::new(
        payloads
            .iter()
            .map(|payload| leaf_hash(RECEIPT, payload))
            .collect(),
    )?;
    Some(wire::AckBatch {
        first_seq: *seqs.start(),
        last_seq: *seqs.end(),
        at_ms: at.as_ms(),
        dispositions: envelopes.iter().map(|(_, what)| to_wire(*what)).collect(),
        signature: Some(signed::sign_root(RECEIPT, tree.size(), &tree.root(), key)),
    })
}

/// An acknowledgement whose signature has been checked.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    dispositions: Vec<Disposition>,
    payloads: Vec<Bytes>,
    tree: Tree,
    signature: wire::Signature,
}

impl Acknowledged {
    /// Checks an acknowledgement of exactly these envelopes, in the order they were sent.
    pub fn verify(
        ack: &wire::AckBatch,
        issuer: &Issuer,
        envelopes: &[EnvelopeId],
        key: &PublicKey,
    ) -> Result<Self, AckError> {
        let count = AckError::Count {
            got: ack.dispositions.len(),
            expected: envelopes.len(),
        };
        if ack.dispositions.len() != envelopes.len() {
            return Err(count);
        }
        let dispositions = ack
            .dispositions
            .iter()
            .enumerate()
            .map(|(index, wire)| from_wire(wire).ok_or(AckError::Disposition { index }))
            .collect::<Result<Vec<_>, _>>()?;
        // Its receipts would be believed here and by nobody else (CUS-2.4).
        if !(1..=INTEGER_MAX).contains(&ack.at_ms) {
            return Err(AckError::Time { got: ack.at_ms });
        }
        let pairs = envelopes.iter().copied().zip(dispositions.iter().copied());
        let payloads = issuer.payloads(pairs, Timestamp::from_ms(ack.at_ms));
        let leaves = payloads
            .iter()
            .map(|payload| leaf_hash(contexts::RECEIPT, payload));
        let tree = Tree::new(leaves.collect()).ok_or(count)?;
        let bad_signature = AckError::BadSignature { expected: key.id() };
        let signature = ack.signature.clone().ok_or(bad_signature.clone())?;
        let bytes: &[u8; SIGNATURE_LEN] = signature.signature[..]
            .try_into()
            .map_err(|_| bad_signature.clone())?;
        let message = signed_message(RECEIPT, tree.size(), &tree.root());
        if signature.key_id[..] != key.id().as_bytes()[..] || !key.verify(&message, bytes) {
            return Err(bad_signature);
        }
        Ok(Self {
            dispositions,
            payloads,
            tree,
            signature,
        })
    }

    /// One per envelope, in the order sent.
    pub fn dispositions(&self) -> &[Disposition] {
        &self.dispositions
    }

    /// The bytes of the `Signed` receipt of envelope `index`, which stands alone.
    pub fn receipt(&self, index: usize) -> Bytes {
        signed::encode(
            self.payloads[index].clone(),
            &self.tree,
            index,
            self.signature.clone(),
        )
    }
}

fn to_wire(disposition: Disposition) -> wire::Disposition {
    let (outcome, code, first_at_ms) = match disposition {
        Disposition::Accepted => (wire::Outcome::Accepted, 0, 0),
        Disposition::Duplicate { first_at } => (wire::Outcome::Duplicate, 0, first_at.as_ms()),
        Disposition::Refused(code) => (wire::Outcome::Refused, code.number(), 0),
    };
    wire::Disposition {
        outcome: outcome.into(),
        code,
        first_at_ms,
    }
}

// CUS-3.3: a code exactly where something was refused, a time exactly where it is a duplicate.
fn from_wire(wire: &wire::Disposition) -> Option<Disposition> {
    match (
        wire::Outcome::try_from(wire.outcome).ok()?,
        wire.code,
        wire.first_at_ms,
    ) {
        (wire::Outcome::Accepted, 0, 0) => Some(Disposition::Accepted),
        (wire::Outcome::Duplicate, 0, ms @ 1..=INTEGER_MAX) => Some(Disposition::Duplicate {
            first_at: Timestamp::from_ms(ms),
        }),
        (wire::Outcome::Refused, code @ 1.., 0) => {
            Code::from_number(code).map(Disposition::Refused)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);
    const BEFORE: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn issuer() -> Issuer {
        Issuer {
            node: "social.gouv.fr".parse().unwrap(),
            step: Step::Stored,
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn id(byte: u8) -> EnvelopeId {
        EnvelopeId::new([byte; 32])
    }

    fn batch() -> Vec<(EnvelopeId, Disposition)> {
        vec![
            (id(1), Disposition::Accepted),
            (id(2), Disposition::Refused(Code::UnknownMailbox)),
            (id(3), Disposition::Duplicate { first_at: BEFORE }),
        ]
    }

    fn ids() -> Vec<EnvelopeId> {
        batch().iter().map(|(id, _)| *id).collect()
    }

    fn verify(ack: &wire::AckBatch) -> Result<Acknowledged, AckError> {
        Acknowledged::verify(ack, &issuer(), &ids(), key().public())
    }

    #[test]
    fn cus_3_1_each_receipt_of_an_acknowledgement_stands_alone() {
        let ack = sign(&issuer(), 1..=2, AT, &batch(), &key()).unwrap();
        let acknowledged = verify(&ack).unwrap();
        let receipts: Vec<Receipt> = (0..3)
            .map(|i| Receipt::verify(acknowledged.receipt(i), key().public()).unwrap())
            .collect();
        let says = |i: usize| (receipts[i].envelope, receipts[i].step, receipts[i].at);
        assert_eq!(says(0), (id(1), Step::Stored, AT));
        assert_eq!(says(1), (id(2), Step::Refused(Code::UnknownMailbox), AT));
        assert_eq!(says(2), (id(3), Step::Stored, BEFORE));
    }

    #[test]
    fn cus_3_9_case_31_an_acknowledgement_whose_receipts_prove_nothing_is_not_believed() {
        for (ms, good) in [
            (0, false),
            (1, true),
            (INTEGER_MAX, true),
            (INTEGER_MAX + 1, false),
            (u64::MAX, false),
        ] {
            let ack = sign(&issuer(), 1..=2, Timestamp::from_ms(ms), &batch(), &key()).unwrap();
            match verify(&ack) {
                Ok(acknowledged) => {
                    assert!(good, "{ms}");
                    Receipt::verify(acknowledged.receipt(0), key().public()).expect("stands alone");
                }
                Err(error) => {
                    assert!(!good, "{ms}");
                    assert_eq!(error, AckError::Time { got: ms });
                    assert_eq!(error.code(), Code::AckMismatch);
                }
            }
        }
    }

    #[test]
    fn case_26_a_duplicate_gets_the_same_receipt() {
        let first = sign(
            &issuer(),
            1..=1,
            AT,
            &[(id(3), Disposition::Accepted)],
            &key(),
        )
        .unwrap();
        let again = [(id(3), Disposition::Duplicate { first_at: AT })];
        let again = sign(&issuer(), 9..=9, AT.plus_ms(5), &again, &key()).unwrap();
        let receipt = |ack| {
            Acknowledged::verify(ack, &issuer(), &[id(3)], key().public())
                .unwrap()
                .receipt(0)
        };
        assert_eq!(receipt(&first), receipt(&again));
    }

    #[test]
    fn cus_3_2_to_3_4_an_acknowledgement_that_does_not_fit_is_not_believed() {
        let good = sign(&issuer(), 1..=2, AT, &batch(), &key()).unwrap();
        let with = |edit: fn(&mut wire::AckBatch)| {
            let mut ack = good.clone();
            edit(&mut ack);
            verify(&ack).unwrap_err().code()
        };
        assert_eq!(with(|a| a.dispositions.clear()), Code::AckMismatch);
        assert_eq!(with(|a| a.dispositions[0].outcome = 0), Code::AckMismatch);
        assert_eq!(with(|a| a.dispositions[0].code = 1), Code::AckMismatch);
        assert_eq!(
            with(|a| a.dispositions[2].first_at_ms = 0),
            Code::AckMismatch
        );
        assert_eq!(
            with(|a| a.dispositions[2].first_at_ms += 1),
            Code::BadSignature
        );
        assert_eq!(with(|a| a.at_ms += 1), Code::BadSignature);
        assert_eq!(with(|a| a.signature = None), Code::BadSignature);
        let other = SigningKey::from_seed(&[2; 32]);
        let foreign = Acknowledged::verify(&good, &issuer(), &ids(), other.public());
        assert_eq!(
            foreign.unwrap_err(),
            AckError::BadSignature {
                expected: other.public().id()
            }
        );
        let mut swapped = ids();
        swapped.swap(0, 1);
        assert!(Acknowledged::verify(&good, &issuer(), &swapped, key().public()).is_err());
    }

    #[test]
    fn cus_3_5_one_acknowledgement_covers_at_most_4096_envelopes() {
        let many = vec![(id(1), Disposition::Accepted); ACK_DISPOSITIONS_MAX];
        assert!(sign(&issuer(), 1..=1, AT, &many, &key()).is_some());
        let over = vec![(id(1), Disposition::Accepted); ACK_DISPOSITIONS_MAX + 1];
        assert!(sign(&issuer(), 1..=1, AT, &over, &key()).is_none());
        assert!(sign(&issuer(), 1..=1, AT, &[], &key()).is_none());
    }
}
