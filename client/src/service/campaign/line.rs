//! One line of a campaign: to whom, and an event or a content.

use std::io::{self, BufRead, Read};

use pli_protocol::content::ContentError;
use pli_protocol::envelope::{Importance, Urgency};
use pli_protocol::id::{Timestamp, from_hex};
use pli_protocol::limits;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::content_json::{self, ContentJsonError};
use crate::partner::{self, Format, PartnerError};
use crate::service::allowed::{Allowed, ImportanceNotAllowed};
use crate::service::contacts::{ContactError, Contacts};
use crate::service::draft::{self, Blank, Draft, Handling, LIFETIME_MS};

/// Bytes of one line: more than the largest content takes as JSON with every byte escaped.
pub const LINE_MAX: usize = 256 * 1024;

/// What a line may say. `to` may be left out for an event: then its `recipient_fc_hash` is the
/// contact's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    to: Option<String>,
    event: Option<Value>,
    content: Option<Value>,
    urgency: Option<UrgencyName>,
    importance: Option<ImportanceName>,
    supersedes: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum UrgencyName {
    VeryLow,
    Low,
    Normal,
    High,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ImportanceName {
    Information,
    Action,
    Legal,
}

/// What holds for every line.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// When the campaign began: the same after a restart, so that its letters are the same.
    pub created: Timestamp,
    /// How long each letter is kept for its citizen.
    pub lifetime_ms: u64,
}

impl Options {
    /// Letters of `created`, kept for [`LIFETIME_MS`].
    pub fn new(created: Timestamp) -> Self {
        Self {
            created,
            lifetime_ms: LIFETIME_MS,
        }
    }
}

/// Why a line is not sent. The lines after it are.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Not JSON.
    #[error("not JSON: {}", on_one_line(.0))]
    Json(serde_json::Error),
    /// JSON, but not the object that a line is.
    #[error(
        "{problem}; expected {{\"to\": \"CONTACT\", \"content\": {{…}}}} or {{\"event\": {{…}}}}"
    )]
    Form {
        /// What is wrong with it.
        problem: String,
    },
    /// Longer than [`LINE_MAX`].
    #[error("longer than {LINE_MAX} bytes")]
    TooLong,
    /// Neither, or both.
    #[error("{got}; a line has one of the two")]
    EventOrContent {
        /// Which it has.
        got: &'static str,
    },
    /// Nobody to send to.
    #[error("\"to\" is missing: whom is this content for? expected the name of a contact")]
    NoRecipient,
    /// The partner's event.
    #[error("event: {0}")]
    Event(#[from] PartnerError),
    /// The content.
    #[error("{}", about_content(.0))]
    ContentJson(#[from] ContentJsonError),
    /// The content.
    #[error("{}", about_content(.0))]
    Content(#[from] ContentError),
    /// The content.
    #[error("content: {0}")]
    Blank(#[from] Blank),
    /// Its importance.
    #[error(transparent)]
    Importance(#[from] ImportanceNotAllowed),
    /// A replacement key.
    #[error("supersedes: must be 32 lower-case hexadecimal digits")]
    Supersedes,
    /// The contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
}

impl LineError {
    /// The kind of fault, for programs and for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "not-json",
            Self::Form { .. } | Self::EventOrContent { .. } => "line",
            Self::TooLong => "too-long",
            Self::NoRecipient => "no-recipient",
            Self::Event(_) => "event",
            Self::ContentJson(_) | Self::Content(_) | Self::Blank(_) => "content",
            Self::Importance(_) => "importance",
            Self::Supersedes => "supersedes",
            Self::Contact(_) => "contact",
        }
    }
}

/// A line that can be sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// The contact's name.
    pub(super) to: String,
    pub(super) draft: Draft,
    /// The host of its link, where the authority did not list it.
    pub(super) unlisted_link: Option<String>,
}

/// Reads one line and finds its contact.
pub(super) fn read(
    line: &[u8],
    contacts: &Contacts,
    options: Options,
    allowed: Option<&Allowed>,
) -> Result<Letter, LineError> {
    let line = parse(line)?;
    let (content, hash, urgency) = match (line.event, line.content) {
        (Some(event), None) => {
            let format = Format::of(&event);
            let event = partner::convert_value(event, format)?;
            let urgency = event.urgency();
            (event.content, Some(event.recipient.to_string()), urgency)
        }
        (None, Some(content)) => (content_json::from_json(content)?, None, Urgency::Normal),
        (None, None) => {
            return Err(LineError::EventOrContent {
                got: "neither an event nor a content",
            });
        }
        (Some(_), Some(_)) => {
            return Err(LineError::EventOrContent {
                got: "an event and a content",
            });
        }
    };
    draft::check_readable(&content)?;
    let to = line.to.or(hash).ok_or(LineError::NoRecipient)?;
    let contact = contacts.find(&to)?;
    let supersedes = match &line.supersedes {
        Some(hex) => Some(from_hex(hex).map_err(|_| LineError::Supersedes)?),
        None => None,
    };
    let importance = line
        .importance
        .map_or(Importance::Information, ImportanceName::value);
    if let Some(allowed) = allowed {
        allowed.importance(importance)?;
    }
    let unlisted_link = allowed
        .and_then(|allowed| allowed.unlisted_link(&content))
        .map(|url| url.host().to_owned());
    let handling = Handling {
        urgency: line.urgency.map_or(urgency, UrgencyName::value),
        importance,
        created: options.created,
        expires: options
            .created
            .plus_ms(options.lifetime_ms.min(limits::ENVELOPE_LIFETIME_MAX_MS)),
        supersedes,
    };
    let draft = Draft::new(contact.grant, &content, handling)?;
    Ok(Letter {
        to,
        draft,
        unlisted_link,
    })
}

/// Whether there is nothing on a line, whatever its white space.
pub(super) fn is_blank(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(draft::is_blank)
}

/// In the words of whoever wrote the line, not of the type that it was to become.
fn parse(line: &[u8]) -> Result<Line, LineError> {
    let error = match serde_json::from_slice(line) {
        Ok(line) => return Ok(line),
        Err(error) => error,
    };
    let got = match serde_json::from_slice::<Value>(line) {
        Err(error) => return Err(LineError::Json(error)),
        Ok(Value::Object(_)) => {
            let problem = on_one_line(&error);
            return Err(LineError::Form { problem });
        }
        Ok(Value::Array(_)) => "a list",
        Ok(Value::String(_)) => "a text",
        Ok(Value::Number(_)) => "a number",
        Ok(Value::Bool(_) | Value::Null) => "true, false or null",
    };
    let problem = format!("{got}, not an object");
    Err(LineError::Form { problem })
}

/// `serde_json` counts lines from the beginning of what it was given, which is one line.
fn on_one_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((problem, _)) => format!("{problem}, at byte {}", error.column()),
        None => text,
    }
}

