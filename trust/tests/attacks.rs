//! R18: one test per attack that TUF names, each against a node that already trusts a directory. In
//! every one the directory in force stays in force, and the refusal has its code.
#![allow(clippy::unwrap_used)]

mod fixture;

use std::sync::atomic::Ordering;
use std::time::Duration;

use fixture::http::{Mirror, Trick};
use fixture::victim::{refused, snapshot, timestamp, victim};
use fixture::{
    DAY_MS, INTERIOR, NOW, SOCIAL, World, id, key, metafile, publish_stolen, resign, ring,
    role_keys, service, tuf_key, tuf_key_id,
};
use pli_protocol::code::Code;
use pli_protocol::limits;
use pli_protocol::trust::TrustRole;
use pli_trust::write::RootChange;
use pli_trust::{Changed, Source, TrustError, TrustStore};
use tokio::time::{Instant, timeout};
use tough::TargetName;
use tough::schema::{Root, Signed, Snapshot, Targets, Timestamp};

#[tokio::test]
async fn tru_2_2_r18_arbitrary_metadata_by_foreign_keys_is_refused() {
    let (world, mirror, node) = victim().await;
    let foreign = key();
    let untouched = std::fs::read(timestamp(&mirror)).unwrap();
    resign::<Timestamp>(&timestamp(&mirror), &[&foreign], |file| {
        file.version = 2.try_into().unwrap();
    });
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    // The same for each other role, down to an authority's own.
    std::fs::write(timestamp(&mirror), untouched).unwrap();
    for file in [
        "1.snapshot.json",
        "1.targets.json",
        "1.interieur.gouv.fr.json",
    ] {
        let path = mirror.join("metadata").join(file);
        let before = std::fs::read(&path).unwrap();
        let mut altered: Signed<serde_json::Value> = serde_json::from_slice(&before).unwrap();
        altered.signed["version"] = 2.into();
        std::fs::write(&path, serde_json::to_vec(&altered).unwrap()).unwrap();
        assert_eq!(
            refused(&node, &world).await.code(),
            Code::DirectoryInvalid,
            "{file}"
        );
        std::fs::write(&path, before).unwrap();
    }
    assert_eq!(node.refresh(world.now).await.unwrap().changed, Changed::No);
}

#[tokio::test]
async fn tru_2_3_case_18_a_rollback_is_refused_across_restarts_and_without_the_memory() {
    let (mut world, old, _) = victim().await;
    world.publish_a_change().await;
    let node = world.node(&world.repository(), "node").await;
    node.refresh(world.now).await.unwrap();
    assert_eq!(node.directory().versions().timestamp, 2);
    drop(node);
    // The same copy on disk, now fed the older repository: after a restart, and again with what
    // `tough` remembers destroyed.
    for forget in [false, true] {
        if forget {
            let memory = world.folder.path().join("node/memory");
            std::fs::remove_dir_all(&memory).unwrap();
            std::fs::create_dir(&memory).unwrap();
        }
        let node = world.node(&old, "node").await;
        assert_eq!(node.directory().versions().timestamp, 2);
        let error = refused(&node, &world).await;
        assert_eq!(error.code(), Code::DirectoryRollback, "{error}");
    }
}

/// Whoever holds the timestamp key cannot take single files back behind a newer timestamp.
#[tokio::test]
async fn case_18_a_new_timestamp_over_an_old_snapshot_is_a_rollback() {
    let mut world = World::new().await;
    world.publish_a_change().await;
    let mirror = world.stolen_mirror("mirror");
    let node = world.node(&mirror, "node").await;
    let old = snapshot(&mirror);
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.version = 3.try_into().unwrap();
        file.meta.insert("snapshot.json".into(), metafile(&old, 1));
    });
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryRollback);
}

