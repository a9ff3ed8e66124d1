//! Headers: ENV-4.

use bytes::Bytes;
use pli_protocol::limits::{
    ENVELOPE_LIFETIME_MAX_MS, EXTENSION_VALUE_MAX, EXTENSIONS_MAX, INTEGER_MAX,
};
use pli_protocol::{codec, wire};
use serde_json::{Value, json};

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{DAY_MS, MAILBOX, NOW_MS, SERVICE, header_wire, hex};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new("headers", "L0", "The outside of an envelope");
    let ask = |id, title, requirements, header: &wire::Header| Ask {
        id,
        title,
        requirements,
        op: "header.check",
        input: json!({ "header": hex(codec::encode(header)) }),
    };
    let mut base = ("", wire::Header::default());
    for (id, title, requirements, bend, answer) in CASES {
        let mut header = match answer {
            Answer::Ok(_) => header_wire(),
            Answer::Refused(_) => base.1.clone(),
        };
        bend(&mut header);
        match answer {
            Answer::Ok(expect) => {
                file.accepts(ask(id, title, requirements, &header), expect());
                base = (id, header.clone());
            }
            Answer::Refused(code) => {
                file.refuses(ask(id, title, requirements, &header), base.0, code);
            }
        }
        file.annotate(
            "header",
            annotator.message("Header", "", &codec::encode(&header)),
        );
    }
    file
}

enum Answer {
    Ok(fn() -> Value),
    Refused(&'static str),
}
use Answer::{Ok, Refused};

type Bend = fn(&mut wire::Header);
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    Bend,
    Answer,
);

