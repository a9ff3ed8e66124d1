//! The directory's files: JSON objects with known members only. Spec: TRU-3.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::header::{CLASSES, IMPORTANCES};
use super::super::{Refused, names, refuse};
use super::instant::parse_instant;
use crate::crypto::keys::PublicKey;

const TRUST_FILE_MAX: usize = 65_536;
const KEYS_PER_HOLDER_MAX: usize = 16;
const ENDPOINTS_MAX: usize = 8;
const LINK_HOSTS_MAX: usize = 64;
const ALERTS_MAX: usize = 64;
const COSIGNERS_MAX: usize = 8;
const LEGAL_BASES_MAX: usize = 64;
const DISPLAY_NAME_MAX: usize = 128;
const WITNESSES_MAX: usize = 16;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Authority {
    #[serde(rename = "version")]
    _version: u64,
    authority: String,
    name: Names,
    status: Status,
    pub(super) may_host: bool,
    #[serde(rename = "may_lookup")]
    _may_lookup: bool,
    alerts: Vec<Alert>,
    legal_bases: Vec<String>,
    #[serde(rename = "quotas")]
    _quotas: Quotas,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Names {
    fr: String,
    en: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    state: State,
    since: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Suspended,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Alert {
    #[serde(rename = "event")]
    _event: String,
    cosigners: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quotas {
    #[serde(default, rename = "envelopes_per_minute")]
    _envelopes_per_minute: Option<u64>,
    #[serde(default, rename = "envelopes_per_day")]
    _envelopes_per_day: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    key: String,
    not_before: String,
    not_after: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(rename = "version")]
    _version: u64,
    witnesses: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    #[serde(rename = "version")]
    _version: u64,
    authority: String,
    keys: Vec<KeyText>,
    quic: Vec<String>,
    websocket: Vec<String>,
    #[serde(default)]
    http: Vec<String>,
    #[serde(default)]
    gossip: Vec<String>,
    gateway_keys: Vec<KeyText>,
    log_keys: Vec<KeyText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    #[serde(rename = "version")]
    _version: u64,
    service: String,
    name: Names,
    status: Status,
    keys: Vec<KeyText>,
    classes: Vec<String>,
    importances: Vec<String>,
    link_hosts: Vec<String>,
}

/// A key and when it is valid: from, and until before.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) key: PublicKey,
    pub(super) from_ms: u64,
    pub(super) until_ms: u64,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) suspended: bool,
    pub(super) keys: Vec<Key>,
    pub(super) classes: Vec<String>,
    pub(super) importances: Vec<String>,
}

impl Authority {
    pub(super) fn is_suspended(&self) -> bool {
        self.status.state == State::Suspended
    }
}

/// TRU-3.1. The version is looked at first, so that a later one is called so.
fn json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, Refused> {
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    if text.len() > TRUST_FILE_MAX {
        return refuse("DIRECTORY_INVALID", "over TRUST_FILE_MAX");
    }
    match serde_json::from_str::<Version>(text) {
        Ok(Version { version: 1 }) => {}
        Ok(_) => return refuse("UNSUPPORTED_VERSION", "version is not 1"),
        Err(_) => return refuse("DIRECTORY_INVALID", "no JSON object with a version"),
    }
    // A JSON array of the right values would be taken for an object by position.
    if !text.trim_start().starts_with('{') {
        return refuse("DIRECTORY_INVALID", "not an object");
    }
    serde_json::from_str(text).or_else(|_| refuse("DIRECTORY_INVALID", "members or types"))
}

pub(super) fn authority(id: &str, text: &str) -> Result<Authority, Refused> {
    let file: Authority = json(text)?;
    about(&file.authority, id)?;
    display(&file.name)?;
    status(&file.status)?;
    at_most(file.alerts.len(), ALERTS_MAX)?;
    for alert in &file.alerts {
        at_most(alert.cosigners.len(), COSIGNERS_MAX)?;
        distinct(&alert.cosigners)?;
        require(
            alert
                .cosigners
                .iter()
                .all(|name| names::authority(name).is_ok()),
            "cosigner",
        )?;
    }
    at_most(file.legal_bases.len(), LEGAL_BASES_MAX)?;
    distinct(&file.legal_bases)?;
    Ok(file)
}

/// What holds for the whole federation.
pub(super) fn policy(text: &str) -> Result<(), Refused> {
    let file: Policy = json(text)?;
    at_most(file.witnesses, WITNESSES_MAX)
}

/// Every key of a node, of its gateways and logs.
pub(super) fn node(id: &str, text: &str) -> Result<Vec<Key>, Refused> {
    let file: NodeFile = json(text)?;
    about(&file.authority, id)?;
    at_most(file.quic.len(), ENDPOINTS_MAX)?;
    at_most(file.websocket.len(), ENDPOINTS_MAX)?;
    require(
        file.quic.iter().all(|endpoint| is_endpoint(endpoint)),
        "quic",
    )?;
    let is_websocket = |url: &String| {
        url.strip_prefix("wss://")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(endpoint, _)| is_endpoint(endpoint))
    };
    require(file.websocket.iter().all(is_websocket), "websocket")?;
    at_most(file.http.len(), ENDPOINTS_MAX)?;
    at_most(file.gossip.len(), ENDPOINTS_MAX)?;
    let is_base = |url: &String| {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
        host.is_some_and(|host| !host.is_empty())
            && !url.ends_with('/')
            && !url.contains(['?', '#', '@', ' '])
    };
    require(file.http.iter().all(is_base), "http")?;
    let gossip = file.gossip.iter().all(|endpoint| is_endpoint(endpoint));
    require(gossip, "gossip")?;
    let mut all = keys(&file.keys)?;
    require(!all.is_empty(), "no key")?;
    all.extend(keys(&file.gateway_keys)?);
    all.extend(keys(&file.log_keys)?);
    Ok(all)
}

