//! Each kind survives the way to JSON and back; what is misspelt or malformed is named.

use serde_json::{Value, json};

use super::*;

fn every_kind() -> [Value; 7] {
    let notice = json!({
        "title": {"en": "Hello", "fr": "Bonjour"},
        "body": {"fr": "Votre dossier.\nMerci."},
        "private_body": {"fr": "Privé"},
        "link": {"url": "https://interieur.gouv.fr/a", "label": {"fr": "Suivre"}},
        "valid_until": "2026-12-01T00:00:00Z",
        "subheading": {"fr": "OTV"},
        "icon": "fr-icon-mail-line",
    });
    [
        json!({ "notice": notice }),
        json!({ "procedure": {
            "type": "OTV", "id": "A-5", "status": "wip", "status_label": {"fr": "En cours"},
            "event": "2026-06-11T12:00:00.123Z", "notice": notice,
            "parent": {"partner": "dinum-dn", "type": "JeDéménage", "id": "B-7"},
            "milestone_start": "2026-06-12T12:00:00Z", "milestone_end": "2026-06-12T13:00:00Z",
            "channel": "ami",
        }}),
        json!({ "appointment": {
            "id": "7c", "status": "moved", "starts": "2026-06-12T12:00:00Z",
            "ends": "2026-06-12T13:00:00Z", "place": {"fr": "Mairie"}, "notice": notice,
        }}),
        json!({ "document": {
            "notice": notice, "file_name": "a.pdf", "media_type": "application/pdf",
            "size_bytes": 3, "chunks": ["11".repeat(32)], "content_key": "22".repeat(32),
        }}),
        json!({ "consent_request": {
            "request_id": "33".repeat(16), "requester": "caf.gouv.fr", "data": {"fr": "QF"},
            "purpose": {"fr": "Cantine"}, "legal_basis": "L114-8", "until": "2027-01-01T00:00:00Z",
            "notice": notice,
        }}),
        json!({ "access_notice": {
            "accessor": "interieur.gouv.fr", "data": {"fr": "Permis"}, "purpose": {"fr": "Contrôle"},
            "legal_basis": "L225-4", "accessed": "2026-06-12T12:00:00Z", "notice": notice,
        }}),
        json!({ "question": {
            "question_id": "44".repeat(16), "notice": notice, "choices": [{"fr": "Oui"}, {"fr": "Non"}],
            "free_answer": true,
        }}),
    ]
}

#[test]
fn every_kind_reads_back_as_it_was_written() {
    for value in every_kind() {
        let content = from_json(value.clone()).expect("whole");
        assert_eq!(to_json(&content), value);
    }
}

#[test]
fn a_string_is_french() {
    let content =
        from_json(json!({ "notice": {"title": "Bonjour", "body": "Texte"} })).expect("whole");
    assert_eq!(content.notice().title.in_language("fr"), "Bonjour");
}

#[test]
fn what_is_wrong_is_named() {
    for (value, named) in [
        (
            json!({ "notice": {"title": "a", "body": "b", "privat_body": "c"} }),
            "privat_body",
        ),
        (json!({ "notice": {"title": "a"} }), "body"),
        (json!({ "notise": {"title": "a", "body": "b"} }), "notise"),
        (
            json!({ "notice": {"title": "a", "body": "b", "valid_until": "demain"} }),
            "valid_until",
        ),
        (
            json!({ "notice": {"title": "a\u{202e}", "body": "b"} }),
            "notice.title.fr",
        ),
        (
            json!({ "notice": {"title": "a", "body": "b", "link": {"url": "http://a.fr"}} }),
            "link.url",
        ),
        (
            json!({ "notice": {"title": {"br": "a"}, "body": "b"} }),
            "notice.title",
        ),
        (json!("notice"), "variant"),
        (json!([]), ""),
    ] {
        let error = from_json(value.clone()).expect_err("refused").to_string();
        assert!(error.contains(named), "{value}: {error}");
    }
    let [.., mut question] = every_kind();
    question["question"]["question_id"] = "44".into();
    assert!(
        from_json(question)
            .expect_err("short")
            .to_string()
            .contains("question_id")
    );
}
