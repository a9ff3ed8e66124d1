//! Events: what happened to one envelope, under the names of ETSI EN 319 522-1 (EVD-1).

use bytes::Bytes;

use crate::code::Code;
use crate::codec::{self, CodecError};
use crate::crypto::contexts;
use crate::id::{AuthorityId, EnvelopeId, IdError, Timestamp};
use crate::limits::{EVENT_MAX, INTEGER_MAX};
use crate::merkle::Hash;
use crate::signed::leaf_hash;
use crate::wire;

/// The version of events that this implementation writes and reads.
const VERSION: u32 = 1;

/// Why bytes are not an event.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EventError {
    /// EVD-1.1
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// EVD-1.1
    #[error("event version {got}, expected {VERSION}")]
    UnsupportedVersion { got: u32 },
    /// EVD-1.2
    #[error(transparent)]
    Name(#[from] IdError),
    /// EVD-1.2
    #[error("the event's {field} is {got}, which is not allowed")]
    Invalid { field: &'static str, got: u64 },
}

impl EventError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Codec(error) => error.code(),
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::Name(error) => error.code(),
            Self::Invalid { .. } => Code::FieldInvalid,
        }
    }
}

/// What happened, by the names of ETSI EN 319 522-1. EVD-1.3.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// The origin has taken the letter from its service.
    SubmissionAcceptance,
    /// The origin refused it.
    SubmissionRejection(Code),
    /// The home has taken it from the origin.
    RelayAcceptance,
    /// The home refused it.
    RelayRejection(Code),
    /// The origin gave up.
    RelayFailure(Code),
    /// The home told a device that there is a letter.
    NotificationForAcceptance,
    /// It is in the citizen's mailbox.
    ContentConsignment,
    /// The home could not put it there.
    ContentConsignmentFailure(Code),
    /// A device of the citizen said, signed, that it has it.
    ContentHandover,
    /// Nobody took it from the mailbox in time.
    ContentHandoverFailure(Code),
}

impl EventKind {
    /// The name in ETSI EN 319 522-1.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SubmissionAcceptance => "SubmissionAcceptance",
            Self::SubmissionRejection(_) => "SubmissionRejection",
            Self::RelayAcceptance => "RelayAcceptance",
            Self::RelayRejection(_) => "RelayRejection",
            Self::RelayFailure(_) => "RelayFailure",
            Self::NotificationForAcceptance => "NotificationForAcceptance",
            Self::ContentConsignment => "ContentConsignment",
            Self::ContentConsignmentFailure(_) => "ContentConsignmentFailure",
            Self::ContentHandover => "ContentHandover",
            Self::ContentHandoverFailure(_) => "ContentHandoverFailure",
        }
    }

    /// Whether it is the word of the sender's own node; otherwise it is that of the recipient's home. EVD-1.5.
    pub const fn is_of_origin(self) -> bool {
        matches!(
            self,
            Self::SubmissionAcceptance | Self::SubmissionRejection(_) | Self::RelayFailure(_)
        )
    }

    /// Why something failed; `None` where nothing did.
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::SubmissionRejection(code)
            | Self::RelayRejection(code)
            | Self::RelayFailure(code)
            | Self::ContentConsignmentFailure(code)
            | Self::ContentHandoverFailure(code) => Some(code),
            Self::SubmissionAcceptance
            | Self::RelayAcceptance
            | Self::NotificationForAcceptance
            | Self::ContentConsignment
            | Self::ContentHandover => None,
        }
    }

    fn to_wire(self) -> wire::EventKind {
        match self {
            Self::SubmissionAcceptance => wire::EventKind::SubmissionAcceptance,
            Self::SubmissionRejection(_) => wire::EventKind::SubmissionRejection,
            Self::RelayAcceptance => wire::EventKind::RelayAcceptance,
            Self::RelayRejection(_) => wire::EventKind::RelayRejection,
            Self::RelayFailure(_) => wire::EventKind::RelayFailure,
            Self::NotificationForAcceptance => wire::EventKind::NotificationForAcceptance,
            Self::ContentConsignment => wire::EventKind::ContentConsignment,
            Self::ContentConsignmentFailure(_) => wire::EventKind::ContentConsignmentFailure,
            Self::ContentHandover => wire::EventKind::ContentHandover,
            Self::ContentHandoverFailure(_) => wire::EventKind::ContentHandoverFailure,
        }
    }

    // EVD-1.2: a code exactly where something failed. One that this version does not know would not encode to the same
    // bytes again, so it is no event for it.
    fn from_wire(kind: i32, code: u32) -> Result<Self, EventError> {
        let invalid = |field, got| EventError::Invalid { field, got };
        let bad_kind = || invalid("kind", u64::from(kind.cast_unsigned()));
        let known = wire::EventKind::try_from(kind).map_err(|_| bad_kind())?;
        let bad_code = || invalid("code", u64::from(code));
        let why = || Code::from_number(code).ok_or_else(bad_code);
        let kind = match known {
            wire::EventKind::Unspecified => return Err(bad_kind()),
            wire::EventKind::SubmissionAcceptance => Self::SubmissionAcceptance,
            wire::EventKind::SubmissionRejection => Self::SubmissionRejection(why()?),
            wire::EventKind::RelayAcceptance => Self::RelayAcceptance,
            wire::EventKind::RelayRejection => Self::RelayRejection(why()?),
            wire::EventKind::RelayFailure => Self::RelayFailure(why()?),
            wire::EventKind::NotificationForAcceptance => Self::NotificationForAcceptance,
            wire::EventKind::ContentConsignment => Self::ContentConsignment,
            wire::EventKind::ContentConsignmentFailure => Self::ContentConsignmentFailure(why()?),
            wire::EventKind::ContentHandover => Self::ContentHandover,
            wire::EventKind::ContentHandoverFailure => Self::ContentHandoverFailure(why()?),
        };
        if kind.code().is_none() && code != 0 {
            return Err(bad_code());
        }
        Ok(kind)
    }
}

