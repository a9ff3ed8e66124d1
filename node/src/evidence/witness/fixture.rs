//! Logs, their keys and a directory that lists them, for the tests of witnesses.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::{Checkpoint, Noted, Origin};
use pli_protocol::id::{AuthorityId, Timestamp};
use pli_protocol::merkle::{Hash, node};
use pli_protocol::trust::{
    AuthorityRecord, Directory, DirectoryBuilder, DisplayName, Environment, NodeRecord, Policy,
    Quotas, Standing, TrustRole, ValidKey, Validity, Versions,
};

use sha2::{Digest, Sha256};

use super::disk::{Disk, RealDisk};
use super::{Heads, Views, Witness};
use crate::alarm::Alarms;
use crate::clock::TestClock;
use crate::federation::{DirectoryWatch, Publisher, Refreshed};
use crate::metrics::Metrics;

pub(super) const NOON: Timestamp = Timestamp::from_ms(1_800_000_000_000);

/// Whose logs there are, by the seed of their log key.
pub(super) const NAMES: [(&str, u8); 4] = [
    ("interieur.gouv.fr", 1),
    ("social.gouv.fr", 2),
    ("justice.gouv.fr", 3),
    ("sante.gouv.fr", 4),
];

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(super) fn authority(name: &str) -> AuthorityId {
    name.parse().unwrap()
}

/// All of [`NAMES`], each with one log key.
pub(super) fn directory() -> Arc<Directory> {
    directory_at(&[], 0)
}

/// The same, where some publish these addresses and so many witnesses are needed.
pub(super) fn directory_at(http: &[(&str, SocketAddr)], witnesses: usize) -> Arc<Directory> {
    let versions = Versions {
        root: 1,
        timestamp: 1,
        snapshot: 1,
        targets: 1,
    };
    let end = NOON.plus_ms(86_400_000);
    let mut builder = DirectoryBuilder::new(
        Environment::Development,
        versions,
        TrustRole::TOP.map(|role| (role, end)),
    );
    builder.policy(Policy { witnesses }).unwrap();
    for (name, seed) in NAMES {
        let authority = authority(name);
        let record = AuthorityRecord {
            authority: authority.clone(),
            name: DisplayName::new("Autorité", "Authority").unwrap(),
            standing: Standing::Active,
            may_host: true,
            may_lookup: false,
            alerts: Vec::new(),
            legal_bases: BTreeSet::new(),
            quotas: Quotas::default(),
        };
        builder.authority(record).unwrap();
        builder.role(&authority, end);
        let valid = |seed: u8| ValidKey {
            key: *key(seed).public(),
            validity: Validity {
                not_before: Timestamp::from_ms(0),
                not_after: None,
            },
        };
        let node = NodeRecord {
            authority: authority.clone(),
            keys: vec![valid(100 + seed)],
            quic: Vec::new(),
            websocket: Vec::new(),
            http: http
                .iter()
                .filter(|(of, _)| *of == name)
                .map(|(_, at)| format!("http://{at}").parse().unwrap())
                .collect(),
            gossip: Vec::new(),
            gateway_keys: Vec::new(),
            log_keys: vec![valid(seed)],
        };
        builder.node(&authority, node).unwrap();
    }
    Arc::new(builder.build())
}

pub(super) fn watch(directory: Arc<Directory>) -> DirectoryWatch {
    let (publisher, watch) = Publisher::new(directory, Refreshed::default());
    // What is published stays readable.
    std::mem::forget(publisher);
    watch
}

pub(super) fn alarms() -> Alarms {
    Alarms::new(Arc::new(Metrics::new()))
}

/// The witness of `social.gouv.fr` over this folder.
pub(super) fn witness(folder: &Path, disk: Arc<dyn Disk>) -> Witness {
    let views = Views::open(&folder.join("views"), Arc::new(RealDisk), alarms(), NOON).unwrap();
    Witness {
        authority: authority("social.gouv.fr"),
        key: key(2),
        heads: Heads::open(&folder.join("heads"), disk).unwrap(),
        views: Arc::new(views),
        directory: watch(directory()),
        clock: Arc::new(TestClock::at(NOON)),
    }
}

/// A log of another node: its tree by the definitions of RFC 6962.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) origin: Origin,
    pub(super) key: SigningKey,
    pub(super) leaves: Vec<Hash>,
}

impl Log {
    /// That of `interieur.gouv.fr`, with `size` leaves; another `tag` makes other leaves.
    pub(super) fn new(size: usize, tag: u8) -> Self {
        let leaves = (0..size).map(|number| Sha256::digest([tag, number as u8]).into());
        Self {
            origin: "interieur.gouv.fr/log/1790000000000".parse().unwrap(),
            key: key(1),
            leaves: leaves.collect(),
        }
    }

    pub(super) fn noted(&self, size: usize) -> Noted {
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: size as u64,
            root: root(&self.leaves[..size]),
        };
        Noted::parse(&checkpoint.sign(&self.key)).unwrap()
    }

    pub(super) fn proof(&self, old: usize, new: usize) -> Vec<Hash> {
        match old == 0 || old == new {
            true => Vec::new(),
            false => proof(old, &self.leaves[..new], true),
        }
    }

    pub(super) fn request(&self, old: usize, new: usize) -> AddCheckpoint {
        AddCheckpoint {
            old: old as u64,
            proof: self.proof(old, new),
            noted: self.noted(new),
        }
    }
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => pli_protocol::evidence::tree::empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&root(left), &root(right))
        }
    }
}

fn proof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { vec![] } else { vec![root(leaves)] };
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    if old <= split {
        let mut path = proof(old, left, known);
        path.push(root(right));
        return path;
    }
    let mut path = proof(old - split, right, false);
    path.push(root(left));
    path
}
