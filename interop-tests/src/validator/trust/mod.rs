//! What Pli puts into the directory, and what is asked of it. Spec: TRU-3, TRU-4.
//! TUF's own signatures are not this suite's business: TUF clients test them.

mod files;
mod instant;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Refused, names, refuse};
use crate::crypto::keys::{PublicKey, SecretKey};
use files::{Authority, Key, Service};

/// Whom a path is about.
enum About<'a> {
    Authority(&'a str),
    Policy,
    Node(&'a str),
    /// `name@authority`, and the authority.
    Service(String, &'a str),
}

/// TRU-1.2, TRU-1.3
fn about(path: &str) -> Result<About<'_>, Refused> {
    let parts: Vec<&str> = path.split('/').collect();
    let about = match parts[..] {
        ["federation", "policy.json"] => Some(About::Policy),
        ["authorities", file] => file.strip_suffix(".json").map(About::Authority),
        [authority, "node.json"] => Some(About::Node(authority)),
        [authority, "services", file] => file
            .strip_suffix(".json")
            .map(|name| About::Service(format!("{name}@{authority}"), authority)),
        _ => None,
    };
    let named = match &about {
        Some(About::Policy) => true,
        Some(About::Authority(id) | About::Node(id)) => names::authority(id).is_ok(),
        Some(About::Service(id, _)) => names::service(id).is_ok(),
        None => false,
    };
    match about {
        Some(about) if named => Ok(about),
        _ => refuse("DIRECTORY_INVALID", "path"),
    }
}

/// One file by itself.
pub fn file(path: &str, text: &str) -> Result<(), Refused> {
    match about(path)? {
        About::Authority(id) => files::authority(id, text).map(drop),
        About::Policy => files::policy(text),
        About::Node(id) => files::node(id, text).map(drop),
        About::Service(id, _) => files::service(&id, text).map(drop),
    }
}

/// A file as TUF delivered it.
#[derive(Clone, Debug, Deserialize)]
pub struct Listed {
    path: String,
    /// The authority whose role named it; absent for the federation's own.
    signer: Option<String>,
    text: String,
}

/// The directory as a whole.
#[derive(Debug)]
pub struct Directory {
    expires_ms: u64,
    authorities: BTreeMap<String, Authority>,
    services: BTreeMap<String, Service>,
}

impl Directory {
    /// The first file that is refused refuses; a node would leave out that one file (TRU-2.4).
    pub fn load(listed: &[Listed], production: bool, expires_ms: u64) -> Result<Self, Refused> {
        let (mut authorities, mut services) = (BTreeMap::new(), BTreeMap::new());
        // Within one authority no key is of two holders.
        let mut held: BTreeSet<(String, [u8; 32])> = BTreeSet::new();
        let mut hold = |authority: &str, keys: &[Key]| {
            for entry in keys {
                if production && is_published(&entry.key) {
                    return refuse("PUBLISHED_KEY", "a key whose secret half is published");
                }
                if !held.insert((authority.to_owned(), entry.key.0)) {
                    return refuse("DIRECTORY_INVALID", "a key of two holders");
                }
            }
            Ok(())
        };
        for file in listed {
            let signer = file.signer.as_deref();
            match about(&file.path)? {
                About::Authority(id) => {
                    of_role(signer, None)?;
                    authorities.insert(id.to_owned(), files::authority(id, &file.text)?);
                }
                About::Policy => {
                    of_role(signer, None)?;
                    files::policy(&file.text)?;
                }
                About::Node(id) => {
                    of_role(signer, Some(id))?;
                    hold(id, &files::node(id, &file.text)?)?;
                }
                About::Service(id, authority) => {
                    of_role(signer, Some(authority))?;
                    let service = files::service(&id, &file.text)?;
                    hold(authority, &service.keys)?;
                    services.insert(id, service);
                }
            }
        }
        Ok(Self {
            expires_ms,
            authorities,
            services,
        })
    }

    /// TRU-4.1 to TRU-4.5, in that order.
    pub fn sender(&self, ask: &Question<'_>) -> Result<(), Refused> {
        if ask.now_ms >= self.expires_ms {
            return refuse("DIRECTORY_EXPIRED", "expires_ms");
        }
        let (_, home) = names::service(ask.service)?;
        self.active(home)?;
        let Some(service) = self.services.get(ask.service) else {
            return refuse("UNKNOWN_SERVICE", "not listed");
        };
        if service.suspended {
            return refuse("SUSPENDED", "service");
        }
        let key = service
            .keys
            .iter()
            .find(|entry| entry.key.key_id()[..] == *ask.key_id);
        match key {
            None => return refuse("UNKNOWN_KEY", "not a key of this service"),
            Some(key) if ask.now_ms < key.from_ms || ask.now_ms >= key.until_ms => {
                return refuse("KEY_NOT_VALID", "not at this time");
            }
            Some(_) => {}
        }
        let lists = |list: &[String], item: &str| list.iter().any(|listed| listed == item);
        if !lists(&service.classes, ask.class) || !lists(&service.importances, ask.importance) {
            return refuse("CLASS_NOT_ALLOWED", "class or importance");
        }
        if self.active(ask.home)?.may_host {
            Ok(())
        } else {
            refuse("CANNOT_HOST", "home")
        }
    }

    fn active(&self, id: &str) -> Result<&Authority, Refused> {
        match self.authorities.get(id) {
            None => refuse("UNKNOWN_AUTHORITY", "not listed"),
            Some(authority) if authority.is_suspended() => refuse("SUSPENDED", "authority"),
            Some(authority) => Ok(authority),
        }
    }
}

/// TRU-3.2
fn of_role(signer: Option<&str>, wanted: Option<&str>) -> Result<(), Refused> {
    if signer == wanted {
        Ok(())
    } else {
        refuse("NOT_AUTHORITATIVE", "from another role")
    }
}

/// What is asked for an envelope.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub service: &'a str,
    pub key_id: &'a [u8],
    pub class: &'a str,
    pub importance: &'a str,
    pub home: &'a str,
    pub now_ms: u64,
}

