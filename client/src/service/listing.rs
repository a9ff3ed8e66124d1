//! Listing: whether a service's id and key are those that the directory lists, and if not, which are.
//!
//! A mistyped id is better refused when it is given than when letters wait. Spec: TRU-3.4.

use std::fmt;

use pli_protocol::id::{KeyId, ServiceId};
use pli_protocol::trust::{Directory, KeyRole};

/// Names that are said of many.
const NAMES_MAX: usize = 8;

/// How an id and a key stand in a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listing {
    /// Both are listed, for one another.
    Listed,
    /// The directory names no such authority.
    NoAuthority { named: Vec<String> },
    /// The key is another service's.
    KeyOf { owners: Vec<ServiceId> },
    /// The authority lists no such service: it is to be listed yet, or mistyped.
    NoService { named: Vec<String> },
    /// The service is there with other keys.
    OtherKey,
}

impl Listing {
    /// Of a service and its key; no key is nobody's yet.
    pub fn of(directory: &Directory, service: &ServiceId, key: Option<&KeyId>) -> Self {
        let authority = service.authority();
        if directory.authority(authority).is_err() {
            let named = directory.authorities();
            return Self::NoAuthority {
                named: first(named.map(|record| record.authority.to_string())),
            };
        }
        let owners = key.map_or(&[][..], |key| directory.owners(key));
        let owners: Vec<ServiceId> = owners
            .iter()
            .filter_map(|owner| match &owner.role {
                KeyRole::Service(service) => Some(service.clone()),
                KeyRole::Node | KeyRole::Gateway | KeyRole::Log => None,
            })
            .collect();
        if owners.contains(service) {
            return Self::Listed;
        }
        if !owners.is_empty() {
            return Self::KeyOf { owners };
        }
        if directory.service(service).is_ok() {
            return Self::OtherKey;
        }
        let named = directory.services().map(|record| &record.service);
        let named = named.filter(|named| named.authority() == authority);
        Self::NoService {
            named: first(named.map(ToString::to_string)),
        }
    }
}

/// What was expected; empty where there is nothing to say.
impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed => Ok(()),
            Self::NoAuthority { named } => {
                write!(
                    f,
                    "the directory knows {}",
                    or_none(named, "no authority yet")
                )
            }
            Self::KeyOf { owners } => {
                let owners: Vec<String> = owners.iter().map(ToString::to_string).collect();
                write!(f, "this folder's key is listed for {}", owners.join(", "))
            }
            Self::NoService { named } => {
                write!(
                    f,
                    "its authority lists {}",
                    or_none(named, "no service yet")
                )
            }
            Self::OtherKey => f.write_str("it is listed with another key than this folder's"),
        }
    }
}

fn first(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    if names.len() > NAMES_MAX {
        names.truncate(NAMES_MAX);
        names.push("…".to_owned());
    }
    names
}

fn or_none(names: &[String], none: &str) -> String {
    match names.is_empty() {
        true => none.to_owned(),
        false => names.join(", "),
    }
}
