//! What signing and publishing refuse, and what they say about it (TRU-6).
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{
    DAY_MS, INTERIOR, Member, NOW, World, id, key, keys, ring, role_keys, service, service_record,
};
use pli_protocol::code::Code;
use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::trust::{Environment, KeyRole, RecordRefusal};
use pli_trust::write::{
    Authority, Federation, GrantChange, KeyRing, Lifetimes, NewAuthority, NewFederation,
    RootChange, Suspension, WriteError,
};
use pli_trust::{TrustConfig, TrustStore};

fn needs_more(error: &WriteError) -> String {
    assert!(matches!(error, WriteError::TooFewKeys { .. }), "{error}");
    error.to_string()
}

#[tokio::test]
async fn tru_6_1_a_threshold_needs_that_many_different_key_files() {
    let world = World::new().await;
    let one = ring([&world.targets_keys[0]]);
    let change = GrantChange {
        may_lookup: Some(true),
        ..GrantChange::default()
    };
    let error = world
        .federation
        .grant(&id(INTERIOR), change.clone(), &one, NOW)
        .unwrap_err();
    assert_eq!(
        needs_more(&error),
        "targets needs 2 of its 3 keys and got 1: give 1 more with --key"
    );
    // The same key twice is one key, and none is none.
    let twice = ring([&world.targets_keys[0], &world.targets_keys[0]]);
    needs_more(
        &world
            .federation
            .grant(&id(INTERIOR), change.clone(), &twice, NOW)
            .unwrap_err(),
    );
    let none = KeyRing::default();
    let error = world
        .federation
        .suspend(&id(INTERIOR), Suspension::Impose, &none, NOW)
        .unwrap_err();
    assert_eq!(
        needs_more(&error),
        "targets needs 2 of its 3 keys and got 0: give 2 more with --key"
    );
    let error = world
        .federation
        .rotate_root(RootChange::default(), &ring([&world.root_keys[1]]), NOW)
        .unwrap_err();
    assert_eq!(
        needs_more(&error),
        "root version 1 needs 2 of its 3 keys and got 1: give 1 more with --key"
    );
    // Any two of the three do.
    let other_two = ring([&world.targets_keys[1], &world.targets_keys[2]]);
    world
        .federation
        .grant(&id(INTERIOR), change, &other_two, NOW)
        .unwrap();
}

#[tokio::test]
async fn tru_6_1_a_key_of_another_role_is_named_not_ignored() {
    let mut world = World::new().await;
    let wrong = ring([
        &world.targets_keys[0],
        &world.targets_keys[1],
        &world.timestamp_key,
    ]);
    let error = world
        .federation
        .suspend(&id(INTERIOR), Suspension::Impose, &wrong, NOW)
        .unwrap_err();
    assert!(
        matches!(&error, WriteError::ForeignKey { key, .. } if *key == world.timestamp_key.public().to_string()),
        "{error}"
    );
    let offline = ring([
        &world.root_keys[0],
        &world.snapshot_key,
        &world.timestamp_key,
    ]);
    let error = world
        .federation
        .publish(&[], &offline, Environment::Production, NOW)
        .await
        .unwrap_err();
    assert!(matches!(error, WriteError::ForeignKey { .. }), "{error}");
}

#[tokio::test]
async fn a_rotation_of_the_root_needs_the_old_and_the_new_holders() {
    let mut world = World::new().await;
    let new_root = keys(3);
    let change = RootChange {
        root: Some(role_keys(&new_root, 3)),
        ..RootChange::default()
    };
    let holders = world.root_keys.clone();
    let old = [&holders[0], &holders[1]];
    let error = world
        .federation
        .rotate_root(change.clone(), &ring(old), NOW)
        .unwrap_err();
    assert_eq!(
        needs_more(&error),
        "root version 2 needs 3 of its 3 keys and got 0: give 3 more with --key"
    );
    let error = world
        .federation
        .rotate_root(change.clone(), &ring(&new_root), NOW)
        .unwrap_err();
    assert_eq!(
        needs_more(&error),
        "root version 1 needs 2 of its 3 keys and got 0: give 2 more with --key"
    );
    let all = ring(old.into_iter().chain(&new_root));
    assert_eq!(world.federation.rotate_root(change, &all, NOW).unwrap(), 2);
    let node = world.node(&world.repository(), "node").await;
    world.publish(&[]).await;
    assert_eq!(
        node.refresh(NOW).await.unwrap().directory.versions().root,
        2
    );
    // From now on the old holders are nobody.
    let error = world
        .federation
        .rotate_root(RootChange::default(), &ring(old), NOW)
        .unwrap_err();
    assert!(matches!(error, WriteError::ForeignKey { .. }), "{error}");
    world
        .federation
        .rotate_root(RootChange::default(), &ring(&new_root), NOW)
        .unwrap();
    world.publish(&[]).await;
    assert_eq!(
        node.refresh(NOW).await.unwrap().directory.versions().root,
        3
    );
}

