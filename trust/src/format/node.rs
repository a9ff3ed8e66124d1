//! `<authority>/node.json`

use pli_protocol::id::AuthorityId;
use pli_protocol::trust::{NodeRecord, RecordRefusal};
use serde::{Deserialize, Serialize};

use super::part::{KeyEntry, keys, list};
use super::{VERSION, malformed, of_another};

/// The file, as it is written.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    version: u64,
    authority: String,
    keys: Vec<KeyEntry>,
    quic: Vec<String>,
    websocket: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    http: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gossip: Vec<String>,
    gateway_keys: Vec<KeyEntry>,
    log_keys: Vec<KeyEntry>,
}

impl NodeFile {
    /// Reads the file that stands at `path` for `authority`.
    pub fn read(
        authority: &AuthorityId,
        path: &str,
        bytes: &[u8],
    ) -> Result<NodeRecord, RecordRefusal> {
        let file: Self = super::read(path, bytes)?;
        // TRU-3.2: the path is what was signed; a file must say the same of itself.
        if file.authority != authority.as_str() {
            return Err(of_another(authority, path));
        }
        file.record(authority)
            .map_err(|problem| malformed(path, problem))
    }

    fn record(self, authority: &AuthorityId) -> Result<NodeRecord, String> {
        Ok(NodeRecord {
            authority: authority.clone(),
            keys: keys(&self.keys)?,
            quic: list(&self.quic)?,
            websocket: list(&self.websocket)?,
            http: list(&self.http)?,
            gossip: list(&self.gossip)?,
            gateway_keys: keys(&self.gateway_keys)?,
            log_keys: keys(&self.log_keys)?,
        })
    }

    /// The bytes of the file for `record`.
    #[must_use]
    pub fn write(record: &NodeRecord) -> Vec<u8> {
        super::write(&Self {
            version: VERSION,
            authority: record.authority.to_string(),
            keys: record.keys.iter().map(KeyEntry::from_key).collect(),
            quic: record.quic.iter().map(ToString::to_string).collect(),
            websocket: record.websocket.iter().map(ToString::to_string).collect(),
            http: record.http.iter().map(ToString::to_string).collect(),
            gossip: record.gossip.iter().map(ToString::to_string).collect(),
            gateway_keys: record.gateway_keys.iter().map(KeyEntry::from_key).collect(),
            log_keys: record.log_keys.iter().map(KeyEntry::from_key).collect(),
        })
    }
}
