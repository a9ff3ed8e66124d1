//! Contents: ENV-7.

use pli_protocol::limits::{
    BODY_MAX, CHOICES_MAX, CHUNK_LEN, INTEGER_MAX, LINK_URL_MAX, TITLE_MAX, TRANSLATIONS_MAX,
};
use pli_protocol::wire::content::Kind;
use pli_protocol::{codec, wire};
use serde_json::json;

use super::annotate::Annotator;
use super::case::{Ask, File};
use super::samples::{NOW_MS, content_wire, hex};

pub(super) fn file(annotator: &Annotator) -> File {
    let mut file = File::new(
        "contents",
        "L0",
        "What is sealed, and what a device refuses to show",
    );
    let mut base = ("", wire::Content::default());
    for (id, title, requirements, bend, answer) in CASES {
        let mut content = match answer {
            Answer::Ok(_) => content_wire(),
            Answer::Refused(_) => base.1.clone(),
        };
        bend(&mut content);
        let bytes = codec::encode(&content);
        let input = json!({ "content": hex(&bytes) });
        let ask = Ask {
            id,
            title,
            requirements,
            op: "content.check",
            input,
        };
        match answer {
            Answer::Ok(kind) => {
                file.accepts(ask, json!({ "kind": kind }));
                base = (id, content);
            }
            Answer::Refused(code) => {
                file.refuses(ask, base.0, code);
            }
        }
        if bytes.len() < 2_000 {
            file.annotate("content", annotator.message("Content", "", &bytes));
        }
    }
    file
}

