//! A content of each kind is read back as it was written; each neighbour with one fault is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::code::Code;
use crate::codec;
use crate::limits;
use crate::wire;

fn text(words: &str) -> Option<wire::Text> {
    translated(&[("fr", words)])
}

fn translated(translations: &[(&str, &str)]) -> Option<wire::Text> {
    let translations = translations
        .iter()
        .map(|(language, text)| wire::Translation {
            language: (*language).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    Some(wire::Text { translations })
}

fn notice() -> wire::Notice {
    wire::Notice {
        title: translated(&[("en", "Your request"), ("fr", "Votre demande")]),
        body: text("Nous avons bien reçu votre demande.\nMerci."),
        private_body: text("Ceci est privé."),
        link: Some(wire::Link {
            url: "https://otv.interieur.gouv.fr/a-5-jgbj5vmoy?etape=2#suite".into(),
            label: text("Suivre ma demande"),
        }),
        valid_until_ms: 1_767_398_400_000,
        subheading: text("Opération tranquillité vacances"),
        icon: "fr-icon-mail-line".into(),
    }
}

fn procedure() -> wire::Procedure {
    wire::Procedure {
        r#type: "OTV".into(),
        id: "A-5-JGBJ5VMOY".into(),
        status: wire::ProcedureStatus::New.into(),
        status_label: text("Brouillon"),
        event_ms: 1_764_240_900_000,
        notice: Some(notice()),
        parent: Some(wire::ProcedureReference {
            partner: "dinum-dn".into(),
            r#type: "JeDéménage".into(),
            id: "B-7-CGFD6SVYT".into(),
        }),
        milestone_start_ms: 1_766_790_000_000,
        milestone_end_ms: 1_767_394_800_000,
        channel: "ami".into(),
    }
}

fn document() -> wire::Document {
    wire::Document {
        notice: Some(notice()),
        file_name: "Attestation de quotient familial.pdf".into(),
        media_type: "application/pdf".into(),
        size_bytes: limits::CHUNK_LEN as u64 + 1,
        chunks: vec![Bytes::from(vec![1; 32]), Bytes::from(vec![2; 32])],
        content_key: Bytes::from(vec![3; 32]),
    }
}

fn of(kind: wire::content::Kind) -> wire::Content {
    wire::Content {
        version: VERSION,
        kind: Some(kind),
        extensions: Vec::new(),
    }
}

fn every_kind() -> [wire::Content; 7] {
    use wire::content::Kind as Wire;
    [
        of(Wire::Notice(notice())),
        of(Wire::Procedure(procedure())),
        of(Wire::Appointment(wire::Appointment {
            id: "7f9c".into(),
            status: wire::AppointmentStatus::Planned.into(),
            starts_ms: 1_766_790_000_000,
            ends_ms: 1_766_791_800_000,
            place: text("Mairie de Toulouse\n1 place du Capitole"),
            notice: Some(notice()),
        })),
        of(Wire::Document(document())),
        of(Wire::ConsentRequest(wire::ConsentRequest {
            request_id: Bytes::from(vec![4; 16]),
            requester: "caf.gouv.fr".into(),
            data: text("Quotient familial"),
            purpose: text("Calcul du tarif de la cantine"),
            legal_basis: "CRPA L114-8".into(),
            until_ms: 1_790_000_000_000,
            notice: Some(notice()),
        })),
        of(Wire::AccessNotice(wire::AccessNotice {
            accessor: "interieur.gouv.fr".into(),
            data: text("Permis de conduire"),
            purpose: text("Contrôle routier"),
            legal_basis: "Code de la route L225-4".into(),
            accessed_ms: 1_764_240_900_000,
            notice: Some(notice()),
        })),
        of(Wire::Question(wire::Question {
            question_id: Bytes::from(vec![5; 16]),
            notice: Some(notice()),
            choices: vec![text("Oui").expect("made"), text("Non").expect("made")],
            free_answer: false,
        })),
    ]
}

fn refusal(content: wire::Content) -> ContentError {
    Content::decode(&codec::encode(&content)).expect_err("refused")
}

/// The refusal of a notice with one change.
fn notice_refusal(change: impl FnOnce(&mut wire::Notice)) -> ContentError {
    let mut changed = notice();
    change(&mut changed);
    refusal(of(wire::content::Kind::Notice(changed)))
}

fn procedure_refusal(change: impl FnOnce(&mut wire::Procedure)) -> ContentError {
    let mut changed = procedure();
    change(&mut changed);
    refusal(of(wire::content::Kind::Procedure(changed)))
}

fn document_refusal(change: impl FnOnce(&mut wire::Document)) -> ContentError {
    let mut changed = document();
    change(&mut changed);
    refusal(of(wire::content::Kind::Document(changed)))
}

#[test]
fn every_kind_is_read_and_written_to_the_same_bytes() {
    for content in every_kind() {
        let bytes = codec::encode(&content);
        let read = Content::decode(&bytes).expect("every field fits");
        assert_eq!(read.encode().expect("what was read fits"), bytes);
        assert_eq!(read.notice().title.in_language("en"), "Your request");
        assert_eq!(
            read.notice().body.in_language("en"),
            "Nous avons bien reçu votre demande.\nMerci."
        );
    }
}

#[test]
fn case_06_other_versions_and_kinds_are_refused() {
    for version in [0, 2, u32::MAX] {
        let mut content = every_kind()[0].clone();
        content.version = version;
        assert_eq!(
            refusal(content).code(),
            Code::UnsupportedVersion,
            "version {version}"
        );
    }
    let empty = wire::Content {
        version: VERSION,
        kind: None,
        extensions: Vec::new(),
    };
    assert_eq!(refusal(empty).problem, Problem::UnknownKind);
    // Field 9 of the oneof does not exist in this version.
    let unknown = Bytes::from_static(&[0x08, 0x01, 0x4a, 0x00]);
    let error = Content::decode(&unknown).expect_err("not known");
    assert_eq!(error.code(), Code::NotCanonical);
}

#[test]
fn case_05_extensions_are_kept_unless_critical() {
    let extension = |id, critical| wire::Extension {
        id,
        critical,
        value: Bytes::from_static(b"x"),
    };
    let mut content = every_kind()[0].clone();
    content.extensions = vec![extension(7, false), extension(9, false)];
    let bytes = codec::encode(&content);
    let read = Content::decode(&bytes).expect("may be ignored");
    assert_eq!(read.encode().expect("fits"), bytes);

    content.extensions[1].critical = true;
    assert_eq!(
        refusal(content.clone()).code(),
        Code::UnknownCriticalExtension
    );
    content.extensions = vec![extension(9, false), extension(9, false)];
    assert_eq!(refusal(content.clone()).code(), Code::NotCanonical);
    content.extensions = (0..)
        .take(limits::EXTENSIONS_MAX + 1)
        .map(|id| extension(id, false))
        .collect();
    assert_eq!(refusal(content.clone()).code(), Code::TooMany);
    content.extensions = vec![extension(1, false)];
    content.extensions[0].value = Bytes::from(vec![0; limits::EXTENSION_VALUE_MAX + 1]);
    assert_eq!(refusal(content.clone()).code(), Code::TooLong);
    // SIG-6: length, order, critical, one extension after the other.
    content.extensions.insert(0, extension(1, false));
    content.extensions[1].critical = true;
    assert_eq!(refusal(content.clone()).code(), Code::TooLong);
    content.extensions[1].value = Bytes::from_static(b"x");
    assert_eq!(refusal(content.clone()).code(), Code::NotCanonical);
    content.extensions[0].critical = true;
    assert_eq!(refusal(content).code(), Code::UnknownCriticalExtension);
}

#[test]
fn case_07_nul_controls_and_bidi_are_refused_in_every_text() {
    for hostile in [
        "a\0b",
        "a\u{7}b",
        "a\u{1b}[31mb",
        "a\rb",
        "a\tb",
        "a\u{7f}b",
        "a\u{9b}31mb",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{2029}b",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{61c}b",
        "a\u{200f}b",
    ] {
        for change in [
            (|notice, text| notice.title = text) as fn(&mut wire::Notice, Option<wire::Text>),
            |notice, text| notice.body = text,
            |notice, text| notice.private_body = text,
            |notice, text| notice.subheading = text,
            |notice, text| notice.link.as_mut().expect("has a link").label = text,
        ] {
            let error = notice_refusal(|notice| change(notice, text(hostile)));
            assert_eq!(error.code(), Code::FieldInvalid, "{hostile:?}: {error}");
        }
        let error = procedure_refusal(|procedure| procedure.id = hostile.into());
        assert_eq!(error.code(), Code::FieldInvalid, "{hostile:?}: {error}");
    }
    // Bytes that are not UTF-8 do not decode: Notice { title { fr: 0xff } }.
    let not_utf8 = Bytes::from_static(&[
        0x08, 1, 0x12, 11, 0x0a, 9, 0x0a, 7, 0x0a, 2, b'f', b'r', 0x12, 1, 0xff,
    ]);
    assert_eq!(
        Content::decode(&not_utf8).expect_err("not UTF-8").code(),
        Code::Decode
    );
}

#[test]
fn one_line_fields_have_no_line_break() {
    let error = notice_refusal(|notice| notice.title = text("a\nb"));
    assert_eq!(error.problem, Problem::LineBreak { at: 1 });
    assert_eq!(
        error.to_string(),
        "notice.title.fr: line break at byte 1; this field is one line"
    );
    let error = procedure_refusal(|procedure| procedure.status_label = text("a\nb"));
    assert_eq!(error.problem, Problem::LineBreak { at: 1 });
}

#[test]
fn r15_lengths_and_counts_at_the_limit_and_one_more() {
    let long = |bytes| text(&"a".repeat(bytes));
    let mut at_limit = notice();
    at_limit.title = long(limits::TITLE_MAX);
    at_limit.body = long(limits::BODY_MAX);
    let content = of(wire::content::Kind::Notice(at_limit));
    Content::decode(&codec::encode(&content)).expect("at the limit");

    for error in [
        notice_refusal(|notice| notice.title = long(limits::TITLE_MAX + 1)),
        notice_refusal(|notice| notice.body = long(limits::BODY_MAX + 1)),
        notice_refusal(|notice| notice.private_body = long(limits::BODY_MAX + 1)),
        notice_refusal(|notice| notice.icon = "i".repeat(limits::REFERENCE_MAX + 1)),
        notice_refusal(|notice| {
            let url = format!("https://a.fr/{}", "a".repeat(limits::LINK_URL_MAX));
            notice.link.as_mut().expect("has a link").url = url;
        }),
        procedure_refusal(|procedure| procedure.r#type = "a".repeat(limits::REFERENCE_MAX + 1)),
        document_refusal(|document| document.file_name = "a".repeat(limits::FILE_NAME_MAX + 1)),
        document_refusal(|document| document.media_type = "a".repeat(limits::MEDIA_TYPE_MAX + 1)),
    ] {
        assert_eq!(error.code(), Code::TooLong, "{error}");
    }

    let languages: Vec<String> = (0..=limits::TRANSLATIONS_MAX)
        .map(|index| format!("fr-{index:02}"))
        .collect();
    let pairs: Vec<(&str, &str)> = languages.iter().map(|tag| (tag.as_str(), "a")).collect();
    let error = notice_refusal(|notice| notice.title = translated(&pairs));
    assert_eq!(error.code(), Code::TooMany);
    let error = document_refusal(|document| {
        document.chunks = vec![Bytes::from(vec![0; 32]); limits::CHUNKS_MAX + 1];
        document.size_bytes = (limits::CHUNKS_MAX as u64 + 1) * limits::CHUNK_LEN as u64;
    });
    assert_eq!(error.code(), Code::TooMany);

    // Each body fits, together they do not fit the sealing.
    let error = notice_refusal(|notice| {
        notice.body = long(limits::BODY_MAX);
        notice.private_body = long(limits::BODY_MAX);
    });
    assert_eq!(error.code(), Code::TooLong);
}

#[test]
fn languages_ascend_each_once_with_french_or_english() {
    for (languages, code) in [
        (&["fr", "en"][..], Code::NotCanonical),
        (&["fr", "fr"], Code::NotCanonical),
        (&["br"], Code::FieldMissing),
        (&["fr-fr"], Code::FieldMissing),
        (&[], Code::FieldMissing),
        (&["FR"], Code::FieldInvalid),
        (&["f"], Code::FieldInvalid),
        (&["fr-"], Code::FieldInvalid),
        (&["fr_fr"], Code::FieldInvalid),
        (&["frаn"], Code::FieldInvalid),
    ] {
        let pairs: Vec<(&str, &str)> = languages.iter().map(|tag| (*tag, "a")).collect();
        let error = notice_refusal(|notice| notice.title = translated(&pairs));
        assert_eq!(error.code(), code, "{languages:?}: {error}");
    }
    let error = notice_refusal(|notice| notice.title = translated(&[("en", "a"), ("fr", "")]));
    assert_eq!(error.problem, Problem::Missing);
    let english = of(wire::content::Kind::Notice(wire::Notice {
        title: translated(&[("br", "Demat"), ("en", "Hello")]),
        body: translated(&[("en", "Hello")]),
        ..Default::default()
    }));
    let read = Content::decode(&codec::encode(&english)).expect("English is enough");
    assert_eq!(read.notice().title.in_language("br"), "Demat");
    assert_eq!(read.notice().title.in_language("de"), "Hello");
}

#[test]
fn case_61_links_are_https_with_a_plain_host() {
    for (url, host) in [
        ("https://interieur.gouv.fr", "interieur.gouv.fr"),
        (
            "https://interieur.gouv.fr:8443/a/b;c?d=e&f=%C3%A9#g",
            "interieur.gouv.fr",
        ),
        (
            "https://xn--dmarche-bya.gouv.fr/",
            "xn--dmarche-bya.gouv.fr",
        ),
    ] {
        assert_eq!(HttpsUrl::new(url).expect(url).host(), host);
    }
    for (url, reason) in [
        ("http://interieur.gouv.fr/", UrlProblem::NotHttps),
        ("HTTPS://interieur.gouv.fr/", UrlProblem::NotHttps),
        ("javascript:alert(1)", UrlProblem::NotHttps),
        ("data:text/html,x", UrlProblem::NotHttps),
        ("//interieur.gouv.fr/", UrlProblem::NotHttps),
        ("https:///a", UrlProblem::NoHost),
        ("https://:443/a", UrlProblem::NoHost),
        ("https://impots.gouv.fr@evil.example/", UrlProblem::UserInfo),
        (
            "https://impots.gouv.fr:443@evil.example/",
            UrlProblem::UserInfo,
        ),
        (
            "https://impots.gouv.fr\\@evil.example/",
            UrlProblem::UserInfo,
        ),
        (
            "https://impots.gouv.fr\\evil.example/",
            UrlProblem::HostMalformed,
        ),
        ("https://Impots.gouv.fr/", UrlProblem::HostMalformed),
        ("https://impоts.gouv.fr/", UrlProblem::HostMalformed),
        ("https://impots..fr/", UrlProblem::HostMalformed),
        ("https://[::1]/", UrlProblem::HostMalformed),
        ("https://-a.fr/", UrlProblem::HostMalformed),
        ("https://a%2e.fr/", UrlProblem::HostMalformed),
        ("https://a.fr:/", UrlProblem::PortMalformed),
        ("https://a.fr:0/", UrlProblem::PortMalformed),
        ("https://a.fr:0443/", UrlProblem::PortMalformed),
        ("https://a.fr:65536/", UrlProblem::PortMalformed),
        ("https://a.fr:+44/", UrlProblem::PortMalformed),
        ("https://a.fr/é", UrlProblem::Unencoded),
        ("https://a.fr/ b", UrlProblem::Unencoded),
        ("https://a.fr/\n", UrlProblem::Unencoded),
        ("https://a.fr/\u{202e}", UrlProblem::Unencoded),
        ("https://a.fr/%", UrlProblem::Unencoded),
        ("https://a.fr/%2g", UrlProblem::Unencoded),
        ("https://a.fr/\"onclick", UrlProblem::Unencoded),
        ("https://a.fr/#a#b", UrlProblem::Unencoded),
    ] {
        let refused = HttpsUrl::new(url).expect_err(url);
        assert_eq!(refused, Problem::UrlRefused { reason }, "{url}");
        let error =
            notice_refusal(|notice| notice.link.as_mut().expect("has a link").url = url.into());
        assert_eq!(error.field.to_string(), "notice.link.url");
    }
}

#[test]
fn case_10_times_stop_at_2_to_the_53_and_never_end_before_they_start() {
    for ms in [limits::INTEGER_MAX + 1, 1 << 63, u64::MAX] {
        let error = notice_refusal(|notice| notice.valid_until_ms = ms);
        assert_eq!(error.code(), Code::FieldInvalid, "{error}");
        let error = procedure_refusal(|procedure| procedure.event_ms = ms);
        assert_eq!(error.code(), Code::FieldInvalid, "{error}");
    }
    let error = procedure_refusal(|procedure| {
        procedure.milestone_end_ms = procedure.milestone_start_ms - 1
    });
    assert_eq!(error.code(), Code::FieldInvalid, "{error}");
    let error = procedure_refusal(|procedure| procedure.event_ms = 0);
    assert_eq!(error.code(), Code::FieldMissing, "{error}");
    // Milestones may stand alone.
    let mut open = procedure();
    open.milestone_end_ms = 0;
    Content::decode(&codec::encode(&of(wire::content::Kind::Procedure(open)))).expect("open end");
}

#[test]
fn a_procedure_is_whole_or_refused() {
    for error in [
        procedure_refusal(|procedure| procedure.r#type.clear()),
        procedure_refusal(|procedure| procedure.id.clear()),
        procedure_refusal(|procedure| procedure.status = 0),
        procedure_refusal(|procedure| procedure.status_label = None),
        procedure_refusal(|procedure| procedure.notice = None),
        procedure_refusal(|procedure| procedure.parent.as_mut().expect("has one").partner.clear()),
        procedure_refusal(|procedure| procedure.parent.as_mut().expect("has one").r#type.clear()),
        procedure_refusal(|procedure| procedure.parent.as_mut().expect("has one").id.clear()),
    ] {
        assert_eq!(error.code(), Code::FieldMissing, "{error}");
    }
    for status in [4, -1, i32::MAX] {
        let error = procedure_refusal(|procedure| procedure.status = status);
        assert_eq!(error.problem, Problem::UnknownValue { got: status });
    }
}

#[test]
fn a_document_names_every_chunk_and_no_path() {
    for name in ["../a", "a/b", "a\\b", ".a", "..", "C:a", "a|b"] {
        let error = document_refusal(|document| document.file_name = name.into());
        assert_eq!(error.code(), Code::FieldInvalid, "{name}");
    }
    for name in [
        "application",
        "application/",
        "/pdf",
        "a/b/c",
        "text/html; charset=utf-8",
        "Text/html",
    ] {
        let error = document_refusal(|document| document.media_type = name.into());
        assert_eq!(error.code(), Code::FieldInvalid, "{name}");
    }
    for error in [
        document_refusal(|document| document.size_bytes -= 1),
        document_refusal(|document| document.size_bytes += limits::CHUNK_LEN as u64),
        document_refusal(|document| {
            document.size_bytes = 0;
            document.chunks.clear();
        }),
        document_refusal(|document| document.chunks[1].truncate(31)),
        document_refusal(|document| document.content_key = Bytes::from(vec![3; 33])),
    ] {
        assert_eq!(error.code(), Code::FieldInvalid, "{error}");
    }
}

#[test]
fn requests_and_questions_name_who_and_what() {
    let [.., consent, access, question] = every_kind();
    let change = |content: &wire::Content, change: &dyn Fn(&mut wire::content::Kind)| {
        let mut changed = content.clone();
        change(changed.kind.as_mut().expect("has a kind"));
        refusal(changed)
    };
    use wire::content::Kind as Wire;
    let error = change(&consent, &|kind| {
        let Wire::ConsentRequest(request) = kind else {
            unreachable!()
        };
        request.requester = "CAF".into();
    });
    assert_eq!(error.code(), Code::FieldInvalid);
    let error = change(&consent, &|kind| {
        let Wire::ConsentRequest(request) = kind else {
            unreachable!()
        };
        request.request_id = Bytes::from(vec![4; 15]);
    });
    assert_eq!(error.code(), Code::FieldInvalid);
    let error = change(&access, &|kind| {
        let Wire::AccessNotice(access) = kind else {
            unreachable!()
        };
        access.legal_basis.clear();
    });
    assert_eq!(error.code(), Code::FieldMissing);
    let error = change(&question, &|kind| {
        let Wire::Question(question) = kind else {
            unreachable!()
        };
        question.choices.clear();
    });
    assert_eq!(error.problem, Problem::NoAnswerPossible);
    let error = change(&question, &|kind| {
        let Wire::Question(question) = kind else {
            unreachable!()
        };
        question.choices = vec![text("Oui").expect("made"); limits::CHOICES_MAX + 1];
    });
    assert_eq!(error.code(), Code::TooMany);
}

#[test]
fn a_content_that_no_device_would_show_is_not_encoded() {
    let notice = Notice::new(Text::french("a\u{202e}b"), Text::french("b"));
    let error = Content::from(Kind::Notice(notice))
        .encode()
        .expect_err("refused");
    assert_eq!(error.field.to_string(), "notice.title.fr");
}

proptest! {
    /// R1: whatever bytes are accepted, they are written again as they came.
    #[test]
    fn r01_accepted_bytes_are_written_again_as_they_came(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        kind in 0..7_usize,
    ) {
        let mut bytes = codec::encode(&every_kind()[kind]).to_vec();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(content) = Content::decode(&bytes) {
            prop_assert_eq!(content.encode().expect("what was read fits"), bytes);
        }
    }
}
