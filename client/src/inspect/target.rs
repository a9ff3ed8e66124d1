//! Files of the trust repository: an authority's record, a node, a service, TUF metadata.

use pli_protocol::id::{AuthorityId, ServiceId, to_hex};
use pli_trust::format::{AuthorityFile, NodeFile, ServiceFile, TargetPath};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Report;

/// `None` where the bytes are no JSON object.
pub(super) fn inspect(bytes: &[u8]) -> Option<Report> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    if !value.is_object() {
        return None;
    }
    let mut report = if value["signed"].is_object() {
        metadata(&value)
    } else {
        if WORKSPACE.iter().any(|member| value.get(member).is_some()) {
            let found = "a file of a workspace; pli authority show and pli federation show tell what is in it";
            return Some(Report::not_of_pli(found));
        }
        let Some(report) = record(&value, bytes) else {
            return Some(Report::not_of_pli("JSON that is none of Pli's"));
        };
        report
    };
    report.field("sha256", to_hex(&Sha256::digest(bytes)));
    report.not_checked(
        "signature",
        "a repository proves itself as a whole: pli federation show, or a node's copy",
    );
    Some(report)
}

fn metadata(value: &Value) -> Report {
    let signed = &value["signed"];
    let mut report = Report::of("TUF metadata");
    for (name, key) in [("role", "_type"), ("version", "version")] {
        report.field(name, text(&signed[key]));
    }
    match signed["expires"].as_str().and_then(pli_trust::parse_utc) {
        Some(at) => report.time("expires", at),
        None => report.field("expires", text(&signed["expires"])),
    }
    let keys = |list: &Value| list.as_array().map_or(0, Vec::len);
    report.field("signatures", keys(&value["signatures"]));
    for (role, entry) in signed["roles"].as_object().into_iter().flatten() {
        report.field(
            "role keys",
            format!(
                "{role}: {} of {}",
                entry["threshold"],
                keys(&entry["keyids"])
            ),
        );
    }
    for target in signed["targets"]
        .as_object()
        .into_iter()
        .flatten()
        .take(SHOWN_MAX)
    {
        report.field("target", target.0);
    }
    for role in signed["delegations"]["roles"]
        .as_array()
        .into_iter()
        .flatten()
        .take(SHOWN_MAX)
    {
        let name = role["name"].as_str().unwrap_or("?");
        report.field(
            "delegated",
            format!("{name}: {} of {}", role["threshold"], keys(&role["keyids"])),
        );
    }
    report
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn record(value: &Value, bytes: &[u8]) -> Option<Report> {
    let name = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let authority = name("authority").parse::<AuthorityId>();
    let service = name("service").parse::<ServiceId>();
    // Where it would stand is what it says of itself; only the repository can say that it does.
    let (mut report, read) = match (service, authority) {
        (Ok(service), _) => {
            let path = TargetPath::Service(service.clone()).to_string();
            let read = ServiceFile::read(&service, &path, bytes).map(drop);
            (Report::of("service record"), read)
        }
        (Err(_), Ok(authority)) if value.get("quic").is_some() => {
            let path = TargetPath::Node(authority.clone()).to_string();
            let read = NodeFile::read(&authority, &path, bytes).map(drop);
            (Report::of("node record"), read)
        }
        (Err(_), Ok(authority)) => {
            let path = TargetPath::Authority(authority.clone()).to_string();
            let read = AuthorityFile::read(&authority, &path, bytes).map(drop);
            (Report::of("authority record"), read)
        }
        (Err(_), Err(_)) => return None,
    };
    match read {
        Ok(()) => report.holds("form", "strict, as TRU-3 says"),
        Err(refusal) => report.fails("form", &refusal, refusal.code()),
    }
    for (key, member) in value.as_object().into_iter().flatten() {
        report.field(member_name(key), member);
    }
    Some(report)
}

/// The members of records, so that a hostile file cannot add labels of its own.
fn member_name(key: &str) -> &'static str {
    const MEMBERS: [&str; 20] = [
        "version",
        "authority",
        "service",
        "name",
        "status",
        "keys",
        "quic",
        "websocket",
        "gateway_keys",
        "log_keys",
        "classes",
        "importances",
        "link_hosts",
        "may_host",
        "may_lookup",
        "alerts",
        "legal_bases",
        "quotas",
        "since",
        "standing",
    ];
    MEMBERS
        .into_iter()
        .find(|member| *member == key)
        .unwrap_or("other member")
}

/// Members that only `authority.json`, `federation.json` and a hand-over's `request.json` have.
const WORKSPACE: [&str; 3] = ["role_version", "lifetimes", "threshold"];

/// Entries of one list that are shown.
const SHOWN_MAX: usize = 64;
