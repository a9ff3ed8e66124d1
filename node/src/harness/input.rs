//! The input of a request, member by member. A member that is missing or of another type is an
//! error of the request, not a refusal.

use bytes::Bytes;
use pli_protocol::crypto::contexts::Context;
use pli_protocol::id::{Timestamp, to_hex};
use serde_json::Value;

use super::fault::Fault;

pub(super) struct Input<'a>(&'a Value);

impl<'a> Input<'a> {
    pub(super) const fn new(value: &'a Value) -> Self {
        Self(value)
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Fault> {
        self.0[name]
            .as_str()
            .ok_or_else(|| expected(name, "a text"))
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Fault> {
        self.0[name]
            .as_u64()
            .ok_or_else(|| expected(name, "a whole number"))
    }

    pub(super) fn index(&self, name: &str) -> Result<usize, Fault> {
        self.number(name)
            .and_then(|n| usize::try_from(n).map_err(|_| expected(name, "a small number")))
    }

    pub(super) fn time(&self, name: &str) -> Result<Timestamp, Fault> {
        self.number(name).map(Timestamp::from_ms)
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Bytes, Fault> {
        hex(name, &self.0[name])
    }

    /// Bytes of a fixed length that the operation itself needs: a seed, a hash. Keys and ids whose
    /// length is judged are read with [`bytes`](Self::bytes).
    pub(super) fn exact<const N: usize>(&self, name: &str) -> Result<[u8; N], Fault> {
        exact(name, &self.bytes(name)?)
    }

    pub(super) fn list(&self, name: &str) -> Result<Vec<Bytes>, Fault> {
        let items = self.0[name]
            .as_array()
            .ok_or_else(|| expected(name, "a list"))?;
        items.iter().map(|item| hex(name, item)).collect()
    }

    pub(super) fn exact_list<const N: usize>(&self, name: &str) -> Result<Vec<[u8; N]>, Fault> {
        self.list(name)?
            .iter()
            .map(|item| exact(name, item))
            .collect()
    }

    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Fault> {
        let items = self.0[name]
            .as_array()
            .ok_or_else(|| expected(name, "a list"))?;
        Ok(items.iter().map(Self).collect())
    }

    pub(super) fn context(&self) -> Result<Context, Fault> {
        let name = self.text("context")?;
        Context::from_name(name).ok_or_else(|| expected("context", "a row of contexts.toml"))
    }

    /// A name of this grammar. Names that are judged are read as text.
    pub(super) fn name<T: std::str::FromStr>(&self, name: &str) -> Result<T, Fault> {
        self.text(name)?
            .parse()
            .map_err(|_| expected(name, "a well-formed name"))
    }
}

/// Lower-case hexadecimal as a JSON text.
pub(super) fn hexadecimal(bytes: &[u8]) -> Value {
    Value::from(to_hex(bytes))
}

fn expected(name: &str, what: &str) -> Fault {
    Fault::Request(format!("{name}: {what} is expected"))
}

fn exact<const N: usize>(name: &str, bytes: &Bytes) -> Result<[u8; N], Fault> {
    bytes[..]
        .try_into()
        .map_err(|_| expected(name, &format!("{N} bytes")))
}

fn hex(name: &str, value: &Value) -> Result<Bytes, Fault> {
    let wrong = || expected(name, "lower-case hexadecimal");
    let text = value.as_str().ok_or_else(wrong)?.as_bytes();
    if text.len() % 2 != 0 {
        return Err(wrong());
    }
    let digit = |character: u8| match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        _ => Err(wrong()),
    };
    text.chunks_exact(2)
        .map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}
