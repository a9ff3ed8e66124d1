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
use crate::service::contacts::{ContactError, Contacts};
use crate::service::draft::{Draft, Handling, LIFETIME_MS};

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
    /// Not the JSON object that a line is.
    #[error("not a line of a campaign: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than [`LINE_MAX`].
    #[error("longer than {LINE_MAX} bytes")]
    TooLong,
    /// Neither, or both.
    #[error("a line has either an event or a content")]
    EventOrContent,
    /// Nobody to send to.
    #[error("`to` is missing: whom is this content for?")]
    NoRecipient,
    /// The partner's event.
    #[error("event: {0}")]
    Event(#[from] PartnerError),
    /// The content.
    #[error("content: {0}")]
    ContentJson(#[from] ContentJsonError),
    /// The content.
    #[error("content: {0}")]
    Content(#[from] ContentError),
    /// A replacement key.
    #[error("supersedes: must be 32 lower-case hexadecimal digits")]
    Supersedes,
    /// The contact.
    #[error(transparent)]
    Contact(#[from] ContactError),
}

/// A line that can be sent.
#[derive(Debug)]
pub(super) struct Letter {
    /// The contact's name.
    pub(super) to: String,
    pub(super) draft: Draft,
}

/// Reads one line and finds its contact.
pub(super) fn read(
    line: &[u8],
    contacts: &Contacts,
    options: Options,
) -> Result<Letter, LineError> {
    let line: Line = serde_json::from_slice(line)?;
    let (content, hash, urgency) = match (line.event, line.content) {
        (Some(event), None) => {
            let format = Format::of(&event);
            let event = partner::convert_value(event, format)?;
            let urgency = event.urgency();
            (event.content, Some(event.recipient.to_string()), urgency)
        }
        (None, Some(content)) => (content_json::from_json(content)?, None, Urgency::Normal),
        _ => return Err(LineError::EventOrContent),
    };
    let to = line.to.or(hash).ok_or(LineError::NoRecipient)?;
    let contact = contacts.find(&to)?;
    let supersedes = match &line.supersedes {
        Some(hex) => Some(from_hex(hex).map_err(|_| LineError::Supersedes)?),
        None => None,
    };
    let handling = Handling {
        urgency: line.urgency.map_or(urgency, UrgencyName::value),
        importance: line
            .importance
            .map_or(Importance::Information, ImportanceName::value),
        created: options.created,
        expires: options
            .created
            .plus_ms(options.lifetime_ms.min(limits::ENVELOPE_LIFETIME_MAX_MS)),
        supersedes,
    };
    let draft = Draft::new(contact.grant, &content, handling)?;
    Ok(Letter { to, draft })
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
