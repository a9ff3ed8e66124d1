//! Why a handshake is refused, sorted by blame.

use super::{Refusal, Role};
use crate::code::Code;
use crate::codec::CodecError;
use crate::crypto::sign::{KeyError, PublicKey};
use crate::id::{AuthorityId, IdError};
use crate::limits;
use crate::signed::SignedError;

/// Why one side ends the handshake. Each variant has a row of `spec/registry/codes.toml`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SessionRefusal {
    // Malformed.
    /// SES-3.2
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// SES-3.1
    #[error("{got} versions offered, at most {} are allowed", limits::VERSIONS_MAX)]
    TooManyVersions { got: usize },
    /// SES-3.1
    #[error("offered versions {got:?} are not ascending")]
    VersionsNotAscending { got: Vec<u32> },
    /// SES-3.1
    #[error("no version in common: offered {offered:?}, supported {supported:?}")]
    UnsupportedVersion {
        offered: Vec<u32>,
        supported: Vec<u32>,
    },
    /// SES-3.3
    #[error("nonce of {got} bytes, expected {}", limits::NONCE_LEN)]
    NonceLength { got: usize },
    /// SES-3.5
    #[error(transparent)]
    Key(#[from] KeyError),
    /// SES-3.5
    #[error(transparent)]
    Name(#[from] IdError),
    /// SES-3.5
    #[error("no role")]
    NoRole,
    /// SES-3.5
    #[error("role {got} is not known")]
    UnknownRole { got: i32 },
    /// SES-3.5
    #[error("a device must not name itself")]
    NamedDevice,
    /// SES-3.6
    #[error("neither welcome nor refusal")]
    EmptyReply,
    /// SES-3.6
    #[error(
        "the server grants {got} batches in flight, expected 1 to {}",
        limits::BATCHES_IN_FLIGHT_MAX
    )]
    BatchesInFlight { got: u32 },
    /// SES-3.6
    #[error("time {got_ms} ms is not an exact integer everywhere")]
    Time { got_ms: u64 },
    /// SES-3.6
    #[error(
        "refusal detail of {got} bytes, at most {} are allowed",
        limits::DETAIL_MAX
    )]
    DetailTooLong { got: usize },

    /// SES-3.2
    #[error(
        "session proof of {got} bytes, at most {} are allowed",
        limits::SIGNED_OBJECT_MAX
    )]
    MessageTooLong { got: usize },

    // Misbehaved.
    /// SES-3.2
    #[error("a message out of turn")]
    OutOfTurn,
    /// SES-3.4: somebody between the two removed versions from the offer.
    #[error(
        "downgrade: signed version {signed} of {signed_offer:?}, but {chosen} was chosen of {offer:?}"
    )]
    Downgrade {
        signed: u32,
        signed_offer: Vec<u32>,
        chosen: u32,
        offer: Vec<u32>,
    },
    /// SES-3.4: the proof answers another challenge.
    #[error("the proof is for another nonce")]
    WrongNonce,
    /// SES-3.4: the proof was made for another server, and replayed here.
    #[error("the proof is for another server than {expected}")]
    ProofForAnotherServer { expected: Box<PublicKey> },
    /// SES-3.4
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// SES-3.4
    #[error("{got} signatures on a session proof, expected 1")]
    SignatureCount { got: usize },
    /// SES-3.4
    #[error("the proof is not signed by the key that it names")]
    NotSignedByOwnKey,
    /// SES-3.3: found by the dialler.
    #[error("the server shows the key {got}, expected {expected}")]
    ServerKeyMismatch {
        got: Box<PublicKey>,
        expected: Box<PublicKey>,
    },
    /// SES-3.3: found by the dialler.
    #[error("the server is {got}, expected {expected}")]
    WrongAuthority {
        got: AuthorityId,
        expected: AuthorityId,
    },

    // Misuse.
    /// The directory does not give this key this name, or the role may not come in here.
    #[error("the {role} is not let in: {refusal}")]
    NotLetIn { role: Role, refusal: Refusal },
    /// The server said no.
    #[error("refused by the server: {0}")]
    ByServer(Refusal),
}

impl SessionRefusal {
    /// The wire code. A code of the peer that this version does not know counts as
    /// `AUTH_FAILED`: the session is refused either way.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::TooManyVersions { .. } => Code::TooMany,
            Self::VersionsNotAscending { .. }
            | Self::NonceLength { .. }
            | Self::UnknownRole { .. }
            | Self::NamedDevice
            | Self::BatchesInFlight { .. }
            | Self::Time { .. } => Code::FieldInvalid,
            Self::UnsupportedVersion { .. } | Self::Downgrade { .. } => Code::UnsupportedVersion,
            Self::Key(error) => error.code(),
            Self::Name(error) => error.code(),
            Self::NoRole | Self::EmptyReply => Code::FieldMissing,
            Self::DetailTooLong { .. } | Self::MessageTooLong { .. } => Code::TooLong,
            Self::OutOfTurn => Code::UnexpectedMessage,
            Self::WrongNonce
            | Self::ProofForAnotherServer { .. }
            | Self::NotSignedByOwnKey
            | Self::WrongAuthority { .. } => Code::AuthFailed,
            Self::Signed(error) => error.code(),
            Self::SignatureCount { .. } => Code::SignatureCount,
            Self::ServerKeyMismatch { .. } => Code::ServerKeyMismatch,
            Self::NotLetIn { refusal, .. } | Self::ByServer(refusal) => {
                refusal.code().unwrap_or(Code::AuthFailed)
            }
        }
    }

    /// What the server tells the dialler.
    pub fn to_refusal(&self) -> Refusal {
        match self {
            Self::NotLetIn { refusal, .. } | Self::ByServer(refusal) => refusal.clone(),
            other => Refusal::new(other.code(), other.to_string()),
        }
    }
}
