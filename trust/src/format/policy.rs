//! `federation/policy.json`

use pli_protocol::trust::{Policy, RecordRefusal};
use serde::{Deserialize, Serialize};

use super::VERSION;

/// The file, as it is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    version: u64,
    witnesses: usize,
}

impl PolicyFile {
    /// Reads the file.
    pub fn read(path: &str, bytes: &[u8]) -> Result<Policy, RecordRefusal> {
        let file: Self = super::read(path, bytes)?;
        Ok(Policy {
            witnesses: file.witnesses,
        })
    }

    /// The bytes of the file for `policy`.
    #[must_use]
    pub fn write(policy: Policy) -> Vec<u8> {
        super::write(&Self {
            version: VERSION,
            witnesses: policy.witnesses,
        })
    }
}
