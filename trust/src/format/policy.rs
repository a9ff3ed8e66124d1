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

#[cfg(test)]
mod tests {
    use pli_protocol::code::Code;
    use pli_protocol::id::Timestamp;
    use pli_protocol::limits::WITNESSES_MAX;
    use pli_protocol::trust::{DirectoryBuilder, Environment, TrustRole, Versions};

    use super::*;

    /// TRU-3.7
    #[test]
    fn r15_a_federation_demands_no_more_witnesses_than_a_note_has_room_for() {
        let demanded = |witnesses| {
            let file = PolicyFile::write(Policy { witnesses });
            let policy = PolicyFile::read("federation/policy.json", &file).expect("as written");
            let versions = Versions {
                root: 1,
                timestamp: 1,
                snapshot: 1,
                targets: 1,
            };
            let end = Timestamp::from_ms(1_800_000_000_000);
            let roles = TrustRole::TOP.map(|role| (role, end));
            let mut builder = DirectoryBuilder::new(Environment::Production, versions, roles);
            builder.policy(policy)?;
            Ok(builder.build().policy().witnesses)
        };
        assert_eq!(demanded(WITNESSES_MAX), Ok(WITNESSES_MAX));
        let refused: Result<usize, RecordRefusal> = demanded(WITNESSES_MAX + 1);
        assert_eq!(
            refused.expect_err("too many").code(),
            Code::DirectoryInvalid
        );
        for bad in [
            &br#"{"version":1,"witnesses":-1}"#[..],
            br#"{"version":1}"#,
            br#"{"version":1,"witnesses":1,"more":1}"#,
            br#"{"version":2,"witnesses":1}"#,
        ] {
            assert!(PolicyFile::read("federation/policy.json", bad).is_err());
        }
    }
}