#[tokio::test]
async fn a_rotation_that_replaces_the_targets_keys_signs_the_list_anew() {
    let mut world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let new_targets = keys(2);
    let change = RootChange {
        targets: Some(role_keys(&new_targets, 2)),
        ..RootChange::default()
    };
    let old = [&world.root_keys[0], &world.root_keys[1]];
    needs_more(
        &world
            .federation
            .rotate_root(change.clone(), &ring(old), NOW)
            .unwrap_err(),
    );
    world
        .federation
        .rotate_root(change, &ring(old.into_iter().chain(&new_targets)), NOW)
        .unwrap();
    world.publish(&[]).await;
    let versions = node.refresh(NOW).await.unwrap().directory.versions();
    assert_eq!((versions.root, versions.targets), (2, 2));
    let error = world
        .federation
        .suspend(
            &id(INTERIOR),
            Suspension::Impose,
            &world.targets_ring(),
            NOW,
        )
        .unwrap_err();
    assert!(matches!(error, WriteError::ForeignKey { .. }), "{error}");
}

#[tokio::test]
async fn what_nodes_would_leave_out_is_not_published() {
    let mut world = World::new().await;
    let before = std::fs::read(world.repository().join("metadata/timestamp.json")).unwrap();
    // R9: the key of RFC 8032's first test.
    let seed = pli_protocol::id::from_hex(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    )
    .unwrap();
    let published = SigningKey::from_seed(&seed);
    let record = service_record("titres@interieur.gouv.fr", published.public(), NOW);
    world.interior.authority.add_service(&record).unwrap();
    let handover = world.interior.hand_over(NOW);
    let online = world.online_ring();
    let error = world
        .federation
        .publish(
            std::slice::from_ref(&handover),
            &online,
            Environment::Production,
            NOW,
        )
        .await
        .unwrap_err();
    let WriteError::LeftOut { refusals } = &error else {
        panic!("{error}")
    };
    assert!(
        matches!(refusals[..], [RecordRefusal::PublishedKey { .. }]),
        "{error}"
    );
    // Nothing that mirrors fetch has changed.
    assert_eq!(
        std::fs::read(world.repository().join("metadata/timestamp.json")).unwrap(),
        before
    );

    // R9: in development it may be published, and is still refused by a node that is not.
    world
        .federation
        .publish(&[handover], &online, Environment::Development, NOW)
        .await
        .unwrap();
    let titres = service("titres@interieur.gouv.fr");
    for (environment, accepted) in [
        (Environment::Production, false),
        (Environment::Development, true),
    ] {
        let config = TrustConfig {
            environment,
            ..world.config(
                &[&world.repository()],
                if accepted { "dev" } else { "node" },
            )
        };
        let directory = TrustStore::open(config, NOW).await.unwrap().directory();
        assert_eq!(
            directory
                .sender_key(&titres, &published.public().id(), NOW)
                .is_ok(),
            accepted
        );
        assert_eq!(
            directory
                .findings()
                .iter()
                .any(|finding| finding.refusal.code() == Code::PublishedKey),
            !accepted
        );
    }
}

#[tokio::test]
async fn an_expired_offline_role_is_not_published() {
    let mut world = World::new().await;
    let later = NOW.plus_ms(180 * DAY_MS);
    let online = world.online_ring();
    let error = world
        .federation
        .publish(&[], &online, Environment::Production, later)
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("targets expired on "),
        "{error}"
    );
    world
        .federation
        .grant(
            &id(INTERIOR),
            GrantChange::default(),
            &world.targets_ring(),
            later,
        )
        .unwrap();
    world
        .federation
        .publish(&[], &online, Environment::Production, later)
        .await
        .unwrap();
}

#[tokio::test]
async fn hand_overs_are_checked_before_they_are_taken_in() {
    let mut world = World::new().await;
    let online = world.online_ring();
    let stranger = world.folder.path().join("stranger");
    let mut stranger = Member::new(&stranger, "nulle.part.fr", NOW);
    let handover = stranger.hand_over(NOW);
    assert!(
        world
            .federation
            .publish(
                std::slice::from_ref(&handover),
                &online,
                Environment::Production,
                NOW
            )
            .await
            .is_err()
    );
    assert!(
        world
            .federation
            .replace_authority_keys(&handover, &world.targets_ring(), NOW)
            .is_err()
    );
    // Known already.
    let known = world.interior.authority.handover_dir();
    let error = world
        .federation
        .add_authority(&known, GrantChange::default(), &world.targets_ring(), NOW)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::KnownAuthority { .. }),
        "{error}"
    );
    // An older one.
    let old = world.folder.path().join("old");
    fixture::copy(&known, &old);
    world.publish_a_change().await;
    let error = world
        .federation
        .publish(
            std::slice::from_ref(&old),
            &online,
            Environment::Production,
            NOW,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            WriteError::OldHandover {
                got: 1,
                published: 2,
                ..
            }
        ),
        "{error}"
    );
    // The newest once more is nothing new, and not an error.
    world.publish(&[known]).await;
    // A file that is not what was signed.
    let fresh = world.interior.hand_over(NOW);
    let file = fixture::one_file(&fresh.join("targets").join(INTERIOR), ".node.json");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("7400", "7499");
    std::fs::write(&file, text).unwrap();
    let error = world
        .federation
        .publish(&[fresh], &online, Environment::Production, NOW)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not what was signed"), "{error}");
}

