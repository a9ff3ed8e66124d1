//! What a federation's workspace remembers between commands: `federation.json`.

use std::collections::BTreeMap;
use std::path::Path;

use pli_protocol::id::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::WriteError;
use crate::mirror::write_whole;

const DAY_MS: u64 = 86_400_000;

/// For how many days each signature holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lifetimes {
    /// Offline, by a ceremony.
    pub root_days: u64,
    /// Offline.
    pub targets_days: u64,
    /// Online.
    pub snapshot_days: u64,
    /// Online: how long whoever steals the online keys can freeze the directory.
    pub timestamp_days: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            root_days: 365,
            targets_days: 180,
            snapshot_days: 7,
            timestamp_days: 3,
        }
    }
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) lifetimes: Lifetimes,
    /// Of what was published last; 0 before the first time.
    pub(crate) root: u64,
    pub(crate) timestamp: u64,
    pub(crate) snapshot: u64,
    /// `targets` and each authority that was ever listed: a snapshot must go on listing them.
    pub(crate) roles: BTreeMap<String, u64>,
}

impl State {
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        Self {
            version: 1,
            lifetimes,
            root: 0,
            timestamp: 0,
            snapshot: 0,
            roles: BTreeMap::new(),
        }
    }

    pub(crate) fn role(&self, name: &str) -> u64 {
        self.roles.get(name).copied().unwrap_or(0)
    }
}

pub(crate) fn in_days(now: Timestamp, days: u64) -> Timestamp {
    now.plus_ms(days.saturating_mul(DAY_MS))
}

pub(crate) fn next_version(role: &str, version: u64) -> Result<u64, WriteError> {
    version
        .checked_add(1)
        .ok_or_else(|| WriteError::LastVersion {
            role: role.to_owned(),
        })
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, WriteError> {
    let bytes = std::fs::read(path).map_err(WriteError::file(path))?;
    serde_json::from_slice(&bytes).map_err(|problem| WriteError::File {
        path: path.to_owned(),
        problem: problem.to_string(),
    })
}

/// Sorted members, so that two runs write the same bytes.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let value = serde_json::to_value(value).expect("names and numbers serialise");
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a JSON value serialises");
    bytes.push(b'\n');
    bytes
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), WriteError> {
    write(path, &json(value))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    write_whole(path, bytes).map_err(WriteError::file(path))
}
