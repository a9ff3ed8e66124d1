//! The codes that refusals, receipts and closed connections carry.
//!
//! In: nothing. Out: [`Code`], whose rows are those of `spec/registry/codes.toml`; `tests/registry.rs` compares them both ways (SES-8.1).

use std::fmt;

/// Whose fault a refusal is: what an operator looks at first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Blame {
    /// The bytes are not what they claim to be.
    Malformed,
    /// The peer breaks the protocol, by error or in attack.
    Misbehaved,
    /// Well-formed, but not permitted, or not now.
    Misuse,
    /// This side cannot do it.
    Ours,
}

impl Blame {
    /// As the registry writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Misbehaved => "misbehaved",
            Self::Misuse => "misuse",
            Self::Ours => "ours",
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $blame:ident, $again:ident;)+) => {
        /// Why something was refused. Each variant is a row of `spec/registry/codes.toml`.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u32)]
        pub enum Code {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code with this number on the wire, if this version knows it.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// As the registry, logs and vectors write it: `FRAME_TOO_LARGE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self {
                    $(Self::$variant => Blame::$blame,)+
                }
            }

            const fn again(self) -> Again {
                match self {
                    $(Self::$variant => Again::$again,)+
                }
            }
        }
    };
}

enum Again {
    Retryable,
    Final,
}

