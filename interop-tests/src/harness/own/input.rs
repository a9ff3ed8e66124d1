//! The input of a request, field by field.

use serde_json::Value;

use crate::crypto::keys::PublicKey;
use crate::crypto::{Hash, contexts};
use crate::validator::{Refused, refuse};

/// Why there is no `ok`.
#[derive(Debug)]
pub(super) enum No {
    Refused(Refused),
    /// The request is not understood.
    Input(String),
    Unsupported,
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The input of a request; a field that is missing or of another kind is an error, never a verdict.
pub(super) struct Input<'a>(pub(super) &'a Value);

impl<'a> Input<'a> {
    pub(super) fn get(&self, name: &str) -> Result<&'a Value, No> {
        self.0
            .get(name)
            .ok_or_else(|| No::Input(format!("{name} is missing")))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, No> {
        self.get(name)?
            .as_str()
            .ok_or_else(|| No::Input(format!("{name} is not a text")))
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, No> {
        self.get(name)?
            .as_u64()
            .ok_or_else(|| No::Input(format!("{name} is not a number")))
    }

    pub(super) fn u32(&self, name: &str) -> Result<u32, No> {
        u32::try_from(self.number(name)?).map_err(|_| No::Input(format!("{name} is over 32 bits")))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, No> {
        unhex(self.text(name)?, name)
    }

    pub(super) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], No> {
        self.bytes(name)?
            .try_into()
            .map_err(|_| No::Input(format!("{name} has not {N} bytes")))
    }

    /// A key as an argument: one of another length is a refusal of SIG-4.1.
    pub(super) fn key(&self, name: &str) -> Result<PublicKey, No> {
        match self.bytes(name)?.try_into() {
            Ok(bytes) => Ok(PublicKey(bytes)),
            Err(_) => Ok(refuse("FIELD_INVALID", "key length")?),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<Vec<Vec<u8>>, No> {
        let list = self
            .get(name)?
            .as_array()
            .ok_or_else(|| No::Input(format!("{name} is not a list")))?;
        list.iter()
            .map(|item| {
                item.as_str()
                    .ok_or_else(|| No::Input(format!("{name} holds no texts")))
            })
            .map(|item| unhex(item?, name))
            .collect()
    }

    pub(super) fn hashes(&self, name: &str) -> Result<Vec<Hash>, No> {
        self.list(name)?
            .into_iter()
            .map(|hash| {
                hash.try_into()
                    .map_err(|_| No::Input(format!("{name} holds no hashes")))
            })
            .collect()
    }

    pub(super) fn context(&self) -> Result<&'static str, No> {
        let text = self.text("context")?;
        contexts::SIGNATURES
            .iter()
            .find(|(context, _)| *context == text)
            .map(|(context, _)| *context)
            .ok_or_else(|| No::Input(format!("no such context: {text}")))
    }
}

fn unhex(text: &str, name: &str) -> Result<Vec<u8>, No> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(No::Input(format!("{name} is not lower-case hexadecimal")));
    }
    hex::decode(text).map_err(|_| No::Input(format!("{name} is not hexadecimal")))
}
