//! What is sealed: kinds, texts, links. Spec: ENV-7.

use super::{INTEGER_MAX, Refused, canonical, exact, extensions, refuse, version_1};
use crate::codec::Message;
use crate::codec::schema::CONTENT;

const CONTENT_MAX: usize = 32_767;
const TRANSLATIONS_MAX: usize = 16;
const LANGUAGE_TAG_MAX: usize = 35;
const TITLE_MAX: usize = 512;
const BODY_MAX: usize = 16_384;
const REFERENCE_MAX: usize = 256;
const LINK_URL_MAX: usize = 2_048;
const FILE_NAME_MAX: usize = 255;
const MEDIA_TYPE_MAX: usize = 127;
const CHUNKS_MAX: usize = 512;
const CHUNK_LEN: u64 = 262_144;
const CHOICES_MAX: usize = 16;

const KINDS: &[&str] = &[
    "notice",
    "procedure",
    "appointment",
    "document",
    "consent_request",
    "access_notice",
    "question",
];

/// The kind of a content without padding.
pub fn check(bytes: &[u8]) -> Result<&'static str, Refused> {
    if bytes.len() > CONTENT_MAX {
        return refuse("TOO_LONG", "content");
    }
    let content = canonical(&CONTENT, bytes)?;
    version_1(&content)?;
    let Some((kind, body)) = KINDS
        .iter()
        .find_map(|kind| Some((*kind, content.message(kind)?)))
    else {
        return refuse("FIELD_MISSING", "kind");
    };
    match kind {
        "notice" => notice(body)?,
        "procedure" => procedure(body)?,
        "appointment" => appointment(body)?,
        "document" => document(body)?,
        "consent_request" => consent_request(body)?,
        "access_notice" => access_notice(body)?,
        _ => question(body)?,
    }
    extensions::check(&content)?;
    Ok(kind)
}

fn notice(notice: &Message) -> Result<(), Refused> {
    text(notice, "title", TITLE_MAX, Lines::One, Need::Required)?;
    text(notice, "body", BODY_MAX, Lines::Many, Need::Required)?;
    text(
        notice,
        "private_body",
        BODY_MAX,
        Lines::Many,
        Need::Optional,
    )?;
    if let Some(link) = notice.message("link") {
        self::link(link.text("url"))?;
        text(link, "label", TITLE_MAX, Lines::One, Need::Optional)?;
    }
    time(notice, "valid_until_ms")?;
    text(notice, "subheading", TITLE_MAX, Lines::One, Need::Optional)?;
    line(notice, "icon", REFERENCE_MAX, Need::Optional)
}

fn inner_notice(of: &Message) -> Result<(), Refused> {
    match of.message("notice") {
        Some(inner) => notice(inner),
        None => refuse("FIELD_MISSING", "notice"),
    }
}

fn procedure(procedure: &Message) -> Result<(), Refused> {
    line(procedure, "type", REFERENCE_MAX, Need::Required)?;
    line(procedure, "id", REFERENCE_MAX, Need::Required)?;
    known(procedure, "status", 3)?;
    text(
        procedure,
        "status_label",
        TITLE_MAX,
        Lines::One,
        Need::Required,
    )?;
    required_time(procedure, "event_ms")?;
    inner_notice(procedure)?;
    if let Some(parent) = procedure.message("parent") {
        for field in ["partner", "type", "id"] {
            line(parent, field, REFERENCE_MAX, Need::Required)?;
        }
    }
    span(procedure, "milestone_start_ms", "milestone_end_ms")?;
    line(procedure, "channel", REFERENCE_MAX, Need::Optional)
}

fn appointment(appointment: &Message) -> Result<(), Refused> {
    line(appointment, "id", REFERENCE_MAX, Need::Required)?;
    known(appointment, "status", 4)?;
    required_time(appointment, "starts_ms")?;
    span(appointment, "starts_ms", "ends_ms")?;
    text(appointment, "place", TITLE_MAX, Lines::Many, Need::Optional)?;
    inner_notice(appointment)
}

fn document(document: &Message) -> Result<(), Refused> {
    inner_notice(document)?;
    line(document, "file_name", FILE_NAME_MAX, Need::Required)?;
    let name = document.text("file_name");
    if name.starts_with('.') || name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) {
        return refuse("FIELD_INVALID", "file_name");
    }
    line(document, "media_type", MEDIA_TYPE_MAX, Need::Required)?;
    if !is_media_type(document.text("media_type")) {
        return refuse("FIELD_INVALID", "media_type");
    }
    let size = document.number("size_bytes");
    if size == 0 {
        return refuse("FIELD_MISSING", "size_bytes");
    }
    let chunks = document.all_bytes("chunks");
    if chunks.len() > CHUNKS_MAX {
        return refuse("TOO_MANY", "chunks");
    }
    if chunks.len() as u64 != size.div_ceil(CHUNK_LEN)
        || chunks.iter().any(|chunk| chunk.len() != 32)
    {
        return refuse("FIELD_INVALID", "chunks");
    }
    exact(document, "content_key", 32).map(drop)
}

/// RFC 6838, section 4.2, in lower case.
fn is_media_type(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"!#$&-^_.+".contains(&c))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| part(kind) && part(subtype))
}

fn consent_request(request: &Message) -> Result<(), Refused> {
    exact(request, "request_id", 16)?;
    requester(request, "requester")?;
    text(request, "data", BODY_MAX, Lines::Many, Need::Required)?;
    text(request, "purpose", BODY_MAX, Lines::Many, Need::Required)?;
    line(request, "legal_basis", REFERENCE_MAX, Need::Required)?;
    required_time(request, "until_ms")?;
    inner_notice(request)
}