/// TRU-3.6: seeds of one repeated byte, counting seeds, and RFC 8032's.
fn is_published(key: &PublicKey) -> bool {
    const RFC_8032: [&str; 5] = [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "278117fc144c72340f67d0f2316e8386ceffbf2b2428c9c51fef7c597f1d426e",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    ];
    RFC_8032.contains(&hex::encode(key.0).as_str())
        || (0..=255u8).any(|byte| {
            let counting = std::array::from_fn(|at| byte.wrapping_add(at as u8));
            [[byte; 32], counting]
                .iter()
                .any(|seed| SecretKey::from_seed(*seed).public() == *key)
        })
}

#[cfg(test)]
mod tests {
    use super::super::code_of;
    use super::*;

    #[test]
    fn paths() {
        for good in [
            "authorities/a.fr.json",
            "a.fr/node.json",
            "a.fr/services/rdv.json",
        ] {
            assert_eq!(code_of(about(good).map(drop)), "accepted", "{good}");
        }
        for bad in [
            "",
            "a.fr.json",
            "authorities/a.json",
            "a.fr/other.json",
            "a.fr/services/RDV.json",
            "a.fr/services/../x.json",
        ] {
            assert_eq!(code_of(about(bad).map(drop)), "DIRECTORY_INVALID", "{bad}");
        }
    }

    #[test]
    fn r09_published_keys_are_known() {
        assert!(is_published(&SecretKey::from_seed([7; 32]).public()));
        assert!(is_published(
            &SecretKey::from_seed(std::array::from_fn(|at| at as u8)).public()
        ));
        assert!(!is_published(&SecretKey::generate().public()));
    }
}