/// Nor whoever holds the snapshot key too: no role's version falls, none is left out.
#[tokio::test]
async fn case_18_a_new_snapshot_with_an_old_or_absent_role_is_a_rollback() {
    for drop_role in [false, true] {
        let mut world = World::new().await;
        world.publish_a_change().await;
        let mirror = world.stolen_mirror("mirror");
        let node = world.node(&mirror, "node").await;
        let next = mirror.join("metadata/3.snapshot.json");
        std::fs::copy(mirror.join("metadata/2.snapshot.json"), &next).unwrap();
        let old = mirror.join(format!("metadata/1.{INTERIOR}.json"));
        resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
            file.version = 3.try_into().unwrap();
            if drop_role {
                file.meta.remove(&format!("{INTERIOR}.json"));
            } else {
                file.meta
                    .insert(format!("{INTERIOR}.json"), metafile(&old, 1));
            }
        });
        resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
            file.version = 3.try_into().unwrap();
            file.meta.insert("snapshot.json".into(), metafile(&next, 3));
        });
        let error = refused(&node, &world).await;
        assert_eq!(error.code(), Code::DirectoryRollback, "{error}");
    }
}

#[tokio::test]
async fn case_19_a_freeze_is_seen_at_the_expiry_and_new_envelopes_are_refused() {
    let (mut world, _, node) = victim().await;
    let rdv = service("rdv@interieur.gouv.fr");
    let key = world.interior.service_key.public().id();
    let last = NOW.plus_ms(3 * DAY_MS - 1);
    assert_eq!(node.refresh(last).await.unwrap().changed, Changed::No);
    assert!(node.directory().sender_key(&rdv, &key, last).is_ok());
    // The mirror still shows the same files.
    let over = NOW.plus_ms(3 * DAY_MS);
    let error = node.refresh(over).await.unwrap_err();
    assert!(
        matches!(
            &error,
            TrustError::Expired {
                role: TrustRole::Timestamp,
                ..
            }
        ),
        "{error}"
    );
    let refusal = node.directory().sender_key(&rdv, &key, over).unwrap_err();
    assert_eq!(refusal.code(), Code::DirectoryExpired);
    // A newcomer does not start from frozen files either, and a thaw recovers by itself.
    world.now = over;
    assert!(
        world
            .try_node(&world.repository(), "newcomer")
            .await
            .is_err()
    );
    world.publish(&[]).await;
    let node = world.node(&world.repository(), "node").await;
    node.refresh(over).await.unwrap();
    assert!(node.directory().sender_key(&rdv, &key, over).is_ok());
}

#[tokio::test]
async fn r18_mix_and_match_is_refused() {
    let mut world = World::new().await;
    let first = world.stolen_mirror("first");
    world.publish_a_change().await;
    // A newer timestamp and snapshot with a role file of another day, each rightly signed.
    let mirror = world.stolen_mirror("mirror");
    world.node(&first, "node").await;
    let newer = mirror.join(format!("metadata/2.{INTERIOR}.json"));
    std::fs::copy(first.join(format!("metadata/1.{INTERIOR}.json")), newer).unwrap();
    let node = world.node(&mirror, "node").await;
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    // Even if the stolen online keys list its true hash under the newer version.
    let old = mirror.join(format!("metadata/2.{INTERIOR}.json"));
    let next = mirror.join("metadata/2.snapshot.json");
    resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
        file.meta
            .insert(format!("{INTERIOR}.json"), metafile(&old, 2));
    });
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.meta.insert("snapshot.json".into(), metafile(&next, 2));
    });
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
}

