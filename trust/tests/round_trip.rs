//! What is signed is what a node reads, from a directory and from a mirror, and after a restart.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use fixture::http::{Mirror, Trick};
use fixture::{DAY_MS, INTERIOR, NOW, SOCIAL, World, id, ring, role_keys, service};
use pli_protocol::code::Code;
use pli_protocol::trust::{Alarm, Environment, KeyOwner, KeyRole, Policy, TrustRole};
use pli_trust::write::{RootChange, Suspension};
use pli_trust::{Changed, Source, TrustError, TrustStore, fetch_pinned_root, keyfile, read_held};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn tru_1_3_what_is_signed_is_what_a_node_reads() {
    let world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let directory = node.directory();
    assert!(directory.findings().is_empty());
    for (authority, member) in [(INTERIOR, &world.interior), (SOCIAL, &world.social)] {
        let rdv = service(&format!("rdv@{authority}"));
        let key = member.service_key.public();
        assert_eq!(directory.sender_key(&rdv, &key.id(), world.now), Ok(key));
        let home = directory.home(&id(authority), world.now).unwrap();
        assert_eq!(home.keys[0].key, *member.node_key.public());
        assert_eq!(home.quic[0].to_string(), "127.0.0.1:7400");
    }
    // The other's key does not count.
    let foreign = world.social.service_key.public().id();
    let refusal = directory.sender_key(&service("rdv@interieur.gouv.fr"), &foreign, world.now);
    assert_eq!(refusal.unwrap_err().code(), Code::UnknownKey);
}

#[tokio::test]
async fn tru_2_6_a_mirror_over_http_gives_the_same_and_unchanged_files_are_not_fetched_again() {
    let mut world = World::new().await;
    let mirror = Mirror::serve(world.repository(), Trick::None).await;
    let mut config = world.config(&[], "node");
    config.sources = vec![mirror.url().parse().unwrap()];
    let node = TrustStore::open(config, world.now).await.unwrap();
    assert_eq!(node.directory().authorities().count(), 2);
    assert_eq!(node.refresh(world.now).await.unwrap().changed, Changed::No);
    let before = mirror.requests.load(std::sync::atomic::Ordering::SeqCst);
    world.publish_a_change().await;
    assert_eq!(node.refresh(world.now).await.unwrap().changed, Changed::Yes);
    let asked = mirror.requests.load(std::sync::atomic::Ordering::SeqCst) - before;
    // What it claims (root 2, timestamp), then root 2, timestamp, snapshot, targets, two roles: no
    // target file, since none has changed.
    assert_eq!(asked, 8);
}

