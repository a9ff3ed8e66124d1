//! What the tests of the directory share: publishing, and what a node has in force and says.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use pli_testbed::Federation;
use serde_json::Value;

use super::{PATIENCE, POLL, status};

/// What a node has in force.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct InForce {
    pub root: u64,
    pub timestamp: u64,
    pub snapshot: u64,
    pub targets: u64,
}

/// Signs the directory anew and gives the version of its timestamp.
pub async fn republish(federation: &Federation) -> u64 {
    federation.publish().await.expect("published");
    version(&federation.repository().join("metadata/timestamp.json"))
}

/// What a metadata file says of itself.
pub fn version(file: &Path) -> u64 {
    let file = std::fs::read(file).expect("published");
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    file["signed"]["version"].as_u64().expect("a version")
}

/// Leaves a node with a source at which there is nothing. It must not run.
pub fn without_mirror(federation: &Federation, of: &str) {
    let gone = federation.folder().join("gone");
    read_from(federation, of, &gone);
}

/// Lets a node read the directory elsewhere. It must not run.
pub fn read_from(federation: &Federation, of: &str, mirror: &Path) {
    let path = federation.node(of).config_path();
    let config = std::fs::read_to_string(path).expect("its configuration");
    let lines = config
        .lines()
        .map(|line| match line.starts_with("sources = ") {
            true => format!("sources = [{mirror:?}]"),
            false => line.to_owned(),
        });
    let changed: Vec<_> = lines.collect();
    std::fs::write(path, changed.join("\n")).expect("written");
}

pub async fn in_force(federation: &Federation, of: &str) -> InForce {
    let status = status(federation, of).await;
    let of = |role: &str| {
        let version = status["directory"]["versions"][role].as_u64();
        version.unwrap_or_else(|| panic!("{status:#}"))
    };
    InForce {
        root: of("root"),
        timestamp: of("timestamp"),
        snapshot: of("snapshot"),
        targets: of("targets"),
    }
}

/// Returns once the node has at least this timestamp in force.
pub async fn reaches(federation: &Federation, of: &str, timestamp: u64) {
    let began = Instant::now();
    while in_force(federation, of).await.timestamp < timestamp {
        if began.elapsed() >= PATIENCE {
            let status = status(federation, of).await;
            let (directory, alarms) = (&status["directory"], &status["alarms"]);
            panic!("{of} does not learn of {timestamp}: {directory:#} {alarms:#}");
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The alarms that are raised, by name.
pub async fn alarms(federation: &Federation, of: &str) -> BTreeSet<String> {
    let status = status(federation, of).await;
    let raised = status["alarms"].as_array().expect("a list");
    let names = raised
        .iter()
        .map(|alarm| alarm["alarm"].as_str().expect("a name").to_owned());
    names.collect()
}

/// Returns what the operator reads once this alarm is raised.
pub async fn alarmed(federation: &Federation, of: &str, kind: &str) -> String {
    let began = Instant::now();
    loop {
        let status = status(federation, of).await;
        let raised = status["alarms"].as_array().expect("a list");
        if let Some(alarm) = raised.iter().find(|alarm| alarm["alarm"] == kind) {
            return alarm["detail"].as_str().unwrap_or_default().to_owned();
        }
        assert!(
            began.elapsed() < PATIENCE,
            "no alarm {kind}: {:#}",
            status["alarms"]
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Two holders suspend an authority, or take that back with `--lift`; published at once.
pub async fn suspend(federation: &Federation, whom: &str, more: &[&str]) {
    let at = |path: &str| federation.folder().join(path).display().to_string();
    let (dir, keys) = (at("federation"), at("keys/offline"));
    let [first, second] = [1, 2].map(|n| format!("{keys}/targets-{n}.key"));
    let arguments = [
        "federation",
        "suspend",
        whom,
        "--dir",
        &dir,
        "--key",
        &first,
        "--key",
        &second,
    ];
    federation
        .pli(&[&arguments, more].concat())
        .await
        .expect("signed");
    federation.publish().await.expect("published");
}
