use std::collections::BTreeSet;

use super::*;
use crate::code::Code;
use crate::crypto::sign::SigningKey;
use crate::envelope::{Class, Importance};
use crate::id::{AuthorityId, ServiceId, Timestamp};
use crate::limits;

mod accepted;

const DAY_MS: u64 = 86_400_000;
const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const ONE_YEAR_ON: Timestamp = NOW.plus_ms(365 * DAY_MS);

fn authority(text: &str) -> AuthorityId {
    text.parse().unwrap()
}

fn service(text: &str) -> ServiceId {
    text.parse().unwrap()
}

/// A key of no published seed.
fn key(number: u8) -> SigningKey {
    let mut seed = [0xa5; 32];
    seed[0] = number;
    seed[1] = 0x5a;
    SigningKey::from_seed(&seed)
}

fn listed(number: u8, from: Timestamp, until: Option<Timestamp>) -> ValidKey {
    let validity = Validity {
        not_before: from,
        not_after: until,
    };
    ValidKey {
        key: *key(number).public(),
        validity,
    }
}

fn always(number: u8) -> ValidKey {
    listed(number, Timestamp::default(), None)
}

fn name() -> DisplayName {
    DisplayName::new("Ministère", "Ministry").unwrap()
}

fn authority_record(id: &str) -> AuthorityRecord {
    AuthorityRecord {
        authority: authority(id),
        name: name(),
        standing: Standing::Active,
        may_host: true,
        may_lookup: false,
        alerts: Vec::new(),
        legal_bases: BTreeSet::new(),
        quotas: Quotas::default(),
    }
}

fn node_record(id: &str, number: u8) -> NodeRecord {
    NodeRecord {
        authority: authority(id),
        keys: vec![always(number)],
        quic: vec!["pli.interieur.gouv.fr:7400".parse().unwrap()],
        websocket: vec!["wss://pli.interieur.gouv.fr:7401/pli/1".parse().unwrap()],
        http: Vec::new(),
        gossip: Vec::new(),
        gateway_keys: vec![always(number + 1)],
        log_keys: vec![always(number + 2)],
    }
}

fn service_record(id: &str, keys: Vec<ValidKey>) -> ServiceRecord {
    ServiceRecord {
        service: service(id),
        name: name(),
        standing: Standing::Active,
        keys,
        classes: [Class::Message].into(),
        importances: [Importance::Information, Importance::Action].into(),
        link_hosts: ["www.interieur.gouv.fr".parse().unwrap()].into(),
    }
}

fn builder(environment: Environment) -> DirectoryBuilder {
    let versions = Versions {
        root: 1,
        timestamp: 4,
        snapshot: 3,
        targets: 2,
    };
    let top = [
        (TrustRole::Root, ONE_YEAR_ON),
        (TrustRole::Targets, ONE_YEAR_ON),
        (TrustRole::Snapshot, NOW.plus_ms(7 * DAY_MS)),
        (TrustRole::Timestamp, NOW.plus_ms(3 * DAY_MS)),
    ];
    DirectoryBuilder::new(environment, versions, top)
}

/// Interior with a node and `rdv`, Social Affairs with a node.
fn two_ministries() -> DirectoryBuilder {
    let mut builder = builder(Environment::Production);
    for (id, number) in [("interieur.gouv.fr", 10), ("social.gouv.fr", 20)] {
        builder.authority(authority_record(id)).unwrap();
        builder.role(&authority(id), ONE_YEAR_ON);
        builder
            .node(&authority(id), node_record(id, number))
            .unwrap();
    }
    let rdv = service_record("rdv@interieur.gouv.fr", vec![always(30)]);
    builder
        .service(&authority("interieur.gouv.fr"), rdv)
        .unwrap();
    builder
}

