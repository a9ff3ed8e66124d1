//! Receipts, acknowledgements, hand-overs.

use pli_protocol::codec;
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::custody::ack::{Acknowledged, Issuer};
use pli_protocol::custody::{Receipt, Step, handover};
use pli_protocol::id::EnvelopeId;
use pli_protocol::{limits, wire};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

pub(super) fn receipt_check(input: &Input) -> Result<Output, Fault> {
    let key = PublicKey::from_bytes(&input.bytes("key")?)?;
    let receipt = Receipt::verify(input.bytes("signed")?, &key)?;
    let (step, code) = match receipt.step {
        Step::Accepted => ("accepted", None),
        Step::Stored => ("stored", None),
        Step::Retrieved => ("retrieved", None),
        Step::Undeliverable(code) => ("undeliverable", Some(code)),
        Step::Refused(code) => ("refused", Some(code)),
    };
    Ok(output([
        ("step", Value::from(step)),
        ("node", Value::from(receipt.node.to_string())),
        ("envelope_id", hexadecimal(receipt.envelope.as_bytes())),
        ("at_ms", Value::from(receipt.at.as_ms())),
        (
            "code",
            code.map_or(Value::Null, |code| Value::from(code.name())),
        ),
    ]))
}

pub(super) fn ack_check(input: &Input) -> Result<Output, Fault> {
    let ack: wire::AckBatch = codec::decode_canonical(&input.bytes("ack")?, limits::FRAME_MAX)?;
    let step = match input.text("step")? {
        "accepted" => Step::Accepted,
        "stored" => Step::Stored,
        other => {
            return Err(Fault::Request(format!(
                "step: {other} is not an acknowledgement"
            )));
        }
    };
    let issuer = Issuer {
        node: input.name("node")?,
        step,
    };
    let ids: Vec<EnvelopeId> = input
        .exact_list("envelope_ids")?
        .into_iter()
        .map(EnvelopeId::new)
        .collect();
    let key = PublicKey::from_bytes(&input.bytes("key")?)?;
    let acknowledged = Acknowledged::verify(&ack, &issuer, &ids, &key)?;
    let receipts: Vec<Value> = (0..ids.len())
        .map(|index| hexadecimal(&acknowledged.receipt(index)))
        .collect();
    Ok(output([("receipts", Value::from(receipts))]))
}

pub(super) fn handover_check(input: &Input) -> Result<Output, Fault> {
    let handover: wire::Handover =
        codec::decode_canonical(&input.bytes("handover")?, limits::FRAME_MAX)?;
    let device = PublicKey::from_bytes(&input.bytes("key")?)?;
    let ids = handover::verify(&handover, &device)?;
    let ids: Vec<Value> = ids.iter().map(|id| hexadecimal(id.as_bytes())).collect();
    Ok(output([("envelope_ids", Value::from(ids))]))
}
