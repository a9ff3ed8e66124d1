//! Canonical protobuf and the length of frames (SIG-1, SES-2).
//!
//! Bytes come in, a message goes out, or the reason why not. What is accepted encodes to the
//! same bytes again (R1), so that ids and signatures have one form only.

use bytes::Bytes;
use prost::Message;

use crate::code::Code;
use crate::limits;

/// Why bytes are not a canonical message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// SIG-1.1
    #[error("not a {message}: {reason}")]
    Decode {
        message: &'static str,
        reason: String,
    },
    /// SIG-1.2
    #[error("{message} is not canonical: encoded again it differs from the {got} bytes received")]
    NotCanonical { message: &'static str, got: usize },
    /// SIG-1.3
    #[error("{message} has {got} bytes, at most {limit} are allowed")]
    TooLarge {
        message: &'static str,
        got: usize,
        limit: usize,
    },
}

impl CodecError {
    /// The wire code of this refusal.
    pub fn code(&self) -> Code {
        match self {
            Self::Decode { .. } => Code::Decode,
            Self::NotCanonical { .. } => Code::NotCanonical,
            Self::TooLarge { .. } => Code::TooLong,
        }
    }
}

/// Decodes a canonical message of at most `limit` bytes.
///
/// SIG-1.2: prost drops unknown fields, keeps the last of a repeated singular field, accepts
/// overlong varints and any order; encoding again and comparing refuses all of these at once.
pub fn decode_canonical<M: Message + Default + prost::Name>(
    bytes: &Bytes,
    limit: usize,
) -> Result<M, CodecError> {
    let message = M::NAME;
    if bytes.len() > limit {
        return Err(CodecError::TooLarge {
            message,
            got: bytes.len(),
            limit,
        });
    }
    let decoded = M::decode(bytes.clone()).map_err(|error| CodecError::Decode {
        message,
        reason: error.to_string(),
    })?;
    if decoded.encoded_len() != bytes.len() || decoded.encode_to_vec() != bytes[..] {
        return Err(CodecError::NotCanonical {
            message,
            got: bytes.len(),
        });
    }
    Ok(decoded)
}

/// The canonical bytes of a message.
pub fn encode<M: Message>(message: &M) -> Bytes {
    message.encode_to_vec().into()
}

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameError {
    /// SES-2.2
    #[error("frame of {got} bytes, at most {} are allowed", limits::FRAME_MAX)]
    TooLarge { got: u32 },
    /// SES-2.3
    #[error("empty frame")]
    Empty,
    /// SES-2.4
    #[error("the stream ended inside a frame")]
    Truncated,
}

impl FrameError {
    /// The wire code of this refusal.
    pub fn code(self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::FrameTooLarge,
            Self::Empty => Code::FrameEmpty,
            Self::Truncated => Code::Truncated,
        }
    }
}

/// Bytes of the length prefix of a frame. SES-2.1.
pub const FRAME_PREFIX: usize = limits::FRAME_PREFIX_LEN;

/// Checks the length prefix of a frame before anything is allocated for it (SES-2.2).
pub fn frame_len(prefix: [u8; FRAME_PREFIX]) -> Result<usize, FrameError> {
    let got = u32::from_be_bytes(prefix);
    match usize::try_from(got) {
        Ok(0) => Err(FrameError::Empty),
        Ok(length) if length <= limits::FRAME_MAX => Ok(length),
        _ => Err(FrameError::TooLarge { got }),
    }
}

/// The length prefix of a frame body.
pub fn frame_prefix(body: &[u8]) -> Result<[u8; FRAME_PREFIX], FrameError> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    frame_len(length.to_be_bytes())?;
    Ok(length.to_be_bytes())
}

#[cfg(test)]
mod tests;
