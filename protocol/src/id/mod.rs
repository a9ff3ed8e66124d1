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

/// As people read it: `2026-11-22T20:00:00.439Z`, UTC. Programs take [`Timestamp::as_ms`].
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: u64 = 86_400_000;
        let (year, month, day) = civil(self.0 / DAY_MS);
        let ms = self.0 % DAY_MS;
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
            ms % 1_000
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, by the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01: a leap day is then the last of its year. An era is 400 years.
    const TO_EPOCH: u64 = 719_468;
    const ERA: u64 = 146_097;
    let days = days + TO_EPOCH;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_people_read_it() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (1_795_304_625_243, "2026-11-21T23:43:45.243Z"),
            (1_798_761_599_999, "2026-12-31T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_ms(ms).to_string(), text);
        }
        // The last instant of a u64 neither panics nor wraps.
        assert!(
            Timestamp::from_ms(u64::MAX)
                .to_string()
                .starts_with("584556019-")
        );
    }
}
