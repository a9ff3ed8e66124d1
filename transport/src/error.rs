//! What can go wrong, one enum per operation, sorted by blame. Each knows its wire code.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use pli_protocol::code::Code;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::session::SessionRefusal;

use crate::connection::Via;

/// A code that a peer gave when it reset a stream or closed a connection; 0 means that it
/// simply gave up or was done.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PeerCode(u64);

impl PeerCode {
    /// From the wire.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The row of the registry, if this version knows it.
    pub fn known(self) -> Option<Code> {
        u32::try_from(self.0).ok().and_then(Code::from_number)
    }

    /// As it stood on the wire.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for PeerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known() {
            Some(code) => code.fmt(f),
            None => write!(f, "code {}", self.0),
        }
    }
}

/// Why a connection is no more.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Lost {
    /// The peer closed it.
    #[error("closed by the peer with {code}: {reason:?}")]
    ClosedByPeer { code: PeerCode, reason: String },
    /// This side closed it.
    #[error("closed by this side")]
    ClosedHere,
    /// Nothing was heard for `IDLE_TIMEOUT_MS`.
    #[error("nothing heard within the idle time")]
    Idle,
    /// The connection broke, or the peer broke the rules of QUIC, TLS, WebSocket or yamux.
    #[error("connection fault: {detail}")]
    Fault { detail: String },
}

impl Lost {
    /// The wire code; `None` where nobody gave a reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::ClosedByPeer { code, .. } => code.known(),
            Self::Idle => Some(Code::IdleTimeout),
            Self::ClosedHere | Self::Fault { .. } => None,
        }
    }
}

/// Why a call was not opened.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    // Misbehaved.
    /// SES-5.2: as many calls are open as may be, or the server says so.
    #[error("the server granted no call within {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    /// The whole connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl OpenError {
    /// The wire code; `None` where nobody gave a reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::TimedOut { .. } => Some(Code::TooSlow),
            Self::Lost(lost) => lost.code(),
        }
    }
}

/// Why no further frame can be read from a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecvError {
    // Malformed.
    /// SES-2.2: the call is cut before anything is allocated.
    #[error("frame of {got} bytes, at most {limit} are allowed")]
    TooLarge { got: u32, limit: usize },
    /// SES-2.3
    #[error("empty frame")]
    Empty,
    /// SES-2.4
    #[error("the stream ended after {got} bytes of a frame")]
    Truncated { got: usize },
    // Misbehaved.
    /// A frame began and did not end in its time.
    #[error("a frame took longer than {limit_ms} ms")]
    TooSlow { limit_ms: u64 },
    /// The peer gave the call up.
    #[error("the peer reset the call with {code}")]
    Reset { code: PeerCode },
    /// The whole connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl RecvError {
    /// The wire code; `None` where the peer gave no reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::TooLarge { .. } => Some(Code::FrameTooLarge),
            Self::Empty => Some(Code::FrameEmpty),
            Self::Truncated { .. } => Some(Code::Truncated),
            Self::TooSlow { .. } => Some(Code::TooSlow),
            Self::Reset { code } => code.known(),
            Self::Lost(lost) => lost.code(),
        }
    }
}

/// Why a frame cannot be sent on a call.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    // Misuse by this side's own code.
    /// SES-2.2
    #[error("frame of {got} bytes, at most {limit} are allowed")]
    TooLarge { got: usize, limit: usize },
    /// SES-2.3
    #[error("empty frame")]
    Empty,
    /// The call was finished or reset before.
    #[error("this side has already ended the call")]
    Ended,
    // Misbehaved.
    /// The peer does not take what it is sent.
    #[error("the peer did not take a frame within {limit_ms} ms")]
    TooSlow { limit_ms: u64 },
    /// The peer does not want the rest.
    #[error("the peer stopped the call with {code}")]
    Stopped { code: PeerCode },
    /// The whole connection is gone.
    #[error(transparent)]
    Lost(#[from] Lost),
}

impl SendError {
    /// The wire code; `None` where the peer gave no reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::TooLarge { .. } => Some(Code::FrameTooLarge),
            Self::Empty => Some(Code::FrameEmpty),
            Self::Ended => Some(Code::Internal),
            Self::TooSlow { .. } => Some(Code::TooSlow),
            Self::Stopped { code } => code.known(),
            Self::Lost(lost) => lost.code(),
        }
    }
}