#[test]
fn tru_4_2_and_4_4_a_listed_key_is_found_and_others_are_refused_with_their_code() {
    let directory = two_ministries().build();
    let rdv = service("rdv@interieur.gouv.fr");
    let id = key(30).public().id();
    assert_eq!(directory.sender_key(&rdv, &id, NOW), Ok(key(30).public()));
    assert_eq!(
        directory.service_key_at(&rdv, &id, NOW),
        Ok(key(30).public())
    );
    assert_eq!(directory.owners(&id), [KeyOwner::service(rdv.clone())]);

    let code = |refusal: TrustRefusal| refusal.code();
    let other = key(31).public().id();
    assert_eq!(
        directory.sender_key(&rdv, &other, NOW).map_err(code),
        Err(Code::UnknownKey)
    );
    let nobody = service("rdv@nulle.part.fr");
    assert_eq!(
        directory.sender_key(&nobody, &id, NOW).map_err(code),
        Err(Code::UnknownAuthority)
    );
    let absent = service("impots@interieur.gouv.fr");
    assert_eq!(
        directory.sender_key(&absent, &id, NOW).map_err(code),
        Err(Code::UnknownService)
    );
    assert_eq!(
        directory
            .may_send(&rdv, Class::Alert, Importance::Action)
            .map_err(code),
        Err(Code::ClassNotAllowed)
    );
    assert_eq!(
        directory
            .may_send(&rdv, Class::Message, Importance::Legal)
            .map_err(code),
        Err(Code::ClassNotAllowed)
    );
    assert_eq!(
        directory.may_send(&rdv, Class::Message, Importance::Action),
        Ok(())
    );
}

#[test]
fn tru_4_3_and_4_6_r8_a_key_is_only_good_for_its_own_role_and_authority() {
    let directory = two_ministries().build();
    let interior = authority("interieur.gouv.fr");
    let social = authority("social.gouv.fr");
    let node_key = key(10).public().id();
    let current = |owner: KeyOwner| directory.current_key(&owner, &node_key, NOW).is_ok();
    assert!(current(KeyOwner::node(interior.clone())));
    assert!(!current(KeyOwner::gateway(interior.clone())));
    assert!(!current(KeyOwner::log(interior.clone())));
    assert!(!current(KeyOwner::node(social)));
    assert!(!current(KeyOwner::service(service(
        "rdv@interieur.gouv.fr"
    ))));
    let pinned: Vec<_> = directory.node_keys(&interior, NOW).unwrap().collect();
    assert_eq!(pinned, [key(10).public()]);
}

#[test]
fn tru_3_3_case_21_a_revoked_key_signs_nothing_new_and_its_old_signatures_stay_verifiable() {
    let revoked_at = NOW;
    let mut builder = two_ministries();
    let keys = vec![
        listed(40, Timestamp::default(), Some(revoked_at)),
        listed(41, NOW, None),
    ];
    let record = service_record("titres@interieur.gouv.fr", keys);
    builder
        .service(&authority("interieur.gouv.fr"), record)
        .unwrap();
    let directory = builder.build();
    let titres = service("titres@interieur.gouv.fr");
    let (old, new) = (key(40).public().id(), key(41).public().id());
    let before = Timestamp::from_ms(revoked_at.as_ms() - 1);

    let refused = directory.sender_key(&titres, &old, NOW).unwrap_err();
    assert_eq!(refused.code(), Code::KeyNotValid);
    assert!(directory.service_key_at(&titres, &old, before).is_ok());
    assert!(directory.service_key_at(&titres, &old, revoked_at).is_err());
    assert!(directory.sender_key(&titres, &new, NOW).is_ok());
    // Not before its time either.
    let early = directory.service_key_at(&titres, &new, before).unwrap_err();
    assert_eq!(early.code(), Code::KeyNotValid);
}

#[test]
fn tru_4_1_case_19_past_the_expiry_new_envelopes_are_refused_and_old_ones_stay_verifiable() {
    let directory = two_ministries().build();
    let rdv = service("rdv@interieur.gouv.fr");
    let id = key(30).public().id();
    let timestamp_ends = NOW.plus_ms(3 * DAY_MS);
    assert_eq!(directory.expires(), timestamp_ends);
    let last = Timestamp::from_ms(timestamp_ends.as_ms() - 1);
    assert!(directory.sender_key(&rdv, &id, last).is_ok());
    let refusal = directory.sender_key(&rdv, &id, timestamp_ends).unwrap_err();
    assert_eq!(refusal.code(), Code::DirectoryExpired);
    let home = directory
        .home(&authority("social.gouv.fr"), timestamp_ends)
        .unwrap_err();
    assert_eq!(home.code(), Code::DirectoryExpired);
    assert!(directory.service_key_at(&rdv, &id, timestamp_ends).is_ok());
}