fn access_notice(notice: &Message) -> Result<(), Refused> {
    requester(notice, "accessor")?;
    text(notice, "data", BODY_MAX, Lines::Many, Need::Required)?;
    text(notice, "purpose", BODY_MAX, Lines::Many, Need::Required)?;
    line(notice, "legal_basis", REFERENCE_MAX, Need::Required)?;
    required_time(notice, "accessed_ms")?;
    inner_notice(notice)
}

/// An authority id.
fn requester(message: &Message, field: &'static str) -> Result<(), Refused> {
    match message.text(field) {
        "" => refuse("FIELD_MISSING", field),
        text => super::names::authority(text).map(drop),
    }
}

fn question(question: &Message) -> Result<(), Refused> {
    exact(question, "question_id", 16)?;
    inner_notice(question)?;
    let choices = question.messages("choices");
    if choices.len() > CHOICES_MAX {
        return refuse("TOO_MANY", "choices");
    }
    if choices.is_empty() && question.number("free_answer") == 0 {
        return refuse("FIELD_MISSING", "no possible answer");
    }
    choices
        .into_iter()
        .try_for_each(|choice| translations(choice, TITLE_MAX, Lines::One))
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Need {
    Required,
    Optional,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Lines {
    One,
    Many,
}

fn text(
    message: &Message,
    field: &'static str,
    max: usize,
    lines: Lines,
    need: Need,
) -> Result<(), Refused> {
    match message.message(field) {
        Some(text) => translations(text, max, lines),
        None if need == Need::Optional => Ok(()),
        None => refuse("FIELD_MISSING", field),
    }
}

/// ENV-7.3 to ENV-7.7
fn translations(text: &Message, max: usize, lines: Lines) -> Result<(), Refused> {
    let all = text.messages("translations");
    if all.len() > TRANSLATIONS_MAX {
        return refuse("TOO_MANY", "translations");
    }
    let (mut last, mut understood) = ("", false);
    for translation in all {
        let language = translation.text("language");
        if !is_language(language) {
            return refuse("FIELD_INVALID", "language");
        }
        if language <= last {
            return refuse("NOT_CANONICAL", "languages not ascending");
        }
        last = language;
        understood |= matches!(language.split('-').next(), Some("fr" | "en"));
        match translation.text("text") {
            "" => return refuse("FIELD_MISSING", "text"),
            text if text.len() > max => return refuse("TOO_LONG", "text"),
            text => characters(text, lines)?,
        }
    }
    if understood {
        Ok(())
    } else {
        refuse("FIELD_MISSING", "neither French nor English")
    }
}

/// ENV-7.4, ENV-7.5
fn characters(text: &str, lines: Lines) -> Result<(), Refused> {
    let bidi = |c: char| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let allowed = |c: char| match c {
        '\n' => lines == Lines::Many,
        '\u{2028}' | '\u{2029}' => false,
        c => !c.is_control() && !bidi(c),
    };
    if text.chars().all(allowed) {
        Ok(())
    } else {
        refuse("FIELD_INVALID", "character")
    }
}

/// ENV-7.6
fn is_language(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let primary = subtags.next().unwrap_or_default();
    tag.len() <= LANGUAGE_TAG_MAX
        && (2..=3).contains(&primary.len())
        && primary.bytes().all(|c| c.is_ascii_lowercase())
        && subtags.all(|subtag| {
            (2..=8).contains(&subtag.len())
                && subtag
                    .bytes()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
}

/// A plain string of one line.
fn line(message: &Message, field: &'static str, max: usize, need: Need) -> Result<(), Refused> {
    match message.text(field) {
        "" if need == Need::Optional => Ok(()),
        "" => refuse("FIELD_MISSING", field),
        text if text.len() > max => refuse("TOO_LONG", field),
        text => characters(text, Lines::One),
    }
}

/// ENV-7.8: `https://host[:port][/path]`.
fn link(url: &str) -> Result<(), Refused> {
    let bad = || refuse("FIELD_INVALID", "link");
    if url.is_empty() {
        return refuse("FIELD_MISSING", "url");
    }
    if url.len() > LINK_URL_MAX {
        return refuse("TOO_LONG", "url");
    }
    let Some(rest) = url.strip_prefix("https://") else {
        return bad();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    if super::names::authority(host).is_err() {
        return bad();
    }
    if port.is_some_and(|port| {
        port.is_empty() || !port.bytes().all(|c| c.is_ascii_digit()) || port.parse::<u16>().is_err()
    }) {
        return bad();
    }
    // RFC 3986: unreserved, gen-delims, sub-delims, percent-encoding.
    let bytes = path.as_bytes();
    let right = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes
            .get(at + 1..at + 3)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte),
    });
    if right { Ok(()) } else { bad() }
}

/// ENV-7.9
fn known(message: &Message, field: &'static str, last: u64) -> Result<(), Refused> {
    match message.number(field) {
        0 => refuse("FIELD_MISSING", field),
        number if number <= last => Ok(()),
        _ => refuse("FIELD_INVALID", field),
    }
}

/// ENV-7.10
fn time(message: &Message, field: &'static str) -> Result<u64, Refused> {
    match message.number(field) {
        ms if ms > INTEGER_MAX => refuse("FIELD_INVALID", field),
        ms => Ok(ms),
    }
}

fn required_time(message: &Message, field: &'static str) -> Result<u64, Refused> {
    match time(message, field)? {
        0 => refuse("FIELD_MISSING", field),
        ms => Ok(ms),
    }
}

fn span(message: &Message, start: &'static str, end: &'static str) -> Result<(), Refused> {
    let (from, to) = (time(message, start)?, time(message, end)?);
    if to != 0 && to < from {
        refuse("FIELD_INVALID", end)
    } else {
        Ok(())
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
