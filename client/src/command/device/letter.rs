//! A letter on the screen: what it says, who says it, and whether that is proven.

use std::fmt::Display;

use pli_protocol::code::Code;
use pli_protocol::content::{AppointmentStatus, Content, Kind, Notice, ProcedureStatus, Text};
use pli_protocol::envelope::Importance;
use pli_protocol::id::Timestamp;
use serde_json::{Value, json};

use super::codes::meaning;
use super::state::{State, number, state};
use super::texts;
use crate::command::words::Words;
use crate::content_json::{self, time};
use crate::device::Shown;
use crate::device::cursor::Body;
use crate::device::verify::VerifiedLetter;
use crate::names;
use crate::screen::{Colour, Lang, Output, plain, plain_block, when};

/// When the home says that it stored it.
pub(super) fn stored(letter: &Shown) -> Option<Timestamp> {
    match &letter.entry.numbered.body {
        Body::Envelope { stored, .. } => Some(*stored),
        Body::Expired | Body::Damaged | Body::Skipped { .. } => None,
    }
}

/// The signed envelope as the home gave it, byte for byte: what an auditor checks.
pub(super) fn signed(letter: &Shown) -> Option<&[u8]> {
    match &letter.entry.numbered.body {
        Body::Envelope { encoded, .. } => Some(encoded),
        Body::Expired | Body::Damaged | Body::Skipped { .. } => None,
    }
}

/// `Rendez-vous (rdv@interieur.gouv.fr)`: the name that the authority signed, and the address that
/// nobody can imitate.
pub(super) fn sender(letter: &VerifiedLetter, out: Output) -> String {
    let name = letter.sender_name();
    let name = match out.lang {
        Lang::Fr => &name.fr,
        Lang::En => &name.en,
    };
    format!("{name} ({})", letter.sender())
}

/// The title, or why there is none.
pub(super) fn title(letter: &VerifiedLetter, out: Output) -> String {
    match letter.content() {
        Ok(content) => content
            .notice()
            .title
            .in_language(out.lang.tag())
            .to_owned(),
        Err(_) => texts::NOT_SHOWN_TITLE.on(out).to_owned(),
    }
}

/// One line when it comes.
pub(super) fn announce(letter: &Shown, state: &State, out: Output) {
    let seq = number(letter);
    let (from, title) = match letter.verified() {
        Some(verified) => (sender(verified, out), title(verified, out)),
        None => (String::new(), String::new()),
    };
    let state = out.paint(state.colour, &state.text);
    out.line(format!(
        "{seq}  {}  {}  {state}",
        plain(&from),
        plain(&title)
    ));
}

/// The whole letter.
pub(super) fn show(letter: &Shown, out: Output) {
    let verified = match &letter.letter {
        None => {
            let state = state(letter, out);
            out.line(out.paint(state.colour, &state.text));
            return;
        }
        Some(Err(refusal)) => {
            out.line(out.paint(Colour::Bad, texts::NOT_SHOWN.on(out)));
            tracing::info!(%refusal, "not shown");
            out.line(reason(refusal.code(), out));
            return;
        }
        Some(Ok(verified)) => verified,
    };
    let label = |words: Words| out.paint(Colour::Faint, &format!("{:<10}", words.on(out)));
    let line = |words, value: &str| out.line(format!("{} {value}", label(words)));
    let header = verified.header();
    line(texts::FROM, &plain(&sender(verified, out)));
    line(texts::SENT, &when(header.created, out.lang));
    // The home's word, and this device's own clock.
    if let Some(at) = stored(letter) {
        line(texts::RECEIVED, &when(at, out.lang));
    }
    line(
        texts::FETCHED,
        &when(letter.entry.arrival.received, out.lang),
    );
    let matter = match header.importance {
        Importance::Information => texts::FOR_INFORMATION,
        Importance::Action => texts::FOR_ACTION,
        Importance::Legal => texts::FOR_LEGAL_EFFECT,
    };
    line(texts::MATTER, matter.on(out));
    line(
        texts::ORIGIN,
        &out.paint(Colour::Good, texts::PROVEN.on(out)),
    );
    if let Some(ended) = letter.key_ended {
        let said = out.paint(Colour::Doubt, texts::KEY_ENDED.on(out));
        line(texts::CAUTION, &format!("{said} {}", when(ended, out.lang)));
    }
    if let Some(later) = letter.superseded_by {
        line(texts::REPLACED_BY, &later.to_string());
    }
    out.line("");
    match verified.content() {
        Ok(content) => body(content, verified, out),
        Err(error) => {
            tracing::info!(%error, "cannot be shown");
            out.line(texts::CANNOT_BE_SHOWN.on(out));
            out.line(reason(error.code(), out));
        }
    }
}

