//! Content: what is sealed inside an envelope and shown to a citizen.
//!
//! Bytes that were opened come in; a typed [`Content`] goes out, or the field that is at fault.
//! The other way round a content is checked by the same rules before it is sealed, so that no
//! sender makes what no device shows. Plain text only, bounded, in French or English at least;
//! a link is https and names its host. Spec: envelope.md, section 7; `content.proto`.
//!
//! ```text
//! Content
//! ├── Notice           words, maybe a link
//! ├── Procedure        one step of a démarche      ┐
//! ├── Appointment      where and when              │
//! ├── Document         an attachment               ├ each with a Notice to show
//! ├── ConsentRequest   may they use this data?     │
//! ├── AccessNotice     somebody read your data     │
//! └── Question         choices, or words           ┘
//! ```

use bytes::Bytes;

use crate::codec;
use crate::limits;
use crate::wire;

mod appointment;
mod document;
mod error;
pub mod extensions;
mod field;
mod link;
mod notice;
mod procedure;
mod rights;
mod text;

pub use appointment::{Appointment, AppointmentStatus};
pub use document::Document;
pub use error::{ContentError, FieldPath, Problem, UrlProblem};
pub use link::{HttpsUrl, Link};
pub use notice::Notice;
pub use procedure::{Procedure, ProcedureReference, ProcedureStatus};
pub use rights::{AccessNotice, ConsentRequest, Question};
pub use text::{Language, Line, Text, is_bidi_control, is_refused_control};

/// The version that this code writes and reads.
pub const VERSION: u32 = 1;

/// What a letter says.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// What kind of thing it says.
    pub kind: Kind,
    /// Kept as they came, so that what was opened encodes to the same bytes (case 5).
    pub extensions: Vec<wire::Extension>,
}

/// The kinds of content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Words.
    Notice(Notice),
    /// A step in the life of a *démarche*.
    Procedure(Procedure),
    /// Where and when a citizen is expected.
    Appointment(Appointment),
    /// An attachment.
    Document(Document),
    /// A request to use data.
    ConsentRequest(ConsentRequest),
    /// The news that data was read.
    AccessNotice(AccessNotice),
    /// A question.
    Question(Question),
}

impl From<Kind> for Content {
    fn from(kind: Kind) -> Self {
        Self {
            kind,
            extensions: Vec::new(),
        }
    }
}

impl Content {
    /// Reads the bytes that were sealed.
    pub fn decode(bytes: &Bytes) -> Result<Self, ContentError> {
        let content = codec::decode_canonical::<wire::Content>(bytes, limits::CONTENT_MAX)
            .map_err(Problem::from)?;
        Self::from_wire(content)
    }

    /// The bytes to seal. Refuses what [`decode`](Self::decode) would refuse.
    pub fn encode(&self) -> Result<Bytes, ContentError> {
        let bytes = codec::encode(&self.to_wire());
        Self::decode(&bytes)?;
        Ok(bytes)
    }

    /// What to show first, whatever the kind.
    pub fn notice(&self) -> &Notice {
        match &self.kind {
            Kind::Notice(notice) => notice,
            Kind::Procedure(procedure) => &procedure.notice,
            Kind::Appointment(appointment) => &appointment.notice,
            Kind::Document(document) => &document.notice,
            Kind::ConsentRequest(request) => &request.notice,
            Kind::AccessNotice(access) => &access.notice,
            Kind::Question(question) => &question.notice,
        }
    }

    /// Checks a decoded message.
    pub fn from_wire(content: wire::Content) -> Result<Self, ContentError> {
        if content.version != VERSION {
            let (got, expected) = (content.version, VERSION);
            return Err(Problem::UnsupportedVersion { got, expected }.into());
        }
        extensions::check(&content.extensions)
            .map_err(|problem| ContentError::from(Problem::from(problem)).within("extensions"))?;
        use wire::content::Kind as Wire;
        let (name, kind) = match content.kind.ok_or(Problem::UnknownKind)? {
            Wire::Notice(notice) => ("notice", Notice::from_wire(notice).map(Kind::Notice)),
            Wire::Procedure(procedure) => (
                "procedure",
                Procedure::from_wire(procedure).map(Kind::Procedure),
            ),
            Wire::Appointment(appointment) => (
                "appointment",
                Appointment::from_wire(appointment).map(Kind::Appointment),
            ),
            Wire::Document(document) => (
                "document",
                Document::from_wire(document).map(Kind::Document),
            ),
            Wire::ConsentRequest(request) => (
                "consent_request",
                ConsentRequest::from_wire(request).map(Kind::ConsentRequest),
            ),
            Wire::AccessNotice(access) => (
                "access_notice",
                AccessNotice::from_wire(access).map(Kind::AccessNotice),
            ),
            Wire::Question(question) => (
                "question",
                Question::from_wire(question).map(Kind::Question),
            ),
        };
        let kind = kind.map_err(|error| error.within(name))?;
        Ok(Self {
            kind,
            extensions: content.extensions,
        })
    }

    /// The wire form, unchecked.
    pub fn to_wire(&self) -> wire::Content {
        use wire::content::Kind as Wire;
        let kind = match self.kind.clone() {
            Kind::Notice(notice) => Wire::Notice(notice.into_wire()),
            Kind::Procedure(procedure) => Wire::Procedure(procedure.into_wire()),
            Kind::Appointment(appointment) => Wire::Appointment(appointment.into_wire()),
            Kind::Document(document) => Wire::Document(document.into_wire()),
            Kind::ConsentRequest(request) => Wire::ConsentRequest(request.into_wire()),
            Kind::AccessNotice(access) => Wire::AccessNotice(access.into_wire()),
            Kind::Question(question) => Wire::Question(question.into_wire()),
        };
        wire::Content {
            version: VERSION,
            kind: Some(kind),
            extensions: self.extensions.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