#[tokio::test]
async fn tru_1_4_r18_endless_data_is_cut_at_the_bound_of_each_file() {
    let cases = [
        ("timestamp.json", limits::TRUST_TIMESTAMP_MAX),
        (".snapshot.json", limits::TRUST_SNAPSHOT_MAX),
        (".targets.json", limits::TRUST_TARGETS_MAX),
        (".interieur.gouv.fr.json", limits::TRUST_TARGETS_MAX),
        // Of a target file the signed length is the bound, which TRUST_FILE_MAX bounds in turn.
        (".node.json", limits::TRUST_FILE_MAX),
        // A root that never ends is not taken for "there is no next root".
        ("2.root.json", limits::TRUST_ROOT_MAX),
    ];
    let mut world = World::new().await;
    world.node(&world.repository(), "node").await;
    for (ending, bound) in cases {
        // A changed endpoint, so that each file has to be fetched.
        let port = 8_000 + u16::try_from(ending.len()).unwrap();
        let change = pli_trust::write::NodeChange {
            quic: vec![format!("127.0.0.1:{port}").parse().unwrap()],
            ..Default::default()
        };
        world
            .interior
            .authority
            .set_node(change, world.now)
            .unwrap();
        world.publish_a_change().await;
        let mirror = Mirror::serve(world.repository(), Trick::Endless { ending }).await;
        let mut config = world.config(&[], "node");
        config.sources = vec![mirror.url().parse().unwrap()];
        let node = TrustStore::open(config, world.now).await.unwrap();
        let error = refused(&node, &world).await;
        assert_eq!(error.code(), Code::DirectoryInvalid, "{ending}: {error}");
        assert!(
            matches!(error, TrustError::TooLarge { .. }),
            "{ending}: {error}"
        );
        // What the sockets' buffers swallow comes on top; endless it is not.
        const BUFFERS: u64 = 16 * 1_048_576;
        let sent = mirror.sent.load(Ordering::SeqCst);
        assert!(sent <= bound + BUFFERS, "{ending}: {sent} bytes were sent");
    }
}

#[tokio::test]
async fn r18_endless_data_is_cut_even_where_stolen_keys_sign_an_endless_length() {
    let (world, mirror, node) = victim().await;
    let role = mirror.join(format!("metadata/2.{SOCIAL}.json"));
    publish_stolen(&world, &mirror, SOCIAL, |_| {});
    // Valid JSON of one byte more than the bound, listed with its true length and hash.
    let mut bytes = std::fs::read(&role).unwrap();
    bytes.resize(
        usize::try_from(limits::TRUST_TARGETS_MAX).unwrap() + 1,
        b' ',
    );
    std::fs::write(&role, &bytes).unwrap();
    let next = mirror.join("metadata/2.snapshot.json");
    resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
        file.meta
            .insert(format!("{SOCIAL}.json"), metafile(&role, 2));
    });
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.meta.insert("snapshot.json".into(), metafile(&next, 2));
    });
    let error = refused(&node, &world).await;
    assert!(matches!(error, TrustError::TooLarge { .. }), "{error}");
    // One byte less is accepted.
    bytes.pop();
    std::fs::write(&role, &bytes).unwrap();
    resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
        file.meta
            .insert(format!("{SOCIAL}.json"), metafile(&role, 2));
    });
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.meta.insert("snapshot.json".into(), metafile(&next, 2));
    });
    node.refresh(world.now).await.unwrap();
}

/// A file over its bound that an authority signed itself costs that authority its file, nobody else.
#[tokio::test]
async fn tru_2_4_r18_an_authority_that_signs_an_endless_file_loses_that_file_alone() {
    let (world, mirror, node) = victim().await;
    publish_stolen(&world, &mirror, SOCIAL, |role| {
        let name = TargetName::new("social.gouv.fr/services/rdv.json").unwrap();
        role.targets.get_mut(&name).unwrap().length = limits::TRUST_FILE_MAX + 1;
    });
    let directory = node.refresh(world.now).await.unwrap().directory;
    let findings = directory.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].authority, id(SOCIAL));
    assert!(directory.service(&service("rdv@social.gouv.fr")).is_err());
    assert!(directory.service(&service("rdv@interieur.gouv.fr")).is_ok());
    assert!(directory.node_of(&id(SOCIAL)).is_ok());
}

