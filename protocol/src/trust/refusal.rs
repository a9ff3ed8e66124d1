//! Why the directory says no.

use crate::code::Code;
use crate::envelope::{Class, Importance};
use crate::id::{AuthorityId, KeyId, ServiceId, Timestamp};

use super::owner::KeyOwner;

/// Why a key, an authority or a service is not accepted. Each variant is a row of `spec/registry/codes.toml`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustRefusal {
    /// The directory names no such authority.
    #[error("the directory names no authority {authority}")]
    UnknownAuthority { authority: AuthorityId },
    /// The authority lists no such service.
    #[error("the directory lists no service {service}")]
    UnknownService { service: ServiceId },
    /// The key is not one that this holder ever listed.
    #[error("key {key} is not listed for {owner}")]
    UnknownKey { owner: KeyOwner, key: KeyId },
    /// The key is listed, but not for that time: revoked, retired or not begun.
    #[error("key {key} of {owner} is not valid at {at}: {not_before} to {}", until(.not_after))]
    KeyNotValid {
        owner: KeyOwner,
        key: KeyId,
        at: Timestamp,
        not_before: Timestamp,
        not_after: Option<Timestamp>,
    },
    /// The federation suspended the authority, or the authority its service.
    #[error("{owner} is suspended since {since}")]
    Suspended { owner: KeyOwner, since: Timestamp },
    /// One authority speaks for what belongs to another.
    #[error("{authority} is not authoritative for {owner}")]
    NotAuthoritative {
        authority: AuthorityId,
        owner: KeyOwner,
    },
    /// The service may not send this class or importance.
    #[error("{service} may not send class {class:?} of importance {importance:?}")]
    ClassNotAllowed {
        service: ServiceId,
        class: Class,
        importance: Importance,
    },
    /// The federation does not let this authority host citizens.
    #[error("{authority} may not host citizens")]
    CannotHost { authority: AuthorityId },
    /// The authority has published no node.
    #[error("{authority} has published no node")]
    NoNode { authority: AuthorityId },
    /// Past the expiry nothing new is accepted, rather than trust stale keys.
    #[error("the directory expired at {expires}; the clock reads {now}")]
    DirectoryExpired { expires: Timestamp, now: Timestamp },
    /// The authority let its own delegated role expire; the others go on.
    #[error("what {authority} signed expired at {expires}; the clock reads {now}")]
    AuthorityExpired {
        authority: AuthorityId,
        expires: Timestamp,
        now: Timestamp,
    },
}

fn until(not_after: &Option<Timestamp>) -> String {
    not_after.map_or_else(|| "no end".into(), |end| end.to_string())
}

impl TrustRefusal {
    /// The wire code of this refusal.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::UnknownAuthority { .. } | Self::NoNode { .. } => Code::UnknownAuthority,
            Self::UnknownService { .. } => Code::UnknownService,
            Self::UnknownKey { .. } => Code::UnknownKey,
            Self::KeyNotValid { .. } => Code::KeyNotValid,
            Self::Suspended { .. } => Code::Suspended,
            Self::NotAuthoritative { .. } => Code::NotAuthoritative,
            Self::ClassNotAllowed { .. } => Code::ClassNotAllowed,
            Self::CannotHost { .. } => Code::CannotHost,
            Self::DirectoryExpired { .. } | Self::AuthorityExpired { .. } => Code::DirectoryExpired,
        }
    }
}

/// Why a record was not taken into the directory. The rest of the directory stays in force:
/// one authority's fault must not stop the others.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordRefusal {
    /// `<authority>/…` signed by the role of another.
    #[error("{authority} signed {path}, which belongs to another")]
    NotAuthoritative {
        authority: AuthorityId,
        path: String,
    },
    /// R9: its secret half is printed in a standard or in this project.
    #[error("key {key} of {owner} is a published example or test key")]
    PublishedKey { owner: KeyOwner, key: KeyId },
    /// A key of one holder must not also be another's.
    #[error("key {key} of {owner} is also listed for {other}")]
    KeyReused {
        owner: KeyOwner,
        other: Box<KeyOwner>,
        key: KeyId,
    },
    /// A key may be listed once per holder.
    #[error("key {key} is listed twice for {owner}")]
    KeyRepeated { owner: KeyOwner, key: KeyId },
    /// A holder without a key can never be verified.
    #[error("{owner} lists no key")]
    NoKey { owner: KeyOwner },
    /// The bound is one of `limits`.
    #[error("{what}: {got}, expected at most {max}")]
    TooMany {
        what: &'static str,
        got: usize,
        max: usize,
    },
    /// Not JSON of the expected form: unknown member, wrong type, bad name.
    #[error("{path}: {problem}")]
    Malformed { path: String, problem: String },
    /// A form of the file that this version does not know.
    #[error("{path} has version {got}, expected {expected}")]
    UnsupportedVersion {
        path: String,
        got: u64,
        expected: u64,
    },
}

impl RecordRefusal {
    /// The wire code of this refusal.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotAuthoritative { .. } => Code::NotAuthoritative,
            Self::PublishedKey { .. } => Code::PublishedKey,
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::KeyReused { .. }
            | Self::KeyRepeated { .. }
            | Self::NoKey { .. }
            | Self::TooMany { .. }
            | Self::Malformed { .. } => Code::DirectoryInvalid,
        }
    }
}
