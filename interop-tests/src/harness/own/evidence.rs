//! Events and logs.

use serde_json::{Value, json};

use super::Outcome;
use super::input::Input;
use crate::validator::evidence::{self, Entry, Event};
use crate::validator::log::{self, Noted};

pub(super) fn event(input: &Input<'_>) -> Outcome {
    Ok(fields(&Event::check(&input.bytes("event")?)?))
}

fn fields(event: &Event) -> Value {
    json!({
        "event": event.kind,
        "node": event.node,
        "envelope_id": hex::encode(&event.envelope_id),
        "at_ms": event.at_ms,
        "code": event.code,
        "leaf": hex::encode(event.leaf),
    })
}

pub(super) fn entry(input: &Input<'_>) -> Outcome {
    let entry = Entry::check(&input.bytes("entry")?)?;
    Ok(json!({
        "at_ms": entry.at_ms,
        "size": entry.size,
        "root": hex::encode(entry.root),
        "leaf": hex::encode(entry.leaf()),
    }))
}

pub(super) fn checkpoint(input: &Input<'_>) -> Outcome {
    let noted = Noted::check(input.text("note")?)?;
    noted.signed_by(&input.key("key")?)?;
    let root = hex::encode(noted.root);
    Ok(json!({ "origin": noted.origin, "size": noted.size, "root": root }))
}

pub(super) fn cosignature(input: &Input<'_>) -> Outcome {
    let noted = Noted::check(input.text("note")?)?;
    let at = noted.cosigned_by(input.text("witness")?, &input.key("key")?)?;
    Ok(json!({ "at_ms": at }))
}

pub(super) fn consistency(input: &Input<'_>) -> Outcome {
    let old = (input.number("old_size")?, input.array("old_root")?);
    let new = (input.number("new_size")?, input.array("new_root")?);
    log::consistency(old, new, &input.hashes("path")?)?;
    Ok(json!({}))
}

pub(super) fn proof(input: &Input<'_>) -> Outcome {
    let (proof, key) = (input.bytes("proof")?, input.key("key")?);
    let proven = evidence::proof(&proof, input.text("note")?, &key)?;
    let mut said = fields(&proven.event);
    said["logged_ms"] = proven.logged_ms.into();
    said["index"] = proven.index.into();
    said["origin"] = proven.noted.origin.into();
    said["size"] = proven.noted.size.into();
    Ok(said)
}

pub(super) fn submission(input: &Input<'_>) -> Outcome {
    let (old, path, noted) = log::submission(input.text("body")?)?;
    let path: Vec<String> = path.iter().map(hex::encode).collect();
    let (origin, size) = (noted.origin, noted.size);
    Ok(json!({ "old_size": old, "path": path, "origin": origin, "size": size }))
}

pub(super) fn split_view(input: &Input<'_>) -> Outcome {
    let (noted, text) = log::split_view(input.text("text")?, &input.key("key")?)?;
    Ok(json!({ "origin": noted.origin, "size": noted.size, "text": text }))
}