#[tokio::test]
async fn tru_2_5_case_22_a_fast_forward_to_the_last_version_is_recovered_by_a_root_rotation() {
    let (mut world, mirror, node) = victim().await;
    // The online keys are stolen: both versions are set to the highest there is.
    let last = u64::MAX;
    let next = mirror.join(format!("metadata/{last}.snapshot.json"));
    std::fs::copy(snapshot(&mirror), &next).unwrap();
    resign::<Snapshot>(&next, &[&world.snapshot_key], |file| {
        file.version = last.try_into().unwrap()
    });
    resign::<Timestamp>(&timestamp(&mirror), &[&world.timestamp_key], |file| {
        file.version = last.try_into().unwrap();
        file.meta
            .insert("snapshot.json".into(), metafile(&next, last));
    });
    assert_eq!(
        node.refresh(world.now)
            .await
            .unwrap()
            .directory
            .versions()
            .timestamp,
        last
    );
    // What the federation publishes now is a rollback to this node.
    world.publish_a_change().await;
    let node = world.node(&world.repository(), "node").await;
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryRollback);
    // Until k root holders replace the stolen keys.
    let (snapshot_key, timestamp_key) = (key(), key());
    let change = RootChange {
        snapshot: Some(role_keys(std::slice::from_ref(&snapshot_key), 1)),
        timestamp: Some(role_keys(std::slice::from_ref(&timestamp_key), 1)),
        ..RootChange::default()
    };
    let holders = ring([&world.root_keys[0], &world.root_keys[1]]);
    world
        .federation
        .rotate_root(change, &holders, world.now)
        .unwrap();
    let stolen = std::mem::replace(&mut world.timestamp_key, timestamp_key);
    world.snapshot_key = snapshot_key;
    world.publish(&[]).await;
    let versions = node.refresh(world.now).await.unwrap().directory.versions();
    assert_eq!((versions.root, versions.timestamp), (2, 3));
    // The stolen key is good for nothing now.
    let mirror = world.stolen_mirror("again");
    resign::<Timestamp>(&timestamp(&mirror), &[&stolen], |file| {
        file.version = last.try_into().unwrap()
    });
    let node = world.node(&mirror, "node").await;
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
}

#[tokio::test]
async fn r18_a_wrong_target_stops_the_refresh_and_silences_nobody() {
    let mut world = World::new().await;
    let mirror = world.stolen_mirror("mirror");
    let node = world.node(&mirror, "node").await;
    let extra = fixture::service_record("titres@interieur.gouv.fr", key().public(), world.now);
    world.interior.authority.add_service(&extra).unwrap();
    world.publish_a_change().await;
    fixture::copy(&world.repository(), &mirror);
    let folder = mirror.join(format!("targets/{INTERIOR}/services"));
    let wrong = fixture::one_file(&folder, ".titres.json");
    let other = fixture::one_file(&folder, ".rdv.json");
    std::fs::copy(other, wrong).unwrap();
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    assert!(
        node.directory()
            .service(&service("rdv@interieur.gouv.fr"))
            .is_ok()
    );
}

#[tokio::test]
async fn r18_a_blocked_mirror_changes_nothing_and_another_mirror_helps() {
    let mut world = World::new().await;
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    world.node(&world.repository(), "node").await;
    let mut config = world.config(&[], "node");
    config.sources = vec![dead.parse().unwrap()];
    let node = TrustStore::open(config.clone(), world.now).await.unwrap();
    let error = refused(&node, &world).await;
    assert!(matches!(error, TrustError::Unreachable { .. }), "{error}");
    world.publish_a_change().await;
    let honest = Mirror::serve(world.repository(), Trick::None).await;
    config.sources.push(honest.url().parse().unwrap());
    drop(node);
    let node = TrustStore::open(config, world.now).await.unwrap();
    assert_eq!(node.refresh(world.now).await.unwrap().changed, Changed::Yes);
}

