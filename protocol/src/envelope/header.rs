//! The outside of an envelope, typed (ENV-4).

use bytes::Bytes;

use super::VERSION;
use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::id::{AuthorityId, IdError, MailboxAddress, ServiceId, Timestamp};
use crate::limits::{
    CLOCK_SKEW_MAX_MS, ENVELOPE_LIFETIME_MAX_MS, EXTENSION_VALUE_MAX, EXTENSIONS_MAX, HEADER_MAX,
    INTEGER_MAX, SUPERSEDES_LEN,
};
use crate::wire;

/// Why a header is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// ENV-4.1
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// ENV-4.2
    #[error("envelope version {got}, expected {VERSION}")]
    UnsupportedVersion { got: u32 },
    /// ENV-4.3
    #[error("the header has no {field}")]
    Missing { field: &'static str },
    /// ENV-4.3
    #[error("the header's {field} is {got}, which is not allowed")]
    Invalid { field: &'static str, got: u64 },
    /// ENV-2, ENV-4.4
    #[error(transparent)]
    Name(#[from] IdError),
    /// ENV-4.5
    #[error(
        "expires {lifetime_ms} ms after its creation, at most {ENVELOPE_LIFETIME_MAX_MS} ms are allowed"
    )]
    LifetimeTooLong { lifetime_ms: u64 },
    /// ENV-4.6
    #[error("expired at {expires}; the clock reads {now}")]
    Expired { expires: Timestamp, now: Timestamp },
    /// ENV-4.7
    #[error(
        "created at {created}, the clock reads {now}; at most {CLOCK_SKEW_MAX_MS} ms ahead are allowed"
    )]
    NotYetValid { created: Timestamp, now: Timestamp },
    /// ENV-4.8
    #[error("{got} extensions, at most {EXTENSIONS_MAX} are allowed")]
    TooManyExtensions { got: usize },
    /// ENV-4.8
    #[error("extension {id} has {got} bytes, at most {EXTENSION_VALUE_MAX} are allowed")]
    ExtensionTooLong { id: u32, got: usize },
    /// ENV-4.8
    #[error("extension {id} does not stand in ascending order")]
    ExtensionOrder { id: u32 },
    /// ENV-4.9
    #[error("extension {id} is critical and not known")]
    UnknownCriticalExtension { id: u32 },
}

impl HeaderError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Missing { .. } => Code::FieldMissing,
            Self::Invalid { .. } => Code::FieldInvalid,
            Self::Name(error) => error.code(),
            Self::LifetimeTooLong { .. } => Code::LifetimeTooLong,
            Self::Expired { .. } => Code::Expired,
            Self::NotYetValid { .. } => Code::NotYetValid,
            Self::TooManyExtensions { .. } => Code::TooMany,
            Self::ExtensionTooLong { .. } => Code::TooLong,
            Self::ExtensionOrder { .. } => Code::NotCanonical,
            Self::UnknownCriticalExtension { .. } => Code::UnknownCriticalExtension,
        }
    }
}

/// Who speaks.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Sender {
    /// An authority's service.
    Service(ServiceId),
    /// A citizen who answers, from the mailbox that the authority was given.
    Citizen(MailboxAddress),
}

impl Sender {
    /// The authority on whose node the envelope may be submitted.
    pub fn origin(&self) -> &AuthorityId {
        match self {
            Self::Service(service) => service.authority(),
            Self::Citizen(mailbox) => &mailbox.home,
        }
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Service(service) => service.fmt(f),
            Self::Citizen(mailbox) => mailbox.fmt(f),
        }
    }
}

