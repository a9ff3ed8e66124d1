//! What became of letters: the node's answer, believed only as far as its signed receipts go.
//! Spec: CUS-2, CUS-8.

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::custody::{Receipt, ReceiptError, Step};
use pli_protocol::id::{AuthorityId, EnvelopeId};
use pli_protocol::limits;
use pli_protocol::trust::{Directory, KeyOwner, TrustRefusal};
use pli_protocol::wire;
use pli_transport::DialledConnection;

use crate::call::{self, CallError};

/// One letter as its receipts tell.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// Which.
    pub id: EnvelopeId,
    /// The last step that the node claims; `None` if it knows nothing of this letter for us.
    pub claimed: Option<i32>,
    /// Each receipt, and whether it proves what it says.
    pub receipts: Vec<Checked>,
}

/// A receipt of a node and the verdict over it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The exact bytes of the `Signed`.
    pub encoded: Bytes,
    /// What it says, if it can be read.
    pub receipt: Option<Receipt>,
    /// `Ok` if it was signed by the node that it names, with a key that was valid at that time.
    pub verdict: Result<(), ReceiptFault>,
}

/// Why a receipt proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptFault {
    /// Its form or its signature.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// The directory does not know that key for that node at that time.
    #[error(transparent)]
    Directory(#[from] TrustRefusal),
    /// It is about another letter.
    #[error("it is about {got}, not {expected}")]
    OtherEnvelope {
        got: EnvelopeId,
        expected: EnvelopeId,
    },
    /// CUS-2.5: only the origin accepts.
    #[error("{node} says ACCEPTED, but the origin is {origin}")]
    NotTheOrigin {
        node: AuthorityId,
        origin: AuthorityId,
    },
}

impl ReceiptFault {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Receipt(error) => error.code(),
            Self::Directory(refusal) => refusal.code(),
            Self::OtherEnvelope { .. } => Code::AckMismatch,
            Self::NotTheOrigin { .. } => Code::NotAuthoritative,
        }
    }
}

impl Tracked {
    /// The last step that is proven.
    pub fn proven(&self) -> Option<&Receipt> {
        let rank = |receipt: &Receipt| match receipt.step {
            Step::Accepted => 0,
            Step::Stored => 1,
            Step::Retrieved => 2,
            Step::Undeliverable(_) | Step::Refused(_) => 3,
        };
        let proven = self
            .receipts
            .iter()
            .filter(|checked| checked.verdict.is_ok());
        proven
            .filter_map(|checked| checked.receipt.as_ref())
            .max_by_key(|receipt| rank(receipt))
    }
}

/// Asks the origin node about any number of letters.
pub async fn track(
    connection: &DialledConnection,
    directory: &Directory,
    origin: &AuthorityId,
    ids: &[EnvelopeId],
) -> Result<Vec<Tracked>, CallError> {
    let mut tracked = Vec::with_capacity(ids.len());
    for asked in ids.chunks(limits::TRACK_IDS_MAX) {
        let envelope_ids = asked
            .iter()
            .map(|id| id.as_bytes().to_vec().into())
            .collect();
        let kind = wire::call::Kind::Track(wire::Track { envelope_ids });
        let reply = match call::ask(connection, kind, "a track").await? {
            wire::call_reply::Kind::Track(reply) => reply,
            other => {
                let (got, expected) = (call::name(&other), "a track");
                return Err(CallError::Unexpected { got, expected });
            }
        };
        let fits = reply.envelopes.len() == asked.len()
            && reply.envelopes.iter().zip(asked).all(|(custody, id)| {
                custody.envelope_id[..] == id.as_bytes()[..]
                    && custody.receipts.len() <= limits::RECEIPTS_PER_ENVELOPE_MAX
            });
        if !fits {
            let got = "a track of other letters";
            return Err(CallError::Unexpected {
                got,
                expected: "a track of the letters asked for",
            });
        }
        for (custody, id) in reply.envelopes.into_iter().zip(asked) {
            let check = |encoded| check(encoded, *id, origin, directory);
            tracked.push(Tracked {
                id: *id,
                claimed: Some(custody.step).filter(|step| *step != 0),
                receipts: custody.receipts.into_iter().map(check).collect(),
            });
        }
    }
    Ok(tracked)
}

/// Checks a receipt about `id` for itself: CUS-2.3, by the keys of the time it names (TRU-4.6).
pub fn check(
    encoded: Bytes,
    id: EnvelopeId,
    origin: &AuthorityId,
    directory: &Directory,
) -> Checked {
    let (receipt, signed) = match Receipt::decode(encoded.clone()) {
        Ok(decoded) => decoded,
        Err(error) => {
            return Checked {
                encoded,
                receipt: None,
                verdict: Err(error.into()),
            };
        }
    };
    let verdict = (|| {
        if receipt.envelope != id {
            let got = receipt.envelope;
            return Err(ReceiptFault::OtherEnvelope { got, expected: id });
        }
        if receipt.step == Step::Accepted && receipt.node != *origin {
            let (node, origin) = (receipt.node.clone(), origin.clone());
            return Err(ReceiptFault::NotTheOrigin { node, origin });
        }
        let signer = signed
            .key_ids()
            .next()
            .expect("a Signed has at least one signature");
        let owner = KeyOwner::node(receipt.node.clone());
        let key = directory.key_at(&owner, &signer, receipt.at)?;
        signed.verify(key).map_err(ReceiptError::from)?;
        Ok(())
    })();
    Checked {
        encoded,
        receipt: Some(receipt),
        verdict,
    }
}
