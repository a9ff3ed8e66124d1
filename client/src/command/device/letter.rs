//! A letter on the screen: what it says, who says it, and whether that is proven.

use pli_protocol::content::{AppointmentStatus, Content, Kind, Notice, ProcedureStatus, Text};
use pli_protocol::envelope::Importance;
use pli_protocol::id::Timestamp;
use serde_json::{Value, json};

use super::state::{State, number, state};
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
        Err(_) => out
            .pick("(ne peut pas être affichée)", "(cannot be shown)")
            .to_owned(),
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
            out.line(out.paint(Colour::Bad, out.pick(
                "Cette lettre n'est pas affichée : son origine n'est pas prouvée ou elle ne vous est pas destinée.",
                "This letter is not shown: its origin is not proven or it is not for you.",
            )));
            // The reason is in English; whoever reads French is told by the code, as in the registry.
            out.line(match out.lang {
                Lang::Fr => refusal.code().to_string(),
                Lang::En => format!("{}: {}", refusal.code(), plain(&refusal.to_string())),
            });
            return;
        }
        Some(Ok(verified)) => verified,
    };
    let label = |fr, en| out.paint(Colour::Faint, &format!("{:<10}", out.pick(fr, en)));
    let header = verified.header();
    out.line(format!(
        "{} {}",
        label("De", "From"),
        plain(&sender(verified, out))
    ));
    out.line(format!(
        "{} {}",
        label("Envoyée", "Sent"),
        when(header.created, out.lang)
    ));
    // The home's word, and this device's own clock.
    let stored = stored(letter).map(|at| ("Reçue", "Received", at));
    let fetched = ("Relevée", "Fetched", letter.entry.arrival.received);
    for (fr, en, at) in stored.into_iter().chain([fetched]) {
        out.line(format!("{} {}", label(fr, en), when(at, out.lang)));
    }
    let (fr, en) = match header.importance {
        Importance::Information => ("pour information", "for information"),
        Importance::Action => (
            "une action est attendue de vous",
            "something is expected of you",
        ),
        Importance::Legal => ("a des effets juridiques", "has legal effects"),
    };
    out.line(format!(
        "{} {}",
        label("Portée", "Matter"),
        out.pick(fr, en)
    ));
    let proof = out.pick(
        "vérifiée sur cet appareil, jusqu'à la racine de la fédération",
        "verified on this device, up to the federation's root",
    );
    out.line(format!(
        "{} {}",
        label("Origine", "Origin"),
        out.paint(Colour::Good, proof)
    ));
    if let Some(ended) = letter.key_ended {
        let said = out.pick(
            "signée d'une clé que l'expéditeur a retirée avant que cet appareil ne la reçoive ; si elle compte, demandez-lui. Clé retirée le",
            "signed with a key that its sender ended before this device got it; if it matters, ask the sender. Key ended on",
        );
        out.line(format!(
            "{} {} {}",
            label("Attention", "Caution"),
            out.paint(Colour::Doubt, said),
            when(ended, out.lang)
        ));
    }
    if let Some(later) = letter.superseded_by {
        out.line(format!("{} {later}", label("Remplacée par", "Replaced by")));
    }
    out.line("");
    match verified.content() {
        Ok(content) => body(content, verified, out),
        Err(error) => {
            out.line(out.pick(
                "Cette lettre est authentique mais ne peut pas être affichée :",
                "This letter is authentic but cannot be shown:",
            ));
            out.line(match out.lang {
                Lang::Fr => error.code().to_string(),
                Lang::En => plain(&error.to_string()).into_owned(),
            });
        }
    }
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
            out.pick("Valable jusqu'au", "Valid until"),
            when(until, out.lang)
        ));
    }
}

fn details(content: &Content, out: Output) {
    let lang = out.lang.tag();
    let say = |fr: &'static str, en: &'static str, value: &str| {
        out.line(format!("{} : {}", out.pick(fr, en), plain(value)));
    };
    let text = |text: &Text| text.in_language(lang).to_owned();
    if !matches!(content.kind, Kind::Notice(_)) {
        out.line("");
    }
    match &content.kind {
        Kind::Notice(_) => {}
        Kind::Procedure(procedure) => {
            say(
                "Démarche",
                "Procedure",
                &format!("{} {}", procedure.kind, procedure.id),
            );
            let (fr, en) = match procedure.status {
                ProcedureStatus::New => ("nouvelle", "new"),
                ProcedureStatus::InProgress => ("en cours", "in progress"),
                ProcedureStatus::Closed => ("terminée", "closed"),
            };
            say(
                "État",
                "State",
                &format!("{} ({})", text(&procedure.status_label), out.pick(fr, en)),
            );
            say("Étape du", "Step of", &when(procedure.event, out.lang));
            for (fr, en, at) in [
                (
                    "Échéance, début",
                    "Milestone, start",
                    procedure.milestone_start,
                ),
                ("Échéance, fin", "Milestone, end", procedure.milestone_end),
            ] {
                if let Some(at) = at {
                    say(fr, en, &when(at, out.lang));
                }
            }
        }
        Kind::Appointment(appointment) => {
            let (fr, en) = match appointment.status {
                AppointmentStatus::Planned => ("à venir", "to come"),
                AppointmentStatus::Moved => ("déplacé", "moved"),
                AppointmentStatus::Cancelled => ("annulé", "cancelled"),
                AppointmentStatus::Past => ("passé", "past"),
            };
            let at = when(appointment.starts, out.lang);
            say(
                "Rendez-vous",
                "Appointment",
                &format!("{at} ({})", out.pick(fr, en)),
            );
            if let Some(place) = &appointment.place {
                say("Lieu", "Place", &text(place));
            }
        }
        Kind::Document(document) => {
            let size = document.size_bytes;
            say(
                "Document",
                "Document",
                &format!("{} ({}, {size} o)", document.file_name, document.media_type),
            );
        }
        Kind::ConsentRequest(request) => {
            say("Demandé par", "Asked by", request.requester.as_str());
            say("Données", "Data", &text(&request.data));
            say("Pour", "For", &text(&request.purpose));
            say("Base légale", "Legal basis", request.legal_basis.as_str());
            say("Jusqu'au", "Until", &when(request.until, out.lang));
        }
        Kind::AccessNotice(access) => {
            say("Consulté par", "Read by", access.accessor.as_str());
            say("Données", "Data", &text(&access.data));
            say("Pour", "For", &text(&access.purpose));
            say("Base légale", "Legal basis", access.legal_basis.as_str());
            say("Le", "On", &when(access.accessed, out.lang));
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
    let label = label.unwrap_or(out.pick("Lien", "Link"));
    out.line("");
    if clickable {
        let good = out.paint(Colour::Good, link.url.host());
        out.line(format!("{} [{good}] {}", plain(label), link.url));
    } else {
        let doubt = out.pick(
            "cet hôte n'est pas parmi ceux que l'administration a déclarés",
            "this host is not among those that the authority declared",
        );
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
