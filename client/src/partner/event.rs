//! One event of a partner, converted.

use std::fmt;

use pli_protocol::content::Content;
use pli_protocol::envelope::Urgency;
use serde_json::Value;

use super::content;
use super::fault::PartnerError;
use super::fields::Fields;
use super::identity::FcHash;

/// Which of the two bodies a partner sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// `PUT /api/v2/event`
    EventV2,
    /// `POST /api/v1/notifications`: `send_date` for `event_date`, `item_external_url` for
    /// `content_link`, and no parent.
    NotificationV1,
}

impl Format {
    /// The format that a body shows by the names of its fields.
    pub fn of(value: &Value) -> Self {
        let has = |field| value.get(field).is_some();
        let legacy = (has("send_date") || has("item_external_url")) && !has("event_date");
        if legacy {
            Self::NotificationV1
        } else {
            Self::EventV2
        }
    }

    pub(super) fn date_field(self) -> &'static str {
        match self {
            Self::EventV2 => "event_date",
            Self::NotificationV1 => "send_date",
        }
    }

    pub(super) fn link_field(self) -> &'static str {
        match self {
            Self::EventV2 => "content_link",
            Self::NotificationV1 => "item_external_url",
        }
    }
}

/// A partner's event, ready to be sealed.
#[derive(Clone, Debug, PartialEq)]
pub struct PartnerEvent {
    /// Whom the partner means; tells which contact it is for.
    pub recipient: FcHash,
    /// What to say.
    pub content: Content,
    /// Whether the partner wants a device to be woken.
    pub try_push: bool,
    /// What was changed on the way; for the partner's log.
    pub adjustments: Vec<Adjustment>,
}

impl PartnerEvent {
    /// RFC 8030: an event without push waits until the device asks.
    pub fn urgency(&self) -> Urgency {
        if self.try_push {
            Urgency::Normal
        } else {
            Urgency::VeryLow
        }
    }
}

/// A harmless change that the conversion made.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Adjustment {
    /// CRLF, tabs or blanks around a text.
    WhiteSpace { field: &'static str },
    /// `http` in a link became `https`: nothing a citizen is sent to may be altered on the way.
    LinkToHttps { field: &'static str },
    /// A field that no version of the API has.
    Ignored { field: String },
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WhiteSpace { field } => write!(f, "{field}: white space normalised"),
            Self::LinkToHttps { field } => write!(f, "{field}: http became https"),
            Self::Ignored { field } => write!(f, "{field}: not a field of the API, ignored"),
        }
    }
}

/// Converts the JSON body of a request.
pub fn convert(body: &[u8], format: Format) -> Result<PartnerEvent, PartnerError> {
    let value = serde_json::from_slice(body).map_err(|error| PartnerError::NotAnObject {
        reason: error.to_string(),
    })?;
    convert_value(value, format)
}

/// Converts a JSON value that was parsed before, such as a part of a line of NDJSON.
pub fn convert_value(value: Value, format: Format) -> Result<PartnerEvent, PartnerError> {
    let Value::Object(object) = value else {
        let reason = "it is another JSON value".to_owned();
        return Err(PartnerError::NotAnObject { reason });
    };
    let mut fields = Fields::new(object);
    let recipient = fields.required("recipient_fc_hash").and_then(|text| {
        text.parse::<FcHash>()
            .map_err(|error| fields.faults.add("recipient_fc_hash", error))
            .ok()
    });
    let kind = content::read(&mut fields, format);
    let try_push = fields.flag("try_push", true);
    let (recipient, kind) = match (recipient, kind) {
        (Some(recipient), Some(kind)) => (recipient, kind),
        _ => {
            let faults = fields.finish().expect_err("what is not read left a fault");
            return Err(faults.into());
        }
    };
    let content = Content::from(kind);
    // The last word is the protocol's: the same check that a device makes.
    if let Err(error) = content.encode() {
        fields.faults.add(content::partner_field(&error), error);
    }
    let adjustments = fields.finish()?;
    Ok(PartnerEvent {
        recipient,
        content,
        try_push,
        adjustments,
    })
}
