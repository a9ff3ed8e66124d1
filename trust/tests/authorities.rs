//! What one authority can do to the others, and what a mirror can say of them: nothing that lasts.
#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::victim::{refused, snapshot, timestamp, victim};
use fixture::{
    DAY_MS, INTERIOR, NOW, SOCIAL, World, id, key, metafile, publish_stolen, resign, service,
    tuf_key, tuf_key_id,
};
use pli_protocol::code::Code;
use pli_protocol::trust::RecordRefusal;
use pli_trust::TrustError;
use tough::TargetName;
use tough::schema::{Snapshot, Targets, Timestamp};

#[tokio::test]
async fn case_20_two_timestamps_of_one_version_are_both_kept() {
    let (world, mirror, node) = victim().await;
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.expires = file
            .expires
            .checked_add(std::time::Duration::from_secs(1))
            .unwrap();
    });
    let error = refused(&node, &world).await;
    let TrustError::Equivocation { version: 1, kept } = error else {
        panic!("{error}")
    };
    let evidence = fixture::one_file(&kept, ".json");
    assert_eq!(
        std::fs::read(evidence).unwrap(),
        std::fs::read(timestamp(&mirror)).unwrap()
    );
}

#[tokio::test]
async fn tru_1_3_case_25_an_authoritys_role_that_names_anothers_path_gets_nowhere() {
    let (world, mirror, node) = victim().await;
    let foreign = TargetName::new("social.gouv.fr/node.json").unwrap();
    publish_stolen(&world, &mirror, INTERIOR, |role| {
        let own = role.targets.values().next().unwrap().clone();
        role.targets.insert(foreign, own);
    });
    let directory = node.refresh(world.now).await.unwrap().directory;
    let [finding] = directory.findings() else {
        panic!("{:?}", directory.findings())
    };
    assert_eq!(finding.refusal.code(), Code::NotAuthoritative);
    assert_eq!(finding.authority, id(INTERIOR));
    let social = directory.node_of(&id(SOCIAL)).unwrap();
    assert_eq!(social.keys[0].key, *world.social.node_key.public());
}

#[tokio::test]
async fn tru_3_2_case_25_a_file_under_the_right_path_that_speaks_of_another_gets_nowhere() {
    let (world, mirror, node) = victim().await;
    // Interior publishes Social's node file as its own.
    let folder = mirror.join(format!("targets/{SOCIAL}"));
    let theirs = fixture::one_file(&folder, ".node.json");
    let hashed = theirs.file_name().unwrap();
    std::fs::copy(
        &theirs,
        mirror.join(format!("targets/{INTERIOR}")).join(hashed),
    )
    .unwrap();
    let file = metafile(&theirs, 1);
    publish_stolen(&world, &mirror, INTERIOR, |role| {
        let name = TargetName::new("interieur.gouv.fr/node.json").unwrap();
        let own = role.targets.get_mut(&name).unwrap();
        own.length = file.length.unwrap();
        own.hashes = file.hashes.clone().unwrap();
    });
    let directory = node.refresh(world.now).await.unwrap().directory;
    let [finding] = directory.findings() else {
        panic!("{:?}", directory.findings())
    };
    assert_eq!(finding.refusal.code(), Code::NotAuthoritative);
    assert!(directory.node_of(&id(INTERIOR)).is_err());
    assert!(directory.node_of(&id(SOCIAL)).is_ok());
}