/// The library's own reason is English and for `-v` and JSON; this one everybody can read.
fn reason(code: Code, out: Output) -> String {
    let reason = meaning(code).on(out);
    texts::REASON.say(out, &[("reason", &reason), ("code", &code)])
}

fn body(content: &Content, verified: &VerifiedLetter, out: Output) {
    let lang = out.lang.tag();
    let notice = content.notice();
    out.line(out.paint(Colour::Strong, &plain(notice.title.in_language(lang))));
    if let Some(subheading) = &notice.subheading {
        out.line(plain(subheading.in_language(lang)));
    }
    out.line("");
    out.line(plain_block(notice.body.in_language(lang)));
    if let Some(private) = &notice.private_body {
        out.line("");
        out.line(plain_block(private.in_language(lang)));
    }
    details(content, out);
    link(notice, verified.link_is_clickable(), out);
    if let Some(until) = notice.valid_until {
        out.line(format!(
            "{} {}",
            texts::VALID_UNTIL.on(out),
            when(until, out.lang)
        ));
    }
}

fn details(content: &Content, out: Output) {
    let lang = out.lang.tag();
    let say = |name: Words, value: &str| {
        let facts: [(&str, &dyn Display); 2] = [("name", &name.on(out)), ("value", &plain(value))];
        out.line(texts::DETAIL.say(out, &facts));
    };
    let text = |text: &Text| text.in_language(lang).to_owned();
    if !matches!(content.kind, Kind::Notice(_)) {
        out.line("");
    }
    match &content.kind {
        Kind::Notice(_) => {}
        Kind::Procedure(procedure) => {
            say(
                texts::PROCEDURE,
                &format!("{} {}", procedure.kind, procedure.id),
            );
            let status = match procedure.status {
                ProcedureStatus::New => texts::STATUS_NEW,
                ProcedureStatus::InProgress => texts::STATUS_IN_PROGRESS,
                ProcedureStatus::Closed => texts::STATUS_CLOSED,
            };
            say(
                texts::STATUS,
                &format!("{} ({})", text(&procedure.status_label), status.on(out)),
            );
            say(texts::STEP_OF, &when(procedure.event, out.lang));
            for (name, at) in [
                (texts::MILESTONE_START, procedure.milestone_start),
                (texts::MILESTONE_END, procedure.milestone_end),
            ] {
                if let Some(at) = at {
                    say(name, &when(at, out.lang));
                }
            }
        }
        Kind::Appointment(appointment) => {
            let status = match appointment.status {
                AppointmentStatus::Planned => texts::PLANNED,
                AppointmentStatus::Moved => texts::MOVED,
                AppointmentStatus::Cancelled => texts::CANCELLED,
                AppointmentStatus::Past => texts::PAST,
            };
            let at = when(appointment.starts, out.lang);
            say(texts::APPOINTMENT, &format!("{at} ({})", status.on(out)));
            if let Some(place) = &appointment.place {
                say(texts::PLACE, &text(place));
            }
        }
        Kind::Document(document) => {
            let facts: [(&str, &dyn Display); 3] = [
                ("name", &document.file_name),
                ("type", &document.media_type),
                ("size", &document.size_bytes),
            ];
            say(texts::DOCUMENT, &texts::DOCUMENT_IS.say(out, &facts));
        }
        Kind::ConsentRequest(request) => {
            say(texts::ASKED_BY, request.requester.as_str());
            say(texts::DATA, &text(&request.data));
            say(texts::PURPOSE, &text(&request.purpose));
            say(texts::LEGAL_BASIS, request.legal_basis.as_str());
            say(texts::UNTIL, &when(request.until, out.lang));
        }
        Kind::AccessNotice(access) => {
            say(texts::READ_BY, access.accessor.as_str());
            say(texts::DATA, &text(&access.data));
            say(texts::PURPOSE, &text(&access.purpose));
            say(texts::LEGAL_BASIS, access.legal_basis.as_str());
            say(texts::ACCESSED_ON, &when(access.accessed, out.lang));
        }
        Kind::Question(question) => {
            for (number, choice) in (1..).zip(&question.choices) {
                out.line(format!("  {number}. {}", plain(&text(choice))));
            }
        }
    }
}

