//! What Pli puts into the directory, and what is asked of it. Spec: TRU-3, TRU-4.
//! TUF's own signatures are not this suite's business: TUF clients test them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::header::{CLASSES, IMPORTANCES};
use super::{Refused, names, refuse};
use crate::crypto::keys::PublicKey;

const TRUST_FILE_MAX: usize = 65_536;
const KEYS_PER_HOLDER_MAX: usize = 16;
const ENDPOINTS_MAX: usize = 8;
const LINK_HOSTS_MAX: usize = 64;
const ALERTS_MAX: usize = 64;
const COSIGNERS_MAX: usize = 16;
const LEGAL_BASES_MAX: usize = 256;
const DISPLAY_NAME_MAX: usize = 128;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    pub version: u64,
    pub authority: String,
    pub name: Names,
    pub status: Status,
    pub may_host: bool,
    #[serde(rename = "may_lookup")]
    _may_lookup: bool,
    pub alerts: Vec<Alert>,
    pub legal_bases: Vec<String>,
    #[serde(rename = "quotas")]
    _quotas: Option<Quotas>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    fr: String,
    en: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    state: State,
    /// Free text of whoever suspended.
    #[serde(default, rename = "reason")]
    _reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Active,
    Suspended,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    #[serde(rename = "event")]
    _event: String,
    cosigners: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quotas {
    #[serde(default, rename = "envelopes_per_minute")]
    _envelopes_per_minute: Option<u64>,
    #[serde(default, rename = "envelopes_per_day")]
    _envelopes_per_day: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    key: String,
    not_before: String,
    not_after: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    pub version: u64,
    pub authority: String,
    pub keys: Vec<Key>,
    pub quic: Vec<String>,
    pub websocket: Vec<String>,
    pub gateway_keys: Vec<Key>,
    pub log_keys: Vec<Key>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub version: u64,
    pub service: String,
    pub name: Names,
    pub status: Status,
    pub keys: Vec<Key>,
    pub classes: Vec<String>,
    pub importances: Vec<String>,
    pub link_hosts: Vec<String>,
}

/// TRU-3.1. The version is looked at first, so that a later one is called so.
fn json<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, Refused> {
    if text.len() > TRUST_FILE_MAX {
        return refuse("DIRECTORY_INVALID", "over TRUST_FILE_MAX");
    }
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    match serde_json::from_str::<Version>(text) {
        Ok(Version { version: 1 }) => {}
        Ok(_) => return refuse("UNSUPPORTED_VERSION", "version is not 1"),
        Err(_) => return refuse("DIRECTORY_INVALID", "no JSON object with a version"),
    }
    serde_json::from_str(text).or_else(|_| refuse("DIRECTORY_INVALID", "members or types"))
}

/// One file: its kind (`authority`, `node`, `service`) and the id that its path names.
pub fn file(kind: &str, id: &str, text: &str) -> Result<(), Refused> {
    match kind {
        "authority" => authority(id, text).map(drop),
        "node" => node(id, text).map(drop),
        _ => service(id, text).map(drop),
    }
}

fn authority(id: &str, text: &str) -> Result<Authority, Refused> {
    let file: Authority = json(text)?;
    about(names::authority(&file.authority)?, id)?;
    display(&file.name)?;
    at_most(file.alerts.len(), ALERTS_MAX)?;
    for alert in &file.alerts {
        at_most(alert.cosigners.len(), COSIGNERS_MAX)?;
        alert
            .cosigners
            .iter()
            .try_for_each(|name| names::authority(name).map(drop))?;
    }
    at_most(file.legal_bases.len(), LEGAL_BASES_MAX)?;
    Ok(file)
}

fn node(id: &str, text: &str) -> Result<Node, Refused> {
    let file: Node = json(text)?;
    about(names::authority(&file.authority)?, id)?;
    keys(&file.keys, 1)?;
    at_most(file.quic.len(), ENDPOINTS_MAX)?;
    at_most(file.websocket.len(), ENDPOINTS_MAX)?;
    keys(&file.gateway_keys, 0)?;
    keys(&file.log_keys, 0)?;
    Ok(file)
}

fn service(id: &str, text: &str) -> Result<Service, Refused> {
    let file: Service = json(text)?;
    names::service(&file.service)?;
    about(&file.service, id)?;
    display(&file.name)?;
    keys(&file.keys, 1)?;
    let listed =
        |list: &[String], known: &[&str]| list.iter().all(|item| known.contains(&item.as_str()));
    if !listed(&file.classes, CLASSES) || !listed(&file.importances, IMPORTANCES) {
        return refuse("DIRECTORY_INVALID", "class or importance");
    }
    at_most(file.link_hosts.len(), LINK_HOSTS_MAX)?;
    file.link_hosts
        .iter()
        .try_for_each(|host| names::authority(host).map(drop))?;
    Ok(file)
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
    if count <= limit {
        Ok(())
    } else {
        refuse("DIRECTORY_INVALID", "too many")
    }
}