/// A delegation beyond the authority's own two patterns, by a federation that errs.
#[tokio::test]
async fn case_25_a_delegation_of_anothers_paths_is_left_out() {
    let (world, mirror, node) = victim().await;
    let targets = mirror.join("metadata/2.targets.json");
    std::fs::copy(mirror.join("metadata/1.targets.json"), &targets).unwrap();
    resign::<Targets>(
        &targets,
        &[&world.targets_keys[0], &world.targets_keys[1]],
        |file| {
            file.version = 2.try_into().unwrap();
            let roles = &mut file.delegations.as_mut().unwrap().roles;
            let interior = roles.iter_mut().find(|role| role.name == INTERIOR).unwrap();
            let wide = vec![tough::schema::PathPattern::new("*").unwrap()];
            interior.paths = tough::schema::PathSet::Paths(wide);
        },
    );
    let next = mirror.join("metadata/2.snapshot.json");
    std::fs::copy(snapshot(&mirror), &next).unwrap();
    resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
        file.version = 2.try_into().unwrap();
        file.meta
            .insert("targets.json".into(), metafile(&targets, 2));
    });
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.version = 2.try_into().unwrap();
        file.meta.insert("snapshot.json".into(), metafile(&next, 2));
    });
    let directory = node.refresh(world.now).await.unwrap().directory;
    let refusals: Vec<_> = directory
        .findings()
        .iter()
        .map(|finding| &finding.refusal)
        .collect();
    assert!(
        matches!(refusals[..], [RecordRefusal::NotAuthoritative { .. }]),
        "{refusals:?}"
    );
    assert!(directory.node_of(&id(INTERIOR)).is_err());
    assert!(directory.node_of(&id(SOCIAL)).is_ok());
}

/// `tough` ends the search for roles at the first that a snapshot omits: taken as it stands, that
/// would silence everybody. (A node that knew the role calls it a rollback; this one is new.)
#[tokio::test]
async fn tru_2_2_a_snapshot_that_omits_a_role_is_refused_by_a_newcomer_too() {
    let world = World::new().await;
    let mirror = world.stolen_mirror("mirror");
    resign::<Snapshot>(&snapshot(&mirror), &[&world.snapshot_key], |file| {
        file.meta.remove(&format!("{SOCIAL}.json"));
    });
    let file = metafile(&snapshot(&mirror), 1);
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |timestamp| {
        timestamp.meta.insert("snapshot.json".into(), file);
    });
    let error = world.try_node(&mirror, "newcomer").await.unwrap_err();
    assert_eq!(error.code(), Code::DirectoryInvalid, "{error}");
}

/// A role of its own making below an authority: nobody could say whose it is.
#[tokio::test]
async fn tru_1_2_an_authority_delegates_no_further() {
    let (world, mirror, node) = victim().await;
    let friend = key();
    publish_stolen(&world, &mirror, INTERIOR, |role| {
        let mut delegations = tough::schema::Delegations::new();
        delegations
            .keys
            .insert(tuf_key_id(friend.public()), tuf_key(friend.public()));
        let paths =
            vec![tough::schema::PathPattern::new("interieur.gouv.fr/services/*.json").unwrap()];
        delegations.roles.push(tough::schema::DelegatedRole {
            name: "ami.gouv.fr".into(),
            keyids: vec![tuf_key_id(friend.public())],
            threshold: 1.try_into().unwrap(),
            paths: tough::schema::PathSet::Paths(paths),
            terminating: true,
            targets: None,
        });
        role.delegations = Some(delegations);
    });
    let directory = node.refresh(world.now).await.unwrap().directory;
    let [finding] = directory.findings() else {
        panic!("{:?}", directory.findings())
    };
    assert_eq!(finding.authority, id(INTERIOR));
    assert!(
        directory
            .service(&service("rdv@interieur.gouv.fr"))
            .is_err()
    );
    assert!(directory.service(&service("rdv@social.gouv.fr")).is_ok());
}

/// TRU-4.1: one authority asleep must not stop the others.
#[tokio::test]
async fn tru_4_1_an_authority_whose_own_role_has_expired_stops_only_itself() {
    let mut world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    world.now = NOW.plus_ms(91 * DAY_MS);
    let handover = world.interior.hand_over(world.now);
    world.publish(&[handover]).await;
    let directory = node.refresh(world.now).await.unwrap().directory;
    let interior = world.interior.service_key.public();
    let social = world.social.service_key.public();
    let rdv = service("rdv@interieur.gouv.fr");
    assert_eq!(
        directory.sender_key(&rdv, &interior.id(), world.now),
        Ok(interior)
    );
    let rdv = service("rdv@social.gouv.fr");
    let refusal = directory
        .sender_key(&rdv, &social.id(), world.now)
        .unwrap_err();
    assert_eq!(refusal.code(), Code::DirectoryExpired);
}