/// Why an incoming connection did not become a session.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandshakeError {
    // Malformed or misbehaved.
    /// The dialler did not prove who it is, or may not come in.
    #[error(transparent)]
    Refused(#[from] SessionRefusal),
    /// A frame of the handshake could not be read.
    #[error("in the handshake: {0}")]
    Recv(#[from] RecvError),
    /// A frame of the handshake could not be sent.
    #[error("in the handshake: {0}")]
    Send(#[from] SendError),
    /// TLS or HTTP below the session failed.
    #[error("below the session: {0}")]
    Lost(#[from] Lost),
    /// SES-4.1
    #[error("the handshake did not finish within {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    // Nobody's fault.
    /// SES-5.5
    #[error("too many unfinished handshakes: this one gave way to another")]
    GaveWay,
    /// A plain HTTP request on the shared port: handed over, or answered with 404.
    #[error("an HTTP request, not a session")]
    PlainHttp,
}

impl HandshakeError {
    /// The wire code; `None` where nothing was refused.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code()),
            Self::Recv(error) => error.code(),
            Self::Send(error) => error.code(),
            Self::Lost(lost) => lost.code(),
            Self::TimedOut { .. } => Some(Code::HandshakeTimeout),
            Self::GaveWay => Some(Code::TooManyConnections),
            Self::PlainHttp => None,
        }
    }
}

/// Why one way to a server failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AttemptError {
    // Misbehaved.
    /// SES-1.2: whoever answers there is not the server.
    #[error("the server shows the key {got}, expected {}", any_of(expected))]
    ServerKey {
        got: Box<PublicKey>,
        expected: Arc<[PublicKey]>,
    },
    /// The certificate is none that a Pli node makes.
    #[error("the server shows no Ed25519 key, expected {}", any_of(expected))]
    NotANode { expected: Arc<[PublicKey]> },
    /// The session was refused, by the server or by this side.
    #[error(transparent)]
    Refused(#[from] SessionRefusal),
    // The network's.
    /// The handshake broke off.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// No answer in time.
    #[error("no session within {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    // Ours.
    /// Not tried at all.
    #[error(transparent)]
    NotDialled(#[from] NotDialled),
    /// The operating system gave no socket.
    #[error("no socket: {detail}")]
    Socket { detail: String },
}

impl AttemptError {
    /// The wire code; `None` where nobody gave a reason.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::ServerKey { .. } | Self::NotANode { .. } => Some(Code::ServerKeyMismatch),
            Self::Refused(refusal) => Some(refusal.code()),
            Self::Lost(lost) => lost.code(),
            Self::TimedOut { .. } => Some(Code::HandshakeTimeout),
            Self::NotDialled(_) => None,
            Self::Socket { .. } => Some(Code::Internal),
        }
    }
}

fn any_of(keys: &[PublicKey]) -> String {
    match keys {
        [] => "none".to_owned(),
        [key] => key.to_string(),
        [first, others @ ..] => format!("{first} or one of {} others", others.len()),
    }
}

/// Why an address is not dialled. SES-1.8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotDialled {
    /// No node can be there.
    #[error("not dialled: such an address is {kind}")]
    Never { kind: &'static str },
    /// Somebody else's machine may be there.
    #[error("not dialled: the address is {kind}, and private_networks does not list its network")]
    NotListed { kind: &'static str },
}

/// One way that was tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// By QUIC or by WebSocket.
    pub via: Via,
    /// Where to.
    pub address: SocketAddr,
    /// What came of it.
    pub error: AttemptError,
}

/// Why there is no connection to a server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing to dial.
    #[error("the server has no endpoint")]
    NoEndpoint,
    /// SES-1.2: nothing to expect of whoever answers.
    #[error("the server has no key")]
    NoKey,
    /// The real server said no; another way would not change that.
    #[error(transparent)]
    Refused(SessionRefusal),
    /// Every way failed; in the order in which they did.
    #[error("no way to the server: {}", ways(attempts))]
    Unreachable { attempts: Vec<Attempt> },
}

impl ConnectError {
    /// The wire code: the refusal's, or the first reason among the ways tried.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::NoEndpoint | Self::NoKey => None,
            Self::Refused(refusal) => Some(refusal.code()),
            Self::Unreachable { attempts } => {
                attempts.iter().find_map(|attempt| attempt.error.code())
            }
        }
    }
}

fn ways(attempts: &[Attempt]) -> String {
    let ways: Vec<String> = attempts
        .iter()
        .map(|way| format!("{} to {}: {}", way.via, way.address, way.error))
        .collect();
    ways.join("; ")
}

/// Why this side cannot listen or dial at all. Always ours.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BindError {
    /// The operating system refused the address.
    #[error("cannot bind {address}: {detail}")]
    Socket { address: SocketAddr, detail: String },
    /// The key does not make a certificate.
    #[error("cannot make the certificate: {detail}")]
    Certificate { detail: String },
}

impl From<quinn::ConnectionError> for Lost {
    fn from(error: quinn::ConnectionError) -> Self {
        match error {
            quinn::ConnectionError::ApplicationClosed(close) => Self::ClosedByPeer {
                code: PeerCode(close.error_code.into_inner()),
                reason: String::from_utf8_lossy(&close.reason).into_owned(),
            },
            quinn::ConnectionError::LocallyClosed => Self::ClosedHere,
            quinn::ConnectionError::TimedOut => Self::Idle,
            other => Self::Fault {
                detail: other.to_string(),
            },
        }
    }
}

impl From<quinn::ReadError> for RecvError {
    fn from(error: quinn::ReadError) -> Self {
        match error {
            quinn::ReadError::Reset(code) => Self::Reset {
                code: PeerCode(code.into_inner()),
            },
            quinn::ReadError::ConnectionLost(error) => Self::Lost(error.into()),
            other => Self::Lost(Lost::Fault {
                detail: other.to_string(),
            }),
        }
    }
}

impl From<quinn::WriteError> for SendError {
    fn from(error: quinn::WriteError) -> Self {
        match error {
            quinn::WriteError::Stopped(code) => Self::Stopped {
                code: PeerCode(code.into_inner()),
            },
            quinn::WriteError::ConnectionLost(error) => Self::Lost(error.into()),
            quinn::WriteError::ClosedStream => Self::Ended,
            other => Self::Lost(Lost::Fault {
                detail: other.to_string(),
            }),
        }
    }
}
