//! What the store keeps to prove what happened, and how each receipt is made of it again.
//!
//! One piece serves a thousand envelopes: an acknowledgement as it came, or one signature over
//! this node's own receipts. The store returns it with the envelopes it covers, in order.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::crypto::contexts::RECEIPT;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::custody::{Receipt, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId, Timestamp};
use pli_protocol::merkle::Tree;
use pli_protocol::signed::{self, leaf_hash};
use pli_protocol::wire;
use prost::Message;

use crate::store::{Evidence, Outcome, Settlement};

/// What is stored: who signed, when, and the signature over the receipts of all items.
#[derive(Clone, Eq, Message, PartialEq)]
struct Kept {
    #[prost(string, tag = "1")]
    node: String,
    #[prost(uint64, tag = "2")]
    at_ms: u64,
    /// Receipts in the order of the items; those of an acknowledgement are made of its
    /// dispositions, the others of `step`.
    #[prost(message, repeated, tag = "3")]
    dispositions: Vec<wire::Disposition>,
    #[prost(message, optional, tag = "4")]
    signature: Option<wire::Signature>,
    /// Instead of all that: receipts that came signed, one per item.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    signed: Vec<Bytes>,
}

/// A peer's acknowledgement of these envelopes, whose signature has been checked.
pub fn of_acknowledgement(
    home: &AuthorityId,
    ack: &wire::AckBatch,
    items: Vec<(EnvelopeId, Outcome)>,
) -> Settlement {
    let kept = Kept {
        node: home.to_string(),
        at_ms: ack.at_ms,
        dispositions: ack.dispositions.clone(),
        signature: ack.signature.clone(),
        signed: Vec::new(),
    };
    Settlement {
        receipts: kept.encode_to_vec().into(),
        items,
    }
}

/// Receipts of this node, signed together: 1 to 4,096. With what each of them changes.
pub fn of_own(receipts: &[Receipt], outcomes: Vec<Outcome>, key: &SigningKey) -> Settlement {
    let payloads = receipts.iter().map(Receipt::encode).collect();
    let signed =
        signed::sign_batch(RECEIPT, payloads, key).expect("callers page by less than a tree holds");
    let ids = receipts.iter().map(|receipt| receipt.envelope);
    of_signed(signed, ids.zip(outcomes).collect())
}

/// Receipts that came signed, one per item.
pub fn of_signed(signed: Vec<Bytes>, items: Vec<(EnvelopeId, Outcome)>) -> Settlement {
    debug_assert_eq!(signed.len(), items.len());
    let kept = Kept {
        signed,
        ..Kept::default()
    };
    Settlement {
        receipts: kept.encode_to_vec().into(),
        items,
    }
}

/// Makes receipts of what was kept, each settlement once as long as its envelopes come one after the other.
#[derive(Debug, Default)]
pub struct Rebuilt(Option<(Settlement, Option<Built>)>);

#[derive(Debug)]
enum Built {
    Signed(Vec<Bytes>),
    Tree(Vec<Bytes>, Tree, wire::Signature),
}

impl Rebuilt {
    /// The `Signed` receipt of one envelope; `None` if what was kept is damaged.
    pub fn receipt(&mut self, evidence: &Evidence) -> Option<Bytes> {
        let same = |(settlement, _): &(Settlement, _)| *settlement == evidence.settlement;
        if !self.0.as_ref().is_some_and(same) {
            let built = build(&evidence.settlement);
            self.0 = Some((evidence.settlement.clone(), built));
        }
        let (_, built) = self.0.as_ref()?;
        match built.as_ref()? {
            Built::Signed(signed) => signed.get(evidence.index).cloned(),
            Built::Tree(payloads, tree, signature) => {
                let payload = payloads.get(evidence.index)?.clone();
                let signature = signature.clone();
                Some(signed::encode(payload, tree, evidence.index, signature))
            }
        }
    }
}