/// `host:port`
fn is_endpoint(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let known = names::authority(host).is_ok()
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok();
        known && digits && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

pub(super) fn service(id: &str, text: &str) -> Result<Service, Refused> {
    let file: ServiceFile = json(text)?;
    about(&file.service, id)?;
    display(&file.name)?;
    status(&file.status)?;
    for (list, known) in [(&file.classes, CLASSES), (&file.importances, IMPORTANCES)] {
        distinct(list)?;
        require(
            list.iter().all(|item| known.contains(&item.as_str())),
            "class or importance",
        )?;
    }
    at_most(file.link_hosts.len(), LINK_HOSTS_MAX)?;
    distinct(&file.link_hosts)?;
    require(
        file.link_hosts
            .iter()
            .all(|host| names::authority(host).is_ok()),
        "link host",
    )?;
    let keys = keys(&file.keys)?;
    require(!keys.is_empty(), "no key")?;
    Ok(Service {
        suspended: file.status.state == State::Suspended,
        keys,
        classes: file.classes,
        importances: file.importances,
    })
}

fn require(right: bool, why: &'static str) -> Result<(), Refused> {
    if right {
        Ok(())
    } else {
        refuse("DIRECTORY_INVALID", why)
    }
}

/// TRU-3.2
fn about(named: &str, path: &str) -> Result<(), Refused> {
    if named == path {
        Ok(())
    } else {
        refuse("NOT_AUTHORITATIVE", "about another than its path")
    }
}

/// TRU-3.5
fn at_most(count: usize, limit: usize) -> Result<(), Refused> {
    require(count <= limit, "too many")
}

fn distinct(list: &[String]) -> Result<(), Refused> {
    require(
        list.iter().collect::<BTreeSet<_>>().len() == list.len(),
        "one twice",
    )
}

/// Suspended since a time, or active since none.
fn status(status: &Status) -> Result<(), Refused> {
    let right = match (status.state, &status.since) {
        (State::Active, None) => true,
        (State::Suspended, Some(since)) => parse_instant(since).is_some(),
        _ => false,
    };
    require(right, "status")
}

fn display(names: &Names) -> Result<(), Refused> {
    let bidi = |c: char| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let right = |name: &str| {
        !name.is_empty()
            && name.len() <= DISPLAY_NAME_MAX
            && !name.chars().any(|c| c.is_control() || bidi(c))
    };
    require(right(&names.fr) && right(&names.en), "display name")
}

fn keys(list: &[KeyText]) -> Result<Vec<Key>, Refused> {
    at_most(list.len(), KEYS_PER_HOLDER_MAX)?;
    let invalid = |why| Refused {
        code: "DIRECTORY_INVALID",
        why,
    };
    let mut out = Vec::with_capacity(list.len());
    for text in list {
        let key: PublicKey = text.key.parse().map_err(|_| invalid("key"))?;
        require(key.is_strong(), "weak key")?;
        let from_ms = parse_instant(&text.not_before).ok_or(invalid("not_before"))?;
        let until_ms = match &text.not_after {
            Some(text) => parse_instant(text).ok_or(invalid("not_after"))?,
            None => u64::MAX,
        };
        require(from_ms < until_ms, "not_after before not_before")?;
        out.push(Key {
            key,
            from_ms,
            until_ms,
        });
    }
    let keys: BTreeSet<[u8; 32]> = out.iter().map(|entry| entry.key.0).collect();
    require(keys.len() == out.len(), "a key twice")?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::super::code_of;
    use super::*;

    #[test]
    fn a_repeated_or_unknown_member_is_refused() {
        let file = |extra: &str| {
            format!(
                r#"{{"version":1,"authority":"a.fr","name":{{"fr":"A","en":"A"}},"status":{{"state":"active"}},
                "may_host":true,"may_lookup":false,"alerts":[],"legal_bases":[],"quotas":{{}}{extra}}}"#
            )
        };
        let code = |text: &str, id: &str| code_of(authority(id, text));
        assert_eq!(code(&file(""), "a.fr"), "accepted");
        assert_eq!(
            code(&file(r#","may_host":true"#), "a.fr"),
            "DIRECTORY_INVALID"
        );
        assert_eq!(code(&file(r#","more":1"#), "a.fr"), "DIRECTORY_INVALID");
        assert_eq!(
            code(&file("").replace("\"version\":1", "\"version\":2"), "a.fr"),
            "UNSUPPORTED_VERSION"
        );
        assert_eq!(code(&file(""), "b.fr"), "NOT_AUTHORITATIVE");
        let with = |status: &str| file("").replace(r#"{"state":"active"}"#, status);
        let since = r#""since":"2027-01-01T00:00:00Z""#;
        assert_eq!(
            code(&with(&format!(r#"{{"state":"active",{since}}}"#)), "a.fr"),
            "DIRECTORY_INVALID"
        );
        assert_eq!(
            code(&with(r#"{"state":"suspended"}"#), "a.fr"),
            "DIRECTORY_INVALID"
        );
        assert_eq!(
            code(
                &with(&format!(r#"{{"state":"suspended",{since}}}"#)),
                "a.fr"
            ),
            "accepted"
        );
    }

    #[test]
    fn endpoints() {
        for good in ["a.fr:1", "127.0.0.1:7400", "[::1]:65535"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "a.fr",
            "a.fr:0",
            "a.fr:65536",
            "a.fr:+1",
            ":1",
            "A.fr:1",
            "http://a.fr:1",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }
}