enum Answer {
    Ok(&'static str),
    Refused(&'static str),
}
use Answer::{Ok, Refused};

type Bend = fn(&mut wire::Content);
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    Bend,
    Answer,
);

/// Each refused case is the accepted one above it, bent.
#[rustfmt::skip]
const CASES: &[Row] = &[
    ("notice", "a title and a body in two languages", &["ENV-7.1", "ENV-7.2", "ENV-7.6", "ENV-7.7"], |_| {}, Ok("notice")),
    ("version-0", "no version", &["ENV-7.1"], |c| c.version = 0, Refused("UNSUPPORTED_VERSION")),
    ("version-2", "a version of the future", &["ENV-7.1"], |c| c.version = 2, Refused("UNSUPPORTED_VERSION")),
    ("no-kind", "no kind", &["ENV-7.12"], |c| c.kind = None, Refused("FIELD_MISSING")),
    ("no-title", "no title", &["ENV-7.2"], |c| notice(c).title = None, Refused("FIELD_MISSING")),
    ("no-body", "no body", &["ENV-7.2"], |c| notice(c).body = None, Refused("FIELD_MISSING")),
    ("empty-title", "an empty title", &["ENV-7.2"], |c| title(c).clear(), Refused("FIELD_MISSING")),
    ("title-over", "a title of TITLE_MAX bytes and one", &["ENV-7.3"], |c| *title(c) = "t".repeat(TITLE_MAX + 1), Refused("TOO_LONG")),
    ("body-over", "a body of BODY_MAX bytes and one", &["ENV-7.3"], |c| body(c).translations[0].text = "t".repeat(BODY_MAX + 1), Refused("TOO_LONG")),
    ("control", "a bell in the body", &["ENV-7.4"], |c| body(c).translations[0].text.push('\u{7}'), Refused("FIELD_INVALID")),
    ("nul", "a NUL in the title", &["ENV-7.4"], |c| title(c).push('\0'), Refused("FIELD_INVALID")),
    ("escape", "a terminal escape in the body", &["ENV-7.4"], |c| body(c).translations[0].text.push_str("\u{1b}[2J"), Refused("FIELD_INVALID")),
    ("carriage-return", "a carriage return in the body", &["ENV-7.4"], |c| body(c).translations[0].text.push_str("\r\n"), Refused("FIELD_INVALID")),
    ("bidi", "a direction override in the title", &["ENV-7.4"], |c| title(c).push('\u{202e}'), Refused("FIELD_INVALID")),
    ("isolate", "a direction isolate in the body", &["ENV-7.4"], |c| body(c).translations[0].text.push('\u{2066}'), Refused("FIELD_INVALID")),
    ("line-separator", "a Unicode line separator in the body", &["ENV-7.4"], |c| body(c).translations[0].text.push('\u{2028}'), Refused("FIELD_INVALID")),
    ("title-lines", "a title of two lines", &["ENV-7.5"], |c| title(c).push('\n'), Refused("FIELD_INVALID")),
    ("language-upper", "a language in upper case", &["ENV-7.6"], |c| notice(c).title.as_mut().expect("a title").translations[0].language = "EN".into(), Refused("FIELD_INVALID")),
    ("language-order", "languages descending", &["ENV-7.6"], |c| notice(c).title.as_mut().expect("a title").translations.reverse(), Refused("NOT_CANONICAL")),
    ("language-twice", "a language twice", &["ENV-7.6"], |c| notice(c).title.as_mut().expect("a title").translations[0].language = "fr".into(), Refused("NOT_CANONICAL")),
    ("language-neither", "neither French nor English", &["ENV-7.7"], |c| body(c).translations = vec![translation("br", "Demat")], Refused("FIELD_MISSING")),
    ("validity", "a validity at 2^53", &["ENV-7.10"], |c| notice(c).valid_until_ms = INTEGER_MAX + 1, Refused("FIELD_INVALID")),
    ("critical", "an unknown critical extension", &["SIG-6.2"], |c| c.extensions = vec![wire::Extension { id: 1, critical: true, value: vec![1].into() }], Refused("UNKNOWN_CRITICAL_EXTENSION")),
    ("extensions", "two unknown extensions, not critical", &["SIG-6.3"], |c| c.extensions = [1, 2].map(extension).to_vec(), Ok("notice")),
    ("extensions-order", "the same, descending", &["SIG-6.1"], |c| c.extensions.reverse(), Refused("NOT_CANONICAL")),
    ("title-limit", "a title of exactly TITLE_MAX bytes", &["ENV-7.3"], |c| *title(c) = "t".repeat(TITLE_MAX), Ok("notice")),
    ("title-limit-over", "one byte more", &["ENV-7.3"], |c| title(c).push('t'), Refused("TOO_LONG")),
    ("languages", "as many languages as may be", &["ENV-7.3", "ENV-7.6"], |c| body(c).translations = languages(TRANSLATIONS_MAX - 1), Ok("notice")),
    ("languages-over", "one more", &["ENV-7.3"], |c| body(c).translations = languages(TRANSLATIONS_MAX), Refused("TOO_MANY")),
    ("hostile", "markup and lines in a body are text", &["ENV-7.4"], |c| body(c).translations[0].text = "<script>alert(1)</script>\n\n**x** 😀".into(), Ok("notice")),
    ("hostile-delete", "a DEL in it", &["ENV-7.4"], |c| body(c).translations[0].text.push('\u{7f}'), Refused("FIELD_INVALID")),
    ("link", "a link", &["ENV-7.8"], |c| *link(c) = "https://www.interieur.gouv.fr/rdv?n=1#a".into(), Ok("notice")),
    ("link-http", "a link without TLS", &["ENV-7.8"], |c| *link(c) = "http://www.interieur.gouv.fr/".into(), Refused("FIELD_INVALID")),
    ("link-script", "a script", &["ENV-7.8"], |c| *link(c) = "javascript:alert(1)".into(), Refused("FIELD_INVALID")),
    ("link-user", "a user name that looks like a host", &["ENV-7.8"], |c| *link(c) = "https://impots.gouv.fr@evil.example/".into(), Refused("FIELD_INVALID")),
    ("link-host", "a host outside of ASCII", &["ENV-7.8"], |c| *link(c) = "https://www.intérieur.gouv.fr/".into(), Refused("FIELD_INVALID")),
    ("link-upper", "a host in upper case", &["ENV-7.8"], |c| *link(c) = "https://WWW.interieur.gouv.fr/".into(), Refused("FIELD_INVALID")),
    ("link-space", "a space", &["ENV-7.8"], |c| *link(c) = "https://www.interieur.gouv.fr/a b".into(), Refused("FIELD_INVALID")),
    ("link-empty", "an empty link", &["ENV-7.2"], |c| link(c).clear(), Refused("FIELD_MISSING")),
    ("link-long", "a link over LINK_URL_MAX", &["ENV-7.3"], |c| *link(c) = format!("https://a.fr/{}", "x".repeat(LINK_URL_MAX)), Refused("TOO_LONG")),
    ("procedure", "a step of a procedure", &["ENV-7.2", "ENV-7.9"], procedure, Ok("procedure")),
    ("procedure-status-0", "no status", &["ENV-7.2"], |c| in_procedure(c).status = 0, Refused("FIELD_MISSING")),
    ("procedure-status-9", "an unknown status", &["ENV-7.9"], |c| in_procedure(c).status = 9, Refused("FIELD_INVALID")),
    ("procedure-notice", "nothing to show", &["ENV-7.2"], |c| in_procedure(c).notice = None, Refused("FIELD_MISSING")),
    ("procedure-id", "no id", &["ENV-7.2"], |c| in_procedure(c).id.clear(), Refused("FIELD_MISSING")),
    ("procedure-end", "a milestone that ends before it starts", &["ENV-7.10"], |c| (in_procedure(c).milestone_start_ms, in_procedure(c).milestone_end_ms) = (NOW_MS, NOW_MS - 1), Refused("FIELD_INVALID")),
    ("appointment", "an appointment", &["ENV-7.2", "ENV-7.10"], appointment, Ok("appointment")),
    ("appointment-start", "no start", &["ENV-7.2"], |c| in_appointment(c).starts_ms = 0, Refused("FIELD_MISSING")),
    ("appointment-end", "ends before it starts", &["ENV-7.10"], |c| in_appointment(c).ends_ms = NOW_MS - 1, Refused("FIELD_INVALID")),
    ("appointment-status", "an unknown status", &["ENV-7.9"], |c| in_appointment(c).status = -1, Refused("FIELD_INVALID")),
    ("document", "a document of two chunks", &["ENV-7.11"], document, Ok("document")),
    ("document-chunks", "a chunk is missing", &["ENV-7.11"], |c| drop(in_document(c).chunks.pop()), Refused("FIELD_INVALID")),
    ("document-hash", "a hash of 31 bytes", &["ENV-7.11"], |c| in_document(c).chunks[0].truncate(31), Refused("FIELD_INVALID")),
    ("document-key", "a key of 16 bytes", &["ENV-7.11"], |c| in_document(c).content_key.truncate(16), Refused("FIELD_INVALID")),
    ("document-path", "a file name that leaves its folder", &["ENV-7.11"], |c| in_document(c).file_name = "../x.pdf".into(), Refused("FIELD_INVALID")),
    ("document-type", "a media type with parameters", &["ENV-7.11"], |c| in_document(c).media_type = "text/html; charset=utf-8".into(), Refused("FIELD_INVALID")),
    ("question", "a question with choices", &["ENV-7.11"], question, Ok("question")),
    ("question-none", "neither choices nor a free answer", &["ENV-7.11"], |c| in_question(c).choices.clear(), Refused("FIELD_MISSING")),
    ("question-many", "a choice too many", &["ENV-7.3"], |c| in_question(c).choices = vec![text("Oui"); CHOICES_MAX + 1], Refused("TOO_MANY")),
    ("question-id", "an id of 15 bytes", &["ENV-7.11"], |c| in_question(c).question_id.truncate(15), Refused("FIELD_INVALID")),
    ("consent", "a request for consent", &["ENV-7.2"], consent, Ok("consent_request")),
    ("consent-requester", "a requester that is no authority", &["ENV-7.11"], |c| in_consent(c).requester = "Impôts".into(), Refused("FIELD_INVALID")),
    ("consent-purpose", "no purpose", &["ENV-7.2"], |c| in_consent(c).purpose = None, Refused("FIELD_MISSING")),
    ("access", "news of an access", &["ENV-7.2"], access, Ok("access_notice")),
    ("access-when", "no time", &["ENV-7.2"], |c| in_access(c).accessed_ms = 0, Refused("FIELD_MISSING")),
];

macro_rules! within {
    ($($name:ident: $kind:ident = $type:ident),+ $(,)?) => {
        $(fn $name(content: &mut wire::Content) -> &mut wire::$type {
            match content.kind.as_mut() {
                Some(Kind::$kind(inner)) => inner,
                other => unreachable!("a case bends {other:?}"),
            }
        })+
    };
}

within!(
    notice: Notice = Notice,
    in_procedure: Procedure = Procedure,
    in_appointment: Appointment = Appointment,
    in_document: Document = Document,
    in_question: Question = Question,
    in_consent: ConsentRequest = ConsentRequest,
    in_access: AccessNotice = AccessNotice,
);

fn title(content: &mut wire::Content) -> &mut String {
    &mut notice(content)
        .title
        .as_mut()
        .expect("a title")
        .translations[0]
        .text
}

fn body(content: &mut wire::Content) -> &mut wire::Text {
    notice(content).body.as_mut().expect("a body")
}

fn link(content: &mut wire::Content) -> &mut String {
    &mut notice(content).link.get_or_insert_default().url
}

fn translation(language: &str, text: &str) -> wire::Translation {
    wire::Translation {
        language: language.into(),
        text: text.into(),
    }
}

fn text(fr: &str) -> wire::Text {
    wire::Text {
        translations: vec![translation("fr", fr)],
    }
}

/// French and so many others, ascending.
fn languages(others: usize) -> Vec<wire::Translation> {
    let tags = ('a'..='z').map(|letter| format!("a{letter}")).take(others);
    tags.map(|tag| translation(&tag, "x"))
        .chain([translation("fr", "x")])
        .collect()
}

fn extension(id: u32) -> wire::Extension {
    wire::Extension {
        id,
        critical: false,
        value: vec![0xe0].into(),
    }
}

fn procedure(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::Procedure(wire::Procedure {
        r#type: "passeport".into(),
        id: "2027-000123".into(),
        status: 2,
        status_label: Some(text("En cours")),
        event_ms: NOW_MS,
        notice,
        ..wire::Procedure::default()
    }));
}

