//! Names and addresses, parsed once and then trusted (ENV-2).
//!
//! All names are lower-case ASCII, so no two of them can look alike on a screen.

use std::fmt;

use crate::code::Code;

mod name;
mod opaque;

pub use name::{AuthorityId, ServiceId};
pub use opaque::{AccountId, EnvelopeId, KeyId, MailboxAddress, MailboxId};

/// Why a text or some bytes are not the name or address they should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdError {
    /// ENV-2.1
    #[error(
        "{got:?} is not an authority: expected a lower-case domain name such as interieur.gouv.fr"
    )]
    Authority { got: String },
    /// ENV-2.2
    #[error("{got:?} is not a service: expected name@authority such as rdv@interieur.gouv.fr")]
    Service { got: String },
    /// ENV-2.3
    #[error("{got:?} is not a mailbox address: expected 32 hexadecimal digits, @ and the home")]
    Mailbox { got: String },
    /// ENV-2.4
    #[error("{what} has {got} bytes, expected {expected}")]
    Length {
        what: &'static str,
        got: usize,
        expected: usize,
    },
    /// ENV-2.4
    #[error("{got:?} is not hexadecimal, expected {expected} bytes as lower-case hexadecimal")]
    Hex { got: String, expected: usize },
}

impl IdError {
    /// The wire code: always a malformed name.
    pub fn code(&self) -> Code {
        Code::FieldInvalid
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From Unix milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Unix milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// This much later; stops at the end of time rather than wrap.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here, 0 if it is not earlier.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// Lower-case hexadecimal, for keys and ids in messages and file names.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)] as char);
        text.push(DIGITS[usize::from(byte & 15)] as char);
    }
    text
}

/// Parses exactly `N` bytes of lower-case hexadecimal.
pub fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let wrong = || IdError::Hex {
        got: shorten(text),
        expected: N,
    };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0]).ok_or_else(wrong)? << 4 | digit(pair[1]).ok_or_else(wrong)?;
    }
    Ok(bytes)
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// What an error quotes of a hostile text: bounded.
fn shorten(text: &str) -> String {
    const QUOTED_MAX: usize = 80;
    text.chars().take(QUOTED_MAX).collect()
}