macro_rules! closed_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The number of the wire.
            pub const fn number(self) -> i32 {
                match self {
                    $(Self::$variant => wire::$name::$variant as i32,)+
                }
            }

            /// From the number of the wire; `None` if it names nothing.
            pub fn from_number(number: i32) -> Option<Self> {
                match wire::$name::try_from(number) {
                    $(Ok(wire::$name::$variant) => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

closed_enum!(
    /// What sort of envelope.
    Class {
        /// From an authority to a citizen.
        Message,
        /// From a citizen to an authority.
        Reply,
        /// To everyone of an area.
        Alert,
        /// Between accounts and nodes.
        Control,
    }
);
closed_enum!(
    /// How soon a device should be woken (RFC 8030, section 5.3).
    Urgency {
        /// On power and unmetered network.
        VeryLow,
        /// On either of these.
        Low,
        /// On neither.
        Normal,
        /// Even on a low battery.
        High,
    }
);
closed_enum!(
    /// What the citizen is expected to do.
    Importance {
        /// Nothing.
        Information,
        /// Something.
        Action,
        /// To take note: it has legal effects, and is stored whatever the preferences say.
        Legal,
    }
);

/// One extension, kept and passed on whether it is known or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    /// A row of the extension registry.
    pub id: u32,
    /// Whether who does not know it must refuse.
    pub critical: bool,
    /// Its bytes.
    pub value: Bytes,
}

/// Everything that a relay may know of an envelope. Nothing about the subject.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Who speaks; also who must have signed.
    pub sender: Sender,
    /// To which mailbox, at which home.
    pub recipient: MailboxAddress,
    /// When it was made.
    pub created: Timestamp,
    /// After this it is not delivered any more.
    pub expires: Timestamp,
    /// What sort of envelope.
    pub class: Class,
    /// How soon to wake a device.
    pub urgency: Urgency,
    /// What the citizen is expected to do.
    pub importance: Importance,
    /// A later envelope with the same key replaces this one.
    pub supersedes: Option<[u8; SUPERSEDES_LEN]>,
    /// Ascending by id.
    pub extensions: Vec<Extension>,
}

impl Header {
    /// Reads a header from its exact bytes; everything but the time is checked.
    pub fn decode(bytes: &Bytes) -> Result<Self, HeaderError> {
        let wire: wire::Header = codec::decode_canonical(bytes, HEADER_MAX)?;
        // ENV-4.2: first, because nothing else is known about another version.
        if wire.version != VERSION {
            return Err(HeaderError::UnsupportedVersion { got: wire.version });
        }
        let sender = match wire
            .sender
            .ok_or(HeaderError::Missing { field: "sender" })?
        {
            wire::header::Sender::Service(service) => Sender::Service(service.parse()?),
            wire::header::Sender::ReplyMailbox(mailbox) => {
                Sender::Citizen(MailboxAddress::from_wire(&mailbox)?)
            }
        };
        let recipient = wire
            .recipient
            .ok_or(HeaderError::Missing { field: "recipient" })?;
        let header = Self {
            sender,
            recipient: MailboxAddress::from_wire(&recipient)?,
            created: time("created", wire.created_ms)?,
            expires: time("expires", wire.expires_ms)?,
            class: number("class", wire.class, Class::from_number)?,
            urgency: number("urgency", wire.urgency, Urgency::from_number)?,
            importance: number("importance", wire.importance, Importance::from_number)?,
            supersedes: supersedes(&wire.supersedes)?,
            extensions: extensions(wire.extensions)?,
        };
        header.check_lifetime()?;
        Ok(header)
    }

    /// The exact bytes, which the sealing binds and the signature covers.
    pub fn encode(&self) -> Bytes {
        let sender = match &self.sender {
            Sender::Service(service) => wire::header::Sender::Service(service.to_string()),
            Sender::Citizen(mailbox) => wire::header::Sender::ReplyMailbox(mailbox.to_wire()),
        };
        codec::encode(&wire::Header {
            version: VERSION,
            sender: Some(sender),
            recipient: Some(self.recipient.to_wire()),
            created_ms: self.created.as_ms(),
            expires_ms: self.expires.as_ms(),
            class: self.class.number(),
            urgency: self.urgency.number(),
            importance: self.importance.number(),
            supersedes: self
                .supersedes
                .map(|key| Bytes::copy_from_slice(&key))
                .unwrap_or_default(),
            extensions: self
                .extensions
                .iter()
                .map(|extension| wire::Extension {
                    id: extension.id,
                    critical: extension.critical,
                    value: extension.value.clone(),
                })
                .collect(),
        })
    }

    /// Whether it may be accepted at `now`. ENV-4.6, ENV-4.7.
    pub fn check_time(&self, now: Timestamp) -> Result<(), HeaderError> {
        if now >= self.expires {
            return Err(HeaderError::Expired {
                expires: self.expires,
                now,
            });
        }
        if self.created.since_ms(now) > CLOCK_SKEW_MAX_MS {
            return Err(HeaderError::NotYetValid {
                created: self.created,
                now,
            });
        }
        Ok(())
    }

    /// Whether it overtakes bulk at every queue (CUS-6).
    pub fn is_priority(&self) -> bool {
        self.class == Class::Alert || self.urgency == Urgency::High
    }

    // ENV-4.5: a bound on what a node must remember to recognise a duplicate.
    fn check_lifetime(&self) -> Result<(), HeaderError> {
        if self.expires <= self.created {
            return Err(HeaderError::Invalid {
                field: "expires",
                got: self.expires.as_ms(),
            });
        }
        let lifetime_ms = self.expires.since_ms(self.created);
        if lifetime_ms > ENVELOPE_LIFETIME_MAX_MS {
            return Err(HeaderError::LifetimeTooLong { lifetime_ms });
        }
        Ok(())
    }
}

fn time(field: &'static str, ms: u64) -> Result<Timestamp, HeaderError> {
    match ms {
        0 => Err(HeaderError::Missing { field }),
        1..=INTEGER_MAX => Ok(Timestamp::from_ms(ms)),
        got => Err(HeaderError::Invalid { field, got }),
    }
}

fn number<T>(
    field: &'static str,
    number: i32,
    parse: fn(i32) -> Option<T>,
) -> Result<T, HeaderError> {
    match number {
        0 => Err(HeaderError::Missing { field }),
        _ => parse(number).ok_or(HeaderError::Invalid {
            field,
            got: u64::from(number.cast_unsigned()),
        }),
    }
}

fn supersedes(bytes: &[u8]) -> Result<Option<[u8; SUPERSEDES_LEN]>, HeaderError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let key = bytes.try_into().map_err(|_| HeaderError::Invalid {
        field: "supersedes length",
        got: bytes.len() as u64,
    })?;
    Ok(Some(key))
}

// ENV-4.8, ENV-4.9. No extension is registered yet, so every critical one is unknown.
fn extensions(wire: Vec<wire::Extension>) -> Result<Vec<Extension>, HeaderError> {
    if wire.len() > EXTENSIONS_MAX {
        return Err(HeaderError::TooManyExtensions { got: wire.len() });
    }
    let mut extensions: Vec<Extension> = Vec::with_capacity(wire.len());
    for wire::Extension {
        id,
        critical,
        value,
    } in wire
    {
        if value.len() > EXTENSION_VALUE_MAX {
            return Err(HeaderError::ExtensionTooLong {
                id,
                got: value.len(),
            });
        }
        if extensions.last().is_some_and(|previous| previous.id >= id) {
            return Err(HeaderError::ExtensionOrder { id });
        }
        if critical {
            return Err(HeaderError::UnknownCriticalExtension { id });
        }
        extensions.push(Extension {
            id,
            critical,
            value,
        });
    }
    Ok(extensions)
}

#[cfg(test)]
#[path = "header_tests.rs"]
pub(crate) mod tests;
