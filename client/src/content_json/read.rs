//! JSON → [`Content`]. The protocol's own check has the last word.

use std::collections::BTreeMap;

use bytes::Bytes;
use pli_protocol::content::{Content, ContentError, VERSION};
use pli_protocol::id::from_hex;
use pli_protocol::limits;
use pli_protocol::wire;
use serde::Deserialize;
use serde_json::Value;

use crate::service::draft::is_blank;

/// Why a JSON value is not a content.
#[derive(Debug, thiserror::Error)]
pub enum ContentJsonError {
    /// The JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A time or a hexadecimal text.
    #[error("{field}: {problem}")]
    Field {
        field: &'static str,
        problem: &'static str,
    },
    /// What it says.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// Reads and checks a content.
pub fn from_json(value: Value) -> Result<Content, ContentJsonError> {
    let kind = serde_json::from_value::<Kind>(value)?.into_wire()?;
    let content = wire::Content {
        version: VERSION,
        kind: Some(kind),
        extensions: Vec::new(),
    };
    Ok(Content::from_wire(content)?)
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Notice(Notice),
    Procedure(Procedure),
    Appointment(Appointment),
    Document(Document),
    ConsentRequest(ConsentRequest),
    AccessNotice(AccessNotice),
    Question(Question),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    French(String),
    Languages(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    url: String,
    label: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Notice {
    title: Text,
    body: Text,
    private_body: Option<Text>,
    link: Option<Link>,
    valid_until: Option<String>,
    subheading: Option<Text>,
    icon: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Procedure {
    r#type: String,
    id: String,
    status: ProcedureStatus,
    status_label: Text,
    event: String,
    notice: Notice,
    parent: Option<Reference>,
    milestone_start: Option<String>,
    milestone_end: Option<String>,
    channel: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProcedureStatus {
    New,
    Wip,
    Closed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    partner: String,
    r#type: String,
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Appointment {
    id: String,
    status: AppointmentStatus,
    starts: String,
    ends: Option<String>,
    place: Option<Text>,
    notice: Notice,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum AppointmentStatus {
    Planned,
    Moved,
    Cancelled,
    Past,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    notice: Notice,
    file_name: String,
    media_type: String,
    size_bytes: u64,
    chunks: Vec<String>,
    content_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentRequest {
    request_id: String,
    requester: String,
    data: Text,
    purpose: Text,
    legal_basis: String,
    until: String,
    notice: Notice,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccessNotice {
    accessor: String,
    data: Text,
    purpose: Text,
    legal_basis: String,
    accessed: String,
    notice: Notice,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    question_id: String,
    notice: Notice,
    #[serde(default)]
    choices: Vec<Text>,
    #[serde(default)]
    free_answer: bool,
}

type Read<T> = Result<T, ContentJsonError>;

impl Kind {
    fn into_wire(self) -> Read<wire::content::Kind> {
        use wire::content::Kind as Wire;
        Ok(match self {
            Self::Notice(notice) => Wire::Notice(notice.into_wire()?),
            Self::Procedure(procedure) => Wire::Procedure(procedure.into_wire()?),
            Self::Appointment(appointment) => Wire::Appointment(appointment.into_wire()?),
            Self::Document(document) => Wire::Document(document.into_wire()?),
            Self::ConsentRequest(request) => Wire::ConsentRequest(wire::ConsentRequest {
                request_id: hex::<REQUEST_ID_LEN>(&request.request_id, "request_id")?,
                requester: request.requester,
                data: Some(request.data.into_wire()),
                purpose: Some(request.purpose.into_wire()),
                legal_basis: request.legal_basis,
                until_ms: ms(&request.until, "until")?,
                notice: Some(request.notice.into_wire()?),
            }),
            Self::AccessNotice(access) => Wire::AccessNotice(wire::AccessNotice {
                accessor: access.accessor,
                data: Some(access.data.into_wire()),
                purpose: Some(access.purpose.into_wire()),
                legal_basis: access.legal_basis,
                accessed_ms: ms(&access.accessed, "accessed")?,
                notice: Some(access.notice.into_wire()?),
            }),
            Self::Question(question) => Wire::Question(wire::Question {
                question_id: hex::<REQUEST_ID_LEN>(&question.question_id, "question_id")?,
                notice: Some(question.notice.into_wire()?),
                choices: question.choices.into_iter().map(Text::into_wire).collect(),
                free_answer: question.free_answer,
            }),
        })
    }
}

impl Text {
    /// In one of its languages.
    fn is_blank(&self) -> bool {
        match self {
            Self::French(text) => is_blank(text),
            Self::Languages(languages) => languages.values().any(|text| is_blank(text)),
        }
    }

    fn into_wire(self) -> wire::Text {
        let languages = match self {
            Self::French(text) => BTreeMap::from([("fr".to_owned(), text)]),
            Self::Languages(languages) => languages,
        };
        let translation = |(language, text)| wire::Translation { language, text };
        wire::Text {
            translations: languages.into_iter().map(translation).collect(),
        }
    }
}

impl Notice {
    fn into_wire(self) -> Read<wire::Notice> {
        for (field, text) in [("notice.title", &self.title), ("notice.body", &self.body)] {
            if text.is_blank() {
                let problem = "is empty; expected a text that can be read";
                return Err(ContentJsonError::Field { field, problem });
            }
        }
        Ok(wire::Notice {
            title: Some(self.title.into_wire()),
            body: Some(self.body.into_wire()),
            private_body: self.private_body.map(Text::into_wire),
            link: self.link.map(|link| wire::Link {
                url: link.url,
                label: link.label.map(Text::into_wire),
            }),
            valid_until_ms: optional_ms(self.valid_until.as_deref(), "valid_until")?,
            subheading: self.subheading.map(Text::into_wire),
            icon: self.icon.unwrap_or_default(),
        })
    }
}

impl Procedure {
    fn into_wire(self) -> Read<wire::Procedure> {
        let status = match self.status {
            ProcedureStatus::New => wire::ProcedureStatus::New,
            ProcedureStatus::Wip => wire::ProcedureStatus::Wip,
            ProcedureStatus::Closed => wire::ProcedureStatus::Closed,
        };
        Ok(wire::Procedure {
            r#type: self.r#type,
            id: self.id,
            status: status.into(),
            status_label: Some(self.status_label.into_wire()),
            event_ms: ms(&self.event, "event")?,
            notice: Some(self.notice.into_wire()?),
            parent: self.parent.map(|parent| wire::ProcedureReference {
                partner: parent.partner,
                r#type: parent.r#type,
                id: parent.id,
            }),
            milestone_start_ms: optional_ms(self.milestone_start.as_deref(), "milestone_start")?,
            milestone_end_ms: optional_ms(self.milestone_end.as_deref(), "milestone_end")?,
            channel: self.channel.unwrap_or_default(),
        })
    }
}

impl Appointment {
    fn into_wire(self) -> Read<wire::Appointment> {
        let status = match self.status {
            AppointmentStatus::Planned => wire::AppointmentStatus::Planned,
            AppointmentStatus::Moved => wire::AppointmentStatus::Moved,
            AppointmentStatus::Cancelled => wire::AppointmentStatus::Cancelled,
            AppointmentStatus::Past => wire::AppointmentStatus::Past,
        };
        Ok(wire::Appointment {
            id: self.id,
            status: status.into(),
            starts_ms: ms(&self.starts, "starts")?,
            ends_ms: optional_ms(self.ends.as_deref(), "ends")?,
            place: self.place.map(Text::into_wire),
            notice: Some(self.notice.into_wire()?),
        })
    }
}

impl Document {
    fn into_wire(self) -> Read<wire::Document> {
        let chunks = self
            .chunks
            .iter()
            .map(|chunk| hex::<{ limits::HASH_LEN }>(chunk, "chunks"));
        Ok(wire::Document {
            notice: Some(self.notice.into_wire()?),
            file_name: self.file_name,
            media_type: self.media_type,
            size_bytes: self.size_bytes,
            chunks: chunks.collect::<Result<_, _>>()?,
            content_key: hex::<{ limits::CONTENT_KEY_LEN }>(&self.content_key, "content_key")?,
        })
    }
}

const REQUEST_ID_LEN: usize = 16;

fn hex<const N: usize>(text: &str, field: &'static str) -> Read<Bytes> {
    match from_hex::<N>(text) {
        Ok(bytes) => Ok(Bytes::copy_from_slice(&bytes)),
        Err(_) => {
            let problem = "must be lower-case hexadecimal digits of the right number";
            Err(ContentJsonError::Field { field, problem })
        }
    }
}

fn ms(text: &str, field: &'static str) -> Read<u64> {
    let instant = text.parse::<jiff::Timestamp>().ok();
    let ms = instant.and_then(|instant| u64::try_from(instant.as_millisecond()).ok());
    ms.filter(|ms| *ms > 0).ok_or(ContentJsonError::Field {
        field,
        problem: "must be an ISO 8601 date and time after 1970 with an offset",
    })
}

fn optional_ms(text: Option<&str>, field: &'static str) -> Read<u64> {
    text.map_or(Ok(0), |text| ms(text, field))
}
