//! One call on a connection: its first frame, then replies. Spec: SES-7.

use std::time::Duration;

use bytes::Bytes;
use pli_protocol::code::Code;
use pli_protocol::codec::{self, CodecError};
use pli_protocol::limits;
use pli_protocol::session::Refusal;
use pli_protocol::wire;
use pli_transport::{
    CallStream, DialledConnection, FrameReader, Lost, OpenError, RecvError, SendError,
};
use tokio::time::timeout;

/// Why a call had no good end.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The node said no.
    #[error("the node refused: {}", refusal_text(.0))]
    Refused(Box<Refusal>),
    /// The node broke the protocol.
    #[error("the node sent {got} where {expected} was due")]
    Unexpected {
        got: &'static str,
        expected: &'static str,
    },
    /// The node broke the protocol.
    #[error("the node's reply: {0}")]
    Malformed(#[from] CodecError),
    /// The node ended the call too early.
    #[error("the node ended the call without {expected}")]
    Ended { expected: &'static str },
    /// The node is silent.
    #[error("no reply within {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    /// The way there.
    #[error("sending: {0}")]
    Send(#[from] SendError),
    /// The way back.
    #[error("receiving: {0}")]
    Recv(#[from] RecvError),
    /// Both.
    #[error("the connection: {0}")]
    Lost(#[from] Lost),
}

impl CallError {
    /// The code, where somebody gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Unexpected { .. } | Self::Ended { .. } => Some(Code::UnexpectedMessage),
            Self::Malformed(error) => Some(error.code()),
            Self::TimedOut { .. } => Some(Code::TooSlow),
            Self::Send(error) => error.code(),
            Self::Recv(error) => error.code(),
            Self::Lost(error) => error.code(),
        }
    }

    /// Whether the same call may succeed a little later, on a new connection.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code().is_some_and(Code::retryable),
            Self::Unexpected { .. } | Self::Malformed(_) => false,
            Self::Ended { .. } | Self::TimedOut { .. } => true,
            Self::Send(error) => !matches!(error, SendError::TooLarge { .. } | SendError::Empty),
            Self::Recv(RecvError::TooLarge { .. } | RecvError::Empty) => false,
            Self::Recv(_) | Self::Lost(_) => true,
        }
    }
}

impl From<OpenError> for CallError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::TimedOut { limit_ms } => Self::TimedOut { limit_ms },
            OpenError::Lost(lost) => Self::Lost(lost),
        }
    }
}

/// Opens a call and sends its first frame.
pub(crate) async fn open(
    connection: &DialledConnection,
    kind: wire::call::Kind,
) -> Result<CallStream, CallError> {
    let mut stream = connection.open_call().await?;
    stream
        .send
        .send_message(&wire::Call { kind: Some(kind) })
        .await?;
    Ok(stream)
}

/// A call of one answer.
pub(crate) async fn ask(
    connection: &DialledConnection,
    kind: wire::call::Kind,
    expected: &'static str,
) -> Result<wire::call_reply::Kind, CallError> {
    let mut stream = open(connection, kind).await?;
    stream.send.finish().await?;
    within(limits::REPLY_TIMEOUT_MS, next(&mut stream.recv))
        .await?
        .ok_or(CallError::Ended { expected })
}

/// The next reply; `None` where the node ended the call. A refusal is an error. Cancel-safe.
pub(crate) async fn next(
    replies: &mut FrameReader,
) -> Result<Option<wire::call_reply::Kind>, CallError> {
    match replies.next().await? {
        None => Ok(None),
        Some(frame) => read(&frame).map(Some),
    }
}

fn read(frame: &Bytes) -> Result<wire::call_reply::Kind, CallError> {
    let reply: wire::CallReply = codec::decode_canonical(frame, limits::FRAME_MAX)?;
    match reply.kind {
        None => Err(CallError::Unexpected {
            got: "an empty reply",
            expected: "an answer",
        }),
        Some(wire::call_reply::Kind::Refusal(refusal)) => match Refusal::from_wire(&refusal) {
            Ok(refusal) => Err(CallError::Refused(Box::new(refusal))),
            Err(_) => Err(CallError::Unexpected {
                got: "a malformed refusal",
                expected: "an answer",
            }),
        },
        Some(kind) => Ok(kind),
    }
}

/// What a reply is, for an error.
pub(crate) fn name(kind: &wire::call_reply::Kind) -> &'static str {
    use wire::call_reply::Kind;
    match kind {
        Kind::Refusal(_) => "a refusal",
        Kind::Ack(_) => "an acknowledgement",
        Kind::Track(_) => "a track",
        Kind::Page(_) => "a page",
        Kind::Enrolled(_) => "an enrolment",
        Kind::Done(_) => "done",
        Kind::Trust(_) => "a file of the directory",
        Kind::Evidence(_) => "evidence",
    }
}

pub(crate) async fn within<T>(
    limit_ms: u64,
    what: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    timeout(Duration::from_millis(limit_ms), what)
        .await
        .unwrap_or(Err(CallError::TimedOut { limit_ms }))
}

/// A refusal on one line: the code's name, and what the node says for a human. The text comes from
/// the network; whoever shows it on a terminal neutralises it (case 61).
pub fn refusal_text(refusal: &Refusal) -> String {
    let name = match refusal.code() {
        Some(code) => code.to_string(),
        None => format!("code {}", refusal.number()),
    };
    match refusal.detail() {
        "" => name,
        detail => format!("{name}: {detail}"),
    }
}
