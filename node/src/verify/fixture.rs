//! A directory of two authorities and letters between them, for the tests of the stages.

use std::collections::BTreeSet;

use bytes::Bytes;
use pli_protocol::crypto::contexts::ENVELOPE;
use pli_protocol::crypto::seal::{SealRandomness, SealingSecretKey};
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::envelope::{self, Class, Header, Importance, Sender, Urgency};
use pli_protocol::id::{AuthorityId, ServiceId, Timestamp};
use pli_protocol::signed::sign_one;
use pli_protocol::trust::{
    AuthorityRecord, Directory, DirectoryBuilder, DisplayName, Environment, NodeRecord, Quotas,
    ServiceRecord, Standing, TrustRole, ValidKey, Validity, Versions,
};

pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const YEAR_MS: u64 = 365 * 86_400_000;

pub(crate) fn interior() -> AuthorityId {
    "interieur.gouv.fr".parse().unwrap()
}

pub(crate) fn social() -> AuthorityId {
    "social.gouv.fr".parse().unwrap()
}

pub(crate) fn rdv() -> ServiceId {
    "rdv@interieur.gouv.fr".parse().unwrap()
}

pub(crate) fn key(number: u8) -> SigningKey {
    let mut seed = [0x5a; 32];
    seed[0] = number;
    SigningKey::from_seed(&seed)
}

/// The key of `rdv@interieur.gouv.fr`.
pub(crate) fn rdv_key() -> SigningKey {
    key(10)
}

/// Interior (no citizens) with the services `rdv` and `otv`; Social Affairs (a home) with `caf`.
/// `revoked`: when the key of `rdv` ends.
pub(crate) fn directory(revoked: Option<Timestamp>) -> Directory {
    let expires = NOW.plus_ms(YEAR_MS);
    let versions = Versions {
        root: 1,
        timestamp: 1,
        snapshot: 1,
        targets: 1,
    };
    let mut builder = DirectoryBuilder::new(
        Environment::Production,
        versions,
        TrustRole::TOP.map(|role| (role, expires)),
    );
    for (number, authority, may_host) in [(1, interior(), false), (2, social(), true)] {
        builder
            .authority(authority_record(&authority, may_host))
            .unwrap();
        builder.role(&authority, expires);
        builder
            .node(&authority, node_record(&authority, number))
            .unwrap();
    }
    let services = [
        (10, rdv(), revoked),
        (11, "otv@interieur.gouv.fr".parse().unwrap(), None),
        (12, "caf@social.gouv.fr".parse().unwrap(), None),
    ];
    for (number, service, not_after) in services {
        let authority = service.authority().clone();
        builder
            .service(&authority, service_record(service, number, not_after))
            .unwrap();
    }
    builder.build()
}

fn valid(number: u8, not_after: Option<Timestamp>) -> ValidKey {
    let validity = Validity {
        not_before: Timestamp::from_ms(1),
        not_after,
    };
    ValidKey {
        key: *key(number).public(),
        validity,
    }
}

fn name() -> DisplayName {
    DisplayName::new("Ministère", "Ministry").unwrap()
}

fn authority_record(authority: &AuthorityId, may_host: bool) -> AuthorityRecord {
    AuthorityRecord {
        authority: authority.clone(),
        name: name(),
        standing: Standing::Active,
        may_host,
        may_lookup: false,
        alerts: Vec::new(),
        legal_bases: BTreeSet::new(),
        quotas: Quotas::default(),
    }
}

fn node_record(authority: &AuthorityId, number: u8) -> NodeRecord {
    NodeRecord {
        authority: authority.clone(),
        keys: vec![valid(number, None)],
        quic: vec!["localhost:7400".parse().unwrap()],
        websocket: Vec::new(),
        http: Vec::new(),
        gossip: Vec::new(),
        gateway_keys: Vec::new(),
        log_keys: Vec::new(),
    }
}

fn service_record(service: ServiceId, number: u8, not_after: Option<Timestamp>) -> ServiceRecord {
    ServiceRecord {
        service,
        name: name(),
        standing: Standing::Active,
        keys: vec![valid(number, not_after)],
        classes: BTreeSet::from([Class::Message]),
        importances: BTreeSet::from([Importance::Information, Importance::Action]),
        link_hosts: BTreeSet::new(),
    }
}

/// From `rdv` to a mailbox of Social Affairs.
pub(crate) fn header() -> Header {
    Header {
        sender: Sender::Service(rdv()),
        recipient: "000102030405060708090a0b0c0d0e0f@social.gouv.fr"
            .parse()
            .unwrap(),
        created: NOW,
        expires: NOW.plus_ms(60_000),
        class: Class::Message,
        urgency: Urgency::Normal,
        importance: Importance::Action,
        supersedes: None,
        extensions: Vec::new(),
    }
}

pub(crate) fn letter(header: &Header, key: &SigningKey) -> Bytes {
    sign_one(ENVELOPE, payload(header), key)
}

pub(crate) fn payload(header: &Header) -> Bytes {
    let to = SealingSecretKey::from_seed(&[3; 32]).public();
    envelope::seal(header, &to, 1, b"content", SealRandomness::new([4; 64])).unwrap()
}
