//! The small fields that several kinds of content share: times, exact bytes, tokens.
//! Spec: envelope.md, ENV-7.9 to ENV-7.11.

use bytes::Bytes;

use super::error::{ContentError, Problem};
use super::text::Line;
use crate::id::{AuthorityId, Timestamp};
use crate::limits;

/// A time that must be there.
pub(super) fn time(ms: u64, field: &str) -> Result<Timestamp, ContentError> {
    optional_time(ms, field)?.ok_or_else(|| ContentError::from(Problem::Missing).within(field))
}

/// A time; 0 on the wire means absent. Bounded so that every language holds it exactly (case 10).
pub(super) fn optional_time(ms: u64, field: &str) -> Result<Option<Timestamp>, ContentError> {
    let max = limits::INTEGER_MAX;
    if ms > max {
        return Err(ContentError::from(Problem::TimeOutOfRange { got: ms, max }).within(field));
    }
    Ok((ms != 0).then(|| Timestamp::from_ms(ms)))
}

pub(super) fn time_to_wire(time: Option<Timestamp>) -> u64 {
    time.map_or(0, Timestamp::as_ms)
}

/// ENV-7.10: nothing ends before it starts.
pub(super) fn ordered(
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    field: &str,
) -> Result<(), ContentError> {
    match (start, end) {
        (Some(start), Some(end)) if end < start => {
            let problem = Problem::EndsBeforeStart {
                start_ms: start.as_ms(),
                end_ms: end.as_ms(),
            };
            Err(ContentError::from(problem).within(field))
        }
        _ => Ok(()),
    }
}

/// A line that must be there.
pub(super) fn line(text: String, max: usize, field: &str) -> Result<Line, ContentError> {
    Line::new(text, max).map_err(|problem| ContentError::from(problem).within(field))
}

/// A line; the empty string on the wire means absent.
pub(super) fn optional_line(
    text: String,
    max: usize,
    field: &str,
) -> Result<Option<Line>, ContentError> {
    Line::optional(text, max).map_err(|problem| ContentError::from(problem).within(field))
}

pub(super) fn line_to_wire(line: Option<Line>) -> String {
    line.map_or_else(String::new, |line| line.as_str().to_owned())
}

/// Exactly `N` bytes.
pub(super) fn exact<const N: usize>(bytes: &Bytes, field: &str) -> Result<[u8; N], ContentError> {
    bytes.as_ref().try_into().map_err(|_| {
        let problem = match bytes.len() {
            0 => Problem::Missing,
            got => Problem::WrongSize { got, expected: N },
        };
        ContentError::from(problem).within(field)
    })
}

/// A name that software, not people, reads: `accepted` says which bytes it may have.
pub(super) fn token(
    text: String,
    max: usize,
    accepted: impl Fn(u8) -> bool,
    field: &str,
) -> Result<Line, ContentError> {
    let token = line(text, max, field)?;
    if token.as_str().bytes().all(accepted) {
        return Ok(token);
    }
    let problem = Problem::NotAToken {
        got: token.as_str().to_owned(),
    };
    Err(ContentError::from(problem).within(field))
}

/// The authority that a citizen is told about.
pub(super) fn authority(name: &str, field: &str) -> Result<AuthorityId, ContentError> {
    if name.is_empty() {
        return Err(ContentError::from(Problem::Missing).within(field));
    }
    AuthorityId::new(name).map_err(|_| {
        let got = name.chars().take(SHOWN_CHARS).collect();
        ContentError::from(Problem::NotAToken { got }).within(field)
    })
}

/// How much of a refused value an error repeats.
const SHOWN_CHARS: usize = 80;