/// Each refused case is the accepted one above it, bent.
#[rustfmt::skip]
const CASES: &[Row] = &[
    ("message", "a service writes to a mailbox", &["ENV-4.1", "ENV-4.2", "ENV-4.3"], |_| {}, Ok(plain)),
    ("version-0", "no version", &["ENV-4.2"], |h| h.version = 0, Refused("UNSUPPORTED_VERSION")),
    ("version-2", "a version of the future", &["ENV-4.2"], |h| h.version = 2, Refused("UNSUPPORTED_VERSION")),
    ("version-first", "a version of the future, and nothing else is right", &["ENV-4.2"], |h| *h = wire::Header { version: 2, ..wire::Header::default() }, Refused("UNSUPPORTED_VERSION")),
    ("no-sender", "no sender", &["ENV-4.3"], |h| h.sender = None, Refused("FIELD_MISSING")),
    ("no-recipient", "no recipient", &["ENV-4.3"], |h| h.recipient = None, Refused("FIELD_MISSING")),
    ("no-created", "no time of creation", &["ENV-4.3"], |h| h.created_ms = 0, Refused("FIELD_MISSING")),
    ("no-expiry", "no expiry", &["ENV-4.3"], |h| h.expires_ms = 0, Refused("FIELD_MISSING")),
    ("no-class", "no class", &["ENV-4.3"], |h| h.class = 0, Refused("FIELD_MISSING")),
    ("no-urgency", "no urgency", &["ENV-4.3"], |h| h.urgency = 0, Refused("FIELD_MISSING")),
    ("no-importance", "no importance", &["ENV-4.3"], |h| h.importance = 0, Refused("FIELD_MISSING")),
    ("class-5", "an unknown class", &["ENV-4.3"], |h| h.class = 5, Refused("FIELD_INVALID")),
    ("urgency-negative", "a negative urgency", &["ENV-4.3"], |h| h.urgency = -1, Refused("FIELD_INVALID")),
    ("importance-99", "an unknown importance", &["ENV-4.3"], |h| h.importance = 99, Refused("FIELD_INVALID")),
    ("sender-name", "a sender outside of the grammar", &["ENV-2.2", "ENV-4.4"], |h| h.sender = Some(wire::header::Sender::Service("RDV@interieur.gouv.fr".into())), Refused("FIELD_INVALID")),
    ("home-name", "a home outside of the grammar", &["ENV-2.1", "ENV-4.4"], |h| recipient(h).home = "sociаl.gouv.fr".into(), Refused("FIELD_INVALID")),
    ("mailbox-15", "a mailbox of 15 bytes", &["ENV-2.4", "ENV-4.4"], |h| recipient(h).mailbox.truncate(15), Refused("FIELD_INVALID")),
    ("mailbox-none", "no mailbox", &["ENV-2.4", "ENV-4.4"], |h| recipient(h).mailbox.clear(), Refused("FIELD_INVALID")),
    ("created-2-53", "a creation at 2^53", &["ENV-4.3"], |h| h.created_ms = INTEGER_MAX + 1, Refused("FIELD_INVALID")),
    ("expires-2-63", "an expiry at 2^63", &["ENV-4.3"], |h| h.expires_ms = 1 << 63, Refused("FIELD_INVALID")),
    ("expires-max", "an expiry at 2^64 - 1", &["ENV-4.3"], |h| h.expires_ms = u64::MAX, Refused("FIELD_INVALID")),
    ("no-lifetime", "expires when it is created", &["ENV-4.5"], |h| h.expires_ms = h.created_ms, Refused("FIELD_INVALID")),
    ("negative-lifetime", "expires before it is created", &["ENV-4.5"], |h| h.expires_ms = h.created_ms - 1, Refused("FIELD_INVALID")),
    ("lifetime-400", "expires after exactly 400 days", &["ENV-4.5"], |h| h.expires_ms = h.created_ms + ENVELOPE_LIFETIME_MAX_MS, Ok(|| with("expires_ms", json!(NOW_MS + ENVELOPE_LIFETIME_MAX_MS)))),
    ("lifetime-over", "a millisecond more", &["ENV-4.5"], |h| h.expires_ms += 1, Refused("LIFETIME_TOO_LONG")),
    ("lifetime-long", "a lifetime up to 2^53 - 1", &["ENV-4.5"], |h| h.expires_ms = INTEGER_MAX, Refused("LIFETIME_TOO_LONG")),
    ("reply", "a citizen answers", &["ENV-4.3"], reply, Ok(|| { let mut ok = with("sender", json!(MAILBOX)); ok["class"] = json!("reply"); ok })),
    ("reply-mailbox", "a reply mailbox of 17 bytes", &["ENV-2.4", "ENV-4.4"], |h| h.sender = Some(wire::header::Sender::ReplyMailbox(wire::MailboxAddress { mailbox: vec![1; 17].into(), home: "social.gouv.fr".into() })), Refused("FIELD_INVALID")),
    ("alert", "class, urgency and importance at their ends", &["ENV-4.3"], |h| (h.class, h.urgency, h.importance) = (3, 4, 3), Ok(|| { let mut ok = with("class", json!("alert")); ok["urgency"] = json!("high"); ok["importance"] = json!("legal"); ok })),
    ("alert-urgency-5", "urgency over its end", &["ENV-4.3"], |h| h.urgency = 5, Refused("FIELD_INVALID")),
    ("supersedes", "replaces an earlier one", &["ENV-2.4", "ENV-4.3"], |h| h.supersedes = vec![9; 16].into(), Ok(|| with("supersedes", hex([9; 16])))),
    ("supersedes-15", "a key of 15 bytes", &["ENV-2.4", "ENV-4.3"], |h| h.supersedes.truncate(15), Refused("FIELD_INVALID")),
    ("supersedes-17", "a key of 17 bytes", &["ENV-2.4", "ENV-4.3"], |h| h.supersedes = vec![9; 17].into(), Refused("FIELD_INVALID")),
    ("extension", "an unknown extension that is not critical", &["ENV-4.8", "SIG-6.3"], |h| h.extensions = vec![extension(7, 3)], Ok(plain)),
    ("extension-critical", "the same, critical", &["ENV-4.9", "SIG-6.2"], |h| h.extensions[0].critical = true, Refused("UNKNOWN_CRITICAL_EXTENSION")),
    ("extension-twice", "the same id twice", &["ENV-4.8", "SIG-6.1"], |h| h.extensions.push(extension(7, 3)), Refused("NOT_CANONICAL")),
    ("extension-descending", "descending ids", &["ENV-4.8", "SIG-6.1"], |h| h.extensions.push(extension(6, 3)), Refused("NOT_CANONICAL")),
    ("extensions-full", "as many as may be, as long as may be", &["ENV-4.1", "ENV-4.8", "SIG-6.1"], |h| h.extensions = (1..).take(EXTENSIONS_MAX).map(|id| extension(id, EXTENSION_VALUE_MAX)).collect(), Ok(plain)),
    ("extensions-over", "one more", &["ENV-4.8", "SIG-6.1"], |h| h.extensions.push(extension(99, 1)), Refused("TOO_MANY")),
    ("extension-long", "a value of 257 bytes", &["ENV-4.8", "SIG-6.1"], |h| h.extensions[0] = extension(1, EXTENSION_VALUE_MAX + 1), Refused("TOO_LONG")),
];

fn recipient(header: &mut wire::Header) -> &mut wire::MailboxAddress {
    header
        .recipient
        .as_mut()
        .expect("the sample has a recipient")
}

fn reply(header: &mut wire::Header) {
    header.sender = header
        .recipient
        .clone()
        .map(wire::header::Sender::ReplyMailbox);
    header.class = 2;
}

fn extension(id: u32, length: usize) -> wire::Extension {
    wire::Extension {
        id,
        critical: false,
        value: Bytes::from(vec![0xe0; length]),
    }
}

fn plain() -> Value {
    json!({
        "sender": SERVICE, "recipient": MAILBOX, "created_ms": NOW_MS, "expires_ms": NOW_MS + 30 * DAY_MS,
        "class": "message", "urgency": "normal", "importance": "action", "supersedes": null,
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut ok = plain();
    ok[member] = value;
    ok
}