#[tokio::test]
async fn tru_2_6_r5_a_redirect_is_not_followed() {
    let world = World::new().await;
    let honest = Mirror::serve(world.repository(), Trick::None).await;
    let mirror = Mirror::serve(world.repository(), Trick::Redirect { to: honest.url() }).await;
    let mut config = world.config(&[], "node");
    config.sources = vec![mirror.url().parse().unwrap()];
    let error = TrustStore::open(config, world.now).await.unwrap_err();
    assert!(matches!(error, TrustError::Unreachable { .. }), "{error}");
    assert_eq!(honest.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn tru_2_3_a_node_starts_from_its_own_copy_when_the_mirror_is_away() {
    let world = World::new().await;
    let versions = world
        .node(&world.repository(), "node")
        .await
        .directory()
        .versions();
    let node = world.node(Path::new("/nowhere"), "node").await;
    assert_eq!(node.directory().versions(), versions);
    assert!(node.directory().in_force(world.now).is_ok());
    // Even expired: it says so itself, and new envelopes are refused.
    let later = NOW.plus_ms(30 * DAY_MS);
    let config = world.config(&[Path::new("/nowhere")], "node");
    let node = TrustStore::open(config, later).await.unwrap();
    let refusal = node.directory().in_force(later).unwrap_err();
    assert_eq!(refusal.code(), Code::DirectoryExpired);
}

#[tokio::test]
async fn case_41_a_damaged_copy_is_not_used_and_the_source_repairs_it() {
    let world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let file = node.mirror_dir().join("metadata/1.snapshot.json");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    assert!(world.try_node(Path::new("/nowhere"), "node").await.is_err());
    let node = world.node(&world.repository(), "node").await;
    assert!(node.directory().in_force(world.now).is_ok());
    world.node(Path::new("/nowhere"), "node").await;
}

#[tokio::test]
async fn a_copy_that_began_from_another_root_is_refused_by_name() {
    let world = World::new().await;
    let other = World::new().await;
    world.node(&world.repository(), "node").await;
    let mut config = world.config(&[&other.repository()], "node");
    config.root = other.first_root();
    let error = TrustStore::open(config, world.now).await.unwrap_err();
    assert!(matches!(error, TrustError::AnotherRoot { .. }), "{error}");
}

/// Every file under `folder`, by its name in `top`.
fn read_all(top: &Path, folder: &Path, into: &mut BTreeMap<String, Bytes>) {
    for path in std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.is_dir() {
            read_all(top, &path, into);
        } else {
            let name = path.strip_prefix(top).unwrap().to_str().unwrap();
            into.insert(name.to_owned(), std::fs::read(&path).unwrap().into());
        }
    }
}

#[tokio::test]
async fn evd_6_1_files_at_hand_are_verified_from_the_root_that_the_reader_trusts() {
    let world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let mut files = BTreeMap::new();
    read_all(node.mirror_dir(), node.mirror_dir(), &mut files);
    let root = world.first_root();
    let read = async |root: &Bytes, files| read_held(root, files, Environment::Production).await;
    let directory = read(&root, files.clone()).await.unwrap();
    assert_eq!(directory.versions(), node.directory().versions());
    assert!(directory.home(&id(SOCIAL), world.now).is_ok());

    let other = World::new().await.first_root();
    let error = read(&other, files.clone()).await.unwrap_err().to_string();
    assert!(error.contains("the root that is trusted here"), "{error}");
    // Beside `metadata/root.json`, which is for those who know only a hash of the newest root, each file counts.
    files.remove("metadata/root.json");
    for name in files.keys() {
        let mut altered = files.clone();
        let mut bytes = altered[name].to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        altered.insert(name.clone(), bytes.into());
        assert!(read(&root, altered).await.is_err(), "{name}, altered");
        let mut lacking = files.clone();
        lacking.remove(name);
        assert!(read(&root, lacking).await.is_err(), "without {name}");
    }
}

#[tokio::test]
async fn a_nodes_copy_serves_another_node_and_a_device_that_knows_only_a_hash() {
    let mut world = World::new().await;
    let first = world.node(&world.repository(), "first").await;
    let hash: [u8; 32] = Sha256::digest(first.root()).into();
    let second = world.node(first.mirror_dir(), "second").await;
    assert_eq!(second.directory().versions(), first.directory().versions());
    let source = Source::Directory(first.mirror_dir().to_owned());
    assert_eq!(
        fetch_pinned_root(&source, &hash).await.unwrap(),
        world.first_root()
    );
    // Also after the root was rotated.
    let ring = ring([&world.root_keys[0], &world.root_keys[1]]);
    world
        .federation
        .rotate_root(RootChange::default(), &ring, world.now)
        .unwrap();
    world.publish(&[]).await;
    first.refresh(world.now).await.unwrap();
    assert_eq!(first.directory().versions().root, 2);
    assert_eq!(
        fetch_pinned_root(&source, &hash).await.unwrap(),
        world.first_root()
    );
    let newest: [u8; 32] = Sha256::digest(first.root()).into();
    assert_ne!(newest, hash);
    assert_eq!(
        fetch_pinned_root(&source, &newest).await.unwrap(),
        first.root()
    );
    assert!(fetch_pinned_root(&source, &[7; 32]).await.is_err());
    // And a newcomer that trusts the first root follows the rotation from this copy alone.
    assert_eq!(
        world
            .node(first.mirror_dir(), "third")
            .await
            .directory()
            .versions()
            .root,
        2
    );
}

#[tokio::test]
async fn tru_5_2_case_21_a_revocation_takes_effect_with_one_refresh() {
    let mut world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let rdv = service("rdv@interieur.gouv.fr");
    let old = world.interior.service_key.public().id();
    let signed_at = world.now;
    world.now = world.now.plus_ms(3_600_000);
    let replacement = keyfile::generate().unwrap();
    let role = KeyRole::Service(rdv.clone());
    let revoked = world
        .interior
        .authority
        .revoke(&role, None, Some(*replacement.public()), world.now)
        .unwrap();
    assert_eq!(revoked.owner, KeyOwner::service(rdv.clone()));
    assert!(node.directory().sender_key(&rdv, &old, world.now).is_ok());
    world.publish_a_change().await;
    let directory = node.refresh(world.now).await.unwrap().directory;
    let refusal = directory.sender_key(&rdv, &old, world.now).unwrap_err();
    assert_eq!(refusal.code(), Code::KeyNotValid);
    assert!(directory.service_key_at(&rdv, &old, signed_at).is_ok());
    let new = directory.sender_key(&rdv, &replacement.public().id(), world.now);
    assert_eq!(new, Ok(replacement.public()));
}

#[tokio::test]
async fn tru_6_2_a_suspension_and_its_end_reach_the_nodes() {
    let mut world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let rdv = service("rdv@interieur.gouv.fr");
    let key = world.interior.service_key.public().id();
    for (suspension, code) in [
        (Suspension::Impose, Err(Code::Suspended)),
        (Suspension::Lift, Ok(())),
    ] {
        world
            .federation
            .suspend(&id(INTERIOR), suspension, &world.targets_ring(), world.now)
            .unwrap();
        world.publish(&[]).await;
        let directory = node.refresh(world.now).await.unwrap().directory;
        let asked = directory.sender_key(&rdv, &key, world.now);
        assert_eq!(asked.map(|_| ()).map_err(|refusal| refusal.code()), code);
        assert!(directory.service_key_at(&rdv, &key, world.now).is_ok());
    }
}

#[tokio::test]
async fn tru_5_1_case_78_the_report_names_each_role_and_its_alarm() {
    let world = World::new().await;
    let directory = world.node(&world.repository(), "node").await.directory();
    let roles: Vec<_> = directory
        .expiries()
        .iter()
        .map(|line| line.role.clone())
        .collect();
    let (interior, social) = (
        TrustRole::Authority(id(INTERIOR)),
        TrustRole::Authority(id(SOCIAL)),
    );
    let expected = [
        TrustRole::Root,
        TrustRole::Targets,
        TrustRole::Snapshot,
        TrustRole::Timestamp,
        interior,
        social,
    ];
    assert_eq!(roles, expected);
    // The authority's own role of 90 days is the first offline role to end; online roles apart.
    let own = directory
        .expiries()
        .iter()
        .find(|line| line.role == expected[4])
        .unwrap();
    for (days_left, alarm) in [
        (31, Alarm::Quiet),
        (30, Alarm::First),
        (7, Alarm::Second),
        (1, Alarm::Last),
        (0, Alarm::Expired),
    ] {
        assert_eq!(
            own.alarm(NOW.plus_ms((90 - days_left) * DAY_MS)),
            alarm,
            "{days_left}"
        );
    }
    assert_eq!(directory.alarm(&id(INTERIOR), NOW), Alarm::Quiet);
    assert_eq!(
        directory.alarm(&id(INTERIOR), NOW.plus_ms(2 * DAY_MS)),
        Alarm::Last
    );
    assert_eq!(
        directory.alarm(&id(INTERIOR), NOW.plus_ms(3 * DAY_MS)),
        Alarm::Expired
    );
}

#[tokio::test]
async fn an_authority_gets_new_role_keys_from_the_federation() {
    let mut world = World::new().await;
    let node = world.node(&world.repository(), "node").await;
    let new_key = keyfile::generate().unwrap();
    let dir = world.folder.path().join("interior-2");
    fixture::copy(&world.folder.path().join("interior"), &dir);
    let state = dir.join("authority.json");
    let text = std::fs::read_to_string(&state).unwrap();
    let old = world.interior.role_key.public().to_string();
    std::fs::write(&state, text.replace(&old, &new_key.public().to_string())).unwrap();
    let mut moved = pli_trust::write::Authority::open(&dir).unwrap();
    moved.publish(&ring([&new_key]), world.now).unwrap();
    // The federation must agree: a hand-over by a key of the authority's own choice is not enough.
    let refused = world
        .federation
        .publish(
            &[moved.handover_dir()],
            &world.online_ring(),
            pli_protocol::trust::Environment::Production,
            world.now,
        )
        .await;
    assert!(refused.is_err());
    world
        .federation
        .replace_authority_keys(&moved.handover_dir(), &world.targets_ring(), world.now)
        .unwrap();
    world.publish(&[]).await;
    let directory = node.refresh(world.now).await.unwrap().directory;
    assert!(directory.findings().is_empty());
    assert_eq!(
        moved.role_keys(),
        &role_keys(std::slice::from_ref(&new_key), 1)
    );
}

/// EVD-6.6: two authorities, so that each log has one witness at most.
#[tokio::test]
async fn a_federation_demands_no_more_witnesses_than_it_has() {
    let world = World::new().await;
    let demand = |witnesses| {
        let policy = Policy { witnesses };
        let set = world
            .federation
            .set_policy(policy, &world.targets_ring(), world.now);
        set.map_err(|error| error.to_string())
    };
    let refused = demand(2).unwrap_err();
    assert!(refused.contains("at most 1 can be"), "{refused}");
    demand(1).unwrap();
    assert_eq!(
        world.federation.overview().unwrap().policy.witnesses,
        0,
        "staged"
    );
}
