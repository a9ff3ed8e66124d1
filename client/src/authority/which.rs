//! Which key an operator means: one name for people, `ed25519:…`, and the id by which logs and signed objects
//! name the same key.

use std::path::Path;

use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::id::KeyId;
use pli_trust::keyfile;

use crate::federation::Failure;

/// Finds the key among those that its holder lists. A name may be cut short, as `pli authority show` does.
pub(super) fn which(name: &str, listed: &[PublicKey]) -> Result<KeyId, Failure> {
    let wrong = |problem: String| Failure::Argument {
        option: OPTION,
        problem,
    };
    if Path::new(name).is_file() {
        return Ok(keyfile::public(name)?.id());
    }
    if let Ok(key) = name.parse::<PublicKey>() {
        return Ok(key.id());
    }
    let begun = name.strip_suffix('…').unwrap_or(name);
    let bare = begun.strip_prefix(PREFIX).unwrap_or(begun);
    if bare.len() < BEGINNING_MIN {
        return Err(wrong(format!(
            "{name:?} is too short: expected {PREFIX}…, at least {BEGINNING_MIN} characters of it, a .pub or .key file, or a key id"
        )));
    }
    let meant = |key: &&PublicKey| {
        let (key, id) = (key.to_string(), key.id().to_string());
        key[PREFIX.len()..].starts_with(bare) || (bare == begun && id.starts_with(bare))
    };
    let found: Vec<&PublicKey> = listed.iter().filter(meant).collect();
    match found.as_slice() {
        [key] => Ok(key.id()),
        [] => Err(wrong(format!("no key {name:?} is listed; {}", all(listed)))),
        _ => Err(wrong(format!(
            "several keys begin with {name:?}; {}",
            all(listed)
        ))),
    }
}

fn all(listed: &[PublicKey]) -> String {
    let names: Vec<String> = listed.iter().map(PublicKey::to_string).collect();
    match names.is_empty() {
        true => "no key is listed at all".to_owned(),
        false => format!("listed: {}", names.join(", ")),
    }
}

pub(super) const OPTION: &str = "--old-key";
const PREFIX: &str = "ed25519:";
/// What `pli authority show` shows of a key.
pub(super) const BEGINNING_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        *keyfile::generate().unwrap().public()
    }

    #[test]
    fn a_key_is_found_by_each_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rdv.key");
        let wanted = *keyfile::create(&path).unwrap().public();
        let listed = [key(), wanted, key()];
        let (text, id) = (wanted.to_string(), wanted.id().to_string());
        let beginning = &text[..PREFIX.len() + BEGINNING_MIN];
        for name in [
            text.as_str(),
            beginning,
            &format!("{beginning}…"),
            &id,
            &id[..BEGINNING_MIN],
            path.to_str().unwrap(),
            &format!("{}.pub", path.display()),
        ] {
            assert_eq!(which(name, &listed).unwrap(), wanted.id(), "{name}");
        }
    }

    #[test]
    fn a_name_that_could_be_another_keys_is_not_guessed() {
        let (first, second) = (key(), key());
        let text = first.to_string();
        let short = &text[..PREFIX.len() + BEGINNING_MIN - 1];
        for (name, listed, says) in [
            (short, &[first][..], "too short"),
            ("ed25519:", &[first], "too short"),
            ("", &[first], "too short"),
            (&text[..20], &[second], "no key"),
            (&text[..20], &[first, first], "several keys"),
            (&text[..20], &[], "no key is listed at all"),
        ] {
            let error = which(name, listed).unwrap_err().to_string();
            assert!(error.starts_with(OPTION) && error.contains(says), "{error}");
        }
        // A whole key that is not listed is refused by whoever asks for it, by its whole name.
        assert_eq!(which(&text, &[second]).unwrap(), first.id());
    }
}
