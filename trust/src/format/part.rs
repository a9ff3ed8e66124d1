//! What the forms have in common: keys with their time, names in two languages, standing.

use std::collections::BTreeSet;
use std::str::FromStr;

use pli_protocol::id::Timestamp;
use pli_protocol::trust::{DisplayName, Standing, TermError, ValidKey, Validity};
use serde::{Deserialize, Serialize};

use crate::moment::{parse_utc, utc};

/// `{"key": "ed25519:…", "not_before": "2026-11-22T20:00:00Z", "not_after": …}`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// `ed25519:` and base64url.
    pub key: String,
    /// The first instant.
    pub not_before: String,
    /// The first instant after; absent while no end is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
}

impl KeyEntry {
    pub(crate) fn from_key(key: &ValidKey) -> Self {
        Self {
            key: key.key.to_string(),
            not_before: utc(key.validity.not_before),
            not_after: key.validity.not_after.map(utc),
        }
    }

    fn parse(&self) -> Result<ValidKey, String> {
        let not_after = self.not_after.as_deref().map(time).transpose()?;
        let key = self
            .key
            .parse()
            .map_err(|problem| format!("{:?}: {problem}", cut(&self.key)))?;
        Ok(ValidKey {
            key,
            validity: Validity {
                not_before: time(&self.not_before)?,
                not_after,
            },
        })
    }
}

pub(crate) fn keys(entries: &[KeyEntry]) -> Result<Vec<ValidKey>, String> {
    entries.iter().map(KeyEntry::parse).collect()
}

/// `{"fr": …, "en": …}`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NameEntry {
    /// French.
    pub fr: String,
    /// English.
    pub en: String,
}

impl NameEntry {
    pub(crate) fn parse(self) -> Result<DisplayName, String> {
        DisplayName::new(self.fr, self.en).map_err(|problem| problem.to_string())
    }

    pub(crate) fn from_name(name: &DisplayName) -> Self {
        Self {
            fr: name.fr.clone(),
            en: name.en.clone(),
        }
    }
}

/// `{"state": "active"}` or `{"state": "suspended", "since": "2026-11-22T20:00:00Z"}`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StatusEntry {
    state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Suspended,
}

impl StatusEntry {
    pub(crate) fn parse(&self) -> Result<Standing, String> {
        match (self.state, &self.since) {
            (State::Active, None) => Ok(Standing::Active),
            (State::Suspended, Some(since)) => Ok(Standing::Suspended {
                since: time(since)?,
            }),
            (State::Active, Some(_)) => Err("active, yet with a since".into()),
            (State::Suspended, None) => Err("suspended without a since".into()),
        }
    }

    pub(crate) fn from_standing(standing: Standing) -> Self {
        match standing {
            Standing::Active => Self {
                state: State::Active,
                since: None,
            },
            Standing::Suspended { since } => Self {
                state: State::Suspended,
                since: Some(utc(since)),
            },
        }
    }
}

/// A set: each once, in any order.
pub(crate) fn set<T: FromStr + Ord>(items: &[String]) -> Result<BTreeSet<T>, String>
where
    T::Err: std::fmt::Display,
{
    let mut set = BTreeSet::new();
    for item in items {
        let parsed = item
            .parse()
            .map_err(|problem: T::Err| problem.to_string())?;
        if !set.insert(parsed) {
            return Err(format!("{:?} twice", cut(item)));
        }
    }
    Ok(set)
}

pub(crate) fn list<T: FromStr<Err = TermError>>(items: &[String]) -> Result<Vec<T>, String> {
    items
        .iter()
        .map(|item| {
            item.parse()
                .map_err(|problem: TermError| problem.to_string())
        })
        .collect()
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_utc(text)
        .ok_or_else(|| format!("{:?} is not a time such as 2026-11-22T20:00:00Z", cut(text)))
}

fn cut(text: &str) -> String {
    const QUOTED_MAX: usize = 80;
    text.chars().take(QUOTED_MAX).collect()
}
