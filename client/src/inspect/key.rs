//! Keys as text: what a public key is called, and that a secret one is secret. Nothing of a secret is shown.

use pli_protocol::account::AccountSecrets;
use pli_protocol::crypto::sign::{PublicKey, SigningKey};

use super::Report;

/// `None` where the bytes are no key.
pub(super) fn inspect(bytes: &[u8]) -> Option<Report> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.trim_start().starts_with(SECRET) {
        let mut report = Report::of("secret key");
        report.field("warning", NEVER_SHARE);
        match SigningKey::from_secret_text(text) {
            Ok(key) => name(&mut report, "public half", key.public()),
            Err(error) => report.not_checked("form", error),
        }
        return Some(report);
    }
    if AccountSecrets::from_secret_text(text).is_ok() {
        let mut report = Report::of("account secrets");
        report.field("warning", OPEN_LETTERS);
        return Some(report);
    }
    if text.contains(PEM_SECRET) {
        let mut report = Report::of("secret key of another program (PEM)");
        report.field("warning", NEVER_SHARE);
        return Some(report);
    }
    let key = text.trim().parse().ok()?;
    let mut report = Report::of("public key");
    name(&mut report, "key", &key);
    Some(report)
}

/// Both names: the one that commands and files take, and the one that signed objects hold.
fn name(report: &mut Report, field: &'static str, key: &PublicKey) {
    report.field(field, key);
    report.field("key id", key.id());
}

const SECRET: &str = "pli-secret-";
const PEM_SECRET: &str = "PRIVATE KEY-----";
const NEVER_SHARE: &str = "this is a secret key: never share it. Whoever has it signs in the name of its owner; \
if somebody else has seen it, put another in its place";
const OPEN_LETTERS: &str = "these are the secrets of a citizen's account: never share them. Whoever has them opens \
its letters";