/// A fault of the content as a whole says so itself.
pub(crate) fn about_content(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    if text.starts_with("content") {
        return text;
    }
    format!("content: {text}")
}

impl UrgencyName {
    fn value(self) -> Urgency {
        match self {
            Self::VeryLow => Urgency::VeryLow,
            Self::Low => Urgency::Low,
            Self::Normal => Urgency::Normal,
            Self::High => Urgency::High,
        }
    }
}

impl ImportanceName {
    fn value(self) -> Importance {
        match self {
            Self::Information => Importance::Information,
            Self::Action => Importance::Action,
            Self::Legal => Importance::Legal,
        }
    }
}

/// A line as it stands in the file, its end included. `None` at the end of the file. Of a line
/// that is too long nothing is kept (R15), but it is counted.
pub(super) fn next_raw(
    file: &mut impl BufRead,
    line: &mut Vec<u8>,
    hash: &mut Sha256,
) -> io::Result<Option<RawLine>> {
    line.clear();
    let mut length = file
        .by_ref()
        .take(LINE_MAX as u64 + 1)
        .read_until(b'\n', line)? as u64;
    if length == 0 {
        return Ok(None);
    }
    hash.update(&line);
    let too_long = length > LINE_MAX as u64;
    if too_long {
        let ended = line.last() == Some(&b'\n');
        line.clear();
        if !ended {
            length += skip_line(file, hash)?;
        }
    }
    Ok(Some(RawLine { length, too_long }))
}

/// What was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawLine {
    pub(super) length: u64,
    pub(super) too_long: bool,
}

fn skip_line(file: &mut impl BufRead, hash: &mut Sha256) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = file.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |at| at + 1);
        hash.update(&buffer[..taken]);
        file.consume(taken);
        skipped += taken as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_a_line_over_its_bound_is_counted_and_not_kept() {
        let long = [vec![b'x'; LINE_MAX + 10], b"\n{}\nlast".to_vec()].concat();
        let mut file = io::BufReader::with_capacity(1_000, &long[..]);
        let mut line = Vec::new();
        let mut hash = Sha256::new();
        let first = next_raw(&mut file, &mut line, &mut hash)
            .expect("readable")
            .expect("there");
        assert!(first.too_long && line.is_empty());
        assert_eq!(first.length, LINE_MAX as u64 + 11);
        let second = next_raw(&mut file, &mut line, &mut hash)
            .expect("readable")
            .expect("there");
        assert_eq!((second.too_long, &line[..]), (false, &b"{}\n"[..]));
        let third = next_raw(&mut file, &mut line, &mut hash)
            .expect("readable")
            .expect("there");
        assert_eq!((third.length, &line[..]), (4, &b"last"[..]));
        assert!(
            next_raw(&mut file, &mut line, &mut hash)
                .expect("readable")
                .is_none()
        );
        assert_eq!(
            hash.finalize(),
            Sha256::digest(&long),
            "every byte is counted"
        );
        // Exactly at the bound, its end included.
        let exact = [vec![b'x'; LINE_MAX - 1], b"\n".to_vec()].concat();
        let read = next_raw(&mut &exact[..], &mut line, &mut Sha256::new())
            .expect("readable")
            .expect("there");
        assert!(!read.too_long);
    }
}