/// One thing that happened to one envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// Whose node says so, in whose log.
    pub node: AuthorityId,
    /// To which envelope.
    pub envelope: EnvelopeId,
    /// When, by that node's clock; the time of the receipt, where there is one.
    pub at: Timestamp,
}

impl Event {
    /// The exact bytes. EVD-1.1.
    pub fn encode(&self) -> Bytes {
        codec::encode(&wire::Event {
            version: VERSION,
            kind: self.kind.to_wire().into(),
            node: self.node.as_str().into(),
            envelope_id: Bytes::copy_from_slice(self.envelope.as_bytes()),
            at_ms: self.at.as_ms(),
            code: self.kind.code().map_or(0, Code::number),
        })
    }

    /// Reads the exact bytes of an event.
    pub fn decode(encoded: &Bytes) -> Result<Self, EventError> {
        let wire: wire::Event = codec::decode_canonical(encoded, EVENT_MAX)?;
        if wire.version != VERSION {
            return Err(EventError::UnsupportedVersion { got: wire.version });
        }
        if wire.at_ms == 0 || wire.at_ms > INTEGER_MAX {
            return Err(EventError::Invalid {
                field: "time",
                got: wire.at_ms,
            });
        }
        Ok(Self {
            kind: EventKind::from_wire(wire.kind, wire.code)?,
            node: AuthorityId::new(&wire.node)?,
            envelope: EnvelopeId::from_slice(&wire.envelope_id)?,
            at: Timestamp::from_ms(wire.at_ms),
        })
    }

    /// The leaf in the tree of its batch. EVD-1.4.
    pub fn leaf(&self) -> Hash {
        leaf_hash(contexts::EVENT, &self.encode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [EventKind; 10] = [
        EventKind::SubmissionAcceptance,
        EventKind::SubmissionRejection(Code::BadSignature),
        EventKind::RelayAcceptance,
        EventKind::RelayRejection(Code::UnknownMailbox),
        EventKind::RelayFailure(Code::Unreachable),
        EventKind::NotificationForAcceptance,
        EventKind::ContentConsignment,
        EventKind::ContentConsignmentFailure(Code::MailboxFull),
        EventKind::ContentHandover,
        EventKind::ContentHandoverFailure(Code::Expired),
    ];

    fn event(kind: EventKind) -> Event {
        Event {
            kind,
            node: "social.gouv.fr".parse().unwrap(),
            envelope: EnvelopeId::new([6; 32]),
            at: Timestamp::from_ms(1_800_000_000_000),
        }
    }

    fn refused(edit: impl FnOnce(&mut wire::Event)) -> Code {
        let encoded = event(EventKind::ContentHandover).encode();
        let mut wire: wire::Event = codec::decode_canonical(&encoded, EVENT_MAX).unwrap();
        edit(&mut wire);
        let error = Event::decode(&codec::encode(&wire)).expect_err("must be refused");
        error.code()
    }

    #[test]
    fn evd_1_1_an_event_reads_back() {
        for kind in KINDS {
            let encoded = event(kind).encode();
            assert!(encoded.len() <= EVENT_MAX);
            assert_eq!(Event::decode(&encoded), Ok(event(kind)));
        }
    }

    #[test]
    fn evd_1_2_what_an_event_may_not_say() {
        assert_eq!(refused(|e| e.version = 2), Code::UnsupportedVersion);
        assert_eq!(refused(|e| e.kind = 0), Code::FieldInvalid);
        assert_eq!(refused(|e| e.kind = 11), Code::FieldInvalid);
        assert_eq!(refused(|e| e.node = "Social".into()), Code::FieldInvalid);
        assert_eq!(
            refused(|e| e.envelope_id = Bytes::new()),
            Code::FieldInvalid
        );
        assert_eq!(refused(|e| e.at_ms = 0), Code::FieldInvalid);
        assert_eq!(refused(|e| e.at_ms = INTEGER_MAX + 1), Code::FieldInvalid);
        assert_eq!(refused(|e| e.code = 1), Code::FieldInvalid);
        let failed = |e: &mut wire::Event| e.kind = wire::EventKind::RelayFailure.into();
        assert_eq!(refused(failed), Code::FieldInvalid);
    }

    #[test]
    fn evd_1_4_leaves_differ_with_everything_that_an_event_says() {
        let mut leaves: Vec<Hash> = KINDS.iter().map(|kind| event(*kind).leaf()).collect();
        let other = event(EventKind::ContentHandover);
        leaves.push(
            Event {
                node: "interieur.gouv.fr".parse().unwrap(),
                ..other.clone()
            }
            .leaf(),
        );
        leaves.push(
            Event {
                at: other.at.plus_ms(1),
                ..other
            }
            .leaf(),
        );
        leaves.sort_unstable();
        leaves.dedup();
        assert_eq!(leaves.len(), 12);
    }
}
