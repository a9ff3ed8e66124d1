//! The kinds that ask a citizen something or tell of an access to their data.
//! Spec: envelope.md, section 7.

use super::error::{ContentError, Problem};
use super::field;
use super::notice::Notice;
use super::text::{Line, Shape, Text};
use crate::id::{AuthorityId, Timestamp};
use crate::limits;
use crate::wire;

/// Asks a citizen to allow the use of some data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsentRequest {
    /// Opaque; the decision names it.
    pub request_id: [u8; REQUEST_ID_BYTES],
    /// Who wants the data.
    pub requester: AuthorityId,
    /// Which data.
    pub data: Text,
    /// What for.
    pub purpose: Text,
    /// By which law.
    pub legal_basis: Line,
    /// Until when the consent would hold.
    pub until: Timestamp,
    /// What to show.
    pub notice: Notice,
}

impl ConsentRequest {
    pub(super) fn from_wire(request: wire::ConsentRequest) -> Result<Self, ContentError> {
        Ok(Self {
            request_id: field::exact(&request.request_id, "request_id")?,
            requester: field::authority(&request.requester, "requester")?,
            data: Text::required(request.data, PARAGRAPHS, "data")?,
            purpose: Text::required(request.purpose, PARAGRAPHS, "purpose")?,
            legal_basis: field::line(request.legal_basis, limits::REFERENCE_MAX, "legal_basis")?,
            until: field::time(request.until_ms, "until_ms")?,
            notice: Notice::required(request.notice)?,
        })
    }

    pub(super) fn into_wire(self) -> wire::ConsentRequest {
        wire::ConsentRequest {
            request_id: self.request_id.to_vec().into(),
            requester: self.requester.to_string(),
            data: Some(self.data.into_wire()),
            purpose: Some(self.purpose.into_wire()),
            legal_basis: self.legal_basis.to_string(),
            until_ms: self.until.as_ms(),
            notice: Some(self.notice.into_wire()),
        }
    }
}

/// Tells a citizen that somebody read their data.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessNotice {
    /// Who.
    pub accessor: AuthorityId,
    /// Which data.
    pub data: Text,
    /// What for.
    pub purpose: Text,
    /// By which law.
    pub legal_basis: Line,
    /// When.
    pub accessed: Timestamp,
    /// What to show.
    pub notice: Notice,
}

impl AccessNotice {
    pub(super) fn from_wire(access: wire::AccessNotice) -> Result<Self, ContentError> {
        Ok(Self {
            accessor: field::authority(&access.accessor, "accessor")?,
            data: Text::required(access.data, PARAGRAPHS, "data")?,
            purpose: Text::required(access.purpose, PARAGRAPHS, "purpose")?,
            legal_basis: field::line(access.legal_basis, limits::REFERENCE_MAX, "legal_basis")?,
            accessed: field::time(access.accessed_ms, "accessed_ms")?,
            notice: Notice::required(access.notice)?,
        })
    }

    pub(super) fn into_wire(self) -> wire::AccessNotice {
        wire::AccessNotice {
            accessor: self.accessor.to_string(),
            data: Some(self.data.into_wire()),
            purpose: Some(self.purpose.into_wire()),
            legal_basis: self.legal_basis.to_string(),
            accessed_ms: self.accessed.as_ms(),
            notice: Some(self.notice.into_wire()),
        }
    }
}

/// Asks a citizen something that is answered by a choice or in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// Opaque; the answer names it.
    pub question_id: [u8; REQUEST_ID_BYTES],
    /// What to show.
    pub notice: Notice,
    /// What may be chosen, one of them.
    pub choices: Vec<Text>,
    /// Whether words are an answer too.
    pub free_answer: bool,
}

impl Question {
    pub(super) fn from_wire(question: wire::Question) -> Result<Self, ContentError> {
        let got = question.choices.len();
        let max = limits::CHOICES_MAX;
        if got > max {
            return Err(ContentError::from(Problem::TooMany { got, max }).within("choices"));
        }
        if got == 0 && !question.free_answer {
            return Err(ContentError::from(Problem::NoAnswerPossible).within("choices"));
        }
        let label = Shape::Line(limits::TITLE_MAX);
        let choices = question
            .choices
            .into_iter()
            .map(|choice| Text::required(Some(choice), label, "choices"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            question_id: field::exact(&question.question_id, "question_id")?,
            notice: Notice::required(question.notice)?,
            choices,
            free_answer: question.free_answer,
        })
    }

    pub(super) fn into_wire(self) -> wire::Question {
        wire::Question {
            question_id: self.question_id.to_vec().into(),
            notice: Some(self.notice.into_wire()),
            choices: self.choices.into_iter().map(Text::into_wire).collect(),
            free_answer: self.free_answer,
        }
    }
}

const REQUEST_ID_BYTES: usize = 16;
const PARAGRAPHS: Shape = Shape::Paragraphs(limits::BODY_MAX);