/// The host first, always; a URL that a terminal could make clickable only where the authority
/// listed the host (TRU-3.4, case 61).
fn link(notice: &Notice, clickable: bool, out: Output) {
    let Some(link) = &notice.link else { return };
    let label = link
        .label
        .as_ref()
        .map(|label| label.in_language(out.lang.tag()));
    let label = label.unwrap_or(texts::LINK.on(out));
    out.line("");
    if clickable {
        let good = out.paint(Colour::Good, link.url.host());
        out.line(format!("{} [{good}] {}", plain(label), link.url));
    } else {
        let doubt = texts::UNLISTED_HOST.on(out);
        let host = out.paint(Colour::Doubt, link.url.host());
        out.line(format!(
            "{} [{host}: {doubt}] {}",
            plain(label),
            // Terminals turn `https://…` into links by themselves; this form they leave alone.
            link.url.as_str().replacen("https://", "https: //", 1)
        ));
    }
}

/// A letter as JSON.
pub(super) fn to_json(letter: &Shown, handed_over: bool) -> Value {
    let numbered = &letter.entry.numbered;
    let mut value = json!({
        "number": numbered.seq,
        "id": numbered.id.map(|id| id.to_string()),
        "stored": stored(letter).map(time),
        "received": time(letter.entry.arrival.received),
        "key_ended": letter.key_ended.map(time),
        "acknowledged": handed_over,
        "repeats": letter.repeats,
        "superseded_by": letter.superseded_by,
    });
    let more = match (&numbered.body, &letter.letter) {
        (Body::Expired, _) => json!({ "state": "expired" }),
        (Body::Damaged, _) => json!({ "state": "damaged" }),
        (Body::Skipped { first }, _) => json!({ "state": "skipped", "first": first }),
        (_, None) => json!({ "state": "absent" }),
        (_, Some(Err(refusal))) => json!({
            "state": "refused",
            "code": refusal.code().name(),
            "reason": refusal.to_string(),
        }),
        (_, Some(Ok(verified))) => {
            let header = verified.header();
            let content = verified.content();
            json!({
                "state": if content.is_ok() { "verified" } else { "unreadable" },
                "sender": verified.sender().to_string(),
                "sender_name": { "fr": verified.sender_name().fr, "en": verified.sender_name().en },
                "recipient": header.recipient.to_string(),
                "created": time(header.created),
                "expires": time(header.expires),
                "class": names::class(header.class),
                "urgency": names::urgency(header.urgency),
                "importance": names::importance(header.importance),
                "link_clickable": verified.link_is_clickable(),
                "content": content.ok().map(content_json::to_json),
                "fault": content.err().map(ToString::to_string),
            })
        }
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
