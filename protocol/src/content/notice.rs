//! Notice: what every letter shows first. Alone, or as the words of another kind.
//! Spec: envelope.md, section 7.

use super::error::{ContentError, Problem};
use super::field;
use super::link::Link;
use super::text::{Line, Shape, Text};
use crate::id::Timestamp;
use crate::limits;
use crate::wire;

/// A title, a body, and what may go with them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// One line.
    pub title: Text,
    /// Paragraphs.
    pub body: Text,
    /// Shown only after the device is unlocked.
    pub private_body: Option<Text>,
    /// One link; shown with its host.
    pub link: Option<Link>,
    /// After this the app may hide it.
    pub valid_until: Option<Timestamp>,
    /// One line under the title.
    pub subheading: Option<Text>,
    /// A class name of the state's design system (DSFR): `fr-icon-mail-line`.
    pub icon: Option<Line>,
}

impl Notice {
    /// A notice with only what every notice has.
    pub fn new(title: Text, body: Text) -> Self {
        Self {
            title,
            body,
            private_body: None,
            link: None,
            valid_until: None,
            subheading: None,
            icon: None,
        }
    }

    pub(super) fn required(notice: Option<wire::Notice>) -> Result<Self, ContentError> {
        notice
            .ok_or_else(|| Problem::Missing.into())
            .and_then(Self::from_wire)
            .map_err(|error: ContentError| error.within("notice"))
    }

    pub(super) fn from_wire(notice: wire::Notice) -> Result<Self, ContentError> {
        let line = Shape::Line(limits::TITLE_MAX);
        let paragraphs = Shape::Paragraphs(limits::BODY_MAX);
        let icon = match notice.icon.is_empty() {
            true => None,
            false => Some(field::token(
                notice.icon,
                limits::REFERENCE_MAX,
                is_icon_byte,
                "icon",
            )?),
        };
        Ok(Self {
            title: Text::required(notice.title, line, "title")?,
            body: Text::required(notice.body, paragraphs, "body")?,
            private_body: Text::optional(notice.private_body, paragraphs, "private_body")?,
            link: notice
                .link
                .map(Link::from_wire)
                .transpose()
                .map_err(|error| error.within("link"))?,
            valid_until: field::optional_time(notice.valid_until_ms, "valid_until_ms")?,
            subheading: Text::optional(notice.subheading, line, "subheading")?,
            icon,
        })
    }

    pub(super) fn into_wire(self) -> wire::Notice {
        wire::Notice {
            title: Some(self.title.into_wire()),
            body: Some(self.body.into_wire()),
            private_body: self.private_body.map(Text::into_wire),
            link: self.link.map(Link::into_wire),
            valid_until_ms: field::time_to_wire(self.valid_until),
            subheading: self.subheading.map(Text::into_wire),
            icon: field::line_to_wire(self.icon),
        }
    }
}

/// A CSS class name, and nothing that could end an attribute.
fn is_icon_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}
