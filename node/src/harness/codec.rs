//! Level 0: frames, canonical form, names.

use bytes::Bytes;
use pli_protocol::codec::{self, FRAME_PREFIX, FrameError};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::{AuthorityId, MailboxAddress, ServiceId};
use pli_protocol::{limits, wire};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

/// SES-2: a whole stream, cut into frames.
pub(super) fn frame_decode(input: &Input) -> Result<Output, Fault> {
    let mut rest = input.bytes("bytes")?;
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        let prefix = rest
            .first_chunk::<FRAME_PREFIX>()
            .ok_or(FrameError::Truncated)?;
        let length = codec::frame_len(*prefix)?;
        if rest.len() < FRAME_PREFIX + length {
            return Err(FrameError::Truncated.into());
        }
        let frame = rest.split_to(FRAME_PREFIX + length);
        bodies.push(hexadecimal(&frame[FRAME_PREFIX..]));
    }
    Ok(output([("bodies", Value::from(bodies))]))
}

pub(super) fn frame_encode(input: &Input) -> Result<Output, Fault> {
    let body = input.bytes("body")?;
    let prefix = codec::frame_prefix(&body)?;
    Ok(output([(
        "bytes",
        hexadecimal(&[&prefix[..], &body].concat()),
    )]))
}

/// SIG-1: decoded, encoded again, compared.
pub(super) fn canonical_check(input: &Input) -> Result<Output, Fault> {
    let bytes = input.bytes("bytes")?;
    let name = input.text("type")?;
    let check = CANONICAL
        .iter()
        .find_map(|(known, check)| (*known == name).then_some(check))
        .ok_or_else(|| Fault::Request(format!("type: {name} is not a message of spec/proto")))?;
    check(&bytes)?;
    Ok(Output::new())
}

type Check = fn(&Bytes) -> Result<(), codec::CodecError>;

macro_rules! canonical {
    ($($name:ident),+ $(,)?) => {
        &[$((stringify!($name), |bytes| {
            codec::decode_canonical::<wire::$name>(bytes, limits::FRAME_MAX).map(drop)
        })),+]
    };
}

const CANONICAL: &[(&str, Check)] = canonical!(
    AckBatch,
    Call,
    CallReply,
    Content,
    DiallerHello,
    Disposition,
    Enrolment,
    Envelope,
    EnvelopeBatch,
    Extension,
    Grant,
    Handover,
    HandoverReceipt,
    Header,
    Inclusion,
    Invitation,
    MailboxAddress,
    Receipt,
    Refusal,
    Sealed,
    ServerHello,
    SessionProof,
    SessionReply,
    Signature,
    Signed,
    SyncItem,
    SyncPage,
    Track,
    Trust,
    TrustFile,
    Welcome,
);

/// ENV-2, SIG-4.4
pub(super) fn id_parse(input: &Input) -> Result<Output, Fault> {
    let text = input.text("text")?;
    let parsed = match input.text("kind")? {
        "authority" => text.parse::<AuthorityId>()?.to_string(),
        "service" => text.parse::<ServiceId>()?.to_string(),
        "mailbox" => text.parse::<MailboxAddress>()?.to_string(),
        "key" => text.parse::<PublicKey>()?.to_string(),
        other => {
            return Err(Fault::Request(format!(
                "kind: {other} is not a kind of name"
            )));
        }
    };
    Ok(output([("text", Value::from(parsed))]))
}
