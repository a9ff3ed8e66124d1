//! The kinds of value that TOML lacks: a period of time, a size, an address, and anything that is read from
//! its text. Each error says what was got and what was expected.

use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A period of time: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Period(pub Duration);

/// A number of bytes: a whole number, alone or with `KiB`, `MiB`, `GiB`, `TiB`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Size(pub u64);

/// Where to listen: an address and a port.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address(pub SocketAddr);

/// A value that is read from a TOML string by its `FromStr`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text<T>(pub T);

/// Why a period or a size was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The text is not a number and a known unit.
    #[error(
        "got \"{got}\", expected a period such as \"500ms\", \"30s\", \"15m\", \"12h\" or \"7d\""
    )]
    Period {
        /// The text.
        got: String,
    },
    /// The text is not a number and a known unit.
    #[error("got \"{got}\", expected a size such as \"4096\", \"64KiB\", \"32MiB\" or \"8GiB\"")]
    Size {
        /// The text.
        got: String,
    },
    /// The text is not an address and a port.
    #[error(
        "got \"{got}\", expected an address of this machine with a port, such as \"127.0.0.1:7400\", or \
         \"0.0.0.0:7400\" or \"[::]:7400\" for all its addresses; names are not looked up here"
    )]
    Address {
        /// The text.
        got: String,
    },
}

const PERIOD_UNITS_MS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: [(&str, u64); 5] = [
    ("", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
}

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        scaled(text, &PERIOD_UNITS_MS)
            .map(|ms| Self(Duration::from_millis(ms)))
            .ok_or_else(|| ValueError::Period {
                got: text.to_owned(),
            })
    }
}

impl FromStr for Size {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        scaled(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| ValueError::Size {
                got: text.to_owned(),
            })
    }
}

impl FromStr for Address {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| ValueError::Address {
            got: text.to_owned(),
        })
    }
}

impl Deref for Address {
    type Target = SocketAddr;

    fn deref(&self) -> &SocketAddr {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text::deserialize(deserializer)?.0)
    }
}

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, T> Deserialize<'de> for Text<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text::deserialize(deserializer)?.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Text::deserialize(deserializer)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_number_and_a_unit() {
        for (text, ms) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Period(Duration::from_millis(ms))),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "30",
            "-1s",
            "1.5h",
            "1w",
            "30S",
            "213503982335d",
            "1s1s",
        ] {
            assert_eq!(
                text.parse::<Period>(),
                Err(ValueError::Period {
                    got: text.to_owned()
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn an_address_has_a_port_and_is_no_name() {
        for text in ["127.0.0.1:7400", "[::]:0", "[::1]:7400"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in [
            "",
            "7400",
            ":7400",
            "127.0.0.1",
            "localhost:7400",
            "::1:7400",
            "127.0.0.1:70000",
        ] {
            let said = text.parse::<Address>().unwrap_err().to_string();
            assert!(
                said.starts_with(&format!("got \"{text}\", expected ")),
                "{said}"
            );
            assert!(said.contains("\"127.0.0.1:7400\""), "{said}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64KiB", 65_536),
            ("2 GiB", 1 << 31),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "KiB", "1KB", "-1", "16777216TiB", "1e3"] {
            assert_eq!(
                text.parse::<Size>(),
                Err(ValueError::Size {
                    got: text.to_owned()
                }),
                "{text}"
            );
        }
    }
}
