use super::super::code_of;
use super::*;
use crate::codec::schema::{LINK, NOTICE, QUESTION, TEXT, TRANSLATION};

fn said(language: &str, text: &str) -> Message {
    Message::new(&TRANSLATION)
        .with("language", language)
        .with("text", text)
}

fn text_of(translations: impl IntoIterator<Item = Message>) -> Message {
    Message::new(&TEXT).with_all("translations", translations)
}

fn a_notice() -> Message {
    Message::new(&NOTICE)
        .with("title", text_of([said("fr", "Titre")]))
        .with("body", text_of([said("fr", "Corps\nici")]))
}

fn content(kind: &str, body: Message) -> Message {
    Message::new(&CONTENT)
        .with("version", 1u32)
        .with(kind, body)
}

fn check_notice(notice: Message) -> &'static str {
    code_of(check(&content("notice", notice).encode()))
}

#[test]
fn a_notice_and_its_refused_neighbours() {
    assert_eq!(check(&content("notice", a_notice()).encode()), Ok("notice"));
    assert_eq!(check_notice(a_notice().without("title")), "FIELD_MISSING");
    assert_eq!(check_notice(a_notice().without("body")), "FIELD_MISSING");
    assert_eq!(
        code_of(check(
            &Message::new(&CONTENT).with("version", 1u32).encode()
        )),
        "FIELD_MISSING"
    );
    assert_eq!(
        code_of(check(
            &content("notice", a_notice())
                .replacing("version", 2u32)
                .encode()
        )),
        "UNSUPPORTED_VERSION"
    );
    assert_eq!(code_of(check(&[0xff; CONTENT_MAX + 1])), "TOO_LONG");
}

#[test]
fn case_07_61_hostile_text() {
    let title =
        |text: &str| check_notice(a_notice().replacing("title", text_of([said("fr", text)])));
    assert_eq!(title("<b>pas du HTML</b>"), "accepted");
    for bad in [
        "a\nb",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\0b",
        "a\u{85}b",
        "\u{200f}",
        "\t",
    ] {
        assert_eq!(title(bad), "FIELD_INVALID", "{bad:?}");
    }
    assert_eq!(title(&"t".repeat(512)), "accepted");
    assert_eq!(title(&"t".repeat(513)), "TOO_LONG");
}

#[test]
fn languages() {
    let title = |all: Vec<Message>| check_notice(a_notice().replacing("title", text_of(all)));
    assert_eq!(
        title(vec![said("en", "a"), said("fr", "b"), said("gsw-fr", "c")]),
        "accepted"
    );
    assert_eq!(
        title(vec![said("fr", "b"), said("en", "a")]),
        "NOT_CANONICAL"
    );
    assert_eq!(
        title(vec![said("fr", "b"), said("fr", "a")]),
        "NOT_CANONICAL"
    );
    assert_eq!(title(vec![said("FR", "b")]), "FIELD_INVALID");
    assert_eq!(title(vec![said("de", "b")]), "FIELD_MISSING");
    assert_eq!(title(vec![]), "FIELD_MISSING");
}

#[test]
fn links() {
    let link =
        |url: &str| check_notice(a_notice().with("link", Message::new(&LINK).with("url", url)));
    for good in [
        "https://www.interieur.gouv.fr",
        "https://a.fr:8443/x?y=%20#z",
        "https://a.fr/",
    ] {
        assert_eq!(link(good), "accepted", "{good}");
    }
    for bad in [
        "http://a.fr",
        "https://",
        "https://A.fr",
        "https://u@a.fr/",
        "https://a.fr:/",
        "https://a.fr:70000/",
        "https://a.fr/é",
        "https://a.fr/ x",
        "https://a.fr/%2",
        "javascript:alert(1)",
        "https://аbc.fr/",
    ] {
        assert_eq!(link(bad), "FIELD_INVALID", "{bad}");
    }
}

#[test]
fn a_question_needs_a_possible_answer() {
    let question = || {
        Message::new(&QUESTION)
            .with("question_id", [1; 16])
            .with("notice", a_notice())
    };
    let check_question = |q: Message| code_of(check(&content("question", q).encode()));
    assert_eq!(check_question(question()), "FIELD_MISSING");
    assert_eq!(
        check_question(question().with("free_answer", true)),
        "accepted"
    );
    let choice = || text_of([said("fr", "oui")]);
    assert_eq!(
        check_question(question().with_all("choices", (0..16).map(|_| choice()))),
        "accepted"
    );
    assert_eq!(
        check_question(question().with_all("choices", (0..17).map(|_| choice()))),
        "TOO_MANY"
    );
}