#[test]
fn tru_4_1_an_authority_that_lapses_takes_no_other_with_it() {
    let mut builder = two_ministries();
    builder.authority(authority_record("lent.gouv.fr")).unwrap();
    builder.role(&authority("lent.gouv.fr"), NOW);
    let record = service_record("rdv@lent.gouv.fr", vec![always(50)]);
    builder.service(&authority("lent.gouv.fr"), record).unwrap();
    let directory = builder.build();
    let lapsed = directory.sender_key(&service("rdv@lent.gouv.fr"), &key(50).public().id(), NOW);
    assert_eq!(lapsed.unwrap_err().code(), Code::DirectoryExpired);
    assert!(directory.in_force(NOW).is_ok());
    let id = key(30).public().id();
    assert!(
        directory
            .sender_key(&service("rdv@interieur.gouv.fr"), &id, NOW)
            .is_ok()
    );
    assert_eq!(
        directory.alarm(&authority("interieur.gouv.fr"), NOW),
        Alarm::Quiet
    );
    assert_eq!(
        directory.alarm(&authority("lent.gouv.fr"), NOW),
        Alarm::Expired
    );
}

#[test]
fn tru_4_2_a_suspended_authority_or_service_sends_nothing_new() {
    let mut builder = builder(Environment::Production);
    let mut record = authority_record("interieur.gouv.fr");
    record.standing = Standing::Suspended { since: NOW };
    builder.authority(record).unwrap();
    builder
        .authority(authority_record("social.gouv.fr"))
        .unwrap();
    for id in ["interieur.gouv.fr", "social.gouv.fr"] {
        builder.role(&authority(id), ONE_YEAR_ON);
    }
    let rdv = service_record("rdv@interieur.gouv.fr", vec![always(30)]);
    builder
        .service(&authority("interieur.gouv.fr"), rdv)
        .unwrap();
    let mut stopped = service_record("caf@social.gouv.fr", vec![always(31)]);
    stopped.standing = Standing::Suspended { since: NOW };
    builder
        .service(&authority("social.gouv.fr"), stopped)
        .unwrap();
    let directory = builder.build();
    for (id, number) in [("rdv@interieur.gouv.fr", 30), ("caf@social.gouv.fr", 31)] {
        let id = service(id);
        let key_id = key(number).public().id();
        let refusal = directory.sender_key(&id, &key_id, NOW).unwrap_err();
        assert_eq!(refusal.code(), Code::Suspended, "{id}");
        let before = Timestamp::from_ms(NOW.as_ms() - 1);
        assert!(directory.sender_key(&id, &key_id, before).is_ok(), "{id}");
        assert!(directory.service_key_at(&id, &key_id, NOW).is_ok(), "{id}");
    }
}

#[test]
fn tru_4_5_only_a_host_is_a_home() {
    let mut builder = two_ministries();
    let mut record = authority_record("numerique.gouv.fr");
    record.may_host = false;
    builder.authority(record).unwrap();
    builder
        .authority(authority_record("sans-noeud.gouv.fr"))
        .unwrap();
    for id in ["numerique.gouv.fr", "sans-noeud.gouv.fr"] {
        builder.role(&authority(id), ONE_YEAR_ON);
    }
    builder
        .node(
            &authority("numerique.gouv.fr"),
            node_record("numerique.gouv.fr", 60),
        )
        .unwrap();
    let directory = builder.build();
    assert!(directory.home(&authority("social.gouv.fr"), NOW).is_ok());
    let refusal = directory
        .home(&authority("numerique.gouv.fr"), NOW)
        .unwrap_err();
    assert_eq!(refusal.code(), Code::CannotHost);
    let refusal = directory
        .home(&authority("sans-noeud.gouv.fr"), NOW)
        .unwrap_err();
    assert_eq!(
        refusal,
        TrustRefusal::NoNode {
            authority: authority("sans-noeud.gouv.fr")
        }
    );
}

#[test]
fn tru_3_2_case_25_one_authority_cannot_list_for_another() {
    let mut builder = two_ministries();
    let social = authority("social.gouv.fr");
    let forged = service_record("rdv@interieur.gouv.fr", vec![always(99)]);
    let refusal = builder.service(&social, forged).unwrap_err();
    assert_eq!(refusal.code(), Code::NotAuthoritative);
    let refusal = builder
        .node(&social, node_record("interieur.gouv.fr", 96))
        .unwrap_err();
    assert_eq!(refusal.code(), Code::NotAuthoritative);
    // Not even for an authority that the federation does not know.
    let nobody = authority("nulle.part.fr");
    let refusal = builder
        .node(&nobody, node_record("nulle.part.fr", 96))
        .unwrap_err();
    assert_eq!(refusal.code(), Code::NotAuthoritative);
    let directory = builder.build();
    assert!(directory.owners(&key(99).public().id()).is_empty());
    assert!(directory.owners(&key(96).public().id()).is_empty());
}

