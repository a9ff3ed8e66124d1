//! Headers, envelopes and contents.

use pli_protocol::content::{Content, Kind};
use pli_protocol::crypto::sign::PublicKey;
use pli_protocol::envelope::{Class, Header, Importance, Letter, Urgency};
use serde_json::Value;

use super::fault::Fault;
use super::input::{Input, hexadecimal};
use super::{Output, output};

pub(super) fn header_check(input: &Input) -> Result<Output, Fault> {
    Ok(describe(&Header::decode(&input.bytes("header")?)?))
}

/// Everything but the directory: the key is the one that it would give (ENV-5, last paragraph).
pub(super) fn check(input: &Input) -> Result<Output, Fault> {
    let letter = Letter::decode(input.bytes("signed")?)?;
    letter.header().check_time(input.time("now_ms")?)?;
    letter
        .signed()
        .verify(&PublicKey::from_bytes(&input.bytes("key")?)?)?;
    let mut output = describe(letter.header());
    output.insert("envelope_id".into(), hexadecimal(letter.id().as_bytes()));
    Ok(output)
}

pub(super) fn content_check(input: &Input) -> Result<Output, Fault> {
    let content = Content::decode(&input.bytes("content")?)?;
    let kind = match content.kind {
        Kind::Notice(_) => "notice",
        Kind::Procedure(_) => "procedure",
        Kind::Appointment(_) => "appointment",
        Kind::Document(_) => "document",
        Kind::ConsentRequest(_) => "consent_request",
        Kind::AccessNotice(_) => "access_notice",
        Kind::Question(_) => "question",
    };
    Ok(output([("kind", Value::from(kind))]))
}

fn describe(header: &Header) -> Output {
    output([
        ("sender", Value::from(header.sender.to_string())),
        ("recipient", Value::from(header.recipient.to_string())),
        ("created_ms", Value::from(header.created.as_ms())),
        ("expires_ms", Value::from(header.expires.as_ms())),
        ("class", Value::from(class_name(header.class))),
        ("urgency", Value::from(urgency_name(header.urgency))),
        (
            "importance",
            Value::from(importance_name(header.importance)),
        ),
        (
            "supersedes",
            header
                .supersedes
                .map_or(Value::Null, |key| hexadecimal(&key)),
        ),
    ])
}

pub(super) const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Message => "message",
        Class::Reply => "reply",
        Class::Alert => "alert",
        Class::Control => "control",
    }
}

const fn urgency_name(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::VeryLow => "very_low",
        Urgency::Low => "low",
        Urgency::Normal => "normal",
        Urgency::High => "high",
    }
}

const fn importance_name(importance: Importance) -> &'static str {
    match importance {
        Importance::Information => "information",
        Importance::Action => "action",
        Importance::Legal => "legal",
    }
}

pub(super) fn class_named(name: &str) -> Result<Class, Fault> {
    [Class::Message, Class::Reply, Class::Alert, Class::Control]
        .into_iter()
        .find(|class| class_name(*class) == name)
        .ok_or_else(|| Fault::Request(format!("class: {name} is not a class")))
}

pub(super) fn importance_named(name: &str) -> Result<Importance, Fault> {
    [
        Importance::Information,
        Importance::Action,
        Importance::Legal,
    ]
    .into_iter()
    .find(|importance| importance_name(*importance) == name)
    .ok_or_else(|| Fault::Request(format!("importance: {name} is not an importance")))
}
