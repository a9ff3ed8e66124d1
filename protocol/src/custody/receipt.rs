//! A receipt: what one node says that happened to one envelope (CUS-2).

use bytes::Bytes;

use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::crypto::contexts;
use crate::crypto::sign::{PublicKey, SigningKey};
use crate::id::{AuthorityId, EnvelopeId, IdError, Timestamp};
use crate::limits::{INTEGER_MAX, RECEIPT_MAX};
use crate::signed::{Signed, SignedError, sign_one};
use crate::wire;

/// The version of receipts that this implementation writes and reads.
pub const VERSION: u32 = 1;

/// Why a receipt is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptError {
    /// SIG
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// CUS-2.1
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// CUS-2.2
    #[error("receipt version {got}, expected {VERSION}")]
    UnsupportedVersion { got: u32 },
    /// CUS-2.3
    #[error(transparent)]
    Name(#[from] IdError),
    /// CUS-2.4
    #[error("the receipt's {field} is {got}, which is not allowed")]
    Invalid { field: &'static str, got: u64 },
}

impl ReceiptError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Signed(error) => error.code(),
            Self::Codec(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Name(error) => error.code(),
            Self::Invalid { .. } => Code::FieldInvalid,
        }
    }
}

/// What happened to an envelope.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// The origin node has it on disk.
    Accepted,
    /// The home node has it on disk, in the citizen's mailbox.
    Stored,
    /// A device of the citizen has it.
    Retrieved,
    /// It will not be delivered, and why.
    Undeliverable(Code),
    /// The node refused it, and why.
    Refused(Code),
}

impl Step {
    fn to_wire(self) -> (wire::Step, u32) {
        match self {
            Self::Accepted => (wire::Step::Accepted, 0),
            Self::Stored => (wire::Step::Stored, 0),
            Self::Retrieved => (wire::Step::Retrieved, 0),
            Self::Undeliverable(code) => (wire::Step::Undeliverable, code.number()),
            Self::Refused(code) => (wire::Step::Refused, code.number()),
        }
    }

    // CUS-2.4: a code exactly where something failed.
    fn from_wire(step: i32, code: u32) -> Result<Self, ReceiptError> {
        let invalid = |field, got| ReceiptError::Invalid { field, got };
        let bad_step = || invalid("step", u64::from(step.cast_unsigned()));
        let parsed = wire::Step::try_from(step).map_err(|_| bad_step())?;
        let no_code = |step| {
            if code == 0 {
                Ok(step)
            } else {
                Err(invalid("code", u64::from(code)))
            }
        };
        // A code of a later version keeps its meaning of failure.
        let why = || match code {
            0 => Err(invalid("code", 0)),
            number => Ok(Code::from_number(number).unwrap_or(Code::Internal)),
        };
        match parsed {
            wire::Step::Accepted => no_code(Self::Accepted),
            wire::Step::Stored => no_code(Self::Stored),
            wire::Step::Retrieved => no_code(Self::Retrieved),
            wire::Step::Undeliverable => why().map(Self::Undeliverable),
            wire::Step::Refused => why().map(Self::Refused),
            wire::Step::Unspecified => Err(bad_step()),
        }
    }
}

/// One statement of one node about one envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// What happened.
    pub step: Step,
    /// Whose node says so; its key must have signed.
    pub node: AuthorityId,
    /// To which envelope.
    pub envelope: EnvelopeId,
    /// When, by the node's clock.
    pub at: Timestamp,
}

impl Receipt {
    /// The exact bytes that are signed.
    pub fn encode(&self) -> Bytes {
        let (step, code) = self.step.to_wire();
        codec::encode(&wire::Receipt {
            version: VERSION,
            step: step.into(),
            node: self.node.as_str().into(),
            envelope_id: self.envelope.as_bytes().to_vec().into(),
            at_ms: self.at.as_ms(),
            code,
        })
    }

    /// The bytes of a `Signed` receipt of its own.
    pub fn sign(&self, key: &SigningKey) -> Bytes {
        sign_one(contexts::RECEIPT, self.encode(), key)
    }

    /// Reads a signed receipt. It is to be believed after `signed.verify` with the key of the
    /// node that it names.
    pub fn decode(encoded: Bytes) -> Result<(Self, Signed), ReceiptError> {
        let signed = Signed::decode(encoded, contexts::RECEIPT)?;
        signed.one_signature()?;
        let receipt = Self::decode_payload(signed.payload())?;
        Ok((receipt, signed))
    }

    /// Reads and checks a receipt by this very key.
    pub fn verify(encoded: Bytes, key: &PublicKey) -> Result<Self, ReceiptError> {
        let (receipt, signed) = Self::decode(encoded)?;
        signed.verify(key)?;
        Ok(receipt)
    }

    fn decode_payload(payload: &Bytes) -> Result<Self, ReceiptError> {
        let wire: wire::Receipt = codec::decode_canonical(payload, RECEIPT_MAX)?;
        if wire.version != VERSION {
            return Err(ReceiptError::UnsupportedVersion { got: wire.version });
        }
        if wire.at_ms == 0 || wire.at_ms > INTEGER_MAX {
            return Err(ReceiptError::Invalid {
                field: "time",
                got: wire.at_ms,
            });
        }
        Ok(Self {
            step: Step::from_wire(wire.step, wire.code)?,
            node: AuthorityId::new(&wire.node)?,
            envelope: EnvelopeId::from_slice(&wire.envelope_id)?,
            at: Timestamp::from_ms(wire.at_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(step: Step) -> Receipt {
        Receipt {
            step,
            node: "social.gouv.fr".parse().unwrap(),
            envelope: EnvelopeId::new([6; 32]),
            at: Timestamp::from_ms(1_800_000_000_000),
        }
    }

    fn refused(edit: impl FnOnce(&mut wire::Receipt)) -> Code {
        let mut wire: wire::Receipt =
            codec::decode_canonical(&receipt(Step::Stored).encode(), RECEIPT_MAX).unwrap();
        edit(&mut wire);
        let signed = sign_one(
            contexts::RECEIPT,
            codec::encode(&wire),
            &SigningKey::from_seed(&[1; 32]),
        );
        Receipt::decode(signed).expect_err("must be refused").code()
    }

    #[test]
    fn cus_2_1_a_receipt_reads_back() {
        let key = SigningKey::from_seed(&[1; 32]);
        for step in [
            Step::Accepted,
            Step::Stored,
            Step::Retrieved,
            Step::Undeliverable(Code::Unreachable),
            Step::Refused(Code::UnknownMailbox),
        ] {
            let signed = receipt(step).sign(&key);
            assert!(signed.len() <= RECEIPT_MAX);
            assert_eq!(Receipt::verify(signed, key.public()), Ok(receipt(step)));
        }
    }

    #[test]
    fn cus_2_2_to_2_4_what_a_receipt_may_not_say() {
        assert_eq!(refused(|r| r.version = 2), Code::UnsupportedVersion);
        assert_eq!(
            refused(|r| r.node = "Social.gouv.fr".into()),
            Code::FieldInvalid
        );
        assert_eq!(
            refused(|r| r.envelope_id = vec![0; 31].into()),
            Code::FieldInvalid
        );
        assert_eq!(refused(|r| r.step = 0), Code::FieldInvalid);
        assert_eq!(refused(|r| r.step = 99), Code::FieldInvalid);
        assert_eq!(refused(|r| r.code = 1), Code::FieldInvalid);
        assert_eq!(refused(|r| r.at_ms = 0), Code::FieldInvalid);
        assert_eq!(
            refused(|r| r.step = wire::Step::Refused.into()),
            Code::FieldInvalid
        );
    }
}