#[test]
fn tru_3_6_r9_published_keys_are_refused_outside_development() {
    let published = SigningKey::from_seed(&[0; 32]);
    let validity = Validity {
        not_before: Timestamp::default(),
        not_after: None,
    };
    let keys = vec![ValidKey {
        key: *published.public(),
        validity,
    }];
    let id = authority("interieur.gouv.fr");
    for (environment, accepted) in [
        (Environment::Production, false),
        (Environment::Development, true),
    ] {
        let mut builder = builder(environment);
        builder
            .authority(authority_record("interieur.gouv.fr"))
            .unwrap();
        let record = service_record("rdv@interieur.gouv.fr", keys.clone());
        match builder.service(&id, record) {
            Ok(()) => assert!(accepted),
            Err(refusal) => assert_eq!((refusal.code(), accepted), (Code::PublishedKey, false)),
        }
    }
}

#[test]
fn tru_3_5_a_key_has_one_role_within_an_authority_and_no_authority_can_spoil_anothers() {
    let mut builder = two_ministries();
    let interior = authority("interieur.gouv.fr");
    let reused = service_record("titres@interieur.gouv.fr", vec![always(10)]);
    assert!(matches!(
        builder.service(&interior, reused),
        Err(RecordRefusal::KeyReused { .. })
    ));
    let twice = service_record("titres@interieur.gouv.fr", vec![always(40), always(40)]);
    assert!(matches!(
        builder.service(&interior, twice),
        Err(RecordRefusal::KeyRepeated { .. })
    ));
    let none = service_record("titres@interieur.gouv.fr", Vec::new());
    assert!(matches!(
        builder.service(&interior, none),
        Err(RecordRefusal::NoKey { .. })
    ));
    // Social lists Interior's key: Interior is not hurt, and Social gains nothing by it.
    let copied = service_record("rdv@social.gouv.fr", vec![always(30)]);
    builder
        .service(&authority("social.gouv.fr"), copied)
        .unwrap();
    let directory = builder.build();
    let id = key(30).public().id();
    assert!(
        directory
            .sender_key(&service("rdv@interieur.gouv.fr"), &id, NOW)
            .is_ok()
    );
    assert_eq!(directory.owners(&id).len(), 2);
}

#[test]
fn tru_3_5_r15_every_bound_of_the_directory_is_checked_at_one_more() {
    let mut crowd = builder(Environment::Production);
    for number in 0..=limits::AUTHORITIES_MAX {
        let taken = crowd.authority(authority_record(&format!("a{number}.fr")));
        assert_eq!(taken.is_ok(), number < limits::AUTHORITIES_MAX, "{number}");
    }

    let interior = authority("interieur.gouv.fr");
    let mut keys = two_ministries();
    let too_many = (0..=limits::KEYS_PER_HOLDER_MAX)
        .map(|n| always(100 + n as u8))
        .collect::<Vec<_>>();
    let mut fits = too_many.clone();
    fits.pop();
    assert!(
        keys.service(&interior, service_record("a@interieur.gouv.fr", too_many))
            .is_err()
    );
    assert!(
        keys.service(&interior, service_record("a@interieur.gouv.fr", fits))
            .is_ok()
    );

    let mut hosts = two_ministries();
    let mut record = service_record("a@interieur.gouv.fr", vec![always(40)]);
    record.link_hosts = (0..=limits::LINK_HOSTS_MAX)
        .map(|n| format!("h{n}.fr").parse().unwrap())
        .collect();
    assert!(hosts.service(&interior, record.clone()).is_err());
    record.link_hosts.pop_last();
    assert!(hosts.service(&interior, record).is_ok());

    let mut endpoints = builder(Environment::Production);
    endpoints
        .authority(authority_record("interieur.gouv.fr"))
        .unwrap();
    let mut record = node_record("interieur.gouv.fr", 10);
    record.quic = (0..=limits::ENDPOINTS_MAX)
        .map(|n| format!("h{n}.fr:7400").parse().unwrap())
        .collect();
    assert!(endpoints.node(&interior, record.clone()).is_err());
    record.quic.pop();
    assert!(endpoints.node(&interior, record).is_ok());
}

#[test]
fn r15_what_the_federation_grants_is_bounded() {
    let token = |n: usize| format!("t{n}").parse::<Token>().unwrap();
    let alert = |n: usize| AlertGrant {
        event: token(n),
        cosigners: BTreeSet::new(),
    };
    let taken =
        |record: AuthorityRecord| builder(Environment::Production).authority(record).is_ok();
    let mut record = authority_record("interieur.gouv.fr");
    record.alerts = (0..=limits::ALERTS_MAX).map(alert).collect();
    assert!(!taken(record.clone()));
    record.alerts.pop();
    record.legal_bases = (0..=limits::LEGAL_BASES_MAX).map(token).collect();
    assert!(!taken(record.clone()));
    record.legal_bases.pop_last();
    record.alerts[0].cosigners = (0..=limits::COSIGNERS_MAX)
        .map(|n| authority(&format!("a{n}.fr")))
        .collect();
    assert!(!taken(record.clone()));
    record.alerts[0].cosigners.pop_last();
    assert!(taken(record));
}

