//! The last word of the handshake: [`Welcome`] or [`Refusal`]. A refusal has the same form in
//! every answer of every call. Spec: SES-3.6.

use std::fmt;

use bytes::Bytes;

use super::SessionRefusal;
use crate::code::Code;
use crate::id::Timestamp;
use crate::{codec, limits, wire};

/// The server takes the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Welcome {
    /// The server's clock, for the dialler to compare with its own.
    pub server_time: Timestamp,
    /// How many unacknowledged batches a bulk call may have, 1 to `BATCHES_IN_FLIGHT_MAX`.
    pub max_batches_in_flight: u32,
}

impl Welcome {
    /// Parses the wire form. SES-3.6.
    pub fn from_wire(welcome: &wire::Welcome) -> Result<Self, SessionRefusal> {
        let got = welcome.max_batches_in_flight;
        if !(1..=limits::BATCHES_IN_FLIGHT_MAX).contains(&got) {
            return Err(SessionRefusal::BatchesInFlight { got });
        }
        let got_ms = welcome.server_time_ms;
        if got_ms > limits::INTEGER_MAX {
            return Err(SessionRefusal::Time { got_ms });
        }
        Ok(Self {
            server_time: Timestamp::from_ms(got_ms),
            max_batches_in_flight: got,
        })
    }
}

/// No, and why. The code is parsed; the detail is for a human and holds no secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    number: u32,
    detail: String,
    retry_after_ms: u64,
}

impl Refusal {
    /// A refusal to send. The detail is cut at `DETAIL_MAX` bytes.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(limits::DETAIL_MAX));
        Self {
            number: code.number(),
            detail,
            retry_after_ms: 0,
        }
    }

    /// Says when it makes sense to try again.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = ms.min(limits::INTEGER_MAX);
        self
    }

    /// The code; `None` if the peer used one that this version does not know.
    pub fn code(&self) -> Option<Code> {
        Code::from_number(self.number)
    }

    /// The code as it stands on the wire.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// For a human: what was got and what was expected.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// When to try again, in milliseconds from now; 0 if the refuser did not say.
    pub fn retry_after(&self) -> u64 {
        self.retry_after_ms
    }

    /// The wire form.
    pub fn to_wire(&self) -> wire::Refusal {
        wire::Refusal {
            code: self.number,
            detail: self.detail.clone(),
            retry_after_ms: self.retry_after_ms,
        }
    }

    /// Parses the wire form. SES-3.6.
    pub fn from_wire(refusal: &wire::Refusal) -> Result<Self, SessionRefusal> {
        if refusal.detail.len() > limits::DETAIL_MAX {
            return Err(SessionRefusal::DetailTooLong {
                got: refusal.detail.len(),
            });
        }
        if refusal.retry_after_ms > limits::INTEGER_MAX {
            return Err(SessionRefusal::Time {
                got_ms: refusal.retry_after_ms,
            });
        }
        Ok(Self {
            number: refusal.code,
            detail: refusal.detail.clone(),
            retry_after_ms: refusal.retry_after_ms,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => write!(f, "{code}: {}", self.detail),
            None => write!(f, "code {}: {}", self.number, self.detail),
        }
    }
}

/// The frame body of a welcome.
pub fn encode_welcome(welcome: &Welcome) -> Bytes {
    reply(wire::session_reply::Outcome::Welcome(wire::Welcome {
        server_time_ms: welcome.server_time.as_ms(),
        max_batches_in_flight: welcome.max_batches_in_flight,
    }))
}

/// The frame body of a refusal, at any turn of the server.
pub fn encode_refusal(refusal: &Refusal) -> Bytes {
    reply(wire::session_reply::Outcome::Refusal(refusal.to_wire()))
}

fn reply(outcome: wire::session_reply::Outcome) -> Bytes {
    codec::encode(&wire::SessionReply {
        outcome: Some(outcome),
    })
}
