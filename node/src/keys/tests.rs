//! Key files: what is refused, and what the refusal says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::federation::fixture::{DAY_MS, NOON, authority, directory, node_key};

const FAR: [u64; 5] = [DAY_MS; 5];

/// A key that is not on any list; still no secret of anyone's.
fn own_key() -> SigningKey {
    let mut seed = [0x5a; 32];
    seed[0] = 1;
    SigningKey::from_seed(&seed)
}

fn file(text: &str, mode: u32) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("node.key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn load(path: &Path, environment: Environment) -> Result<NodeKey, KeyRefusal> {
    NodeKey::load(path, authority(), environment)
}

#[test]
fn a_key_of_mode_0600_is_read() {
    let (_folder, path) = file(&format!("{}\n", *own_key().to_secret_text()), 0o600);
    let key = load(&path, Environment::Production).unwrap();
    assert_eq!(key.id(), own_key().public().id());
    let shown = format!("{key:?}");
    assert!(
        !shown.contains(&own_key().to_secret_text()[19..]),
        "a log never shows the key"
    );
}

#[test]
fn case_75_a_key_that_others_can_reach_is_refused() {
    for mode in [0o644, 0o640, 0o604, 0o602, 0o620, 0o601, 0o777] {
        let (_folder, path) = file(&own_key().to_secret_text(), mode);
        let error = load(&path, Environment::Development).expect_err("open to others");
        assert!(matches!(
            error,
            KeyRefusal::File(keyfile::KeyFileError::Readable { .. })
        ));
        let message = error.to_string();
        assert!(message.contains(&format!("mode {mode:03o}")), "{message}");
        assert!(message.contains("chmod 600"), "{message}");
    }
    let (_folder, path) = file(&own_key().to_secret_text(), 0o400);
    assert!(
        load(&path, Environment::Production).is_ok(),
        "even stricter is well"
    );
}

#[test]
fn r9_a_published_key_is_refused_outside_development() {
    let (_folder, path) = file(&SigningKey::from_seed(&[7; 32]).to_secret_text(), 0o600);
    let error = load(&path, Environment::Production).expect_err("published");
    assert!(matches!(error, KeyRefusal::Published { .. }), "{error}");
    assert!(load(&path, Environment::Development).is_ok());
}

#[test]
fn what_is_not_a_key_is_refused_without_showing_it() {
    let public = own_key().public().to_string();
    for text in ["", "secret", &public, "pli-secret-ed25519:c2VjcmV0"] {
        let (_folder, path) = file(text, 0o600);
        let error = load(&path, Environment::Production).expect_err("not a key");
        assert!(matches!(error, KeyRefusal::File(_)), "{text}: {error}");
        assert!(!error.to_string().contains("c2VjcmV0"));
    }
    let folder = TempDir::new().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none")] {
        let error = load(&path, Environment::Production).expect_err("no file");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn case_74_a_key_that_is_not_in_the_directory_is_refused_with_both_keys() {
    let (ours, listed) = (node_key(1), node_key(2));
    assert!(ours.check_listed(&directory(1, &ours, FAR), NOON).is_ok());
    let message = ours
        .check_listed(&directory(1, &listed, FAR), NOON)
        .expect_err("another key")
        .to_string();
    assert!(
        message.contains(&ours.key.public().to_string()),
        "{message}"
    );
    assert!(
        message.contains(&listed.key.public().to_string()),
        "{message}"
    );

    let elsewhere = NodeKey {
        authority: AuthorityId::new("social.gouv.fr").unwrap(),
        ..ours
    };
    let message = elsewhere
        .check_listed(&directory(1, &listed, FAR), NOON)
        .expect_err("another authority")
        .to_string();
    assert!(
        message.contains("does not list social.gouv.fr"),
        "{message}"
    );
}
