//! Each code and each limit of the registry is used by the code; a row that nothing uses promises
//! what nobody keeps.

use std::fs;
use std::path::Path;

use super::{Finding, Source};

const CHECK: &str = "registry";
const MIRRORS: [&str; 2] = ["protocol/src/code.rs", "protocol/src/limits.rs"];

/// Rows that no code of ours needs, and why.
const UNUSED: &[(&str, &str)] = &[
    (
        "NESTING_MAX",
        "prost's own recursion limit; the vectors show it",
    ),
    ("MAILBOX_LEN", "the type MailboxId has that many bytes"),
    (
        "DOMAIN_LABELS_MIN",
        "an authority id without a dot is refused",
    ),
    (
        "MAILBOX_CLOSED",
        "closing a mailbox comes with the account's preferences",
    ),
    (
        "TOO_MANY_CALLS",
        "QUIC and yamux make the dialler wait; for servers that cannot (SES-5.2)",
    ),
];

pub(super) fn check(root: &Path, sources: &[Source], findings: &mut Vec<Finding>) {
    let rows = |file: &str, table: &str| -> Vec<String> {
        let path = root.join("spec/registry").join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let table_of_rows: toml::Table = text.parse().unwrap_or_else(|e| panic!("{file}: {e}"));
        let rows = table_of_rows[table].as_array().expect("a list of rows");
        rows.iter()
            .filter_map(|row| row["name"].as_str().map(str::to_owned))
            .collect()
    };
    let used = |word: &str| {
        let sources = sources
            .iter()
            .filter(|source| !MIRRORS.contains(&source.path.as_str()));
        let mut lines = sources
            .flat_map(|source| &source.lines)
            .filter(|line| !line.test);
        lines.any(|line| has_word(&line.text, word))
    };
    for name in rows("limits.toml", "limit") {
        if !used(&name) && !UNUSED.iter().any(|(unused, _)| *unused == name) {
            findings.push(Finding::new(
                CHECK,
                "limits.toml",
                format!("nothing uses {name}"),
            ));
        }
    }
    for name in rows("codes.toml", "code") {
        let variant: String = name.split('_').map(capitalized).collect();
        if !used(&variant) && !UNUSED.iter().any(|(unused, _)| *unused == name) {
            findings.push(Finding::new(
                CHECK,
                "codes.toml",
                format!("nothing gives {name}"),
            ));
        }
    }
}

fn capitalized(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    lower[..1].to_ascii_uppercase() + &lower[1..]
}

fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(part)
            && !line[at + word.len()..].chars().next().is_some_and(part)
    })
}