fn appointment(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::Appointment(wire::Appointment {
        id: "rdv-7".into(),
        status: 1,
        starts_ms: NOW_MS,
        ends_ms: NOW_MS,
        place: Some(text("Mairie\n1 place de la République")),
        notice,
    }));
}

fn document(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::Document(wire::Document {
        notice,
        file_name: "attestation.pdf".into(),
        media_type: "application/pdf".into(),
        size_bytes: CHUNK_LEN as u64 + 1,
        chunks: vec![vec![1; 32].into(), vec![2; 32].into()],
        content_key: vec![3; 32].into(),
    }));
}

fn question(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::Question(wire::Question {
        question_id: vec![4; 16].into(),
        notice,
        choices: vec![text("Oui"), text("Non")],
        free_answer: false,
    }));
}

fn consent(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::ConsentRequest(wire::ConsentRequest {
        request_id: vec![5; 16].into(),
        requester: "social.gouv.fr".into(),
        data: Some(text("Vos revenus de 2026")),
        purpose: Some(text("Calculer vos droits")),
        legal_basis: "CRPA L114-8".into(),
        until_ms: NOW_MS,
        notice,
    }));
}

fn access(content: &mut wire::Content) {
    let notice = Some(notice(content).clone());
    content.kind = Some(Kind::AccessNotice(wire::AccessNotice {
        accessor: "social.gouv.fr".into(),
        data: Some(text("Vos revenus de 2026")),
        purpose: Some(text("Calculer vos droits")),
        legal_basis: "CRPA L114-8".into(),
        accessed_ms: NOW_MS,
        notice,
    }));
}