fn display(names: &Names) -> Result<(), Refused> {
    let right = |name: &str| !name.is_empty() && name.len() <= DISPLAY_NAME_MAX;
    if right(&names.fr) && right(&names.en) {
        Ok(())
    } else {
        refuse("DIRECTORY_INVALID", "display name")
    }
}

/// (key, from, until) of each.
type Keys = Vec<(PublicKey, u64, u64)>;

fn keys(list: &[Key], at_least: usize) -> Result<Keys, Refused> {
    at_most(list.len(), KEYS_PER_HOLDER_MAX)?;
    let mut out = Keys::new();
    for entry in list {
        let Ok(key) = entry.key.parse::<PublicKey>() else {
            return refuse("FIELD_INVALID", "key text");
        };
        crate::crypto::signed::strong(&key)?;
        let from = instant(&entry.not_before)?;
        let until = entry.not_after.as_deref().map_or(Ok(u64::MAX), instant)?;
        out.push((key, from, until));
    }
    let distinct: BTreeSet<[u8; 32]> = out.iter().map(|(key, _, _)| key.0).collect();
    if out.len() < at_least || distinct.len() != out.len() {
        return refuse("DIRECTORY_INVALID", "no key, or one twice");
    }
    Ok(out)
}

/// RFC 3339 in UTC, in milliseconds.
fn instant(text: &str) -> Result<u64, Refused> {
    parse_instant(text).ok_or(Refused {
        code: "DIRECTORY_INVALID",
        why: "time",
    })
}

fn parse_instant(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 20
        && [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')]
            .iter()
            .all(|(at, c)| bytes[*at] == *c);
    if !shape || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| {
        let digits = &text[from..to];
        digits
            .bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| digits.parse::<u64>().ok())
            .flatten()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fraction = text[19..].strip_suffix('Z')?;
    let ms = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits)
            if (1..=9).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit()) =>
        {
            format!("{digits:0<3}")[..3].parse::<u64>().ok()?
        }
        _ => return None,
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [
        31,
        28 + u64::from(leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let month_at = usize::try_from(month).ok()?.checked_sub(1)?;
    if year < 1970
        || day == 0
        || day > *lengths.get(month_at)?
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
        + lengths[..month_at].iter().sum::<u64>()
        + day
        - 1;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// What is asked for an envelope: TRU-4.2 to TRU-4.5, in that order.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub service: &'a str,
    pub key_id: &'a [u8],
    pub class: &'a str,
    pub home: &'a str,
    pub at_ms: u64,
}

/// `files`: from path to text.
pub fn sender(files: &BTreeMap<String, String>, ask: &Question<'_>) -> Result<(), Refused> {
    let (name, home) = names::service(ask.service)?;
    let unknown = |code, why| Refused { code, why };
    let text = files
        .get(&format!("authorities/{home}.json"))
        .ok_or(unknown("UNKNOWN_AUTHORITY", "not listed"))?;
    if authority(home, text)?.status.state == State::Suspended {
        return refuse("SUSPENDED", "authority");
    }
    let text = files
        .get(&format!("{home}/services/{name}.json"))
        .ok_or(unknown("UNKNOWN_SERVICE", "not listed"))?;
    let service = service(ask.service, text)?;
    if service.status.state == State::Suspended {
        return refuse("SUSPENDED", "service");
    }
    let keys = keys(&service.keys, 1)?;
    let Some((_, from, until)) = keys
        .iter()
        .find(|(key, _, _)| key.key_id()[..] == *ask.key_id)
    else {
        return refuse("UNKNOWN_KEY", "not a key of this service");
    };
    if ask.at_ms < *from || ask.at_ms >= *until {
        return refuse("KEY_NOT_VALID", "not at this time");
    }
    if !service.classes.iter().any(|class| class == ask.class) {
        return refuse("CLASS_NOT_ALLOWED", "class");
    }
    let hosts = match files.get(&format!("authorities/{}.json", ask.home)) {
        Some(text) => {
            let host = authority(ask.home, text)?;
            host.may_host && host.status.state == State::Active
        }
        None => false,
    };
    if hosts {
        Ok(())
    } else {
        refuse("CANNOT_HOST", "home")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        assert_eq!(parse_instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            parse_instant("2024-02-29T00:00:00Z"),
            Some(1_709_164_800_000)
        );
        assert_eq!(
            parse_instant("2023-11-14T22:13:20.5Z"),
            Some(1_700_000_000_500)
        );
        for bad in [
            "",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00+00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "+024-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_instant(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_repeated_or_unknown_member_is_refused() {
        let file = |extra: &str| {
            format!(
                r#"{{"version":1,"authority":"a.fr","name":{{"fr":"A","en":"A"}},"status":{{"state":"active"}},
                "may_host":true,"may_lookup":false,"alerts":[],"legal_bases":[],"quotas":{{}}{extra}}}"#
            )
        };
        assert!(super::file("authority", "a.fr", &file("")).is_ok());
        let code = |text: &str, id: &str| {
            super::file("authority", id, text)
                .expect_err("refused")
                .code
        };
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
    }
}