codes! {
    // Wire: what any decoder refuses.
    /// A frame announces more than FRAME_MAX bytes. The connection is closed; nothing was allocated.
    FrameTooLarge = 1, "FRAME_TOO_LARGE", Malformed, Final;
    /// A frame announces a length of zero.
    FrameEmpty = 2, "FRAME_EMPTY", Malformed, Final;
    /// The bytes end before the frame, or the stream before the message.
    Truncated = 3, "TRUNCATED", Malformed, Final;
    /// The bytes are not protobuf of the expected type: wire type, nesting, UTF-8, varint over ten bytes.
    Decode = 4, "DECODE", Malformed, Final;
    /// Decoding and encoding again gives other bytes: unknown, repeated or unordered field, overlong varint, default value sent, trailing bytes; or extensions not ascending.
    NotCanonical = 5, "NOT_CANONICAL", Malformed, Final;
    /// A repeated field has more items than its limit.
    TooMany = 6, "TOO_MANY", Malformed, Final;
    /// A text or byte field is longer than its limit.
    TooLong = 7, "TOO_LONG", Malformed, Final;
    /// A required field is absent, an enum is unspecified or a oneof is not set.
    FieldMissing = 8, "FIELD_MISSING", Malformed, Final;
    /// A field is outside its grammar or range: identifier, length, enum number, time, index, text.
    FieldInvalid = 9, "FIELD_INVALID", Malformed, Final;
    /// No version in common, or an object of a version that this implementation does not know.
    UnsupportedVersion = 10, "UNSUPPORTED_VERSION", Malformed, Final;
    /// An extension marked critical is not known here.
    UnknownCriticalExtension = 11, "UNKNOWN_CRITICAL_EXTENSION", Malformed, Final;
    /// A well-formed message that this state of the call or of the handshake does not allow.
    UnexpectedMessage = 12, "UNEXPECTED_MESSAGE", Misbehaved, Final;
    /// The call is not set, or not offered by this server.
    UnsupportedCall = 13, "UNSUPPORTED_CALL", Misuse, Final;
    // Signatures and sealing.
    /// A signature does not verify over this root, size and context.
    BadSignature = 20, "BAD_SIGNATURE", Misbehaved, Final;
    /// A public key is of small order or is not a canonical point.
    WeakKey = 21, "WEAK_KEY", Misbehaved, Final;
    /// No signature is by a key that the directory gives to this signer.
    UnknownKey = 22, "UNKNOWN_KEY", Misuse, Final;
    /// The key is known but was not valid at that time: too early, too late or revoked.
    KeyNotValid = 23, "KEY_NOT_VALID", Misuse, Final;
    /// Index, tree size and path do not fit together.
    BadInclusion = 24, "BAD_INCLUSION", Malformed, Final;
    /// More or fewer signatures than the type demands, or two by one key.
    SignatureCount = 25, "SIGNATURE_COUNT", Malformed, Final;
    /// The sealing suite is not a row of suites.toml, or not one that this implementation has.
    UnknownSuite = 26, "UNKNOWN_SUITE", Misuse, Final;
    /// The sealed body does not open: wrong key, other header, corruption. The cases are not told apart.
    OpenFailed = 27, "OPEN_FAILED", Misbehaved, Final;
    /// The plaintext is not content, 0x80 and zeros up to an allowed size.
    BadPadding = 28, "BAD_PADDING", Misbehaved, Final;
    /// A published example or test key outside development.
    PublishedKey = 29, "PUBLISHED_KEY", Misuse, Final;
    // Trust directory.
    /// The directory names no such authority. Retryable because a directory may be stale.
    UnknownAuthority = 40, "UNKNOWN_AUTHORITY", Misuse, Retryable;
    /// The authority lists no such service. Retryable because a directory may be stale.
    UnknownService = 41, "UNKNOWN_SERVICE", Misuse, Retryable;
    /// The federation has suspended the authority, or the authority its service.
    Suspended = 42, "SUSPENDED", Misuse, Final;
    /// One authority speaks for what belongs to another.
    NotAuthoritative = 43, "NOT_AUTHORITATIVE", Misbehaved, Final;
    /// The directory does not allow this sender this class or importance of envelope.
    ClassNotAllowed = 44, "CLASS_NOT_ALLOWED", Misuse, Final;
    /// This node has no directory in force and refuses rather than trust stale keys.
    DirectoryExpired = 45, "DIRECTORY_EXPIRED", Ours, Retryable;
    /// Trust metadata is older than what is already trusted.
    DirectoryRollback = 46, "DIRECTORY_ROLLBACK", Misbehaved, Final;
    /// Trust metadata fails its signatures, thresholds, hashes, sizes or grammar.
    DirectoryInvalid = 47, "DIRECTORY_INVALID", Misbehaved, Final;
    /// The recipient home is not allowed to host citizens.
    CannotHost = 48, "CANNOT_HOST", Misuse, Final;
    // Envelope.
    /// The expiry has passed.
    Expired = 60, "EXPIRED", Misuse, Final;
    /// Created further in the future than the allowed clock skew.
    NotYetValid = 61, "NOT_YET_VALID", Misuse, Retryable;
    /// The expiry is further from the creation than allowed.
    LifetimeTooLong = 62, "LIFETIME_TOO_LONG", Misuse, Final;
    /// The sender in the header, the signer and the authenticated peer do not agree.
    SenderMismatch = 63, "SENDER_MISMATCH", Misbehaved, Final;
    /// A signed envelope, its header or its sealed body is over its limit.
    EnvelopeTooLarge = 64, "ENVELOPE_TOO_LARGE", Malformed, Final;
    // Custody.
    /// This node is neither the origin nor the home of the envelope: a loop or a misrouting.
    WrongHome = 80, "WRONG_HOME", Misbehaved, Final;
    /// A batch sequence number is not the one expected.
    Sequence = 81, "SEQUENCE", Misbehaved, Final;
    /// More unacknowledged batches than the server granted.
    TooManyInFlight = 82, "TOO_MANY_IN_FLIGHT", Misbehaved, Final;
    /// An acknowledgement does not fit what was sent: range, count, outcome or signature.
    AckMismatch = 83, "ACK_MISMATCH", Misbehaved, Final;
    /// The quota of this peer, sender or mailbox is used up.
    QuotaExceeded = 84, "QUOTA_EXCEEDED", Misuse, Retryable;
    /// No room at this time: queue, pool or disk. Nothing was accepted.
    Overloaded = 85, "OVERLOADED", Ours, Retryable;
    /// The node drains. Nothing was accepted.
    ShuttingDown = 86, "SHUTTING_DOWN", Ours, Retryable;
    /// In an undeliverable receipt: the home was not reached before the expiry.
    Unreachable = 87, "UNREACHABLE", Ours, Final;
    /// The stored record failed its hash and was put aside.
    Damaged = 88, "DAMAGED", Ours, Final;
    /// In an undeliverable receipt: delivery failed POISON_TRIES_MAX times without a refusal by the home.
    SetAside = 89, "SET_ASIDE", Ours, Final;
    /// For WITNESS_FRESH_MS not enough witnesses have cosigned this node's log; it takes nothing new in.
    Unwitnessed = 90, "UNWITNESSED", Ours, Retryable;
    // Mailbox and account.
    /// The home keeps no such mailbox.
    UnknownMailbox = 100, "UNKNOWN_MAILBOX", Misuse, Final;
    /// The citizen closed the mailbox.
    MailboxClosed = 101, "MAILBOX_CLOSED", Misuse, Final;
    /// The mailbox was granted to another authority, or not for this class.
    NotGranted = 102, "NOT_GRANTED", Misuse, Final;
    /// The mailbox holds as much as it may.
    MailboxFull = 103, "MAILBOX_FULL", Misuse, Retryable;
    /// The one-time invitation was used before.
    InvitationUsed = 104, "INVITATION_USED", Misuse, Final;
    /// The invitation is past its time.
    InvitationExpired = 105, "INVITATION_EXPIRED", Misuse, Final;
    /// The device key belongs to no account of this home.
    UnknownDevice = 106, "UNKNOWN_DEVICE", Misuse, Final;
    /// The device key already belongs to an account of this home.
    AlreadyEnrolled = 107, "ALREADY_ENROLLED", Misuse, Final;
    /// No envelope with this id for this asker.
    UnknownEnvelope = 108, "UNKNOWN_ENVELOPE", Misuse, Final;
    /// A grant older than the one already pinned, or by another identity key.
    StaleGrant = 109, "STALE_GRANT", Misuse, Final;
    // Session.
    /// The session proof is not for this nonce, server or versions, or not by a key that may hold this name.
    AuthFailed = 120, "AUTH_FAILED", Misbehaved, Final;
    /// The authenticated role may not make this call.
    RoleNotAllowed = 121, "ROLE_NOT_ALLOWED", Misuse, Final;
    /// The handshake did not finish in HANDSHAKE_TIMEOUT_MS.
    HandshakeTimeout = 122, "HANDSHAKE_TIMEOUT", Misbehaved, Retryable;
    /// A frame, a call or a reader did not progress within its time.
    TooSlow = 123, "TOO_SLOW", Misbehaved, Retryable;
    /// The cap per address, per key or in total is reached.
    TooManyConnections = 124, "TOO_MANY_CONNECTIONS", Misuse, Retryable;
    /// More calls at once than the role may have.
    TooManyCalls = 125, "TOO_MANY_CALLS", Misuse, Retryable;
    /// The peer sent too much that is malformed or falsely signed; the connection is closed.
    PeerCut = 126, "PEER_CUT", Misbehaved, Retryable;
    /// The server key is not the pinned one, or not the one of the TLS certificate. Raised by a dialler.
    ServerKeyMismatch = 127, "SERVER_KEY_MISMATCH", Misbehaved, Final;
    /// Nothing was heard for IDLE_TIMEOUT_MS.
    IdleTimeout = 128, "IDLE_TIMEOUT", Misuse, Retryable;
    // Ours.
    /// A fault of this implementation. The detail names no secret.
    Internal = 140, "INTERNAL", Ours, Retryable;
}

impl Code {
    /// As it stands on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The code of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Whether the same bytes may be accepted later. A relay sets aside what is not retryable and goes on.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self.again(), Again::Retryable)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
