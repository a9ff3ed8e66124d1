//! A directory that ours publish loads in python-tuf's client, delegated roles and rotated roots
//! included: an independent reading of the same specification (TRU-1.1, TRU-1.2).
#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use fixture::http::{Mirror, Trick};
use fixture::{INTERIOR, World, key, ring, role_keys};
use pli_protocol::id::{Timestamp, to_hex};
use pli_trust::write::RootChange;
use sha2::{Digest, Sha256};

/// python-tuf asks the real clock.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap())
}

fn python() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let python = std::env::var_os("PLI_PYTHON").map_or(own, PathBuf::from);
    let ready = Command::new(&python)
        .args(["-c", "import tuf.ngclient"])
        .output();
    assert!(
        ready.is_ok_and(|output| output.status.success()),
        "{} with the package tuf is missing; run: make setup",
        python.display()
    );
    python
}

/// Path → hash of what python-tuf downloaded, or what it said.
async fn load(
    mirror: &Mirror,
    root: &Path,
    paths: &[&str],
) -> Result<BTreeMap<String, String>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ngclient.py");
    let mut command = Command::new(python());
    command
        .arg(script)
        .arg(format!("{}metadata/", mirror.url()))
        .arg(format!("{}targets/", mirror.url()));
    command.arg(root).args(paths).env("NO_PROXY", "*");
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

const PATHS: [&str; 6] = [
    "authorities/interieur.gouv.fr.json",
    "authorities/social.gouv.fr.json",
    "interieur.gouv.fr/node.json",
    "interieur.gouv.fr/services/rdv.json",
    "social.gouv.fr/node.json",
    "social.gouv.fr/services/rdv.json",
];

#[tokio::test(flavor = "multi_thread")]
async fn tru_1_1_python_tuf_loads_every_target_that_ours_loads() {
    let mut world = World::at(now()).await;
    let node = world.node(&world.repository(), "node").await;
    let mirror = Mirror::serve(world.repository(), Trick::None).await;
    let root = world.repository().join("metadata/1.root.json");
    let mut asked = PATHS.to_vec();
    asked.push("!interieur.gouv.fr/services/absent.json");
    asked.push("!authorities/absent.gouv.fr.json");
    let found = load(&mirror, &root, &asked).await.unwrap();
    assert_eq!(found.len(), PATHS.len());
    for path in PATHS {
        // Our copy holds exactly these bytes under exactly this hash.
        let (folder, name) = path.rsplit_once('/').unwrap();
        let kept = node
            .mirror_dir()
            .join("targets")
            .join(folder)
            .join(format!("{}.{name}", found[path]));
        let hash = to_hex(&Sha256::digest(std::fs::read(kept).unwrap()));
        assert_eq!(hash, found[path], "{path}");
    }

    // New root keys, new online keys, a change by an authority: both clients follow from the first root.
    let (new_root, new_timestamp) = (fixture::keys(2), key());
    let change = RootChange {
        root: Some(role_keys(&new_root, 2)),
        timestamp: Some(role_keys(std::slice::from_ref(&new_timestamp), 1)),
        ..RootChange::default()
    };
    let holders = [
        &world.root_keys[0],
        &world.root_keys[1],
        &new_root[0],
        &new_root[1],
    ];
    world
        .federation
        .rotate_root(change, &ring(holders), world.now)
        .unwrap();
    world.timestamp_key = new_timestamp;
    world.publish_a_change().await;
    let again = load(&mirror, &root, &PATHS).await.unwrap();
    assert_eq!(again[PATHS[0]], found[PATHS[0]]);
    assert_eq!(
        node.refresh(world.now)
            .await
            .unwrap()
            .directory
            .versions()
            .root,
        2
    );

    // What a node keeps can be served on: python-tuf loads the copy too.
    let copy = Mirror::serve(node.mirror_dir().to_owned(), Trick::None).await;
    assert_eq!(load(&copy, &root, &PATHS).await.unwrap(), again);
}

/// The pattern rule in which `tough` and python-tuf differ: neither client may find another's file.
#[tokio::test(flavor = "multi_thread")]
async fn case_25_python_tuf_does_not_find_what_an_authority_signed_for_another() {
    let mut world = World::at(now()).await;
    world
        .social
        .authority
        .add_service(&fixture::service_record(
            "caf@social.gouv.fr",
            key().public(),
            world.now,
        ))
        .unwrap();
    let handover = world.social.hand_over(world.now);
    world.publish(&[handover]).await;
    // The attacker holds Interior's key and the online keys, and lists Social's new service itself.
    let mirror_dir = world.stolen_mirror("mirror");
    fixture::publish_stolen(&world, &mirror_dir, INTERIOR, |role| {
        let name = tough::TargetName::new("social.gouv.fr/services/caf.json").unwrap();
        let fake = role.targets.values().next().unwrap().clone();
        role.targets.insert(name, fake);
    });
    let mirror = Mirror::serve(mirror_dir, Trick::None).await;
    let root = world.repository().join("metadata/1.root.json");
    let paths = ["social.gouv.fr/services/caf.json"];
    let attacked = load(&mirror, &root, &paths).await.unwrap();
    let honest = Mirror::serve(world.repository(), Trick::None).await;
    assert_eq!(attacked, load(&honest, &root, &paths).await.unwrap());
}
