//! [`Content`] → JSON, in the form that [`from_json`](super::from_json) reads.

use pli_protocol::content::{
    AppointmentStatus, Content, Kind, Notice, Procedure, ProcedureStatus, Text,
};
use pli_protocol::id::{Timestamp, to_hex};
use serde_json::{Map, Value, json};

/// A content as JSON.
pub fn to_json(content: &Content) -> Value {
    match &content.kind {
        Kind::Notice(value) => json!({ "notice": notice(value) }),
        Kind::Procedure(value) => json!({ "procedure": procedure(value) }),
        Kind::Appointment(value) => {
            let mut object = Map::new();
            object.insert("id".into(), value.id.as_str().into());
            let status = match value.status {
                AppointmentStatus::Planned => "planned",
                AppointmentStatus::Moved => "moved",
                AppointmentStatus::Cancelled => "cancelled",
                AppointmentStatus::Past => "past",
            };
            object.insert("status".into(), status.into());
            object.insert("starts".into(), time(value.starts).into());
            put(&mut object, "ends", value.ends.map(time));
            put(&mut object, "place", value.place.as_ref().map(text));
            object.insert("notice".into(), notice(&value.notice));
            json!({ "appointment": object })
        }
        Kind::Document(value) => json!({ "document": {
            "notice": notice(&value.notice),
            "file_name": value.file_name.as_str(),
            "media_type": value.media_type.as_str(),
            "size_bytes": value.size_bytes,
            "chunks": value.chunks.iter().map(|chunk| to_hex(chunk)).collect::<Vec<_>>(),
            "content_key": to_hex(&value.content_key),
        }}),
        Kind::ConsentRequest(value) => json!({ "consent_request": {
            "request_id": to_hex(&value.request_id),
            "requester": value.requester.as_str(),
            "data": text(&value.data),
            "purpose": text(&value.purpose),
            "legal_basis": value.legal_basis.as_str(),
            "until": time(value.until),
            "notice": notice(&value.notice),
        }}),
        Kind::AccessNotice(value) => json!({ "access_notice": {
            "accessor": value.accessor.as_str(),
            "data": text(&value.data),
            "purpose": text(&value.purpose),
            "legal_basis": value.legal_basis.as_str(),
            "accessed": time(value.accessed),
            "notice": notice(&value.notice),
        }}),
        Kind::Question(value) => json!({ "question": {
            "question_id": to_hex(&value.question_id),
            "notice": notice(&value.notice),
            "choices": value.choices.iter().map(text).collect::<Vec<_>>(),
            "free_answer": value.free_answer,
        }}),
    }
}

/// ISO 8601, UTC, with milliseconds where there are any.
pub fn time(at: Timestamp) -> String {
    let ms = i64::try_from(at.as_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms)
        .unwrap_or(jiff::Timestamp::MAX)
        .to_string()
}

fn procedure(value: &Procedure) -> Value {
    let mut object = Map::new();
    object.insert("type".into(), value.kind.as_str().into());
    object.insert("id".into(), value.id.as_str().into());
    let status = match value.status {
        ProcedureStatus::New => "new",
        ProcedureStatus::InProgress => "wip",
        ProcedureStatus::Closed => "closed",
    };
    object.insert("status".into(), status.into());
    object.insert("status_label".into(), text(&value.status_label));
    object.insert("event".into(), time(value.event).into());
    object.insert("notice".into(), notice(&value.notice));
    let parent = value.parent.as_ref().map(|parent| {
        json!({
            "partner": parent.partner.as_str(),
            "type": parent.kind.as_str(),
            "id": parent.id.as_str(),
        })
    });
    put(&mut object, "parent", parent);
    put(
        &mut object,
        "milestone_start",
        value.milestone_start.map(time),
    );
    put(&mut object, "milestone_end", value.milestone_end.map(time));
    put(
        &mut object,
        "channel",
        value.channel.as_ref().map(|line| line.as_str()),
    );
    object.into()
}

fn notice(value: &Notice) -> Value {
    let mut object = Map::new();
    object.insert("title".into(), text(&value.title));
    object.insert("body".into(), text(&value.body));
    put(
        &mut object,
        "private_body",
        value.private_body.as_ref().map(text),
    );
    let link = value.link.as_ref().map(|link| {
        let mut object = Map::new();
        object.insert("url".into(), link.url.as_str().into());
        put(&mut object, "label", link.label.as_ref().map(text));
        Value::from(object)
    });
    put(&mut object, "link", link);
    put(&mut object, "valid_until", value.valid_until.map(time));
    put(
        &mut object,
        "subheading",
        value.subheading.as_ref().map(text),
    );
    put(
        &mut object,
        "icon",
        value.icon.as_ref().map(|line| line.as_str()),
    );
    object.into()
}

fn text(text: &Text) -> Value {
    let languages = text.translations();
    languages
        .map(|(language, text)| (language.as_str().to_owned(), Value::from(text)))
        .collect::<Map<_, _>>()
        .into()
}

fn put(object: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.into(), value.into());
    }
}