/// TRU-5.3: it costs its time, on a clock that runs when nothing else does, and hides nothing from a newcomer or a
/// refresh; who has a copy starts without waiting at all.
#[tokio::test(start_paused = true)]
async fn r18_a_mirror_that_never_answers_hides_nothing_and_stops_no_start() {
    let mut world = World::new().await;
    let silent = Mirror::serve(world.repository(), Trick::Silent).await;
    let silent: Source = silent.url().parse().unwrap();
    let mut config = world.config(&[&world.repository()], "node");
    config.sources.insert(0, silent.clone());
    let patience = Duration::from_millis(limits::TRUST_REFRESH_TIMEOUT_MS);
    let newcomer = timeout(patience, TrustStore::open(config.clone(), world.now)).await;
    let newcomer = newcomer.expect("in time").unwrap();
    assert_eq!(newcomer.directory().versions().timestamp, 1);
    drop(newcomer);
    world.publish_a_change().await;

    config.sources.truncate(1);
    let began = Instant::now();
    let alone = TrustStore::open(config.clone(), world.now).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO, "its own copy is enough");
    let error = timeout(patience, refused(&alone, &world)).await;
    let error = error.expect("in time");
    assert!(matches!(error, TrustError::Unreachable { .. }), "{error}");
    drop(alone);

    config.sources.push(Source::Directory(world.repository()));
    let node = TrustStore::open(config, world.now).await.unwrap();
    let refreshed = timeout(patience, node.refresh(world.now)).await;
    let refreshed = refreshed.expect("in time").unwrap();
    assert_eq!(refreshed.changed, Changed::Yes);
    let unread: Vec<&Source> = refreshed.unread.iter().map(|one| &one.source).collect();
    assert_eq!(unread, [&silent]);
}

/// TRU-5.3: on a real clock, since a person waits for it.
#[tokio::test]
async fn r18_a_silent_first_mirror_holds_up_a_newcomer_for_some_seconds_only() {
    let world = World::new().await;
    // The system takes the connections; nobody takes them from the system.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent: Source = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let honest = Mirror::serve(world.repository(), Trick::None).await;
    let mut config = world.config(&[], "newcomer");
    config.sources = vec![silent.clone(), honest.url().parse().unwrap()];
    let some_seconds = Duration::from_secs(8);
    for fetched in [true, false] {
        let began = Instant::now();
        let node = TrustStore::open(config.clone(), world.now).await.unwrap();
        let unread = node.unread_at_open().map(<[_]>::to_vec);
        assert_eq!(unread.is_some(), fetched, "the second time there is a copy");
        let unread = match unread {
            Some(unread) => unread,
            None => node.refresh_at_start(world.now).await.unwrap().unread,
        };
        let took = began.elapsed();
        assert!(took < some_seconds, "{took:?}");
        let unread: Vec<&Source> = unread.iter().map(|one| &one.source).collect();
        assert_eq!(unread, [&silent], "and it is said who was silent");
    }
}

/// TRU-5.3: whoever answers fast with nothing that verifies does not cut off one that is slow.
#[tokio::test]
async fn r18_a_fast_mirror_without_a_directory_cuts_no_slow_one_off() {
    let (world, liar, _) = victim().await;
    let foreign = key();
    resign::<Timestamp>(&timestamp(&liar), &[&foreign], |_| {});
    let slow = Mirror::serve(world.repository(), Trick::Late(Duration::from_secs(4))).await;
    let mut config = world.config(&[&liar], "newcomer");
    config.sources.push(slow.url().parse().unwrap());
    let node = TrustStore::open(config, world.now).await.unwrap();
    assert_eq!(node.directory().versions().timestamp, 1);
}