fn build(settlement: &Settlement) -> Option<Built> {
    let kept = Kept::decode(settlement.receipts.clone()).ok()?;
    if !kept.signed.is_empty() {
        return Some(Built::Signed(kept.signed));
    }
    let node = AuthorityId::new(&kept.node).ok()?;
    let items = &settlement.items;
    if items.len() != kept.dispositions.len() {
        return None;
    }
    let payloads: Vec<Bytes> = items
        .iter()
        .zip(&kept.dispositions)
        .map(|((id, _), disposition)| rebuild(&node, *id, disposition, kept.at_ms))
        .collect::<Option<_>>()?;
    let leaves = payloads.iter().map(|payload| leaf_hash(RECEIPT, payload));
    let tree = Tree::new(leaves.collect())?;
    Some(Built::Tree(payloads, tree, kept.signature?))
}

fn rebuild(
    node: &AuthorityId,
    envelope: EnvelopeId,
    disposition: &wire::Disposition,
    at_ms: u64,
) -> Option<Bytes> {
    let (step, at_ms) = match wire::Outcome::try_from(disposition.outcome).ok()? {
        wire::Outcome::Accepted => (Step::Stored, at_ms),
        wire::Outcome::Duplicate => (Step::Stored, disposition.first_at_ms),
        wire::Outcome::Refused => (Step::Refused(Code::from_number(disposition.code)?), at_ms),
        wire::Outcome::Unspecified => return None,
    };
    let at = Timestamp::from_ms(at_ms);
    Some(
        Receipt {
            step,
            node: node.clone(),
            envelope,
            at,
        }
        .encode(),
    )
}

/// What a receipt of another node changes in the store.
pub fn outcome_of(step: Step) -> Outcome {
    match step {
        Step::Accepted => Outcome::Unchanged,
        Step::Stored => Outcome::Delivered,
        Step::Retrieved => Outcome::Retrieved,
        Step::Undeliverable(code) => Outcome::Undeliverable {
            code: code.number(),
        },
        Step::Refused(code) => Outcome::Refused {
            code: code.number(),
        },
    }
}

/// Decodes a message of this node's own making, or of a peer: not canonical by need.
pub fn report_bytes(receipts: Vec<Bytes>) -> Bytes {
    codec::encode(&wire::Report { receipts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pli_protocol::custody::Disposition;
    use pli_protocol::custody::ack::{self, Issuer};

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn id(byte: u8) -> EnvelopeId {
        EnvelopeId::new([byte; 32])
    }

    #[test]
    fn cus_3_1_each_receipt_comes_out_of_what_was_kept_of_an_acknowledgement() {
        let home: AuthorityId = "social.gouv.fr".parse().unwrap();
        let key = SigningKey::from_seed(&[1; 32]);
        let envelopes = [
            (id(1), Disposition::Accepted),
            (id(2), Disposition::Refused(Code::UnknownMailbox)),
            (
                id(3),
                Disposition::Duplicate {
                    first_at: Timestamp::from_ms(5),
                },
            ),
        ];
        let issuer = Issuer {
            node: home.clone(),
            step: Step::Stored,
        };
        let ack = ack::sign(&issuer, 1..=1, AT, &envelopes, &key).unwrap();
        let items = vec![
            (id(1), Outcome::Delivered),
            (
                id(2),
                Outcome::Refused {
                    code: Code::UnknownMailbox.number(),
                },
            ),
            (id(3), Outcome::Delivered),
        ];
        let settlement = of_acknowledgement(&home, &ack, items);
        let mut rebuilt = Rebuilt::default();
        let steps: Vec<_> = (0..3)
            .map(|index| {
                let outcome = settlement.items[index].1;
                let evidence = Evidence {
                    outcome,
                    index,
                    settlement: settlement.clone(),
                };
                let receipt =
                    Receipt::verify(rebuilt.receipt(&evidence).unwrap(), key.public()).unwrap();
                (receipt.envelope, receipt.step, receipt.at.as_ms())
            })
            .collect();
        assert_eq!(
            steps,
            [
                (id(1), Step::Stored, AT.as_ms()),
                (id(2), Step::Refused(Code::UnknownMailbox), AT.as_ms()),
                (id(3), Step::Stored, 5)
            ]
        );
    }

    #[test]
    fn damaged_evidence_gives_no_receipt_rather_than_a_false_one() {
        let settlement = Settlement {
            receipts: Bytes::from_static(b"\xff\xff"),
            items: vec![(id(1), Outcome::Delivered)],
        };
        let evidence = Evidence {
            outcome: Outcome::Delivered,
            index: 0,
            settlement,
        };
        assert_eq!(Rebuilt::default().receipt(&evidence), None);
    }
}
