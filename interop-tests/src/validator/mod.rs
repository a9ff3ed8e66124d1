//! The suite's own rules: what an object of `spec/` may say. In: bytes, keys, the time. Out: what they say, or a
//! [`Refused`] with the code that the specification's order of checks gives first.
//!
//! R3: written from `spec/` without a look at `protocol`, and compared with an implementation's verdicts by
//! [`crate::differential`].

pub mod ack;
pub mod content;
pub mod envelope;
pub mod evidence;
pub mod extensions;
pub mod handover;
pub mod header;
pub mod log;
pub mod mailbox;
pub mod names;
pub mod receipt;
pub mod session;
pub mod trust;

use crate::codec::schema::Schema;
use crate::codec::{Fault, Message};

/// 2^53 - 1: times and sequence numbers.
pub const INTEGER_MAX: u64 = 9_007_199_254_740_991;
/// How far in the future a time may be.
pub const CLOCK_SKEW_MAX_MS: u64 = 300_000;

/// A refusal: a code of the registry, and for whom it may concern, which field or rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{code}: {why}")]
pub struct Refused {
    pub code: &'static str,
    pub why: &'static str,
}

pub fn refuse<T>(code: &'static str, why: &'static str) -> Result<T, Refused> {
    Err(Refused { code, why })
}

/// SIG-1.1, SIG-1.2
pub fn canonical(schema: &'static Schema, bytes: &[u8]) -> Result<Message, Refused> {
    Message::decode(schema, bytes).map_err(|fault| match fault {
        Fault::Malformed { why, .. } => Refused {
            code: "DECODE",
            why,
        },
        Fault::NotCanonical { why, .. } => Refused {
            code: "NOT_CANONICAL",
            why,
        },
    })
}

/// Version 1 of a signed payload, before any other field is looked at.
fn version_1(message: &Message) -> Result<(), Refused> {
    if message.number("version") == 1 {
        Ok(())
    } else {
        refuse("UNSUPPORTED_VERSION", "version is not 1")
    }
}

/// A time that must be there: 1 to INTEGER_MAX.
fn time(message: &Message, field: &'static str) -> Result<u64, Refused> {
    match message.number(field) {
        0 => refuse("FIELD_MISSING", field),
        ms if ms > INTEGER_MAX => refuse("FIELD_INVALID", field),
        ms => Ok(ms),
    }
}

/// The name of an enum's number; number 0 is never a value.
fn enumeration(
    message: &Message,
    field: &'static str,
    names: &[&'static str],
) -> Result<&'static str, Refused> {
    match message.number(field) {
        0 => refuse("FIELD_MISSING", field),
        number => match usize::try_from(number)
            .ok()
            .and_then(|number| names.get(number - 1))
        {
            Some(name) => Ok(name),
            None => refuse("FIELD_INVALID", field),
        },
    }
}

/// Bytes of an exact length; absent ones are missing.
fn exact<'a>(
    message: &'a Message,
    field: &'static str,
    length: usize,
) -> Result<&'a [u8], Refused> {
    match message.bytes(field) {
        [] => refuse("FIELD_MISSING", field),
        bytes if bytes.len() != length => refuse("FIELD_INVALID", field),
        bytes => Ok(bytes),
    }
}

#[cfg(test)]
pub(crate) fn code_of<T>(result: Result<T, Refused>) -> &'static str {
    result.map_or_else(|refused| refused.code, |_| "accepted")
}