#[tokio::test]
async fn an_authority_signs_alone_and_with_its_own_threshold() {
    let folder = tempfile::tempdir().unwrap();
    let role = keys(3);
    let new = NewAuthority {
        authority: id(INTERIOR),
        name: fixture::name("Intérieur"),
        keys: role_keys(&role, 2),
        role_days: 90,
        node_key: *key().public(),
        quic: vec!["pli.interieur.gouv.fr:7400".parse().unwrap()],
        websocket: Vec::new(),
        http: Vec::new(),
        gossip: Vec::new(),
        log_key: None,
    };
    let mut authority = Authority::init(folder.path(), new.clone(), NOW).unwrap();
    assert!(matches!(
        Authority::init(folder.path(), new, NOW),
        Err(WriteError::Occupied { .. })
    ));
    let error = authority.publish(&ring([&role[0]]), NOW).unwrap_err();
    assert_eq!(
        needs_more(&error),
        "interieur.gouv.fr needs 2 of its 3 keys and got 1: give 1 more with --key"
    );
    assert_eq!(
        authority.publish(&ring([&role[0], &role[2]]), NOW).unwrap(),
        1
    );
    let mut again = Authority::open(folder.path()).unwrap();
    assert_eq!(again.publish(&ring([&role[1], &role[2]]), NOW).unwrap(), 2);
}

#[test]
fn a_revocation_must_know_which_key() {
    let folder = tempfile::tempdir().unwrap();
    let member = Member::new(folder.path(), INTERIOR, NOW);
    let authority = &member.authority;
    let second = key();
    let change = pli_trust::write::NodeChange {
        add_keys: vec![*second.public()],
        ..Default::default()
    };
    authority.set_node(change, NOW).unwrap();
    let error = authority
        .revoke(&KeyRole::Node, None, None, NOW)
        .unwrap_err();
    assert!(
        matches!(&error, WriteError::WhichKey { keys, .. } if keys.len() == 2),
        "{error}"
    );
    let revoked = authority
        .revoke(&KeyRole::Node, Some(&second.public().id()), None, NOW)
        .unwrap();
    assert_eq!(revoked.key, *second.public());
    // It stays listed, with an end; ending it again is an error.
    let node = authority.node().unwrap();
    assert_eq!(node.keys[1].validity.not_after, Some(revoked.not_after));
    let error = authority
        .revoke(&KeyRole::Node, Some(&second.public().id()), None, NOW)
        .unwrap_err();
    assert!(matches!(error, WriteError::EndedAlready { .. }), "{error}");
    let change = pli_trust::write::NodeChange {
        add_keys: vec![*second.public()],
        ..Default::default()
    };
    let error = authority.set_node(change, NOW).unwrap_err();
    assert!(matches!(error, WriteError::KeyListed { .. }), "{error}");
    assert!(
        authority
            .revoke(&KeyRole::Gateway, None, None, NOW)
            .is_err()
    );
    let absent = KeyRole::Service(service("absent@interieur.gouv.fr"));
    assert!(matches!(
        authority.revoke(&absent, None, None, NOW),
        Err(WriteError::NotInDraft { .. })
    ));
}

#[tokio::test]
async fn a_workspace_is_neither_missing_nor_made_twice() {
    let folder = tempfile::tempdir().unwrap();
    let error = Federation::open(folder.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("run: pli federation init"),
        "{error}"
    );
    let error = Authority::open(folder.path()).unwrap_err();
    assert!(
        error.to_string().ends_with("run: pli authority init"),
        "{error}"
    );
    let all = keys(4);
    let one = |index: usize| role_keys(&all[index..=index], 1);
    let new = NewFederation {
        root: one(0),
        targets: one(1),
        snapshot: one(2),
        timestamp: one(3),
        lifetimes: Lifetimes::default(),
    };
    let mut federation =
        Federation::init(folder.path(), new.clone(), &ring(&all[..2]), NOW).unwrap();
    let error = Federation::init(folder.path(), new, &ring(&all[..2]), NOW).unwrap_err();
    assert!(matches!(error, WriteError::Occupied { .. }), "{error}");
    let error = federation
        .rotate_root(RootChange::default(), &ring(&all[..1]), NOW)
        .unwrap_err();
    assert!(matches!(error, WriteError::NeverPublished), "{error}");
    let published = federation
        .publish(&[], &ring(&all[2..]), Environment::Production, NOW)
        .await
        .unwrap();
    assert_eq!(published.directory.authorities().count(), 0);
    let error = federation
        .suspend(&id(INTERIOR), Suspension::Impose, &ring(&all[1..2]), NOW)
        .unwrap_err();
    assert!(
        matches!(error, WriteError::UnknownAuthority { .. }),
        "{error}"
    );
}
