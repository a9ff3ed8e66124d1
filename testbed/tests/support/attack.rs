//! What an attacker may do to a copy of the directory, with such keys as he has stolen (R18).

use std::fs;
use std::path::{Path, PathBuf};

use pli_protocol::crypto::sign::SigningKey;
use pli_protocol::id::to_hex;
use pli_testbed::Federation;
use pli_trust::keyfile;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A copy of the repository that somebody hands out.
pub struct Copy {
    folder: PathBuf,
    keys: PathBuf,
}

impl Copy {
    /// This folder.
    pub fn at(federation: &Federation, folder: PathBuf) -> Self {
        let keys = federation.folder().join("keys");
        Self { folder, keys }
    }

    /// Everything that is published now, and nothing else.
    pub fn renew(&self, federation: &Federation) {
        drop(fs::remove_dir_all(&self.folder));
        copy(&federation.repository(), &self.folder);
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join("metadata").join(name)
    }

    pub fn read(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.file(name)).expect("published")).expect("JSON")
    }

    pub fn write(&self, name: &str, file: &Value) {
        fs::write(self.file(name), serde_json::to_vec(file).expect("JSON")).expect("written");
    }

    /// The version of a file of one version at a time, such as `snapshot`.
    pub fn version(&self, of: &str) -> u64 {
        let (holder, name) = match of {
            "snapshot" => (self.read("timestamp.json"), "snapshot.json".to_owned()),
            _ => {
                let snapshot = format!("{}.snapshot.json", self.version("snapshot"));
                (self.read(&snapshot), format!("{of}.json"))
            }
        };
        holder["signed"]["meta"][name]["version"]
            .as_u64()
            .expect("a version")
    }

    pub fn key(&self, name: &str) -> SigningKey {
        keyfile::load(&self.keys.join(name)).expect("a key")
    }

    /// Signs what the file says now by these keys alone. OLPC's canonical JSON: sorted, without spaces.
    pub fn sign(&self, file: &mut Value, keys: &[SigningKey]) {
        let message = serde_json::to_vec(&file["signed"]).expect("JSON");
        let root = self.read("root.json");
        let listed = root["signed"]["keys"].as_object().expect("keys");
        let sign = |key: &SigningKey| {
            let public = to_hex(key.public().as_bytes());
            let id = listed
                .iter()
                .find(|(_, one)| one["keyval"]["public"] == *public)
                .map_or_else(|| "0".repeat(64), |(id, _)| id.clone());
            json!({ "keyid": id, "sig": to_hex(&key.sign(&message)) })
        };
        file["signatures"] = keys.iter().map(sign).collect();
    }

    /// A timestamp that is altered and signed by the stolen online key.
    pub fn stolen_timestamp(&self, alter: impl FnOnce(&mut Value)) {
        let mut timestamp = self.read("timestamp.json");
        alter(&mut timestamp["signed"]);
        self.sign(&mut timestamp, &[self.key("online/timestamp.key")]);
        self.write("timestamp.json", &timestamp);
    }

    /// The next snapshot, altered, and a timestamp that names it: both online keys are stolen.
    pub fn stolen_snapshot(&self, alter: impl FnOnce(&mut Value)) {
        let version = self.version("snapshot");
        let mut snapshot = self.read(&format!("{version}.snapshot.json"));
        alter(&mut snapshot["signed"]["meta"]);
        snapshot["signed"]["version"] = (version + 1).into();
        self.sign(&mut snapshot, &[self.key("online/snapshot.key")]);
        let name = format!("{}.snapshot.json", version + 1);
        self.write(&name, &snapshot);
        let meta = self.meta(&name, version + 1);
        self.stolen_timestamp(|signed| {
            signed["version"] = (signed["version"].as_u64().expect("a number") + 1).into();
            signed["meta"]["snapshot.json"] = meta;
        });
    }

    /// What a snapshot or a timestamp says of a file.
    pub fn meta(&self, name: &str, version: u64) -> Value {
        let bytes = fs::read(self.file(name)).expect("there");
        json!({
            "version": version,
            "length": bytes.len(),
            "hashes": { "sha256": to_hex(&Sha256::digest(&bytes)) },
        })
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    let entries = fs::read_dir(from).expect("a folder");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry")).collect();
    // The timestamp last, as it is published.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("copied")),
        }
    }
}
