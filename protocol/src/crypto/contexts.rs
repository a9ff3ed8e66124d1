//! Every separation string of the protocol, in one place (SIG-2.1, `spec/registry/contexts.toml`).
//!
//! A signature, a leaf or a key made under one of them means nothing under another.

use crate::limits;

/// What a signed object is. Its string opens each leaf and each signed message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Context(&'static str);

impl Context {
    /// The string, without the zero byte that ends it in a hash.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The longest `Signed` of this context, in bytes. SIG-1.3.
    pub fn signed_max(self) -> usize {
        match self {
            ENVELOPE => limits::ENVELOPE_MAX,
            RECEIPT => limits::RECEIPT_MAX,
            _ => limits::SIGNED_OBJECT_MAX,
        }
    }

    /// The context of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.into_iter().find(|context| context.0 == name)
    }
}

/// A letter: header and sealed body.
pub const ENVELOPE: Context = Context("pli/1/envelope");
/// What a node says that happened to an envelope.
pub const RECEIPT: Context = Context("pli/1/receipt");
/// The dialler's proof of who it is.
pub const SESSION: Context = Context("pli/1/session");
/// A home's one-time permission to enrol.
pub const INVITATION: Context = Context("pli/1/invitation");
/// A device's use of an invitation.
pub const ENROLMENT: Context = Context("pli/1/enrolment");
/// A citizen's permission to be written to by one authority.
pub const GRANT: Context = Context("pli/1/grant");
/// A device's statement that it has an envelope.
pub const HANDOVER: Context = Context("pli/1/handover");
/// A leaf of a batch of a node's log. Nobody signs one alone.
pub const EVENT: Context = Context("pli/1/event");

/// Every signed type.
pub const ALL: [Context; 8] = [
    ENVELOPE, RECEIPT, SESSION, INVITATION, ENROLMENT, GRANT, HANDOVER, EVENT,
];

/// HPKE `info` of the sealing (ENV-6.2).
pub const SEAL_INFO: &[u8] = b"pli/1/seal";
/// HKDF `info` prefix of the identity key for one authority (MBX-3.3).
pub const PAIRWISE_IDENTITY: &[u8] = b"pli/1/pairwise-identity";
/// HKDF `info` prefix of the sealing key for one authority (MBX-3.4).
pub const PAIRWISE_SEALING: &[u8] = b"pli/1/pairwise-sealing";
