//! Explains protobuf bytes field by field, by the names of `spec/proto`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

/// A field of a message, as the schema names it.
struct Field {
    name: String,
    /// The message in it, if any.
    message: Option<String>,
}

/// The messages of `spec/proto`.
pub(super) struct Annotator {
    messages: BTreeMap<String, BTreeMap<u64, Field>>,
}

/// `bytes` fields that hold an encoded message.
const NESTED: &[(&str, &str, &str)] = &[("Envelope", "header", "Header")];

const FILES: [&str; 7] = [
    "pli/v1/signed.proto",
    "pli/v1/envelope.proto",
    "pli/v1/content.proto",
    "pli/v1/account.proto",
    "pli/v1/session.proto",
    "pli/v1/custody.proto",
    "pli/v1/evidence.proto",
];

impl Annotator {
    pub(super) fn load(proto: &Path) -> Self {
        let set = protox::compile(FILES, [proto]).expect("the schema of the repository compiles");
        let mut messages = BTreeMap::new();
        for message in set.file.iter().flat_map(|file| &file.message_type) {
            let mut fields = BTreeMap::new();
            for field in &message.field {
                let inner = inner_message(message.name(), field.name(), field.type_name());
                let number = u64::from(field.number().unsigned_abs());
                fields.insert(
                    number,
                    Field {
                        name: field.name().to_owned(),
                        message: inner,
                    },
                );
            }
            messages.insert(message.name().to_owned(), fields);
        }
        Self { messages }
    }

    /// `{at, length, is}` for each field of `message`, nested ones too; `payload` is the message in a
    /// `Signed`.
    pub(super) fn message(&self, message: &str, payload: &str, bytes: &[u8]) -> Value {
        let mut parts = Vec::new();
        self.walk(message, payload, bytes, 0, "", &mut parts);
        Value::from(parts)
    }

    fn walk(
        &self,
        message: &str,
        payload: &str,
        bytes: &[u8],
        base: usize,
        path: &str,
        parts: &mut Vec<Value>,
    ) {
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            let Some((number, wire_type, value, next)) = element(bytes, at) else {
                parts.push(part(
                    base + start,
                    bytes.len() - start,
                    format!("{path}not protobuf"),
                ));
                return;
            };
            at = next;
            let field = self
                .messages
                .get(message)
                .and_then(|fields| fields.get(&number));
            let name = field.map_or_else(|| format!("field {number}"), |field| field.name.clone());
            let says = match wire_type {
                0 => format!(
                    "{path}{name} = {}",
                    varint(&bytes[value.clone()]).unwrap_or(0)
                ),
                _ => format!("{path}{name}, {} bytes", value.len()),
            };
            parts.push(part(base + start, next - start, says));
            let inner = match field.and_then(|field| field.message.as_deref()) {
                None if message == "Signed" && name == "payload" => Some(payload),
                inner => inner,
            };
            if let Some(inner) = inner.filter(|inner| wire_type == 2 && !inner.is_empty()) {
                let path = format!("{path}{name}.");
                self.walk(
                    inner,
                    "",
                    &bytes[value.clone()],
                    base + value.start,
                    &path,
                    parts,
                );
            }
        }
    }
}

/// What to walk into: a message, or bytes that hold one. An enum is a varint and is never walked into.
fn inner_message(message: &str, field: &str, type_name: &str) -> Option<String> {
    let nested = NESTED.iter().find(|(m, f, _)| *m == message && *f == field);
    match (type_name.rsplit('.').next(), nested) {
        (_, Some((_, _, inner))) => Some((*inner).to_owned()),
        (None | Some(""), None) => None,
        (Some(name), None) => Some(name.to_owned()),
    }
}

/// Number, wire type, where the value is, where the next element begins.
fn element(bytes: &[u8], at: usize) -> Option<(u64, u64, std::ops::Range<usize>, usize)> {
    let tag_len = varint_len(&bytes[at..])?;
    let tag = varint(&bytes[at..at + tag_len])?;
    let value = at + tag_len;
    let end = match tag & 7 {
        0 => value + varint_len(&bytes[value..])?,
        1 => value + 8,
        5 => value + 4,
        2 => {
            let len_len = varint_len(&bytes[value..])?;
            let length = usize::try_from(varint(&bytes[value..value + len_len])?).ok()?;
            let start = value + len_len;
            let end = start.checked_add(length)?;
            return (end <= bytes.len()).then_some((tag >> 3, 2, start..end, end));
        }
        _ => return None,
    };
    (end <= bytes.len()).then_some((tag >> 3, tag & 7, value..end, end))
}

fn varint_len(bytes: &[u8]) -> Option<usize> {
    bytes
        .iter()
        .take(10)
        .position(|byte| byte & 0x80 == 0)
        .map(|last| last + 1)
}

fn varint(bytes: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
    }
    Some(value)
}

fn part(at: usize, length: usize, is: String) -> Value {
    json!({ "at": at, "length": length, "is": is })
}
