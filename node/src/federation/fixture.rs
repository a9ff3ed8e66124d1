//! A small directory for tests: one authority with a node.

use std::collections::BTreeSet;
use std::sync::Arc;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::trust::{
    AuthorityRecord, Directory, DirectoryBuilder, DisplayName, Environment, NodeRecord, Quotas,
    Standing, TrustRole, ValidKey, Validity, Versions,
};

use crate::keys::NodeKey;

pub(crate) const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);
pub(crate) const DAY_MS: u64 = 86_400_000;

/// The authority of these tests.
pub(crate) fn authority() -> AuthorityId {
    AuthorityId::new("interieur.gouv.fr").expect("valid")
}

/// Its node's key, or another.
pub(crate) fn node_key(seed: u8) -> NodeKey {
    NodeKey {
        authority: authority(),
        key: SigningKey::from_seed(&[seed; 32]),
        path: "key".into(),
    }
}

/// A directory that lists `key`; `ends_ms` are the ends of root, targets, snapshot, timestamp and
/// the authority's own role, after [`NOON`].
pub(crate) fn directory(version: u64, key: &NodeKey, ends_ms: [u64; 5]) -> Arc<Directory> {
    directory_with(version, key, ends_ms, Some(Standing::Active))
}

/// The same where the authority has this standing, or is not listed at all.
pub(crate) fn directory_with(
    version: u64,
    key: &NodeKey,
    ends_ms: [u64; 5],
    standing: Option<Standing>,
) -> Arc<Directory> {
    let ends = ends_ms.map(|ms| NOON.plus_ms(ms));
    let versions = Versions {
        root: 1,
        timestamp: version,
        snapshot: version,
        targets: 1,
    };
    let mut builder = DirectoryBuilder::new(
        Environment::Development,
        versions,
        [
            (TrustRole::Root, ends[0]),
            (TrustRole::Targets, ends[1]),
            (TrustRole::Snapshot, ends[2]),
            (TrustRole::Timestamp, ends[3]),
        ],
    );
    let Some(standing) = standing else {
        return Arc::new(builder.build());
    };
    let record = AuthorityRecord {
        authority: authority(),
        name: DisplayName::new("Intérieur", "Interior").expect("valid"),
        standing,
        may_host: true,
        may_lookup: false,
        alerts: Vec::new(),
        legal_bases: BTreeSet::new(),
        quotas: Quotas::default(),
    };
    builder.authority(record).expect("one authority");
    builder.role(&authority(), ends[4]);
    let validity = Validity {
        not_before: Timestamp::from_ms(0),
        not_after: None,
    };
    let node = NodeRecord {
        authority: authority(),
        keys: vec![ValidKey {
            key: *key.key.public(),
            validity,
        }],
        quic: Vec::new(),
        websocket: Vec::new(),
        http: Vec::new(),
        gossip: Vec::new(),
        gateway_keys: Vec::new(),
        log_keys: Vec::new(),
    };
    builder.node(&authority(), node).expect("one node");
    Arc::new(builder.build())
}
