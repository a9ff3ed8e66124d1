//! Which crate may depend on which, and what only one may name.
//!
//! ```text
//! protocol <- trust, transport <- client, node        testbed: real processes, for tests only
//! interop-tests: none of ours, or one bug would pass on both sides
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Finding, Source};

const CHECK: &str = "arrow";

/// A crate's folder, and which of ours it may depend on outside of tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("trust", &["pli-protocol"]),
    ("transport", &["pli-protocol"]),
    ("client", &["pli-protocol", "pli-transport", "pli-trust"]),
    ("node", &["pli-protocol", "pli-transport", "pli-trust"]),
    ("interop-tests", &[]),
    (
        "testbed",
        &["pli-client", "pli-protocol", "pli-transport", "pli-trust"],
    ),
    ("xtask", &["pli-protocol"]),
    ("fuzz", &["pli-protocol"]),
];

/// More that tests of a crate may depend on.
const TEST_ARROWS: &[(&str, &[&str])] = &[
    ("node", &["pli-client", "pli-testbed"]),
    ("client", &["pli-testbed"]),
];

/// What a pure crate must not name: clock, socket, disk, async, randomness.
const IMPURE: &[&str] = &[
    "std::time",
    "std::net::Tcp",
    "std::net::Udp",
    "std::net::ToSocketAddrs",
    "std::fs",
    "std::process",
    "std::env",
    "std::thread",
    "tokio",
    "rand::",
    "getrandom",
    "async fn",
    ".await",
];

/// A name that only these folders may use.
const OWNED: &[(&str, &[&str])] = &[
    ("quinn", &["transport"]),
    ("tokio_tungstenite", &["transport"]),
    ("yamux", &["transport"]),
    ("tough", &["trust"]),
    ("libp2p", &["node/src/federation"]),
    ("fjall", &["node/src/store"]),
    ("sled", &["node/src/store"]),
    ("hpke", &["protocol/src/crypto", "xtask"]),
    ("ed25519_dalek", &["protocol/src/crypto", "interop-tests"]),
];

pub(super) fn check(root: &Path, sources: &[Source], findings: &mut Vec<Finding>) {
    manifests(root, findings);
    for source in sources {
        names(source, findings);
        if source.package == "protocol" {
            pure(source, findings);
        }
    }
}

fn manifests(root: &Path, findings: &mut Vec<Finding>) {
    for package in packages(root) {
        let path = format!("{package}/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package) else {
            findings.push(Finding::new(
                CHECK,
                path,
                "no arrow is drawn for this crate",
            ));
            continue;
        };
        let manifest = manifest(root, &path);
        let for_tests = TEST_ARROWS.iter().find(|(name, _)| *name == package);
        let more = for_tests.map_or(&[][..], |(_, more)| *more);
        for (table, more) in [
            ("dependencies", &[][..]),
            ("build-dependencies", &[]),
            ("dev-dependencies", more),
        ] {
            for name in ours(&manifest, table) {
                if !allowed.contains(&name.as_str()) && !more.contains(&name.as_str()) {
                    let what = format!("must not depend on {name} ({table})");
                    findings.push(Finding::new(CHECK, &path, what));
                }
            }
        }
    }
}

fn packages(root: &Path) -> BTreeSet<String> {
    let manifest = manifest(root, "Cargo.toml");
    let members = manifest["workspace"]["members"]
        .as_array()
        .expect("the workspace lists its members");
    members
        .iter()
        .filter_map(|member| member.as_str().map(str::to_owned))
        .collect()
}

fn manifest(root: &Path, path: &str) -> toml::Table {
    let text = fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    text.parse().unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn ours(manifest: &toml::Table, table: &str) -> BTreeSet<String> {
    let dependencies = manifest.get(table).and_then(|table| table.as_table());
    let names = dependencies.into_iter().flat_map(|table| table.keys());
    names
        .filter(|name| name.starts_with("pli-"))
        .cloned()
        .collect()
}

fn names(source: &Source, findings: &mut Vec<Finding>) {
    for (number, line) in (1..).zip(&source.lines) {
        let code = without_comment(&line.text);
        for (name, folders) in OWNED {
            let home = folders.iter().any(|folder| within(&source.path, folder));
            // Tests may reach below, to measure or to attack.
            if !home && !line.test && uses(code, name) {
                let place = format!("{}:{number}", source.path);
                findings.push(Finding::new(
                    CHECK,
                    place,
                    format!("only {} names {name}", folders.join(", ")),
                ));
            }
        }
        if source.package == "interop-tests" && code.contains("pli_protocol") {
            let place = format!("{}:{number}", source.path);
            findings.push(Finding::new(
                CHECK,
                place,
                "the conformance suite must not know our code",
            ));
        }
    }
}

fn pure(source: &Source, findings: &mut Vec<Finding>) {
    if !source.path.starts_with("protocol/src/") {
        return;
    }
    for (number, line) in (1..).zip(&source.lines).filter(|(_, line)| !line.test) {
        let code = without_comment(&line.text);
        for name in IMPURE.iter().filter(|name| code.contains(**name)) {
            let place = format!("{}:{number}", source.path);
            findings.push(Finding::new(
                CHECK,
                place,
                format!("{name} in a crate without clock, socket, disk or async"),
            ));
        }
    }
}

/// `folder` itself, a file of that name beside it, or something in it.
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// Whether a crate is named as a path: `quinn::Endpoint`, `use quinn;`.
fn uses(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + name.len()..];
        !before
            .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '"' | '-'))
            && (after.starts_with("::")
                || (code.trim_start().starts_with("use ") && after.starts_with(';')))
    })
}

fn without_comment(line: &str) -> &str {
    match line.find("//") {
        // `https://` is no comment.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_named_by_a_path() {
        assert!(uses("use quinn::Endpoint;", "quinn"));
        assert!(uses("    let x = quinn::VarInt::MAX;", "quinn"));
        assert!(!uses("use quinn_proto::Endpoint;", "quinn"));
        assert!(!uses("let quinn = 1;", "quinn"));
        assert!(!uses(without_comment("// quinn::Endpoint"), "quinn"));
    }
}
