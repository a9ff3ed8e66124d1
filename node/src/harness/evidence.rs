//! Events, logs, cosignatures, split views.

use pli_protocol::code::Code;
use pli_protocol::codec;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::evidence::submission::AddCheckpoint;
use pli_protocol::evidence::tree::is_consistent;
use pli_protocol::evidence::{Checkpoint, Entry, Event, InLog, Noted, SplitView};
use pli_protocol::{limits, wire};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

pub(super) fn event_check(input: &Input) -> Result<Output, Fault> {
    let event = Event::decode(&input.bytes("event")?)?;
    let mut said = said(&event);
    said.extend(output([("leaf", hexadecimal(&event.leaf()))]));
    Ok(said)
}

pub(super) fn entry_check(input: &Input) -> Result<Output, Fault> {
    let entry = Entry::decode(&input.bytes("entry")?).ok_or(Fault::Refused(Code::FieldInvalid))?;
    Ok(output([
        ("at_ms", Value::from(entry.at.as_ms())),
        ("size", Value::from(entry.size)),
        ("root", hexadecimal(&entry.root)),
        ("leaf", hexadecimal(&entry.leaf())),
    ]))
}

pub(super) fn checkpoint_check(input: &Input) -> Result<Output, Fault> {
    let noted = Noted::parse(input.text("note")?)?;
    let checkpoint = noted.verify(&key(input)?)?;
    let mut head = head(checkpoint);
    head.extend(output([("root", hexadecimal(&checkpoint.root))]));
    Ok(head)
}

pub(super) fn cosignature_check(input: &Input) -> Result<Output, Fault> {
    let noted = Noted::parse(input.text("note")?)?;
    let (witness, key) = (input.name("witness")?, key(input)?);
    let found = noted.cosignatures(|named| {
        (*named == witness)
            .then_some(key)
            .into_iter()
            .collect::<Vec<_>>()
    });
    let cosignature = found.first().ok_or(Fault::Refused(Code::BadSignature))?;
    Ok(output([("at_ms", Value::from(cosignature.at.as_ms()))]))
}

pub(super) fn consistency_check(input: &Input) -> Result<Output, Fault> {
    let (old, new) = (input.exact("old_root")?, input.exact("new_root")?);
    let old = (input.number("old_size")?, &old);
    let new = (input.number("new_size")?, &new);
    match is_consistent(old, new, &input.exact_list("path")?) {
        true => Ok(Output::new()),
        false => Err(Fault::Refused(Code::BadInclusion)),
    }
}

pub(super) fn proof_check(input: &Input) -> Result<Output, Fault> {
    let proof: wire::EventProof =
        codec::decode_canonical(&input.bytes("proof")?, limits::FRAME_MAX)?;
    let in_log = InLog::follow(&proof, input.text("note")?)?;
    in_log.noted.verify(&key(input)?)?;
    let mut said = said(&in_log.event);
    said.extend(output([
        ("logged_ms", Value::from(in_log.logged.as_ms())),
        ("index", Value::from(in_log.index)),
    ]));
    said.extend(head(in_log.checkpoint()));
    Ok(said)
}

pub(super) fn split_view_check(input: &Input) -> Result<Output, Fault> {
    let view = SplitView::parse(input.text("text")?)?;
    let view = view
        .verify(&[key(input)?])
        .ok_or(Fault::Refused(Code::BadSignature))?;
    let mut said = head(view.checkpoints()[0].checkpoint());
    said.extend(output([("text", Value::from(view.encode()))]));
    Ok(said)
}

pub(super) fn submission_check(input: &Input) -> Result<Output, Fault> {
    let asked = AddCheckpoint::parse(input.text("body")?)
        .map_err(|_| Fault::Refused(Code::FieldInvalid))?;
    let path: Vec<Value> = asked.proof.iter().map(|hash| hexadecimal(hash)).collect();
    let mut said = head(asked.noted.checkpoint());
    said.extend(output([
        ("old_size", Value::from(asked.old)),
        ("path", Value::from(path)),
    ]));
    Ok(said)
}

fn key(input: &Input) -> Result<PublicKey, Fault> {
    Ok(PublicKey::from_bytes(&input.bytes("key")?)?)
}

fn said(event: &Event) -> Output {
    let code = event.kind.code();
    output([
        ("event", Value::from(event.kind.name())),
        ("node", Value::from(event.node.to_string())),
        ("envelope_id", hexadecimal(event.envelope.as_bytes())),
        ("at_ms", Value::from(event.at.as_ms())),
        (
            "code",
            code.map_or(Value::Null, |code| Value::from(code.name())),
        ),
    ])
}

fn head(checkpoint: &Checkpoint) -> Output {
    output([
        ("origin", Value::from(checkpoint.origin.to_string())),
        ("size", Value::from(checkpoint.size)),
    ])
}