/// TRU-5.3
#[tokio::test]
async fn r18_a_frozen_first_mirror_hides_nothing_that_another_one_has() {
    let (mut world, frozen, _) = victim().await;
    world.publish_a_change().await;
    let config = world.config(&[&frozen, &world.repository()], "node");
    let node = TrustStore::open(config.clone(), world.now).await.unwrap();
    assert_eq!(node.directory().versions().timestamp, 1);
    let refreshed = node.refresh(world.now).await.unwrap();
    assert_eq!(refreshed.directory.versions().timestamp, 2);
    assert_eq!(refreshed.unread, [], "the other was not needed");
    // A newcomer is not held back either.
    let newcomer = world.config(&[&frozen, &world.repository()], "newcomer");
    let newcomer = TrustStore::open(newcomer, world.now).await.unwrap();
    assert_eq!(newcomer.directory().versions().timestamp, 2);
    // Again and again, with nothing left over of the readings.
    assert_eq!(node.refresh(world.now).await.unwrap().changed, Changed::No);
    let left = std::fs::read_dir(&config.dir).unwrap();
    let left = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with('.')
    });
    assert_eq!(left.count(), 0);
}

/// TRU-5.3
#[tokio::test]
async fn r18_a_mirror_that_claims_more_than_it_can_show_hides_nothing() {
    let (mut world, liar, _) = victim().await;
    world.publish_a_change().await;
    // It shows a forged timestamp of a far version, and what looks like a next root.
    let foreign = key();
    resign::<Timestamp>(&timestamp(&liar), &[&foreign], |file| {
        file.version = 999.try_into().unwrap();
    });
    let config = world.config(&[&liar, &world.repository()], "node");
    let node = TrustStore::open(config, world.now).await.unwrap();
    let refreshed = node.refresh(world.now).await.unwrap();
    assert_eq!(refreshed.directory.versions().timestamp, 2);
    assert_eq!(refreshed.unread.len(), 1, "{:?}", refreshed.unread);
    std::fs::write(liar.join("metadata/2.root.json"), b"not a root").unwrap();
    let refreshed = node.refresh(world.now).await.unwrap();
    assert_eq!(refreshed.directory.versions().timestamp, 2);
    assert_eq!(
        refreshed.unread[0].source.to_string(),
        liar.to_string_lossy()
    );
    world.publish_a_change().await;
    let refreshed = node.refresh(world.now).await.unwrap();
    assert_eq!(refreshed.directory.versions().timestamp, 3);
}

#[tokio::test]
async fn tru_2_1_r18_keys_below_the_threshold_change_nothing() {
    let (world, mirror, node) = victim().await;
    // One root holder of the two that are needed names own keys for everything.
    let own = key();
    let forged = mirror.join("metadata/2.root.json");
    let take_over = |root: &mut Root| {
        root.version = 2.try_into().unwrap();
        root.keys
            .insert(tuf_key_id(own.public()), tuf_key(own.public()));
        for role in root.roles.values_mut() {
            role.keyids = vec![tuf_key_id(own.public())];
            role.threshold = 1.try_into().unwrap();
        }
    };
    std::fs::copy(mirror.join("metadata/1.root.json"), &forged).unwrap();
    resign::<Root>(&forged, &[&world.root_keys[0], &own], take_over);
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    // The threshold of the old root alone is not enough either: the new one must sign itself.
    std::fs::copy(mirror.join("metadata/1.root.json"), &forged).unwrap();
    resign::<Root>(
        &forged,
        &[&world.root_keys[0], &world.root_keys[1]],
        take_over,
    );
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    // One signature twice is one signature.
    std::fs::copy(mirror.join("metadata/1.root.json"), &forged).unwrap();
    resign::<Root>(
        &forged,
        &[&world.root_keys[0], &world.root_keys[0]],
        |root| {
            root.version = 2.try_into().unwrap();
        },
    );
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
    std::fs::remove_file(forged).unwrap();

    // One targets key of the two, with both online keys: still nothing.
    let targets = mirror.join("metadata/2.targets.json");
    std::fs::copy(mirror.join("metadata/1.targets.json"), &targets).unwrap();
    resign::<Targets>(&targets, &[&world.targets_keys[0]], |file| {
        file.version = 2.try_into().unwrap()
    });
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
    assert_eq!(refused(&node, &world).await.code(), Code::DirectoryInvalid);
}
