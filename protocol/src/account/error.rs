//! Why a statement of an account or of its home is refused.

use crate::code::Code;
use crate::codec::CodecError;
use crate::content::extensions::ExtensionError;
use crate::crypto::seal::SealError;
use crate::crypto::sign::{KeyError, PublicKey};
use crate::id::{AuthorityId, IdError, KeyId, Timestamp};
use crate::limits;
use crate::signed::SignedError;

/// Why a grant, an invitation or an enrolment is refused. Each is a row of
/// `spec/registry/codes.toml` by [`AccountError::code`].
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccountError {
    // Malformed.
    /// Its wrapper or its signature.
    #[error(transparent)]
    Signed(#[from] SignedError),
    /// Its payload.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A name in it.
    #[error(transparent)]
    Id(#[from] IdError),
    /// A signing key in it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The sealing key in it.
    #[error(transparent)]
    Sealing(#[from] SealError),
    /// Its extensions.
    #[error(transparent)]
    Extension(#[from] ExtensionError),
    /// Another version.
    #[error("version {got} is not supported; expected {expected}")]
    UnsupportedVersion { got: u32, expected: u32 },
    /// A field that must be there.
    #[error("{field} is missing")]
    Missing { field: &'static str },
    /// A time that not every implementation can hold (case 10).
    #[error("{field} {got} is over {}", limits::INTEGER_MAX)]
    OutOfRange { field: &'static str, got: u64 },
    /// A class that this version does not know.
    #[error("class {got} is not known")]
    UnknownClass { got: i32 },
    /// One order, so that there is one form.
    #[error("the classes are not ascending, each once")]
    ClassOrder,
    /// R15
    #[error("{got} classes; at most {}", limits::GRANT_CLASSES_MAX)]
    TooManyClasses { got: usize },

    // Misbehaved or misused.
    /// Signed by a key that nobody here has reason to trust.
    #[error("signed by {got}, not by a key of {authority} that is valid now")]
    UnknownSigner { got: KeyId, authority: AuthorityId },
    /// For another authority or home.
    #[error("{field} is {got}; this is {expected}")]
    OtherAuthority {
        field: &'static str,
        got: AuthorityId,
        expected: AuthorityId,
    },
    /// For another home.
    #[error("made for the home {got}; this is {expected}")]
    WrongHome {
        got: AuthorityId,
        expected: AuthorityId,
    },
    /// Past its time.
    #[error("the invitation expired at {expires}; the clock reads {now}")]
    InvitationExpired { expires: Timestamp, now: Timestamp },
    /// An invitation is for soon, not for ever.
    #[error(
        "the invitation lasts until {expires}, more than {} ms from {now}",
        limits::INVITATION_LIFETIME_MAX_MS
    )]
    LifetimeTooLong { expires: Timestamp, now: Timestamp },
    /// A time in the future.
    #[error("made at {at}, more than {} ms after {now}", limits::CLOCK_SKEW_MAX_MS)]
    NotYetValid { at: Timestamp, now: Timestamp },
    /// A time too far in the past for a fresh statement.
    #[error(
        "made at {at}, more than {} ms before {now}",
        limits::CLOCK_SKEW_MAX_MS
    )]
    TooOld { at: Timestamp, now: Timestamp },
    /// Uses another invitation than the one it came with.
    #[error("the enrolment names another invitation than the one it came with")]
    OtherInvitation,
    /// The device that speaks is not the one that is enrolled.
    #[error("the session is by {got}, the enrolment for {expected}")]
    OtherDevice {
        got: Box<PublicKey>,
        expected: Box<PublicKey>,
    },
    /// An older grant, or one by another account, must not replace a pinned one.
    #[error("this grant does not replace the one pinned before: {reason}")]
    StaleGrant { reason: &'static str },
}

impl AccountError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Signed(error) => error.code(),
            Self::Codec(error) => error.code(),
            Self::Id(error) => error.code(),
            Self::Key(error) => error.code(),
            Self::Sealing(error) => error.code(),
            Self::Extension(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Missing { .. } => Code::FieldMissing,
            Self::OutOfRange { .. } | Self::UnknownClass { .. } => Code::FieldInvalid,
            Self::ClassOrder => Code::NotCanonical,
            Self::TooManyClasses { .. } => Code::TooMany,
            Self::UnknownSigner { .. } => Code::UnknownKey,
            Self::OtherAuthority { .. } => Code::NotAuthoritative,
            Self::WrongHome { .. } => Code::WrongHome,
            Self::InvitationExpired { .. } => Code::InvitationExpired,
            Self::LifetimeTooLong { .. } => Code::LifetimeTooLong,
            Self::NotYetValid { .. } => Code::NotYetValid,
            Self::TooOld { .. } => Code::Expired,
            Self::OtherInvitation => Code::FieldInvalid,
            Self::OtherDevice { .. } => Code::SenderMismatch,
            Self::StaleGrant { .. } => Code::StaleGrant,
        }
    }
}