#[test]
fn r15_services_of_an_authority_are_bounded() {
    let mut builder = two_ministries();
    let social = authority("social.gouv.fr");
    for number in 0..=limits::SERVICES_PER_AUTHORITY_MAX {
        let mut seed = [0x33; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let validity = Validity {
            not_before: Timestamp::default(),
            not_after: None,
        };
        let keys = vec![ValidKey {
            key: *SigningKey::from_seed(&seed).public(),
            validity,
        }];
        let taken = builder.service(
            &social,
            service_record(&format!("s{number}@social.gouv.fr"), keys),
        );
        assert_eq!(
            taken.is_ok(),
            number < limits::SERVICES_PER_AUTHORITY_MAX,
            "{number}"
        );
    }
}

#[test]
fn tru_5_1_case_78_alarms_sound_30_7_and_1_days_before_an_expiry() {
    let root = RoleExpiry {
        role: TrustRole::Root,
        expires: ONE_YEAR_ON,
    };
    let left = |days: u64, ms: u64| Timestamp::from_ms(ONE_YEAR_ON.as_ms() - days * DAY_MS - ms);
    for (now, alarm) in [
        (left(30, 1), Alarm::Quiet),
        (left(30, 0), Alarm::First),
        (left(7, 1), Alarm::First),
        (left(7, 0), Alarm::Second),
        (left(1, 1), Alarm::Second),
        (left(1, 0), Alarm::Last),
        (left(0, 1), Alarm::Last),
        (left(0, 0), Alarm::Expired),
        (ONE_YEAR_ON.plus_ms(DAY_MS), Alarm::Expired),
    ] {
        assert_eq!(root.alarm(now), alarm, "{now}");
    }
    // A role signed again every day is always within 30 days of its end.
    let timestamp = RoleExpiry {
        role: TrustRole::Timestamp,
        expires: ONE_YEAR_ON,
    };
    assert_eq!(timestamp.alarm(left(3, 0)), Alarm::Quiet);
    assert_eq!(timestamp.alarm(left(1, 0)), Alarm::Last);
}

#[test]
fn case_07_names_and_hosts_that_could_mislead_are_refused() {
    let long = "é".repeat(limits::DISPLAY_NAME_MAX / 2);
    assert!(DisplayName::new(long.clone(), "x").is_ok());
    for bad in [
        "",
        "  ",
        "Minis\u{202e}tère",
        "a\0b",
        "two\nlines",
        &format!("{long}x"),
    ] {
        assert!(DisplayName::new(bad, "x").is_err(), "{bad:?}");
        assert!(DisplayName::new("x", bad).is_err(), "{bad:?}");
    }
    for bad in [
        "",
        "gouv",
        "WWW.gouv.fr",
        "www.gouv.fr:443",
        "www..fr",
        "ｗww.gouv.fr",
    ] {
        assert!(bad.parse::<LinkHost>().is_err(), "{bad:?}");
    }
    for good in [
        "pli.gouv.fr:7400",
        "127.0.0.1:1",
        "[::1]:7400",
        "localhost:65535",
    ] {
        assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
    }
    for bad in [
        "pli.gouv.fr",
        ":7400",
        "pli.gouv.fr:0",
        "pli.gouv.fr:07400",
        "pli.gouv.fr:65536",
        "::1:7400",
        "[pli]:1",
        "a b.fr:1",
    ] {
        assert!(bad.parse::<HostPort>().is_err(), "{bad:?}");
    }
    for good in ["wss://pli.gouv.fr/pli/1", "wss://127.0.0.1:7401/pli/1"] {
        assert_eq!(good.parse::<WebSocketUrl>().unwrap().as_str(), good);
    }
    for bad in [
        "ws://pli.gouv.fr/",
        "https://pli.gouv.fr/",
        "wss://",
        "wss://a@b.fr/",
        "wss://pli.gouv.fr:0x1/",
    ] {
        assert!(bad.parse::<WebSocketUrl>().is_err(), "{bad:?}");
    }
    for bad in ["", "Child", "a b", &"a".repeat(65)] {
        assert!(bad.parse::<Token>().is_err(), "{bad:?}");
    }
}
